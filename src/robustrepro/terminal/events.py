"""What Snakemake tells the process that follows it: one JSON object per line, through a pipe that it inherits."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from snakemake.workflow import Workflow

VARIABLE = "ROBUSTREPRO_EVENTS"
"""Environment variable with the number of the pipe's descriptor."""
SNAKEMAKE = "snakemake.logging"
"""The name of Snakemake's logger."""
TOLD = {
    "job_info": ("jobid", "rule_name", "output", "log", "benchmark", "threads", "reason", "shellcmd"),
    "job_finished": ("job_id",),
    "job_error": ("jobid", "rule_name", "output", "log"),
    "progress": ("done", "total"),
    "error": (),
}
"""Snakemake's events that are passed on, each with the attributes of its log record that are."""
WITH_SCORECARD = {"all", "summary"}
"""Targets that make a scale's scorecard."""
LAST_LINES = 2000
"""Characters of a message that are passed on, the last ones."""
Event = Mapping[str, Any]


class Teller(logging.Handler):
    """Writes the events of Snakemake's log records to a pipe, until nobody reads it any more.

    Parameters
    ----------
    descriptor
        The end of the pipe that is written to.
    """

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._stream = os.fdopen(descriptor, "w", encoding="utf-8")

    def emit(self, record: logging.LogRecord) -> None:
        """Pass a record on, if it is one of ``TOLD``."""
        name = getattr(record, "event", None)
        if name in TOLD:
            told = {attribute: getattr(record, attribute, None) for attribute in TOLD[name]}
            message = str(record.msg)[-LAST_LINES:] if name == "error" else ""
            self.tell({"event": str(name), **({"message": message} if message else {}), **told})

    def tell(self, event: Event) -> None:
        """Write an event; what cannot be written is not, since the run does not depend on it."""
        try:
            self._stream.write(json.dumps(event, default=str) + "\n")
            self._stream.flush()
        except (OSError, ValueError):  # whoever followed is gone
            logging.getLogger(SNAKEMAKE).removeHandler(self)


def tell_the_follower() -> Teller | None:
    """Pass Snakemake's events on from here on, where a process follows this one; None where none does.

    The variable is removed, since what this process starts has no such pipe.
    """
    descriptor = os.environ.pop(VARIABLE, "")
    if not descriptor.isdecimal():
        return None
    teller = Teller(int(descriptor))
    logging.getLogger(SNAKEMAKE).addHandler(teller)
    return teller


def tell_what_is_asked(workflow: Workflow, teller: Teller, folder: str) -> None:
    """Tell, before a workflow is executed, where its results lie and whether it was asked for the scale's scorecard.

    Snakemake knows its targets no earlier, and calls no hook where there is nothing to do.
    """
    execute = workflow.execute

    def execute_after_telling(**settings: Any) -> Any:
        targets = set(workflow.dag_settings.targets)
        teller.tell({"event": "plan", "folder": folder, "answers": not targets or bool(targets & WITH_SCORECARD)})
        return execute(**settings)

    workflow.execute = execute_after_telling


def jobs_to_come(workflow: Workflow) -> Event:
    """Return the event of all jobs that a run begins with, and how many processor cores they share."""
    jobs = [
        {
            "jobid": workflow.dag.jobid(job),
            "rule_name": job.rule.name,
            "benchmark": str(job.benchmark) if job.benchmark else None,
            "threads": job.threads,
        }
        for job in workflow.dag.needrun_jobs()
    ]
    return {"event": "jobs", "jobs": jobs, "cores": workflow.resource_settings.cores}


def read_events(lines: Iterator[bytes]) -> Iterator[Event]:
    """Yield the events of complete lines; a line that is none, as that of a killed process, is passed over."""
    for line in lines:
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict) and "event" in event:
            yield event
