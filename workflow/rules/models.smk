"""
Make every model, one job per model and seed: trained, derived from another one, or given. A killed training continues.

reads    the manifest of the model's data set; the weights, or the checkpoints, that a model is derived from; the weights of
         models whose features a training compares; what a search chose, for a model that is trained so
writes   results/{scale}/models/{model}/seed{seed}/ weights.safetensors, card.json; of a training also history.csv and
         checkpoints.safetensors, the weights after the epochs that the model asks for
"""


rule train:
    input:
        plan.part("train", "files"),
    output:
        weights="results/{scale}/models/{model}/seed{seed}/weights.safetensors",
        checkpoints="results/{scale}/models/{model}/seed{seed}/checkpoints.safetensors",
        history="results/{scale}/models/{model}/seed{seed}/history.csv",
        card="results/{scale}/models/{model}/seed{seed}/card.json",
    log:
        "results/{scale}/logs/train/{model}/seed{seed}.log",
    benchmark:
        "results/{scale}/benchmarks/train/{model}/seed{seed}.tsv"
    wildcard_constraints:
        model=plan.pattern("trained"),
    conda:
        "../environment.yaml"
    threads: plan.part("train", "threads")
    resources:
        gpu=plan.part("train", "gpu"),
        mem_mb=plan.part("train", "memory_mb"),
        runtime=plan.part("train", "minutes"),
    params:
        spec=plan.part("train", "spec"),
        code=plan.part("train", "code"),
        options=plan.part("train", "options"),
    shell:
        "python -m robustrepro run train {params.options} --threads {threads} --log {log:q}"
        " --output {output.weights:q} --output {output.checkpoints:q} --output {output.history:q}"
        " --output {output.card:q}"


rule derive:
    input:
        plan.part("derive", "files"),
    output:
        weights="results/{scale}/models/{model}/seed{seed}/weights.safetensors",
        card="results/{scale}/models/{model}/seed{seed}/card.json",
    log:
        "results/{scale}/logs/derive/{model}/seed{seed}.log",
    benchmark:
        "results/{scale}/benchmarks/derive/{model}/seed{seed}.tsv"
    wildcard_constraints:
        model=plan.pattern("derived"),
    conda:
        "../environment.yaml"
    threads: plan.part("derive", "threads")
    resources:
        gpu=plan.part("derive", "gpu"),
        mem_mb=plan.part("derive", "memory_mb"),
        runtime=plan.part("derive", "minutes"),
    params:
        spec=plan.part("derive", "spec"),
        code=plan.part("derive", "code"),
        options=plan.part("derive", "options"),
    shell:
        "python -m robustrepro run derive {params.options} --threads {threads} --log {log:q}"
        " --output {output.weights:q} --output {output.card:q}"
