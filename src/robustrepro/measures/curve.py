"""One model under one attack at many ε, image by image."""

from __future__ import annotations

from robustrepro.attacks.curve import measure_curve
from robustrepro.measures.step import Columns
from robustrepro.measures.trained import Trained
from robustrepro.spec.measurements import CurveOfAttacks
from robustrepro.steps import Progress


def measure(trained: Trained, declared: CurveOfAttacks, progress: Progress) -> Columns:
    """Attack a model at every ε of a curve and return one row per image and ε, the ε of an image together.

    Returns
    -------
    ``index``, ``label``, ``epsilon``, ``clean_prediction``, ``prediction``, ``margin`` and ``queries``.
    """
    examples = trained.examples(declared.split, declared.examples, declared.clipped)
    progress.expect(len(examples.labels) * len(declared.curve.epsilons))
    outcome = measure_curve(
        trained.network,
        examples.inputs,
        examples.labels,
        examples.index,
        declared.curve,
        seed=trained.seed,
        training_loss=trained.training_loss,
        box=examples.box,
        progress=progress.advance,
    )
    return {
        "index": outcome.index,
        "label": outcome.label,
        "epsilon": outcome.epsilon,
        "clean_prediction": outcome.clean_prediction,
        "prediction": outcome.prediction,
        "margin": outcome.margin,
        "queries": outcome.queries,
    }
