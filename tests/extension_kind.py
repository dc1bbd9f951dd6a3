"""A kind of measurement that the package does not have, as a user would add it: its declaration and its function."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch

from robustrepro.measures.step import Columns
from robustrepro.measures.trained import Trained
from robustrepro.spec.measurements import KINDS, OfExamples
from robustrepro.steps import Progress


class Confidence(OfExamples):
    """The probability of the predicted class at a temperature."""

    implementation: ClassVar[str] = "extension_kind:measure"
    kind: Literal["confidence"]
    temperature: float = 1.0


KINDS["confidence"] = Confidence


@torch.no_grad()
def measure(trained: Trained, declared: Confidence, progress: Progress) -> Columns:
    """Return ``index``, ``label``, ``prediction`` and ``confidence`` of every example."""
    examples = trained.examples(declared.split, declared.examples)
    progress.expect(len(examples.labels))
    probability, prediction = (trained.network(examples.inputs) / declared.temperature).softmax(1).max(1)
    progress.advance(len(examples.labels))
    return {"index": examples.index, "label": examples.labels, "prediction": prediction, "confidence": probability}
