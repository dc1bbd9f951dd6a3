"""JPEG-ℓ∞: the transform by hand and by PIL, a linear model's optimum, and outputs of the published code."""

from __future__ import annotations

import copy
import io
import math

import numpy as np
import pytest
import torch
from attack_cases import Scaled
from perceptual_networks import Recording, margins, network, recorded
from PIL import Image
from torch import nn

from robustrepro.attacks.perceptual.jpeg import (
    CHROMA_STEPS,
    FROM_RGB,
    GREY,
    LUMA_STEPS,
    cosines,
    decode,
    encode,
    jpeg,
)
from robustrepro.attacks.threat_models import unit_ball_noise

FORMS = ("faithful", "corrected")
LUMA, CHROMA = 256, 64
"""Coefficients of an image of 16 × 16 pixels, and of each of its chroma channels."""


def noise_images(count: int, *, low: float = 0.0, high: float = 1.0, side: int = 16) -> torch.Tensor:
    generator = torch.Generator().manual_seed(5)
    images = torch.rand((count, 3, side, side), generator=generator, dtype=torch.float64)
    return low + (high - low) * images


@pytest.fixture
def case():
    """A random convolutional network in float64, images of moderate contrast, and its own predictions as labels."""
    with torch.random.fork_rng():
        torch.manual_seed(2)
        model = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(392, 5)).double().eval()
    images = noise_images(12, low=0.2, high=0.8)
    with torch.no_grad():
        model[-1].bias -= model(images).mean(0)
        labels = model(images).argmax(1)
    return model, images, labels


def attack(case, **options):
    model, images, labels = case
    given = {"bound": 0.25, "steps": 6, "seed": 0, "indices": torch.arange(len(images)), **options}
    return jpeg(model, images, labels, **given)


# -- the transform -----------------------------------------------------------------------------------------------


def test_the_cosine_transform_is_orthonormal():
    torch.testing.assert_close(cosines() @ cosines().T, torch.eye(8, dtype=torch.float64))


def test_an_image_of_one_colour_has_one_coefficient_per_block():
    colour = torch.tensor([0.9, 0.2, 0.4], dtype=torch.float64)
    coefficients = encode(colour[:, None, None].expand(1, 3, 16, 16))
    luma, blue, red = coefficients.split([LUMA, CHROMA, CHROMA], dim=1)
    levels = 255 * colour
    expected = 0.299 * levels[0] + 0.587 * levels[1] + 0.114 * levels[2]
    # The mean of an orthonormal 8 × 8 transform is weighted by 8; the first steps are 16 and 17.
    torch.testing.assert_close(luma[0, ::64], ((expected - 128) * 8 / 16).expand(4))
    torch.testing.assert_close(blue[0, 0], (levels[2] - expected) / 1.772 * 8 / 17)
    torch.testing.assert_close(red[0, 0], (levels[0] - expected) / 1.402 * 8 / 17)
    assert (coefficients.abs() > 1e-9).sum() == 6


def test_a_horizontal_wave_is_one_coefficient_of_the_first_row():
    wave = torch.cos((torch.arange(16, dtype=torch.float64) % 8 + 0.5) * math.pi * 3 / 8)
    coefficients = encode((GREY + 0.1 * wave).expand(1, 3, 16, 16))
    expected = torch.zeros(4, 8, 8, dtype=torch.float64)
    expected[:, 0, 3] = 25.5 * math.sqrt(8) * 2 / 16  # of Table K.1, row 0, column 3
    torch.testing.assert_close(coefficients[0, :LUMA].reshape(4, 8, 8), expected, atol=1e-9, rtol=0)


def test_blocks_are_in_reading_order():
    images = torch.full((1, 3, 16, 32), GREY, dtype=torch.float64)
    images[:, :, 8:, 16:24] += 0.1
    means = encode(images)[0, : 16 * 32 : 64]
    assert means.abs().argmax() == 6
    assert (means.abs() > 1e-9).sum() == 1


def test_decoded_images_keep_luma_and_lose_all_chroma_but_its_mean_over_2_by_2_pixels():
    images = noise_images(3, side=32)
    decoded = decode(encode(images), 32, 32)
    before, after = (torch.einsum("ij,njhw->nihw", FROM_RGB, each) for each in (images, decoded))
    torch.testing.assert_close(after[:, 0], before[:, 0])
    means = nn.functional.avg_pool2d(before[:, 1:], 2).repeat_interleave(2, 2).repeat_interleave(2, 3)
    torch.testing.assert_close(after[:, 1:], means)
    assert (decoded - images).abs().max() > 0.1


def test_coefficients_come_back_from_the_decoded_image():
    coefficients = torch.randn((2, 384), generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    torch.testing.assert_close(encode(decode(coefficients, 16, 16)), coefficients)


def saved(pixels: np.ndarray) -> Image.Image:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=50, subsampling="4:2:0")
    return Image.open(stream)


def test_the_tables_are_those_of_files_of_quality_50():
    # Pillow lists tables row by row since its version 8.3.
    tables = saved(np.zeros((16, 16, 3), dtype=np.uint8)).quantization
    assert tables[0] == LUMA_STEPS.flatten().tolist()
    assert tables[1] == CHROMA_STEPS.flatten().tolist()


@pytest.mark.parametrize("tint", [(0, 0, 0), (30, -20, 10)], ids=["grey", "tinted"])
def test_rounded_coefficients_decode_as_a_file_of_quality_50_does(tint):
    # Of one tint, since PIL smooths chroma where it is enlarged.
    texture = np.random.default_rng(0).normal(128, 25, (32, 48, 1)).clip(60, 190)
    pixels = (texture + np.array(tint)).round().astype(np.uint8)
    theirs = np.asarray(saved(pixels)).astype(float)
    images = torch.from_numpy(pixels).permute(2, 0, 1)[None].double() / 255
    own = (decode(encode(images).round(), 32, 48)[0].permute(1, 2, 0) * 255).numpy()
    # A file also rounds pixels and chroma to 8 bits, and so some coefficients the other way.
    assert np.abs(own - theirs).mean() < 0.12 * np.abs(theirs - pixels).mean()
    assert np.median(np.abs(own - theirs)) < 1


@pytest.mark.parametrize("shape", [(2, 3, 24, 32), (2, 3, 32, 40), (2, 1, 32, 32)])
@pytest.mark.parametrize("form", FORMS)
def test_images_that_whole_blocks_do_not_cover_are_refused(shape, form):
    options = {"bound": 0.1, "steps": 1, "seed": 0, "indices": torch.arange(2), "form": form}
    with pytest.raises(ValueError, match=r"found shape \(2, .* divisible by 16"):
        jpeg(nn.Flatten(), torch.zeros(shape), torch.zeros(2, dtype=torch.long), **options)


# -- the attack --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS)
def test_the_bound_holds_for_every_coefficient_in_half_steps(case, form):
    outcome = attack(case, form=form)
    assert (outcome.size <= 0.25).all()
    assert outcome.images.min() >= 0
    assert outcome.images.max() <= 1
    shifts = 2 * (encode(outcome.images) - encode(case[1])).abs()
    untouched = ((outcome.images > 0) & (outcome.images < 1)).flatten(1).all(1)
    assert untouched.sum() > 6
    torch.testing.assert_close(shifts.amax(1)[untouched], outcome.size[untouched])


def test_at_bound_0_the_corrected_form_changes_nothing_and_the_faithful_one_averages_chroma(case):
    images = case[1]
    assert torch.equal(attack(case, bound=0.0, form="corrected").images, images)
    outcome = attack(case, bound=0.0)
    torch.testing.assert_close(outcome.images, decode(encode(images), 16, 16).clamp(0, 1))
    assert (outcome.size == 0).all()


@pytest.mark.parametrize("form", FORMS)
def test_a_linear_models_optimum_is_reached(form):
    generator = torch.Generator().manual_seed(4)
    weight = torch.randn((2, 768), generator=generator, dtype=torch.float64)
    layer = nn.Linear(768, 2).double()
    with torch.no_grad():
        layer.weight.copy_(weight)
        # At grey, 25 in favour of the label: out of reach, so that no image is broken on the way.
        layer.bias.copy_(torch.stack([25 - (weight[0] - weight[1]).sum() / 2, torch.zeros(())]))
    images, labels = noise_images(3, low=0.45, high=0.55), torch.zeros(3, dtype=torch.long)
    start = decode(encode(images), 16, 16) if form == "faithful" else images
    # What one step of each coefficient adds to the margin; by linearity, the best of all is the sum of their sizes.
    slopes = (decode(torch.eye(384, dtype=torch.float64), 16, 16) - GREY).flatten(1) @ (weight[1] - weight[0])
    model = nn.Sequential(nn.Flatten(), layer).eval()
    outcome = attack((model, images, labels), bound=0.02, steps=9, form=form)
    gained = margins(model, outcome.images, labels) - margins(model, start, labels)
    torch.testing.assert_close(gained, (0.01 * slopes.abs().sum()).expand(3))


def test_a_step_is_the_bound_over_the_root_of_the_steps(case):
    model = Recording(case[0])
    outcome = attack((model, *case[1:]), steps=4)
    before = 2 * (encode(model.seen[2]) - encode(model.seen[1]))
    inside = ((model.seen[1] > 0) & (model.seen[1] < 1) & (model.seen[2] > 0) & (model.seen[2] < 1)).flatten(1).all(1)
    assert inside.sum() > 3
    assert before[inside].abs().amax(1).tolist() == pytest.approx([0.125] * int(inside.sum()))
    assert len(model.seen) == 4
    assert (outcome.size > 0.2).all()


def test_only_the_faithful_form_takes_its_first_gradient_at_a_share_of_the_start(case):
    noise = unit_ball_noise("linf", (384,), seed=0, indices=range(12), restarts=[0] * 12).double()
    faithful, corrected = Recording(case[0]), Recording(case[0])
    attack((faithful, *case[1:]), form="faithful")
    attack((corrected, *case[1:]), form="corrected")
    expected = decode(encode(case[1]) + 0.25 * 0.25 * noise / 2, 16, 16).clamp(0, 1)
    torch.testing.assert_close(faithful.seen[0], expected)
    assert torch.equal(corrected.seen[0], case[1])
    expected = (case[1] + decode(0.25 * noise / 2, 16, 16) - GREY).clamp(0, 1)
    torch.testing.assert_close(corrected.seen[1], expected)


@pytest.mark.parametrize("row", range(6))
def test_the_corrected_form_returns_the_first_success_or_else_the_largest_margin(case, row):
    model = Recording(case[0])
    images, labels = case[1][[row]], case[2][[row]]
    bound = 0.1 if row % 2 else 0.02
    outcome = attack((model, images, labels), bound=bound, indices=torch.tensor([row]), form="corrected")
    seen = torch.cat(model.seen)
    reached = margins(case[0], seen, labels.expand(len(seen)))
    chosen = reached.gt(0).nonzero()[0, 0] if reached.gt(0).any() else reached.argmax()
    assert torch.equal(outcome.images[0], seen[chosen])
    assert len(seen) == (chosen + 1 if reached[chosen] > 0 else 8)


def test_the_corrected_form_leaves_misclassified_images_as_they_are(case):
    model, images, labels = case
    outcome = attack((model, images, (labels + 1) % 5), form="corrected")
    assert torch.equal(outcome.images, images)
    assert (outcome.size == 0).all()


def test_the_corrected_form_moves_where_the_model_is_certain(case):
    model, images, labels = case
    gained = []
    for subject in (model, nn.Sequential(model, Scaled(1e5))):
        outcome = attack((subject, images, labels), bound=0.02, form="corrected")
        gained.append(margins(model, outcome.images, labels) - margins(model, images, labels))
    assert gained[1].mean() > 0.9 * gained[0].mean()


@pytest.mark.parametrize("form", FORMS)
def test_a_larger_bound_breaks_more(case, form):
    broken = [
        (margins(case[0], attack(case, bound=bound, form=form).images, case[2]) > 0).sum().item()
        for bound in (0.005, 0.05, 0.5)
    ]
    assert broken[0] < broken[1] < broken[2]


@pytest.mark.parametrize("form", FORMS)
def test_no_image_depends_on_its_batch(case, form):
    model, images, labels = case
    whole = attack(case, form=form, bound=0.05)
    for rows in ([3], [7, 0, 11]):
        indices = torch.tensor(rows)
        part = attack((model, images[rows], labels[rows]), indices=indices, form=form, bound=0.05)
        torch.testing.assert_close(part.images, whole.images[rows])
        torch.testing.assert_close(part.size, whole.size[rows])


@pytest.mark.parametrize("form", FORMS)
def test_the_start_depends_on_the_seed_and_the_index_alone(case, form):
    state = torch.random.get_rng_state()
    first, again, other = (attack(case, seed=seed, form=form, bound=0.02).images for seed in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    moved = attack(case, seed=1, form=form, bound=0.02, indices=torch.arange(12) + 1).images
    assert not torch.equal(first, moved)


@pytest.mark.parametrize("form", FORMS)
def test_the_model_and_the_images_are_left_as_they_were(case, form):
    model, images, _ = case
    weights, before = copy.deepcopy(model.state_dict()), images.clone()
    attack(case, form=form)
    assert torch.equal(images, before)
    assert all(torch.equal(value, weights[key]) for key, value in model.state_dict().items())
    assert all(weight.requires_grad and weight.grad is None for weight in model.parameters())
    assert not model.training


# -- what the published code really gave -------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["std", "robust"])
def test_the_faithful_form_breaks_the_images_that_the_published_code_breaks(name):
    model, theirs = network(name), recorded(name)
    outcome = attack((model, theirs.images, theirs.labels), bound=0.25, steps=20)
    reached = margins(model, outcome.images, theirs.labels).numpy()
    broken = theirs.record("jpeg_0.25_20", "success")
    assert np.mean((reached > 0) == broken) > 0.95
    assert (reached > 0).sum() >= broken.sum() - 1
    np.testing.assert_allclose(outcome.size, theirs.record("jpeg_0.25_20", "metric"), rtol=1e-6)
    lengths = (outcome.images - theirs.images).flatten(1).norm(dim=1)
    assert np.median(lengths) == pytest.approx(np.median(theirs.record("jpeg_0.25_20", "l2")), rel=0.02)
    difference = reached - theirs.record("jpeg_0.25_20", "margin")
    scale = np.abs(reached).mean()
    assert abs(difference.mean()) < 0.1 * scale
    assert np.median(np.abs(difference)) < 0.1 * scale


def test_the_faithful_forms_images_are_as_near_those_of_the_published_code_as_another_seeds():
    model, theirs = network("robust"), recorded("robust")
    images = [attack((model, theirs.images, theirs.labels), bound=0.25, steps=20, seed=seed).images for seed in (0, 1)]
    own, other, expected = ((each - theirs.images).flatten(1) for each in (*images, theirs.adversarial("jpeg")))
    likeness = torch.cosine_similarity(own, expected).median().item()
    assert likeness > 0.6
    assert likeness == pytest.approx(torch.cosine_similarity(own, other).median().item(), abs=0.04)


def test_the_corrected_form_breaks_about_as_many_without_the_averaged_chroma():
    model, theirs = network("robust"), recorded("robust")
    outcome = attack((model, theirs.images, theirs.labels), bound=0.25, steps=20, form="corrected")
    broken = (margins(model, outcome.images, theirs.labels) > 0).numpy()
    assert (outcome.size <= 0.25).all()
    assert broken.sum() >= theirs.record("jpeg_0.25_20", "success").sum() - 2
