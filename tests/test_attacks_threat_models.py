from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from robustrepro.attacks.norms import NORMS
from robustrepro.attacks.threat_models import (
    OutsideThreatModelError,
    ThreatModel,
    unit_ball_noise,
)
from robustrepro.spec.attacks import Norm

norms = st.sampled_from(["linf", "l2", "l1"])
boxes = st.sampled_from([None, (0.0, 1.0)])
epsilons = st.floats(1e-3, 3.0)


@st.composite
def origins_and_points(draw: st.DrawFn) -> tuple[Tensor, Tensor]:
    """Images in [0, 1] and points anywhere near them, in float64; both (N, d)."""
    count, features = draw(st.integers(1, 4)), draw(st.integers(1, 6))
    cells = count * features
    pixels = draw(st.lists(st.floats(0, 1), min_size=cells, max_size=cells))
    moves = draw(st.lists(st.floats(-5, 5), min_size=cells, max_size=cells))
    origins = torch.tensor(pixels, dtype=torch.float64).reshape(count, features)
    return origins, origins + torch.tensor(moves, dtype=torch.float64).reshape(count, features)


@settings(max_examples=150, deadline=None)
@given(origins_and_points(), norms, epsilons, boxes)
def test_a_projected_point_lies_in_the_ball_and_the_box(pair, norm, epsilon, box):
    origins, points = pair
    projected = ThreatModel(norm, epsilon, box).project(points, origins)
    assert (NORMS[norm].length(projected - origins) <= epsilon + 1e-12).all()
    if box is not None:
        assert projected.min() >= 0
        assert projected.max() <= 1
    ThreatModel(norm, epsilon, box).check(projected, origins, "any")


@settings(max_examples=150, deadline=None)
@given(origins_and_points(), norms, epsilons, boxes)
def test_projecting_twice_changes_nothing(pair, norm, epsilon, box):
    origins, points = pair
    threat = ThreatModel(norm, epsilon, box)
    once = threat.project(points, origins)
    torch.testing.assert_close(threat.project(once, origins), once, rtol=0, atol=1e-14)


@settings(max_examples=150, deadline=None)
@given(origins_and_points(), norms, epsilons, st.floats(0, 0.99))
def test_a_point_inside_is_left_bit_for_bit(pair, norm, epsilon, fraction):
    origins, points = pair
    difference = points - origins
    inside = origins + difference * (fraction * epsilon / NORMS[norm].length(difference).clamp_min(1e-9))[:, None]
    assert torch.equal(ThreatModel(norm, epsilon, None).project(inside, origins), inside)


@settings(max_examples=100, deadline=None)
@given(origins_and_points(), st.sampled_from(["linf", "l2"]), epsilons)
def test_projection_is_the_nearest_point_of_the_ball(pair, norm, epsilon):
    origins, points = pair
    difference = points - origins
    if norm == "linf":
        nearest = origins + difference.clamp(-epsilon, epsilon)
    else:
        nearest = origins + difference * (epsilon / difference.norm(dim=1, keepdim=True).clamp_min(epsilon))
    torch.testing.assert_close(ThreatModel(norm, epsilon, None).project(points, origins), nearest)


def test_directions_have_unit_norm_for_gradients_whose_squares_vanish():
    gradient = torch.tensor([[3e-30, -4e-30], [3e20, 4e20], [0.0, 0.0]])
    expected = torch.tensor([[0.6, -0.8], [0.6, 0.8], [0.0, 0.0]])
    torch.testing.assert_close(ThreatModel("l2", 1.0).direction(gradient), expected)
    assert ThreatModel("linf", 1.0).direction(gradient).tolist() == [[1, -1], [1, 1], [0, 0]]


@pytest.mark.parametrize(
    ("norm", "box", "point", "message"),
    [
        ("linf", (0.0, 1.0), [0.5, 0.72], r"attack 'pgd' .*0\.02 outside the linf ball of epsilon 0\.2"),
        ("l2", None, [0.7, 0.7], r"attack 'pgd' .*0\.0828 outside the l2 ball of epsilon 0\.2"),
        ("l1", None, [0.6, 0.65], r"attack 'pgd' .*0\.05 outside the l1 ball of epsilon 0\.2"),
        ("linf", (0.4, 0.6), [0.5, 0.7], r"attack 'pgd' .*0\.1 outside the box \[0\.4, 0\.6\] at epsilon 0\.2"),
        ("linf", (0.0, 1.0), [0.5, float("nan")], r"attack 'pgd' .*nan outside"),
    ],
)
def test_a_point_outside_is_refused_with_its_violation(norm, box, point, message):
    origins = torch.tensor([[0.5, 0.5], [0.5, 0.5]])
    points = torch.stack([origins[0], torch.tensor(point)])
    with pytest.raises(OutsideThreatModelError, match=message):
        ThreatModel(norm, 0.2, box).check(points, origins, "pgd")


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_rounding_in_float32_is_not_taken_for_a_violation(norm: Norm):
    generator = torch.Generator().manual_seed(0)
    origins = torch.rand((200, 3072), generator=generator)
    threat = ThreatModel(norm, 0.3)
    points = threat.project(origins + torch.randn((200, 3072), generator=generator), origins)
    threat.check(points, origins, "any")


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_noise_depends_on_seed_index_and_restart_only(norm: Norm):
    together = unit_ball_noise(norm, (3, 2), seed=1, indices=[4, 9, 4], restarts=[0, 0, 1])
    alone = unit_ball_noise(norm, (3, 2), seed=1, indices=[9], restarts=[0])
    assert torch.equal(together[1:2], alone)
    other_seed = unit_ball_noise(norm, (3, 2), seed=2, indices=[9], restarts=[0])
    drawn = torch.cat([together, other_seed]).flatten(1)
    assert len(drawn.unique(dim=0)) == 4


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_noise_is_uniform_in_the_unit_ball(norm: Norm):
    count = 4000
    noise = unit_ball_noise(norm, (3,), seed=0, indices=range(count), restarts=[0] * count)
    radius = NORMS[norm].length(noise)
    assert radius.max() <= 1
    # Within radius r of a ball of dimension 3 lies r³ of its volume, for any norm.
    for r in (0.3, 0.5, 0.8, 0.95):
        assert (radius <= r).float().mean().item() == pytest.approx(r**3, abs=0.03)
    assert noise.mean(0).abs().max() < 0.04


def test_a_random_start_is_clipped_to_the_box():
    origins = torch.tensor([[0.0, 1.0, 0.5]])
    start = ThreatModel("linf", 0.2).random_start(origins, torch.tensor([[-1.0, 1.0, 0.5]]))
    torch.testing.assert_close(start, torch.tensor([[0.0, 1.0, 0.6]]))
