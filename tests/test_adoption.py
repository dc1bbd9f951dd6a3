"""Results made elsewhere: what is checked before they are adopted, without running Snakemake."""

from __future__ import annotations

import json
import shlex
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from conftest import Declarations
from typer.testing import CliRunner

from robustrepro import adoption
from robustrepro.adoption import adopt
from robustrepro.command_line import ADOPT_VARIABLE, app
from robustrepro.datasets.prepare import prepare
from robustrepro.errors import UserError
from robustrepro.files import sha256_of
from robustrepro.measures.store import METADATA_KEY, read_columns, write_measurement
from robustrepro.spec import sources
from robustrepro.spec.datasets import dataset_of
from robustrepro.spec.jobs import Job
from robustrepro.spec.plan import Plan
from robustrepro.spec.records import FINISHED, UNFINISHED

ERM, HRM, CUT = "image-erm", "image-hrm", "cut-image-erm"
KEPT, EARLY = "points-erm", "points-erm-early"
SEEING = "image-seeing"
"""Trained against an attack that compares the features of image-hrm."""
Made = tuple[str, str, int]
"""Measure, subject and seed of a measurement."""

TRANSFER: Made = ("transfer-pgd", ERM, 0)
AUDIT: Made = ("audit-linf-0.3", HRM, 1)
AUDIT_TRANSFER: Made = ("audit-transfer-small", ERM, 0)
DISTANCE: Made = ("distance", "points-erm+points-hrm", 1)
IN_PARTS: Made = ("in-parts", HRM, 0)
OVER_EPOCHS: Made = ("over@clipped", KEPT, 0)
BY_FEATURES: Made = ("lpa", ERM, 1)
OF_VARIANT: Made = ("clean", f"{KEPT}@clipped", 0)


@pytest.fixture
def plan(declarations: Declarations, monkeypatch: pytest.MonkeyPatch) -> Plan:
    """The small paper with transfer, a sharded measure and a derived model; the trained ones are recorded."""
    declarations.add_transfer("transfer", white_box=True)
    paper = declarations.paper
    paper["measures"]["in-parts"] = {"attack": {"name": "fgsm", "epsilon": 0.1}, "examples": 10, "shards": 3}
    features = {"features": {"model": HRM, "layers": ["features.2"]}}
    paper["measures"]["lpa"] = {"attack": {"name": "lagrangian_perceptual", **features}}
    objective = {"name": "adversarial", "adversary": {"name": "fast_lagrangian_perceptual", **features}}
    paper["models"][SEEING] = {**paper["models"][ERM], "objective": objective}
    change = {"name": "truncate_singular_values", "layer": "classifier.3", "percent": 50}
    paper["models"][CUT] = {"derived": {"from": ERM, "change": change}}
    paper["models"][KEPT]["checkpoints"] = [1, 2]
    paper["models"][EARLY] = {"derived": {"from": KEPT, "change": {"name": "checkpoint", "epoch": 1}}}
    attack = {"name": "fgsm", "epsilon": 0.1, "loss": "clipped_cross_entropy"}
    paper["measures"]["over"] = {"over_epochs": {"attack": {**attack, "loss": "cross_entropy"}}}
    plain = {"unsaid": "The loss.", "where": "Section 3", "why": "Usual.", "choices": {"loss": "plain"}}
    clipped = {"models": {KEPT: {"batch_size": 16}}, "measures": {"over": {"over_epochs": {"attack": attack}}}}
    paper["readings"] = {"plain": plain, "clipped": {**plain, **clipped, "concerns": {"tables": []}}}
    planned = declarations.plan()
    monkeypatch.chdir(declarations.root)
    for model in (ERM, HRM, "points-erm", "points-hrm"):
        for seed in (0, 1):
            path = Path(planned.layout.weights(model, seed))
            path.parent.mkdir(parents=True)
            path.write_text(f"weights of {model}, seed {seed}")
            if model == KEPT:
                Path(planned.layout.checkpoints(model, seed)).write_text(f"checkpoints of {model}, seed {seed}")
    known = adoption.unrecorded_outputs(Path(planned.folder))
    monkeypatch.setattr(
        adoption,
        "unrecorded_outputs",
        lambda folder: sorted(path for path in folder.rglob("*") if path.is_file() and path not in known),
    )
    return planned


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that Snakemake would be asked to record."""
    asked: list[Path] = []

    def record(_: Plan, files: Sequence[Path], aside: Path) -> None:
        assert all((aside / file).exists() for file in files)
        asked.extend(files)

    monkeypatch.setattr(adoption, "_record", record)
    return asked


def origin_of(plan: Plan, job: Job) -> dict[str, Any]:
    kept = [Path(file) for role, file in job.inputs if role == "checkpoints"]
    checkpoints = {"checkpoints_sha256": sha256_of(kept[0])} if kept else {}
    return {
        "spec": json.loads(job.spec),
        "code": job.code,
        "models": [
            {"model": name, "seed": at, "weights_sha256": sha256_of(Path(plan.layout.weights(name, at))), **checkpoints}
            for name, at in job.models
        ],
        "data_manifest_sha256": "?",
    }


def computed_elsewhere(plan: Plan, made: Made, **changed: Any) -> Path:
    """Write a measurement as the plan asks for it, but for some keys of its origin."""
    measure, subject, seed = made
    step = "gather" if plan.computed.measure(measure, subject).shards > 1 else "measure"
    job = plan.job(step, measure=measure, subject=subject, seed=seed)
    path = Path(plan.layout.measurement(measure, subject, seed))
    write_measurement(path, {"index": np.arange(3)}, origin_of(plan, job) | changed)
    return path


def shards_elsewhere(plan: Plan, made: Made, **changed: Any) -> list[Path]:
    """Write all parts of a sharded measurement as the plan asks for them, but for some keys of their origin."""
    measure, subject, seed = made
    paths = []
    for shard in range(3):
        job = plan.job("measure", measure=measure, subject=subject, seed=seed, shard=shard)
        paths.append(Path(plan.layout.shard(measure, subject, seed, shard, 3)))
        write_measurement(paths[-1], {"index": np.arange(1)}, origin_of(plan, job) | changed)
    return paths


def test_nothing_is_adopted_in_a_checkout_whose_code_does_not_run(plan: Plan) -> None:
    own = Path("src/robustrepro/__init__.py")
    own.parent.mkdir(parents=True)
    own.touch()
    with pytest.raises(UserError, match=f"is in {own.parent.resolve()}, but robustrepro is imported from"):
        adopt(plan)


@pytest.mark.parametrize(
    "made",
    [TRANSFER, AUDIT_TRANSFER, AUDIT, DISTANCE, OVER_EPOCHS, BY_FEATURES],
    ids=["transfer", "audit transfer", "audit", "pair", "over epochs", "features of another model"],
)
def test_a_measurement_that_is_what_the_plan_asks_for_is_adopted(plan: Plan, recorded: list[Path], made: Made) -> None:
    path = computed_elsewhere(plan, made)
    assert adopt(plan) == recorded == [path]
    assert path.exists()


def note_unfinished(file: Path) -> None:
    """Note that the job which makes a file is unfinished, as Snakemake does."""
    note = UNFINISHED / urlsafe_b64encode(str(file).encode()).decode()
    note.parent.mkdir(parents=True, exist_ok=True)
    note.write_text("{}")


def note_finished(file: Path, job: Job, inputs: Sequence[str], **changed: str) -> None:
    """Note that a job has made a file of inputs with these checksums, as Snakemake does."""
    spec, code = (changed.get(key, getattr(job, key)) for key in ("spec", "code"))
    command = f"python -m robustrepro run {job.step} --spec {shlex.quote(spec)} --code {code} --input data=x"
    note = FINISHED / urlsafe_b64encode(str(file).encode()).decode()
    note.parent.mkdir(parents=True, exist_ok=True)
    checksums = {f"input {number}": f"sha256:{checksum}" for number, checksum in enumerate(inputs)}
    note.write_text(json.dumps({"shellcmd": command, "input_checksums": checksums}))


def retrain(model: str, seed: int) -> Callable[[Plan], object]:
    return lambda plan: Path(plan.layout.weights(model, seed)).write_text("other weights")


def remove(model: str, seed: int) -> Callable[[Plan], object]:
    return lambda plan: Path(plan.layout.weights(model, seed)).unlink()


def keep_others(model: str, seed: int) -> Callable[[Plan], object]:
    return lambda plan: Path(plan.layout.checkpoints(model, seed)).write_text("other checkpoints")


def keep_none(model: str, seed: int) -> Callable[[Plan], object]:
    return lambda plan: Path(plan.layout.checkpoints(model, seed)).unlink()


@pytest.mark.parametrize(
    ("made", "change", "reason"),
    [
        (TRANSFER, retrain(HRM, 1), f"it was measured on other weights than results/quick/models/{HRM}/seed1/"),
        (TRANSFER, retrain(ERM, 0), f"it was measured on other weights than results/quick/models/{ERM}/seed0/"),
        (TRANSFER, remove(HRM, 1), f"{HRM}/seed1/weights.safetensors, which it was measured on, is not here"),
        (AUDIT_TRANSFER, retrain(HRM, 0), f"it was measured on other weights than results/quick/models/{HRM}/seed0/"),
        (AUDIT, retrain(HRM, 1), f"it was measured on other weights than results/quick/models/{HRM}/seed1/"),
        (DISTANCE, retrain("points-hrm", 1), "measured on other weights than results/quick/models/points-hrm/seed1/"),
        (OVER_EPOCHS, retrain(KEPT, 0), f"other weights than results/quick/models/{KEPT}/seed0/weights.safetensors"),
        (OVER_EPOCHS, keep_others(KEPT, 0), f"weights than results/quick/models/{KEPT}/seed0/checkpoints.safetensors"),
        (OVER_EPOCHS, keep_none(KEPT, 0), f"{KEPT}/seed0/checkpoints.safetensors, which it was measured on, is not"),
        (BY_FEATURES, retrain(HRM, 0), f"it was measured on other weights than results/quick/models/{HRM}/seed0/"),
    ],
)
def test_a_measurement_of_other_weights_is_refused(
    plan: Plan, recorded: list[Path], made: Made, change: Callable[[Plan], object], reason: str
) -> None:
    path = computed_elsewhere(plan, made)
    change(plan)
    with pytest.raises(UserError, match=r"1 of 1 file\(s\) cannot be adopted") as caught:
        adopt(plan)
    assert f"{path}: " in str(caught.value)
    assert reason in str(caught.value)
    assert recorded == []
    assert path.exists()


def test_models_that_none_of_its_targets_uses_may_differ(plan: Plan, recorded: list[Path]) -> None:
    path = computed_elsewhere(plan, TRANSFER)  # tried on ERM, seeds 0 and 1, and HRM, seed 1
    retrain(HRM, 0)(plan)
    retrain("points-erm", 1)(plan)
    adopt(plan)
    assert recorded == [path]


@pytest.mark.parametrize("made", [TRANSFER, AUDIT])
@pytest.mark.parametrize(
    ("key", "reason"), [("spec", "its declared_by is null, the plan's"), ("code", "it was computed with other sources")]
)
def test_a_measurement_of_another_spec_or_code_is_refused(
    plan: Plan, recorded: list[Path], made: Made, key: str, reason: str
) -> None:
    computed_elsewhere(plan, made, **{key: {}})
    with pytest.raises(UserError, match=reason):
        adopt(plan)
    assert recorded == []


def test_targets_in_another_order_are_refused(plan: Plan, recorded: list[Path]) -> None:
    path = computed_elsewhere(plan, TRANSFER)
    _, origin = read_columns(path)
    source, *targets = origin["models"]
    computed_elsewhere(plan, TRANSFER, models=[source, *reversed(targets)])
    with pytest.raises(UserError, match=f"it was measured on {targets[-1]['model']}, seed {targets[-1]['seed']}"):
        adopt(plan)
    assert recorded == []


def test_columns_that_were_edited_are_refused(plan: Plan, recorded: list[Path]) -> None:
    table, origin = read_columns(computed_elsewhere(plan, TRANSFER))
    edited = table.slice(0, 2).replace_schema_metadata({METADATA_KEY: json.dumps(origin).encode()})
    pq.write_table(edited, plan.layout.measurement(*TRANSFER))
    with pytest.raises(UserError, match="its columns are not those that its metadata describe"):
        adopt(plan)
    assert recorded == []


def test_one_file_that_does_not_pass_keeps_all_from_being_adopted(plan: Plan, recorded: list[Path]) -> None:
    good, bad = computed_elsewhere(plan, TRANSFER), computed_elsewhere(plan, AUDIT, code="other")
    with pytest.raises(UserError, match=r"1 of 2 file\(s\)") as caught:
        adopt(plan)
    assert str(bad) in str(caught.value)
    assert str(good) not in str(caught.value)
    assert recorded == []


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("papers/small/tables/accuracy.json", "only models, their data and measurements are adopted"),
        (f"measurements/pgds/{ERM}/seed0.parquet", "pgds"),
        (f"measurements/pgd/{ERM}/seed9.parquet", f"{ERM} has no seed 9 at this scale"),
        ("measurements/pgd/image-emr/seed0.parquet", "image-emr"),
    ],
)
def test_a_file_that_the_plan_does_not_make_is_refused(
    plan: Plan, recorded: list[Path], name: str, reason: str
) -> None:
    path = Path(plan.folder) / name
    write_measurement(path, {"index": np.arange(3)}, {})
    with pytest.raises(UserError, match=reason) as caught:
        adopt(plan)
    assert str(path) in str(caught.value)
    assert recorded == []


# -- measurements whose rows were split over jobs ------------------------------------------------------------


def test_parts_are_adopted_with_and_without_what_was_gathered_from_them(plan: Plan, recorded: list[Path]) -> None:
    parts = shards_elsewhere(plan, IN_PARTS)
    assert adopt(plan) == parts
    whole = computed_elsewhere(plan, IN_PARTS)
    recorded.clear()
    assert adopt(plan) == recorded == sorted([*parts, whole])


def test_what_was_gathered_is_not_adopted_without_its_parts(plan: Plan, recorded: list[Path]) -> None:
    # Snakemake would measure the parts anew, which adoption is there to spare.
    computed_elsewhere(plan, IN_PARTS)
    first = plan.layout.shard(*IN_PARTS, 0, 3)
    with pytest.raises(UserError, match=f"{first}, which it was gathered from, is not here"):
        adopt(plan)
    assert recorded == []


def test_a_part_in_the_place_of_another_is_refused(plan: Plan, recorded: list[Path]) -> None:
    parts = shards_elsewhere(plan, IN_PARTS)
    parts[2].write_bytes(parts[1].read_bytes())
    with pytest.raises(UserError, match=r"1 of 3 file\(s\)") as caught:
        adopt(plan)
    assert f"{parts[2]}: its shard is [1, 3], the plan's [2, 3]" in str(caught.value)
    assert recorded == []


def test_what_was_gathered_from_parts_of_other_sources_is_refused(
    plan: Plan, recorded: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        digest = sources._module_digest
        patched.setattr(sources, "_module_digest", lambda name: f"{digest(name)}{'edited' * name.endswith('fgsm')}")
        sources._digest_of.cache_clear()
        shards_elsewhere(plan, IN_PARTS)
        whole = computed_elsewhere(plan, IN_PARTS)
    sources._digest_of.cache_clear()
    anew = Plan(plan.config.model_dump(), plan.declarations.root)
    with pytest.raises(UserError, match=r"4 of 4 file\(s\)") as caught:
        adopt(anew)
    assert f"{whole}: it was computed with other sources" in str(caught.value)
    assert recorded == []


# -- models --------------------------------------------------------------------------------------------------


SOURCES = {CUT: ("weights", ERM), EARLY: ("checkpoints", KEPT)}
"""Of each derived model, what it reads of which other one."""


def model_elsewhere(plan: Plan, model: str, **changed: Any) -> list[Path]:
    """Write a model as the plan asks for it, but for some keys of its card; return its files."""
    of_a_training = ["card.json", "checkpoints.safetensors", "history.csv"]
    step, names = ("derive", ["card.json"]) if model in SOURCES else ("train", of_a_training)
    job = plan.job(step, model=model, seed=0)
    weights = Path(plan.layout.weights(model, 0))
    weights.parent.mkdir(parents=True, exist_ok=True)
    weights.write_text("weights from elsewhere")
    paths = [weights.with_name(name) for name in names]
    for path in paths:
        path.write_text("epoch,loss\n")
    card = {"spec": json.loads(job.spec), "code": job.code, "weights_sha256": sha256_of(weights)}
    if model not in SOURCES:
        card["checkpoints_sha256"] = sha256_of(weights.with_name("checkpoints.safetensors"))
    card |= {"data_manifest_sha256": "?"}
    if model in SOURCES:
        role, source = SOURCES[model]
        card["source_weights_sha256"] = sha256_of(Path(getattr(plan.layout, role)(source, 0)))
    compared = [(name, seed, sha256_of(Path(plan.layout.weights(name, seed)))) for name, seed in job.models]
    if step == "train" and compared:
        keys = ("model", "seed", "weights_sha256")
        card["features"] = [dict(zip(keys, each, strict=True)) for each in compared]
    paths[0].write_text(json.dumps(card | changed))
    return sorted([*paths, weights]) if model in SOURCES else paths


@pytest.mark.parametrize("model", [CUT, EARLY])
def test_a_derived_model_is_its_weights_and_its_card(plan: Plan, recorded: list[Path], model: str) -> None:
    files = model_elsewhere(plan, model)
    assert [path.name for path in files] == ["card.json", "weights.safetensors"]
    assert adopt(plan) == recorded == files


def test_a_trained_model_has_checkpoints_and_a_history_too(plan: Plan, recorded: list[Path]) -> None:
    card, checkpoints, history = model_elsewhere(plan, ERM)
    assert adopt(plan) == recorded == [card, checkpoints, history]  # the fixture has the weights recorded
    history.unlink()
    with pytest.raises(UserError, match=r"history\.csv is missing beside it") as caught:
        adopt(plan)
    assert str(card) in str(caught.value)


@pytest.fixture
def all_are_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adoption, "unrecorded_outputs", lambda _: [])


@pytest.mark.usefixtures("plan", "all_are_noted")
def test_what_was_copied_to_where_a_run_was_killed_is_adopted(plan: Plan, recorded: list[Path]) -> None:
    files = sorted([*model_elsewhere(plan, ERM), Path(plan.layout.weights(ERM, 0))])
    for file in files:
        note_unfinished(file)
    assert adopt(plan) == recorded == files


@pytest.mark.usefixtures("plan", "all_are_noted")
def test_what_a_killed_run_left_is_left_to_the_next_one(plan: Plan, recorded: list[Path]) -> None:
    files = model_elsewhere(plan, ERM, code="of before")
    for file in files:
        note_unfinished(file)
    assert adopt(plan) == recorded == []
    assert all(file.exists() for file in files)


@pytest.mark.usefixtures("plan", "all_are_noted")
def test_a_model_that_was_copied_over_an_earlier_one_is_adopted(plan: Plan, recorded: list[Path]) -> None:
    files = sorted([*model_elsewhere(plan, ERM), Path(plan.layout.weights(ERM, 0))])
    job = plan.job("train", model=ERM, seed=0)
    for file in files:
        note_finished(file, job, ["?"])
    assert adopt(plan) == recorded == []  # Snakemake's record is of these
    for file in files:
        note_finished(file, job, ["?"], code="of before")
    assert adopt(plan) == recorded == files


@pytest.mark.usefixtures("plan", "all_are_noted")
def test_a_measurement_that_was_copied_over_one_of_earlier_weights_is_adopted(plan: Plan, recorded: list[Path]) -> None:
    path = computed_elsewhere(plan, OVER_EPOCHS)
    measure, subject, seed = OVER_EPOCHS
    job = plan.job("measure", measure=measure, subject=subject, seed=seed)
    weights = [sha256_of(Path(file)) for role, file in job.inputs if role in ("weights", "checkpoints")]
    note_finished(path, job, weights)
    assert adopt(plan) == recorded == []
    note_finished(path, job, [*weights, "of weights before"])
    assert adopt(plan) == recorded == [path]


@pytest.mark.usefixtures("plan", "all_are_noted")
def test_what_an_earlier_plan_made_is_left_to_the_next_run(plan: Plan, recorded: list[Path]) -> None:
    job = plan.job("train", model=ERM, seed=0)
    for file in model_elsewhere(plan, ERM, code="of before"):
        note_finished(file, job, ["?"], code="of before")
    assert adopt(plan) == recorded == []


def test_a_measurement_of_a_model_whose_name_has_an_at_is_adopted(plan: Plan, recorded: list[Path]) -> None:
    _, variant, seed = OF_VARIANT
    files = [*model_elsewhere(plan, variant), Path(plan.layout.weights(variant, seed))]
    files.append(computed_elsewhere(plan, OF_VARIANT))
    assert adopt(plan) == recorded == sorted(files)


def test_a_derived_model_with_a_history_is_refused(plan: Plan, recorded: list[Path]) -> None:
    history = model_elsewhere(plan, CUT)[0].with_name("history.csv")
    history.write_text("")
    with pytest.raises(UserError, match=r"1 of 3 file\(s\)") as caught:
        adopt(plan)
    assert f"{history}: such a model consists of card.json, weights.safetensors" in str(caught.value)
    assert recorded == []


@pytest.mark.parametrize("model", [ERM, CUT])
@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("code", "other", "it was computed with other sources"),
        ("spec", {"seed": 1}, "the plan's"),
        ("weights_sha256", "0" * 64, "the sha256 of weights.safetensors is not the one in card.json"),
    ],
)
def test_a_model_of_another_spec_code_or_other_bytes_is_refused(
    plan: Plan, recorded: list[Path], model: str, key: str, value: Any, reason: str
) -> None:
    model_elsewhere(plan, model, **{key: value})
    with pytest.raises(UserError, match=reason):
        adopt(plan)
    assert recorded == []


@pytest.mark.parametrize("text", ["{", "{}"])
def test_a_card_that_is_none_is_refused(plan: Plan, recorded: list[Path], text: str) -> None:
    model_elsewhere(plan, CUT)[0].write_text(text)
    with pytest.raises(UserError, match=r"card\.json is not a model card of this version"):
        adopt(plan)
    assert recorded == []


@pytest.mark.parametrize(
    ("origin", "options"),
    [
        ("generated", {"by": {"name": "gaussian_noise", "standard_deviation": 0.1}}),
        ("held_out", {"examples": 9}),
        ("sampled", {"train": 9, "test": 9}),
    ],
)
def test_a_data_set_that_is_quickly_made_again_is_not_adopted(
    declarations: Declarations, digits: Path, monkeypatch: pytest.MonkeyPatch, origin: str, options: dict[str, Any]
) -> None:
    declarations.paper["datasets"] = {"other": {origin: {"from": "mnist", **options}}}
    plan = declarations.plan()
    monkeypatch.chdir(declarations.root)
    manifest = Path(plan.layout.data_manifest("other", 0))
    prepare(dataset_of("other", {origin: {"from": "digits", **options}}, "here"), manifest.parent, original=digits)
    with pytest.raises(UserError, match="only those made from a model are adopted; this one is quickly made again"):
        adopt(plan)


# -- the step that takes what was set aside ------------------------------------------------------------------


@pytest.fixture
def aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Path], None]]:
    """Set a file aside as adoption does."""
    monkeypatch.setenv(ADOPT_VARIABLE, str(tmp_path / "aside"))

    def set_aside(path: Path) -> None:
        target = tmp_path / "aside" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        path.replace(target)

    return set_aside


def run(job: Job, *outputs: Path) -> tuple[int, str]:
    """Run a job's step as its rule does; return exit status and message."""
    command = ["run", job.step, *shlex.split(job.options)]
    for output in outputs:
        command += ["--output", str(output)]
    done = CliRunner().invoke(app, command)
    return done.exit_code, str(done.exception or "")


def manifest_of(job: Job) -> Path:
    """Write something as the manifest that a job reads."""
    manifest = Path(next(file for role, file in job.inputs if role == "data"))
    manifest.parent.mkdir(parents=True, exist_ok=True)
    manifest.write_text("{}")
    return manifest


def transfer_aside(plan: Plan, set_aside: Callable[[Path], None]) -> tuple[Job, Path]:
    """Set the transfer from ERM, seed 0, aside; return its job and where it belongs."""
    job = plan.job("measure", **dict(zip(("measure", "subject", "seed"), TRANSFER, strict=True)))
    path = computed_elsewhere(plan, TRANSFER, data_manifest_sha256=sha256_of(manifest_of(job)))
    set_aside(path)
    return job, path


def test_the_step_takes_what_was_set_aside_instead_of_computing_it(plan: Plan, aside: Callable[[Path], None]) -> None:
    # The checkpoints are no networks: computing anything would fail.
    job, path = transfer_aside(plan, aside)
    assert run(job, path) == (0, "")
    table, _ = read_columns(path)
    assert table.column("index").to_pylist() == [0, 1, 2]


def test_the_step_computes_what_was_not_set_aside(plan: Plan, aside: Callable[[Path], None]) -> None:
    job, path = transfer_aside(plan, aside)
    other = path.with_name("seed1.parquet")
    status, message = run(job, other)
    assert (status, other.exists()) == (1, False)
    assert "manifest.json: " in message  # it reads the data, which are none


@pytest.mark.parametrize("role", ["weights", "data"])
def test_the_step_takes_nothing_that_was_made_from_other_inputs(
    plan: Plan, aside: Callable[[Path], None], role: str
) -> None:
    job, path = transfer_aside(plan, aside)
    if role == "weights":
        retrain(HRM, 1)(plan)
    else:
        manifest_of(job).write_text('{"other": 1}')
    status, message = run(job, path)
    assert status != 0
    assert f"{path}: computed from other {role}: " in message
    assert not path.exists()


def test_the_step_takes_parts_and_what_was_gathered_from_them(plan: Plan, aside: Callable[[Path], None]) -> None:
    names = dict(zip(("measure", "subject", "seed"), IN_PARTS, strict=True))
    jobs = [plan.job("measure", **names, shard=shard) for shard in range(3)]
    parts = shards_elsewhere(plan, IN_PARTS, data_manifest_sha256=sha256_of(manifest_of(jobs[0])))
    whole = computed_elsewhere(plan, IN_PARTS)
    content = whole.read_bytes()
    for path in (*parts, whole):
        aside(path)
    assert [run(job, part) for job, part in zip(jobs, parts, strict=True)] == [(0, "")] * 3
    assert run(plan.job("gather", **names), whole) == (0, "")
    assert whole.read_bytes() == content  # the parts have one row each: gathering them would give other columns


@pytest.mark.parametrize("model", [CUT, EARLY])
def test_the_step_takes_a_derived_model_and_checks_its_source(
    plan: Plan, aside: Callable[[Path], None], model: str
) -> None:
    job = plan.job("derive", model=model, seed=0)
    card, weights = model_elsewhere(plan, model, data_manifest_sha256=sha256_of(manifest_of(job)))
    for path in (card, weights):
        aside(path)
    role, name = SOURCES[model]
    source = Path(getattr(plan.layout, role)(name, 0))
    before = source.read_text()
    source.write_text("other weights")
    status, message = run(job, weights, card)
    assert (status, weights.exists()) == (1, False)
    assert f"{weights}: computed from other {role}: " in message
    source.write_text(before)
    assert run(job, weights, card) == (0, "")
    assert card.exists()
    assert weights.exists()


def test_the_step_takes_a_training_and_checks_the_model_whose_features_it_compared(
    plan: Plan, aside: Callable[[Path], None]
) -> None:
    job = plan.job("train", model=SEEING, seed=0)
    card, checkpoints, history, weights = sorted(
        [
            *model_elsewhere(plan, SEEING, data_manifest_sha256=sha256_of(manifest_of(job))),
            Path(plan.layout.weights(SEEING, 0)),
        ]
    )
    for path in (card, checkpoints, history, weights):
        aside(path)
    compared = Path(plan.layout.weights(HRM, 0))
    before = compared.read_text()
    compared.write_text("other weights")
    status, message = run(job, weights, checkpoints, history, card)
    assert (status, weights.exists()) == (1, False)
    assert f"{weights}: computed from other features: " in message
    compared.write_text(before)
    assert run(job, weights, checkpoints, history, card) == (0, "")
    assert weights.exists()


def test_the_step_takes_a_measurement_over_epochs_and_checks_the_checkpoints(
    plan: Plan, aside: Callable[[Path], None]
) -> None:
    measure, subject, seed = OVER_EPOCHS
    job = plan.job("measure", measure=measure, subject=subject, seed=seed)
    path = computed_elsewhere(plan, OVER_EPOCHS, data_manifest_sha256=sha256_of(manifest_of(job)))
    aside(path)
    checkpoints = Path(plan.layout.checkpoints(subject, seed))
    before = checkpoints.read_text()
    keep_others(subject, seed)(plan)
    status, message = run(job, path)
    assert (status, path.exists()) == (1, False)
    assert f"{path}: computed from other checkpoints: " in message
    checkpoints.write_text(before)
    assert run(job, path) == (0, "")
