"""Data sets of a paper's own through the real Snakemake: generated from another one, and made from a model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from checkout import Checkout, small_checkout

DATASETS = """
datasets:
  noisy: {generated: {from: digits, by: {name: gaussian_noise, standard_deviation: 0.2}}}
  noisier: {generated: {from: digits, by: {name: gaussian_noise, standard_deviation: 0.4}, split: both}}
  fooling: {adversarial: {model: small-erm, attacks: [{name: fgsm, epsilon: 1.0}], box: null}}
"""
MEASURE = "  on-fooling: {attack: {name: clean}, data: fooling}\n"


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """The small paper with data sets of its own, made and measured on."""
    small = small_checkout(tmp_path_factory.mktemp("data"), tmp_path_factory.mktemp("remote"))
    small.edit("papers/small/paper.yaml", "\nmodels:\n", f"{DATASETS}models:\n")
    small.edit("papers/small/paper.yaml", "\ntables:\n", f"\n{MEASURE}tables:\n")
    measurement = "results/quick/measurements/on-fooling/small-erm/seed0.parquet"
    small.snakemake("data/noisy/manifest.json", "data/noisier/manifest.json", measurement)
    return small


@pytest.mark.parametrize(
    ("folder", "files"),
    [
        ("data/noisy", ["manifest.json", "test.safetensors"]),
        ("data/noisier", ["manifest.json", "test.safetensors", "train.safetensors"]),
        ("results/quick/data/fooling/seed0", ["manifest.json", "test.safetensors"]),
    ],
    ids=["of test images alone", "of both splits", "of a model"],
)
def test_a_data_set_has_the_splits_that_it_declares(checkout: Checkout, folder: str, files: list[str]) -> None:
    made: Path = checkout.folder / folder
    assert sorted(path.name for path in made.iterdir()) == files
    manifest = json.loads((made / "manifest.json").read_text())
    assert [f"{split}.safetensors" for split in ("test", "train") if split in manifest] == files[1:]


def test_what_was_made_is_not_made_again(checkout: Checkout) -> None:
    scheduled = checkout.scheduled("data/noisy/manifest.json", "data/noisier/manifest.json")
    assert scheduled == set()
