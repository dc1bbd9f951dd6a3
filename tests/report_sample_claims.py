"""Sample input of the report: the claims of two papers, their verdicts, and what the audit found of them."""

from __future__ import annotations

from typing import Any

PGD_GAP = "table2[hrm, pgd] >= table2[erm, pgd] + 20"
CLAIMS = [
    (
        "hrm",
        "hrm-raises-pgd-accuracy",
        "HRM improves robustness on MNIST to 56.22% without sacrificing test accuracy",
        "Table 2",
        "indicative: holds",
        "indicative: does not survive",
        f"audit: pgd-margin: {PGD_GAP}: table2[hrm, pgd] = 3.40, table2[erm, pgd] = 0.00; margin -16.60",
        "table2[hrm, pgd] = 39.90 ≥ table2[erm, pgd] + 20 = 23.40 [95%: 30.1, 49.7]",
        "digits stand in for mnist",
    ),
    (
        "hrm",
        "hrm-is-not-masked",
        "Accuracies under cross-entropy attacks remain similar, so gradients are not masked",
        "Table 5",
        "not measured",
        "not measured",
        "",
        "",
        "table5 was not measured at this scale",
    ),
    (
        "hrm",
        "cem-between",
        "CEM lies between ERM and HRM",
        "Section 5",
        "indicative: does not",
        "not applicable",
        "",
        "table2[cem, clean] = 98.20 ≤ table2[erm, clean] = 98.90",
        "digits stand in for mnist",
    ),
    (
        "hamming",
        "all-adversaries",
        "One network is robust against several unseen adversaries",
        "Table 1",
        "reproduced",
        "survives",
        "",
        "table1[ours, unseen] = 44.1 ≥ 35 [95%: 42.9, 45.3]",
        "the whole interval lies above the margin",
    ),
    (
        "hamming",
        "verified",
        "State-of-the-art verified robust accuracy at ε = 8/255",
        "Table 9",
        "not reproduced",
        "vacuous",
        "",
        "table9[ours, verified] = 12.0 < 38",
        "the whole interval lies below the margin",
    ),
    (
        "hamming",
        "cheap",
        "Training takes a sixth of the next best defense's time",
        "Table 1",
        "inconclusive",
        "not applicable",
        "",
        "table1[ours, time] = 5.1 ≤ table1[next, time] / 6 = 5.3 [95%: 4.2, 6.4]",
        "the margin lies inside the interval",
    ),
]


SAYS = {"one step beats many": "accuracy under PGD against that under FGSM", "zero gradients": "share without gradient"}


def _alarms(values: dict[str, list[float]]) -> list[dict[str, Any]]:
    return [
        {"seed": seed, "name": name, "value": value, "bound": 0.2, "says": SAYS[name], "goes_off": value > 0.2}
        for name, by_seed in values.items()
        for seed, value in enumerate(by_seed)
    ]


def _attacked(
    cell: str, model: str, own: str, accuracies: dict[str, float], worst_case: float, alarms: dict[str, list[float]]
) -> dict[str, Any]:
    return {
        "cell": cell,
        "model": model,
        "norm": "linf",
        "epsilon": 0.3,
        "images": 1000,
        "seeds": 3,
        "own": own,
        "accuracies": accuracies,
        "worst_case": worst_case,
        "alarms": _alarms(alarms),
    }


ATTACKS = ("fgsm", "pgd40", "audit: pgd-float64", "audit: pgd-margin", "transfer from every other model")
COPY = "audit: pgd-margin-10, straight-through copy"
HRM = dict(zip(ATTACKS, (71.4, 39.9, 30.2, 3.47, 44.04), strict=True)) | {COPY: 12.0}
ERM = dict(zip(ATTACKS, (23.1, 3.4, 1.2, 0.0, 20.0), strict=True))
SOME = {"one step beats many": [0.1, 0.1, 0.12], "zero gradients": [0.268, 0.15, 0.3]}
NONE = {"one step beats many": [0.1, 0.1, 0.1], "zero gradients": [0.0, 0.0, 0.0]}
L2 = {"norm": "l2", "epsilon": 1}
AUDITED = [
    {
        "paper": "hrm",
        "claim": "hrm-raises-pgd-accuracy",
        "cells": [
            _attacked("table2[hrm, pgd]", "mnist-lenet5-hrm", "pgd40", HRM, 3.4, SOME),
            _attacked("table2[erm, pgd]", "mnist-lenet5-erm", "pgd40", ERM, 0.0, NONE),
        ],
    },
    {
        "paper": "hamming",
        "claim": "all-adversaries",
        "cells": [
            _attacked("table1[ours, linf]", "cifar10-ours", "pgd10", {"pgd10": 41.0, "fgsm": 42.0}, 39.5, NONE),
            _attacked("table1[ours, l2]", "cifar10-ours", "pgd-l2", {"pgd-l2": 40.2}, 40.1, NONE) | L2,
        ],
    },
    {
        "paper": "hamming",
        "claim": "verified",
        "cells": [_attacked("table9[ours, pgd]", "cifar10-small", "pgd10", {"pgd10": 10.0}, 10.0, {})],
    },
]
AUDIT_LINES = [
    (
        "hrm",
        "hrm-raises-pgd-accuracy",
        f"{PGD_GAP}: table2[hrm, pgd] = 3.40, table2[erm, pgd] = 0.00; margin -16.60 [95%: -17.90, -15.30]",
        "1 of 1 conditions fail with their whole 95% interval over 3 seeds",
        f"at ε = 0.0375: indicative: does not ({PGD_GAP}: 71.2, 68.0; margin -16.80); "
        f"at ε = 0.15: indicative: holds ({PGD_GAP}: 40.2, 18.0; margin +2.20)",
    ),
    ("hamming", "all-adversaries", "table1[ours, linf] = 39.5 ≥ 35", "the whole interval lies above the margin", ""),
    ("hamming", "verified", "", "table9[ours, pgd]: one class for all images", ""),
]
