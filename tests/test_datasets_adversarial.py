"""Data sets made from a model: what is kept, what each row says of its origin, and what is refused."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from robustrepro.attacks.measure import measure
from robustrepro.attacks.norms import NORMS
from robustrepro.attacks.outcome import AttackOutcome
from robustrepro.datasets import adversarial
from robustrepro.datasets.examples import AttackedModel
from robustrepro.datasets.manifest import Manifest, read_manifest
from robustrepro.datasets.originals import load_originals
from robustrepro.datasets.prepare import prepare
from robustrepro.datasets.step import run
from robustrepro.datasets.tensors import as_float, load
from robustrepro.errors import UserError
from robustrepro.files import sha256_of
from robustrepro.models.build import build_network, load_network
from robustrepro.spec.attacks import Clean
from robustrepro.spec.datasets import AdversarialDataset, dataset_of
from robustrepro.spec.networks import Network
from robustrepro.steps import Work

NETWORK = {"architecture": {"name": "mlp", "hidden": [16]}, "preprocessing": []}
LINF = {"name": "pgd", "epsilon": 0.1, "steps": 5, "step_size": 0.05}
L2 = {"name": "fgsm", "norm": "l2", "epsilon": 1.5}


def declared_set(*attacks: dict[str, Any], **options: object) -> AdversarialDataset:
    declared = dataset_of("fooling", {"adversarial": {"model": "mlp", "attacks": list(attacks), **options}}, "datasets")
    assert isinstance(declared, AdversarialDataset)
    return declared


@dataclass(frozen=True)
class Baseline:
    """A small network that is right on most images of a data set, but not on all."""

    original: Path
    attacked: AttackedModel

    def make(self, folder: Path, declared: AdversarialDataset, *, attack_seed: int = 0) -> Manifest:
        attacked = replace(self.attacked, attack_seed=attack_seed)
        return prepare(declared, folder, original=self.original, attacked=attacked)

    def network(self) -> nn.Module:
        split = load(self.original, "test")
        network = Network.model_validate(self.attacked.network, strict=False)
        return load_network(self.attacked.weights, network, tuple(split.inputs.shape[1:]), split.classes)


def trained(original: Path, folder: Path, steps: int) -> Baseline:
    split = load(original, "test")
    network = Network.model_validate(NETWORK, strict=False)
    model = build_network(network, tuple(split.inputs.shape[1:]), split.classes, seed=0)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(steps):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(as_float(split.inputs)), split.labels).backward()
        optimizer.step()
    save_file(model.state_dict(), folder / "weights.safetensors")
    attacked = AttackedModel("mlp", 3, NETWORK, folder / "weights.safetensors", attack_seed=0, code="digest")
    return Baseline(original, attacked)


@pytest.fixture(scope="module")
def baseline(digits: Path, tmp_path_factory: pytest.TempPathFactory) -> Baseline:
    return trained(digits, tmp_path_factory.mktemp("digits-model"), steps=15)


@pytest.fixture(scope="module")
def on_points(moons: Path, tmp_path_factory: pytest.TempPathFactory) -> Baseline:
    return trained(moons, tmp_path_factory.mktemp("moons-model"), steps=50)


def right(model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    with torch.no_grad():
        return model(images).argmax(1) == labels


def test_the_model_is_wrong_on_every_example_and_right_on_its_original(baseline: Baseline, tmp_path: Path):
    baseline.make(tmp_path, declared_set(LINF, L2))
    made, original, model = load(tmp_path, "test"), load(baseline.original, "test"), baseline.network()
    assert made.inputs.dtype == torch.float32
    assert made.origins is not None
    origins = as_float(original.inputs)[made.origins.index]
    assert torch.equal(made.labels, original.labels[made.origins.index])
    assert torch.equal(load_originals(tmp_path), original.inputs[made.origins.index])
    assert not right(model, made.inputs, made.labels).any()
    assert right(model, origins, made.labels).all()
    outcome = measure(model, made.inputs, made.labels, torch.arange(len(made.labels)), Clean(), seed=0, box=made.box)
    assert not outcome.robust.any()


def test_each_row_lies_in_the_ball_of_the_attack_that_it_names(baseline: Baseline, tmp_path: Path):
    manifest = baseline.make(tmp_path, declared_set(LINF, L2))
    made, original = load(tmp_path, "test"), load(baseline.original, "test")
    assert made.origins is not None
    assert [(attack.name, attack.norm, attack.epsilon) for attack in made.origins.attacks] == [
        ("pgd", "linf", 0.1),
        ("fgsm", "l2", 1.5),
    ]
    difference = made.inputs - as_float(original.inputs)[made.origins.index]
    for number, attack in enumerate(made.origins.attacks):
        rows = made.origins.attack == number
        assert attack.kept == int(rows.sum()) > 0
        assert float(NORMS[attack.norm].length(difference[rows]).max()) <= attack.epsilon * (1 + 1e-5)
        assert (made.origins.index[rows].diff() > 0).all()
    attacked = int(right(baseline.network(), as_float(original.inputs), original.labels).sum())
    assert 0 < attacked < len(original.labels)
    assert {attack.attacked for attack in made.origins.attacks} == {attacked}
    assert manifest.test.examples == sum(attack.kept for attack in made.origins.attacks)


@pytest.mark.parametrize("clipped", [True, False])
def test_the_originals_can_be_stored_instead_in_the_same_order(baseline: Baseline, tmp_path: Path, clipped: bool):
    attacked, asked = tmp_path / "attacked", tmp_path / "originals"
    baseline.make(attacked, declared_set(LINF, L2, clipped=clipped))
    manifest = baseline.make(asked, declared_set(LINF, L2, clipped=clipped, stored="originals"))
    examples, originals, source = load(attacked, "test"), load(asked, "test"), load(baseline.original, "test")
    assert originals.inputs.dtype == source.inputs.dtype
    assert torch.equal(originals.inputs, load_originals(attacked))
    assert torch.equal(originals.labels, examples.labels)
    assert originals.origins is not None
    assert examples.origins is not None
    assert torch.equal(originals.origins.index, examples.origins.index)
    assert torch.equal(originals.origins.attack, examples.origins.attack)
    assert right(baseline.network(), as_float(originals.inputs), originals.labels).all()
    # They have the range of the images that they are, whether the examples left it or not.
    assert originals.box == (0.0, 1.0)
    assert manifest.test.examples == len(examples.labels)
    with pytest.raises(UserError, match="no originals of adversarial examples"):
        load_originals(asked)


def test_pixels_stay_in_the_unit_box_unless_there_is_none(baseline: Baseline, tmp_path: Path):
    baseline.make(tmp_path / "clipped", declared_set(LINF))
    baseline.make(tmp_path / "unclipped", declared_set(LINF, clipped=False))
    clipped, unclipped = load(tmp_path / "clipped", "test"), load(tmp_path / "unclipped", "test")
    assert (float(clipped.inputs.min()), clipped.box) == (0.0, (0.0, 1.0))
    assert float(unclipped.inputs.min()) < -0.05
    assert unclipped.box is None


def test_examples_in_the_plane_need_to_be_declared_without_a_box(on_points: Baseline, tmp_path: Path):
    attack = {"name": "fgsm", "epsilon": 0.5}
    with pytest.raises(UserError, match=r"datasets\.fooling: .* 'two_moons' have no range of pixels; clipped: false"):
        on_points.make(tmp_path / "out", declared_set(attack))
    assert not (tmp_path / "out").exists()
    on_points.make(tmp_path / "out", declared_set(attack, clipped=False))
    made = load(tmp_path / "out", "test")
    assert not right(on_points.network(), made.inputs, made.labels).any()


def test_the_training_images_are_attacked_when_they_are_asked_for(baseline: Baseline, tmp_path: Path):
    baseline.make(tmp_path, declared_set(LINF, split="train"))
    made, original = load(tmp_path, "test"), load(baseline.original, "train")
    assert made.origins is not None
    difference = made.inputs - as_float(original.inputs)[made.origins.index]
    assert float(difference.abs().max()) <= 0.1 * (1 + 1e-5)


def test_there_is_no_training_split(baseline: Baseline, tmp_path: Path):
    baseline.make(tmp_path, declared_set(LINF))
    with pytest.raises(UserError, match=r"the data set 'fooling' has no training split.*of 'digits'"):
        load(tmp_path, "train")


def test_the_same_bytes_come_out_of_a_second_run_and_others_of_another_seed(baseline: Baseline, tmp_path: Path):
    first, second = (baseline.make(tmp_path / folder, declared_set(LINF)) for folder in ("a", "b"))
    assert first == second
    for file in ("test.safetensors", "manifest.json"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
    assert baseline.make(tmp_path / "c", declared_set(LINF), attack_seed=1).test.sha256 != first.test.sha256


def test_the_step_follows_a_set_down_to_the_bytes_that_it_was_made_from(baseline: Baseline, tmp_path: Path):
    declared = declared_set(LINF, L2)
    spec = {
        "dataset": json.loads(json.dumps(declared.model_dump(mode="json"))),
        "declared_by": "robustrepro.spec.datasets:AdversarialDataset",
        "allow_unverified": False,
        "seed": 3,
        "attack_model": {"model": "mlp", "seed": 3, "network": NETWORK},
    }
    inputs = {"source": [baseline.original / "manifest.json"], "weights": [baseline.attacked.weights]}
    run(Work(spec, "the digest", inputs, [tmp_path / "manifest.json"]))
    made = read_manifest(tmp_path).made_from
    assert made is not None
    assert made.model is not None
    assert (made.dataset, made.manifest_sha256) == ("digits", sha256_of(baseline.original / "manifest.json"))
    assert (made.model.model, made.model.seed, made.model.attack_seed) == ("mlp", 3, 3)
    assert made.model.weights_sha256 == sha256_of(baseline.attacked.weights)
    assert (made.model.code, made.model.device, made.model.network) == ("the digest", "cpu", NETWORK)
    assert made.attacks is not None
    assert [attack.declared["name"] for attack in made.attacks] == ["pgd", "fgsm"]


def test_attacks_that_fool_the_model_nowhere_leave_what_was_there_before(baseline: Baseline, tmp_path: Path):
    before = baseline.make(tmp_path, declared_set(LINF))
    with pytest.raises(UserError, match=r"datasets\.fooling: mlp is fooled on no image by any attack"):
        baseline.make(tmp_path, declared_set({"name": "fgsm", "epsilon": 1e-9}))
    assert read_manifest(tmp_path) == before
    assert len(load(tmp_path, "test").labels) == before.test.examples


def test_a_missing_checkpoint_is_named(baseline: Baseline, tmp_path: Path):
    absent = replace(baseline, attacked=replace(baseline.attacked, weights=tmp_path / "absent.safetensors"))
    with pytest.raises(UserError, match=r"absent\.safetensors: there is no such checkpoint"):
        absent.make(tmp_path / "out", declared_set(LINF))
    assert not (tmp_path / "out").exists()


def test_an_example_that_the_model_gets_right_after_all_is_a_fault(
    baseline: Baseline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    judgements = 0

    def forgetful(model: nn.Module, images: Tensor, labels: Tensor, *arguments: Any, **options: Any) -> AttackOutcome:
        # Of the originals, of the attacked images, and at last of what was kept: here the model is right again.
        nonlocal judgements
        judgements += 1
        outcome = measure(model, images, labels, *arguments, **options)
        return replace(outcome, prediction=labels, clean_prediction=labels) if judgements == 3 else outcome

    monkeypatch.setattr(adversarial, "measure", forgetful)
    with pytest.raises(RuntimeError, match=r"gets (\d+) of \1 examples right that were kept because they fool it"):
        baseline.make(tmp_path / "out", declared_set(LINF))
    assert not (tmp_path / "out").exists()
