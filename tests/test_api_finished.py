"""Models and measurements of a finished run, as other programs get them."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
import torch
from conftest import Declarations
from in_process import make_all

import robustrepro as rr


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small paper, made."""
    folder = tmp_path_factory.mktemp("finished")
    plan = Declarations(folder).plan()
    make_all(plan, folder)
    return folder / plan.folder


def test_a_model_comes_with_its_test_set_and_card(results: Path) -> None:
    loaded = rr.load(results / "models/image-erm/seed0")
    with torch.no_grad():
        accuracy = float((loaded.model(loaded.images).argmax(1) == loaded.labels).double().mean())
    assert not loaded.model.training
    assert loaded.card["model"] == "image-erm"
    clean = rr.measurements(results, measure="clean")
    of_model = clean[(clean["subject"] == "image-erm") & (clean["seed"] == 0)]
    count = len(of_model)
    predicted = loaded.model(loaded.images[:count]).argmax(1)
    assert of_model["prediction"].tolist() == predicted.tolist()
    assert 0.5 < accuracy <= 1


def test_measurements_are_one_frame(results: Path) -> None:
    frame = rr.measurements(results)
    assert list(frame.columns[:3]) == ["measure", "subject", "seed"]
    files = sorted((results / "measurements").glob("*/*/*.parquet"))
    assert len(frame) == sum(len(pd.read_parquet(file)) for file in files)
    assert set(frame["measure"]) == {file.parts[-3] for file in files}


def test_what_is_not_there_is_named_with_what_is(results: Path, tmp_path: Path) -> None:
    with pytest.raises(
        rr.UserError, match=r"there is no finished model \(card.json is missing\); there are: image-erm"
    ):
        rr.load(results / "models/image-em/seed0")
    with pytest.raises(rr.UserError, match="there are no measurements of 'clan'; a run leaves them"):
        rr.measurements(results, measure="clan")
    with pytest.raises(rr.UserError, match=r"the data set .* is missing; run the scale that made the model"):
        rr.load(results / "models/image-erm/seed0", data=tmp_path / "none")
    broken = tmp_path / "results/quick/models/image-erm/seed0"
    broken.mkdir(parents=True)
    (broken / "card.json").write_text("{", encoding="utf-8")
    with pytest.raises(rr.UserError, match="not a model's card"):
        rr.load(broken)
    assert json.loads((results / "models/image-erm/seed0/card.json").read_text())
