"""Adversarial examples made for one model, tried on others."""

from __future__ import annotations

from collections.abc import Sequence

from robustrepro.attacks.craft import craft
from robustrepro.attacks.subject import predictions
from robustrepro.measures.step import Columns
from robustrepro.measures.store import stacked
from robustrepro.measures.trained import Examples, Trained
from robustrepro.spec.attacks import BallAttack
from robustrepro.spec.measurements import AuditTransfer, Transfer
from robustrepro.steps import Progress


def measure(trained: Trained, declared: Transfer, progress: Progress) -> Columns:
    """Make adversarial examples for one model by one attack and try them on others; see :func:`transferred`."""
    examples = trained.examples(declared.split, declared.examples, declared.clipped)
    return transferred(trained, examples, [declared.attack], progress)


def measure_all(trained: Trained, declared: AuditTransfer, progress: Progress) -> Columns:
    """Make adversarial examples for one model in several balls and try them on others; see :func:`transferred`."""
    examples = trained.examples(declared.split, declared.examples, declared.clipped)
    return transferred(trained, examples, declared.attacks, progress)


def transferred(source: Trained, examples: Examples, attacks: Sequence[BallAttack], progress: Progress) -> Columns:
    """Return one row per image, attack and target.

    Every image is attacked to the last step, whether the source gets it right or not.

    Returns
    -------
    ``target`` and ``target_seed``, ``norm``, ``epsilon``, ``index``, ``label``, ``clean_prediction`` and
    ``prediction``, both of the target.
    """
    progress.expect(len(attacks))
    networks = [target.network for target in source.others]
    clean = [predictions(network, examples.inputs, source.device) for network in networks]
    parts = []
    for attack in attacks:
        made = craft(
            source.network,
            examples.inputs,
            examples.labels,
            examples.index,
            attack,
            seed=source.seed,
            training_loss=source.training_loss,
            box=examples.box,
        )
        parts += [
            {
                "target": target.model,
                "target_seed": target.seed,
                "norm": attack.norm,
                "epsilon": attack.epsilon,
                "index": examples.index.numpy(),
                "label": examples.labels.numpy(),
                "clean_prediction": unharmed.numpy(),
                "prediction": predictions(network, made, source.device).numpy(),
            }
            for target, network, unharmed in zip(source.others, networks, clean, strict=True)
        ]
        progress.advance(1)
    return stacked(parts)
