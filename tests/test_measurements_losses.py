"""Losses of single examples."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import TEST_POINTS, TRAIN_POINTS
from measuring import MLP, checkpoint, described, measured

from robustrepro.datasets.tensors import load


@pytest.mark.parametrize(
    ("split", "examples", "count"), [("train", None, TRAIN_POINTS), ("test", 7, 7), ("test", 10_000, TEST_POINTS)]
)
def test_a_loss_is_the_negative_logarithm_of_the_labels_probability(
    moons: Path, tmp_path: Path, split: str, examples: int | None, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("robustrepro.measures.losses.BATCH_SIZE", 16)
    weights, model = checkpoint(tmp_path / "weights", MLP, seed=1)
    declared = {"losses": {}, "split": split, **({"examples": examples} if examples else {})}
    columns, origin = measured(
        tmp_path / "losses/m/seed1.parquet", moons, declared, [described(weights, seed=1, network=MLP)]
    )
    loaded = load(moons, "train" if split == "train" else "test")
    labels = loaded.labels[:count]
    with torch.no_grad():
        probabilities = model(loaded.inputs[:count]).double().softmax(1).numpy()
    assert list(columns) == ["index", "label", "prediction", "loss"]
    assert columns["loss"] == pytest.approx(-np.log(probabilities[np.arange(count), labels]), rel=1e-5)
    assert all(loss == np.float32(loss) for loss in columns["loss"])
    assert columns["index"] == list(range(count))
    assert columns["label"] == labels.tolist()
    assert columns["prediction"] == probabilities.argmax(1).tolist()
    assert (origin["kind"], origin["spec"]["measure"]["split"]) == ("losses", split)
    assert origin["data_manifest_sha256"] == loaded.manifest_sha256
