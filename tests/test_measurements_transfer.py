"""Transfer: examples made for one model and tried on others, and what the file says of both."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from measuring import LENET, MLP, Model, checkpoint, described, measure, measured

from robustrepro.attacks.craft import craft
from robustrepro.attacks.subject import predictions
from robustrepro.datasets.tensors import Split, as_float, load
from robustrepro.errors import UserError
from robustrepro.files import sha256_of
from robustrepro.spec.attacks import crafting_attack_adapter
from robustrepro.spec.measurements import AuditTransfer

SEED = 3
EXAMPLES = 12
PGD = {"name": "pgd", "norm": "linf", "epsilon": 0.2, "steps": 2, "step_size": 0.1}
FGSM = {"name": "fgsm", "norm": "l2", "epsilon": 2.0}
RESTARTED = {**PGD, "restarts": 3}
NOISE = {"name": "noise", "norm": "linf", "epsilon": 0.3, "draws": 4}
AUTOATTACK = {"name": "autoattack", "norm": "linf", "epsilon": 0.2, "steps": 3, "square_queries": 10}
# The source itself, the same model from another seed, and another model.
TARGETS = [("source", SEED), ("source", 4), ("other", 0)]


Columns = dict[str, list[Any]]


def transferred(
    folder: Path, data: Path, attacks: list[dict[str, Any]], **parts: Any
) -> tuple[Columns, dict[str, Any], list[Path]]:
    """Measure transfer between three small networks; return the columns, their origin and the targets' checkpoints."""
    targets = [
        described(checkpoint(folder / f"{name}{seed}", LENET, seed=seed + len(name))[0], name, seed, network=LENET)
        for name, seed in TARGETS
    ]
    source: Model = ({**targets[0][0], **parts}, targets[0][1])
    declared: Any = AuditTransfer.model_validate({"kind": "audit_transfer", "attacks": attacks, "examples": EXAMPLES})
    if len(attacks) == 1:
        names = sorted({name for name, _ in TARGETS})
        declared = {"transfer": {"attack": attacks[0], "targets": names}, "examples": EXAMPLES}
    columns, origin = measured(folder / "transfer/source/seed3.parquet", data, declared, [source], targets)
    return columns, origin, [weights for _, weights in targets]


def of_target(columns: Columns, name: str, seed: int, norm: str = "linf") -> Columns:
    """Return the columns of one target under the attack in one norm."""
    keys = zip(columns["target"], columns["target_seed"], columns["norm"], strict=True)
    kept = [key == (name, seed, norm) for key in keys]
    return {key: [value for value, keep in zip(column, kept, strict=True) if keep] for key, column in columns.items()}


def images_of(data: Path) -> tuple[Split, torch.Tensor, torch.Tensor]:
    split = load(data, "test")
    return split, as_float(split.inputs[:EXAMPLES]), split.labels[:EXAMPLES]


def made_by_hand(folder: Path, data: Path, attack: dict[str, Any], **options: Any) -> torch.Tensor:
    """Return the examples that the attack makes for the source."""
    _, images, labels = images_of(data)
    _, source = checkpoint(folder / "by hand", LENET, seed=SEED + len("source"))
    declared = crafting_attack_adapter.validate_python(attack)
    return craft(source, images, labels, torch.arange(EXAMPLES), declared, seed=SEED, **options)


def test_there_is_a_row_per_image_attack_and_target_in_the_order_of_attacks_and_targets(
    digits: Path, tmp_path: Path
) -> None:
    rows, _, _ = transferred(tmp_path, digits, [PGD, FGSM])
    _, _, labels = images_of(digits)
    assert list(rows) == [
        "target",
        "target_seed",
        "norm",
        "epsilon",
        "index",
        "label",
        "clean_prediction",
        "prediction",
    ]
    parts = list(dict.fromkeys(zip(rows["norm"], rows["target"], rows["target_seed"], strict=True)))
    assert parts == [(norm, *target) for norm in ("linf", "l2") for target in TARGETS]
    assert len(rows["index"]) == EXAMPLES * len(parts)
    for name, seed in TARGETS:
        for norm, epsilon in (("linf", 0.2), ("l2", 2.0)):
            columns = of_target(rows, name, seed, norm)
            assert columns["index"] == list(range(EXAMPLES))
            assert columns["label"] == labels.tolist()
            assert set(columns["epsilon"]) == {epsilon}


@pytest.mark.parametrize(
    "attack", [PGD, FGSM, RESTARTED, NOISE, AUTOATTACK], ids=["pgd", "fgsm", "restarts", "noise", "autoattack"]
)
def test_every_target_gets_its_own_predictions_of_the_sources_examples(
    digits: Path, tmp_path: Path, attack: dict[str, Any]
) -> None:
    rows, _, _ = transferred(tmp_path, digits, [attack])
    made = made_by_hand(tmp_path, digits, attack)
    _, images, _ = images_of(digits)
    found = []
    for name, seed in TARGETS:
        _, target = checkpoint(tmp_path / "by hand", LENET, seed=seed + len(name))
        columns = of_target(rows, name, seed, attack["norm"])
        assert columns["clean_prediction"] == predictions(target, images, torch.device("cpu")).tolist()
        assert columns["prediction"] == predictions(target, made, torch.device("cpu")).tolist()
        found.append(columns["prediction"])
    assert found[0] != found[1] != found[2]


def test_an_image_is_attacked_whether_the_source_and_the_target_get_it_right_or_not(
    digits: Path, tmp_path: Path
) -> None:
    # Untrained networks get nearly everything wrong; what an attack does to such an image is written down all the same.
    rows, _, _ = transferred(tmp_path, digits, [{**PGD, "epsilon": 0.5, "step_size": 0.5}])
    columns = {name: np.array(values) for name, values in rows.items()}
    wrong = columns["clean_prediction"] != columns["label"]
    assert wrong.sum() > len(wrong) / 2
    assert (columns["prediction"] != columns["clean_prediction"])[wrong].any()


def test_the_origin_lists_the_source_and_then_the_targets_with_their_weights(digits: Path, tmp_path: Path) -> None:
    _, origin, weights = transferred(tmp_path, digits, [PGD])
    split, _, _ = images_of(digits)
    assert [(model["model"], model["seed"]) for model in origin["models"]] == [("source", SEED), *TARGETS]
    assert [model["weights_sha256"] for model in origin["models"]] == [
        sha256_of(path) for path in (weights[0], *weights)
    ]
    assert len({model["weights_sha256"] for model in origin["models"]}) == len(TARGETS)
    assert (origin["kind"], origin["code"], origin["device"]) == ("transfer", "c0de", "cpu")
    assert origin["spec"]["measure"]["attack"].items() >= PGD.items()
    assert [(target["model"], target["seed"]) for target in origin["spec"]["targets"]] == TARGETS
    assert (origin["data_manifest_sha256"], origin["data_verified"]) == (split.manifest_sha256, split.verified)


def test_the_sources_objective_is_what_an_attack_with_the_training_loss_ascends(
    digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[Any] = []

    def spy(*arguments: Any, **options: Any) -> torch.Tensor:
        given.append(options["training_loss"])
        return craft(*arguments, **options)

    monkeypatch.setattr("robustrepro.measures.transfer.craft", spy)
    transferred(tmp_path, digits, [{**PGD, "loss": "training"}], objective={"name": "hrm", "guard": 0.01})
    transferred(tmp_path, digits, [PGD])
    losses, none = given
    assert losses(torch.zeros(2, 10), torch.tensor([0, 1])).tolist() == pytest.approx([(np.log(10) + 0.01) ** 0.5] * 2)
    assert none is None


def test_points_of_the_plane_may_leave_the_range_of_pixels(moons: Path, tmp_path: Path) -> None:
    weights, model = checkpoint(tmp_path / "weights", MLP)
    fgsm = {"name": "fgsm", "norm": "linf", "epsilon": 0.5}
    declared = {"transfer": {"attack": fgsm, "targets": ["m"]}, "split": "train"}
    subject = described(weights, seed=0, network=MLP)
    rows, _ = measured(tmp_path / "transfer/m/seed0.parquet", moons, declared, [subject], [subject])
    split = load(moons, "train")
    attack = crafting_attack_adapter.validate_python(fgsm)
    indices = torch.arange(len(split.labels))
    made = craft(model, split.inputs, split.labels, indices, attack, seed=0, box=None)
    assert made.min() < 0
    assert rows["prediction"] == predictions(model, made, torch.device("cpu")).tolist()


def test_a_target_whose_checkpoint_is_missing_is_named(digits: Path, tmp_path: Path) -> None:
    weights, _ = checkpoint(tmp_path / "weights", LENET)
    declared = {"transfer": {"attack": PGD, "targets": ["other"]}, "examples": 4}
    missing, output = tmp_path / "missing", tmp_path / "transfer/m/seed0.parquet"
    target = described(missing, "other", 0, network=LENET)
    with pytest.raises(UserError, match=f"{missing}: there is no such checkpoint"):
        measure(output, digits, declared, [described(weights, network=LENET)], [target])
    assert not output.exists()


def test_the_rows_of_all_shards_are_those_of_one_piece(digits: Path, tmp_path: Path) -> None:
    whole, _, weights = transferred(tmp_path, digits, [PGD])
    subjects = [described(path, *target, network=LENET) for path, target in zip(weights, TARGETS, strict=True)]
    declared = {"transfer": {"attack": PGD, "targets": ["other", "source"]}, "examples": EXAMPLES}
    parts = [
        measured(tmp_path / f"{number}.parquet", digits, declared, subjects[:1], subjects, (number, 5))[0]
        for number in range(5)
    ]
    for target in TARGETS:
        expected = of_target(whole, *target)
        together = {name: [value for part in parts for value in of_target(part, *target)[name]] for name in whole}
        assert together == expected
