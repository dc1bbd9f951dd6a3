"""Sample input of the report: the claims of two papers, their verdicts, and what the audit found of them."""

from __future__ import annotations

from typing import Any

PGD_GAP = "table2[hrm, pgd] >= table2[erm, pgd] + 20"
CHANGE = "optimizer.learning_rate: 0.002 instead of 0.1 (config.yaml)"
"""What the user of the sample has changed."""


def condition(
    text: str, outcome: str, margin: float, values: dict[str, tuple[float, str | None]], **others: Any
) -> dict[str, Any]:
    compared = [{"cell": cell, "value": value, "printed": printed} for cell, (value, printed) in values.items()]
    return {
        "condition": text,
        "outcome": outcome,
        "margin": margin,
        "interval": [margin - 1.3, margin + 1.3],
        "seeds": 3,
        "compared": compared,
        "decimals": 2,
        "unit": "%",
        "on_the_floor": False,
        "seeds_to_decide": None,
        **others,
    }


def _gap(hrm: float, erm: float, outcome: str, *, printed: bool = False, **others: Any) -> dict[str, Any]:
    """The claim that HRM is 20 points more robust, as measured."""
    values = {
        "table2[hrm, pgd]": (hrm, "56.22%" if printed else None),
        "table2[erm, pgd]": (erm, "3.25%" if printed else None),
    }
    return condition(PGD_GAP, outcome, hrm - erm - 20, values, **others)


# Paper, claim, its words, where, both verdicts, why.
CLAIMS = [
    (
        "hrm",
        "hrm-raises-pgd-accuracy",
        "HRM improves robustness on MNIST to 56.22% without sacrificing test accuracy",
        "Table 2",
        "indicative: holds",
        "indicative: does not survive",
        "digits stand in for mnist",
    ),
    (
        "hrm",
        "hrm-is-not-masked",
        "Accuracies under cross-entropy attacks remain similar, so gradients are not masked",
        "Table 5",
        "not measured",
        "not measured",
        "table5 was not measured at this scale",
    ),
    (
        "hrm",
        "cem-between",
        "CEM lies between ERM and HRM",
        "Section 5",
        "indicative: does not hold",
        "not applicable",
        "digits stand in for mnist",
    ),
    (
        "hamming",
        "all-adversaries",
        "One network is robust against several unseen adversaries",
        "Table 1",
        "reproduced",
        "survives",
        "the whole interval lies above the margin",
    ),
    (
        "hamming",
        "verified",
        "State-of-the-art verified robust accuracy at ε = 8/255",
        "Table 9",
        "not reproduced",
        "vacuous",
        "the whole interval lies below the margin",
    ),
    (
        "hamming",
        "cheap",
        "Training takes a sixth of the next best defense's time",
        "Table 1",
        "inconclusive",
        "not applicable",
        "the margin lies inside the interval",
    ),
    (
        "hamming",
        "closer-to-clean",
        "Clean accuracy rises by twenty points",
        "Table 1",
        "cannot be asked here",
        "not applicable",
        "no accuracy meets the bound",
    ),
]
CONDITIONS = {
    "hrm-raises-pgd-accuracy": [_gap(39.9, 3.4, "holds", printed=True)],
    "hrm-is-not-masked": [],
    "cem-between": [
        condition(
            "table2[cem, clean] >= table2[erm, clean]",
            "fails",
            -0.7,
            {"table2[cem, clean]": (98.2, "98.69%"), "table2[erm, clean]": (98.9, "98.71%")},
        )
    ],
    "all-adversaries": [
        condition(
            "table1[ours, linf] - 2 * table1[normal, l2] >= 35",
            "holds",
            4.5,
            {"table1[ours, linf]": (41.0, None), "table1[normal, l2]": (0.75, None)},
        )
    ],
    # Of a table that was not made; nothing here is robust.
    "verified": [condition("table9[ours, pgd] >= 38", "fails", -36.0, {"table9[ours, pgd]": (2.0, "38.1%")})],
    "cheap": [
        condition(
            "table1[ours, all] <= 5",
            "crosses",
            0.2,
            {"table1[ours, all]": (4.8, None)},
            interval=None,
            seeds_to_decide=9,
        )
    ],
    "closer-to-clean": [
        condition(
            "table1[ours, clean] >= table1[normal, clean] + 20",
            "beyond",
            -28.0,
            {"table1[ours, clean]": (86.3, None), "table1[normal, clean]": (94.3, None)},
        )
    ],
}
DIFFERS = {
    "hrm-raises-pgd-accuracy": ["data: digits instead of mnist", f"{CHANGE} (mnist-lenet5-hrm)"],
    "cem-between": ["data: digits instead of mnist"],
}
JUDGED = [
    {
        "paper": paper,
        "claim": claim,
        "reading": "",
        "readings": [
            {
                "reading": "",
                "choices": {},
                "verdict": verdict,
                "why": why,
                "audit": audit,
                "on_the_floor": claim == "verified",
                "conditions": CONDITIONS[claim],
                "differs": DIFFERS.get(claim, []),
            }
        ],
    }
    for paper, claim, _, _, verdict, audit, why in CLAIMS
]
ELSEWHERE = [
    {
        "paper": "hrm",
        "claim": "hrm-raises-pgd-accuracy",
        "scale": "reduced",
        "verdict": "not reproduced",
        "audit": "does not survive",
        "taken_down_by": "PGD on the margin",
        "measured": f"{PGD_GAP}: table2[hrm, pgd] = 2.33 (printed 56.22%), table2[erm, pgd] = 0.19 (printed 3.25%); "
        "margin -17.86 [95%: -23.31, -12.41]; table2[hrm, clean] >= 98: table2[hrm, clean] = 99.06; margin +1.06",
        "why": "the first comparison fails with its whole interval",
        "differs": "",
    },
    {
        "paper": "hrm",
        "claim": "cem-between",
        "scale": "reduced",
        "verdict": "not measured",
        "audit": "not measured",
        "taken_down_by": "",
        "measured": "",
        "why": "left out",
        "differs": "epochs: 12 instead of 100 (14 models); data: cifar10 from elsewhere",
    },
]
"""What another scale says of some of these claims."""


SAYS = {"one step beats many": "accuracy under PGD against that under FGSM", "zero gradients": "share without gradient"}


def _alarms(values: dict[str, list[float]]) -> list[dict[str, Any]]:
    return [
        {"seed": seed, "name": name, "value": value, "bound": 0.2, "says": SAYS[name], "goes_off": value > 0.2}
        for name, by_seed in values.items()
        for seed, value in enumerate(by_seed)
    ]


def attacked(
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
        "words": {own: "PGD, 40 steps", COPY: "PGD, 40 steps, 10 restarts, on the margin, on a straight-through copy"},
        "only_seeds": {COPY: [0, 2]} if COPY in accuracies else {},
        "alarms": _alarms(alarms),
    }


ATTACKS = ("fgsm", "pgd40", "audit: pgd-float64", "audit: pgd-margin", "transfer from every other model")
COPY = "audit: pgd-margin-10, straight-through copy"
HRM = dict(zip(ATTACKS, (71.4, 39.9, 30.2, 3.47, 44.04), strict=True)) | {COPY: 12.0}
ERM = dict(zip(ATTACKS, (23.1, 3.4, 1.2, 0.0, 20.0), strict=True))
SOME = {"one step beats many": [0.1, 0.1, 0.12], "zero gradients": [0.268, 0.15, 0.3]}
NONE = {"one step beats many": [0.1, 0.1, 0.1], "zero gradients": [0.0, 0.0, 0.0]}
L2 = {"norm": "l2", "epsilon": 1, "clipped": False}
AUDITED = [
    {
        "paper": "hrm",
        "claim": "hrm-raises-pgd-accuracy",
        "why": "1 of 1 comparison fails: the whole 95% interval over 3 seeds misses the bound",
        "conditions": [_gap(3.4, 0.0, "fails")],
        "taken_down": {
            "by": "audit: pgd-margin",
            "left": {"verdict": "indicative: does not hold", "why": "", "conditions": [_gap(3.5, 0.0, "fails")]},
        },
        "smaller": [
            {
                "epsilons": [4 / 255],
                "found": {"verdict": "indicative: does not hold", "why": "", "conditions": [_gap(71.2, 68.0, "fails")]},
            },
            {
                "epsilons": [0.15],
                "found": {"verdict": "indicative: holds", "why": "", "conditions": [_gap(42.2, 20.0, "holds")]},
            },
        ],
        "cells": [
            attacked("table2[hrm, pgd]", "mnist-lenet5-hrm", "pgd40", HRM, 3.4, SOME),
            attacked("table2[erm, pgd]", "mnist-lenet5-erm", "pgd40", ERM, 0.0, NONE),
        ],
    },
    {
        "paper": "hamming",
        "claim": "all-adversaries",
        "why": "the whole interval lies above the margin",
        "conditions": CONDITIONS["all-adversaries"],
        "taken_down": None,
        "smaller": [],
        "cells": [
            attacked("table1[ours, linf]", "cifar10-ours", "pgd10", {"pgd10": 41.0, "fgsm": 42.0}, 39.5, NONE),
            attacked("table1[ours, l2]", "cifar10-ours", "pgd-l2", {"pgd-l2": 40.2}, 40.1, NONE) | L2,
        ],
    },
    {
        "paper": "hamming",
        "claim": "verified",
        "why": "one class for all images: table2[hrm, pgd] in 1 of 3 seeds",
        "conditions": [],
        "taken_down": {"by": "already fails under the paper's own attack", "left": None},
        "smaller": [],
        "cells": [attacked("table9[ours, pgd]", "cifar10-small", "pgd10", {"pgd10": 10.0}, 10.0, {})],
    },
]
