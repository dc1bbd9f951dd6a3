"""Every job of a plan, found as Snakemake finds them."""

from __future__ import annotations

import re

from robustrepro.spec.jobs import Job
from robustrepro.spec.plan import Plan


def jobs_of(plan: Plan) -> dict[str, Job]:
    """Return the job of every file that a run makes, from the verdicts and the report backwards."""
    patterns = {
        "data": [
            r"data/(?P<dataset>[\w.@-]+)/manifest.json",
            r".*/data/(?P<dataset>[\w.@-]+)/seed(?P<seed>\d+)/manifest.json",
        ],
        "train": [rf".*/models/(?P<model>{plan.pattern('trained')})/seed(?P<seed>\d+)/weights.safetensors"],
        "derive": [rf".*/models/(?P<model>{plan.pattern('derived')})/seed(?P<seed>\d+)/weights.safetensors"],
        "gather": [
            rf".*/measurements/(?P<measure>{plan.pattern('sharded')})/(?P<subject>[\w.@+-]+)/seed(?P<seed>\d+).parquet"
        ],
        "measure": [
            r".*/measurements/(?P<measure>[\w.@-]+)/(?P<subject>[\w.@+-]+)/seed(?P<seed>\d+).parquet",
            r".*/shards/(?P<measure>[\w.@-]+)/(?P<subject>[\w.@+-]+)/seed(?P<seed>\d+)/(?P<shard>\d+)-of-(?P<shards>\d+).parquet",
        ],
        "table": [r".*/papers/(?P<paper>\w+)/tables/(?P<table>[\w.@-]+).json"],
        "figure": [r".*/papers/(?P<paper>\w+)/figures/(?P<figure>[\w.@-]+).png"],
        "search": [r".*/papers/(?P<paper>\w+)/searches/(?P<reading>[\w.-]+).json"],
        "audit": [r".*/papers/(?P<paper>\w+)/audit.json"],
        "scorecard": [r".*/papers/(?P<paper>\w+)/scorecard.json"],
        "summary": [r"results/\w+/scorecard.csv"],
        "report": [r".*/report/index.html"],
        "page": [rf".*/report/(?P<paper>{plan.pattern('papers')}).html"],
    }
    jobs: dict[str, Job] = {}
    waiting = [f"{plan.folder}/scorecard.csv", plan.layout.report, *map(plan.layout.page, plan.papers)]
    while waiting:
        file = re.sub(r"(checkpoints\.safetensors|history\.csv)$", "weights.safetensors", waiting.pop())
        if file in jobs:
            continue
        found = ((step, re.fullmatch(text, file)) for step, texts in patterns.items() for text in texts)
        step, names = next((step, match.groupdict()) for step, match in found if match)
        jobs[file] = plan.job(step, **names)
        waiting += jobs[file].files
    return jobs
