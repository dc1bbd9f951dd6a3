from __future__ import annotations

import pytest
import torch
from attack_cases import linear_case, random_case
from pydantic import ValidationError
from torch import Tensor, nn

from robustrepro.attacks.craft import craft
from robustrepro.attacks.curve import measure_curve
from robustrepro.attacks.measure import measure
from robustrepro.attacks.minimal_distance import measure_distances
from robustrepro.attacks.subject import predictions
from robustrepro.errors import UserError
from robustrepro.precision import float32_products, true_float32
from robustrepro.spec.attacks import Bim, Curve, DeepFool, Fgsm, Pgd

COUNT = 60
INDICES = torch.arange(COUNT)


def searched(name: str, search: str | None = "bfloat16", **changes):
    fields = {"name": name, "epsilon": 0.05, "search": search}
    steps = {"steps": 5, "step_size": 0.0125}
    return {"fgsm": Fgsm, "bim": Bim, "pgd": Pgd}[name](**fields, **({} if name == "fgsm" else steps), **changes)


class Close(nn.Module):
    """Logits 256 and 256.5 plus a little of the input: class 1 by 0.5 in float32, a tie for class 0 in bfloat16."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 2)
        with torch.no_grad():
            self.layer.weight.copy_(torch.tensor([[0.1, 0.0], [0.0, 0.1]]))
            self.layer.bias.copy_(torch.tensor([256.0, 256.5]))

    def forward(self, inputs: Tensor) -> Tensor:
        return self.layer(inputs)


@pytest.mark.parametrize("attack", ["fgsm", "bim", "pgd"])
def test_a_mistake_that_only_bfloat16_makes_does_not_count(attack):
    model, inputs = Close().eval(), torch.full((COUNT, 2), 0.5)
    labels = torch.ones(COUNT, dtype=torch.int64)
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        assert (model(inputs).argmax(1) == 0).all()
    outcome = measure(model, inputs, labels, INDICES, searched(attack), seed=0, keep_adversarial=True)
    assert outcome.robust.all()
    assert (outcome.restart == -1).all()
    with torch.no_grad():
        logits = model(outcome.adversarial)
    torch.testing.assert_close(outcome.margin, logits[:, 1] - logits[:, 0])
    # Doubted at every point, an image goes on to its last step; every doubt costs a pass of its own.
    visited = {"fgsm": 1, "bim": 5, "pgd": 6}[attack]
    assert (outcome.queries == 1 + 2 * visited).all()


@pytest.mark.parametrize("attack", ["fgsm", "bim", "pgd"])
def test_what_a_search_breaks_is_broken_in_float32(attack):
    model, inputs, labels = random_case(COUNT)
    outcome = measure(model, inputs, labels, INDICES, searched(attack), seed=0, batch_size=16, keep_adversarial=True)
    plain = measure(model, inputs, labels, INDICES, searched(attack, None), seed=0)
    with torch.no_grad():
        logits = model(outcome.adversarial)
    attacked = outcome.clean_prediction == labels
    assert torch.equal(logits.argmax(1), outcome.prediction)
    torch.testing.assert_close(
        outcome.margin, logits.gather(1, labels[:, None])[:, 0] - logits.scatter(1, labels[:, None], -torch.inf).amax(1)
    )
    assert 0 < outcome.robust.sum() < attacked.sum()
    assert (outcome.robust == plain.robust).float().mean() > 0.95


def test_a_search_loses_nothing_on_a_linear_model():
    model, inputs, labels, _ = linear_case((6,))
    model, inputs = model.float(), inputs.float()
    plain, low = (
        measure(model, inputs, labels, torch.arange(40), searched("bim", search, loss="margin"), seed=0)
        for search in (None, "bfloat16")
    )
    assert 0 < plain.robust.sum() < (plain.clean_prediction == labels).sum()
    assert torch.equal(low.robust, plain.robust)


def test_a_search_runs_its_iterates_in_the_low_precision_and_the_rest_in_float32():
    model, inputs, labels = random_case(COUNT)
    seen: list[tuple[torch.dtype, bool]] = []
    hook = model.register_forward_hook(lambda *call: seen.append((call[2].dtype, call[2].requires_grad)))
    try:
        measure(model, inputs, labels, INDICES, searched("pgd"), seed=0)
        craft(model, inputs, labels, INDICES, searched("bim"), seed=0)
    finally:
        hook.remove()
    # A clean pass, six points with their gradients but the last, each perhaps followed by a second opinion, five steps.
    assert seen[0] == (torch.float32, False)
    assert seen[1] == (torch.bfloat16, True)
    assert seen[-5:] == [(torch.bfloat16, True)] * 5
    assert (torch.float32, True) not in seen
    assert seen.count((torch.float32, False)) > 2
    assert not torch.is_autocast_enabled("cpu")


def test_a_curve_searches_in_low_precision_too():
    spec = Curve.model_validate(
        {"name": "curve", "epsilons": [0.1, 0.2], "attack": {"name": "fgsm", "search": "bfloat16"}}
    )
    labels = torch.ones(COUNT, dtype=torch.int64)
    assert measure_curve(Close().eval(), torch.full((COUNT, 2), 0.5), labels, INDICES, spec, seed=0).robust.all()


def test_tf32_on_a_cpu_is_a_mistake_that_names_the_key():
    model, inputs, labels = random_case(COUNT)
    with pytest.raises(UserError, match="search is 'tf32', but the model is on cpu"):
        measure(model, inputs, labels, INDICES, searched("pgd", "tf32"), seed=0)


def test_a_search_below_float64_is_refused():
    with pytest.raises(ValidationError, match="search is bfloat16, a lower form of float32, but precision is float64"):
        searched("pgd", precision="float64")


BACKENDS = (torch.backends.cuda.matmul, torch.backends.cudnn.conv)


@pytest.mark.parametrize("precision", ["ieee", "tf32"])
def test_the_precision_is_set_inside_the_block_and_given_back_also_after_a_failure(precision):
    before = [backend.fp32_precision for backend in BACKENDS]
    inside = []

    def fail():
        with float32_products(precision):
            inside.extend(backend.fp32_precision for backend in BACKENDS)
            raise RuntimeError("inside")

    with float32_products("tf32"):
        with pytest.raises(RuntimeError, match="inside"):
            fail()
        assert [backend.fp32_precision for backend in BACKENDS] == ["tf32"] * 2
    assert inside == [precision] * 2
    assert [backend.fp32_precision for backend in BACKENDS] == before


def test_true_float32_decorates_a_function_that_is_called_more_than_once():
    @true_float32()
    def setting():
        return torch.backends.cudnn.conv.fp32_precision

    with float32_products("tf32"):
        assert [setting(), setting()] == ["ieee", "ieee"]
        assert torch.backends.cudnn.conv.fp32_precision == "tf32"


def predicted(model, inputs, *_, **__):
    return predictions(model, inputs, torch.device("cpu"))


def measured_curve(model, inputs, labels, indices, _, *, seed):
    curve = Curve.model_validate({"name": "curve", "epsilons": [0.1], "attack": {"name": "fgsm"}})
    return measure_curve(model, inputs, labels, indices, curve, seed=seed)


def measured_distances(model, inputs, labels, indices, _, **_options):
    return measure_distances(model, inputs, labels, indices, DeepFool(name="deepfool", steps=3))


@pytest.mark.parametrize("verdict", [measure, craft, predicted, measured_curve, measured_distances])
def test_verdicts_and_steps_are_taken_without_tf32(verdict):
    model, inputs, labels = random_case(COUNT)
    seen: set[str] = set()
    hook = model.register_forward_hook(lambda *_: seen.add(torch.backends.cudnn.conv.fp32_precision))
    try:
        with float32_products("tf32"):
            verdict(model, inputs, labels, INDICES, searched("pgd", None), seed=0)
    finally:
        hook.remove()
    assert seen == {"ieee"}
