from __future__ import annotations

import math

import pytest
import torch
from attack_cases import Scaled, linear_case
from torch import nn

from robustrepro.attacks.ascent import input_gradient
from robustrepro.attacks.losses import attack_loss, classification_margin, log_odds, margin
from robustrepro.attacks.measure import measure
from robustrepro.losses import cross_entropy
from robustrepro.spec.attacks import Fgsm

LOGITS = torch.tensor([[2.0, -1.0, 0.5], [0.0, 3.0, 3.5]], dtype=torch.float64)
LABELS = torch.tensor([0, 1])


def test_margin_is_the_best_wrong_logit_less_the_labels():
    assert margin(LOGITS, LABELS).tolist() == [-1.5, 0.5]
    assert classification_margin(LOGITS, LABELS).tolist() == [1.5, -0.5]


def test_log_odds_is_the_logit_of_being_wrong():
    right = LOGITS.softmax(1).gather(1, LABELS.unsqueeze(1)).squeeze(1)
    torch.testing.assert_close(log_odds(LOGITS, LABELS), ((1 - right) / right).log())


def test_log_odds_has_the_direction_of_cross_entropy():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn((50, 6), generator=generator, dtype=torch.float64)
    labels = torch.arange(50) % 6
    model = nn.Identity()
    _, exact = input_gradient(model, logits, labels, cross_entropy)
    _, own = input_gradient(model, logits, labels, log_odds)
    wrong = 1 - logits.softmax(1).gather(1, labels.unsqueeze(1))
    torch.testing.assert_close(own * wrong, exact)


def test_log_odds_breaks_a_confident_linear_model_whose_cross_entropy_has_no_gradient():
    model, inputs, labels, _ = linear_case((6,))
    labels = model(inputs).argmax(1)
    confident = nn.Sequential(model, Scaled(1000.0)).float().eval()
    inputs = inputs.float()
    far = classification_margin(confident(inputs), labels) > 110
    assert far.sum() > 20
    _, gradient = input_gradient(confident, inputs, labels, cross_entropy)
    assert (gradient[far] == 0).all()

    def robust(loss):
        spec = Fgsm(name="fgsm", epsilon=0.5, loss=loss)
        return measure(confident, inputs, labels, torch.arange(len(labels)), spec, seed=0).robust

    assert robust("cross_entropy")[far].all()
    assert not robust("log_odds").any()


def test_cross_entropy_is_per_example():
    expected = [
        math.log(sum(math.exp(z) for z in row)) - row[y] for row, y in zip(LOGITS.tolist(), [0, 1], strict=True)
    ]
    torch.testing.assert_close(cross_entropy(LOGITS, LABELS), torch.tensor(expected, dtype=torch.float64))


@pytest.mark.parametrize("name", ["cross_entropy", "margin", "log_odds", "training"])
def test_gradients_in_float64_match_finite_differences(name):
    chosen = attack_loss(name, lambda logits, labels: cross_entropy(logits, labels).sqrt())
    assert torch.autograd.gradcheck(lambda logits: chosen(logits, LABELS), LOGITS.clone().requires_grad_(True))


def test_the_training_loss_is_the_callers():
    def own(logits, labels):
        return logits.sum(1) * 0 + labels

    assert attack_loss("training", own) is own
    with pytest.raises(ValueError, match="no training_loss was given"):
        attack_loss("training")
