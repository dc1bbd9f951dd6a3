"""
Measure the models, whatever the kind of measurement. Nothing here draws.

reads    weights, of measures over epochs the checkpoints or the history, and the manifest of the data set that is measured on
writes   results/{scale}/measurements/{measure}/{subject}/seed{seed}.parquet; the subject is a model, or two joined by "+"
         results/{scale}/shards/{measure}/{subject}/seed{seed}/{shard}-of-{shards}.parquet where rows are split over jobs
"""


ruleorder: gather > measure


rule measure:
    input:
        plan.part("measure", "files"),
    output:
        "results/{scale}/measurements/{measure}/{subject}/seed{seed}.parquet",
    log:
        "results/{scale}/logs/measurements/{measure}/{subject}/seed{seed}.log",
    benchmark:
        "results/{scale}/benchmarks/measurements/{measure}/{subject}/seed{seed}.tsv"
    conda:
        "../environment.yaml"
    threads: plan.part("measure", "threads")
    resources:
        gpu=plan.part("measure", "gpu"),
        mem_mb=plan.part("measure", "memory_mb"),
        runtime=plan.part("measure", "minutes"),
    params:
        spec=plan.part("measure", "spec"),
        code=plan.part("measure", "code"),
        options=plan.part("measure", "options"),
    shell:
        "python -m robustrepro run measure {params.options} --threads {threads} --log {log:q}"
        " --output {output:q}"


rule measure_shard:
    input:
        plan.part("measure", "files"),
    output:
        "results/{scale}/shards/{measure}/{subject}/seed{seed}/{shard}-of-{shards}.parquet",
    log:
        "results/{scale}/logs/shards/{measure}/{subject}/seed{seed}/{shard}-of-{shards}.log",
    benchmark:
        "results/{scale}/benchmarks/shards/{measure}/{subject}/seed{seed}/{shard}-of-{shards}.tsv"
    wildcard_constraints:
        measure=plan.pattern("sharded"),
    conda:
        "../environment.yaml"
    threads: plan.part("measure", "threads")
    resources:
        gpu=plan.part("measure", "gpu"),
        mem_mb=plan.part("measure", "memory_mb"),
        runtime=plan.part("measure", "minutes"),
    params:
        spec=plan.part("measure", "spec"),
        code=plan.part("measure", "code"),
        options=plan.part("measure", "options"),
    shell:
        "python -m robustrepro run measure {params.options} --threads {threads} --log {log:q}"
        " --output {output:q}"


rule gather:
    input:
        plan.part("gather", "files"),
    output:
        "results/{scale}/measurements/{measure}/{subject}/seed{seed}.parquet",
    log:
        "results/{scale}/logs/gather/{measure}/{subject}/seed{seed}.log",
    benchmark:
        "results/{scale}/benchmarks/gather/{measure}/{subject}/seed{seed}.tsv"
    wildcard_constraints:
        measure=plan.pattern("sharded"),
    conda:
        "../environment.yaml"
    threads: plan.part("gather", "threads")
    resources:
        gpu=plan.part("gather", "gpu"),
        mem_mb=plan.part("gather", "memory_mb"),
        runtime=plan.part("gather", "minutes"),
    params:
        spec=plan.part("gather", "spec"),
        code=plan.part("gather", "code"),
        options=plan.part("gather", "options"),
    shell:
        "python -m robustrepro run gather {params.options} --threads {threads} --log {log:q}"
        " --output {output:q}"
