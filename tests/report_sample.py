"""Sample input of the report: numbers in the shape that the pipeline writes, with every case the page tells apart."""

from __future__ import annotations

import csv
import hashlib
import json
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from report_sample_claims import AUDITED, CLAIMS, JUDGED

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

SPEC: dict[str, Any] = {
    "scale": "quick",
    "scale_description": "embedded data, small models, all papers within ten minutes on two cores",
    "stand_ins": {"mnist": "digits"},
    "sources": {"digits": "1797 small scans"},
    "unverified": ["cifar10"],
    "instead": ["convnet instead of resnet50 (12 of the models)"],
    "papers": [
        {
            "id": "hrm",
            "title": "Hollow Risk Minimization for Robustness",
            "authors": "Anonymous authors",
            "summary": "Replaces the mean of the losses by the mean of √(Lᵢ Lⱼ) over pairs i ≠ j, and claims "
            "robustness to gradient attacks without adversarial training or loss of clean accuracy.",
            "terms": [{"term": "hollow", "meaning": "Without the pairs of an example with itself."}],
            "departures": [
                {
                    "where": "Section 5",
                    "paper": "Adam with base learning rate 0.1",
                    "ours": "Adam with learning rate 0.001",
                    "why": "0.1 does not train LeNet-5: the loss stays at ln 10 from the first epoch on.",
                },
                {
                    "where": "Table 2",
                    "paper": "States no step size for PGD with 40 steps.",
                    "ours": "0.01, the step of Madry et al. (2018).",
                    "why": "It is the common choice for this ε and number of steps.",
                },
            ],
            "tables": [
                {"id": "table2", "where": "Table 2", "caption": "MNIST: accuracy under FGSM and PGD"},
                {"id": "table5", "where": "Table 5", "caption": "Black-box attacks on MNIST"},
            ],
            "figures": [
                {
                    "id": "figure2",
                    "where": "Figure 2",
                    "caption": "Decision boundaries of ERM, CEM and HRM on <script>two moons</script>",
                },
                {"id": "figure3", "where": "Figure 3", "caption": "Histogram of the losses on the test set"},
            ],
        },
        {
            "id": "hamming",
            "title": "Efficient Regularization for Robust Deep ReLU Networks",
            "authors": "Anonymous authors",
            "summary": "Penalises the Hamming distance between ReLU activation patterns of nearby inputs.",
            "departures": [],
            "tables": [{"id": "table1", "where": "Table 1"}, {"id": "table9", "where": "Table 9"}],
            "figures": [],
        },
    ],
}


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
                    "measurement": f"results/quick/measurements/attack/{model}/seed{seed}/{attack}.parquet",
                    "attack_spec": None if attack == "clean" else attack_spec,
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
        "mean": mean,
        "std": spread if measured else None,
        "interval": [mean - 0.74, mean + 0.74] if mean is not None else None,
        "interval_kind": f"95% over {seeds} seeds" if seeds > 1 else "95% binomial, 10000 images",
        "seeds": seeds,
        "printed": None if printed is None else f"{printed:.2f}%",
        "printed_value": printed,
        "difference": None if mean is None or printed is None else mean - printed,
        "values": _values(model, column, mean, seeds, 360 if seeds > 1 else 10000) if mean is not None else [],
    }


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
        "unit": "%",
        "decimals": 2,
        "stand_in": True,
        "stand_in_note": "digits instead of mnist",
        "rows": [{"key": key, "label": label} for key, label in ROWS.items()],
        "columns": [{"key": key, "label": label} for key, label in MNIST_COLUMNS.items()],
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
    return {
        "id": "table1",
        "paper": "hamming",
        "scale": "quick",
        "caption": "CIFAR-10 robust accuracy against various adversaries and perturbation models.",
        "where": "Table 1",
        "unit": "%",
        "decimals": 1,
        "stand_in": False,
        "stand_in_note": "",
        "rows": [{"key": key, "label": label} for key, label in rows.items()],
        "columns": [{"key": key, "label": label} for key, label in CIFAR_COLUMNS.items()],
        "cells": cells,
    }


def _draw_figure(path: Path) -> None:
    path.parent.mkdir(parents=True)
    points = np.linspace(-2, 2, 80)
    figure, axes = plt.subplots(1, 3, figsize=(8, 2.7), layout="constrained")
    for axis, name in zip(axes, ROWS, strict=True):
        axis.contourf(points, points, np.sin(points[:, None] * len(name)) + points**2 / 2, 12, cmap="PuOr")
        axis.set_title(ROWS[name])
    figure.savefig(path, dpi=110)
    plt.close(figure)


def write_sample(scale_folder: Path) -> None:
    """Write scorecard, audit, two tables and one figure; ``table5``, ``table9`` and ``figure3`` stay missing."""
    for table in (_hrm_table2(), _hamming_table1()):
        path = scale_folder / "papers" / table["paper"] / "tables" / f"{table['id']}.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(table, ensure_ascii=False), encoding="utf-8")
    _draw_figure(scale_folder / "papers/hrm/figures/figure2.png")
    columns = ("paper", "claim", "says", "where", "verdict", "audit", "why", "margins")
    with (scale_folder / "scorecard.csv").open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([columns, *((*claim, f"Half of what {claim[1]} prints.") for claim in CLAIMS)])
    (scale_folder / "scorecard.json").write_text(json.dumps(JUDGED), encoding="utf-8")
    (scale_folder / "audit.json").write_text(json.dumps(AUDITED), encoding="utf-8")
