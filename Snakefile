"""
Regenerate the tables and figures of the papers under papers/, at one scale.

snakemake                         everything that config.yaml asks for
snakemake hrm                     one paper
snakemake -n                      what would run, and why
snakemake --config scale=reduced  another scale; every scale keeps its own folder under results/
"""

import os
import sys
from contextlib import ExitStack, nullcontext
from pathlib import Path

# Jobs run this interpreter's `python`, whether or not its environment was activated.
os.environ["PATH"] = os.pathsep.join(
    [str(Path(sys.executable).parent), os.environ.get("PATH", "")]
)

from snakemake.exceptions import WorkflowError

from robustrepro import warm
from robustrepro.errors import UserError
from robustrepro.spec.locks import clear_stale_lock
from robustrepro.spec.plan import Plan
from robustrepro.spec.records import require_recorded


configfile: "config.yaml"


living = clear_stale_lock()

try:
    plan = Plan(config)
    require_recorded(plan.folder)
except UserError as error:
    raise WorkflowError(str(error)) from None

if plan.config.data.mirror:
    os.environ.setdefault("ROBUSTREPRO_MIRROR", plan.config.data.mirror)


wildcard_constraints:
    scale=plan.scale_name,
    seed=r"\d+",
    model=r"[\w.-]+",
    other=r"[\w.-]+",
    measure=r"[\w.-]+",
    resolution=r"\d+",


include: "workflow/rules/data.smk"
include: "workflow/rules/training.smk"
include: "workflow/rules/measurements.smk"
include: "workflow/rules/papers.smk"
include: "workflow/rules/scale.smk"


rule all:
    default_target: True
    input:
        f"{plan.folder}/scorecard.csv",
        f"{plan.folder}/metrics.json",
        f"{plan.folder}/report/index.html",


for paper in plan.papers:

    rule:
        name:
            paper
        input:
            list(plan.tables_of([paper])),
            list(plan.figures_of([paper])),


# While the run lasts, steps start in forks of a process that has the libraries imported already.
during_run = ExitStack()


onstart:
    during_run.enter_context(warm.start() or nullcontext())


onsuccess:
    during_run.close()
    shell(f"python -m robustrepro show {plan.folder}")


onerror:
    during_run.close()
