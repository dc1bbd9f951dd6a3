"""
Measure the trained models, one row an example. Nothing here draws.

reads    results/{scale}/models/{model}/seed{seed}/weights.safetensors, data/{dataset}/manifest.json
writes   results/{scale}/measurements/attack/{model}/seed{seed}/{measure}.parquet
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
