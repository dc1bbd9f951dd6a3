"""Readings, run for real from planning to the report."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from checkout import Checkout, small_checkout
from conftest import Declarations
from in_process import make_all
from safetensors.torch import load_file

from robustrepro.spec.plan import Plan
from robustrepro.training.checkpoints import weights_after

CHOICES = {"loss": "plain", "epochs": 4}
READINGS: dict[str, Any] = {
    "plain": {"unsaid": "The loss.", "where": "Section 3", "why": "Usual.", "choices": CHOICES},
    "clipped": {
        "unsaid": "The loss.",
        "where": "Section 3",
        "why": "Usual then.",
        "choices": {"loss": "clipped"},
        "models": {"points-*": {"objective": {"loss": "clipped_cross_entropy"}}},
    },
    "searched": {
        "over": "clipped",
        "unsaid": "The epochs.",
        "where": "Section 5",
        "why": "They may be few.",
        "choices": {"epochs": "searched"},
        "search": {
            "candidates": {str(epochs): {"models": {"points-*": {"epochs": epochs}}} for epochs in (1, 3, 4)},
            "data": {"two_moons": "moons-validation"},
            "closest_to": "accuracy",
        },
    },
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Plan, Path]:
    """The small paper of points with readings, one of them searched, and the folder of everything that it makes."""
    folder = tmp_path_factory.mktemp("readings")
    declared = Declarations(folder / "declared", published={"accuracy.csv": ",Clean,PGD\nERM,85%,10%\nHRM,85%,12%\n"})
    paper = declared.paper
    paper["models"] = {name: {**model, "checkpoints": [1, 2, 3]} for name, model in paper["models"].items()}
    for row in paper["tables"]["accuracy"]["rows"].values():
        row["model"] = row["model"].replace("image", "points")
    paper["datasets"] = {"moons-validation": {"held_out": {"from": "two_moons", "examples": 40}}}
    paper["readings"] = READINGS
    declared.scales["quick"]["models"] = {}
    plan = declared.plan()
    make_all(plan, folder)
    return plan, folder


def read(made: tuple[Plan, Path], name: str) -> Any:
    plan, folder = made
    return json.loads((folder / plan.folder / "papers/small" / name).read_text(encoding="utf-8"))


def weights(made: tuple[Plan, Path], model: str, seed: int = 0) -> dict[str, torch.Tensor]:
    plan, folder = made
    return load_file(folder / plan.layout.weights(model, seed))


def same(ours: dict[str, torch.Tensor], theirs: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_every_claim_has_a_verdict_and_an_audit_under_every_reading(made: tuple[Plan, Path]) -> None:
    (claim,) = read(made, "scorecard.json")
    assert [reading["reading"] for reading in claim["readings"]] == ["plain", "clipped", "searched"]
    assert all(reading["conditions"] for reading in claim["readings"])
    assert [entry["reading"] for entry in read(made, "audit.json")] == ["plain", "clipped", "searched"]
    plan, folder = made
    rows = list(csv.DictReader((folder / plan.folder / "scorecard.csv").open()))
    assert [(row["claim"], row["tried"]) for row in rows] == [("hrm-is-better", "3")]


def test_the_search_takes_the_candidate_nearest_to_the_printed_numbers(made: tuple[Plan, Path]) -> None:
    outcome = read(made, "searches/searched.json")
    distances = {
        each["candidate"]: read(made, f"tables/accuracy@searched.{each['candidate']}.json")["distance"]
        for each in outcome["candidates"]
    }
    assert [each["value"] for each in outcome["candidates"]] == [
        distance["mean_absolute_difference"] for distance in distances.values()
    ]
    chosen = min(distances, key=lambda key: distances[key]["mean_absolute_difference"])
    assert outcome["chosen"] == chosen
    # The whole training set, each seed, and as many epochs as the candidate has.
    plan, folder = made
    card = json.loads((folder / plan.layout.weights("points-hrm@searched", 1)).with_name("card.json").read_text())
    assert card["chosen"] == chosen
    assert len((folder / plan.layout.history("points-hrm@searched", 1)).read_text().splitlines()) == 1 + int(chosen)
    whole = weights(made, "points-hrm@clipped", 1)
    if chosen != "4":
        whole = weights_after(folder / plan.layout.checkpoints("points-hrm@clipped", 1), int(chosen))
    assert same(weights(made, "points-hrm@searched", 1), whole)


def test_of_a_searchs_candidates_the_chosen_one_alone_is_trained_anew(made: tuple[Plan, Path]) -> None:
    plan, folder = made
    models = {path.name for path in (folder / plan.folder / "models").iterdir()}
    assert {name for name in models if "@searched" in name} == {
        f"points-{objective}@searched{candidate}"
        for objective in ("erm", "hrm")
        for candidate in ("", ".1", ".3", ".4")
    }


def test_a_shorter_training_is_a_checkpoint_of_the_longer_one(made: tuple[Plan, Path]) -> None:
    plan, folder = made
    card = json.loads((folder / plan.layout.weights("points-hrm@searched.3", 0)).with_name("card.json").read_text())
    assert card["source"] == "points-hrm@searched.4"
    assert not same(weights(made, "points-hrm@searched.3"), weights(made, "points-hrm@searched.4"))
    trained = plan.pattern("trained").replace("\\", "").split("|")
    assert {"points-hrm@searched.4", "points-hrm@searched"} <= set(trained)
    assert not {"points-hrm@searched.1", "points-hrm@searched.3"} & set(trained)


def test_a_claim_under_several_readings_has_a_specification_curve_on_its_page(made: tuple[Plan, Path]) -> None:
    plan, folder = made
    assert (folder / plan.layout.figure("small", "specification-hrm-is-better")).exists()
    page = (folder / plan.layout.page("small")).read_text(encoding="utf-8")
    for words in ("Readings", "3 readings tried", "closest to the printed numbers", "The epochs."):
        assert words in page


# -- by Snakemake ------------------------------------------------------------------------------------------------

IN_YAML = """
readings:
  plain: {unsaid: The loss., where: Section 3, why: Usual., choices: {loss: plain}}
  clipped:
    unsaid: The loss.
    where: Section 3
    why: Usual then.
    choices: {loss: clipped}
    models: {small-*: {objective: {loss: clipped_cross_entropy}}}
  guarded:
    unsaid: The guard.
    where: Section 4
    why: It may be larger.
    choices: {}
    models: {small-hrm: {objective: {guard: 1.0e-4}}}
"""


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A repository with the small paper and its readings, run."""
    here = small_checkout(tmp_path_factory.mktemp("readings"), tmp_path_factory.mktemp("remote"))
    with (here.folder / "papers/small/paper.yaml").open("a", encoding="utf-8") as stream:
        stream.write(IN_YAML)
    here.snakemake()
    return here


def test_a_run_with_readings_leaves_nothing_to_do(checkout: Checkout) -> None:
    assert checkout.scheduled() == set()
    assert (checkout.folder / "results/quick/models/small-hrm@guarded/seed0/weights.safetensors").exists()
    assert not (checkout.folder / "results/quick/models/small-erm@guarded").exists()


def test_an_edit_of_one_reading_runs_it_alone_again(checkout: Checkout) -> None:
    checkout.edit("papers/small/paper.yaml", "guard: 1.0e-4", "guard: 1.0e-3")
    scheduled = checkout.scheduled()
    computed = {file for file in scheduled if file.startswith(("data/", "models/", "measurements/"))}
    assert "models/small-hrm@guarded/seed0/weights.safetensors" in computed
    assert all("/small-hrm@guarded/" in file for file in computed)
    assert {file for file in scheduled if "/tables/" in file} == {"papers/small/tables/accuracy@guarded.json"}
    checkout.edit("papers/small/paper.yaml", "guard: 1.0e-3", "guard: 1.0e-4")


def test_one_table_under_one_reading_is_a_target(checkout: Checkout) -> None:
    checkout.edit("papers/small/paper.yaml", "guard: 1.0e-4", "guard: 1.0e-3")
    scheduled = checkout.scheduled("small_accuracy_guarded")
    assert "papers/small/tables/accuracy@guarded.json" in scheduled
    assert not any("scorecard" in file for file in scheduled)
    checkout.edit("papers/small/paper.yaml", "guard: 1.0e-3", "guard: 1.0e-4")
