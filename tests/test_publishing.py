"""What is published beside the report: where every number comes from."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from robustrepro.errors import UserError
from robustrepro.files import sha256_of
from robustrepro.measurements.store import stacked, write_measurement
from robustrepro.publishing import publish

SHA = "0123456789abcdef" * 4
FGSM = {"attack": {"name": "fgsm", "epsilon": 0.3}, "split": "test"}


def measured(folder: Path, seed: int, spec: object) -> Path:
    path = folder / f"measurements/attack/erm/seed{seed}/fgsm.parquet"
    origin = {
        "spec": spec,
        "models": [{"model": "erm", "seed": seed, "weights_sha256": SHA}],
        "code": "c0de",
        "commit": "c0ffee",
        "device": "cpu",
        "seconds": 1.5,
    }
    write_measurement(path, stacked([{"index": np.arange(1)}]), origin)
    return path


@pytest.fixture
def scale(tmp_path: Path) -> Path:
    folder = tmp_path / "results/quick"
    for name, text in {
        "report/index.html": "<html>",
        "models/erm/seed0/card.json": '{"seed": 0}',
        "scorecard.csv": "paper,says,where,verdict,audit,taken_down_by,measured\np,s,w,reproduced,survives,,m\n",
        "papers/p/tables/t.csv": "row",
        "papers/p/tables/t.json": "{}",
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def test_provenance_has_every_card_and_measurement_and_each_spec_once(scale: Path, tmp_path: Path) -> None:
    files = [measured(scale, seed, FGSM) for seed in (0, 1)]
    other = measured(scale, 2, {**FGSM, "examples": 7})
    publish(scale, tmp_path / "docs/quick")
    text = (tmp_path / "docs/quick/provenance.json").read_text()
    found = json.loads(text)
    assert found["models"] == {"erm/seed0": {"seed": 0}}
    assert len(found["specs"]) == 2
    for seed, file in enumerate([*files, other]):
        entry = found["measurements"][f"attack/erm/seed{seed}/fgsm.parquet"]
        assert entry["models"] == [f"erm/seed{seed}@{SHA[:12]}"]
        assert entry["sha256"] == sha256_of(file)
        assert found["specs"][entry["spec"]] == ({**FGSM, "examples": 7} if seed == 2 else FGSM)
        assert (entry["code"], entry["commit"], entry["device"], entry["seconds"]) == ("c0de", "c0ffee", "cpu", 1.5)
    assert sum("fgsm.parquet" in line for line in text.splitlines()) == 3  # one line each, for git to compare


def test_publishing_replaces_what_was_published_before_and_leaves_measurements_out(scale: Path, tmp_path: Path) -> None:
    measured(scale, 0, FGSM)
    old = tmp_path / "docs/quick/papers/p/tables/gone.csv"
    old.parent.mkdir(parents=True)
    old.write_text("")
    written = publish(scale, tmp_path / "docs/quick")
    assert sorted(path.relative_to(tmp_path / "docs/quick").as_posix() for path in written) == [
        "papers/p/tables/t.csv",
        "provenance.json",
        "report.html",
        "scorecard.csv",
        "scorecard.md",
    ]
    assert "**survives**" in (tmp_path / "docs/quick/scorecard.md").read_text()


def test_a_scale_without_a_report_is_not_published(scale: Path, tmp_path: Path) -> None:
    (scale / "report/index.html").unlink()
    with pytest.raises(UserError, match=r"index\.html: there is no such file; `make reproduce SCALE=quick` makes it"):
        publish(scale, tmp_path / "docs/quick")
    assert not (tmp_path / "docs").exists()
