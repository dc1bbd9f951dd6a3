"""Sample input of the report: tables in the shape that the pipeline writes, with every case the page tells apart."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from report_sample_claims import CHANGE

ROWS = {"erm": "ERM (Baseline)", "cem": "CEM", "hrm": "HRM"}
MNIST_COLUMNS = {"clean": "Test Acc", "fgsm": "FGSM (ε = 0.3)", "pgd": "PGD (ε = 0.3)"}
MNIST_PRINTED = {"erm": (98.71, 24.55, 3.25), "cem": (98.69, 72.98, 41.20), "hrm": (98.54, 83.80, 56.22)}
MNIST_OURS = {"erm": (98.9, 23.1, 3.4), "cem": (98.2, 50.4, 30.7), "hrm": (97.6, 71.3, 39.9)}
CIFAR_COLUMNS = {
    "linf": "ℓ∞ (8/255)",
    "l2": "ℓ2 (1.0)",
    "stadv": "StAdv",
    "recolor": "ReColor",
    "jpeg": "JPEG",
    "nptm": "NPTM",
    "unseen": "Unseen mean",
    "all": "Union",
    "clean": "Clean",
}

GEOMETRY_COLUMNS: list[dict[str, Any]] = [
    {"key": "clean", "label": "Clean", "group": None, "unit": "%", "decimals": 1},
    {"key": "fgsm", "label": "FGSM", "group": "ε = 8/255", "unit": "%", "decimals": 1},
    {"key": "pgd", "label": "PGD", "group": "ε = 8/255", "unit": "%", "decimals": 1},
    {"key": "l1", "label": "mean ‖J‖₁", "group": "Jacobian", "unit": "", "decimals": 3},
    {"key": "l2", "label": "mean ‖J‖₂", "group": "Jacobian", "unit": "", "decimals": 3},
    {"key": "time", "label": "Training", "group": None, "unit": "s", "decimals": 0},
]
LEFT_OUT = "cifar10-pat is left out at this scale"
WHY_NO_TIME = "the time of training was not recorded"


def weights_sha256(model: str, seed: int) -> str:
    """The sha256 that the sample gives the weights of a model and seed."""
    return hashlib.sha256(f"{model}/{seed}".encode()).hexdigest()


def _values(model: str, attack: str, mean: float, seeds: int, count: int) -> list[dict[str, Any]]:
    attack_spec = {"name": attack, "epsilon": 0.3, "norm": "linf", "loss": "cross_entropy", "precision": "float32"}
    if attack == "pgd":
        attack_spec |= {"steps": 40, "step_size": 0.01, "restarts": 1, "random_start": True}
    training_spec = {
        "dataset": "digits",
        "architecture": "lenet5",
        "objective": {"name": model.rsplit("-", 1)[-1], "guard": 1e-8},
        "optimizer": {"name": "adam", "learning_rate": 0.001},
        "epochs": 12,
        "batch_size": 128,
    }
    return [
        {
            "seed": seed,
            "value": mean + 0.3 * (seed - (seeds - 1) / 2),
            "count": count,
            "sources": [
                {
                    "model": model,
                    "weights_sha256": weights_sha256(model, seed),
                    "training_spec": training_spec | {"seed": seed},
                    "measurement": f"results/quick/measurements/{attack}/{model}/seed{seed}.parquet",
                    "attack_spec": {"kind": "attack", "attack": attack_spec, "split": "test"},
                    "commit": "abc1234 (modified)",
                    "device": "cpu",
                }
            ],
        }
        for seed in range(seeds)
    ]


def _cell(row: str, column: str, mean: float | None, printed: float | None, model: str, seeds: int) -> dict[str, Any]:
    spread = 0.3 if seeds > 1 else None
    measured = mean is not None
    return {
        "row": row,
        "column": column,
        "status": "measured" if measured else "not measured",
        "why": None if measured else LEFT_OUT,
        "mean": mean,
        "std": spread if measured else None,
        "interval": [mean - 0.74, mean + 0.74] if mean is not None else None,
        "interval_kind": f"95% over {seeds} seeds" if seeds > 1 else "95% binomial, 10000 images",
        "seeds": seeds if measured else None,
        "printed": None if printed is None else f"{printed:.2f}%",
        "printed_value": printed,
        "difference": None if mean is None or printed is None else mean - printed,
        "values": _values(model, column, mean, seeds, 360 if seeds > 1 else 10000) if mean is not None else [],
    }


def _percentages(labels: dict[str, str], decimals: int) -> list[dict[str, Any]]:
    """The columns of a table that has one level of headers and one unit."""
    shared = {"group": None, "unit": "%", "decimals": decimals, "accuracy": True}
    return [{"key": key, "label": label, **shared} for key, label in labels.items()]


def _hrm_table2() -> dict[str, Any]:
    cells = [
        _cell(row, column, MNIST_OURS[row][place], MNIST_PRINTED[row][place], f"mnist-lenet5-{row}", 3)
        for row in ROWS
        for place, column in enumerate(MNIST_COLUMNS)
    ]
    return {
        "id": "table2",
        "paper": "hrm",
        "scale": "quick",
        "caption": "MNIST: accuracy under FGSM and PGD (40 steps), ε = 0.3. All attacks use the given model.",
        "where": "Table 2",
        "stand_in": True,
        "stand_in_note": "digits instead of mnist",
        "differs": ["data: digits instead of mnist", f"{CHANGE} (mnist-lenet5-hrm)"],
        "rows": [
            {"key": key, "label": label, "differs": [CHANGE] if key == "hrm" else []} for key, label in ROWS.items()
        ],
        "columns": _percentages(MNIST_COLUMNS, decimals=2),
        "cells": cells,
    }


def _hamming_table1() -> dict[str, Any]:
    rows = {"normal": "Normal", "pgd": "AT (ℓ∞, Madry et al. 2018)", "pat": "PAT-self", "ours": "Hamming + stability"}
    printed = np.round(np.random.default_rng(3).uniform(0, 60, (len(rows), len(CIFAR_COLUMNS))), 2)
    ours = np.round(printed + np.random.default_rng(4).normal(0, 9, printed.shape), 1).clip(0)
    cells = [
        _cell(row, column, None if (i, j) == (2, 4) else float(ours[i, j]), float(printed[i, j]), f"cifar10-{row}", 1)
        for i, row in enumerate(rows)
        for j, column in enumerate(CIFAR_COLUMNS)
    ]
    (again,) = _values("cifar10-normal", "linf-again", 0.0, 1, 0)[0]["sources"]
    cells[0]["values"][0]["sources"].append(again)  # the worst case over two measures
    return {
        "id": "table1",
        "paper": "hamming",
        "scale": "quick",
        "caption": "CIFAR-10 robust accuracy against various adversaries and perturbation models.",
        "where": "Table 1",
        "stand_in": False,
        "stand_in_note": "",
        "rows": [{"key": key, "label": label} for key, label in rows.items()],
        "columns": _percentages(CIFAR_COLUMNS, decimals=1),
        "cells": cells,
    }


def _hamming_table2() -> dict[str, Any]:
    """Two levels of headers, four units, a row that was left out, a number that is missing, a row of printed ones."""
    rows = {"normal": "Normal", "pat": "PAT-self", "ours": "Hamming + stability", "trades": "TRADES"}
    ours = {"normal": (94.2, 12.9, 0.0, 2.4, 0.31, 1234.0), "ours": (86.3, 51.8, 44.1, 0.21, 0.04, None)}
    printed = {
        "normal": (94.8, 14.0, 0.0, 1.2, 0.3, 1320.0),
        "pat": (82.0, 45.0, 40.2, 0.4, 0.08, 21500.0),
        "ours": (87.1, 50.9, 52.3, 0.2, 0.041, 3053.0),
        "trades": (84.9, 56.6, 53.1, None, None, 10200.0),
    }
    cells = []
    for row in rows:
        for place, column in enumerate(GEOMETRY_COLUMNS):
            mean, theirs = ours[row][place] if row in ours else None, printed[row][place]
            cell = _cell(row, column["key"], mean, theirs, f"cifar10-{row}", 2)
            cell["printed"] = None if theirs is None else f"{theirs:,.{column['decimals']}f}"
            if row == "trades":
                cell |= {"status": "published only", "why": None}
            elif row == "ours" and mean is None:
                cell["why"] = WHY_NO_TIME
            cells.append(cell)
    return {
        "id": "table2",
        "paper": "hamming",
        "scale": "quick",
        "caption": "CIFAR-10: accuracy, the norms of the margin's Jacobian, and the time of training.",
        "where": "Table 2",
        "stand_in": False,
        "stand_in_note": "",
        "rows": [{"key": key, "label": label} for key, label in rows.items()],
        "columns": [{**column, "accuracy": column["unit"] == "%"} for column in GEOMETRY_COLUMNS],
        "cells": cells,
    }


TABLES = (_hrm_table2(), _hamming_table1(), _hamming_table2())
