"""What only a CUDA device can show: ``pytest -m gpu`` runs these."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from training_cases import Weights, a_training, same, stop_after

from robustrepro.attacks.measure import measure
from robustrepro.datasets.prepare import prepare
from robustrepro.datasets.tensors import as_float, load
from robustrepro.devices import claimed_device, device_name
from robustrepro.implementations import made
from robustrepro.losses import clipped_cross_entropy
from robustrepro.models.build import build_network
from robustrepro.objectives.base import Step
from robustrepro.precision import float32_products
from robustrepro.spec.attacks import AutoAttack, Clean, Fgsm, Pgd
from robustrepro.spec.datasets import dataset_spec
from robustrepro.spec.networks import Network
from robustrepro.spec.training import TrainingSpec
from robustrepro.training import loop

pytestmark = pytest.mark.gpu

GPU = torch.device("cuda")


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> tuple[Tensor, Tensor]:
    """Handwritten digits, (N, 1, 28, 28) in [0, 1], and their labels, on the CPU."""
    folder = tmp_path_factory.mktemp("digits")
    prepare(dataset_spec("digits"), folder, mirror=None, allow_unverified=False)
    split = load(folder, "train")
    return as_float(split.inputs), split.labels


@pytest.fixture
def gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[torch.device]:
    """The device as a step takes it, with locks of this test's own."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.delenv("ROBUSTREPRO_DEVICE", raising=False)
    with claimed_device() as device:
        yield device


def digits_training(digits: tuple[Tensor, Tensor], device: torch.device) -> tuple[nn.Module, loop.Training]:
    """LeNet-5 and its training on the digits, on a device."""
    model, training = a_training("lenet5", epochs=3)
    inputs, labels = (tensor.to(device) for tensor in digits)
    return model.to(device), dataclasses.replace(training, inputs=inputs, labels=labels)


def trained(
    digits: tuple[Tensor, Tensor], state: Path, device: torch.device, report=lambda _: None
) -> tuple[Weights, list[loop.Epoch]]:
    model, training = digits_training(digits, device)
    history = loop.train(model, training, state, report=report)
    return {name: tensor.cpu() for name, tensor in model.state_dict().items()}, history


@pytest.fixture(scope="module")
def victim(digits: tuple[Tensor, Tensor], tmp_path_factory: pytest.TempPathFactory) -> nn.Module:
    """LeNet-5 trained on the digits, on the CPU, in evaluation mode."""
    model, training = digits_training(digits, torch.device("cpu"))
    loop.train(model, training, tmp_path_factory.mktemp("victim") / "state", report=lambda _: None)
    return model.eval()


def test_a_training_descends_as_it_does_on_the_cpu(digits, tmp_path, gpu) -> None:
    _, there = trained(digits, tmp_path / "gpu", gpu)
    _, here = trained(digits, tmp_path / "cpu", torch.device("cpu"))
    # Sums in another order part the trainings within an epoch; what they come to is about the same.
    assert there[0]["loss"] == pytest.approx(here[0]["loss"], rel=0.05)
    for theirs, ours in zip(there, here, strict=True):
        assert theirs["accuracy"] == pytest.approx(ours["accuracy"], abs=0.03)


def test_a_seed_gives_the_same_bits_again(digits, tmp_path, gpu) -> None:
    first, history = trained(digits, tmp_path / "first", gpu)
    again, repeated = trained(digits, tmp_path / "again", gpu)
    assert [entry["loss"] for entry in history] == [entry["loss"] for entry in repeated]
    assert same(first, again)


def test_an_interrupted_training_continues_to_the_same_bits(digits, tmp_path, gpu) -> None:
    whole, _ = trained(digits, tmp_path / "whole", gpu)
    with pytest.raises(KeyboardInterrupt):
        trained(digits, tmp_path / "state", gpu, report=stop_after(2))
    continued, _ = trained(digits, tmp_path / "state", gpu)
    assert same(continued, whole)


RGB = {"architecture": {"name": "vgg", "channels": [16, 16, 16, 16, 16], "convolutions": [1, 1, 1, 1, 1]}}
GREY = {
    "architecture": {"name": "pooled_convnet", "channels": [8, 16], "kernel": 5, "pools": [3, 2], "hidden": [20]},
    "preprocessing": [
        {"name": "pad", "size": 32},
        {"name": "standardise", "mean": 0.1, "std": 0.2752},
        {"name": "input_normalisation"},
    ],
}
YUV = [{"name": "colour_space", "to": "yuv"}, {"name": "local_contrast_normalisation", "channels": [0], "size": 7}]


@pytest.mark.parametrize("norm", ["l1", "l2", "linf"])
def test_a_step_of_ascent_in_training_is_that_of_the_cpu(digits, norm) -> None:
    spec = TrainingSpec.model_validate(
        {
            "dataset": "none",
            "network": GREY,
            "objective": {
                "name": "adversarial",
                "clipped": False,
                "adversary": {"name": "fgsm", "norm": norm, "epsilon": 0.5},
            },
            "optimizer": {"name": "torch7_sgd", "learning_rate": 0.01, "momentum": 0.9},
            "epochs": 1,
            "batch_size": 100,
        }
    )
    inputs, labels = digits[0][:100], digits[1][:100]
    objective = made(spec.objective)

    def moved(device: torch.device) -> Tensor:
        model = build_network(spec.network, (1, 28, 28), 10).to(device).train()
        step = Step(inputs.to(device), labels.to(device), torch.arange(100), 0.0, torch.Generator())
        with float32_products("ieee"):
            return (objective.adversarial_examples(model, step).cpu() - inputs).flatten(1)

    there, here = moved(GPU), moved(torch.device("cpu"))
    same_step = torch.isclose(there, here, atol=1e-3 if norm == "l2" else 1e-6).double().mean(1)
    # Pixels whose gradient is within rounding of 0, or of the largest one, may part.
    assert (same_step > 0.99).double().mean() >= 0.97
    assert there.abs().amax() == pytest.approx(0.5, abs=1e-4) or norm == "l2"


def test_preprocessing_and_its_gradient_are_those_of_the_cpu() -> None:
    spec = Network.model_validate({**RGB, "preprocessing": YUV})
    images = torch.rand(16, 3, 32, 32, generator=torch.Generator().manual_seed(0))

    def of(device: torch.device) -> tuple[Tensor, Tensor]:
        model = build_network(spec, (3, 32, 32), 10).to(device).eval()
        leaf = images.to(device).requires_grad_()
        with float32_products("ieee"):
            logits = model(leaf)
            (gradient,) = torch.autograd.grad(logits.square().sum(), leaf)
        return logits.detach().cpu(), gradient.cpu()

    for there, here in zip(of(GPU), of(torch.device("cpu")), strict=True):
        torch.testing.assert_close(there, here, rtol=1e-3, atol=1e-4 * here.abs().max().item())


def test_the_clipped_loss_has_the_values_and_the_exact_zeros_of_the_cpu() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(4096, 10, generator=generator) * 12
    labels = torch.randint(10, (4096,), generator=generator)

    def of(device: torch.device) -> tuple[Tensor, Tensor]:
        leaf = logits.to(device).requires_grad_()
        losses = clipped_cross_entropy(leaf, labels.to(device))
        (gradient,) = torch.autograd.grad(losses.sum(), leaf)
        return losses.detach().cpu(), gradient.cpu()

    (there, gradient_there), (here, gradient_here) = of(GPU), of(torch.device("cpu"))
    torch.testing.assert_close(there, here, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(gradient_there, gradient_here, rtol=1e-4, atol=1e-6)
    still_there, still_here = (gradient.eq(0).all(1) for gradient in (gradient_there, gradient_here))
    assert 0.2 < still_here.double().mean() < 0.8
    # A probability within rounding of a bound may fall on either side of it.
    assert (still_there != still_here).sum() <= 2


def attacked(model: nn.Module, digits: tuple[Tensor, Tensor], spec, device: torch.device):
    inputs, labels = digits
    return measure(model.to(device), inputs, labels, torch.arange(len(labels)), spec, seed=0, keep_adversarial=True)


PGD = {"name": "pgd", "epsilon": 0.1, "steps": 20, "step_size": 0.01}


@pytest.mark.parametrize(
    "spec", [Clean(name="clean"), Fgsm(name="fgsm", epsilon=0.1), Pgd(**PGD)], ids=lambda s: s.name
)
def test_an_attack_finds_what_it_finds_on_the_cpu(victim, digits, spec) -> None:
    there, here = (attacked(victim, digits, spec, device) for device in (GPU, torch.device("cpu")))
    assert (there.robust != here.robust).double().mean() <= 0.002
    assert 0 < there.robust.sum() < len(there.robust)


@pytest.mark.parametrize("search", ["tf32", "bfloat16"])
def test_a_search_in_less_precision_is_judged_in_float32_and_finds_nearly_as_much(victim, digits, search) -> None:
    plain = attacked(victim, digits, Pgd(**PGD), GPU)
    quick = attacked(victim, digits, Pgd(**PGD, search=search), GPU)
    assert abs(plain.robust.double().mean() - quick.robust.double().mean()) <= 0.01
    labels = digits[1]
    with torch.no_grad(), float32_products("ieee"):
        logits = victim.to(GPU)(quick.adversarial.to(GPU)).cpu()
    assert torch.equal(logits.argmax(1) == labels, quick.robust)


def test_tf32_products_differ_from_true_float32_which_agrees_with_float64() -> None:
    first, second = torch.randn(2, 512, 512, generator=torch.Generator().manual_seed(0)).to(GPU)
    exact = (first.double() @ second.double()).float()
    errors = {}
    for precision in ("ieee", "tf32"):
        with float32_products(precision):
            errors[precision] = (first @ second - exact).abs().max().item()
    assert errors["ieee"] < 1e-3 < errors["tf32"]


def test_autoattack_runs_and_leaves_the_random_state_of_the_device(victim, digits) -> None:
    few = digits[0][:64], digits[1][:64]
    before = torch.cuda.get_rng_state()
    outcome = attacked(victim, few, AutoAttack(name="autoattack", epsilon=0.1, steps=20, square_queries=200), GPU)
    assert torch.equal(torch.cuda.get_rng_state(), before)
    assert outcome.robust.sum() <= attacked(victim, few, Pgd(**PGD), GPU).robust.sum()


CLAIM = "from robustrepro.devices import claimed_device\nwith claimed_device() as device: print(device)"


def test_steps_take_turns_on_a_device_unless_they_may_share_it(tmp_path, monkeypatch, gpu) -> None:
    assert device_name(gpu) == torch.cuda.get_device_name(0)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.delenv("ROBUSTREPRO_STEPS_PER_GPU", raising=False)
    command = [sys.executable, "-c", CLAIM]
    if torch.cuda.device_count() == 1:
        with pytest.raises(subprocess.TimeoutExpired):
            subprocess.run(command, timeout=20, check=True)
    monkeypatch.setenv("ROBUSTREPRO_STEPS_PER_GPU", "2")
    shared = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert shared.stdout.startswith("cuda:")
