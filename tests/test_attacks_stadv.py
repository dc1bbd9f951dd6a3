"""StAdv: hand-computable displacements, and what the reference's code was recorded to do."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from perceptual_networks import network, random_colour_case, recorded
from torch import nn

from robustrepro.attacks.losses import margin
from robustrepro.attacks.perceptual.displacements import roughness
from robustrepro.attacks.perceptual.stadv import pixel_centres, stadv, warped

FORMS = pytest.mark.parametrize("form", ["faithful", "corrected"])


@FORMS
def test_a_bound_of_0_leaves_images_as_they_are(form):
    perturbed = stadv(*random_colour_case(4), bound=0.0, steps=3, form=form)
    assert torch.equal(perturbed.images, random_colour_case(4)[1])
    assert (perturbed.size == 0).all()


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 24, 40), (3, 224, 224)])
def test_pixels_at_their_own_centres_are_the_image(shape):
    images = torch.rand((2, *shape), generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(warped(images, pixel_centres(images).expand(2, -1, -1, -1)), images, rtol=0, atol=1e-4)


def test_the_centres_are_those_of_pixels_in_an_image_from_minus_1_to_1():
    centres = pixel_centres(torch.zeros(1, 3, 2, 4))
    assert centres[0].tolist() == [[-0.75, -0.5], [-0.25, -0.5], [0.25, -0.5], [0.75, -0.5]]
    assert centres[1, :, 1].tolist() == [0.5] * 4


def test_places_one_pixel_to_the_right_shift_the_image_to_the_left_and_let_black_in():
    images = torch.rand((2, 3, 4, 8), generator=torch.Generator().manual_seed(0))
    shifted = warped(images, pixel_centres(images) + torch.tensor([2 / 8, 0]).expand(2, 4, 8, 2))
    torch.testing.assert_close(shifted[..., :-1], images[..., 1:])
    assert (shifted[..., -1] == 0).all()


def test_a_place_between_pixels_has_the_weighted_mean_of_four():
    images = torch.tensor([[[[0.0, 1.0], [0.2, 0.4]]]])
    place = torch.tensor([-0.25, -0.25])  # a quarter of the way from the first pixel, in both directions
    expected = 0.75 * (0.75 * 0.0 + 0.25 * 1.0) + 0.25 * (0.75 * 0.2 + 0.25 * 0.4)
    assert warped(images, place.expand(1, 1, 1, 2)).item() == pytest.approx(expected)


def test_the_warp_has_the_gradient_of_its_values():
    generator = torch.Generator().manual_seed(0)
    images = torch.rand((2, 3, 4, 5), generator=generator, dtype=torch.float64)
    # Halfway between centres, so that no difference crosses a kink.
    places = (pixel_centres(images) * 0.5 + 0.03).expand(2, -1, -1, -1).clone().requires_grad_(True)
    assert torch.autograd.gradcheck(lambda at: warped(images, at), places)


class Brightness(nn.Module):
    """Two logits: never misclassified, and the margin rises so steeply with the mean that no penalty counts."""

    def __init__(self, slope=1e4):
        super().__init__()
        self.slope = slope

    def forward(self, images):
        logit = self.slope * images.mean((1, 2, 3))
        return torch.stack([torch.full_like(logit, 2 * abs(self.slope)), logit], 1)


@FORMS
@pytest.mark.parametrize("bound", [0.03, 0.0625])
def test_on_a_ramp_every_place_moves_uphill_by_the_bound(form, bound):
    ramp = (pixel_centres(torch.zeros(1, 1, 16, 16))[..., 0] + 1) / 2
    images = ramp.expand(2, 3, 16, 16)
    perturbed = stadv(Brightness(), images, torch.zeros(2, dtype=torch.int64), bound=bound, steps=15, form=form)
    # The ramp rises by 1/2 where x rises by 1; beyond the image is black, from which the outermost places flee.
    inside = (perturbed.images - images)[..., 2:-2, 2:-2]
    torch.testing.assert_close(inside, torch.full_like(inside, bound / 2))
    torch.testing.assert_close(perturbed.size, torch.full((2,), bound))


@FORMS
def test_places_do_not_leave_the_image(form):
    images = torch.ones(1, 3, 8, 8)
    model, label = Brightness(-1e4), torch.zeros(1, dtype=torch.int64)
    darkened = stadv(model, images, label, bound=0.5, steps=60, form=form).images[0, 0]
    # The right and lower edges of the image are half image and half black, and its corner is a quarter.
    torch.testing.assert_close(darkened[-1, -1], torch.tensor(0.25))
    torch.testing.assert_close(darkened[:-1, -1], torch.full((7,), 0.5))
    torch.testing.assert_close(darkened[-1, :-1], torch.full((7,), 0.5))


# -- what the reference was recorded to do -----------------------------------------------------------------------

RUN = "stadv_0.05_100"


class Repeated:
    """The recorded attack, run anew on the images whose displacements were kept."""

    def __init__(self, name):
        self.reference, self.model = recorded(name), network(name)
        self.flow = self.reference.flow()
        self.rows = slice(0, len(self.flow))
        self.images, self.labels = self.reference.images[self.rows], self.reference.labels[self.rows]
        self.perturbed = self.attack("faithful")

    def attack(self, form):
        return stadv(self.model, self.images, self.labels, bound=0.05, steps=100, form=form)

    def margins(self, images):
        with torch.no_grad():
            return margin(self.model(images), self.labels).numpy()

    def record(self, field):
        return self.reference.record(RUN, field)[self.rows]


@pytest.fixture(scope="module", params=["std", "robust"])
def repeated(request):
    return Repeated(request.param)


def test_the_recorded_displacements_give_the_recorded_images(repeated):
    warp = warped(repeated.images, pixel_centres(repeated.images) + repeated.flow)
    expected = repeated.reference.adversarial("stadv")[repeated.rows]
    torch.testing.assert_close(warp, expected, rtol=0, atol=1e-3)


def test_the_recorded_displacements_are_as_rough_as_recorded(repeated):
    # The reference counts a point at the border as its own neighbour, which adds 1e-5 each.
    expected = repeated.record("smooth") - 4 * 32 * 1e-5
    np.testing.assert_allclose(roughness(repeated.flow), expected, rtol=3e-4)


def test_the_faithful_form_does_what_the_reference_did(repeated):
    """Where a gradient is nearly 0, Adam, which divides by its size, follows its rounding.

    A search in float64 ends as far from the recorded images as one in float32: 0.1 of their change (robust) or 0.3.
    """
    own = repeated.margins(repeated.perturbed.images)
    assert ((own > 0) != repeated.record("success")).sum() <= 1
    assert np.median(np.abs(own - repeated.record("margin"))) < 0.01 * np.abs(repeated.record("margin")).mean()
    assert np.corrcoef(own, repeated.record("margin"))[0, 1] > 0.99
    np.testing.assert_allclose(repeated.perturbed.size, repeated.record("metric"), atol=0.005)
    expected = repeated.reference.adversarial("stadv")[repeated.rows]
    change = (expected - repeated.images).norm()
    assert (repeated.perturbed.images - expected).norm() < 0.45 * change


def test_the_corrected_form_succeeds_wherever_an_iterate_of_the_reference_did(repeated):
    corrected = repeated.attack("corrected")
    succeeded = repeated.margins(corrected.images) > 0
    assert succeeded[repeated.record("ever")].all()
    # Without its penalty the reference breaks 91% of the robust network's first 100 images, with it 38%.
    assert succeeded.mean() >= 0.8
    assert (corrected.size <= 0.05).all()
