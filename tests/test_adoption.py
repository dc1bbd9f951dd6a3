"""Measurements made elsewhere: what is checked before they are adopted, without running Snakemake."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Declarations
from typer.testing import CliRunner

from robustrepro import adoption
from robustrepro.adoption import VARIABLE, adopt
from robustrepro.command_line import app
from robustrepro.errors import UserError
from robustrepro.files import sha256_of
from robustrepro.measurements.store import read_measurement, write_measurement
from robustrepro.spec.plan import Plan

ERM, HRM = "image-erm", "image-hrm"
Made = tuple[str, str, int, str]
"""Kind, model, seed and name of a measurement."""

TRANSFER: Made = ("transfer", ERM, 0, "pgd")
AUDIT: Made = ("audit", HRM, 1, "audit")
AUDIT_TRANSFER: Made = ("transfer", ERM, 0, "audit")


@pytest.fixture
def plan(declarations: Declarations, monkeypatch: pytest.MonkeyPatch) -> Plan:
    """The small paper with a table of transfer; all checkpoints exist, and Snakemake has recorded them."""
    declarations.add_transfer("transfer", white_box=True)
    planned = declarations.plan()
    monkeypatch.chdir(declarations.root)
    for model in (ERM, HRM):
        for seed in (0, 1):
            path = Path(planned.weights(model, seed))
            path.parent.mkdir(parents=True)
            path.write_text(f"weights of {model}, seed {seed}")
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


def computed_elsewhere(plan: Plan, made: Made, **changed: Any) -> Path:
    """Write a measurement as the plan asks for it, but for some keys of its origin."""
    kind, model, seed, what = made
    spec, models = plan.measurement(kind, model, seed, what)
    origin = {
        "spec": json.loads(spec),
        "code": plan.code(f"measure-{kind}", spec),
        "models": [
            {"model": name, "seed": at, "weights_sha256": sha256_of(Path(plan.weights(name, at)))}
            for name, at in models
        ],
        "data_manifest_sha256": "?",
    }
    path = Path(f"{plan.folder}/measurements/{kind}/{model}/seed{seed}/{what}.parquet")
    write_measurement(path, {"index": np.arange(3)}, origin | changed)
    return path


@pytest.mark.parametrize("made", [TRANSFER, AUDIT_TRANSFER, AUDIT], ids=["transfer", "audit transfer", "audit"])
def test_a_measurement_that_is_what_the_plan_asks_for_is_adopted(plan: Plan, recorded: list[Path], made: Made) -> None:
    path = computed_elsewhere(plan, made)
    assert adopt(plan) == recorded == [path]


def retrain(model: str, seed: int) -> Callable[[Plan], object]:
    return lambda plan: Path(plan.weights(model, seed)).write_text("other weights")


def remove(model: str, seed: int) -> Callable[[Plan], object]:
    return lambda plan: Path(plan.weights(model, seed)).unlink()


@pytest.mark.parametrize(
    ("made", "change", "reason"),
    [
        (TRANSFER, retrain(HRM, 1), f"it was measured on other weights than results/quick/models/{HRM}/seed1/"),
        (TRANSFER, retrain(ERM, 0), f"it was measured on other weights than results/quick/models/{ERM}/seed0/"),
        (TRANSFER, remove(HRM, 1), f"{HRM}/seed1/weights.safetensors, which it was measured on, is not here"),
        (AUDIT_TRANSFER, retrain(HRM, 0), f"it was measured on other weights than results/quick/models/{HRM}/seed0/"),
        (AUDIT, retrain(HRM, 1), f"it was measured on other weights than results/quick/models/{HRM}/seed1/"),
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
    path = computed_elsewhere(plan, TRANSFER)  # tried on ERM, seed 0, and HRM, seed 1
    retrain(HRM, 0)(plan)
    retrain(ERM, 1)(plan)
    adopt(plan)
    assert recorded == [path]


@pytest.mark.parametrize(
    ("made", "key", "reason"),
    [
        (TRANSFER, "spec", "its spec is"),
        (AUDIT, "spec", "its spec is"),
        (TRANSFER, "code", "it was computed with other sources"),
        (AUDIT, "code", "it was computed with other sources"),
    ],
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
    _, origin = read_measurement(path)
    source, first, second = origin["models"]
    computed_elsewhere(plan, TRANSFER, models=[source, second, first])
    with pytest.raises(UserError, match=f"it was measured on {HRM}, seed 1"):
        adopt(plan)
    assert recorded == []


def test_one_file_that_does_not_pass_keeps_all_from_being_adopted(plan: Plan, recorded: list[Path]) -> None:
    good, bad = computed_elsewhere(plan, TRANSFER), computed_elsewhere(plan, AUDIT, code="other")
    with pytest.raises(UserError, match=r"1 of 2 file\(s\)") as caught:
        adopt(plan)
    assert str(bad) in str(caught.value)
    assert str(good) not in str(caught.value)
    assert recorded == []


# -- the step that takes what was set aside ------------------------------------------------------------------


def take_transfer(plan: Plan, folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[int, str, Path]:
    """Run ``measure-transfer`` where its output was set aside; return exit status, message and output."""
    (folder / "data").mkdir()
    manifest = folder / "data/manifest.json"
    manifest.write_text("{}")
    output = computed_elsewhere(plan, TRANSFER, data_manifest_sha256=sha256_of(manifest))
    (folder / "aside" / output).parent.mkdir(parents=True)
    output.replace(folder / "aside" / output)
    monkeypatch.setenv(VARIABLE, str(folder / "aside"))
    spec = plan.transfer_spec(ERM, 0, "pgd")
    command = ["measure-transfer", "--spec", spec, "--code", plan.code("measure-transfer", spec), "--model", ERM]
    command += ["--seed", "0", "--data", str(folder / "data"), "--weights", plan.weights(ERM, 0)]
    command += [*plan.transfer_options(ERM, 0, "pgd").split(), "--output", str(output)]
    done = CliRunner().invoke(app, command)
    return done.exit_code, str(done.exception or ""), output


def test_the_step_takes_what_was_set_aside_instead_of_computing_it(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The checkpoints are no networks: computing anything would fail.
    status, message, output = take_transfer(plan, tmp_path, monkeypatch)
    assert (status, message) == (0, "")
    table, _ = read_measurement(output)
    assert table.column("index").to_pylist() == [0, 1, 2]


def test_the_step_takes_nothing_that_was_made_with_another_targets_weights(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = plan.transfer_options

    def with_other_weights(model: str, seed: int, measure: str) -> str:
        retrain(HRM, 1)(plan)
        return given(model, seed, measure)

    monkeypatch.setattr(plan, "transfer_options", with_other_weights)
    status, message, output = take_transfer(plan, tmp_path, monkeypatch)
    assert status != 0
    assert f"{output}: computed from other inputs: weights_sha256" in message
    assert not output.exists()
