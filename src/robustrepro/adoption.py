"""Results computed elsewhere: checked against the plan and against their own cards, then recorded.

Whoever trained on a machine without Snakemake copies the files to where they belong and runs ``robustrepro adopt``. It
checks spec, code digest and sha256, sets the files aside, and lets Snakemake run exactly their jobs, whose steps take
the files that were set aside instead of computing them. So Snakemake records them as it records everything else.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robustrepro.errors import UserError
from robustrepro.files import sha256_of
from robustrepro.measurements.store import columns_digest, read_measurement
from robustrepro.spec.records import unrecorded_outputs

if TYPE_CHECKING:  # every step imports this module, and the plan's declarations take long to build
    from robustrepro.spec.plan import Plan

VARIABLE = "ROBUSTREPRO_ADOPT"
"""Names the folder of the files that were set aside, for the steps of the run that takes them."""

MODEL_FILES = ("card.json", "history.csv", "weights.safetensors")
MODEL = re.compile(r"models/(?P<model>[\w.-]+)/seed(?P<seed>\d+)/(?P<file>[\w.]+)")
MEASUREMENT = re.compile(r"measurements/(?P<kind>\w+)/(?P<model>[\w.-]+)/seed(?P<seed>\d+)/(?P<what>[\w.-]+)\.parquet")


def adopt(plan: Plan) -> list[Path]:
    """Check and record every result of the plan's scale that has no record, and return their paths.

    All or nothing: when one file does not pass, nothing is changed.

    Raises
    ------
    UserError
        If a file does not belong to the plan; the message names each such file and why. Or if Snakemake failed.
    """
    folder = Path(plan.folder)
    files = unrecorded_outputs(folder)
    reasons = {file: reason for file in files if (reason := _refusal(plan, file, folder))}
    if reasons:
        listed = "".join(f"\n  {file}: {reason}" for file, reason in reasons.items())
        raise UserError(
            f"{len(reasons)} of {len(files)} file(s) cannot be adopted, so none was:{listed}\n"
            "Move or delete them, then adopt the rest."
        )
    if files:
        with _set_aside(files) as aside:
            _record(plan, files, aside)
    return files


def taken(outputs: Sequence[Path], inputs: Mapping[str, Sequence[Path]]) -> bool:
    """Move outputs that were set aside for adoption to their place; return whether there were any.

    Parameters
    ----------
    outputs
        What the step would compute.
    inputs
        The files that it would compute them from, by the card's or measurement's key that has their sha256.

    Raises
    ------
    UserError
        If they were computed from other inputs.
    """
    aside = os.environ.get(VARIABLE)
    if not aside:
        return False
    staged = [Path(aside) / output for output in outputs]
    if not all(path.exists() for path in staged):
        return False
    recorded = _origin(staged)
    for key, files in inputs.items():
        found, expected = recorded[key], ",".join(map(sha256_of, files))
        if found != expected:
            raise UserError(f"{outputs[0]}: computed from other inputs: {key} {found}, here {expected}")
    for path, output in zip(staged, outputs, strict=True):
        output.parent.mkdir(parents=True, exist_ok=True)
        path.replace(output)
    return True


def _origin(staged: Sequence[Path]) -> dict[str, Any]:
    """Return a card's or a measurement's own account; a measurement's weights are joined with commas."""
    if staged[0].suffix == ".parquet":
        _, origin = read_measurement(staged[0])
        return origin | {"weights_sha256": ",".join(model["weights_sha256"] for model in origin["models"])}
    card = next(path for path in staged if path.name == "card.json")
    account: dict[str, Any] = json.loads(card.read_text(encoding="utf-8"))
    return account


def _refusal(plan: Plan, file: Path, folder: Path) -> str | None:
    """Return why a file cannot be adopted, or None if it can."""
    name = file.relative_to(folder).as_posix()
    try:
        if match := MODEL.fullmatch(name):
            return _model_refusal(plan, match["model"], int(match["seed"]), file)
        if match := MEASUREMENT.fullmatch(name):
            return _measurement_refusal(plan, match, file)
    except UserError as error:
        return str(error)
    return "only models and measurements are adopted; everything else is remade from them, so delete it"


def _model_refusal(plan: Plan, model: str, seed: int, file: Path) -> str | None:
    if file.name not in MODEL_FILES:
        return f"a model consists of {', '.join(MODEL_FILES)}"
    missing = [name for name in MODEL_FILES if not file.with_name(name).exists()]
    if missing:
        return f"{', '.join(missing)} is missing beside it"
    spec = plan.training_spec(model)
    try:
        card = json.loads(file.with_name("card.json").read_text(encoding="utf-8"))
        differing = _differing(
            card,
            {"model": model, "seed": seed, "spec": json.loads(spec), "code": plan.code("train", spec)},
        )
        if differing is None and card["weights_sha256"] != sha256_of(file.with_name("weights.safetensors")):
            return "the sha256 of weights.safetensors is not the one in card.json"
    except (ValueError, KeyError) as error:
        return f"card.json is not a model card of this version ({error})"
    return differing


def _measurement_refusal(plan: Plan, match: re.Match[str], file: Path) -> str | None:
    model, seed, what = match["model"], int(match["seed"]), match["what"]
    step = f"measure-{match['kind'].replace('_', '-')}"
    spec, models = plan.measurement(match["kind"], model, seed, what)
    table, origin = read_measurement(file)
    differing = _differing(origin, {"spec": json.loads(spec), "code": plan.code(step, spec)})
    if differing:
        return differing
    if origin["columns_sha256"] != columns_digest(table):
        return "its columns are not those that its metadata describe"
    for used, (name, their_seed) in zip(origin["models"], models, strict=True):
        weights = Path(plan.weights(name, their_seed))
        if (used["model"], used["seed"]) != (name, their_seed):
            return f"it was measured on {used['model']}, seed {used['seed']}"
        if not weights.exists():
            return f"{weights}, which it was measured on, is not here"
        if sha256_of(weights) != used["weights_sha256"]:
            return f"it was measured on other weights than {weights}"
    return None


def _differing(account: Mapping[str, Any], expected: Mapping[str, Any]) -> str | None:
    """Return which key of a card differs from the plan, or None."""
    for key, value in expected.items():
        if account[key] != value:
            if key == "code":
                return "it was computed with other sources (the code digest differs)"
            return f"its {key} is {json.dumps(account[key])}, the plan's {json.dumps(value)}"
    return None


@contextmanager
def _set_aside(files: Sequence[Path]) -> Iterator[Path]:
    """Move files out of Snakemake's sight; what no step took by the end is moved back."""
    aside = Path(".snakemake/adopting").absolute()
    if aside.exists():
        raise UserError(f"{aside} exists: another adoption is running, or one was killed. Move its files back by hand")
    for file in files:
        (aside / file).parent.mkdir(parents=True, exist_ok=True)
        file.replace(aside / file)
    try:
        yield aside
    finally:
        for file in files:
            if (aside / file).exists():
                file.parent.mkdir(parents=True, exist_ok=True)
                (aside / file).replace(file)
        shutil.rmtree(aside)


def _record(plan: Plan, files: Sequence[Path], aside: Path) -> None:
    """Let Snakemake run the jobs of these files."""
    config = [f"scale={plan.scale_name}", f"papers={','.join(plan.papers)}"]
    command = [sys.executable, "-m", "snakemake", "--quiet", "all", "--config", *config, "--", *map(str, files)]
    if subprocess.run(command, env=os.environ | {VARIABLE: str(aside)}, check=False).returncode:
        raise UserError("Snakemake could not record the adopted files (its message is above); they are back in place")
