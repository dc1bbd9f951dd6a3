"""
Regenerate the tables and figures of the papers under papers/, at one scale.

snakemake                         everything that config.yaml asks for
snakemake hrm                     one paper
snakemake hrm_table2              one table or figure; `snakemake --list` has all targets
snakemake -n                      what would run, and why (`make dry-run`: in ten lines)
snakemake --config scale=reduced  another scale; every scale keeps its own folder under results/
"""

import re
import sys
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path

from snakemake.exceptions import WorkflowError

# Before anything of it is imported: another checkout's code would be recorded as this one's.
SOURCES = Path(workflow.basedir, "src/robustrepro").resolve()
package = find_spec("robustrepro")
imported_from = (
    Path(package.origin).resolve().parent if package and package.origin else "nowhere"
)
if imported_from != SOURCES:
    raise WorkflowError(
        f"The code of this checkout is in {SOURCES}, but robustrepro is imported from {imported_from}: results would be "
        "recorded as something they are not. Run `make setup` here and use the commands in .venv/bin, or set "
        f"PYTHONPATH={SOURCES.parent}"
    )

from robustrepro import warm
from robustrepro.comparison.last_run import keep_last, run_finished
from robustrepro.comparison.settings import settings_of
from robustrepro.errors import UserError
from robustrepro.mirror_setting import use_mirror
from robustrepro.spec.config import read_config, require_said_once
from robustrepro.spec.plan import Plan
from robustrepro.spec.records import require_recorded
from robustrepro.surroundings import (
    clear_stale_locks_before_running,
    keep_bytecode,
    keep_freed_memory,
    note_sources,
    plan_without_pandas,
    use_own_interpreter,
)
from robustrepro.terminal.events import (
    jobs_to_come,
    tell_the_follower,
    tell_what_is_asked,
)

# The process that follows this run, such as `make reproduce`, shows how far it is and prints its answer.
follower = tell_the_follower()
plan_without_pandas()
use_own_interpreter()
keep_freed_memory()
keep_bytecode()
note_sources()
clear_stale_locks_before_running(workflow)

try:
    require_said_once(sys.argv)
    asked_for = workflow.config_settings
    config = read_config(
        asked_for.config,
        asked_for.configfiles,
        replaced=asked_for.replace_workflow_config,
    )
    plan = Plan(config)
    require_recorded(plan.folder)
except UserError as error:
    raise WorkflowError(str(error)) from None

use_mirror(plan.config.data.mirror)
if follower:
    tell_what_is_asked(workflow, follower, plan.folder)


wildcard_constraints:
    scale=re.escape(Path(plan.folder).name),
    seed=r"\d+",
    shard=r"\d+",
    shards=r"\d+",
    model=r"[\w.@-]+",
    subject=r"[\w.@+-]+",
    measure=r"[\w.@-]+",
    dataset=r"[\w.@-]+",
    paper=r"[\w.-]+",


include: "workflow/rules/data.smk"
include: "workflow/rules/models.smk"
include: "workflow/rules/measurements.smk"
include: "workflow/rules/papers.smk"
include: "workflow/rules/scale.smk"


rule all:
    default_target: True
    input:
        f"{plan.folder}/scorecard.csv",
        f"results/metrics/{Path(plan.folder).name}.json",
        f"{plan.folder}/report/index.html",
        [plan.layout.page(paper) for paper in plan.papers],


# One target per paper, table and figure: hrm, hrm_table2, hrm_figure4.
for target, files in plan.targets().items():

    rule:
        name:
            target
        input:
            files,


# While the run lasts, steps start in forks of a process that has the libraries imported already.
during_run = ExitStack()


onstart:
    keep_last(
        Path(plan.folder),
        {job.rule.name for job in workflow.dag.needrun_jobs()},
        settings_of(workflow.dag.jobs),
    )
    during_run.enter_context(warm.start())
    if follower:
        follower.tell(jobs_to_come(workflow))
    # A limit on submissions is for clusters. Here its timers pile up, one more for each finished job, and each of them
    # looks through the whole queue once a second.
    if workflow.local_exec:
        workflow.scheduler.job_rate_limiter = None


onsuccess:
    during_run.close()
    run_finished(Path(plan.folder))
    # The scorecard of before tells nothing of a run that was asked for less; and one that cannot be shown fails no run.
    if not follower and any(
        job.rule.name == "summary" for job in workflow.dag.jobs
    ):
        shell(f"python -m robustrepro brief {Path(plan.folder).name} || true")


onerror:
    during_run.close()
