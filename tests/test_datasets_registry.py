"""A data set's job depends on what makes this data set, and on nothing that makes another one."""

from __future__ import annotations

import grimp
import pytest

from robustrepro.datasets.step import run
from robustrepro.errors import UserError
from robustrepro.implementations import resolve
from robustrepro.spec.datasets import (
    DATASETS,
    AdversarialDataset,
    GaussianNoise,
    GeneratedDataset,
    HeldOutDataset,
    SampledDataset,
    dataset_of,
)

KINDS = (
    *dict.fromkeys(type(spec) for spec in DATASETS.values()),
    GeneratedDataset,
    HeldOutDataset,
    SampledDataset,
    AdversarialDataset,
    GaussianNoise,
)
FGSM = {"name": "fgsm", "epsilon": 0.1}
MAKERS = {kind.implementation.partition(":")[0] for kind in KINDS}


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph("robustrepro", cache_dir=None)


def closure(graph: grimp.ImportGraph, implementation: str) -> set[str]:
    roots = {run.__module__, implementation.partition(":")[0]}
    return roots.union(*(graph.find_upstream_modules(root) for root in roots))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_data_set_depends_on_its_own_maker_alone(kind: type[GeneratedDataset], graph: grimp.ImportGraph):
    own = kind.implementation.partition(":")[0]
    assert closure(graph, kind.implementation) & MAKERS == {own}


def test_only_data_sets_that_are_made_from_a_model_depend_on_attacks_and_networks(graph: grimp.ImportGraph):
    for kind in KINDS:
        used = {module.split(".")[1] for module in closure(graph, kind.implementation) if "." in module}
        assert (used & {"attacks", "models"} != set()) == (kind is AdversarialDataset), kind


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_declaration_names_code_that_exists(kind: type[GeneratedDataset]):
    assert callable(resolve(kind.implementation))


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        ({}, r"datasets\.x: found no key; expected exactly one of the keys adversarial, generated, held_out, sampled"),
        ({"corrupted": {}}, r"datasets\.x: found corrupted; expected exactly one of the keys adversarial, "),
        ({"generated": {}, "adversarial": {}}, r"found generated, adversarial; expected exactly one"),
        ({"generated": "mnist"}, r"datasets\.x\.generated: found 'mnist'; expected a mapping"),
        ({"generated": {"from": "mnist"}}, r"datasets\.x\.generated: by: this key is missing"),
        ({"generated": {"from": "mnist", "name": "y"}}, r"the name not among them"),
        ({"held_out": {"from": "mnist"}}, r"datasets\.x\.held_out: examples: this key is missing"),
        ({"held_out": {"from": "mnist", "examples": 9, "seed": 1}}, r"seed: unknown key \(known: examples, from"),
        ({"sampled": {"from": "mnist", "test": 9}}, r"datasets\.x\.sampled: train: this key is missing"),
        ({"sampled": {"from": "mnist", "train": 9}}, r"datasets\.x\.sampled: test: this key is missing"),
        ({"sampled": {"from": "mnist", "train": 9, "test": 9, "seed": 1}}, r"sampled: seed: unknown key \(known: from"),
        ({"adversarial": {"model": "m", "attacks": []}}, r"datasets\.x\.adversarial: attacks: .*at least 1 item"),
        (
            {"adversarial": {"model": "m", "attacks": [FGSM], "clip": False}},
            r"clip: unknown key; did you mean 'clipped'",
        ),
        (
            {"adversarial": {"model": "m", "attacks": [FGSM, FGSM | {"loss": "training"}]}},
            r"attacks\[1\]\.loss is 'training'; name the loss itself",
        ),
        (
            {"generated": {"from": "mnist", "by": {"name": "gaussian_noise", "standard_deviation": 0.0}}},
            r"standard_deviation: .*greater than 0",
        ),
    ],
)
def test_a_wrong_declaration_is_named(declared: dict[str, object], message: str):
    with pytest.raises(UserError, match=message):
        dataset_of("x", declared, "datasets.x")


def test_a_declaration_survives_its_way_through_a_jobs_spec():
    noise = {"name": "gaussian_noise", "standard_deviation": "8/255"}
    declared = dataset_of("x", {"generated": {"from": "mnist", "by": noise}}, "datasets.x")
    assert isinstance(declared, GeneratedDataset)
    assert (declared.source, declared.by.standard_deviation, declared.split) == ("mnist", 8 / 255, "test")
    assert GeneratedDataset.model_validate(declared.model_dump(mode="json"), strict=False) == declared
