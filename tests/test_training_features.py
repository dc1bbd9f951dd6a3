"""Training against an attack that compares the features of another model: its weights, its card, its interruption."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from measuring import Model, checkpoint, described
from safetensors.torch import load_file

from robustrepro.errors import UserError
from robustrepro.files import sha256_of
from robustrepro.measures import step as measurement
from robustrepro.measures.store import read_columns
from robustrepro.spec.measurements import measure_of
from robustrepro.steps import ProgressBar, Work
from robustrepro.training import step

CONVNET: dict[str, Any] = {"architecture": {"name": "convnet", "channels": [4]}}
FAST: dict[str, Any] = {
    "name": "fast_lagrangian_perceptual",
    "steps": 2,
    "features": {"model": "eyes", "layers": ["features.0", "features.1"]},
}
SPEC: dict[str, Any] = {
    "dataset": "digits",
    "network": CONVNET,
    "objective": {"name": "adversarial", "adversary": FAST},
    "optimizer": {"name": "adam", "learning_rate": 0.01},
    "epochs": 3,
    "batch_size": 16,
}
OUTPUTS = ("weights.safetensors", "checkpoints.safetensors", "history.csv", "card.json")


@pytest.fixture
def eyes(tmp_path: Path) -> Model:
    """The model whose features are compared."""
    return described(checkpoint(tmp_path / "eyes.safetensors", CONVNET, seed=4)[0], "eyes", seed=0, network=CONVNET)


def work_of(folder: Path, data: Path, *features: Model, spec: dict[str, Any] = SPEC) -> Work:
    job = {"model": "m", "seed": 1, "training": spec, "features": [model for model, _ in features]}
    inputs = {"data": [data / "manifest.json"], "features": [weights for _, weights in features]}
    return Work(job, "c0de", inputs, [folder / name for name in OUTPUTS])


def train(folder: Path, data: Path, *features: Model, **options: Any) -> str:
    """Train in a folder and return the SHA-256 of the weights."""
    step.run(work_of(folder, data, *features, **options))
    return sha256_of(folder / OUTPUTS[0])


def interrupt(folder: Path, data: Path, eyes: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """Train two epochs, and be interrupted."""

    def advance(_: ProgressBar, done: int, detail: str) -> None:
        if done == 2 and detail:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(ProgressBar, "advance", advance)
        with pytest.raises(KeyboardInterrupt):
            train(folder, data, eyes)


def other_eyes(folder: Path) -> Model:
    return described(checkpoint(folder / "others.safetensors", CONVNET, seed=5)[0], "eyes", seed=0, network=CONVNET)


def test_the_weights_depend_on_those_of_the_model_whose_features_are_compared(
    digits: Path, tmp_path: Path, eyes: Model
) -> None:
    before = load_file(eyes[1])
    trained = train(tmp_path / "one", digits, eyes)
    assert trained == train(tmp_path / "again", digits, eyes)
    assert trained != train(tmp_path / "others", digits, other_eyes(tmp_path))
    assert all((load_file(eyes[1])[name] == tensor).all() for name, tensor in before.items())


def test_the_card_says_whose_features_were_compared(digits: Path, tmp_path: Path, eyes: Model) -> None:
    train(tmp_path / "one", digits, eyes)
    card = json.loads((tmp_path / "one/card.json").read_text())
    assert card["features"] == [{"model": "eyes", "seed": 0, "weights_sha256": sha256_of(eyes[1])}]
    train(tmp_path / "plain", digits, spec={**SPEC, "objective": {"name": "erm"}})
    assert "features" not in json.loads((tmp_path / "plain/card.json").read_text())


def test_an_interrupted_training_goes_on_with_the_same_features(
    digits: Path, tmp_path: Path, eyes: Model, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    interrupt(tmp_path / "cut", digits, eyes, monkeypatch)
    with caplog.at_level("INFO"):
        assert train(tmp_path / "cut", digits, eyes) == train(tmp_path / "whole", digits, eyes)
    assert "continuing an interrupted training" in caplog.text


def test_an_interrupted_training_is_not_continued_with_other_weights_of_the_compared_model(
    digits: Path, tmp_path: Path, eyes: Model, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    interrupt(tmp_path / "cut", digits, eyes, monkeypatch)
    others = other_eyes(tmp_path)
    with caplog.at_level("INFO"):
        assert train(tmp_path / "cut", digits, others) == train(tmp_path / "whole", digits, others)
    assert "continuing an interrupted training" not in caplog.text


def test_a_training_repeated_for_its_path_compares_the_same_features(digits: Path, tmp_path: Path, eyes: Model) -> None:
    train(tmp_path / "one", digits, eyes)
    measure = measure_of({"training_path": {"every": 2}}, "the measure")
    spec = {
        "measure": measure.model_dump(mode="json", exclude={"shards"}, exclude_none=True),
        "declared_by": "robustrepro.spec.measurements:TrainingPath",
        "subjects": [{"model": "m", "seed": 1, "training": SPEC, "network": CONVNET}],
        "features": [eyes[0]],
    }
    output = tmp_path / "path/m/seed1.parquet"
    weights = [tmp_path / "one/weights.safetensors", eyes[1]]
    measurement.run(Work(spec, "c0de", {"weights": weights, "data": [digits / "manifest.json"]}, [output]))
    assert read_columns(output)[0].num_rows > 0  # which ends at the checkpoint, or else is refused
    weights[1] = other_eyes(tmp_path)[1]
    with pytest.raises(UserError, match="trained anew, it does not end at"):
        measurement.run(Work(spec, "c0de", {"weights": weights, "data": [digits / "manifest.json"]}, [output]))


def test_a_layer_that_is_not_there_is_told_before_the_first_update(digits: Path, tmp_path: Path, eyes: Model) -> None:
    features = {"model": "eyes", "layers": ["features.9"]}
    objective = {"name": "adversarial", "adversary": {**FAST, "features": features}}
    with pytest.raises(UserError, match=r"there is no layer 'features.9' in the network; expected some of features"):
        train(tmp_path / "one", digits, eyes, spec={**SPEC, "objective": objective})
