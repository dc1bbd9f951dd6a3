"""Data sets made from others or from models, as planned: where they lie, from what, and what is said of them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from conftest import Declarations
from mistakes import both, scale
from mistakes_of_papers import dataset, derived, shown
from planned_jobs import jobs_of

from robustrepro.errors import UserError
from robustrepro.spec.plan import Plan

CLEAN = {"attack": {"name": "clean"}}
ON_OTHER = {**CLEAN, "data": "other"}


def spec(plan: Plan, step: str, **names: Any) -> Any:
    return json.loads(plan.job(step, **names).spec)


def data_of(plan: Plan, seed: int = 0, model: str = "image-erm") -> list[str]:
    """Return the data that the measure `extra` of a model reads."""
    job = plan.job("measure", measure="extra", subject=model, seed=seed)
    return [file for role, file in job.inputs if role == "data"]


def test_a_generated_data_set_is_the_same_at_every_scale(declarations: Declarations) -> None:
    both(dataset("generated", **{"from": "fashion_mnist"}), shown(ON_OTHER))(declarations)
    specs = []
    for at_scale in ("quick", "paper"):
        declarations.config["scale"] = at_scale
        plan = declarations.plan()
        assert data_of(plan) == ["data/other/manifest.json"]
        assert plan.job("data", dataset="other").files == ["data/fashion_mnist/manifest.json"]
        specs.append(plan.job("data", dataset="other").spec)
    assert specs[0] == specs[1]


def test_what_is_generated_from_a_stand_in_belongs_to_its_scale(declarations: Declarations) -> None:
    both(dataset("generated"), shown(ON_OTHER))(declarations)
    plan = declarations.plan()
    file = "results/quick/data/other/seed0/manifest.json"
    assert data_of(plan, 0) == data_of(plan, 1) == [file]
    job = plan.job("data", dataset="other", seed="0")
    assert job.files == ["data/digits/manifest.json"]
    assert json.loads(job.spec)["dataset"]["from"] == "digits"
    assert file in jobs_of(plan)
    declarations.config["scale"] = "paper"
    assert data_of(declarations.plan()) == ["data/other/manifest.json"]


def test_what_is_generated_from_such_a_data_set_belongs_to_its_scale_too(declarations: Declarations) -> None:
    both(dataset("generated"), shown({**CLEAN, "data": "more"}))(declarations)
    more = {"generated": {**declarations.paper["datasets"]["other"]["generated"], "from": "other"}}
    declarations.paper["datasets"]["more"] = more
    plan = declarations.plan()
    assert data_of(plan) == ["results/quick/data/more/seed0/manifest.json"]
    assert plan.job("data", dataset="more", seed=0).files == ["results/quick/data/other/seed0/manifest.json"]


def test_a_model_trains_on_what_others_are_held_out_of_and_is_measured_on_those(declarations: Declarations) -> None:
    dataset("held_out")(declarations)
    declarations.paper["models"]["image-erm"]["dataset"] = "other"
    declarations.config["scale"] = "paper"
    plan = declarations.plan()
    for seed in range(3):
        assert plan.job("train", model="image-erm", seed=seed).files == ["data/other/manifest.json"]
        measured = plan.job("measure", measure="pgd", subject="image-erm", seed=seed)
        assert measured.files[0] == "data/other/manifest.json"
    job = jobs_of(plan)["data/other/manifest.json"]
    assert job.files == ["data/mnist/manifest.json"]
    assert json.loads(job.spec)["dataset"] == {"name": "other", "from": "mnist", "examples": 5000}


def test_how_many_are_held_out_and_left_is_known_beforehand(declarations: Declarations) -> None:
    dataset("held_out")(declarations)
    noise = {"name": "gaussian_noise", "standard_deviation": 0.1}
    declarations.paper["datasets"] |= {
        "twice": {"held_out": {"from": "other", "examples": 1000}},
        "noisy": {"generated": {"from": "twice", "by": noise, "split": "both"}},
    }
    declarations.config["scale"] = "paper"
    known = declarations.plan().declarations
    sizes = {"other": (55_000, 5000), "twice": (54_000, 1000), "noisy": (54_000, 1000)}
    assert {name: tuple(known.examples(name, split) for split in ("train", "test")) for name in sizes} == sizes
    assert known.dataset("other").in_words == "5,000 examples held out of the training split of mnist"
    inputs = [known.inputs(name) for name in ("mnist", *sizes)]
    assert inputs == [inputs[0]] * 4


def test_of_a_stand_in_the_same_share_is_held_out_and_what_is_belongs_to_the_scale(declarations: Declarations) -> None:
    dataset("held_out")(declarations)
    declarations.paper["datasets"]["twice"] = {"held_out": {"from": "other", "examples": 11_000}}
    declarations.paper["models"]["image-erm"]["dataset"] = "other"
    plan = declarations.plan()
    file = "results/quick/data/other/seed0/manifest.json"
    for seed in (0, 1):
        assert plan.job("train", model="image-erm", seed=seed).files == [file]
    assert jobs_of(plan)[file].files == ["data/digits/manifest.json"]
    assert json.loads(jobs_of(plan)[file].spec)["dataset"] == {"name": "other", "from": "digits", "examples": 119}
    # A twelfth of 1437, and a fifth of the rest.
    sizes = [[plan.declarations.examples(name, split) for split in ("train", "test")] for name in ("other", "twice")]
    assert sizes == [[1318, 119], [1055, 263]]
    table = spec(plan, "table", paper="small", table="accuracy")
    assert table["stand_ins"] == {"mnist": "digits"}
    differences = {"dataset.examples: 119 instead of 5000", "dataset.from: digits instead of mnist"}
    assert {f"{words} (image-erm)" for words in differences} <= set(table["differs"])


def test_one_example_at_least_is_held_out_of_a_stand_in(declarations: Declarations) -> None:
    dataset("held_out", examples=1)(declarations)
    assert declarations.plan().declarations.examples("other", "test") == 1


def test_a_report_says_how_many_examples_stand_in_and_what_they_are_held_out_of(declarations: Declarations) -> None:
    both(dataset("held_out", **{"from": "digits", "examples": 100}), scale("other", "datasets", "mnist"))(declarations)
    asked = spec(declarations.plan(), "report")
    assert asked["stand_ins"] == {"mnist": "other"}
    assert asked["sources"] == {"other": "100 examples held out of the training split of digits"}


def test_a_model_on_other_data_than_its_papers_says_what_they_are_held_out_of(declarations: Declarations) -> None:
    dataset("held_out")(declarations)
    overrides = {"models": {"image-erm": {"dataset": "other"}}}
    declarations.config |= {"scale": "paper", "overrides": overrides}
    table = spec(declarations.plan(), "table", paper="small", table="accuracy")
    assert table["differs"] == [
        "dataset: other (examples: 5000, from: mnist) instead of mnist (config.yaml) (image-erm)"
    ]


def test_a_model_and_a_measure_are_of_a_part_of_another_data_set(declarations: Declarations) -> None:
    both(dataset("sampled"), shown(ON_OTHER))(declarations)
    declarations.paper["models"]["image-hrm"]["dataset"] = "other"
    declarations.config["scale"] = "paper"
    plan = declarations.plan()
    for seed in range(3):
        assert plan.job("train", model="image-erm", seed=seed).files == ["data/mnist/manifest.json"]
        assert plan.job("train", model="image-hrm", seed=seed).files == ["data/other/manifest.json"]
        assert data_of(plan, seed) == ["data/other/manifest.json"]
    job = jobs_of(plan)["data/other/manifest.json"]
    assert job.files == ["data/mnist/manifest.json"]
    assert json.loads(job.spec)["dataset"] == {"name": "other", "from": "mnist", "train": 5000, "test": 1000}


def test_how_many_are_drawn_is_known_beforehand(declarations: Declarations) -> None:
    dataset("sampled")(declarations)
    noise = {"name": "gaussian_noise", "standard_deviation": 0.1}
    declarations.paper["datasets"] |= {
        "validation": {"held_out": {"from": "other", "examples": 500}},
        "twice": {"sampled": {"from": "validation", "train": 4500, "test": 60}},
        "noisy": {"generated": {"from": "twice", "by": noise, "split": "both"}},
    }
    declarations.config["scale"] = "paper"
    known = declarations.plan().declarations
    sizes = {"other": (5000, 1000), "validation": (4500, 500), "twice": (4500, 60), "noisy": (4500, 60)}
    assert {name: tuple(known.examples(name, split) for split in ("train", "test")) for name in sizes} == sizes
    words = "5,000 training and 1,000 test examples drawn at random from mnist"
    assert known.dataset("other").in_words == words
    inputs = [known.inputs(name) for name in ("mnist", *sizes)]
    assert inputs == [inputs[0]] * 5


def test_of_a_stand_in_as_many_are_drawn_or_all_and_what_is_belongs_to_the_scale(declarations: Declarations) -> None:
    dataset("sampled", train=2000, test=100)(declarations)
    declarations.paper["datasets"] |= {
        "validation": {"held_out": {"from": "other", "examples": 500}},
        "twice": {"sampled": {"from": "validation", "train": 1500, "test": 300}},
    }
    declarations.paper["models"]["image-erm"]["dataset"] = "other"
    plan = declarations.plan()
    file = "results/quick/data/other/seed0/manifest.json"
    for seed in (0, 1):
        assert plan.job("train", model="image-erm", seed=seed).files == [file]
    job = jobs_of(plan)[file]
    assert job.files == ["data/digits/manifest.json"]
    assert json.loads(job.spec)["dataset"] == {"name": "other", "from": "digits", "train": 1437, "test": 100}
    # A quarter is held out of what was drawn, and all are drawn of what this leaves.
    sizes = {"other": [1437, 100], "validation": [1078, 359], "twice": [1078, 300]}
    known = plan.declarations
    assert {name: [known.examples(name, split) for split in ("train", "test")] for name in sizes} == sizes
    table = spec(plan, "table", paper="small", table="accuracy")
    assert table["stand_ins"] == {"mnist": "digits"}
    assert [words for words in table["differs"] if words.startswith("dataset.") and "image-erm" in words] == [
        "dataset.train: 1437 instead of 2000 (image-erm)",
        "dataset.from: digits instead of mnist (image-erm)",
    ]


@pytest.mark.parametrize("layer", ["scale", "config.yaml"])
def test_a_part_instead_of_a_papers_own_data_is_said_to_stand_in_for_them(
    declarations: Declarations, layer: str
) -> None:
    dataset("sampled")(declarations)
    changed = {"image-*": {"dataset": "other"}}
    declarations.config["scale"] = "paper"
    if layer == "scale":
        declarations.scales["paper"]["models"] = changed
    else:
        declarations.config["overrides"] = {"models": changed}
    declarations.config["data"] = {"allow_unverified": ["mnist"]}
    plan = declarations.plan()
    for seed in range(3):
        assert plan.job("train", model="image-erm", seed=seed).files == ["data/other/manifest.json"]
        measured = plan.job("measure", measure="pgd", subject="image-erm", seed=seed)
        assert measured.files[0] == "data/other/manifest.json"
    table = spec(plan, "table", paper="small", table="accuracy")
    where = "" if layer == "scale" else " (config.yaml)"
    words = f"dataset: other (train: 5000, test: 1000, from: mnist) instead of mnist{where} (image-erm, image-hrm)"
    assert words in table["differs"]
    # What it is a part of counts as well.
    assert (table["stand_ins"], table["unverified"]) == ({"mnist": "other"}, ["mnist"])
    asked = spec(plan, "report")
    assert asked["stand_ins"] == {"mnist": "other"}
    assert asked["sources"] == {"other": "5,000 training and 1,000 test examples drawn at random from mnist"}
    assert spec(plan, "table", paper="small", table="distances")["stand_ins"] == {}


def test_a_verdict_on_a_part_of_a_papers_own_data_is_indicative(declarations: Declarations) -> None:
    dataset("sampled")(declarations)
    declarations.scales["paper"]["models"] = {"image-erm": {"dataset": "other"}}
    declarations.config["scale"] = "paper"
    (claim,) = spec(declarations.plan(), "scorecard", paper="small")["claims"]
    words = "dataset: other (train: 5000, test: 1000, from: mnist) instead of mnist (image-erm)"
    assert [under["differs"] for under in claim["readings"]] == [[words]]


def test_a_part_of_a_part_of_a_stand_in_belongs_to_its_scale_too(declarations: Declarations) -> None:
    both(dataset("sampled"), shown({**CLEAN, "data": "more"}))(declarations)
    declarations.paper["datasets"]["more"] = {"sampled": {"from": "other", "train": 10, "test": 10}}
    plan = declarations.plan()
    assert data_of(plan) == ["results/quick/data/more/seed0/manifest.json"]
    assert plan.job("data", dataset="more", seed=0).files == ["results/quick/data/other/seed0/manifest.json"]


def test_a_measure_on_a_data_set_reads_its_stand_in(declarations: Declarations) -> None:
    shown({**CLEAN, "data": "mnist"})(declarations)
    plan = declarations.plan()
    assert data_of(plan) == ["data/digits/manifest.json"]
    assert spec(plan, "table", paper="small", table="extra")["stand_ins"] == {"mnist": "digits"}


@pytest.mark.parametrize("origin", ["generated", "held_out", "sampled", "adversarial"])
def test_a_table_says_what_stands_in_for_the_source_of_its_data(declarations: Declarations, origin: str) -> None:
    both(dataset(origin), shown(ON_OTHER))(declarations)
    # The model itself is of other data than those that stand in.
    declarations.paper["models"]["fashion"] = declarations.paper["models"]["image-erm"] | {"dataset": "fashion_mnist"}
    declarations.paper["tables"]["extra"]["rows"]["row"]["model"] = "fashion"
    assert spec(declarations.plan(), "table", paper="small", table="extra")["stand_ins"] == {"mnist": "digits"}
    declarations.config |= {"scale": "paper", "data": {"allow_unverified": ["mnist", "cifar10"]}}
    table = spec(declarations.plan(), "table", paper="small", table="extra")
    assert (table["stand_ins"], table["unverified"]) == ({}, ["mnist"])
    assert spec(declarations.plan(), "report")["unverified"] == ["mnist"]


def test_a_model_trained_on_a_generated_data_set_is_said_to_be_of_its_source(
    declarations: Declarations,
) -> None:
    dataset("generated", split="both")(declarations)
    declarations.paper["models"]["image-erm"]["dataset"] = "other"
    plan = declarations.plan()
    assert plan.job("train", model="image-erm", seed=1).files == ["results/quick/data/other/seed0/manifest.json"]
    assert spec(plan, "table", paper="small", table="accuracy")["stand_ins"] == {"mnist": "digits"}


def test_adversarial_examples_are_those_of_the_seed_taken_in_turn(declarations: Declarations) -> None:
    both(dataset("adversarial", model="image-hrm"), shown(ON_OTHER))(declarations)
    declarations.paper["models"]["image-erm"]["seeds"] = 3
    files = [data_of(declarations.plan(), seed) for seed in range(3)]
    assert files == [[f"results/quick/data/other/seed{seed}/manifest.json"] for seed in (0, 1, 0)]


@pytest.mark.parametrize(
    ("name", "seed"), [("other", 2), ("other", None), ("digits", 0), ("noisy", 1), ("noisy", None)]
)
def test_a_seed_that_a_data_set_does_not_have_is_refused(
    declarations: Declarations, name: str, seed: int | None
) -> None:
    dataset("adversarial")(declarations)
    noise = {"name": "gaussian_noise", "standard_deviation": 0.1}
    declarations.paper["datasets"]["noisy"] = {"generated": {"from": "mnist", "by": noise}}
    plan = declarations.plan()
    assert plan.job("data", dataset="other", seed=1).models == (("image-erm", 1),)
    with pytest.raises(UserError, match=f"data set {name} has no seed {seed} at this scale"):
        plan.job("data", dataset=name, **({} if seed is None else {"seed": seed}))


def test_what_is_measured_on_examples_that_fool_a_model_that_is_left_out_is_not_measured(
    declarations: Declarations,
) -> None:
    both(dataset("adversarial", model="image-hrm"), shown(ON_OTHER))(declarations)
    declarations.config["leave_out"] = ["image-hrm"]
    (cell,) = spec(declarations.plan(), "table", paper="small", table="extra")["cells"]
    assert cell == {"row": "row", "column": "extra", "kind": "not_measured", "why": "image-hrm: left out"}


def test_only_a_data_set_with_images_to_train_on_has_both_splits(declarations: Declarations) -> None:
    dataset("adversarial")(declarations)
    noise = {"name": "gaussian_noise", "standard_deviation": 0.1}
    for split in ("test", "both"):
        declarations.paper["datasets"][f"noisy-{split}"] = {"generated": {"from": "mnist", "by": noise, "split": split}}
    declarations.paper["datasets"]["validation"] = {"held_out": {"from": "mnist", "examples": 5000}}
    declarations.paper["datasets"]["part"] = {"sampled": {"from": "mnist", "train": 5000, "test": 1000}}
    plan = declarations.plan()
    assert plan.pattern("test_only") == r"imagenet|noisy\-test|other"
    with_both = {"digits", "mnist", r"noisy\-both", "part", "two_moons", "validation"}
    assert with_both < set(plan.pattern("both_splits").split("|"))


def test_a_pattern_changes_derived_models_only_where_they_have_the_key(declarations: Declarations) -> None:
    derived()(declarations)
    declarations.scales["quick"]["models"] = {"*": {"epochs": 7, "seeds": 1}}
    plan = declarations.plan().declarations
    assert plan.model("image-erm").epochs == 7
    assert [len(plan.seeds(name)) for name in ("image-erm", "cut", "given")] == [1, 1, 1]


def test_a_derived_model_is_attacked_with_the_objective_of_its_source(declarations: Declarations) -> None:
    attack = {"attack": {"name": "fgsm", "epsilon": "8/255", "loss": "training"}}
    both(derived("models", "cut", "derived", "from", value="image-hrm"), shown(attack, "cut"))(declarations)
    job = declarations.plan().job("measure", measure="extra", subject="cut", seed=0)
    assert json.loads(job.spec)["subjects"][0]["objective"] == {"name": "hrm", "loss": "cross_entropy", "guard": 1e-8}
