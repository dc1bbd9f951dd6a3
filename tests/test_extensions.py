"""A kind of measurement from outside the package: its measurement, a cell and a figure, through the real Snakemake."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from checkout import Checkout, small_checkout

from robustrepro.errors import UserError
from robustrepro.spec.extensions import load_extensions
from robustrepro.spec.measurements import KINDS

MEASURES = """
  confidence: {confidence: {temperature: 2.0}}
  confidence-in-parts: {confidence: {temperature: 2.0}, shards: 3}
"""
COLUMNS = """
      confidence: &mean {label: Mean, group: Sure, measure: confidence, statistic: {mean: confidence}, decimals: 3}
      parts: {<<: *mean, label: In parts, measure: confidence-in-parts}
      ratio: {label: Ratio, value: "this[parts] / erm[confidence]", decimals: 2}
"""
FIGURE = """
  confidences:
    where: Figure 2
    caption: Their confidences
    figure:
      name: histogram
      x: {column: confidence, label: Probability of the predicted class}
      series:
        - {label: ERM, model: small-erm, measure: confidence}
        - {label: HRM, model: small-hrm, measure: confidence}
"""


@pytest.fixture(scope="module")
def extended(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """The small paper with a measure of a kind that only a module beside the Snakefile declares."""
    checkout = small_checkout(tmp_path_factory.mktemp("extended"), tmp_path_factory.mktemp("remote"))
    shutil.copy(Path(__file__).with_name("extension_kind.py"), checkout.folder)
    checkout.edit("config.yaml", "extensions: []", "extensions: [extension_kind]")
    paper = "papers/small/paper.yaml"
    checkout.edit(paper, "\ntables:\n", f"{MEASURES}tables:\n")
    checkout.edit(paper, "\nfigures:\n", f"{COLUMNS}figures:\n{FIGURE}")
    inline = "columns: {clean: {label: Clean, measure: clean}, pgd: {label: PGD, measure: small-pgd}}"
    lines = "columns:\n      clean: {label: Clean, measure: clean}\n      pgd: {label: PGD, measure: small-pgd}"
    checkout.edit(paper, inline, lines)
    checkout.snakemake("small")
    return checkout


def measured(checkout: Checkout, measure: str, model: str = "small-hrm") -> pd.DataFrame:
    return pd.read_parquet(checkout.folder / f"results/quick/measurements/{measure}/{model}/seed0.parquet")


def test_its_measurement_has_a_row_per_example(extended: Checkout) -> None:
    rows = measured(extended, "confidence")
    assert list(rows) == ["index", "label", "prediction", "confidence"]
    assert rows["index"].tolist() == list(range(1000))
    assert rows["confidence"].between(0.5, 1).all()


def test_shards_are_gathered_into_the_same_rows(extended: Checkout) -> None:
    whole, parts = measured(extended, "confidence"), measured(extended, "confidence-in-parts")
    assert parts["index"].tolist() == whole["index"].tolist()
    assert np.allclose(parts["confidence"], whole["confidence"], atol=1e-6)
    folder = extended.folder / "results/quick/shards/confidence-in-parts/small-hrm/seed0"
    assert sorted(path.name for path in folder.iterdir()) == [f"{number}-of-3.parquet" for number in range(3)]


def test_a_cell_shows_it_and_an_expression_computes_with_it(extended: Checkout) -> None:
    table = json.loads((extended.folder / "results/quick/papers/small/tables/accuracy.json").read_text())
    cells = {(cell["row"], cell["column"]): cell["mean"] for cell in table["cells"]}
    assert cells["hrm", "confidence"] == pytest.approx(measured(extended, "confidence")["confidence"].mean(), rel=1e-6)
    assert cells["hrm", "ratio"] == pytest.approx(cells["hrm", "parts"] / cells["erm", "confidence"])


def test_a_figure_draws_it(extended: Checkout) -> None:
    assert (extended.folder / "results/quick/papers/small/figures/confidences.png").stat().st_size > 5000


def test_only_the_shards_that_are_missing_run_again(extended: Checkout) -> None:
    part = "results/quick/shards/confidence-in-parts/small-hrm/seed0/1-of-3.parquet"
    gathered = "results/quick/measurements/confidence-in-parts/small-hrm/seed0.parquet"
    for file in (part, gathered):
        (extended.folder / file).unlink()
    assert extended.scheduled(gathered) == {file.removeprefix("results/quick/") for file in (part, gathered)}


def test_editing_the_extension_measures_again_what_uses_it_and_nothing_else(extended: Checkout) -> None:
    extended.edit("extension_kind.py", ".softmax(1)", ".softmax(dim=1)")
    scheduled = {name for name in extended.scheduled("small") if name.startswith(("measurements", "models"))}
    assert scheduled == {
        f"measurements/{measure}/{model}/seed0.parquet"
        for measure in ("confidence", "confidence-in-parts")
        for model in ("small-erm", "small-hrm")
    }


def test_a_kind_that_there_is_cannot_be_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = "from robustrepro.spec.measurements import KINDS\nKINDS['attack'] = KINDS['losses']\n"
    (tmp_path / "replacing_kind.py").write_text(module)
    monkeypatch.chdir(tmp_path)
    before = dict(KINDS)
    with pytest.raises(UserError, match=r"extensions: replacing_kind replaces the kind 'attack'"):
        load_extensions(["replacing_kind"])
    assert before == KINDS
