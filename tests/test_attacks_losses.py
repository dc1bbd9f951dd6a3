from __future__ import annotations

import math

import pytest
import torch

from robustrepro.attacks.losses import attack_loss, classification_margin, cross_entropy, margin

LOGITS = torch.tensor([[2.0, -1.0, 0.5], [0.0, 3.0, 3.5]], dtype=torch.float64)
LABELS = torch.tensor([0, 1])


def test_margin_is_the_best_wrong_logit_less_the_labels():
    assert margin(LOGITS, LABELS).tolist() == [-1.5, 0.5]
    assert classification_margin(LOGITS, LABELS).tolist() == [1.5, -0.5]


def test_cross_entropy_is_per_example():
    expected = [
        math.log(sum(math.exp(z) for z in row)) - row[y] for row, y in zip(LOGITS.tolist(), [0, 1], strict=True)
    ]
    torch.testing.assert_close(cross_entropy(LOGITS, LABELS), torch.tensor(expected, dtype=torch.float64))


@pytest.mark.parametrize("name", ["cross_entropy", "margin", "training"])
def test_gradients_in_float64_match_finite_differences(name):
    chosen = attack_loss(name, lambda logits, labels: cross_entropy(logits, labels).sqrt())
    assert torch.autograd.gradcheck(lambda logits: chosen(logits, LABELS), LOGITS.clone().requires_grad_(True))


def test_the_training_loss_is_the_callers():
    def own(logits, labels):
        return logits.sum(1) * 0 + labels

    assert attack_loss("training", own) is own
    with pytest.raises(ValueError, match="no training_loss was given"):
        attack_loss("training")
