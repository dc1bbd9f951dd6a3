"""Shared by the tests: one thread, small data sets on disk, and a small paper to declare, edit and plan."""

from __future__ import annotations

import copy
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from hypothesis import settings

from robustrepro.datasets.prepare import prepare
from robustrepro.spec.datasets import dataset_spec
from robustrepro.spec.plan import Plan

# How long an example takes says nothing on a machine that others use, too.
settings.register_profile("shared machine", deadline=None)
settings.load_profile("shared machine")

REPOSITORY = Path(__file__).parents[1]
TRAIN_POINTS, TEST_POINTS = 33, 40
"""33 points are two batches of 16 and one point left over."""


def _model(dataset: str, **objective: object) -> dict[str, Any]:
    architecture = {"name": "mlp", "hidden": [4]} if dataset == "two_moons" else {"name": "lenet5"}
    return {
        "dataset": dataset,
        "network": {"architecture": architecture},
        "objective": objective,
        "optimizer": {"name": "adam", "learning_rate": 0.001},
        "epochs": 4,
        "batch_size": 8,
    }


PAPER: dict[str, Any] = {
    "title": "A small paper",
    "authors": "Nobody",
    "summary": "Two networks on images, two on points.",
    "models": {
        "image-erm": _model("mnist", name="erm"),
        "image-hrm": _model("mnist", name="hrm", guard=1e-8),
        "points-erm": _model("two_moons", name="erm"),
        "points-hrm": _model("two_moons", name="hrm"),
    },
    "measures": {
        "clean": {"attack": {"name": "clean"}},
        "pgd": {"attack": {"name": "pgd", "epsilon": 0.3, "steps": 5, "step_size": 0.1}},
        "pgd-training": {"attack": {"name": "pgd", "epsilon": 0.3, "steps": 5, "step_size": 0.1, "loss": "training"}},
        "fgsm": {"attack": {"name": "fgsm", "epsilon": 0.3}},
        "distance": {"parameter_distance": {}},
        "grid": {"decision_boundary": {"resolution": 20}},
    },
    "tables": {
        "accuracy": {
            "where": "Table 1",
            "caption": "Accuracy",
            "published": "accuracy.csv",
            "rows": {"erm": {"label": "ERM", "model": "image-erm"}, "hrm": {"label": "HRM", "model": "image-hrm"}},
            "columns": {"clean": {"label": "Clean", "measure": "clean"}, "pgd": {"label": "PGD", "measure": "pgd"}},
        },
        "distances": {
            "where": "Table 2",
            "caption": "Distances",
            "rows": {"8": {"label": "8", "models": {"erm": "points-erm", "hrm": "points-hrm"}}},
            "columns": {"erm-hrm": {"label": "ERM to HRM", "measure": "distance", "of": ["erm", "hrm"]}},
        },
    },
    "figures": {
        "regions": {
            "where": "Figure 1",
            "caption": "Regions",
            "figure": {
                "name": "decision_boundaries",
                "measure": "grid",
                "panels": [{"label": "ERM", "model": "points-erm"}],
            },
        }
    },
    "claims": {
        "hrm-is-better": {
            "says": "HRM is better.",
            "where": "Table 1",
            "holds_if": ["accuracy[hrm, pgd] >= accuracy[erm, pgd] + 20"],
            "margins": "20 points.",
        }
    },
}
SCALES: dict[str, Any] = {
    "quick": {
        "description": "stand-ins",
        "seeds": 2,
        "datasets": {"mnist": "digits"},
        "models": {"image-*": {"epochs": 2}, "image-hrm": {"epochs": 3}},
    },
    "paper": {"description": "as the paper", "seeds": 3},
}
AUDIT: dict[str, Any] = {
    "examples": 20,
    "attacks": {
        "fgsm": {"name": "fgsm"},
        "pgd": {"name": "pgd", "steps": 5},
        "pgd-margin": {"name": "pgd", "loss": "margin", "steps": 5},
    },
    "transfer": {"name": "pgd", "loss": "log_odds", "steps": 5},
    "escalation": {"pgd-margin-2": {"name": "pgd", "loss": "margin", "steps": 5, "restarts": 2}},
    "smaller": {"shares": [0.5], "attack": {"name": "pgd", "steps": 5, "relative_step": 0.5}},
    "noises": 2,
}
PUBLISHED = ",Clean,PGD\nERM,98.71%,3.25%\nHRM,98.54%,56.22%\n"


@dataclass
class Declarations:
    """Declarations of one small paper, to be edited before :meth:`plan` writes and reads them."""

    root: Path
    config: dict[str, Any] = field(default_factory=lambda: {"scale": "quick", "papers": ["small"]})
    papers: dict[str, Any] = field(default_factory=lambda: {"small": copy.deepcopy(PAPER)})
    scales: dict[str, Any] = field(default_factory=lambda: copy.deepcopy(SCALES))
    audit: dict[str, Any] = field(default_factory=lambda: copy.deepcopy(AUDIT))
    published: dict[str, str] = field(default_factory=lambda: {"accuracy.csv": PUBLISHED})

    @property
    def paper(self) -> dict[str, Any]:
        """The small paper itself."""
        small: dict[str, Any] = self.papers["small"]
        return small

    def add_transfer(self, name: str, *, white_box: bool, measure: str = "pgd") -> None:
        """Declare a table of transfer between the two networks on images, by the attack of a measure."""
        rows: dict[str, Any] = self.paper["tables"]["accuracy"]["rows"]
        targets = [row["model"] for row in rows.values()]
        attack = self.paper["measures"][measure]["attack"]
        declared = {"transfer": {"targets": targets, "white_box": True, "attack": attack}}
        self.paper["measures"][f"transfer-{measure}"] = declared
        columns = {
            key: {
                "label": row["label"],
                "measure": f"transfer-{measure}",
                "target": row["model"],
                "white_box": white_box,
            }
            for key, row in rows.items()
        }
        self.paper["tables"][name] = {"where": "Table 3", "caption": "Transfer", "rows": rows, "columns": columns}

    def add_transfer_from(self, source: str) -> None:
        """Let the table of accuracies have a column of both networks under the examples of one."""
        attack = self.paper["measures"]["pgd"]["attack"]
        targets = ["image-erm", "image-hrm"]
        self.paper["measures"]["from-outside"] = {"transfer": {"source": source, "targets": targets, "attack": attack}}
        self.paper["tables"]["outside"] = {
            **{key: value for key, value in self.paper["tables"]["accuracy"].items() if key != "published"},
            "columns": {"outside": {"label": "Transfer", "measure": "from-outside"}},
        }

    def write(self) -> None:
        """Write everything anew as YAML and CSV under the root; text is written as it is."""
        shutil.rmtree(self.root, ignore_errors=True)
        for folder, trees in (("papers/{}/paper.yaml", self.papers), ("workflow/scales/{}.yaml", self.scales)):
            for name, tree in trees.items():
                path = self.root / folder.format(name)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(tree if isinstance(tree, str) else yaml.safe_dump(tree, sort_keys=False))
        (self.root / "workflow/audit.yaml").write_text(yaml.safe_dump(self.audit, sort_keys=False))
        for name, text in self.published.items():
            path = self.root / "papers/small/published" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")

    def plan(self) -> Plan:
        """Write everything, and plan it."""
        self.write()
        return Plan(self.config, self.root)


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    # Two torch threads on a busy machine are many times slower than one.
    torch.set_num_threads(1)


@pytest.fixture
def declarations(tmp_path: Path) -> Declarations:
    """Return the small paper's declarations."""
    return Declarations(tmp_path / "declared")


@pytest.fixture(scope="session")
def moons(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a small set of points."""
    update = {"train_examples": TRAIN_POINTS, "test_examples": TEST_POINTS}
    folder = tmp_path_factory.mktemp("moons")
    prepare(dataset_spec("two_moons").model_copy(update=update), folder, mirror=None, allow_unverified=False)
    return folder


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a small set of images, 28x28."""
    update = {"train_examples": 40, "test_examples": 30}
    folder = tmp_path_factory.mktemp("digits")
    prepare(dataset_spec("digits").model_copy(update=update), folder, mirror=None, allow_unverified=False)
    return folder
