"""
From measurements to a paper's tables and figures. Nothing here trains or attacks.

reads    the measurements that the table or figure is declared to show, papers/{paper}/published/
writes   results/{scale}/papers/{paper}/tables/{table}.{json,csv,md}
         results/{scale}/papers/{paper}/figures/{figure}.{png,pdf}
"""


rule table:
    input:
        measurements=lambda w: plan.table_inputs(w.paper, w.table),
    output:
        json="results/{scale}/papers/{paper}/tables/{table}.json",
        csv="results/{scale}/papers/{paper}/tables/{table}.csv",
        markdown="results/{scale}/papers/{paper}/tables/{table}.md",
    log:
        "results/{scale}/logs/papers/{paper}/tables/{table}.log",
    benchmark:
        "results/{scale}/benchmarks/papers/{paper}/tables/{table}.tsv"
    conda:
        "../environment.yaml"
    threads: 1
    resources:
        mem_mb=1000,
    params:
        spec=lambda w: plan.table_spec(w.paper, w.table),
        code=lambda w: plan.code("table", plan.table_spec(w.paper, w.table)),
        published=lambda w: plan.published_digest(w.paper, w.table),
        printed=lambda w: plan.published_option(w.paper, w.table),
    shell:
        "python -m robustrepro table --log {log} --spec {params.spec:q} --code {params.code}"
        " --folder $(dirname {output.json}) {params.printed}"


rule figure:
    input:
        measurements=lambda w: plan.figure_inputs(w.paper, w.figure),
    output:
        png="results/{scale}/papers/{paper}/figures/{figure}.png",
        pdf="results/{scale}/papers/{paper}/figures/{figure}.pdf",
    log:
        "results/{scale}/logs/papers/{paper}/figures/{figure}.log",
    benchmark:
        "results/{scale}/benchmarks/papers/{paper}/figures/{figure}.tsv"
    conda:
        "../environment.yaml"
    threads: 1
    resources:
        mem_mb=1000,
    params:
        spec=lambda w: plan.figure_spec(w.paper, w.figure),
        code=lambda w: plan.code("figure", plan.figure_spec(w.paper, w.figure)),
    shell:
        "python -m robustrepro figure --log {log} --spec {params.spec:q} --code {params.code}"
        " --folder $(dirname {output.png})"
