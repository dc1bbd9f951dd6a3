"""Attacks that compare the features of another model, as planned: whose weights are read, and what follows from it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import Declarations
from in_process import jobs_for
from planned_jobs import jobs_of

from robustrepro.errors import UserError
from robustrepro.spec.behind import results_behind
from robustrepro.spec.differences import Differences
from robustrepro.spec.plan import Plan
from robustrepro.spec.reads import models_read_by, reading_others

ERM, HRM, EYES, PAT = "image-erm", "image-hrm", "image-eyes", "image-pat"
LAYERS = ["features.2", "features.5"]
FEATURES: dict[str, Any] = {"model": EYES, "layers": LAYERS}
LPA: dict[str, Any] = {"name": "lagrangian_perceptual", "features": FEATURES}
FAST: dict[str, Any] = {"name": "fast_lagrangian_perceptual", "features": FEATURES}
CONVNET = {"architecture": {"name": "convnet", "channels": [4]}}
WEIGHTS = "results/quick/models/{}/seed{}/weights.safetensors"
OF_EYES = WEIGHTS.format(EYES, 0)


@pytest.fixture
def seeing(declarations: Declarations) -> Declarations:
    """The small paper with a model whose features are compared, in a measure and in the training of another."""
    paper = declarations.paper
    paper["models"][EYES] = {**paper["models"][ERM], "network": CONVNET}
    objective = {"name": "adversarial", "adversary": FAST}
    paper["models"][PAT] = {**paper["models"][ERM], "objective": objective}
    paper["measures"]["lpa"] = {"attack": LPA, "examples": 20}
    columns = {"clean": {"label": "Clean", "measure": "clean"}, "lpa": {"label": "LPA", "measure": "lpa"}}
    rows = {key: {"label": key, "model": model} for key, model in (("erm", ERM), ("pat", PAT))}
    paper["tables"]["seen"] = {"where": "Table 7", "caption": "Seen", "rows": rows, "columns": columns}
    figure = {
        "name": "scatter",
        "x": {"column": "size", "label": "size"},
        "y": {"column": "margin", "label": "margin"},
        "series": [{"label": "ERM", "model": ERM, "measure": "lpa"}],
    }
    paper["figures"]["sizes"] = {"where": "Figure 7", "caption": "Sizes", "figure": figure}
    return declarations


def spec(plan: Plan, step: str, **names: Any) -> Any:
    return json.loads(plan.job(step, **names).spec)


def test_a_measurement_reads_the_first_seed_of_the_model_whichever_seed_it_is_of(seeing: Declarations) -> None:
    plan = seeing.plan()
    for seed in (0, 1):
        job = plan.job("measure", measure="lpa", subject=ERM, seed=seed)
        weights = [file for role, file in job.inputs if role == "weights"]
        assert weights == [WEIGHTS.format(ERM, seed), OF_EYES]
        assert job.models == ((ERM, seed), (EYES, 0))
        content = json.loads(job.spec)
        network = {**CONVNET, "preprocessing": []}
        assert content["features"] == [{"model": EYES, "seed": 0, "network": network}]
        assert "robustrepro.models.convnet:ConvNet" in content["runs"]
        assert content["measure"]["attack"]["features"] == FEATURES
    own = {**LPA, "features": {"layers": LAYERS}}
    seeing.paper["measures"]["lpa"]["attack"] = own
    job = seeing.plan().job("measure", measure="lpa", subject=ERM, seed=1)
    assert job.models == ((ERM, 1),)
    assert "features" not in json.loads(job.spec)


def test_a_sharded_measurement_reads_them_in_every_part(seeing: Declarations) -> None:
    seeing.paper["measures"]["lpa"]["shards"] = 2
    plan = seeing.plan()
    parts = [plan.job("measure", measure="lpa", subject=ERM, seed=1, shard=shard) for shard in (0, 1)]
    assert all(OF_EYES in part.files for part in parts)
    gathered = plan.job("gather", measure="lpa", subject=ERM, seed=1)
    assert gathered.models == ((ERM, 1), (EYES, 0))
    assert json.loads(gathered.spec)["features"] == json.loads(parts[0].spec)["features"]


def test_a_training_reads_the_first_seed_of_the_model_whichever_seed_it_is_of(seeing: Declarations) -> None:
    plan = seeing.plan()
    for seed in (0, 1):
        job = plan.job("train", model=PAT, seed=seed)
        assert job.inputs == (("data", "data/digits/manifest.json"), ("features", OF_EYES))
        assert job.models == ((EYES, 0),)
        content = json.loads(job.spec)
        assert [(each["model"], each["seed"]) for each in content["features"]] == [(EYES, 0)]
        assert {
            "robustrepro.attacks.perceptual.lagrangian:declared_fast",
            "robustrepro.models.convnet:ConvNet",
            "robustrepro.models.lenet5:LeNet5",
        } <= set(content["runs"])
    plain = plan.job("train", model=ERM, seed=0)
    assert [role for role, _ in plain.inputs] == ["data"]
    assert "features" not in json.loads(plain.spec)


def test_the_weights_are_made_first_and_stand_behind_the_paper(seeing: Declarations) -> None:
    plan = seeing.plan()
    order = [file for file, _ in jobs_for(plan, [plan.layout.table("small", "seen")])]
    eyes = order.index(OF_EYES)
    assert all(eyes < order.index(WEIGHTS.format(PAT, seed)) for seed in (0, 1))
    assert all(eyes < order.index(plan.layout.measurement("lpa", model, 0)) for model in (ERM, PAT))
    assert Path(f"models/{EYES}/seed0/weights.safetensors") in results_behind(plan, "small")
    assert not any(WEIGHTS.format(EYES, 1) in job.files for job in jobs_of(plan).values())


def test_another_network_of_the_model_concerns_what_compares_its_features(seeing: Declarations) -> None:
    before = jobs_of(seeing.plan())
    seeing.paper["models"][EYES]["network"] = {"architecture": {"name": "convnet", "channels": [6]}}
    after = jobs_of(seeing.plan())
    computed = {"train", "measure", "derive", "gather"}
    changed = {file for file, job in before.items() if job.step in computed and job.spec != after[file].spec}
    expected = {OF_EYES, *(WEIGHTS.format(PAT, seed) for seed in (0, 1))}
    measurements = {file for file in changed if "/measurements/lpa/" in file}
    assert changed == expected | measurements
    assert {Path(file).parent.name for file in measurements} == {ERM, PAT}


def test_a_training_path_of_such_a_model_reads_them_too(seeing: Declarations) -> None:
    seeing.paper["measures"]["path"] = {"training_path": {"every": 10}}
    job = seeing.plan().job("measure", measure="path", subject=PAT, seed=1)
    assert job.models == ((PAT, 1), (EYES, 0))
    assert [each["model"] for each in json.loads(job.spec)["features"]] == [EYES]


def test_a_table_says_how_the_model_was_trained_whose_features_it_rests_on(seeing: Declarations) -> None:
    plan = seeing.plan()
    assert set(spec(plan, "table", paper="small", table="seen")["training"]) == {ERM, PAT, EYES}
    assert set(spec(plan, "table", paper="small", table="accuracy")["training"]) == {ERM, HRM}


# -- what is left out ----------------------------------------------------------------------------------------


def why_of(plan: Plan) -> dict[tuple[str, str], str | None]:
    cells = spec(plan, "table", paper="small", table="seen")["cells"]
    return {(cell["row"], cell["column"]): cell.get("why") for cell in cells}


def test_without_the_model_nothing_is_measured_by_its_features_nor_trained_with_them(seeing: Declarations) -> None:
    assert set(why_of(seeing.plan()).values()) == {None}
    seeing.config["leave_out"] = [EYES]
    plan = seeing.plan()
    assert why_of(plan) == {
        ("erm", "clean"): None,
        ("erm", "lpa"): f"{EYES}: left out",
        ("pat", "clean"): f"{PAT}: left out",
        ("pat", "lpa"): f"{PAT}, {EYES}: left out",
    }
    assert not any(EYES in file or PAT in file or "/lpa/" in file for file in jobs_of(plan))
    assert not any("sizes" in file for file in plan.presented.figures_of("small"))
    (note,) = (note for note in spec(plan, "report")["differences"] if "left out" in note["words"])
    assert note["names"] == [EYES, PAT]


def test_points_of_a_table_are_drawn_where_another_column_of_it_is_left_out(seeing: Declarations) -> None:
    seeing.paper["tables"]["seen"]["columns"]["pgd"] = {"label": "PGD", "measure": "pgd"}
    for name, axis in (("in-balls", "pgd"), ("by-features", "lpa")):
        points = {"name": "table_scatter", "table": "seen", "x": "clean", "y": axis, "fewest": 1}
        seeing.paper["figures"][name] = {"where": "Figure 8", "caption": "Points", "figure": points}
    seeing.config["leave_out"] = [EYES]
    drawn = {Path(file).stem for file in seeing.plan().presented.figures_of("small")}
    assert drawn & {"in-balls", "by-features"} == {"in-balls"}


def test_the_model_that_is_measured_may_be_left_out_alone(seeing: Declarations) -> None:
    seeing.config["leave_out"] = [PAT]
    why = why_of(seeing.plan())
    assert (why["erm", "lpa"], why["pat", "lpa"]) == (None, f"{PAT}: left out")


def test_what_is_derived_from_a_model_that_was_trained_with_it_is_left_out_too(seeing: Declarations) -> None:
    change = {"name": "truncate_singular_values", "layer": "classifier.3", "percent": 10}
    seeing.paper["models"]["image-cut"] = {"derived": {"from": PAT, "change": change}}
    seeing.config["leave_out"] = [EYES]
    declared = seeing.plan().declarations
    assert declared.left_out("image-cut")
    assert declared.read_in_training("image-cut") == [EYES]


# -- readings ------------------------------------------------------------------------------------------------

PLAIN: dict[str, Any] = {"unsaid": "The loss.", "where": "Section 3", "why": "Usual.", "choices": {"loss": "plain"}}


def test_a_reading_that_changes_the_model_changes_what_compares_its_features(seeing: Declarations) -> None:
    smoothed = {"name": "label_smoothing", "smoothing": 0.1}
    changed = {**PLAIN, "choices": {"loss": "smooth"}, "models": {EYES: {"objective": smoothed}}}
    seeing.paper["readings"] = {"plain": PLAIN, "smooth": changed}
    plan = seeing.plan()
    table = spec(plan, "table", paper="small", table="seen@smooth")
    assert {(cell["subject"], *cell["measures"]) for cell in table["cells"]} == {
        (ERM, "clean"),
        (ERM, "lpa@smooth"),
        (f"{PAT}@smooth", "clean"),
        (f"{PAT}@smooth", "lpa@smooth"),
    }
    assert plan.job("measure", measure="lpa@smooth", subject=ERM, seed=1).models == ((ERM, 1), (f"{EYES}@smooth", 0))
    training = spec(plan, "train", model=f"{PAT}@smooth", seed=0)
    assert training["training"]["objective"]["adversary"]["features"]["model"] == f"{EYES}@smooth"
    assert [each["model"] for each in training["features"]] == [f"{EYES}@smooth"]
    assert spec(plan, "train", model=PAT, seed=0)["features"][0]["model"] == EYES


def test_a_reading_of_another_model_leaves_what_compares_features_as_it_is(seeing: Declarations) -> None:
    seeing.paper["readings"] = {"plain": PLAIN, "longer": {**PLAIN, "models": {HRM: {"batch_size": 16}}}}
    assert not any("lpa@" in file or f"{PAT}@" in file for file in jobs_of(seeing.plan()))


def test_only_names_of_models_that_are_read_are_renamed(seeing: Declarations) -> None:
    declared = seeing.plan().declarations
    measure, training = declared.measure("lpa"), declared.model(PAT)
    renamed = reading_others(measure, {EYES: "others", ERM: "no"}.get)
    assert (models_read_by(measure), models_read_by(renamed)) == ([EYES], ["others"])
    assert renamed.model_dump(exclude={"attack"}) == measure.model_dump(exclude={"attack"})
    assert models_read_by(reading_others(training, str.upper)) == [EYES.upper()]
    assert reading_others(measure, str) is measure
    for untouched in (declared.measure("pgd"), declared.model(ERM)):
        assert models_read_by(untouched) == []
        assert reading_others(untouched, str.upper) is untouched


# -- differences from the paper ------------------------------------------------------------------------------


def test_a_claim_says_what_of_the_model_behind_its_measure_is_not_the_papers(seeing: Declarations) -> None:
    # The scale's patterns are for the models of the small paper alone: what is said is of these two.
    seeing.scales["quick"] |= {"datasets": {}, "models": {EYES: {"epochs": 1}}}
    declared = seeing.plan().declarations
    of_lpa, of_clean = ([str(note) for note in Differences(declared).notes([(ERM, name)])] for name in ("lpa", "clean"))
    assert of_lpa == [f"epochs: 1 instead of 4 ({EYES})"]
    assert of_clean == []
    of_trained = [str(note) for note in Differences(declared).notes([(PAT, "clean")])]
    assert of_trained == [f"epochs: 1 instead of 4 ({EYES})"]
    assert declared.models_behind(PAT, declared.measure("lpa")) == [PAT, EYES]


def test_the_data_of_the_model_are_behind_what_compares_its_features(seeing: Declarations) -> None:
    seeing.scales["quick"]["datasets"] = {}
    seeing.paper["models"][EYES]["dataset"] = "fashion_mnist"
    declared = seeing.plan().declarations
    assert {used for _, used in declared.data_behind(ERM, declared.measure("lpa"))} == {"mnist", "fashion_mnist"}
    assert {used for _, used in declared.data_behind(PAT)} == {"mnist", "fashion_mnist"}
    assert {used for _, used in declared.data_behind(ERM, declared.measure("clean"))} == {"mnist"}


# -- what is refused -----------------------------------------------------------------------------------------

PAPER = "papers/small/paper.yaml"


def refused(declared: Declarations) -> str:
    with pytest.raises(UserError) as caught:
        declared.plan()
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    return message


def with_features(declared: Declarations, model: str) -> None:
    declared.paper["measures"]["lpa"]["attack"] = {**LPA, "features": {"model": model, "layers": LAYERS}}


def trained_with(declared: Declarations, model: str, features: dict[str, Any]) -> None:
    objective = {"name": "adversarial", "adversary": {**FAST, "features": {"layers": LAYERS, **features}}}
    declared.paper["models"][model]["objective"] = objective


def test_a_model_that_nobody_declares_is_refused(seeing: Declarations) -> None:
    with_features(seeing, "image-eye")
    message = refused(seeing)
    assert f"unknown model in {PAPER}: measures.lpa: features: 'image-eye'; did you mean '{EYES}'?" in message
    with_features(seeing, EYES)
    trained_with(seeing, PAT, {"model": "image-eye"})
    assert f"unknown model in models.{PAT}: objective: features: 'image-eye'; did you mean" in refused(seeing)


def test_a_misspelt_data_set_of_the_model_is_named(seeing: Declarations) -> None:
    seeing.paper["models"][EYES]["dataset"] = "mnits"
    assert f"unknown data set of model {EYES}: 'mnits'; did you mean 'mnist'?" in refused(seeing)


def test_a_model_of_other_images_is_refused(seeing: Declarations) -> None:
    with_features(seeing, "points-erm")
    message = refused(seeing)
    assert f"{PAPER}: tables.seen.rows.erm: column lpa: lpa: features.model: points-erm is of two_moons" in message
    assert "with 2 classes of shape (2,); expected, as in digits, 10 of (1, 28, 28), pixels in [0, 1]" in message
    with_features(seeing, EYES)
    trained_with(seeing, PAT, {"model": "points-erm"})
    assert f"models.{PAT}: objective: features.model: points-erm is of two_moons" in refused(seeing)


def test_a_model_of_preprocessed_images_is_refused(seeing: Declarations) -> None:
    steps = [{"name": "standardise", "mean": 0.1, "std": 0.3}]
    by = {"name": "preprocessing", "steps": steps}
    seeing.paper["datasets"] = {"whitened": {"generated": {"from": "mnist", "split": "both", "by": by}}}
    seeing.paper["models"][EYES]["dataset"] = "whitened"
    assert f"features.model: {EYES} is of whitened" in refused(seeing)
    assert "10 of (1, 28, 28), pixels in [0, 1]" in refused(seeing)


@pytest.mark.parametrize("attack", [{"name": "stadv"}, LPA])
def test_images_that_have_no_range_are_not_attacked(seeing: Declarations, attack: dict[str, Any]) -> None:
    steps = [{"name": "standardise", "mean": 0.1, "std": 0.3}]
    by = {"name": "preprocessing", "steps": steps}
    seeing.paper["datasets"] = {"whitened": {"generated": {"from": "mnist", "split": "both", "by": by}}}
    seeing.paper["measures"]["lpa"]["attack"] = attack
    seeing.paper["models"][PAT]["dataset"] = "whitened"
    message = refused(seeing)
    assert message.startswith(f"models.{PAT}: objective: on whitened, fast_lagrangian_perceptual needs images with")
    seeing.paper["models"][PAT]["objective"] = {"name": "erm"}
    message = refused(seeing)
    assert f"lpa cannot attack {PAT} on whitened: {attack['name']} needs images with pixels in [0, 1]" in message


@pytest.mark.parametrize("name", ["recoloradv", "jpeg"])
def test_grey_images_are_refused_where_colours_are_attacked(seeing: Declarations, name: str) -> None:
    seeing.paper["measures"]["lpa"]["attack"] = {"name": name}
    message = refused(seeing)
    assert f"{PAPER}: tables.seen.rows.erm: column lpa: lpa cannot attack {ERM} on digits: {name} needs" in message
    assert "images in colour, of shape (3, height, width); found shape (1, 28, 28)" in message
    seeing.paper["measures"]["lpa"]["attack"] = LPA
    seeing.paper["models"][PAT]["objective"] = {"name": "adversarial", "adversary": {"name": name}}
    assert f"models.{PAT}: objective: on digits, {name} needs images in colour" in refused(seeing)


def test_points_are_refused_in_training(seeing: Declarations) -> None:
    seeing.paper["models"]["points-erm"]["objective"] = {"name": "adversarial", "adversary": {"name": "stadv"}}
    assert "models.points-erm: objective: on two_moons, stadv needs images; found shape (2,)" in refused(seeing)


def test_a_model_is_not_trained_with_its_own_trained_features(seeing: Declarations) -> None:
    trained_with(seeing, PAT, {"model": PAT})
    message = refused(seeing)
    assert message.startswith(f"models.{PAT}: objective: its training reads models in a circle: {PAT} needs {PAT}")


def test_models_are_not_trained_with_one_anothers_features(seeing: Declarations) -> None:
    change = {"name": "truncate_singular_values", "layer": "classifier.3", "percent": 10}
    seeing.paper["models"]["image-cut"] = {"derived": {"from": PAT, "change": change}}
    trained_with(seeing, EYES, {"model": "image-cut"})
    assert f"in a circle: {EYES} needs image-cut needs {PAT} needs {EYES}" in refused(seeing)


def test_the_features_of_the_network_in_training_are_no_circle(seeing: Declarations) -> None:
    trained_with(seeing, PAT, {})
    job = seeing.plan().job("train", model=PAT, seed=0)
    assert job.models == ()


@pytest.mark.parametrize("model", [ERM, "image-cut"])
def test_the_features_may_be_those_of_the_measured_model_or_of_a_derived_one(seeing: Declarations, model: str) -> None:
    change = {"name": "truncate_singular_values", "layer": "classifier.3", "percent": 10}
    seeing.paper["models"]["image-cut"] = {"derived": {"from": ERM, "change": change}}
    with_features(seeing, model)
    job = seeing.plan().job("measure", measure="lpa", subject=ERM, seed=1)
    assert job.models == ((ERM, 1), (model, 0))
