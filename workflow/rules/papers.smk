"""
From measurements to a paper's tables, figures, verdicts and page of the report. Nothing here trains or attacks.

reads    the measurements that are shown, and all attacks on the models that the paper's claims rest on
writes   results/{scale}/papers/{paper}/ tables/{table}.{json,csv,md}, figures/{figure}.{png,pdf}
         results/{scale}/papers/{paper}/ searches/{reading}.{json,csv}, which candidate of a reading models are made by
         results/{scale}/papers/{paper}/ audit.{json,csv}, scorecard.{json,csv}, readings.csv
         results/{scale}/report/{paper}.html
"""


rule table:
    input:
        plan.part("table", "files"),
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
    threads: plan.part("table", "threads")
    resources:
        gpu=plan.part("table", "gpu"),
        mem_mb=plan.part("table", "memory_mb"),
        runtime=plan.part("table", "minutes"),
    params:
        spec=plan.part("table", "spec"),
        code=plan.part("table", "code"),
        options=plan.part("table", "options"),
    shell:
        "python -m robustrepro run table {params.options} --threads {threads} --log {log:q}"
        " --output {output.json:q} --output {output.csv:q} --output {output.markdown:q}"


rule figure:
    input:
        plan.part("figure", "files"),
    output:
        png="results/{scale}/papers/{paper}/figures/{figure}.png",
        pdf="results/{scale}/papers/{paper}/figures/{figure}.pdf",
    log:
        "results/{scale}/logs/papers/{paper}/figures/{figure}.log",
    benchmark:
        "results/{scale}/benchmarks/papers/{paper}/figures/{figure}.tsv"
    conda:
        "../environment.yaml"
    threads: plan.part("figure", "threads")
    resources:
        gpu=plan.part("figure", "gpu"),
        mem_mb=plan.part("figure", "memory_mb"),
        runtime=plan.part("figure", "minutes"),
    params:
        spec=plan.part("figure", "spec"),
        code=plan.part("figure", "code"),
        options=plan.part("figure", "options"),
    shell:
        "python -m robustrepro run figure {params.options} --threads {threads} --log {log:q}"
        " --output {output.png:q} --output {output.pdf:q}"


rule search:
    input:
        plan.part("search", "files"),
    output:
        json="results/{scale}/papers/{paper}/searches/{reading}.json",
        csv="results/{scale}/papers/{paper}/searches/{reading}.csv",
    log:
        "results/{scale}/logs/papers/{paper}/searches/{reading}.log",
    benchmark:
        "results/{scale}/benchmarks/papers/{paper}/searches/{reading}.tsv"
    conda:
        "../environment.yaml"
    threads: plan.part("search", "threads")
    resources:
        gpu=plan.part("search", "gpu"),
        mem_mb=plan.part("search", "memory_mb"),
        runtime=plan.part("search", "minutes"),
    params:
        spec=plan.part("search", "spec"),
        code=plan.part("search", "code"),
        options=plan.part("search", "options"),
    shell:
        "python -m robustrepro run search {params.options} --threads {threads} --log {log:q}"
        " --output {output.json:q} --output {output.csv:q}"


rule audit:
    input:
        plan.part("audit", "files"),
    output:
        json="results/{scale}/papers/{paper}/audit.json",
        csv="results/{scale}/papers/{paper}/audit.csv",
    log:
        "results/{scale}/logs/papers/{paper}/audit.log",
    benchmark:
        "results/{scale}/benchmarks/papers/{paper}/audit.tsv"
    conda:
        "../environment.yaml"
    threads: plan.part("audit", "threads")
    resources:
        gpu=plan.part("audit", "gpu"),
        mem_mb=plan.part("audit", "memory_mb"),
        runtime=plan.part("audit", "minutes"),
    params:
        spec=plan.part("audit", "spec"),
        code=plan.part("audit", "code"),
        options=plan.part("audit", "options"),
    shell:
        "python -m robustrepro run audit {params.options} --threads {threads} --log {log:q}"
        " --output {output.json:q} --output {output.csv:q}"


rule scorecard:
    input:
        plan.part("scorecard", "files"),
    output:
        json="results/{scale}/papers/{paper}/scorecard.json",
        csv="results/{scale}/papers/{paper}/scorecard.csv",
        readings="results/{scale}/papers/{paper}/readings.csv",
    log:
        "results/{scale}/logs/papers/{paper}/scorecard.log",
    benchmark:
        "results/{scale}/benchmarks/papers/{paper}/scorecard.tsv"
    conda:
        "../environment.yaml"
    threads: plan.part("scorecard", "threads")
    resources:
        gpu=plan.part("scorecard", "gpu"),
        mem_mb=plan.part("scorecard", "memory_mb"),
        runtime=plan.part("scorecard", "minutes"),
    params:
        spec=plan.part("scorecard", "spec"),
        code=plan.part("scorecard", "code"),
        options=plan.part("scorecard", "options"),
    shell:
        "python -m robustrepro run scorecard {params.options} --threads {threads} --log {log:q}"
        " --output {output.json:q} --output {output.csv:q} --output {output.readings:q}"


rule page:
    input:
        plan.part("page", "files"),
    output:
        "results/{scale}/report/{paper}.html",
    log:
        "results/{scale}/logs/papers/{paper}/page.log",
    benchmark:
        "results/{scale}/benchmarks/papers/{paper}/page.tsv"
    wildcard_constraints:
        paper=plan.pattern("papers"),
    conda:
        "../environment.yaml"
    threads: plan.part("page", "threads")
    resources:
        gpu=plan.part("page", "gpu"),
        mem_mb=plan.part("page", "memory_mb"),
        runtime=plan.part("page", "minutes"),
    params:
        spec=plan.part("page", "spec"),
        code=plan.part("page", "code"),
        options=plan.part("page", "options"),
    shell:
        "python -m robustrepro run page {params.options} --threads {threads} --log {log:q} --output {output:q}"
