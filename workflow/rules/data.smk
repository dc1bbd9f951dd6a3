"""
Make data sets: fetched and checked against the official checksums, drawn, generated from one another, held out of or
sampled from one another, or crafted.

reads    a mirror or the official hosts; the data set or the model that one is made from
writes   data/{dataset}/ manifest.json, test.safetensors and, unless the data set is for tests only, train.safetensors
         results/{scale}/data/{dataset}/seed{seed}/ the same of a data set that is made from a model, or generated from,
         held out of or sampled from one that stands in for another at this scale
"""


rule data:
    input:
        plan.part("data", "files"),
    output:
        manifest="data/{dataset}/manifest.json",
        train="data/{dataset}/train.safetensors",
        test="data/{dataset}/test.safetensors",
    log:
        f"{plan.folder}/logs/data/{{dataset}}.log",
    benchmark:
        f"{plan.folder}/benchmarks/data/{{dataset}}.tsv"
    wildcard_constraints:
        dataset=plan.pattern("both_splits"),
    conda:
        "../environment.yaml"
    threads: plan.part("data", "threads")
    resources:
        gpu=plan.part("data", "gpu"),
        mem_mb=plan.part("data", "memory_mb"),
        runtime=plan.part("data", "minutes"),
    params:
        spec=plan.part("data", "spec"),
        code=plan.part("data", "code"),
        options=plan.part("data", "options"),
    shell:
        "python -m robustrepro run data {params.options} --threads {threads} --log {log:q}"
        " --output {output.manifest:q}"


use rule data as data_test_only with:
    output:
        manifest="data/{dataset}/manifest.json",
        test="data/{dataset}/test.safetensors",
    wildcard_constraints:
        dataset=plan.pattern("test_only"),


use rule data as data_of_scale with:
    output:
        manifest="results/{scale}/data/{dataset}/seed{seed}/manifest.json",
        train="results/{scale}/data/{dataset}/seed{seed}/train.safetensors",
        test="results/{scale}/data/{dataset}/seed{seed}/test.safetensors",
    log:
        "results/{scale}/logs/data/{dataset}/seed{seed}.log",
    benchmark:
        "results/{scale}/benchmarks/data/{dataset}/seed{seed}.tsv"


use rule data_of_scale as data_of_scale_test_only with:
    output:
        manifest="results/{scale}/data/{dataset}/seed{seed}/manifest.json",
        test="results/{scale}/data/{dataset}/seed{seed}/test.safetensors",
    wildcard_constraints:
        dataset=plan.pattern("test_only"),
