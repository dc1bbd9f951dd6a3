"""
Measure the trained models, one row an example. Nothing here draws.

reads    results/{scale}/models/{model}/seed{seed}/weights.safetensors, data/{dataset}/manifest.json
writes   results/{scale}/measurements/attack/{model}/seed{seed}/{measure}.parquet
         results/{scale}/measurements/transfer/{model}/seed{seed}/{measure}.parquet
         results/{scale}/measurements/audit/{model}/seed{seed}/audit.parquet
         results/{scale}/measurements/losses/{model}/seed{seed}/train.parquet
         results/{scale}/measurements/training_path/{model}/seed{seed}/every{every}.parquet
         results/{scale}/measurements/parameter_distance/{model}/seed{seed}/{other}.parquet
         results/{scale}/measurements/decision_boundary/{model}/seed{seed}/grid{resolution}.parquet
"""


rule measure_attack:
    input:
        manifest=lambda w: plan.manifest(w.model),
        weights="results/{scale}/models/{model}/seed{seed}/weights.safetensors",
    output:
        "results/{scale}/measurements/attack/{model}/seed{seed}/{measure}.parquet",
    log:
        "results/{scale}/logs/attack/{model}/seed{seed}/{measure}.log",
    benchmark:
        "results/{scale}/benchmarks/attack/{model}/seed{seed}/{measure}.tsv"
    conda:
        "../environment.yaml"
    threads: 1
    resources:
        gpu=1,
        mem_mb=2000,
    params:
        spec=lambda w: plan.attack_spec(w.model, w.measure),
        code=lambda w: plan.code("measure-attack", plan.attack_spec(w.model, w.measure)),
    shell:
        "python -m robustrepro measure-attack --log {log} --spec {params.spec:q} --code {params.code}"
        " --model {wildcards.model} --seed {wildcards.seed} --data $(dirname {input.manifest})"
        " --weights {input.weights} --output {output}"


rule measure_parameter_distance:
    input:
        weights="results/{scale}/models/{model}/seed{seed}/weights.safetensors",
        other="results/{scale}/models/{other}/seed{seed}/weights.safetensors",
    output:
        "results/{scale}/measurements/parameter_distance/{model}/seed{seed}/{other}.parquet",
    log:
        "results/{scale}/logs/parameter_distance/{model}/seed{seed}/{other}.log",
    benchmark:
        "results/{scale}/benchmarks/parameter_distance/{model}/seed{seed}/{other}.tsv"
    conda:
        "../environment.yaml"
    threads: 1
    resources:
        mem_mb=1000,
    params:
        spec=lambda w: plan.distance_spec(w.model, w.other),
        code=lambda w: plan.code(
            "measure-parameter-distance", plan.distance_spec(w.model, w.other)
        ),
    shell:
        "python -m robustrepro measure-parameter-distance --log {log} --spec {params.spec:q} --code {params.code}"
        " --model {wildcards.model} --model {wildcards.other} --seed {wildcards.seed}"
        " --weights {input.weights} --weights {input.other} --output {output}"


rule measure_decision_boundary:
    input:
        manifest=lambda w: plan.manifest(w.model),
        weights="results/{scale}/models/{model}/seed{seed}/weights.safetensors",
    output:
        "results/{scale}/measurements/decision_boundary/{model}/seed{seed}/grid{resolution}.parquet",
    log:
        "results/{scale}/logs/decision_boundary/{model}/seed{seed}/grid{resolution}.log",
    benchmark:
        "results/{scale}/benchmarks/decision_boundary/{model}/seed{seed}/grid{resolution}.tsv"
    conda:
        "../environment.yaml"
    threads: 1
    resources:
        mem_mb=1000,
    params:
        spec=lambda w: plan.boundary_spec(w.model, w.resolution),
        code=lambda w: plan.code(
            "measure-decision-boundary", plan.boundary_spec(w.model, w.resolution)
        ),
    shell:
        "python -m robustrepro measure-decision-boundary --log {log} --spec {params.spec:q} --code {params.code}"
        " --model {wildcards.model} --seed {wildcards.seed} --data $(dirname {input.manifest})"
        " --weights {input.weights} --output {output}"


rule measure_transfer:
    input:
        manifest=lambda w: plan.manifest(w.model),
        weights="results/{scale}/models/{model}/seed{seed}/weights.safetensors",
        targets=lambda w: plan.transfer_weights(w.model, w.seed, w.measure),
    output:
        "results/{scale}/measurements/transfer/{model}/seed{seed}/{measure}.parquet",
    log:
        "results/{scale}/logs/transfer/{model}/seed{seed}/{measure}.log",
    benchmark:
        "results/{scale}/benchmarks/transfer/{model}/seed{seed}/{measure}.tsv"
    conda:
        "../environment.yaml"
    threads: 1
    resources:
        gpu=1,
        mem_mb=3000,
    params:
        spec=lambda w: plan.transfer_spec(w.model, w.seed, w.measure),
        code=lambda w: plan.code(
            "measure-transfer", plan.transfer_spec(w.model, w.seed, w.measure)
        ),
        targets=lambda w: plan.transfer_options(w.model, w.seed, w.measure),
    shell:
        "python -m robustrepro measure-transfer --log {log} --spec {params.spec:q} --code {params.code}"
        " --model {wildcards.model} --seed {wildcards.seed} --data $(dirname {input.manifest})"
        " --weights {input.weights} {params.targets} --output {output}"


rule measure_audit:
    input:
        manifest=lambda w: plan.manifest(w.model),
        weights="results/{scale}/models/{model}/seed{seed}/weights.safetensors",
    output:
        "results/{scale}/measurements/audit/{model}/seed{seed}/audit.parquet",
    log:
        "results/{scale}/logs/audit/{model}/seed{seed}/audit.log",
    benchmark:
        "results/{scale}/benchmarks/audit/{model}/seed{seed}/audit.tsv"
    conda:
        "../environment.yaml"
    threads: 1
    resources:
        gpu=1,
        mem_mb=3000,
    params:
        spec=lambda w: plan.audit_spec(w.model),
        code=lambda w: plan.code("measure-audit", plan.audit_spec(w.model)),
    shell:
        "python -m robustrepro measure-audit --log {log} --spec {params.spec:q} --code {params.code}"
        " --model {wildcards.model} --seed {wildcards.seed} --data $(dirname {input.manifest})"
        " --weights {input.weights} --output {output}"


rule measure_losses:
    input:
        manifest=lambda w: plan.manifest(w.model),
        weights="results/{scale}/models/{model}/seed{seed}/weights.safetensors",
    output:
        "results/{scale}/measurements/losses/{model}/seed{seed}/train.parquet",
    log:
        "results/{scale}/logs/losses/{model}/seed{seed}/train.log",
    benchmark:
        "results/{scale}/benchmarks/losses/{model}/seed{seed}/train.tsv"
    conda:
        "../environment.yaml"
    threads: 1
    resources:
        gpu=1,
        mem_mb=3000,
    params:
        spec=lambda w: plan.losses_spec(w.model),
        code=lambda w: plan.code("measure-losses", plan.losses_spec(w.model)),
    shell:
        "python -m robustrepro measure-losses --log {log} --spec {params.spec:q} --code {params.code}"
        " --model {wildcards.model} --seed {wildcards.seed} --data $(dirname {input.manifest})"
        " --weights {input.weights} --output {output}"


rule measure_training_path:
    input:
        manifest=lambda w: plan.manifest(w.model),
        weights="results/{scale}/models/{model}/seed{seed}/weights.safetensors",
    output:
        "results/{scale}/measurements/training_path/{model}/seed{seed}/every{every}.parquet",
    log:
        "results/{scale}/logs/training_path/{model}/seed{seed}/every{every}.log",
    benchmark:
        "results/{scale}/benchmarks/training_path/{model}/seed{seed}/every{every}.tsv"
    conda:
        "../environment.yaml"
    threads: 1
    resources:
        gpu=1,
        mem_mb=3000,
    params:
        spec=lambda w: plan.path_spec(w.model, w.every),
        code=lambda w: plan.code(
            "measure-training-path", plan.path_spec(w.model, w.every)
        ),
    shell:
        "python -m robustrepro measure-training-path --log {log} --spec {params.spec:q} --code {params.code}"
        " --model {wildcards.model} --seed {wildcards.seed} --data $(dirname {input.manifest})"
        " --weights {input.weights} --output {output}"
