"""
What is said about a scale as a whole: every claim's verdict, the numbers for DVC, the report's first page.

reads    the tables and verdicts of the papers asked for; of the report also the verdicts at other scales that have run
writes   results/{scale}/ scorecard.csv, audit.csv, report/index.html
         results/metrics/{scale}.json, in one folder for all scales, which dvc.yaml names
"""


rule summary:
    input:
        plan.part("summary", "files"),
    output:
        scorecard="results/{scale}/scorecard.csv",
        audit="results/{scale}/audit.csv",
        metrics="results/metrics/{scale}.json",
    log:
        "results/{scale}/logs/summary.log",
    benchmark:
        "results/{scale}/benchmarks/summary.tsv"
    conda:
        "../environment.yaml"
    threads: plan.part("summary", "threads")
    resources:
        gpu=plan.part("summary", "gpu"),
        mem_mb=plan.part("summary", "memory_mb"),
        runtime=plan.part("summary", "minutes"),
    params:
        spec=plan.part("summary", "spec"),
        code=plan.part("summary", "code"),
        options=plan.part("summary", "options"),
    shell:
        "python -m robustrepro run summary {params.options} --threads {threads} --log {log:q}"
        " --output {output.scorecard:q} --output {output.audit:q} --output {output.metrics:q}"


rule report:
    input:
        plan.part("report", "files"),
    output:
        "results/{scale}/report/index.html",
    log:
        "results/{scale}/logs/report.log",
    benchmark:
        "results/{scale}/benchmarks/report.tsv"
    conda:
        "../environment.yaml"
    threads: plan.part("report", "threads")
    resources:
        gpu=plan.part("report", "gpu"),
        mem_mb=plan.part("report", "memory_mb"),
        runtime=plan.part("report", "minutes"),
    params:
        spec=plan.part("report", "spec"),
        code=plan.part("report", "code"),
        options=plan.part("report", "options"),
    shell:
        "python -m robustrepro run report {params.options} --threads {threads} --log {log:q}"
        " --output {output:q}"
