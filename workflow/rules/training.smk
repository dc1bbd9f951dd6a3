"""
Train every declared model, one job a model and seed. A killed job continues where it was.

reads    data/{dataset}/manifest.json
writes   results/{scale}/models/{model}/seed{seed}/ weights.safetensors, history.csv, card.json
"""


rule train:
    input:
        manifest=lambda w: plan.manifest(w.model),
    output:
        weights="results/{scale}/models/{model}/seed{seed}/weights.safetensors",
        history="results/{scale}/models/{model}/seed{seed}/history.csv",
        card="results/{scale}/models/{model}/seed{seed}/card.json",
    log:
        "results/{scale}/logs/train/{model}/seed{seed}.log",
    benchmark:
        "results/{scale}/benchmarks/train/{model}/seed{seed}.tsv"
    conda:
        "../environment.yaml"
    threads: 1
    resources:
        gpu=1,
        mem_mb=3000,
    params:
        spec=lambda w: plan.training_spec(w.model),
        code=lambda w: plan.code("train", plan.training_spec(w.model)),
    shell:
        "python -m robustrepro train --log {log} --spec {params.spec:q} --code {params.code}"
        " --model {wildcards.model} --seed {wildcards.seed} --data $(dirname {input.manifest})"
        " --weights {output.weights} --history {output.history} --card {output.card}"
