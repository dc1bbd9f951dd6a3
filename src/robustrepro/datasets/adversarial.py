"""Data sets made from a model: the adversarial examples that fool it."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from robustrepro import provenance
from robustrepro.attacks.craft import craft
from robustrepro.attacks.measure import measure
from robustrepro.attacks.threat_models import UNIT_BOX, Box
from robustrepro.datasets.examples import AttackedModel, Examples, Ingredients, MadeDataset, Origins
from robustrepro.datasets.manifest import MANIFEST, AttackRecord, MadeFrom, ModelRecord, read_manifest
from robustrepro.datasets.tensors import as_float, load
from robustrepro.devices import claimed_device, device_name
from robustrepro.errors import UserError
from robustrepro.files import sha256_of
from robustrepro.models.build import load_network
from robustrepro.spec.attacks import BallAttack, Clean
from robustrepro.spec.datasets import AdversarialDataset
from robustrepro.spec.networks import Network

log = logging.getLogger("robustrepro")


def make(declared: AdversarialDataset, ingredients: Ingredients) -> MadeDataset:
    """Attack every image of a split that the model gets right, and keep each point that fools it.

    The rows are in the order of the attacks, and under each attack in the order of the images. The points are kept in
    float32, since 8 bits would move them; originals, where these are what is to be stored, as their data set has them.

    Raises
    ------
    UserError
        If the data set or the checkpoint is not as described, or no attack fools the model on any image.
    RuntimeError
        If the model gets a kept example right, which is a fault of this program.
    """
    folder, attacked = ingredients.original, ingredients.attacked
    if folder is None or attacked is None:
        raise ValueError(f"'{declared.name}' is made from a model; its checkpoint or its data set is missing")
    original, split = read_manifest(folder), load(folder, declared.split)
    box = UNIT_BOX if declared.clipped else None
    if box is not None and split.box is None:
        unclipped = f"the inputs of '{original.name}' have no range of pixels; clipped: false is expected"
        raise UserError(f"datasets.{declared.name}: {unclipped}")
    with claimed_device() as device:
        network = Network.model_validate(attacked.network, strict=False)
        model = load_network(attacked.weights, network, tuple(split.inputs.shape[1:]), split.classes).to(device)
        target = _Target(f"datasets.{declared.name}: {attacked.model}", model, box, attacked.attack_seed)
        test, attacks = _fooling(target, split.inputs, split.labels, declared.attacks)
        record = _model_record(attacked, device_name(device))
    in_range = box is not None
    if declared.stored == "originals":
        test, in_range = _originals_of(test), split.box is not None
    log.info("%s: %d examples, each of which fools %s", declared.name, len(test.labels), attacked.model)
    made_from = MadeFrom(
        dataset=original.name,
        manifest_sha256=sha256_of(folder / MANIFEST),
        clipped=in_range,
        model=record,
        attacks=attacks,
    )
    source = f"{original.source}, attacked where {attacked.model} was right"
    return MadeDataset(None, test, original.classes, source, original.differing, made_from)


@dataclass(frozen=True)
class _Target:
    """The model under attack, the range of its valid pixels, and the seed of the attacks' random starts.

    ``called`` is what messages call the model, and where it was declared.
    """

    called: str
    model: nn.Module
    box: Box
    seed: int

    def gets_right(self, images: Tensor, labels: Tensor, indices: Tensor) -> Tensor:
        """Return which images the model classifies correctly, bool, shape (N,)."""
        return measure(self.model, images, labels, indices, Clean(), seed=self.seed, box=self.box).robust

    def points_of(self, images: Tensor, labels: Tensor, indices: Tensor, attack: BallAttack) -> Tensor:
        """Return what the attack makes of the images, float32, shape of the images."""
        return craft(self.model, images, labels, indices, attack, seed=self.seed, box=self.box).float()


def _fooling(
    target: _Target, stored: Tensor, labels: Tensor, attacks: list[BallAttack]
) -> tuple[Examples, tuple[AttackRecord, ...]]:
    """Return the adversarial examples that fool the model, and how many each attack gave.

    Parameters
    ----------
    target
        The model under attack.
    stored, labels
        The split as it is stored, uint8 or float32, shape (N, ...), and int64, shape (N,).
    attacks
        The attacks, each on every image that the model gets right.
    """
    images = as_float(stored)
    candidates = target.gets_right(images, labels, torch.arange(len(labels))).nonzero().flatten()
    if len(candidates) == 0:
        raise UserError(f"{target.called} gets no image of the split right, so none can be attacked. Train it longer")
    points, indices, numbers, records = [], [], [], []
    for number, attack in enumerate(attacks):
        reached = target.points_of(images[candidates], labels[candidates], candidates, attack)
        fooled = ~target.gets_right(reached, labels[candidates], candidates)
        points.append(reached[fooled])
        indices.append(candidates[fooled])
        numbers.append(torch.full((int(fooled.sum()),), number))
        records.append(_attack_record(attack, len(candidates), int(fooled.sum())))
        log.info("attack %d (%s): %d of %d images fool the model", number, attack.name, int(fooled.sum()), len(fooled))
    index, kept = torch.cat(indices), torch.cat(points)
    _require_all_wrong(target, kept, labels[index], index)
    origins = Origins(index.numpy(), torch.cat(numbers).numpy(), stored[index].numpy())
    return Examples(kept.numpy(), labels[index].numpy(), origins), tuple(records)


def _originals_of(examples: Examples) -> Examples:
    """Return what adversarial examples were made of, in their order, each with where it is from."""
    origins = examples.origins
    assert origins is not None
    assert origins.inputs is not None
    return Examples(origins.inputs, examples.labels, Origins(origins.index, origins.attack))


def _require_all_wrong(target: _Target, points: Tensor, labels: Tensor, indices: Tensor) -> None:
    """Refuse an empty set, and one on which the model's accuracy is not 0."""
    if len(points) == 0:
        raise UserError(f"{target.called} is fooled on no image by any attack, so the set is empty. Raise epsilon")
    right = int(target.gets_right(points, labels, indices).sum())
    if right:
        message = f"{target.called} gets {right} of {len(points)} examples right that were kept because they fool it"
        raise RuntimeError(message)


def _attack_record(attack: BallAttack, attacked: int, kept: int) -> AttackRecord:
    return AttackRecord(
        name=attack.name,
        norm=getattr(attack, "norm", None),
        epsilon=getattr(attack, "epsilon", None),
        declared=attack.model_dump(mode="json"),
        attacked=attacked,
        kept=kept,
    )


def _model_record(attacked: AttackedModel, device: str) -> ModelRecord:
    return ModelRecord(
        model=attacked.model,
        seed=attacked.seed,
        network=dict(attacked.network),
        weights_sha256=sha256_of(attacked.weights),
        attack_seed=attacked.attack_seed,
        code=attacked.code,
        device=device,
        versions=provenance.versions(),
    )
