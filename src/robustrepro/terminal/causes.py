"""Why Snakemake would run a job, in words that name a key or a file instead of a digest."""

from __future__ import annotations

import ast
import json
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from robustrepro.spec.changed_keys import differences
from robustrepro.spec.sources import edited_since
from robustrepro.terminal.events import Event

PRESENTING = frozenset({"table", "figure", "search", "audit", "scorecard", "summary", "page", "report"})
"""Steps whose specs quote the settings of what they show, so that they change with it."""
FOLLOWING = "Input files updated by another job"
REASONS = {
    "Missing output files": "not made yet",
    "Incomplete output files": "not finished",
    "Set of input files has changed": "reads other files than before",
    "Forced execution": "asked for with --force",
    "Software environment definition has changed": "workflow/environment.yaml was edited",
    "Code has changed": "its rule in workflow/rules was edited",
}
"""What Snakemake's reasons begin with, and what they mean; those about params and inputs have details."""


@dataclass(frozen=True)
class Scheduled:
    """What a job was, or is to be, scheduled with: its resolved spec and the digest of its code."""

    spec: Mapping[str, Any]
    code: str


def causes(job: Event, notes: Mapping[str, Path]) -> list[str]:
    """Return why a job would be run; nothing where it merely follows from other jobs of the run.

    Parameters
    ----------
    job
        The event ``job_info`` of a dry run.
    notes
        Snakemake's record of each finished output (`robustrepro.spec.records`).
    """
    reason = job["reason"] or ""
    follows = FOLLOWING in reason
    if follows and job["rule_name"] in PRESENTING:
        return []
    found = [words for begin, words in REASONS.items() if begin in reason]
    if "Params have changed" in reason:
        found = [
            *_changes(job, notes),
            *(words for words in found if words != REASONS["Set of input files has changed"]),
        ]
    if match := re.search(r"Updated input files: ([^;]+)", reason):
        found += [f"{name} was changed" for name in match[1].split(", ")]
    if not found and not follows:
        found = [reason.partition(":")[0] or "asked for"]
    return list(dict.fromkeys(found))


def _changes(job: Event, notes: Mapping[str, Path]) -> Iterator[str]:
    """Yield what is not as it was when a job's output was made: settings by their keys, code by its files."""
    before, now = _recorded(job["output"] or [], notes), _scheduled(job["shellcmd"] or "")
    if before is None or now is None:
        yield "its settings were changed"
        return
    found = list(differences(before.spec, now.spec))
    runs = [difference for difference in found if difference.path[0] == "runs"]
    yield from (each.words for each in found if each not in runs)
    if runs and len(runs) == len(found):
        yield f"it runs other code: {', '.join(sorted(set(before.spec['runs']) ^ set(now.spec['runs'])))}"
    if before.code != now.code and not runs:
        files = edited_since(before.code, now.code)
        yield f"{', '.join(files)} {'was' if len(files) == 1 else 'were'} edited" if files else "its code was edited"
    if before == now:
        yield "other inputs or threads than before"


def _recorded(outputs: Sequence[str], notes: Mapping[str, Path]) -> Scheduled | None:
    """Return what a job's outputs were made with, as Snakemake has recorded it; None where it has not."""
    for output in outputs:
        with suppress(OSError, ValueError, SyntaxError, KeyError):
            note = json.loads(notes[output].read_text(encoding="utf-8"))
            params = [ast.literal_eval(text) for text in note["params"]]
            specs = [param for param in params if param.startswith("{")]
            codes = [param for param in params if re.fullmatch(r"[0-9a-f]{64}", param)]
            if len(specs) == len(codes) == 1:
                return Scheduled(json.loads(specs[0]), codes[0])
    return None


def _scheduled(command: str) -> Scheduled | None:
    """Return what a job's command says that it is to be made with; None where it cannot be told."""
    options: dict[str, str] = {}
    words = shlex.split(command)
    for option, value in pairwise(words):
        if option in {"--spec", "--code", "--options"}:
            options[option] = value
    with suppress(OSError, ValueError, KeyError):
        if "--options" in options:
            content = json.loads(Path(options["--options"]).read_text(encoding="utf-8"))
            return Scheduled(json.loads(content["spec"]), content["code"])
        return Scheduled(json.loads(options["--spec"]), options["--code"])
    return None
