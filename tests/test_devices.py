"""The device that a step takes for itself."""

from __future__ import annotations

import os
import signal
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
import torch

from robustrepro.devices import claimed_device, device_name
from robustrepro.errors import UserError


@pytest.fixture
def two_devices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.delenv("ROBUSTREPRO_DEVICE", raising=False)
    monkeypatch.delenv("ROBUSTREPRO_STEPS_PER_GPU", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)


@pytest.fixture
def no_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ROBUSTREPRO_DEVICE", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


@pytest.mark.usefixtures("no_device")
def test_without_a_gpu_it_is_the_cpu() -> None:
    with claimed_device() as device:
        assert device == torch.device("cpu")
        assert device_name(device) == "cpu"


@pytest.mark.usefixtures("no_device")
def test_a_wish_that_the_machine_cannot_fulfil_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROBUSTREPRO_DEVICE", "cuda")
    with (
        pytest.raises(UserError, match="ROBUSTREPRO_DEVICE is 'cuda', but PyTorch finds no CUDA device"),
        claimed_device(),
    ):
        pass


@pytest.mark.usefixtures("two_devices")
def test_an_unknown_wish_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROBUSTREPRO_DEVICE", "gpu")
    with pytest.raises(UserError, match="ROBUSTREPRO_DEVICE is 'gpu'; expected 'cpu' or 'cuda'"), claimed_device():
        pass


@pytest.mark.usefixtures("two_devices")
def test_the_cpu_may_be_wished_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROBUSTREPRO_DEVICE", "cpu")
    with claimed_device() as first, claimed_device() as second, claimed_device() as third:
        assert {first.type, second.type, third.type} == {"cpu"}


@pytest.mark.usefixtures("two_devices")
def test_two_steps_take_different_devices_and_a_released_one_is_taken_again() -> None:
    with claimed_device() as first:
        with claimed_device() as second:
            assert (str(first), str(second)) == ("cuda:0", "cuda:1")
        with claimed_device() as again:
            assert again == second


@pytest.mark.usefixtures("two_devices")
def test_on_a_cuda_device_libraries_give_the_same_bits_every_time_and_are_left_as_they_were() -> None:
    assert not torch.backends.cudnn.deterministic
    with claimed_device():
        assert torch.backends.cudnn.deterministic
    assert not torch.backends.cudnn.deterministic


@pytest.mark.usefixtures("two_devices")
def test_steps_that_share_devices_spread_over_all_of_them_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROBUSTREPRO_STEPS_PER_GPU", "2")
    with ExitStack() as held:
        devices = [str(held.enter_context(claimed_device())) for _ in range(4)]
        assert devices == ["cuda:0", "cuda:1", "cuda:0", "cuda:1"]
        monkeypatch.setattr("robustrepro.devices.time.sleep", _refuse_to_wait)
        with pytest.raises(BlockingIOError), claimed_device():
            pass


def _refuse_to_wait(seconds: float) -> None:
    raise BlockingIOError(seconds)


@pytest.mark.usefixtures("two_devices")
@pytest.mark.parametrize("given", ["0", "-1", "two", "1.5", ""])
def test_a_share_of_a_device_is_a_number_of_steps(monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    monkeypatch.setenv("ROBUSTREPRO_STEPS_PER_GPU", given)
    message = f"ROBUSTREPRO_STEPS_PER_GPU is '{given}'; expected a number of steps, 1 or more"
    with pytest.raises(UserError, match=message), claimed_device():
        pass


@pytest.mark.usefixtures("two_devices")
def test_with_every_device_taken_a_step_waits_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = claimed_device(), claimed_device()
    first.__enter__()
    naps = []

    def release_after_two_naps(seconds: float) -> None:
        naps.append(seconds)
        if len(naps) == 2:
            first.__exit__(None, None, None)

    monkeypatch.setattr("robustrepro.devices.time.sleep", release_after_two_naps)
    with second, claimed_device() as third:
        assert str(third) == "cuda:0"
    assert len(naps) == 2


@pytest.mark.usefixtures("two_devices")
def test_a_failed_step_lets_its_device_go() -> None:
    def fail() -> None:
        with claimed_device():
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    with claimed_device() as device:
        assert str(device) == "cuda:0"


@pytest.mark.usefixtures("two_devices")
def test_a_killed_step_lets_its_device_go() -> None:
    reading, writing = os.pipe()
    step = os.fork()
    if step == 0:
        with claimed_device() as device:
            os.write(writing, str(device).encode())
            time.sleep(60)
        os._exit(1)
    assert os.read(reading, 10) == b"cuda:0"
    with claimed_device() as device:
        assert str(device) == "cuda:1"
    os.kill(step, signal.SIGKILL)
    os.waitpid(step, 0)
    with claimed_device() as device:
        assert str(device) == "cuda:0"
