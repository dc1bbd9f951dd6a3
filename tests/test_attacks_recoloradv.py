"""ReColorAdv: the colour space, hand-computable maps of colours, and what the reference's code was recorded to do."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from perceptual_networks import network, random_colour_case, recorded
from torch import nn

from robustrepro.attacks.losses import margin
from robustrepro.attacks.perceptual.luv import luv_of, rgb_of
from robustrepro.attacks.perceptual.recoloradv import VERTICES, colour_grid, interpolated, recoloradv

FORMS = pytest.mark.parametrize("form", ["faithful", "corrected"])
BLACK, WHITE, RED, GREEN, BLUE = torch.tensor(
    [[0.0, 0, 0], [1, 1, 1], [1, 0, 0], [0, 1, 0], [0, 0, 1]], dtype=torch.float64
)
NOTHING = torch.zeros((1, *VERTICES, 3), dtype=torch.float64)


def gamut(count: int) -> torch.Tensor:
    """Return a grid of sRGB colours, shape (count, count, count, 3)."""
    axis = torch.linspace(0, 1, count, dtype=torch.float64)
    return torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), -1)


# -- the colour space --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("colour", "luv"),
    [
        (BLACK, (0, 0, 0)),
        (WHITE, (100, 0, 0)),
        (WHITE / 2, (53.389, 0, 0)),
        (RED, (53.24, 175.02, 37.76)),
        (GREEN, (87.73, -83.08, 107.40)),
        (BLUE, (32.30, -9.40, -130.34)),
    ],
)
def test_known_colours_have_their_luv(colour, luv):
    scaled = luv_of(colour)
    values = scaled * torch.tensor([100, 200, 200]) - torch.tensor([0, 100, 100])
    torch.testing.assert_close(values, torch.tensor(luv, dtype=torch.float64), rtol=0, atol=0.1)


def test_the_lightness_of_dark_greys_is_proportional_to_light():
    greys = torch.tensor([0.01, 0.02, 0.04], dtype=torch.float64)
    expected = (29 / 3) ** 3 * greys / 12.92
    torch.testing.assert_close(100 * luv_of(greys[:, None].expand(3, 3))[:, 0], expected)


def test_every_colour_comes_back():
    torch.testing.assert_close(rgb_of(luv_of(gamut(17))), gamut(17), rtol=0, atol=1e-3)


def test_what_srgb_has_not_is_clipped():
    beyond = torch.tensor([0.5, 1.2, 0.0], dtype=torch.float64)  # L* 50, u* 140, v* -100: (1.07, -2.00, 0.85)
    torch.testing.assert_close(rgb_of(beyond), torch.tensor([1.0, 0.0, 0.846], dtype=torch.float64), rtol=0, atol=5e-3)


@pytest.mark.parametrize("colour", [BLACK, WHITE, RED, GREEN, BLUE])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gradients_are_finite(colour, dtype):
    for convert, start in ((luv_of, colour), (rgb_of, luv_of(colour))):
        jacobian = torch.autograd.functional.jacobian(convert, start.to(dtype))
        assert jacobian.isfinite().all()


def test_both_conversions_have_the_gradient_of_their_values():
    colours = (0.1 + 0.8 * gamut(3)).reshape(-1, 3).requires_grad_(True)
    assert torch.autograd.gradcheck(luv_of, colours)
    inside = luv_of(0.1 + 0.8 * gamut(3)).reshape(-1, 3).requires_grad_(True)
    assert torch.autograd.gradcheck(rgb_of, inside)


def test_no_place_in_the_grid_gives_a_colour_that_is_none():
    places = gamut(33).reshape(-1, 3).requires_grad_(True)
    colours = rgb_of(places)
    (gradient,) = torch.autograd.grad(colours.sum(), places)
    assert colours.isfinite().all()
    assert gradient.isfinite().all()


# -- the map of colours ------------------------------------------------------------------------------------------


def test_colours_between_vertices_are_interpolated_along_each_axis():
    steps = torch.tensor([count - 1 for count in VERTICES])
    vertex = torch.tensor([3, 7, 20])
    values = torch.zeros((1, *VERTICES, 1), dtype=torch.float64)
    values[0, 3, 7, 20] = 1.0
    offsets = torch.tensor([[0, 0, 0], [0.25, 0, 0], [0, -0.5, 0], [0.25, -0.5, 0.1], [1, 0, 0]], dtype=torch.float64)
    weights = interpolated(values, ((vertex + offsets) / steps)[None, :, None])
    torch.testing.assert_close(weights.flatten(), torch.tensor([1, 0.75, 0.5, 0.75 * 0.5 * 0.9, 0.0]).double())


def test_a_colour_is_mapped_to_itself_by_the_grid_and_beyond_it_to_its_border():
    colours = torch.tensor([[0.3, 0.51, 0.49], [0.532, 1.375, 0.689], [0.32, 0.45, -0.15]], dtype=torch.float64)
    mapped = interpolated(colour_grid(NOTHING)[None], colours[None, :, None])
    torch.testing.assert_close(mapped[0, :, 0], colours.clamp(0, 1))


def test_the_interpolation_has_the_gradient_of_its_values():
    generator = torch.Generator().manual_seed(0)
    values = torch.rand((2, 3, 4, 5, 2), generator=generator, dtype=torch.float64).requires_grad_(True)
    colours = torch.rand((2, 3, 2, 3), generator=generator, dtype=torch.float64) * 1.2 - 0.1
    assert torch.autograd.gradcheck(lambda at: interpolated(at, colours), values)


class Light(nn.Module):
    """Two logits: never misclassified, and the margin rises so steeply with the lightness that no penalty counts."""

    def forward(self, images):
        logit = 1e4 * luv_of(images.movedim(1, -1))[..., 0].mean((1, 2))
        return torch.stack([torch.full_like(logit, 2e4), logit], 1)


@FORMS
@pytest.mark.parametrize("bound", [0.01, 0.02])
def test_against_a_model_of_lightness_every_pixel_becomes_lighter_by_the_bound(form, bound):
    greys = torch.linspace(0.3, 0.6, 16)
    images = greys.reshape(1, 1, 4, 4).expand(2, 3, 4, 4)
    model, labels = Light(), torch.zeros(2, dtype=torch.int64)
    perturbed = recoloradv(model, images, labels, bound=bound, steps=30, form=form)
    lighter = (luv_of(perturbed.images.movedim(1, -1)) - luv_of(images.movedim(1, -1)))[..., 0]
    torch.testing.assert_close(lighter, torch.full_like(lighter, bound), rtol=0, atol=3e-4)


class Opponents(nn.Module):
    """As `Light`, of red against green."""

    def forward(self, images):
        logit = 1e4 * (images[:, 0] - images[:, 1]).mean((1, 2))
        return torch.stack([torch.full_like(logit, 2e4), logit], 1)


@FORMS
def test_no_colour_moves_further_than_the_bound(form):
    _, images, labels = random_colour_case(4)
    images = 0.4 + 0.2 * images  # far from the limits of sRGB
    perturbed = recoloradv(Opponents(), images, 0 * labels, bound=0.02, steps=30, form=form)
    moved = (luv_of(perturbed.images.movedim(1, -1)) - luv_of(images.movedim(1, -1))).abs()
    assert moved.max() <= 0.02 + 5e-4
    assert moved.max() > 0.015


@FORMS
def test_one_colour_becomes_one_colour_wherever_it_is(form):
    model, images, labels = random_colour_case(2)
    images[:, :, 12:, 3] = images[:, :, :4, 8]
    perturbed = recoloradv(model, images, labels, bound=0.05, steps=10, form=form).images
    torch.testing.assert_close(perturbed[:, :, 12:, 3], perturbed[:, :, :4, 8], rtol=0, atol=1e-12)
    assert (perturbed - images).abs().max() > 0.01


def test_with_a_bound_of_0_the_corrected_form_leaves_images_as_they_are():
    model, images, labels = random_colour_case(5)
    images[:, :, 0, :5] = torch.stack([BLACK, WHITE, RED, GREEN, BLUE]).T
    perturbed = recoloradv(model, images, labels, bound=0.0, steps=3, form="corrected")
    assert torch.equal(perturbed.images, images)
    assert (perturbed.size == 0).all()


def test_with_a_bound_of_0_the_faithful_form_moves_colours_beyond_its_grid():
    model, images, labels = random_colour_case(1)
    images = 0.4 + 0.2 * images
    images[0, :, 0, :5] = torch.stack([BLACK, WHITE, RED, GREEN, BLUE]).T
    change = (recoloradv(model, images, labels, bound=0.0, steps=3).images - images).abs().amax(1)[0]
    assert (change[0, :2] < 1e-3).all()
    assert (change[0, 2:5] > 0.1).all()
    assert (change[1:] < 1e-3).all()


def test_in_the_faithful_form_the_size_is_the_bound_even_without_a_step():
    model, images, labels = random_colour_case(2)
    sizes = {form: recoloradv(model, images, labels, bound=0.03, steps=0, form=form).size for form in FORMS.args[1]}
    assert (sizes["faithful"] == 0.03).all()
    assert (sizes["corrected"] == 0).all()


def test_images_without_colours_are_refused():
    model, images, labels = random_colour_case(2)
    with pytest.raises(ValueError, match="three channels; the images have 1"):
        recoloradv(model, images[:, :1], labels, bound=0.06, steps=1)


# -- what the reference was recorded to do -----------------------------------------------------------------------

RUN, ROWS = "recolor_0.06_100", slice(0, 12)


class Repeated:
    """The recorded attack, run anew on some images."""

    def __init__(self, name):
        self.reference, self.model = recorded(name), network(name)
        self.images, self.labels = self.reference.images[ROWS], self.reference.labels[ROWS]
        self.perturbed = self.attack("faithful")

    def attack(self, form):
        return recoloradv(self.model, self.images, self.labels, bound=0.06, steps=100, form=form)

    def margins(self, images):
        with torch.no_grad():
            return margin(self.model(images), self.labels).numpy()

    def record(self, field):
        return self.reference.record(RUN, field)[ROWS]


@pytest.fixture(scope="module", params=["std", "robust"])
def repeated(request):
    return Repeated(request.param)


def test_without_a_step_images_change_as_recorded(repeated):
    images, labels = repeated.reference.images, repeated.reference.labels
    change = (recoloradv(repeated.model, images, labels, bound=0.06, steps=0).images - images).abs()
    assert change.flatten(1).amax(1).median().item() == pytest.approx(0.018, abs=0.001)
    assert change.mean().item() == pytest.approx(0.001, abs=0.0003)
    # With hardly any bound only those colours change that lie beyond the grid.
    change = (recoloradv(repeated.model, images, labels, bound=1e-6, steps=0).images - images).abs().amax(1)
    places = luv_of(images.movedim(1, -1))
    beyond = ((places < 0) | (places > 1)).any(-1)
    assert change[~beyond].max() < 1e-3
    assert change[beyond].max() > 0.2


def test_the_faithful_form_does_what_the_reference_did(repeated):
    own = repeated.margins(repeated.perturbed.images)
    assert ((own > 0) != repeated.record("success")).sum() <= 1
    assert np.median(np.abs(own - repeated.record("margin"))) < 0.015 * np.abs(repeated.record("margin")).mean()
    assert np.corrcoef(own, repeated.record("margin"))[0, 1] > 0.998
    np.testing.assert_allclose(repeated.perturbed.size, repeated.record("metric"), rtol=1e-5)
    expected = repeated.reference.adversarial("recolor")[ROWS]
    # Rounding alone, float32 for float64, moves the images by 5% to 13% of what the attack does.
    assert (repeated.perturbed.images - expected).norm() < 0.2 * (expected - repeated.images).norm()


def test_the_corrected_form_succeeds_wherever_an_iterate_of_the_reference_did(repeated):
    corrected = repeated.attack("corrected")
    succeeded = repeated.margins(corrected.images) > 0
    assert succeeded[repeated.record("ever")].all()
    # Without its penalty the reference breaks 72% of the robust network's first 32 images, with it 12.5%.
    assert succeeded.mean() >= 0.6
    assert (corrected.size <= 0.06).all()
