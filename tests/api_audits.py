"""Audits that several files of tests read: of an honest model, and of one that hides its gradient."""

from __future__ import annotations

import pytest
import torch
from api_cases import COUNT, quietly
from attack_cases import random_case
from hidden_models import LINES, InALine
from hidden_models import images as hidden_images
from torch import Tensor, nn

import robustrepro as rr


@pytest.fixture(scope="module")
def case() -> tuple[nn.Module, Tensor, Tensor]:
    return random_case(COUNT)


@pytest.fixture(scope="module")
def audited(case: tuple[nn.Module, Tensor, Tensor]) -> rr.Audit:
    return quietly(*case)


@pytest.fixture(scope="module")
def plateau() -> tuple[InALine, Tensor, Tensor]:
    """A model without a gradient, which classifies all of its images correctly."""
    images = hidden_images(COUNT)
    model = InALine(LINES["a plateau"])
    with torch.no_grad():
        labels = model.network(images).argmax(1)
        kept = model(images).argmax(1) == labels
    return model, images[kept], labels[kept]


@pytest.fixture(scope="module")
def hidden(plateau: tuple[InALine, Tensor, Tensor]) -> rr.Audit:
    return quietly(*plateau)
