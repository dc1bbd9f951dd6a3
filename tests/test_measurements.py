"""Measurements of trained models: what their columns hold and what their files say of their origin."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import TRAIN_POINTS
from measuring import CODE, LENET, MLP, Model, checkpoint, described, measure, measured, read, spec_of
from safetensors.torch import load_file
from torch import nn

from robustrepro.attacks.curve import measure_curve
from robustrepro.attacks.measure import measure as measure_attack
from robustrepro.attacks.minimal_distance import measure_distances
from robustrepro.datasets.prepare import prepare
from robustrepro.datasets.tensors import as_float, load
from robustrepro.errors import UserError
from robustrepro.files import sha256_of
from robustrepro.measures import step
from robustrepro.measures.decision_boundary import BORDER, grid_over
from robustrepro.measures.parameter_distance import squared_differences
from robustrepro.measures.step import Columns, Measured
from robustrepro.measures.trained import Trained
from robustrepro.precision import float32_products
from robustrepro.provenance import processor
from robustrepro.spec.attacks import attack_adapter
from robustrepro.spec.datasets import dataset_spec
from robustrepro.spec.measurements import measure_of

CLEAN = {"attack": {"name": "clean"}}
PGD = {"name": "pgd", "epsilon": 0.1, "steps": 2, "step_size": 0.05}
CURVE = {"epsilons": [0.02, 0.05, 0.2], "attack": {"name": "pgd", "steps": 2, "relative_step": 0.5}}
DEEPFOOL = {"attack": {"name": "deepfool", "steps": 5}}


def of_network(folder: Path, network: dict[str, Any] = LENET, **parts: Any) -> Model:
    """Return a network with random weights, its checkpoint in the folder."""
    return described(checkpoint(folder / "weights", network)[0], network=network, **parts)


def attacked(
    data: Path, folder: Path, declared: dict[str, Any], network: dict[str, Any] = LENET, **parts: Any
) -> tuple[dict[str, list[Any]], dict[str, Any]]:
    return measured(folder / "attack/m/seed3.parquet", data, declared, [of_network(folder, network, **parts)])


# -- what every file says of its origin ----------------------------------------------------------------------


def test_the_origin_has_the_spec_the_code_the_weights_the_data_and_what_it_took(digits: Path, tmp_path: Path) -> None:
    subject = of_network(tmp_path)
    _, origin = measured(tmp_path / "out/m/seed3.parquet", digits, CLEAN, [subject])
    split = load(digits, "test")
    assert origin["spec"] == spec_of(CLEAN, [subject])
    assert origin["models"] == [{"model": "m", "seed": 3, "weights_sha256": sha256_of(tmp_path / "weights")}]
    assert (origin["kind"], origin["code"], origin["device"]) == ("attack", CODE, "cpu")
    assert (origin["data_manifest_sha256"], origin["data_verified"]) == (split.manifest_sha256, split.verified)
    assert {"commit", "versions", "seconds", "cpu_seconds", "peak_memory_mb", "columns_sha256"} <= origin.keys()
    assert (origin["processor"], origin["threads"]) == (processor(), torch.get_num_threads())
    assert "notes" not in origin


def test_the_origin_has_the_machine_of_the_weights_as_far_as_their_card_says(digits: Path, tmp_path: Path) -> None:
    subject = of_network(tmp_path)
    sha256 = sha256_of(tmp_path / "weights")
    machine = {"device": "a GPU", "processor": "Another"}
    cards: list[tuple[str, dict[str, str] | None]] = [
        (json.dumps({"weights_sha256": sha256, **machine, "seed": 3}), machine),
        (json.dumps({"weights_sha256": sha256, "device": "cpu"}), {"device": "cpu"}),  # an old one
        (json.dumps({"weights_sha256": sha256, "device": "cpu", "source_made_on": machine}), machine),  # a copy
        (json.dumps({"weights_sha256": sha256, "device": "cpu", "source_made_on": None}), {"device": "cpu"}),
        (json.dumps({"weights_sha256": "of other weights", **machine}), None),
        ("{", None),
    ]
    for text, expected in cards:
        (tmp_path / "card.json").write_text(text)
        _, origin = measured(tmp_path / "out/m/seed3.parquet", digits, CLEAN, [subject])
        assert origin["models_made_on"] == [expected]
    (tmp_path / "card.json").unlink()
    _, origin = measured(tmp_path / "out/m/seed3.parquet", digits, CLEAN, [subject])
    assert origin["models_made_on"] == [None]


def test_the_notes_of_a_kind_come_back(moons: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def with_notes(trained: Trained, *_: Any) -> Measured:
        return Measured({"index": np.arange(2)}, {"seen": [trained.model, trained.seed]})

    monkeypatch.setattr("robustrepro.measures.losses.measure", with_notes)
    columns, origin = measured(tmp_path / "out/m/seed3.parquet", moons, {"losses": {}}, [of_network(tmp_path, MLP)])
    assert columns == {"index": [0, 1]}
    assert origin["notes"] == {"seen": ["m", 3]}


def test_tf32_is_off_while_something_is_measured(moons: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    backends = (torch.backends.cuda.matmul, torch.backends.cudnn.conv)  # type: ignore[attr-defined]
    seen: list[list[str]] = []

    def looking(*_: Any) -> Columns:
        seen.append([backend.fp32_precision for backend in backends])
        return {"index": np.arange(1)}

    monkeypatch.setattr("robustrepro.measures.losses.measure", looking)
    with float32_products("tf32"):
        measure(tmp_path / "out/m/seed3.parquet", moons, {"losses": {}}, [of_network(tmp_path, MLP)])
        assert [backend.fp32_precision for backend in backends] == ["tf32", "tf32"]
    assert seen == [["ieee", "ieee"]]


@pytest.mark.parametrize(
    ("output", "shard"),
    [("measurements/clean/m/seed3.parquet", None), ("shards/clean/m/seed3/0-of-2.parquet", (0, 2))],
    ids=["whole", "shard"],
)
def test_progress_names_the_model_the_seed_and_the_measure(
    moons: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, output: str, shard: tuple[int, int] | None
) -> None:
    names: list[str] = []

    class Recorded(step.Progress):
        def __init__(self, description: str) -> None:
            super().__init__(description)
            names.append(description)

    monkeypatch.setattr(step, "Progress", Recorded)
    measure(tmp_path / output, moons, CLEAN, [of_network(tmp_path, MLP)], shard=shard)
    assert names == ["m, seed 3, clean"]


def test_a_checkpoint_is_not_changed_by_a_measurement(digits: Path, tmp_path: Path) -> None:
    weights, _ = checkpoint(tmp_path / "weights", LENET)
    before = load_file(weights)
    attacked(digits, tmp_path, {"attack": {"name": "fgsm", "epsilon": 0.1}, "examples": 4})
    after = load_file(weights)
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_a_missing_checkpoint_is_named_and_nothing_is_written(digits: Path, tmp_path: Path) -> None:
    missing, output = tmp_path / "missing", tmp_path / "out/m/seed3.parquet"
    with pytest.raises(UserError, match=f"{missing}: there is no such checkpoint"):
        measure(output, digits, CLEAN, [described(missing, network=LENET)])
    assert not output.exists()


# -- the data that is measured on ----------------------------------------------------------------------------


def test_the_split_and_the_number_of_examples_are_as_declared(digits: Path, tmp_path: Path) -> None:
    train, _ = attacked(digits, tmp_path, {**CLEAN, "split": "train"})
    assert train["label"] == load(digits, "train").labels.tolist()
    first, _ = attacked(digits, tmp_path, {**CLEAN, "split": "train", "examples": 7})
    for name, values in train.items():
        assert first[name] == pytest.approx(values[:7], abs=1e-6)
    every, _ = attacked(digits, tmp_path, {**CLEAN, "split": "train", "examples": 10_000})
    assert every == train


def test_a_measure_on_another_data_set_is_of_the_images_that_it_is_handed(digits: Path, tmp_path: Path) -> None:
    update = {"train_examples": 12, "test_examples": 11}
    other = tmp_path / "other"
    prepare(dataset_spec("digits").model_copy(update=update), other, mirror=None, allow_unverified=False)
    columns, origin = attacked(other, tmp_path, {**CLEAN, "data": "eleven-digits"})
    split = load(other, "test")
    _, model = checkpoint(tmp_path / "again", LENET)
    with torch.no_grad():
        expected = model(as_float(split.inputs)).argmax(1).tolist()
    assert (len(columns["label"]), columns["prediction"]) == (11, expected)
    assert origin["spec"]["measure"]["data"] == "eleven-digits"
    assert origin["data_manifest_sha256"] == split.manifest_sha256 != load(digits, "test").manifest_sha256


@pytest.mark.parametrize(
    ("declared", "examples"),
    [
        ({"attack": PGD, "examples": 11}, 11),
        ({"curve": CURVE, "examples": 10}, 10),
        ({**DEEPFOOL, "examples": 7}, 7),
        ({"losses": {}, "split": "train"}, 40),
    ],
    ids=["attack", "curve", "minimal distance", "losses"],
)
def test_the_rows_of_all_shards_are_those_of_one_piece(
    digits: Path, tmp_path: Path, declared: dict[str, Any], examples: int
) -> None:
    subject = of_network(tmp_path)
    whole, _ = measured(tmp_path / "whole/m/seed3.parquet", digits, declared, [subject])
    shards = [read(measure(tmp_path / f"{n}.parquet", digits, declared, [subject], shard=(n, 3))) for n in range(3)]
    assert sorted({index for columns, _ in shards for index in columns["index"]}) == list(range(examples))
    assert all(len(columns["index"]) >= examples // 3 for columns, _ in shards)
    for name, values in whole.items():
        together = [value for columns, _ in shards for value in columns[name]]
        # A batch of other examples rounds the last bits of a margin differently, but decides nothing.
        assert together == pytest.approx(values, abs=1e-5)
        if name in {"index", "label", "clean_prediction", "prediction", "queries", "restart"}:
            assert together == values
    assert [origin["spec"]["shard"] for _, origin in shards] == [[0, 3], [1, 3], [2, 3]]


# -- distances between parameters ----------------------------------------------------------------------------


def test_the_distance_is_that_of_the_two_parameter_vectors(tmp_path: Path) -> None:
    paths, models = zip(*(checkpoint(tmp_path / f"{seed}", MLP, seed=seed) for seed in (0, 1)), strict=True)
    pair = [described(path, name, 4) for path, name in zip(paths, "ab", strict=True)]
    columns, origin = measured(tmp_path / "distance/a+b/seed4.parquet", None, {"parameter_distance": {}}, pair)
    first, second = (nn.utils.parameters_to_vector(model.parameters()).double() for model in models)
    assert np.sqrt(sum(columns["squared_difference"])) == pytest.approx(torch.dist(first, second).item(), rel=1e-12)
    assert sum(columns["parameters"]) == len(first)
    assert columns["tensor"] == sorted(models[0].state_dict())
    assert [model["weights_sha256"] for model in origin["models"]] == [sha256_of(path) for path in paths]
    assert [(model["model"], model["seed"]) for model in origin["models"]] == [("a", 4), ("b", 4)]
    assert "data_manifest_sha256" not in origin


def test_squares_are_summed_in_double_precision() -> None:
    first = {"weight": np.array([1e4, 1.0, 1.0], dtype=np.float32)}
    second = {"weight": np.zeros(3, dtype=np.float32)}
    assert squared_differences(first, second) == {"weight": 1e8 + 2}


def test_models_of_different_shapes_have_no_distance(tmp_path: Path) -> None:
    wider = {"architecture": {"name": "mlp", "hidden": [5]}}
    pair = [described(checkpoint(tmp_path / name, network)[0], name) for name, network in (("a", MLP), ("b", wider))]
    with pytest.raises(UserError, match="a and b: the two models do not have the same parameters"):
        measure(tmp_path / "out/a+b/seed3.parquet", None, {"parameter_distance": {}}, pair)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("content", [None, b"", b"\x40\0\0\0\0\0\0\0{"], ids=["missing", "empty", "truncated"])
def test_an_unreadable_checkpoint_is_named(tmp_path: Path, content: bytes | None) -> None:
    bad = tmp_path / "bad"
    if content is not None:
        bad.write_bytes(content)
    pair = [described(checkpoint(tmp_path / "a", MLP)[0], "a"), described(bad, "b")]
    with pytest.raises(UserError, match=f"{bad}: unreadable or truncated checkpoint"):
        measure(tmp_path / "out/a+b/seed3.parquet", None, {"parameter_distance": {}}, pair)


# -- decision boundaries -------------------------------------------------------------------------------------


def test_the_grid_goes_row_by_row_over_the_points_and_a_border() -> None:
    grid = grid_over(torch.tensor([[0.0, 10.0], [2.0, 14.0], [1.0, 11.0]]), 3)
    x, y = (0 - BORDER * 2, 1.0, 2 + BORDER * 2), (10 - BORDER * 4, 12.0, 14 + BORDER * 4)
    torch.testing.assert_close(grid, torch.tensor([[right, up] for up in y for right in x]))


def test_a_boundary_is_the_model_on_the_grid_and_on_its_training_points(moons: Path, tmp_path: Path) -> None:
    _, model = checkpoint(tmp_path / "weights", MLP)
    declared = {"decision_boundary": {"resolution": 20}}
    columns, origin = measured(tmp_path / "grid/m/seed3.parquet", moons, declared, [of_network(tmp_path, MLP)])
    split = load(moons, "train")
    assert columns["part"] == ["grid"] * 400 + ["train"] * TRAIN_POINTS
    points = torch.tensor([columns["x"], columns["y"]]).T
    assert torch.equal(points[400:], split.inputs)
    assert torch.equal(points[:400], grid_over(split.inputs, 20))
    assert columns["label"] == [-1] * 400 + split.labels.tolist()
    with torch.no_grad():
        probability = model(points).softmax(1)
    assert np.allclose(columns["probability"], probability[:, 1], atol=1e-6)
    assert columns["prediction"] == probability.argmax(1).tolist()
    assert origin["kind"] == "decision_boundary"
    assert origin["spec"]["measure"] == {"kind": "decision_boundary", "resolution": 20}


# -- attacks -------------------------------------------------------------------------------------------------


def test_a_clean_measurement_is_the_models_own_prediction(digits: Path, tmp_path: Path) -> None:
    columns, origin = attacked(digits, tmp_path, CLEAN)
    split = load(digits, "test")
    _, model = checkpoint(tmp_path / "weights", LENET)
    with torch.no_grad():
        logits = model(as_float(split.inputs))
    assert columns["label"] == split.labels.tolist()
    assert columns["index"] == list(range(len(split.labels)))
    assert columns["prediction"] == columns["clean_prediction"] == logits.argmax(1).tolist()
    assert set(columns["linf"] + columns["l2"]) == {0.0}
    declared = {"kind": "attack", "split": "test", "clipped": True, "attack": {"name": "clean"}}
    assert origin["spec"]["measure"] == declared


@pytest.mark.parametrize("kind", ["attack", "curve"])
def test_unless_it_is_clipped_an_attack_leaves_the_range_of_pixels_and_breaks_more(
    digits: Path, tmp_path: Path, kind: str
) -> None:
    fgsm = {"name": "fgsm", "epsilon": 0.1}
    declared = {"attack": {"attack": fgsm}, "curve": {"curve": {"epsilons": [0.1], "attack": {"name": "fgsm"}}}}[kind]
    clipped, _ = attacked(digits, tmp_path, declared)
    free, _ = attacked(digits, tmp_path, {**declared, "clipped": False})
    assert np.less_equal(free["margin"], np.add(clipped["margin"], 1e-6)).mean() > 0.9
    assert np.mean(free["margin"]) < np.mean(clipped["margin"])
    if kind == "attack":  # black pixels went below 0
        assert np.mean(free["l2"]) > 1.2 * np.mean(clipped["l2"])


def test_an_attacked_image_stays_within_its_ball(digits: Path, tmp_path: Path) -> None:
    columns, _ = attacked(digits, tmp_path, {"attack": PGD, "examples": 12})
    moved = [distance for distance in columns["linf"] if distance > 0]
    assert moved
    assert max(moved) <= 0.1 + 1e-6
    for label, clean, after, margin in zip(
        columns["label"], columns["clean_prediction"], columns["prediction"], columns["margin"], strict=True
    ):
        assert (after == label) == (margin > 0)
        assert clean == label or after != label  # what was wrong without an attack is never counted as robust


def test_points_of_the_plane_may_leave_the_range_of_pixels(moons: Path, tmp_path: Path) -> None:
    columns, _ = attacked(moons, tmp_path, {"attack": {"name": "fgsm", "epsilon": 0.2}}, MLP)
    assert max(columns["linf"]) == pytest.approx(0.2, abs=1e-6)


@pytest.mark.parametrize(
    ("kind", "with_training_loss"),
    [
        ("attack", {"attack": {"name": "fgsm", "epsilon": 0.1, "loss": "training"}}),
        ("curve", {"curve": {"epsilons": [0.1], "attack": {"name": "fgsm", "loss": "training"}}}),
    ],
)
def test_the_training_objective_is_what_an_attack_with_the_training_loss_ascends(
    digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, with_training_loss: dict[str, Any]
) -> None:
    given: list[Any] = []
    name, attack = {"attack": ("measure_attack", measure_attack), "curve": ("measure_curve", measure_curve)}[kind]

    def spy(*arguments: Any, **options: Any) -> Any:
        given.append(options["training_loss"])
        return attack(*arguments, **options)

    monkeypatch.setattr(f"robustrepro.measures.{kind}.{name}", spy)
    hrm = {"name": "hrm", "guard": 0.01}
    attacked(digits, tmp_path, {**with_training_loss, "examples": 4}, objective=hrm)
    attacked(digits, tmp_path, {"attack": {"name": "fgsm", "epsilon": 0.1}, "examples": 4})
    losses, *others = given
    logits, labels = torch.zeros(2, 10), torch.tensor([0, 1])
    assert losses(logits, labels).tolist() == pytest.approx([(np.log(10) + 0.01) ** 0.5] * 2)
    assert others == ([None] if kind == "attack" else [])


@pytest.mark.parametrize("loss", ["cross_entropy", "margin", "log_odds", "training"])
def test_only_a_measure_with_the_training_loss_asks_for_the_objective(loss: str) -> None:
    fgsm = {"name": "fgsm", "loss": loss}
    declared = [
        {"attack": {**fgsm, "epsilon": 0.1}},
        {"curve": {"epsilons": [0.1], "attack": fgsm}},
        {"transfer": {"attack": {**fgsm, "epsilon": 0.1}, "targets": ["a"]}},
    ]
    expected = {"network", "objective"} if loss == "training" else {"network"}
    assert [measure_of(tree, "the measure").parts() for tree in declared] == [expected] * 3


def test_starts_depend_on_the_seed(digits: Path, tmp_path: Path) -> None:
    declared = {"attack": {"name": "pgd", "epsilon": 0.05, "steps": 1, "step_size": 0.01}, "examples": 12}
    first, again, other = (attacked(digits, tmp_path, declared, seed=seed)[0] for seed in (3, 3, 4))
    assert first == again
    assert first["margin"] != other["margin"]


# -- curves and minimal distances ----------------------------------------------------------------------------


def test_a_curve_has_a_row_per_image_and_epsilon_as_an_attack_at_that_epsilon_would(
    digits: Path, tmp_path: Path
) -> None:
    columns, origin = attacked(digits, tmp_path, {"curve": CURVE, "examples": 12})
    assert list(columns) == ["index", "label", "epsilon", "clean_prediction", "prediction", "margin", "queries"]
    assert columns["index"] == np.repeat(np.arange(12), 3).tolist()
    assert columns["epsilon"] == CURVE["epsilons"] * 12
    assert origin["kind"] == "curve"
    for number, epsilon in enumerate([0.02, 0.05, 0.2]):
        pgd = {"name": "pgd", "epsilon": epsilon, "steps": 2, "step_size": 0.5 * epsilon}
        single, _ = attacked(digits, tmp_path, {"attack": pgd, "examples": 12})
        assert columns["prediction"][number::3] == single["prediction"]
        assert columns["margin"][number::3] == pytest.approx(single["margin"], abs=1e-5)


def test_an_attack_without_a_bound_says_how_far_the_nearest_mistake_is(digits: Path, tmp_path: Path) -> None:
    columns, _ = attacked(digits, tmp_path, {**DEEPFOOL, "examples": 20})
    expected = ["index", "label", "clean_prediction", "prediction", "linf", "l2", "l1", "queries"]
    assert list(columns) == expected
    split = load(digits, "test")
    _, model = checkpoint(tmp_path / "weights", LENET)
    attack = attack_adapter.validate_python(DEEPFOOL["attack"])
    images, labels = as_float(split.inputs[:20]), split.labels[:20]
    outcome = measure_distances(model, images, labels, torch.arange(20), attack)
    assert {name: columns[name] for name in expected} == {name: getattr(outcome, name).tolist() for name in expected}
    rows = np.array([columns["label"], columns["clean_prediction"], columns["prediction"], columns["l2"]])
    label, clean, after, distance = rows
    assert (distance[clean != label] == 0).all()
    assert (after[np.isfinite(distance)] != label[np.isfinite(distance)]).all()
    assert np.isinf(distance[after == label]).all()
