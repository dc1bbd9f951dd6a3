"""Sample input of the report: numbers in the shape that the pipeline writes, with every case the page tells apart."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from report_sample_claims import AUDITED, CHANGE, CLAIMS, ELSEWHERE, JUDGED
from report_sample_tables import ROWS, TABLES

from robustrepro.report import build_page, build_report

ASKED: dict[str, Any] = {
    "folder": "results/quick",
    "scale": "quick",
    "scale_description": "embedded data, small models, all papers within ten minutes on two cores",
    "stand_ins": {"mnist": "digits"},
    "sources": {"digits": "1797 small scans"},
    "unverified": ["cifar10"],
    "differences": [
        {"words": "data: digits instead of mnist"},
        {"words": "architecture: convnet instead of resnet50", "names": ["cifar10-erm", "cifar10-hrm"]},
        {"words": "epochs: 4 instead of 100", "names": ["cifar10-erm", "cifar10-hrm"]},
        {"words": "epochs: 12 instead of 100", "names": ["mnist-lenet5-erm"]},
        {"words": CHANGE, "names": ["mnist-lenet5-hrm"], "overridden": True},
        {
            "words": "epochs: 9 instead of this scale's 4 (config.yaml)",
            "names": ["cifar10-cem"],
            "overridden": True,
            "from_paper": False,
        },
    ],
}
"""What the sample was asked for."""

DESCRIBED: dict[str, dict[str, Any]] = {
    paper["id"]: paper
    for paper in (
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
            "tables": [
                {"id": "table1", "where": "Table 1"},
                {"id": "table2", "where": "Table 2"},
                {"id": "table9", "where": "Table 9"},
            ],
            "figures": [],
        },
    )
}
"""What the papers of the sample declare."""

LISTED = ("id", "title", "authors", "summary")
PUBLISHED = ("taken_down_by", "measured", "differs", "audit_differs")
"""Columns of a scorecard that are published and that no page reads."""
SPEC = {
    **ASKED,
    "scales": ["paper", "reduced", "quick"],
    "papers": [
        {key: paper[key] for key in LISTED}
        | {
            kind: [{key: each[key] for key in ("id", "where")} for each in paper[kind]]
            for kind in ("tables", "figures")
        }
        for paper in DESCRIBED.values()
    ],
}
"""What the report's first page is asked to show."""


def page_spec(paper: str) -> dict[str, Any]:
    """What a paper's page is asked to show."""
    papers = [{"id": each["id"], "title": each["title"]} for each in DESCRIBED.values()]
    return {**ASKED, "paper": DESCRIBED[paper], "papers": papers}


def write_pages(scale_folder: Path) -> None:
    """Write the report of the sample, a page per paper included."""
    folder = scale_folder / "report"
    folder.mkdir(exist_ok=True)
    (folder / "index.html").write_text(build_report(SPEC, scale_folder), encoding="utf-8")
    for paper in DESCRIBED:
        (folder / f"{paper}.html").write_text(build_page(page_spec(paper), scale_folder), encoding="utf-8")


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
    """Write verdicts, audits, three tables and one figure; ``table5``, ``table9`` and ``figure3`` stay missing."""
    for table in TABLES:
        path = scale_folder / "papers" / table["paper"] / "tables" / f"{table['id']}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(table, ensure_ascii=False), encoding="utf-8")
    _draw_figure(scale_folder / "papers/hrm/figures/figure2.png")
    columns = ("paper", "claim", "says", "where", "verdict", "audit", "why", "margins", *PUBLISHED)
    for paper in ("hrm", "hamming"):
        folder = scale_folder / "papers" / paper
        unsaid = [""] * len(PUBLISHED)
        rows = [(*claim, f"Half of what {claim[1]} prints.", *unsaid) for claim in CLAIMS if claim[0] == paper]
        with (folder / "scorecard.csv").open("w", encoding="utf-8", newline="") as stream:
            csv.writer(stream).writerows([columns, *rows])
        for name, entries in (("scorecard", JUDGED), ("audit", AUDITED)):
            of_paper = [entry for entry in entries if entry["paper"] == paper]
            (folder / f"{name}.json").write_text(json.dumps(of_paper), encoding="utf-8")
        (folder / "audit.csv").write_text("paper,claim,verdict\n", encoding="utf-8")


def write_elsewhere(results: Path) -> None:
    """Write the scorecard of another scale, which has two of the claims."""
    path = results / "reduced/scorecard.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(ELSEWHERE[0]))
        writer.writeheader()
        writer.writerows(ELSEWHERE)
