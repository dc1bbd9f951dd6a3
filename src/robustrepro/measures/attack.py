"""One model under one attack, image by image."""

from __future__ import annotations

from dataclasses import fields

from robustrepro.attacks.measure import measure as measure_attack
from robustrepro.attacks.minimal_distance import MinimalDistanceOutcome, measure_distances
from robustrepro.attacks.outcome import AttackOutcome
from robustrepro.measures.step import Columns
from robustrepro.measures.trained import Examples, Trained
from robustrepro.spec.attacks import FixedBudgetAttack, MinimalDistanceAttack
from robustrepro.spec.measurements import Attack
from robustrepro.steps import Progress


def measure(trained: Trained, declared: Attack, progress: Progress) -> Columns:
    """Attack a model and return what happened to each image.

    Returns
    -------
    ``index`` in its split, ``label``, ``clean_prediction``, ``prediction`` (of the adversarial image), ``clean_margin``
    and ``margin`` (logit of the label minus the largest other; below 0 is misclassified), ``linf`` and ``l2`` (how far
    the image was moved, in pixel units), ``queries`` (forward and backward passes) and ``restart`` (which one broke it;
    -1 for none). Of an attack without a bound, there are no margins and restarts, and a failure is infinitely far. Of
    one whose bound is in a metric of its own, there is also ``size``, how large the perturbation is in it.
    """
    examples = trained.examples(declared.split, declared.examples, declared.clipped)
    progress.expect(len(examples.labels))
    return columns_of(attacked(trained, declared.attack, examples, progress))


def attacked(
    trained: Trained,
    attack: FixedBudgetAttack | MinimalDistanceAttack,
    examples: Examples,
    progress: Progress,
    *,
    keep_adversarial: bool = False,
) -> AttackOutcome | MinimalDistanceOutcome:
    """Attack a model on some examples, whichever kind of attack it is; with the adversarial examples if asked for."""
    images = (trained.network, examples.inputs, examples.labels, examples.index)
    if isinstance(attack, MinimalDistanceAttack):
        return measure_distances(
            *images, attack, box=examples.box, keep_adversarial=keep_adversarial, progress=progress.advance
        )
    return measure_attack(
        *images,
        attack,
        seed=trained.seed,
        training_loss=trained.training_loss,
        box=examples.box,
        keep_adversarial=keep_adversarial,
        progress=progress.advance,
        others={other.model: other.network for other in trained.others},
    )


def columns_of(outcome: AttackOutcome | MinimalDistanceOutcome) -> Columns:
    """Return an outcome as columns."""
    values = {field.name: getattr(outcome, field.name) for field in fields(outcome)}
    return {name: column for name, column in values.items() if name != "adversarial" and column is not None}
