"""The attacks of Foolbox 1.8: closed forms, outputs recorded from the library, Foolbox 3, and images on their own."""

from __future__ import annotations

import foolbox
import numpy as np
import pytest
import torch
from attack_cases import linear_case, random_case
from foolbox.attacks import L2CarliniWagnerAttack, LinfFastGradientAttack
from oracles import oracle
from safetensors.torch import load_file
from torch import nn

from robustrepro.attacks.legacy import carlini_wagner, deepfool
from robustrepro.attacks.legacy.nearest import Nearest, above
from robustrepro.attacks.losses import classification_margin
from robustrepro.attacks.minimal_distance import MinimalDistanceOutcome, measure_distances
from robustrepro.errors import UserError
from robustrepro.spec.attacks import attack_adapter

NAMES = ("legacy_fgsm", "legacy_deepfool", "legacy_carlini_wagner")
WIDE = (-2.0, 3.0)
"""So wide that nothing is clipped."""
CLEAN, VERDICT = 1, 1
"""Passes that are no part of a search."""


def attack(name: str, **options):
    return attack_adapter.validate_python({"name": name, **options})


def quick_carlini_wagner(**options):
    return attack("legacy_carlini_wagner", **{"max_iterations": 60, "learning_rate": 0.05, **options})


@pytest.fixture(scope="module")
def case():
    model, inputs, labels = random_case(40)
    return model.double(), inputs.double(), labels


# -- a linear model ----------------------------------------------------------------------------------------------


@pytest.fixture(params=[(6,), (2, 3, 4)], ids=["points", "images"])
def linear(request):
    """Return a linear model with its examples, and each one's margin and the dual norms of its direction."""
    model, inputs, labels, uphill = linear_case(request.param)
    margins = classification_margin(model(inputs), labels).detach()
    return model, inputs, labels, margins, uphill.flatten(1)


def attacked(linear, spec) -> tuple[MinimalDistanceOutcome, torch.Tensor]:
    model, inputs, labels, margins, _ = linear
    outcome = measure_distances(model, inputs, labels, torch.arange(len(labels)), spec, box=WIDE)
    assert outcome.succeeded.all()
    return outcome, margins > 0


def test_the_line_search_ends_at_the_first_of_its_steps_beyond_a_linear_boundary(linear):
    outcome, correct = attacked(linear, attack("legacy_fgsm", precision="float64"))
    _, _, _, margins, uphill = linear
    needed, grid = (margins / uphill.abs().sum(1))[correct], (WIDE[1] - WIDE[0]) / 1000
    coarse = torch.ceil(needed / grid) * grid
    # A first success among the twenty shortest steps is looked for again, on a grid of twenty up to it.
    again = coarse / 20
    expected = torch.where(coarse < 20.5 * grid, torch.ceil(needed / again) * again, coarse)
    assert (coarse < 20.5 * grid).any()
    assert (coarse > 20.5 * grid).any()
    torch.testing.assert_close(outcome.linf[correct], expected, rtol=1e-9, atol=1e-12)


def test_deepfool_goes_one_twentieth_beyond_a_linear_boundary(linear):
    outcome, correct = attacked(linear, attack("legacy_deepfool", precision="float64"))
    _, _, _, margins, uphill = linear
    torch.testing.assert_close(outcome.l2[correct], 1.05 * (margins / uphill.norm(dim=1))[correct], rtol=1e-6, atol=0)
    assert (outcome.queries[correct] == CLEAN + 2 + VERDICT).all()


def test_carlini_and_wagner_come_near_the_optimum_of_a_linear_model(linear):
    outcome, correct = attacked(linear, attack("legacy_carlini_wagner", precision="float64"))
    _, _, _, margins, uphill = linear
    excess = outcome.l2[correct] / (margins / uphill.norm(dim=1))[correct]
    assert (excess > 1).all()
    assert excess.median() < 1.02


# -- what the library really gave --------------------------------------------------------------------------------


class RecordedNet(nn.Module):
    """The network whose weights and attacks were recorded."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 8, 5, 2), nn.Conv2d(8, 16, 5, 2)
        self.fc1, self.fc2 = nn.Linear(256, 32), nn.Linear(32, 10)

    def forward(self, images):
        features = self.conv2(self.conv1(images).relu()).relu()
        return self.fc2(self.fc1(features.flatten(1)).relu())


class Recorded:
    """The network, and what the library's attacks did to some images."""

    def __init__(self, dataset: str, variant: str = "") -> None:
        folder = oracle("foolbox")
        self.model = RecordedNet().eval()
        self.model.load_state_dict(load_file(folder / f"model_{dataset}.safetensors"))
        self._arrays = np.load(folder / f"reference_1.8.0_{dataset}{variant}.npz")
        self.images = torch.tensor(self["image"]).float()[:, None] / 255
        self.labels = torch.tensor(self["label"]).long()

    def __getitem__(self, name: str) -> np.ndarray:
        return self._arrays[name]

    def attack(self, spec, rows: slice = slice(None), model: nn.Module | None = None) -> MinimalDistanceOutcome:
        images, labels = self.images[rows], self.labels[rows]
        index = torch.arange(len(labels))
        return measure_distances(model or self.model, images, labels, index, spec, keep_adversarial=True)


@pytest.fixture(params=["mnist", "fashion-mnist"], scope="module")
def recorded(request):
    return Recorded(request.param)


def squared_error(outcome: MinimalDistanceOutcome) -> np.ndarray:
    return outcome.l2.square().numpy() / 784


def test_the_line_search_gives_the_librarys_examples(recorded):
    outcome = recorded.attack(attack("legacy_fgsm"))
    assert outcome.succeeded.numpy().tolist() == recorded["fgsm_found"].tolist()
    np.testing.assert_allclose(outcome.adversarial[:, 0], recorded["fgsm_adv"], rtol=0, atol=1e-6)
    attacked = recorded["fgsm_mse"] > 0
    gradient = recorded["fgsm_n_gradient"][attacked]
    passes = recorded["fgsm_n_forward"][attacked] - CLEAN
    assert (outcome.queries.numpy()[attacked] == CLEAN + passes + gradient + VERDICT).all()
    second = recorded["fgsm_i_second"]
    assert outcome.prediction[second >= 0].tolist() == recorded["fgsm_pred"][second >= 0].tolist()


def test_deepfool_ends_where_the_librarys_does_but_for_rounding(recorded):
    outcome = recorded.attack(attack("legacy_deepfool"))
    own, theirs = squared_error(outcome), recorded["deepfool_mse"]
    attacked = theirs > 0
    assert np.median(own[attacked] / theirs[attacked]) == pytest.approx(1, rel=1e-5)
    # A path crosses a boundary by rounding, and one whose gap rounds to 0 goes on to another class. On these images the
    # library ended at the same point in several versions and precisions, without such a jump.
    certain = attacked & recorded["deepfool_robust"] & (recorded["deepfool_tie_steps"] == 0)
    assert certain.sum() >= 15
    assert np.mean(np.abs(own - theirs)[certain] < 1e-3 * theirs[certain]) > 0.9
    # The pass that checks a point that crossed by rounding may see it on the other side, on one processor or another.
    differing = outcome.succeeded.numpy() != recorded["deepfool_found"]
    assert differing.mean() < 0.1
    rows = np.flatnonzero(differing & certain)
    ends = deepfool.search(
        recorded.model, recorded.images[rows], recorded.labels[rows], (0.0, 1.0), attack("legacy_deepfool")
    ).points
    first, second = recorded.model(ends).topk(2).values.unbind(1)
    assert (first - second < 1e-5).all()


def test_deepfools_first_step_is_the_librarys(recorded):
    outcome = recorded.attack(attack("legacy_deepfool", steps=1))
    broken = outcome.succeeded.numpy() & (recorded["deepfool_mse"] > 0)
    theirs = recorded["deepfool_mse_first_step"][broken]
    np.testing.assert_allclose(squared_error(outcome)[broken], theirs, rtol=1e-4)


def test_carlini_and_wagner_go_the_librarys_way_with_its_tanh(recorded, monkeypatch):
    rows = slice(0, 6)

    def inside(self, places):
        turned = torch.from_numpy(np.tanh(places.numpy()))
        return turned * self._half + self._middle, (1 - turned.square()) * self._half

    monkeypatch.setattr(carlini_wagner._Descent, "_inside", inside)
    outcome = recorded.attack(attack("legacy_carlini_wagner"), rows)
    theirs = recorded["cw_mse"][rows]
    attacked = theirs > 0
    assert outcome.succeeded.tolist() == recorded["cw_found"][rows].tolist()
    np.testing.assert_allclose(squared_error(outcome)[attacked], theirs[attacked], rtol=5e-3)
    assert squared_error(outcome).mean() == pytest.approx(theirs.mean(), rel=1e-3)
    iterations = recorded["cw_iters"][rows].clip(0).sum(1)
    assert np.mean((outcome.queries.numpy() - CLEAN - VERDICT == iterations)[attacked]) > 0.8


def test_carlini_and_wagner_come_as_near_as_the_library(recorded):
    rows = slice(0, 6)
    own, theirs = squared_error(recorded.attack(attack("legacy_carlini_wagner"), rows)), recorded["cw_mse"][rows]
    # NumPy's float32 tanh differs from PyTorch's in the last bit, by 3% of its slope where a pixel is black.
    np.testing.assert_allclose(own[theirs > 0], theirs[theirs > 0], rtol=0.02)
    assert own.mean() == pytest.approx(theirs.mean(), rel=2e-3)


class Rounded(nn.Module):
    def forward(self, images):
        return images.round()


@pytest.mark.parametrize("name", NAMES)
def test_an_attack_that_the_library_gives_up_is_a_failure(name):
    case = Recorded("mnist", "_round")
    spec = quick_carlini_wagner() if name == "legacy_carlini_wagner" else attack(name)
    outcome = case.attack(spec, model=nn.Sequential(Rounded(), case.model).eval())
    key = {"legacy_fgsm": "fgsm", "legacy_deepfool": "deepfool", "legacy_carlini_wagner": "cw"}[name]
    assert not case[f"{key}_found"][:8].any()
    assert not outcome.succeeded[:8].any()
    assert torch.isinf(outcome.l2[:8]).all()
    assert outcome.l2[8] == 0  # misclassified as it is


# -- Foolbox 3 ---------------------------------------------------------------------------------------------------


def test_foolbox_3_agrees_that_a_line_search_ends_at_its_first_success(case):
    model, inputs, labels = case
    outcome = measure_distances(*case, torch.arange(40), attack("legacy_fgsm", precision="float64"))
    wrapped = foolbox.PyTorchModel(model, bounds=(0, 1), device="cpu")
    chosen = torch.isfinite(outcome.linf) & (outcome.linf > 0.0201)
    assert chosen.sum() > 10
    for image, label, reached in zip(inputs[chosen], labels[chosen], outcome.linf[chosen], strict=True):
        epsilons = [round(reached.item(), 3) - 0.001, round(reached.item(), 3)]
        _, _, broken = LinfFastGradientAttack()(wrapped, image[None], label[None], epsilons=epsilons)
        assert broken.flatten().tolist() == [False, True]


def test_carlini_and_wagner_come_as_near_as_foolbox_3(case):
    model, inputs, labels = case
    options = {"binary_search_steps": 4, "confidence": 0.0, "abort_early": False}
    spec = attack(
        "legacy_carlini_wagner",
        max_iterations=200,
        learning_rate=0.01,
        initial_weight=0.1,
        precision="float64",
        **options,
    )
    outcome = measure_distances(*case, torch.arange(40), spec)
    wrapped = foolbox.PyTorchModel(model, bounds=(0, 1), device="cpu")
    theirs = L2CarliniWagnerAttack(steps=200, stepsize=0.01, initial_const=0.1, **options)
    found, _, broken = theirs(wrapped, inputs, labels, epsilons=None)
    both = broken & outcome.succeeded & (outcome.clean_prediction == labels)
    assert both.sum() > 20
    distances = (found - inputs).flatten(1).norm(dim=1)
    assert outcome.l2[both].mean() == pytest.approx(distances[both].mean().item(), rel=0.02)


# -- what all share ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch_size", [1, 7])
@pytest.mark.parametrize("name", NAMES)
def test_no_image_depends_on_its_batch(case, name, batch_size):
    spec = quick_carlini_wagner(precision="float64") if "wagner" in name else attack(name, precision="float64")
    # Where DeepFool crosses a boundary by rounding, so does the choice of a kernel.
    if name == "legacy_deepfool":
        spec = spec.model_copy(update={"steps": 2})
    whole, other = (measure_distances(*case, torch.arange(40), spec, batch_size=size) for size in (40, batch_size))
    assert torch.equal(other.prediction, whole.prediction)
    assert torch.equal(other.queries, whole.queries)
    torch.testing.assert_close(other.l2, whole.l2)
    assert len(whole.queries.unique()) > 2


def test_a_run_ends_where_its_loss_no_longer_falls(case):
    patient, hasty = (
        measure_distances(*case, torch.arange(40), quick_carlini_wagner(precision="float64", abort_early=early))
        for early in (False, True)
    )
    correct = patient.clean_prediction == patient.label
    assert (patient.queries[correct] == CLEAN + 5 * 60 + VERDICT).all()
    assert hasty.queries.sum() < patient.queries.sum()


def test_confidence_pushes_the_iterates_further(case):
    model = case[0]
    outcome = measure_distances(
        *case, torch.arange(40), quick_carlini_wagner(precision="float64", confidence=0.05), keep_adversarial=True
    )
    plain = measure_distances(*case, torch.arange(40), quick_carlini_wagner(precision="float64"), keep_adversarial=True)
    with torch.no_grad():
        surer, sure = (
            -classification_margin(model(each.adversarial), each.label)[each.succeeded & (each.l2 > 0)].mean()
            for each in (outcome, plain)
        )
    # The nearest misclassified iterate is kept, as the library keeps it, whatever its margin.
    assert surer > sure


def test_of_misclassified_points_the_nearest_is_kept():
    images = torch.zeros(2, 3)
    nearest = Nearest(images)
    rows = torch.arange(2)
    for length, wrong in ((3.0, [True, True]), (1.0, [False, True]), (2.0, [True, True])):
        nearest.offer(rows, images + length, torch.tensor(wrong))
    assert nearest.proposals().points[:, 0].tolist() == [2.0, 1.0]


def test_the_margin_of_the_best_other_class_has_its_gradient():
    logits = torch.tensor([[1.0, 3.0, 2.0], [5.0, 0.0, 4.0]])
    margins, signs = above(logits, torch.tensor([1, 2]))
    assert margins.tolist() == [-1.0, 1.0]
    assert signs.tolist() == [[0.0, -1.0, 1.0], [1.0, 0.0, -1.0]]


@pytest.mark.parametrize("name", NAMES)
def test_without_a_range_of_pixels_they_are_refused(case, name):
    with pytest.raises(UserError, match=r"Foolbox 1\.8 need a range of valid pixels"):
        measure_distances(*case, torch.arange(40), attack(name), box=None)


def test_the_defaults_are_those_of_foolbox_1_8():
    fgsm, deepfool, wagner = map(attack, NAMES)
    assert (fgsm.steps, fgsm.norm) == (1000, "linf")
    assert (deepfool.steps, deepfool.candidates, deepfool.norm) == (100, 10, "l2")
    assert (wagner.binary_search_steps, wagner.max_iterations, wagner.confidence) == (5, 1000, 0.0)
    assert (wagner.learning_rate, wagner.initial_weight, wagner.abort_early) == (5e-3, 1e-2, True)
