"""Perceptual attacks as papers declare them: on a whole test set they are their functions, image by image."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from perceptual_networks import random_colour_case
from pydantic import ValidationError
from torch import Tensor, nn

from robustrepro.attacks.losses import classification_margin
from robustrepro.attacks.measure import measure
from robustrepro.attacks.perceptual import lagrangian, stadv
from robustrepro.attacks.perceptual.declared import DeclaredAttack
from robustrepro.attacks.perceptual.jpeg import jpeg
from robustrepro.attacks.perceptual.lpips import distance, features_of
from robustrepro.attacks.perceptual.perturbed import Perturbed
from robustrepro.attacks.perceptual.recoloradv import recoloradv
from robustrepro.attacks.threat_models import OutsideThreatModelError
from robustrepro.errors import UserError
from robustrepro.spec.attacks import Clean, FastLagrangianPerceptual, Inputs, attack_adapter
from robustrepro.spec.measurements import measure_of

COUNT = 12
INDICES = torch.arange(500, 500 + COUNT)
FORMS = ("faithful", "corrected")
OWN = {"layers": ["2"]}
OTHERS = {"eyes": {"layers": ["0", "1"], "model": "eyes"}}
BOUNDS = {
    "stadv": 0.02,
    "recoloradv": 0.06,
    "jpeg": 0.05,
    "lagrangian_perceptual": 0.05,
    "fast_lagrangian_perceptual": 0.05,
}
"""So small that an image or two resist StAdv, ReColorAdv and JPEG, and so large that some do not."""
FUNCTIONS = {
    "stadv": stadv.stadv,
    "recoloradv": recoloradv,
    "jpeg": jpeg,
    "lagrangian_perceptual": lagrangian.lagrangian,
    "fast_lagrangian_perceptual": lagrangian.fast_lagrangian,
}
OF_FEATURES = ("lagrangian_perceptual", "fast_lagrangian_perceptual")


@pytest.fixture(scope="module")
def case() -> tuple[nn.Module, Tensor, Tensor]:
    """A small network, images in colour, and labels of which every fifth is not what the network says."""
    model, images, labels = random_colour_case(COUNT)
    labels[::5] = (labels[::5] + 1) % 4
    return model.float(), images.float(), labels


@pytest.fixture(scope="module")
def eyes() -> nn.Module:
    """Another network, whose features are compared."""
    with torch.random.fork_rng():
        torch.manual_seed(2)
        return nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.AvgPool2d(14), nn.Flatten(), nn.Linear(6, 4)).eval()


def declared(name: str, form: str = "corrected", *, steps: int = 4, **options):
    features = {"features": OWN} if name in OF_FEATURES else {}
    content = {"name": name, "bound": BOUNDS[name], "steps": steps, "form": form, **features, **options}
    return attack_adapter.validate_python(content)


def by_itself(name: str, form: str, model: nn.Module, images: Tensor, labels: Tensor, compared: nn.Module | None):
    """Run an attack's function on one batch as `measure` hands it over."""
    model = copy.deepcopy(model).requires_grad_(False).to(memory_format=torch.channels_last)
    images = images.to(memory_format=torch.channels_last)
    options = {"bound": BOUNDS[name], "steps": 4, "form": form}
    standing = model(images).argmax(1) == labels
    if name not in ("stadv", "recoloradv"):
        options |= {"seed": 7, "indices": INDICES[standing]}
    arguments = [features_of(compared or model, OWN["layers"] if compared is None else ["0", "1"])]
    arguments = arguments if name in OF_FEATURES else []
    # Gathering rows keeps the memory format, in which sums round.
    found = FUNCTIONS[name](model, images[standing], labels[standing], *arguments, **options)
    return standing, found, model(found.images)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_declared_attack_is_its_function_on_the_images_that_the_model_gets_right(case, name, form):
    model, images, labels = case
    outcome = measure(*case, INDICES, declared(name, form), seed=7, keep_adversarial=True)
    standing, found, logits = by_itself(name, form, *case, None)
    assert 0 < standing.sum() < COUNT
    assert outcome.robust.sum() < standing.sum()
    assert outcome.robust.any() or name in OF_FEATURES
    assert torch.equal(outcome.index, INDICES)
    assert torch.equal(outcome.clean_prediction == labels, standing)
    assert torch.equal(outcome.adversarial[standing], found.images)
    assert torch.equal(outcome.size[standing], found.size.double())
    assert torch.equal(outcome.prediction[standing], logits.argmax(1))
    torch.testing.assert_close(outcome.margin[standing], classification_margin(logits, labels[standing]))
    moved = (outcome.adversarial.double() - images.double()).flatten(1)
    torch.testing.assert_close(outcome.linf, moved.abs().amax(1))
    torch.testing.assert_close(outcome.l2, moved.norm(dim=1))
    broken = standing & ~outcome.robust
    assert torch.equal(outcome.restart, torch.where(broken, 0, -1))
    # What the model errs on anyway is left alone.
    clean = measure(*case, INDICES, Clean(), seed=7)
    for column in ("prediction", "margin", "queries"):
        assert torch.equal(getattr(outcome, column)[~standing], getattr(clean, column)[~standing])
    assert torch.equal(outcome.adversarial[~standing], images[~standing])
    assert (outcome.size[~standing] == 0).all()
    assert all(weight.requires_grad for weight in model.parameters())
    assert not model._forward_hooks


@pytest.mark.parametrize("name", OF_FEATURES)
def test_features_of_another_network_are_those_that_are_compared(case, eyes, name):
    attack = declared(name, features=OTHERS["eyes"])
    outcome = measure(*case, INDICES, attack, seed=7, keep_adversarial=True, others={"eyes": eyes})
    standing, found, _ = by_itself(name, "corrected", *case, eyes)
    assert torch.equal(outcome.adversarial[standing], found.images)
    compared = distance(features_of(eyes, ["0", "1"]), case[1], outcome.adversarial)
    torch.testing.assert_close(outcome.size.float(), compared.detach(), rtol=1e-4, atol=1e-5)
    assert (outcome.size.float() <= BOUNDS[name]).all()
    own = measure(*case, INDICES, declared(name), seed=7, keep_adversarial=True)
    assert not torch.equal(own.adversarial, outcome.adversarial)
    with pytest.raises(ValueError, match="features of eyes are compared, whose network is not among the others"):
        measure(*case, INDICES, attack, seed=7)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_what_an_attack_does_to_an_image_does_not_depend_on_its_batch(case, name, form):
    whole, *parts = (
        measure(*case, INDICES, declared(name, form), seed=7, batch_size=size, keep_adversarial=True)
        for size in (256, 1, 5)
    )
    for part in parts:
        assert torch.equal(part.prediction, whole.prediction)
        # Sums over a batch of another size round otherwise, and a sign may turn where a gradient is 0.
        torch.testing.assert_close(part.margin, whole.margin, rtol=1e-3, atol=1e-3)
        torch.testing.assert_close(part.size, whole.size, rtol=1e-3, atol=1e-4)
        torch.testing.assert_close(part.queries, whole.queries, rtol=0, atol=1)


def test_random_starts_are_those_of_the_seed_and_the_image(case):
    model, images, labels = case
    for name in ("jpeg", *OF_FEATURES):
        first, other, same = (
            measure(*case, INDICES, declared(name), seed=seed, keep_adversarial=True).adversarial for seed in (7, 8, 7)
        )
        assert torch.equal(first, same)
        assert not torch.equal(first, other)
        order = torch.arange(COUNT).flip(0)
        turned = measure(
            model, images[order], labels[order], INDICES[order], declared(name), seed=7, keep_adversarial=True
        )
        torch.testing.assert_close(turned.adversarial[order], first, rtol=0, atol=0.02)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_queries_are_the_passes_of_the_attacked_model(case, name, form):
    model, images, labels = case
    rows: list[int] = []

    class Counting(nn.Module):
        """A model whose copies count their rows in one list."""

        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, shown: Tensor) -> Tensor:
            rows.append(len(shown))
            answers: Tensor = self.model(shown)
            return answers

    attack = declared(name, form, **({"features": {"layers": ["model.2"]}} if name in OF_FEATURES else {}))
    outcome = measure(Counting().eval(), images, labels, INDICES, attack, seed=7)
    standing = outcome.clean_prediction == labels
    # The clean pass is every image's; what follows is shared among those that are attacked.
    assert outcome.queries.sum() == sum(rows)
    assert outcome.queries[standing].aminmax().max - outcome.queries[standing].aminmax().min <= 1


def test_every_pass_of_an_image_counts_but_those_through_another_network(case, eyes):
    def queries(name: str, **options) -> int:
        attack = declared(name, "faithful", **options)
        return int(measure(*case, INDICES, attack, seed=7, others={"eyes": eyes}).queries.max())

    # Clean, four steps, and the verdict.
    assert [queries(name) for name in ("stadv", "recoloradv", "jpeg")] == [6, 6, 6]
    # Also the features of the image and of the last iterate, and at each step their speed.
    assert queries("fast_lagrangian_perceptual") == 12
    assert queries("fast_lagrangian_perceptual", features=OTHERS["eyes"]) == 6


def test_progress_counts_every_image_once(case):
    done: list[int] = []
    measure(*case, INDICES, declared("stadv"), seed=7, batch_size=4, progress=done.append)
    assert sum(done) == COUNT
    assert len(done) > 2


def test_where_the_model_gets_nothing_right_nothing_is_attacked(case):
    model, images, _ = case
    wrong = (model(images).argmax(1) + 1) % 4
    outcome = measure(model, images, wrong, INDICES, declared("jpeg"), seed=7)
    assert (outcome.queries == 1).all()
    assert (outcome.size == 0).all()


# -- what is refused -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "form", "why"),
    [
        (lambda found: found._replace(images=found.images + 1e-3), "faithful", "pixels from .* expected \\[0, 1\\]"),
        (
            lambda found: found._replace(images=found.images * math.nan),
            "faithful",
            "pixels from .* expected \\[0, 1\\]",
        ),
        (lambda found: found._replace(size=found.size + 1e-3), "corrected", "of size 0.021, outside the bound of 0.02"),
        (lambda found: found._replace(size=found.size * math.nan), "corrected", "outside the bound of 0.02"),
    ],
    ids=["pixel", "pixel NaN", "size", "size NaN"],
)
def test_what_leaves_the_threat_model_is_a_fault(case, monkeypatch, change, form, why):
    def beyond(_, batch) -> Perturbed:
        images = batch.images.clone()
        images[0, 0, 0, 0] = 1
        return change(Perturbed(images, images.new_full((len(images),), 0.02)))

    monkeypatch.setattr(stadv, "declared", DeclaredAttack(beyond))
    with pytest.raises(OutsideThreatModelError, match=f"attack 'stadv' returned .*{why}"):
        measure(*case, INDICES, declared("stadv", form), seed=7)


def test_the_faithful_form_may_end_beyond_its_bound(case, monkeypatch):
    sizes = DeclaredAttack(lambda _, batch: Perturbed(batch.images, batch.images.new_full((len(batch.images),), 9.0)))
    monkeypatch.setattr(stadv, "declared", sizes)
    assert measure(*case, INDICES, declared("stadv", "faithful"), seed=7).size.max() == 9


@pytest.mark.parametrize("name", FUNCTIONS)
def test_logits_that_are_not_finite_are_refused(case, name):
    model, images, labels = case

    class Fragile(nn.Module):
        """Answers NaN for every image that it has not been shown first."""

        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, shown: Tensor) -> Tensor:
            logits: Tensor = self.model(shown)
            known = torch.stack([(images == each).flatten(1).all(1).any() for each in shown])
            return torch.where(known[:, None], logits, math.nan)

    features = {"features": {"layers": ["model.2"]}} if name in OF_FEATURES else {}
    with pytest.raises(UserError, match=f"not finite under attack '{name}'"):
        measure(Fragile().eval(), images, labels, INDICES, declared(name, **features), seed=7)


def test_inputs_without_the_range_of_pixels_are_refused(case):
    for box in (None, (0.0, 2.0)):
        with pytest.raises(UserError, match="attack 'stadv' needs images with pixels in \\[0, 1\\]; found the range"):
            measure(*case, INDICES, declared("stadv"), seed=7, box=box)
    points = nn.Linear(2, 2).eval()
    with pytest.raises(UserError, match="attack 'jpeg' needs images; found shape \\(2,\\)"):
        measure(points, torch.rand(4, 2), torch.zeros(4, dtype=torch.long), INDICES[:4], declared("jpeg"), seed=7)


def test_a_network_in_training_mode_is_refused_also_where_its_features_alone_are_compared(case, eyes):
    training = copy.deepcopy(eyes).train()
    attack = declared("lagrangian_perceptual", features=OTHERS["eyes"])
    with pytest.raises(ValueError, match="is in training mode"):
        measure(*case, INDICES, attack, seed=7, others={"eyes": training})


@pytest.mark.parametrize(
    ("name", "inputs", "why"),
    [
        ("stadv", Inputs((2,), 2), "stadv needs images; found shape (2,)"),
        ("stadv", Inputs((1, 28, 28), 10), None),
        ("stadv", Inputs((1, 28, 28), 10, in_range=False), "stadv needs images with pixels in [0, 1]"),
        ("recoloradv", Inputs((2,), 2), "recoloradv needs images; found shape (2,)"),
        ("recoloradv", Inputs((1, 28, 28), 10), "recoloradv needs images in colour"),
        ("recoloradv", Inputs((3, 30, 30), 10), None),
        ("jpeg", Inputs((1, 32, 32), 10), "jpeg needs images in colour, of shape (3, height, width)"),
        ("jpeg", Inputs((3, 32, 24), 10), "sides are divisible by 16; found shape (3, 32, 24)"),
        ("jpeg", Inputs((3, 32, 48), 10), None),
        ("lagrangian_perceptual", Inputs((1, 28, 28), 10), None),
        ("fast_lagrangian_perceptual", Inputs((2,), 2), "needs images; found shape (2,)"),
    ],
)
def test_an_attack_says_on_what_it_cannot_run(name, inputs, why):
    found = declared(name).unfit(inputs)
    assert found is None if why is None else why in found


def test_unless_they_say_otherwise_attacks_are_those_of_the_published_table():
    options = {
        name: attack_adapter.validate_python({"name": name} | ({"features": OWN} if name in OF_FEATURES else {}))
        for name in FUNCTIONS
    }
    assert {name: (attack.bound, attack.steps, attack.form) for name, attack in options.items()} == {
        "stadv": (0.05, 100, "faithful"),
        "recoloradv": (0.06, 100, "faithful"),
        "jpeg": (0.25, 20, "faithful"),
        "lagrangian_perceptual": (0.5, 40, "faithful"),
        "fast_lagrangian_perceptual": (0.5, 10, "faithful"),
    }


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"attack": {"name": "stadv"}, "clipped": False}, "clipped is false, but stadv makes images in \\[0, 1\\]"),
        ({"attack": {"name": "stadv", "bound": 0}}, "attack.bound: found 0"),
        ({"attack": {"name": "jpeg", "steps": 0}}, "attack.steps: found 0"),
        ({"attack": {"name": "jpeg", "form": "fixed"}}, "attack.form: found 'fixed'"),
        ({"attack": {"name": "jpeg", "epsilon": 0.1}}, "attack.epsilon: unknown key"),
        ({"attack": {"name": "lagrangian_perceptual"}}, "attack.features: this key is missing"),
        ({"attack": {"name": "lagrangian_perceptual", "features": {"layers": []}}}, "attack.features.layers: found"),
        (
            {"attack": {"name": "lagrangian_perceptual", "features": {"layers": ["1", "1"]}}},
            "attack.features: layers: expected each once, found 1, 1",
        ),
        (
            {"attack": {"name": "fast_lagrangian_perceptual", "features": OWN}},
            "attack.form is faithful, in which nothing keeps fast_lagrangian_perceptual within its bound; expected "
            "corrected",
        ),
        ({"over_epochs": {"attack": {"name": "stadv"}}}, "attack.name: unknown name 'stadv'"),
        ({"transfer": {"attack": {"name": "stadv"}, "targets": ["a"]}}, "attack.name: unknown name 'stadv'"),
    ],
)
def test_a_measure_by_a_perceptual_attack_that_makes_no_sense_is_refused(content, message):
    with pytest.raises(UserError, match=f"measures.m: .*{message}"):
        measure_of(content, "measures.m")


def test_the_columns_of_a_perceptual_measure_have_its_size():
    own = measure_of({"attack": {"name": "stadv"}}, "measures.m").known_columns()
    pgd = {"name": "pgd", "epsilon": 0.1, "steps": 2, "step_size": 0.1}
    assert own - measure_of({"attack": pgd}, "measures.m").known_columns() == {"size"}


def test_the_fast_attack_of_trainings_can_be_run_in_its_corrected_form():
    with pytest.raises(ValidationError):
        FastLagrangianPerceptual(name="fast_lagrangian_perceptual")
    content = {"attack": {"name": "fast_lagrangian_perceptual", "features": OWN, "form": "corrected"}}
    assert measure_of(content, "measures.m").attack.bound == 0.5
