"""The training loop and its resumable state: the same bits, interrupted or not."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from training_cases import EPOCHS, NETWORKS, Recording, same, stop_after, trained

from robustrepro.errors import UserError
from robustrepro.objectives.base import Risk, Step
from robustrepro.objectives.erm import EmpiricalRisk
from robustrepro.objectives.hrm import HollowRisk
from robustrepro.training import loop
from robustrepro.training.augmentation import CropAndFlip
from robustrepro.training.resume import locked, state_path


def test_a_seed_gives_the_same_bits_and_another_seed_others(tmp_path: Path) -> None:
    torch.manual_seed(5)
    first, history = trained(tmp_path / "state")
    torch.manual_seed(6)
    assert same(trained(tmp_path / "state")[0], first)
    assert not same(trained(tmp_path / "state", seed=1)[0], first)
    assert [entry["epoch"] for entry in history] == [1, 2, 3, 4]
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize("network", NETWORKS)
def test_an_interrupted_training_continues_to_the_same_bits(tmp_path: Path, network: str) -> None:
    expected, whole = trained(tmp_path / "other", network)
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path / "state", network, report=stop_after(2))
    reported: list[int] = []
    found, history = trained(tmp_path / "state", network, report=lambda entry: reported.append(entry["epoch"]))
    assert reported == [3, 4]
    assert same(found, expected)
    assert [(e["epoch"], e["loss"], e["accuracy"]) for e in history] == [
        (e["epoch"], e["loss"], e["accuracy"]) for e in whole
    ]


@pytest.mark.parametrize("stop_in_batch", [0, 1, 3], ids=["at once", "in the first epoch", "in the second epoch"])
def test_an_epoch_cut_in_the_middle_is_done_again_from_its_start(tmp_path: Path, stop_in_batch: int) -> None:
    expected, _ = trained(tmp_path / "other")
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path / "state", objective=Recording(HollowRisk(1e-8), stop_in_batch))
    assert same(trained(tmp_path / "state")[0], expected)


def test_a_killed_training_continues_from_what_it_saved_now_and_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected, _ = trained(tmp_path / "other")
    monkeypatch.setattr(loop, "SECONDS_BETWEEN_SAVES", -1.0)
    with pytest.raises(SystemError):  # like a kill, this leaves no time to save anything
        trained(tmp_path / "state", report=stop_after(3, SystemError))
    reported: list[int] = []
    found, _ = trained(tmp_path / "state", report=lambda entry: reported.append(entry["epoch"]))
    assert reported == [3, 4]
    assert same(found, expected)


@pytest.mark.parametrize("kept", [0, 5, 400, -7])
def test_a_truncated_state_starts_over(tmp_path: Path, kept: int) -> None:
    state = tmp_path / "state"
    expected, _ = trained(tmp_path / "other")
    with pytest.raises(KeyboardInterrupt):
        trained(state, report=stop_after(3))
    state.write_bytes(state.read_bytes()[:kept])
    found, history = trained(state)
    assert same(found, expected)
    assert len(history) == EPOCHS


@pytest.mark.parametrize("part", [0.02, 0.3, 0.6, 0.99])
def test_a_state_with_a_flipped_byte_starts_over(tmp_path: Path, part: float) -> None:
    state = tmp_path / "state"
    expected, _ = trained(tmp_path / "other")
    with pytest.raises(KeyboardInterrupt):
        trained(state, report=stop_after(3))
    content = bytearray(state.read_bytes())
    content[int(part * len(content))] ^= 0x40
    state.write_bytes(content)
    reported: list[int] = []
    found, _ = trained(state, report=lambda entry: reported.append(entry["epoch"]))
    assert reported == [1, 2, 3, 4]
    assert same(found, expected)


def test_a_loss_that_is_not_finite_stops_with_model_epoch_and_learning_rate(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"model a-model, seed 0: the loss is (nan|inf) in epoch 1 .* rate 1e\+30"):
        trained(tmp_path / "state", optimizer={"name": "adam", "learning_rate": 1e30}, objective=EmpiricalRisk())
    assert not (tmp_path / "state").exists()


def test_a_loss_of_nan_from_the_second_epoch_names_that_epoch(tmp_path: Path) -> None:
    class FailsLater(Recording):
        def __call__(self, model: nn.Module, step: Step) -> Risk:
            risk = super().__call__(model, step)
            return risk if len(self.batches) <= 2 else Risk(risk.value * float("nan"), risk.logits)

    with pytest.raises(
        UserError, match=r"in epoch 2 at learning rate 0\.01; lower optimizer\.learning_rate of a-model"
    ):
        trained(tmp_path / "state", objective=FailsLater(EmpiricalRisk()))


def test_models_of_one_seed_see_the_same_batches_and_never_one_of_a_single_example(tmp_path: Path) -> None:
    erm, hrm, other = (Recording(objective) for objective in (EmpiricalRisk(), HollowRisk(1e-8), EmpiricalRisk()))
    trained(tmp_path / "state", objective=erm)
    trained(tmp_path / "state", objective=hrm)
    trained(tmp_path / "state", objective=other, seed=1)
    assert [len(batch) for batch in erm.batches] == [16, 16] * EPOCHS
    assert erm.batches == hrm.batches
    assert erm.batches != other.batches
    assert sorted(erm.batches[0] + erm.batches[1]) != sorted(erm.batches[2] + erm.batches[3])


def test_history_has_the_mean_loss_and_the_accuracy_over_the_examples_seen(tmp_path: Path) -> None:
    class Given(Recording):
        """The n-th batch has risk n; logits are right for class 0 alone."""

        def __call__(self, model: nn.Module, step: Step) -> Risk:
            value = super().__call__(model, step).value
            logits = torch.tensor([1.0, 0.0]).expand(len(step.labels), 2)
            self.zeros = [*getattr(self, "zeros", []), int((step.labels == 0).sum())]
            return Risk(0 * value + len(self.batches), logits)

    objective = Given(EmpiricalRisk())
    _, history = trained(tmp_path / "state", objective=objective)
    assert [entry["loss"] for entry in history] == [1.5, 3.5, 5.5, 7.5]
    assert [entry["accuracy"] for entry in history] == [
        sum(objective.zeros[2 * epoch : 2 * epoch + 2]) / 32 for epoch in range(EPOCHS)
    ]


def test_states_of_other_trainings_have_other_names() -> None:
    identity = ["spec", "code", "manifest"]
    names = {state_path(Path(), *identity).name}
    for index in range(len(identity)):
        names.add(state_path(Path(), *(part + "1" if i == index else part for i, part in enumerate(identity))).name)
    names.add(state_path(Path(), "spec", "", "code", "manifest").name)
    assert len(names) == 5
    assert all(name.endswith(".partial") for name in names)  # what no run takes for an output


def test_one_training_of_a_model_at_a_time(tmp_path: Path) -> None:
    state = state_path(tmp_path, "spec")
    with locked(state):
        with pytest.raises(UserError, match="another process is training this model"), locked(state):
            pass
        with locked(state_path(tmp_path, "other")):
            pass
    with locked(state):
        pass
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_training_with_augmentation_ends_in_the_same_bits(tmp_path: Path) -> None:
    whole, _ = trained(tmp_path / "whole", "lenet5", augment=CropAndFlip(2))
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path / "cut", "lenet5", augment=CropAndFlip(2), report=stop_after(2))
    resumed, _ = trained(tmp_path / "cut", "lenet5", augment=CropAndFlip(2))
    plain, _ = trained(tmp_path / "plain", "lenet5")
    assert same(whole, resumed)
    assert not same(whole, plain)


def test_an_observer_sees_the_gradient_of_every_update_and_changes_nothing(tmp_path: Path) -> None:
    gradients: list[Tensor] = []
    weights: list[Tensor] = []

    def observe(model: nn.Module) -> None:
        parameters = list(model.parameters())
        gradients.append(torch.cat([value.grad.flatten() for value in parameters if value.grad is not None]).clone())
        weights.append(torch.cat([value.detach().flatten() for value in parameters]).clone())

    observed, _ = trained(tmp_path / "observed", observe=observe)
    unobserved, _ = trained(tmp_path / "unobserved")
    assert same(observed, unobserved)
    assert len(gradients) == EPOCHS * 2  # two batches an epoch; the left-over example is none
    # Adam's first step is the gradient's sign times the learning rate, wherever the gradient is well above its guard.
    moved = (gradients[0].abs() > 1e-4).nonzero().flatten()
    assert len(moved) > 20
    torch.testing.assert_close((weights[0] - weights[1])[moved], 0.01 * gradients[0].sign()[moved], rtol=1e-3, atol=0)


def test_a_state_of_another_network_is_refused_in_one_message(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path / "state", report=stop_after(1))
    with pytest.raises(
        UserError, match="interrupted training does not fit the model; delete it to start over"
    ) as caught:
        trained(tmp_path / "state", "lenet5")
    assert str(tmp_path / "state") in str(caught.value)
    assert "\n" not in str(caught.value)
