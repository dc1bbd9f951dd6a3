"""The perceptual distance by hand, the Lagrangian attack where its reach is known, and the published code's outputs."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch
from perceptual_networks import Recording, alexnet, margins, network, recorded
from torch import nn

from robustrepro.attacks.perceptual.lagrangian import fast_lagrangian, lagrangian
from robustrepro.attacks.perceptual.lpips import (
    PerceptualBall,
    distance,
    features_of,
    logits_and_features,
    unit_features,
)
from robustrepro.errors import UserError

FORMS = ("faithful", "corrected")
ATTACKS = (lagrangian, fast_lagrangian)


# -- the distance ------------------------------------------------------------------------------------------------


def test_every_position_is_of_length_1_and_every_layer_of_the_same_weight():
    wide = torch.tensor([3.0, 4.0]).reshape(1, 2, 1, 1)
    fine = torch.tensor([[2.0, 0.0], [0.1, 7.0]]).reshape(1, 1, 2, 2)
    torch.testing.assert_close(unit_features([wide, fine]), torch.tensor([[0.6, 0.8, 0.5, 0.0, 0.5, 0.5]]))


def test_features_at_right_angles_in_every_layer_are_the_root_of_twice_the_layers_apart():
    def features(images):
        first = torch.stack([images[:, 0], 1 - images[:, 0]], dim=1)
        return [first, first[:, :, ::2, ::2] * 5, first]

    black, white = torch.zeros(2, 3, 4, 4), torch.ones(2, 3, 4, 4)
    torch.testing.assert_close(distance(features, black, white), torch.full((2,), math.sqrt(6)))
    assert (distance(features, white, white) == 0).all()


def test_where_all_channels_are_0_there_is_no_gradient():
    variable = torch.zeros((1, 2, 2, 1), requires_grad=True)
    layer = variable + torch.tensor([[0.0, 3.0], [0.0, 4.0]]).reshape(1, 2, 2, 1)
    (gradient,) = torch.autograd.grad(unit_features([layer]).sum(), variable)
    assert (gradient[0, :, 0] == 0).all()
    # Of (x + y) / |(x, y)| / √2 at (3, 4).
    torch.testing.assert_close(gradient[0, :, 1, 0], torch.tensor([4.0, -3.0]) / 125 / math.sqrt(2))


@pytest.mark.parametrize("run", ["lpa_self", "lpa_alexnet"])
@pytest.mark.parametrize("name", ["std", "robust"])
def test_distances_are_those_of_the_published_code(name, run):
    theirs = recorded(name)
    features = (network(name) if run == "lpa_self" else alexnet()).activations
    attacked = theirs.adversarial("lpa" if run == "lpa_self" else run)
    with torch.no_grad():
        own = distance(features, theirs.images, attacked)
    np.testing.assert_allclose(own, theirs.record(f"{run}_0.5_40", "metric"), rtol=0, atol=4e-5)


def test_features_of_named_modules_are_their_outputs():
    model, images = alexnet(), recorded("std").images[:4]
    features = features_of(model, [f"features.{place}" for place in (1, 4, 7, 9, 11)])
    with torch.no_grad():
        for own, expected in zip(features(images), model.activations(images), strict=True):
            assert torch.equal(own, expected)
    assert not any(module._forward_hooks for module in model.modules())


def test_a_layer_that_is_not_there_is_refused():
    with pytest.raises(
        UserError, match=r"no layer 'features.12' in the network; expected some of features, features.0, "
    ):
        features_of(alexnet(), ["features.12"])


@pytest.mark.parametrize(
    ("layer", "found"), [("classifier", r"shape \(2, 10\)"), ("unused", "nothing")], ids=["no map", "not called"]
)
def test_a_layer_that_puts_out_no_map_is_refused(layer, found):
    model = alexnet()
    model.unused = nn.ReLU()
    features = features_of(model, [layer])
    with pytest.raises(UserError, match=rf"'{layer}' puts out {found}; expected maps, \(N, channels, height, width\)"):
        features(torch.rand(2, 3, 32, 32))
    assert not any(module._forward_hooks for module in model.modules())


def test_logits_and_features_of_one_model_take_one_pass():
    model = Recording(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 2)))
    images = torch.rand((2, 3, 8, 8), generator=torch.Generator().manual_seed(0))
    features = features_of(model, ["model.1"])
    logits, units = logits_and_features(model, features, images)
    assert len(model.seen) == 1
    torch.testing.assert_close(logits, model.model(images))
    torch.testing.assert_close(units, unit_features([model.model[:2](images)]))


# -- a circle of features ----------------------------------------------------------------------------------------


def angles(images):
    """Return ten times the mean of the first channel, whose gradient has length 10 / 16 × 16."""
    return 10 * images[:, 0].mean((1, 2))


def circle(images):
    """Return the one feature vector (cos θ, sin θ): images are 2 sin(|Δθ| / 2) apart."""
    return [torch.stack([angles(images).cos(), angles(images).sin()], dim=1)[:, :, None, None]]


class Wheel(nn.Module):
    """A model that changes its answer where θ is more than ``needed`` above that of a grey image."""

    def __init__(self, needed: float, slope: float = 1.0) -> None:
        super().__init__()
        self.needed, self.slope = needed, slope

    def forward(self, images):
        advantage = self.slope * (angles(images) - 5 - self.needed)
        return torch.stack([torch.zeros_like(advantage), advantage], dim=1)


GREY = torch.full((1, 3, 16, 16), 0.5, dtype=torch.float64)


def turned(angle: float) -> torch.Tensor:
    """Return a grey image whose θ is turned by an angle."""
    image = GREY.clone()
    image[:, 0] += angle / 10
    return image


def turn(model: nn.Module, run=lagrangian, **options):
    given = {"bound": 0.5, "steps": 10, "seed": 0, "indices": torch.arange(1), "form": "corrected", **options}
    return run(model, GREY, torch.zeros(1, dtype=torch.long), circle, **given)


@pytest.mark.parametrize("run", ATTACKS)
@pytest.mark.parametrize("bound", [0.2, 0.5, 1.0])
def test_the_corrected_form_succeeds_where_the_bound_allows_it(run, bound):
    reach = 2 * math.asin(bound / 2)
    for share, succeeds in ((0.05, True), (0.5, True), (0.98, True), (1.01, False), (1.5, False)):
        model = Wheel(share * reach)
        outcome = turn(model, run, bound=bound)
        assert (margins(model, outcome.images, torch.zeros(1, dtype=torch.long)) > 0).item() == succeeds
        assert outcome.size <= bound
        if not succeeds:
            assert outcome.size > 0.98 * bound


def test_the_first_success_inside_is_kept_and_the_faithful_form_goes_one_step_beyond():
    model = Recording(Wheel(0.3))
    corrected, faithful = turn(model, bound=1.0), turn(model, bound=1.0, form="faithful")
    clean, start, first, *rest = (angles(each).item() - 5 for each in model.seen)
    assert clean == pytest.approx(0)
    assert abs(start) < 0.05
    assert 0.9 < first < 2 * math.asin(0.5)
    assert angles(corrected.images).item() - 5 == first
    # The faithful form sees the same two points, and moves on from the second.
    assert rest == [start, first]
    assert abs(angles(faithful.images).item() - 5 - first) > 0.1


@pytest.mark.parametrize("form", FORMS)
def test_five_rounds_are_made_while_an_image_resists(form):
    model = Recording(Wheel(3.0))
    turn(model, steps=4, form=form)
    assert len(model.seen) == 5 * 4 + (2 if form == "corrected" else 0)


@pytest.mark.parametrize("form", FORMS)
def test_the_price_of_distance_grows_until_it_holds_an_image_back(form):
    # A margin this steep outweighs the prices 0.01, 0.1 and 1, but not 10 and 100.
    model = Recording(Wheel(3.0, slope=5.0))
    turn(model, bound=0.2, steps=6, form=form)
    seen = torch.cat([angles(each) - 5 for each in model.seen])
    ends = seen[form == "corrected" :][: 5 * 6].reshape(5, 6)[:, -1]
    assert ends[0] < ends[1] < ends[2]
    assert ends[2] > 1.5
    assert ends[4] < 0.7


def test_the_first_step_moves_the_features_by_the_bound_and_the_last_of_a_round_by_little_more_than_a_tenth():
    model = Recording(Wheel(3.0))
    turn(model, fast_lagrangian, bound=0.02, steps=10, form="faithful")
    steps = torch.cat([angles(each) for each in model.seen]).diff().abs()
    torch.testing.assert_close(steps, 0.02 * 0.1 ** (torch.arange(9, dtype=torch.float64) / 10), rtol=2e-2, atol=0)
    assert len(model.seen) == 10


def test_the_price_of_the_fast_attack_grows_tenfold_over_its_steps():
    # Far outside, the price 10^(i / 10) outweighs a margin of slope 3 from step 5 on.
    model = Recording(Wheel(3.0, slope=3.0))
    turn(model, fast_lagrangian, bound=0.02, steps=10, form="faithful")
    steps = torch.cat([angles(each) for each in model.seen]).diff()
    assert (steps > 0).tolist() == [True] * 5 + [False] * 4


def test_the_fast_attack_ends_outside_and_its_corrected_form_inside():
    model = Wheel(3.0, slope=20.0)
    assert turn(model, fast_lagrangian, form="faithful").size > 1
    assert 0.49 < turn(model, fast_lagrangian).size <= 0.5


def test_a_corrected_projection_ends_at_the_edge_and_leaves_what_is_inside():
    ball = PerceptualBall(circle, GREY.expand(3, -1, -1, -1), 0.3)
    points = torch.cat([turned(0.1), turned(1.2), turned(-0.5)])
    projected, distances = ball.project(points, torch.arange(3))
    assert torch.equal(projected[0], points[0])
    assert (distances <= 0.3).all()
    torch.testing.assert_close(distances[1:], torch.full((2,), 0.3, dtype=torch.float64), rtol=5e-3, atol=0)
    edge = 2 * math.asin(0.15)
    assert (angles(projected)[1:] - 5).tolist() == pytest.approx([edge, -edge], rel=5e-3)
    torch.testing.assert_close(distance(circle, projected, GREY), distances)


def test_the_published_projection_overshoots_by_a_tenth_whatever_the_bound():
    ball = PerceptualBall(circle, GREY.expand(2, -1, -1, -1), 0.15)
    projected = ball.project_as_published(torch.cat([turned(0.2), turned(0.1)]))
    expected = 2 * math.sin(0.1) - 1.1 * (2 * math.sin(0.1) - 0.15 + 0.1)
    torch.testing.assert_close(
        angles(projected) - 5, torch.tensor([expected, 0.1], dtype=torch.float64), rtol=0, atol=2e-3
    )


def test_the_published_projections_second_step_follows_the_sum_of_two_gradients():
    # Folded at 0: the first step lands as far on the other side, where the gradient is the opposite.
    def folded(images):
        turn = (angles(images) - 5) * torch.where(angles(images) > 5, 1.0, 3.0)
        return [torch.stack([turn.cos(), turn.sin()], dim=1)[:, :, None, None]]

    ball = PerceptualBall(folded, GREY, 0.01)
    after_one, gradient_sum = 0.08 - 1.1 * (0.08 - 0.01 + 0.1), 1 - 3
    after_two = after_one - 1.1 * (3 * abs(after_one) - 0.01 + 0.1) / gradient_sum
    seen = Recording(nn.Identity())
    ball.features = lambda images: folded(seen(images))
    ball.project_as_published(turned(0.08))
    reached = [angles(each).item() - 5 for each in seen.seen[:3]]
    assert reached == pytest.approx([0.08, after_one, after_two], abs=5e-3)


def switched(images):
    """Return features that jump by a distance of 1 where θ is 0.5 above grey's, and else follow the second channel."""
    angle = (angles(images) > 5.5).double() * math.pi / 3 + 1e-3 * images[:, 1].mean((1, 2))
    return [torch.stack([angle.cos(), angle.sin()], dim=1)[:, :, None, None]]


def test_what_newton_leaves_outside_is_bisected_and_no_other_image_changes():
    ball = PerceptualBall(switched, GREY.expand(2, -1, -1, -1), 0.9)
    points = torch.cat([turned(0.7), turned(0.4)])
    published = ball.project_as_published(points)
    projected, distances = ball.project(points, torch.arange(2))
    for result in (published, projected):
        assert angles(result[:1]).item() - 5 == pytest.approx(0.5, abs=2e-3)
        assert torch.equal(result[1], points[1])
    assert angles(projected[:1]) <= 5.5
    assert (distances <= 0.9).all()


# -- what both attacks share -------------------------------------------------------------------------------------


@pytest.fixture
def case():
    """A random convolutional network in float64 with its features, images, and its own predictions as labels."""
    with torch.random.fork_rng():
        torch.manual_seed(2)
        model = nn.Sequential(
            nn.Conv2d(3, 8, 3, stride=2), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(200, 5)
        )
        model = model.double().eval()
        images = torch.rand((12, 3, 16, 16), dtype=torch.float64) * 0.6 + 0.2
    with torch.no_grad():
        model[-1].bias -= model(images).mean(0)
        labels = model(images).argmax(1)
    return model, images, labels


def attack(run, case, **options):
    model, images, labels = case
    given = {"bound": 0.1, "steps": 5, "seed": 0, "indices": torch.arange(len(images)), **options}
    return run(model, images, labels, features_of(model, ["1", "3"]), **given)


@pytest.mark.parametrize("run", ATTACKS)
def test_at_bound_0_the_corrected_form_changes_nothing(run, case):
    outcome = attack(run, case, bound=0.0, form="corrected")
    assert torch.equal(outcome.images, case[1])
    assert (outcome.size == 0).all()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("run", ATTACKS)
def test_the_size_is_the_distance_and_the_corrected_form_is_inside_the_bound(run, form, case):
    model, images, _ = case
    for bound in (0.03, 0.1, 0.4):
        outcome = attack(run, case, bound=bound, form=form)
        with torch.no_grad():
            distances = distance(features_of(model, ["1", "3"]), outcome.images, images)
        torch.testing.assert_close(outcome.size, distances)
        assert outcome.images.min() >= 0
        assert outcome.images.max() <= 1
        if form == "corrected":
            assert (outcome.size <= bound).all()


@pytest.mark.parametrize("run", ATTACKS)
def test_the_corrected_form_stays_in_the_range_of_pixels_from_its_start_on(run):
    model, black = Recording(Wheel(0.1)), torch.zeros_like(GREY)
    options = {"bound": 0.5, "steps": 3, "seed": 0, "indices": torch.arange(1), "form": "corrected"}
    run(model, black, torch.zeros(1, dtype=torch.long), circle, **options)
    assert min(each.min() for each in model.seen) == 0


@pytest.mark.parametrize("run", ATTACKS)
def test_the_corrected_form_leaves_or_worsens_misclassified_images(run, case):
    model, images, labels = case
    wrong = (labels + 1) % 5
    outcome = attack(run, (model, images, wrong), form="corrected")
    if run is lagrangian:
        assert torch.equal(outcome.images, images)
        assert (outcome.size == 0).all()
    else:
        assert (margins(model, outcome.images, wrong) > margins(model, images, wrong)).all()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("run", ATTACKS)
def test_a_larger_bound_breaks_more(run, form, case):
    broken = [
        (margins(case[0], attack(run, case, bound=bound, form=form).images, case[2]) > 0).sum().item()
        for bound in (0.01, 0.1, 0.6)
    ]
    assert broken[0] < broken[2]
    assert broken == sorted(broken)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("run", ATTACKS)
@pytest.mark.parametrize("bound", [0.02, 0.2])
def test_no_image_depends_on_its_batch(run, form, bound, case):
    model, images, labels = case
    whole = attack(run, case, form=form, bound=bound)
    for rows in ([3], [7, 0, 11]):
        indices = torch.tensor(rows)
        part = attack(run, (model, images[rows], labels[rows]), indices=indices, form=form, bound=bound)
        torch.testing.assert_close(part.images, whole.images[rows], rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(part.size, whole.size[rows], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("run", ATTACKS)
def test_the_start_depends_on_the_seed_and_the_index_alone(run, form, case):
    state = torch.random.get_rng_state()
    first, again, other = (attack(run, case, seed=seed, form=form).images for seed in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert not torch.equal(first, attack(run, case, seed=1, form=form, indices=torch.arange(12) + 1).images)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("run", ATTACKS)
def test_the_model_and_the_images_are_left_as_they_were(run, form, case):
    model, images, _ = case
    weights, before = copy.deepcopy(model.state_dict()), images.clone()
    attack(run, case, form=form)
    assert torch.equal(images, before)
    assert all(torch.equal(value, weights[key]) for key, value in model.state_dict().items())
    assert all(weight.requires_grad and weight.grad is None for weight in model.parameters())
    assert not model.training
    assert not any(module._forward_hooks for module in model.modules())


# -- what the published code really gave -------------------------------------------------------------------------


class Attacked:
    """The first images of a network's records, attacked, beside what the published code made of them."""

    def __init__(self, name: str, run: str, form: str, count: int) -> None:
        theirs, model = recorded(name), network(name)
        features = model.activations if run == "lpa_self_0.5_40" else alexnet().activations
        images, labels = theirs.images[:count], theirs.labels[:count]
        options = {"bound": 0.5, "steps": 40, "seed": 0, "indices": torch.arange(count), "form": form}
        self.outcome = lagrangian(model, images, labels, features, **options)
        self.broken = (margins(model, self.outcome.images, labels) > 0).numpy()
        self.lengths = (self.outcome.images - images).flatten(1).norm(dim=1).numpy()
        self._theirs, self._run = theirs, run

    def theirs(self, field: str) -> np.ndarray:
        return self._theirs.record(self._run, field)[: len(self.broken)]


@pytest.mark.parametrize(
    ("name", "run"), [("std", "lpa_self_0.5_40"), ("robust", "lpa_self_0.5_40"), ("robust", "lpa_alexnet_0.5_40")]
)
def test_the_faithful_form_breaks_the_images_that_the_published_code_breaks(name, run):
    own = Attacked(name, run, "faithful", 24)
    theirs = own.theirs("success")
    # Two seeds of the published code agree on 88% of the robust network's images.
    assert np.mean(own.broken == theirs) > 0.85
    assert own.broken.sum() >= theirs.sum() - 1
    assert np.median(own.outcome.size) == pytest.approx(np.median(own.theirs("metric")), rel=0.06)
    assert np.median(own.lengths) == pytest.approx(np.median(own.theirs("l2")), rel=0.15)


@pytest.mark.parametrize("run", ["lpa_self_0.5_40", "lpa_alexnet_0.5_40"])
def test_the_corrected_form_keeps_the_successes_that_the_published_code_had_on_its_way(run):
    own = Attacked("robust", run, "corrected", 24)
    assert own.broken.sum() >= own.theirs("ever_in_bound").sum() - 1
    assert own.broken.sum() >= own.theirs("success").sum()
    assert (own.outcome.size <= 0.5).all()
