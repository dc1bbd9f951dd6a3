"""
Make the data sets: embedded ones, or downloaded, checked and converted.

reads    the official files (network or data.mirror), or nothing
writes   data/{dataset}/ train.safetensors, test.safetensors, manifest.json
"""


rule data:
    output:
        manifest="data/{dataset}/manifest.json",
        train="data/{dataset}/train.safetensors",
        test="data/{dataset}/test.safetensors",
    log:
        "results/logs/data/{dataset}.log",
    benchmark:
        "results/benchmarks/data/{dataset}.tsv"
    conda:
        "../environment.yaml"
    threads: 1
    resources:
        mem_mb=4000,
    params:
        spec=lambda w: plan.data_spec(w.dataset),
        code=lambda w: plan.code("data", plan.data_spec(w.dataset)),
    shell:
        "python -m robustrepro data --log {log} --spec {params.spec:q} --code {params.code}"
        " --folder data/{wildcards.dataset}"
