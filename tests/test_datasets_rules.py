"""The rules of data sets that a paper declares, through the real Snakemake."""

from __future__ import annotations

import json

import pytest
from checkout import Checkout, small_checkout

DATASETS = """
datasets:
  noisy: {generated: {from: mnist, by: &noise {name: gaussian_noise, standard_deviation: 0.1}}}
  noisy-both: {generated: {from: mnist, by: *noise, split: both}}
  plain: {generated: {from: digits, by: *noise}}
  validation: {held_out: {from: mnist, examples: 5000}}
  plain-validation: {held_out: {from: digits, examples: 100}}
  part: {sampled: {from: mnist, train: 5000, test: 100}}
  fooling: {adversarial: {model: small-erm, attacks: [{name: fgsm, epsilon: 0.3}], clipped: false}}
models:
"""
FILES = {
    "results/quick/data/noisy/seed0": ["manifest.json", "test.safetensors"],
    "results/quick/data/noisy-both/seed0": ["manifest.json", "test.safetensors", "train.safetensors"],
    "results/quick/data/fooling/seed0": ["manifest.json", "test.safetensors"],
    "results/quick/data/validation/seed0": ["manifest.json", "test.safetensors", "train.safetensors"],
    "results/quick/data/part/seed0": ["manifest.json", "test.safetensors", "train.safetensors"],
    "data/plain-validation": ["manifest.json", "test.safetensors", "train.safetensors"],
    "data/plain": ["manifest.json", "test.safetensors"],
    "data/digits": ["manifest.json", "test.safetensors", "train.safetensors"],
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """The small paper with data sets of each kind, all of them made."""
    checkout = small_checkout(tmp_path_factory.mktemp("made"), tmp_path_factory.mktemp("remote"))
    checkout.edit("papers/small/paper.yaml", "\nmodels:\n", DATASETS)
    checkout.snakemake(*(f"{folder}/manifest.json" for folder in FILES))
    return checkout


def test_each_data_set_has_the_splits_that_it_has_and_no_others(made: Checkout) -> None:
    assert {folder: sorted(path.name for path in (made.folder / folder).iterdir()) for folder in FILES} == FILES


def test_every_file_is_recorded_as_made_by_a_run_and_nothing_is_made_again(made: Checkout) -> None:
    # Files without a record would stop this.
    assert made.scheduled(*(f"{folder}/manifest.json" for folder in FILES)) == set()


@pytest.mark.parametrize("name", ["noisy", "validation", "part"])
def test_what_is_made_from_a_stand_in_says_so_in_its_manifest(made: Checkout, name: str) -> None:
    manifest = json.loads((made.folder / f"results/quick/data/{name}/seed0/manifest.json").read_text())
    assert (manifest["made_from"]["dataset"], manifest["spec"]["from"]) == ("digits", "digits")


def test_a_dry_run_plans_a_model_on_examples_that_were_left_when_others_were_held_out(made: Checkout) -> None:
    weights = "models/small-erm/seed0/weights.safetensors"
    overrides = "overrides={models: {small-erm: {dataset: validation}}}"
    assert made.scheduled(f"results/quick/{weights}", "--config", overrides) == {weights}
    made.run("rm", "-r", "results/quick/data/validation")
    both = {"data/validation/seed0/manifest.json", weights}
    assert made.scheduled(f"results/quick/{weights}", "--config", overrides) == both


def test_an_unknown_name_of_a_data_set_is_made_by_no_rule(made: Checkout) -> None:
    assert "MissingRuleException" in made.snakemake("-n", "data/nosiy/manifest.json", check=False)


def test_the_mirror_of_the_configuration_is_where_the_steps_look_for_official_files(made: Checkout) -> None:
    asked = ("data/mnist/manifest.json", "--config", "data={mirror: kept/official}")
    assert "kept/official: there is no such folder. The key data.mirror" in made.snakemake(*asked, check=False)
    # What the environment says comes first.
    said = made.snakemake(*asked, check=False, ROBUSTREPRO_MIRROR="kept/elsewhere")
    assert "kept/elsewhere: there is no such folder" in said
