from __future__ import annotations

import foolbox
import pytest
import torch
from foolbox.attacks import (
    L2FastGradientAttack,
    L2ProjectedGradientDescentAttack,
    LinfFastGradientAttack,
    LinfProjectedGradientDescentAttack,
)
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional

from robustrepro.attacks.measure import measure
from robustrepro.attacks.pgd import pgd
from robustrepro.spec.attacks import Fgsm, Pgd

EPSILONS = {"linf": 0.12, "l2": 0.7}
FOOLBOX_FGSM = {"linf": LinfFastGradientAttack, "l2": L2FastGradientAttack}
FOOLBOX_PGD = {"linf": LinfProjectedGradientDescentAttack, "l2": L2ProjectedGradientDescentAttack}


@pytest.fixture(scope="module")
def digits():
    """A small convolutional network trained on the digits, and 300 images."""
    data = load_digits()
    inputs = torch.tensor(data.images / 16, dtype=torch.float32).unsqueeze(1)
    labels = torch.tensor(data.target, dtype=torch.int64)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = nn.Sequential(
            nn.Conv2d(1, 16, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(256, 32),
            nn.ReLU(),
            nn.Linear(32, 10),
        )
        optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
        for _ in range(6):
            for rows in torch.randperm(len(inputs)).split(64):
                optimizer.zero_grad()
                functional.cross_entropy(model(inputs[rows]), labels[rows]).backward()
                optimizer.step()
    return model.double().eval(), inputs[:300].double(), labels[:300]


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_fgsm_gives_foolboxs_verdict_on_every_image(digits, norm):
    model, inputs, labels = digits
    epsilon = EPSILONS[norm]
    wrapped = foolbox.PyTorchModel(model, bounds=(0, 1), device="cpu")
    _, _, broken = FOOLBOX_FGSM[norm]()(wrapped, inputs, labels, epsilons=epsilon)
    spec = Fgsm(name="fgsm", epsilon=epsilon, norm=norm, precision="float64")
    outcome = measure(model, inputs, labels, torch.arange(300), spec, seed=0, batch_size=64)
    assert 0.1 < outcome.robust.float().mean() < 0.9
    # Foolbox lets a misclassified image be pushed back across the boundary; robust accuracy does not.
    correct = outcome.clean_prediction == labels
    assert torch.equal(outcome.robust, ~broken & correct)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_pgd_ends_where_foolbox_ends_without_a_random_start(digits, norm):
    model, inputs, labels = digits
    epsilon = EPSILONS[norm]
    wrapped = foolbox.PyTorchModel(model, bounds=(0, 1), device="cpu")
    theirs = FOOLBOX_PGD[norm](abs_stepsize=epsilon / 4, steps=10, random_start=False)
    _, found, broken = theirs(wrapped, inputs, labels, epsilons=epsilon)
    own = pgd(model, inputs, labels, epsilon=epsilon, steps=10, step_size=epsilon / 4, starts=inputs, norm=norm)
    torch.testing.assert_close(own, found, rtol=0, atol=1e-9)
    spec = Pgd(
        name="pgd", epsilon=epsilon, norm=norm, steps=10, step_size=epsilon / 4, random_start=False, precision="float64"
    )
    outcome = measure(model, inputs, labels, torch.arange(300), spec, seed=0, batch_size=64)
    assert 0.05 < outcome.robust.float().mean() < 0.9
    # Whatever breaks the last iterate breaks some iterate.
    assert not (outcome.robust & broken).any()
    assert (outcome.robust == ~broken).float().mean() > 0.98


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_pgd_with_restarts_has_foolboxs_robust_accuracy(digits, norm):
    model, inputs, labels = digits
    epsilon = EPSILONS[norm]
    wrapped = foolbox.PyTorchModel(model, bounds=(0, 1), device="cpu")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        theirs = FOOLBOX_PGD[norm](abs_stepsize=epsilon / 4, steps=10).repeat(3)
        _, _, broken = theirs(wrapped, inputs, labels, epsilons=epsilon)
    spec = Pgd(name="pgd", epsilon=epsilon, norm=norm, steps=10, step_size=epsilon / 4, restarts=3, precision="float64")
    outcome = measure(model, inputs, labels, torch.arange(300), spec, seed=0, batch_size=64)
    assert outcome.robust.float().mean().item() == pytest.approx((~broken).float().mean().item(), abs=0.02)
