"""The four functions of each norm, against brute force, optimality conditions and the libraries' definitions."""

from __future__ import annotations

import itertools

import foolbox
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pyautoattack.autopgd_base import L1_projection
from torch import Tensor

from robustrepro.attacks.norms import NORMS
from robustrepro.attacks.threat_models import unit_ball_noise

ALL = sorted(NORMS)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("norm", ALL)
def test_a_length_is_foolboxs_distance(norm):
    difference = normal(7, 3, 4, 4)
    distance = {"linf": foolbox.distances.linf, "l2": foolbox.distances.l2, "l1": foolbox.distances.l1}[norm]
    torch.testing.assert_close(NORMS[norm].length(difference), distance(torch.zeros_like(difference), difference))


@settings(max_examples=200, deadline=None)
@given(st.lists(st.floats(-3, 3), min_size=1, max_size=8), st.floats(1e-3, 4))
def test_the_l1_projection_meets_the_optimality_conditions(values, epsilon):
    point = torch.tensor([values], dtype=torch.float64)
    projected = NORMS["l1"].project(point, torch.zeros_like(point), epsilon)
    if point.abs().sum() <= epsilon:
        assert torch.equal(projected, point)
        return
    # On the sphere; what remains moved by one threshold towards 0, what vanished had no more than it.
    assert projected.abs().sum().item() == pytest.approx(epsilon, abs=1e-12)
    moved = (point - projected).abs()
    threshold = moved.max()
    kept = projected != 0
    torch.testing.assert_close(moved[kept], threshold.expand(int(kept.sum())), rtol=0, atol=1e-12)
    assert (point[kept].sign() == projected[kept].sign()).all()
    assert (point[~kept].abs() <= threshold + 1e-12).all()


@pytest.mark.parametrize("dimensions", [2, 3])
def test_the_l1_projection_is_the_nearest_of_many_points_of_the_ball(dimensions):
    points = 2 * normal(30, dimensions)
    projected = NORMS["l1"].project(points, torch.zeros_like(points), 1.0)
    corners = torch.linspace(0, 1, 201, dtype=torch.float64)
    shares = torch.cartesian_prod(*[corners] * (dimensions - 1)).reshape(-1, dimensions - 1)
    shares = shares[shares.sum(1) <= 1]
    shares = torch.cat([shares, 1 - shares.sum(1, keepdim=True)], dim=1)
    signs = torch.tensor(list(itertools.product((-1.0, 1.0), repeat=dimensions)), dtype=torch.float64)
    sphere = (shares[:, None] * signs).reshape(-1, dimensions)
    outside = points.abs().sum(1) > 1
    assert outside.sum() > 20
    best = torch.cdist(points, sphere).amin(1)
    reached = (points - projected).norm(dim=1)
    assert (reached[outside] <= best[outside] + 1e-12).all()
    assert (reached[outside] >= best[outside] - 0.01).all()


def test_the_l1_projection_is_autoattacks_where_the_box_is_far():
    origins, points = torch.full((20, 12), 0.5), 0.5 + 0.1 * normal(20, 12).float()
    projected = NORMS["l1"].project(points, origins, 0.3)
    theirs = points + L1_projection(origins, points - origins, 0.3)
    torch.testing.assert_close(projected, theirs, rtol=0, atol=1e-6)


def test_every_l1_ball_of_a_batch_has_its_own_radius():
    points, origins = normal(6, 2, 3, 3), normal(6, 2, 3, 3, seed=1)
    radii = torch.tensor([0.1, 0.5, 1.0, 3.0, 10.0, 100.0], dtype=torch.float64)
    together = NORMS["l1"].project(points, origins, radii)
    apart = [NORMS["l1"].project(points[[k]], origins[[k]], radii[k].item()) for k in range(6)]
    assert torch.equal(together, torch.cat(apart))
    assert torch.equal(together[5], points[5])


def test_the_l1_projection_holds_where_coordinates_are_equal():
    points = torch.tensor([[1.0, -1.0, 1.0, 0.0]], dtype=torch.float64)
    projected = NORMS["l1"].project(points, torch.zeros_like(points), 0.6)
    torch.testing.assert_close(projected, torch.tensor([[0.2, -0.2, 0.2, 0.0]], dtype=torch.float64))


def ball_points(norm: str) -> Tensor:
    """Points on and in the unit ball of three dimensions, its corners among them."""
    axis = torch.linspace(-1, 1, 21, dtype=torch.float64)
    points = torch.cartesian_prod(axis, axis, axis)
    length = NORMS[norm].length(points)
    shell = points[length > 0] / length[length > 0, None]
    return torch.cat([points[length <= 1], shell])


@pytest.mark.parametrize("norm", ALL)
def test_no_point_of_the_ball_ascends_further_than_the_steepest_direction(norm):
    gradients = torch.cat([normal(20, 3), torch.tensor([[2.0, -2.0, 1.0], [0.0, 3.0, 0.0]], dtype=torch.float64)])
    directions = NORMS[norm].steepest(gradients)
    assert (NORMS[norm].length(directions) <= 1 + 1e-12).all()
    ascent = (gradients * directions).sum(1)
    best = (gradients @ ball_points(norm).T).amax(1)
    assert (ascent >= best - 1e-12).all()
    assert (ascent <= best + 0.02 * best).all()


@pytest.mark.parametrize("norm", ALL)
def test_a_zero_gradient_has_no_direction(norm):
    assert not NORMS[norm].steepest(torch.zeros(2, 1, 3, 3)).any()


def test_the_l1_direction_is_the_pixel_of_largest_gradient_whatever_the_memory_format():
    gradient = normal(5, 3, 4, 4)
    direction = NORMS["l1"].steepest(gradient.to(memory_format=torch.channels_last))
    assert torch.equal(direction, NORMS["l1"].steepest(gradient))
    assert (direction.flatten(1) != 0).sum(1).tolist() == [1] * 5
    moved = direction.flatten(1).abs().argmax(1)
    assert torch.equal(moved, gradient.flatten(1).abs().argmax(1))


@pytest.mark.parametrize("norm", ALL)
def test_noise_has_the_moments_of_the_uniform_distribution(norm):
    count, dimensions = 6000, 4
    noise = unit_ball_noise(norm, (dimensions,), seed=1, indices=range(count), restarts=[0] * count).double()
    d = dimensions
    # Of one coordinate x: E x² and E x⁴; of two: E x² y².
    second = {"linf": 1 / 3, "l2": 1 / (d + 2), "l1": 2 / ((d + 1) * (d + 2))}[norm]
    fourth = {
        "linf": 1 / 5,
        "l2": 3 / ((d + 2) * (d + 4)),
        "l1": 24 / ((d + 1) * (d + 2) * (d + 3) * (d + 4)),
    }[norm]
    mixed = {"linf": 1 / 9, "l2": 1 / ((d + 2) * (d + 4)), "l1": 4 / ((d + 1) * (d + 2) * (d + 3) * (d + 4))}[norm]
    assert noise.mean(0).abs().max() < 0.03
    assert noise.square().mean().item() == pytest.approx(second, rel=0.05)
    assert noise.pow(4).mean().item() == pytest.approx(fourth, rel=0.1)
    assert (noise[:, 0] * noise[:, 1]).square().mean().item() == pytest.approx(mixed, rel=0.15)
    assert (noise[:, 0] * noise[:, 1]).mean().abs() < 0.02
