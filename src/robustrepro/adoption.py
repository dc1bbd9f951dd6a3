"""Results computed elsewhere: checked against the plan and against their own cards, then recorded.

Whoever trained on a machine without Snakemake copies the files to where they belong and runs ``robustrepro adopt``. It
checks spec, code digest and sha256, sets the files aside, and lets Snakemake run exactly their jobs, whose steps take
the files that were set aside instead of computing them. So Snakemake records them as it records everything else.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robustrepro.datasets.manifest import MANIFEST, read_manifest
from robustrepro.errors import UserError
from robustrepro.files import sha256_of
from robustrepro.layout import DATA, MODEL
from robustrepro.measures.store import columns_digest, read_columns, read_origin
from robustrepro.spec.records import (
    ADOPT_VARIABLE,
    Record,
    finished_outputs,
    unfinished_outputs,
    unrecorded_outputs,
)
from robustrepro.spec.sources import require_own_sources

if TYPE_CHECKING:  # every step imports this module, and the plan's declarations take long to build
    from robustrepro.spec.jobs import Job
    from robustrepro.spec.plan import Plan
    from robustrepro.steps import Work

MODEL_FILES = ("card.json", "checkpoints.safetensors", "history.csv", "weights.safetensors")
OF_A_TRAINING = ("checkpoints.safetensors", "history.csv")


def adopt(plan: Plan) -> list[Path]:
    """Check and record every result of the plan's scale that has no record of its own, and return their paths.

    All or nothing: when one file does not pass, nothing is changed. Of a job that a killed run has left unfinished, or
    whose record is of an earlier plan's job, what passes is recorded, too; what does not is left to Snakemake, which
    runs that job again.

    Raises
    ------
    UserError
        If a file does not belong to the plan; the message names each such file and why. Or if Snakemake failed.
    """
    require_own_sources()
    folder = Path(plan.folder)
    files = unrecorded_outputs(folder)
    reasons = {file: reason for file in files if (reason := _refusal(plan, file, folder))}
    if reasons:
        listed = "".join(f"\n  {file}: {reason}" for file, reason in reasons.items())
        raise UserError(
            f"{len(reasons)} of {len(files)} file(s) cannot be adopted, so none was:{listed}\n"
            "Move or delete them, then adopt the rest."
        )
    unfinished = (file for file in unfinished_outputs(folder) if _refusal(plan, file, folder) is None)
    replaced = (file for file, record in finished_outputs(folder).items() if _replaced(plan, file, folder, record))
    files = sorted({*files, *unfinished, *replaced})
    if files:
        with _set_aside(files) as aside:
            _record(plan, files, aside)
    return files


def taken(step: str, work: Work) -> bool:
    """Move outputs that were set aside for adoption to their place; return whether there were any.

    Raises
    ------
    UserError
        If they were computed from other inputs.
    """
    aside = Path(os.environ[ADOPT_VARIABLE])
    staged = [aside / output for output in work.outputs]
    if not all(path.exists() for path in staged):
        return False
    recorded = _recorded_inputs(staged)
    for role, files in work.inputs.items():
        computed_from, here = recorded.get(role, []), list(map(sha256_of, files))
        if step != "gather" and computed_from != here:
            raise UserError(f"{work.outputs[0]}: computed from other {role}: {computed_from}, here {here}")
    if step == "data":  # whose manifest alone is named, since it describes the tensors beside it
        staged += sorted(staged[0].parent.glob("*.safetensors"))
    for path in staged:
        output = path.relative_to(aside)
        output.parent.mkdir(parents=True, exist_ok=True)
        path.replace(output)
    return True


def _recorded_inputs(staged: Sequence[Path]) -> dict[str, list[str]]:
    """Return the checksums, by role, of what results say that they were computed from."""
    if staged[0].suffix == ".parquet":
        origin = read_origin(staged[0])
        manifests = [origin["data_manifest_sha256"]] if "data_manifest_sha256" in origin else []
        return {"data": manifests, **{role: _digests_of(role, origin["models"]) for role in ("weights", "checkpoints")}}
    if staged[0].name == MANIFEST:
        made_from = read_manifest(staged[0].parent).made_from
        weights = [made_from.model.weights_sha256] if made_from and made_from.model else []
        return {"source": [made_from.manifest_sha256] if made_from else [], "weights": weights}
    card = json.loads(next(path for path in staged if path.name == "card.json").read_text(encoding="utf-8"))
    source = [card["source_weights_sha256"]] if "source_weights_sha256" in card else []
    search = [card["search_sha256"]] if "search_sha256" in card else []
    features = _digests_of("weights", card.get("features", []))
    # Of a derived model, either weights or checkpoints were read.
    data = [card["data_manifest_sha256"]]
    return {"data": data, "weights": source, "checkpoints": source, "search": search, "features": features}


def _digests_of(role: str, models: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the checksums of the models' files of a role, of those that a measurement read."""
    return [model[f"{role}_sha256"] for model in models if f"{role}_sha256" in model]


def _refusal(plan: Plan, file: Path, folder: Path) -> str | None:
    """Return why a file cannot be adopted, or None if it can."""
    name = file.relative_to(folder).as_posix()
    try:
        job = plan.job_of(name)
        if job and MODEL.fullmatch(name):
            return _model_refusal(job, file)
        if job and DATA.fullmatch(name):
            return _data_refusal(plan, job, file)
        if job:
            return _measurement_refusal(plan, job, file)
    except UserError as error:
        return str(error)
    return "only models, their data and measurements are adopted; all else is remade from them, so delete it"


def _replaced(plan: Plan, file: Path, folder: Path, record: Record) -> bool:
    """Return whether a file is what the plan asks for, and its record that of another file in its place.

    Snakemake would go by the record, and run the job again over the file.
    """
    job = plan.job_of(file.relative_to(folder).as_posix())
    account = file if file.suffix == ".parquet" or file.name == MANIFEST else file.with_name("card.json")
    if job is None or not account.exists():
        return False
    try:
        own = {checksum for checksums in _recorded_inputs([account]).values() for checksum in checksums}
    except (UserError, ValueError, KeyError):
        return False  # of no result that could be adopted
    same_command = f"--code {job.code} " in record.command and shlex.quote(job.spec) in record.command
    same_inputs = job.step == "gather" or record.inputs <= own
    return not (same_command and same_inputs) and _refusal(plan, file, folder) is None


def _data_refusal(plan: Plan, job: Job, file: Path) -> str | None:
    """Return why a file of a data set that was made from a model cannot be adopted."""
    manifest = read_manifest(file.parent)
    if manifest.made_from is None or manifest.made_from.model is None:
        return "of data sets, only those made from a model are adopted; this one is quickly made again, so delete it"
    model, spec = manifest.made_from.model, json.loads(job.spec)
    if (manifest.spec, model.model, model.seed) != (spec["dataset"], *job.models[0]):
        return f"its {MANIFEST} describes another data set than the plan's"
    if model.code != job.code:
        return "it was computed with other sources (the code digest differs)"
    for tensors in filter(None, (manifest.train, manifest.test)):
        path = file.with_name(tensors.name)
        if not path.exists() or sha256_of(path) != tensors.sha256:
            return f"{path.name} is missing beside it, or is not what {MANIFEST} describes"
    weights = Path(plan.layout.weights(*job.models[0]))
    if not weights.exists() or sha256_of(weights) != model.weights_sha256:
        return f"{weights} is not here, or is not what it was made from"
    return None


def _model_refusal(job: Job, file: Path) -> str | None:
    trained = job.step == "train"
    expected = MODEL_FILES if trained else tuple(name for name in MODEL_FILES if name not in OF_A_TRAINING)
    if file.name not in expected:
        return f"such a model consists of {', '.join(expected)}"
    missing = [name for name in expected if not file.with_name(name).exists()]
    if missing:
        return f"{', '.join(missing)} is missing beside it"
    try:
        card = json.loads(file.with_name("card.json").read_text(encoding="utf-8"))
        differing = _difference(card, job)
        for kind in ("weights", "checkpoints") if trained else ("weights",):
            if differing is None and card[f"{kind}_sha256"] != sha256_of(file.with_name(f"{kind}.safetensors")):
                return f"the sha256 of {kind}.safetensors is not the one in card.json"
    except (ValueError, KeyError) as error:
        return f"card.json is not a model card of this version ({error})"
    return differing


def _measurement_refusal(plan: Plan, job: Job, file: Path) -> str | None:
    table, origin = read_columns(file)
    if differing := _difference(origin, job):
        return differing
    if origin["columns_sha256"] != columns_digest(table):
        return "its columns are not those that its metadata describe"
    parts = [part for role, part in job.inputs if role == "shard" and not Path(part).exists()]
    if parts:
        return f"{parts[0]}, which it was gathered from, is not here"
    for used, (name, seed) in zip(origin["models"], job.models, strict=True):
        weights = Path(plan.layout.weights(name, seed))
        if (used["model"], used["seed"]) != (name, seed):
            return f"it was measured on {used['model']}, seed {used['seed']}"
        if not weights.exists():
            return f"{weights}, which it was measured on, is not here"
        if sha256_of(weights) != used["weights_sha256"]:
            return f"it was measured on other weights than {weights}"
    checkpoints = [Path(file) for role, file in job.inputs if role == "checkpoints"]
    if absent := [file for file in checkpoints if not file.exists()]:
        return f"{absent[0]}, which it was measured on, is not here"
    if list(map(sha256_of, checkpoints)) != _digests_of("checkpoints", origin["models"]):
        return f"it was measured on other weights than {', '.join(map(str, checkpoints))}"
    return None


def _difference(account: Mapping[str, Any], job: Job) -> str | None:
    """Return how a card or a measurement differs from what the plan would compute, or None."""
    if account["code"] != job.code:
        return "it was computed with other sources (the code digest differs)"
    expected = json.loads(job.spec)
    if account["spec"] == expected:
        return None
    keys = sorted(key for key in {*expected, *account["spec"]} if account["spec"].get(key) != expected.get(key))
    theirs, ours = (json.dumps(spec.get(keys[0])) for spec in (account["spec"], expected))
    return f"its {keys[0]} is {theirs}, the plan's {ours}"


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
    if subprocess.run(command, env=os.environ | {ADOPT_VARIABLE: str(aside)}, check=False).returncode:
        raise UserError("Snakemake could not record the adopted files (its message is above); they are back in place")
