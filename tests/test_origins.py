"""Models that are derived or given, and data sets that are made from others: through the real Snakemake."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
from checkout import Checkout, small_checkout
from safetensors.torch import load_file

PAPER = """
title: Where models and data come from
authors: Nobody
summary: A network on digits, one derived from it, one given, and data made from others.
datasets:
  noisy-digits: {generated: {from: digits, by: {name: gaussian_noise, standard_deviation: 0.3}}}
  fooling-digits: {adversarial: {model: digits-erm, attacks: [{name: fgsm, epsilon: 26/255}]}}
models:
  digits-erm:
    dataset: digits
    network: {architecture: {name: mlp, hidden: [16]}}
    objective: {name: erm}
    optimizer: {name: adam, learning_rate: 0.01}
    epochs: 3
    batch_size: 64
    test_accuracy: true
    checkpoints: [1, 2]
    seeds: 1
  digits-cut: {derived: {from: digits-erm, change: {name: truncate_singular_values, layer: layers.1, percent: 75}}}
  digits-early: {derived: {from: digits-erm, change: {name: checkpoint, epoch: 2}}}
measures:
  clean: {attack: {name: clean}}
  noisy: {attack: {name: clean}, data: noisy-digits}
  fooling: {attack: {name: clean}, data: fooling-digits}
  curve: {curve: {epsilons: [2/255, 8/255], attack: {name: fgsm}}, examples: 100}
  nearest: {attack: {name: deepfool}, examples: 50}
  fgsm: {attack: &fgsm {name: fgsm, epsilon: 8/255}, examples: 100}
  over-epochs: {over_epochs: {attack: *fgsm}, examples: 100, shards: 2}
tables:
  accuracy:
    where: Table 1
    caption: Accuracy on every data set
    rows:
      erm: {label: ERM, model: digits-erm}
      cut: {label: Cut, model: digits-cut}
    columns:
      clean: {label: Clean, measure: clean}
      noisy: {label: Noisy, measure: noisy}
      fooling: {label: Fooling, measure: fooling}
      curve: {label: FGSM, measure: curve, rows: {epsilon: 8/255}}
      distance: {label: Distance, measure: nearest, statistic: {median: l2}, decimals: 3}
  early:
    where: Table 2
    caption: Accuracy after two epochs, once of a model of its own and once of one on its way
    rows:
      erm: {label: ERM, model: digits-erm}
    columns:
      fgsm: {label: After two epochs, measure: over-epochs, rows: {epoch: 2}}
      lost: {label: Without a gradient, measure: over-epochs, statistic: {mean: without_gradient}, decimals: 2}
  derived:
    where: Table 3
    caption: The model of its own
    rows: {early: {label: Early, model: digits-early}}
    columns: {fgsm: {label: After two epochs, measure: fgsm}}
figures:
  epochs:
    where: Figure 2
    caption: Accuracy against the epoch, and the share of images without a gradient
    figure:
      name: lines
      x: {column: epoch, label: epoch}
      panels: shown
      references: [{y: 50, label: as printed, hue: ERM, panel: FGSM}]
      series:
        - {label: ERM, model: digits-erm, measure: over-epochs, columns: {shown: FGSM}}
        - {label: ERM, model: digits-erm, measure: over-epochs, y: without_gradient, columns: {shown: no gradient}}
  curves:
    where: Figure 1
    caption: Accuracy against the radius
    figure:
      name: lines
      x: {column: epsilon, label: ε}
      clean_at: 0
      series:
        - {label: ERM, model: digits-erm, measure: curve}
        - {label: Cut, model: digits-cut, measure: curve}
claims: {}
"""
GIVEN = "  digits-given: {given: {file: given.safetensors, sha256: SHA}, dataset: digits, network: *network}\n"
RESULTS = "results/quick"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A run of the paper, in which the trained weights are then given to a third model."""
    checkout = small_checkout(tmp_path_factory.mktemp("origins"), tmp_path_factory.mktemp("remote"))
    checkout.edit("config.yaml", "papers: [small]", "papers: [origins]")
    paper = checkout.folder / "papers/origins/paper.yaml"
    paper.parent.mkdir()
    paper.write_text(PAPER, encoding="utf-8")
    weights = f"{RESULTS}/models/digits-erm/seed0/weights.safetensors"
    checkout.snakemake(weights)
    mirror = tmp_path_factory.mktemp("mirror")
    shutil.copy(checkout.folder / weights, mirror / "given.safetensors")
    checksum = hashlib.sha256((mirror / "given.safetensors").read_bytes()).hexdigest()
    checkout.edit("papers/origins/paper.yaml", "network: {arch", "network: &network {arch")
    checkout.edit("papers/origins/paper.yaml", "measures:\n", GIVEN.replace("SHA", checksum) + "measures:\n")
    row = "      cut: {label: Cut, model: digits-cut}\n"
    checkout.edit("papers/origins/paper.yaml", row, f"{row}      given: {{label: Given, model: digits-given}}\n")
    checkout.snakemake(ROBUSTREPRO_MIRROR=str(mirror))
    return checkout


def cells(checkout: Checkout) -> dict[tuple[str, str], float]:
    table = json.loads((checkout.folder / RESULTS / "papers/origins/tables/accuracy.json").read_text())
    return {(cell["row"], cell["column"]): cell["mean"] for cell in table["cells"]}


def card(checkout: Checkout, model: str) -> dict[str, object]:
    content: dict[str, object] = json.loads((checkout.folder / RESULTS / f"models/{model}/seed0/card.json").read_text())
    return content


def test_a_derived_model_is_measured_like_any_other_and_names_its_source(made: Checkout) -> None:
    models = made.folder / RESULTS / "models"
    source, cut = (load_file(models / name / "seed0/weights.safetensors") for name in ("digits-erm", "digits-cut"))
    assert cut["layers.1.weight"].square().sum() < source["layers.1.weight"].square().sum()
    assert (cut["layers.3.weight"] == source["layers.3.weight"]).all()
    assert cells(made)["cut", "clean"] < cells(made)["erm", "clean"]
    assert card(made, "digits-cut")["source_weights_sha256"] == card(made, "digits-erm")["weights_sha256"]


def test_a_given_model_has_the_bytes_that_are_declared_and_gives_the_same_numbers(made: Checkout) -> None:
    assert card(made, "digits-given")["weights_sha256"] == card(made, "digits-erm")["weights_sha256"]
    table = cells(made)
    columns = ("clean", "noisy", "fooling", "curve", "distance")
    assert [table["given", column] for column in columns] == [table["erm", column] for column in columns]


def test_a_model_on_its_way_is_measured_like_one_that_is_made_of_it(made: Checkout) -> None:
    folder = made.folder / RESULTS
    over, early = (
        pd.read_parquet(folder / f"measurements/{name}/seed0.parquet")
        for name in ("over-epochs/digits-erm", "fgsm/digits-early")
    )
    assert len(over) == 2 * len(early) == 200
    second = over[over["epoch"] == 2].set_index("index")
    columns = ["label", "clean_prediction", "prediction"]
    pd.testing.assert_frame_equal(second[columns], early.set_index("index")[columns])
    assert card(made, "digits-early")["source_weights_sha256"] == card(made, "digits-erm")["checkpoints_sha256"]
    assert (folder / "papers/origins/figures/epochs.png").exists()


def test_images_made_to_fool_a_model_leave_it_without_any_accuracy(made: Checkout) -> None:
    assert cells(made)["erm", "fooling"] == 0
    rows = pd.read_parquet(made.folder / RESULTS / "measurements/fooling/digits-erm/seed0.parquet")
    manifest = json.loads((made.folder / RESULTS / "data/fooling-digits/seed0/manifest.json").read_text())
    assert len(rows) == manifest["test"]["examples"] > 10


def test_generated_data_are_other_data_of_the_same_labels(made: Checkout) -> None:
    frames = [
        pd.read_parquet(made.folder / RESULTS / f"measurements/{measure}/digits-erm/seed0.parquet")
        for measure in ("clean", "noisy")
    ]
    assert frames[0]["label"].tolist() == frames[1]["label"].tolist()
    assert frames[0]["clean_margin"].tolist() != frames[1]["clean_margin"].tolist()


def test_a_cell_can_show_one_radius_of_a_curve_and_a_figure_all(made: Checkout) -> None:
    rows = pd.read_parquet(made.folder / RESULTS / "measurements/curve/digits-erm/seed0.parquet")
    at = rows[rows["epsilon"] == 8 / 255]
    expected = 100 * (at["prediction"] == at["label"]).mean()
    assert len(at) == 100
    assert cells(made)["erm", "curve"] == pytest.approx(expected)
    assert (made.folder / RESULTS / "papers/origins/figures/curves.png").stat().st_size > 5000


def test_the_distance_to_the_nearest_adversarial_point_is_a_number_like_any_other(made: Checkout) -> None:
    rows = pd.read_parquet(made.folder / RESULTS / "measurements/nearest/digits-erm/seed0.parquet")
    assert cells(made)["erm", "distance"] == pytest.approx(rows["l2"].median())


def test_test_accuracy_is_in_the_history_where_it_is_asked_for(made: Checkout) -> None:
    history = pd.read_csv(made.folder / RESULTS / "models/digits-erm/seed0/history.csv")
    final = history["test_accuracy"].iloc[-1]
    assert 100 * final == pytest.approx(cells(made)["erm", "clean"])


def test_images_made_elsewhere_are_adopted_with_the_model_that_they_fool(made: Checkout, tmp_path: Path) -> None:
    elsewhere = Checkout(tmp_path / "elsewhere")
    shutil.copytree(made.folder, elsewhere.folder)
    folder = elsewhere.folder / RESULTS
    kept = {name: folder / name for name in ("models/digits-erm", "data/fooling-digits")}
    before = {name: sorted(path.name for path in kept[name].rglob("*") if path.is_file()) for name in kept}
    for name in kept:
        shutil.move(kept[name], tmp_path / name.replace("/", "-"))
    shutil.rmtree(elsewhere.folder / "results")
    shutil.rmtree(elsewhere.folder / ".snakemake")
    for name in kept:
        kept[name].parent.mkdir(parents=True, exist_ok=True)
        shutil.move(tmp_path / name.replace("/", "-"), kept[name])
    tensors = kept["data/fooling-digits"] / "seed0/test.safetensors"
    original = tensors.read_bytes()
    tensors.write_bytes(original[:-1] + bytes([original[-1] ^ 1]))
    refused = elsewhere.run("python", "-m", "robustrepro", "adopt", check=False)
    assert (refused.returncode, "is not what manifest.json describes" in refused.stderr) == (2, True)
    tensors.write_bytes(original)
    assert "adopted 6 file(s)" in elsewhere.run("python", "-m", "robustrepro", "adopt").stdout
    assert {name: sorted(path.name for path in kept[name].rglob("*") if path.is_file()) for name in kept} == before
    scheduled = elsewhere.scheduled(f"{RESULTS}/measurements/fooling/digits-erm/seed0.parquet")
    assert scheduled == {"measurements/fooling/digits-erm/seed0.parquet"}


def test_changing_how_a_model_is_derived_trains_nothing(made: Checkout) -> None:
    made.edit("papers/origins/paper.yaml", "percent: 75", "percent: 50")
    models = {name for name in made.scheduled() if name.startswith("models/")}
    assert models == {"models/digits-cut/seed0/weights.safetensors"}
