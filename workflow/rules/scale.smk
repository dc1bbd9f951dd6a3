"""
What is said about a scale as a whole: a verdict on every claim, whether it survives, the numbers for DVC, the report.

reads    every table and figure of the papers asked for, and all attacks on the models that claims rest on
writes   results/{scale}/ audit.csv, audit.json, scorecard.csv, scorecard.json, metrics.json, report/index.html
"""


rule audit:
    input:
        tables=list(plan.tables_of()),
        measurements=plan.audit_inputs(),
    output:
        csv="results/{scale}/audit.csv",
        json="results/{scale}/audit.json",
    log:
        "results/{scale}/logs/audit.log",
    benchmark:
        "results/{scale}/benchmarks/audit.tsv"
    conda:
        "../environment.yaml"
    threads: 1
    resources:
        mem_mb=1000,
    params:
        spec=lambda w: plan.claims_audit_spec(),
        code=lambda w: plan.code("audit", plan.claims_audit_spec()),
    shell:
        "python -m robustrepro audit --log {log} --spec {params.spec:q} --code {params.code}"
        " --folder $(dirname {output.csv})"


rule scorecard:
    input:
        tables=list(plan.tables_of()),
        audit="results/{scale}/audit.csv",
    output:
        scorecard="results/{scale}/scorecard.csv",
        json="results/{scale}/scorecard.json",
        metrics="results/{scale}/metrics.json",
    log:
        "results/{scale}/logs/scorecard.log",
    benchmark:
        "results/{scale}/benchmarks/scorecard.tsv"
    conda:
        "../environment.yaml"
    threads: 1
    resources:
        mem_mb=1000,
    params:
        spec=lambda w: plan.scorecard_spec(),
        code=lambda w: plan.code("scorecard", plan.scorecard_spec()),
    shell:
        "python -m robustrepro scorecard --log {log} --spec {params.spec:q} --code {params.code}"
        " --folder $(dirname {output.scorecard})"


rule report:
    input:
        scorecard="results/{scale}/scorecard.csv",
        comparisons="results/{scale}/scorecard.json",
        audit="results/{scale}/audit.json",
        tables=list(plan.tables_of()),
        figures=list(plan.figures_of()),
    output:
        "results/{scale}/report/index.html",
    log:
        "results/{scale}/logs/report.log",
    benchmark:
        "results/{scale}/benchmarks/report.tsv"
    conda:
        "../environment.yaml"
    threads: 1
    resources:
        mem_mb=1000,
    params:
        spec=lambda w: plan.report_spec(),
        code=lambda w: plan.code("report", plan.report_spec()),
    shell:
        "python -m robustrepro report --log {log} --spec {params.spec:q} --code {params.code}"
        " --folder results/{wildcards.scale}"
