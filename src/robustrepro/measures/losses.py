"""The cross-entropy of every example of a split."""

from __future__ import annotations

import torch

from robustrepro.losses import cross_entropy
from robustrepro.measures.step import Columns
from robustrepro.measures.trained import Trained
from robustrepro.spec.measurements import Losses
from robustrepro.steps import Progress

BATCH_SIZE = 1000


@torch.no_grad()
def measure(trained: Trained, declared: Losses, progress: Progress) -> Columns:
    """Return ``index``, ``label``, ``prediction`` and ``loss``, the cross-entropy Lᵢ in nats (float32)."""
    examples = trained.examples(declared.split, declared.examples)
    progress.expect(len(examples.labels))
    logits = []
    for batch in torch.split(examples.inputs, BATCH_SIZE):
        logits.append(trained.network(batch.to(trained.device)).cpu())
        progress.advance(len(batch))
    answers = torch.cat(logits)
    return {
        "index": examples.index,
        "label": examples.labels,
        "prediction": answers.argmax(1),
        "loss": cross_entropy(answers, examples.labels),
    }
