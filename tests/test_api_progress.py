"""What an audit shows while it runs, and what it keeps for when it is interrupted."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch
from api_cases import COUNT, FEW, quietly
from attack_cases import random_case
from hidden_models import InALine
from torch import Tensor, nn

import robustrepro as rr
from robustrepro.api.kept import Kept, fingerprint
from robustrepro.audits.alarms import Alarm

pytest_plugins = ["api_audits"]


def test_an_interrupted_audit_goes_on_where_it_was(
    case: tuple[nn.Module, Tensor, Tensor], audited: rr.Audit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class StoppedError(Exception):
        pass

    def stop(self: Kept, attack: str, points: Tensor) -> None:
        keep(self, attack, points)
        if attack == "pgd":
            raise StoppedError

    keep = Kept.keep
    monkeypatch.setattr(Kept, "keep", stop)
    with pytest.raises(StoppedError):
        quietly(*case, keep=tmp_path)
    monkeypatch.undo()
    ran: list[str] = []
    monkeypatch.setattr(Kept, "keep", lambda self, attack, points: ran.append(attack) or keep(self, attack, points))
    again = quietly(*case, keep=tmp_path)
    assert not {"fgsm", "pgd"} & set(ran)
    assert "pgd-margin" in ran
    pd.testing.assert_frame_equal(again.frame, audited.frame)


def test_what_was_kept_of_another_model_is_not_taken(case: tuple[nn.Module, Tensor, Tensor], tmp_path: Path) -> None:
    model, images, labels = case
    quietly(model, images, labels, keep=tmp_path)
    (first,) = tmp_path.iterdir()
    other, *_ = random_case(COUNT)
    with torch.no_grad():
        other[0].weight += 0.1
    assert fingerprint(model, images, labels, {}) != fingerprint(other, images, labels, {})
    quietly(other, images, labels, keep=tmp_path)
    (second,) = tmp_path.iterdir()
    assert first != second


def test_what_was_kept_before_the_code_of_a_model_changed_is_not_taken(
    case: tuple[nn.Module, Tensor, Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, images, labels = case
    monkeypatch.syspath_prepend(tmp_path)
    digests = []
    for shift in (0.01, 0.01, 0.02):
        forward = f"    def forward(self, x):\n        return x + {shift}\n"
        code = f"from torch import nn\n\nclass Shifted(nn.Linear):\n{forward}"
        (tmp_path / "edited_model.py").write_text(code, encoding="utf-8")
        sys.modules.pop("edited_model", None)
        model = importlib.import_module("edited_model").Shifted(2, 2)
        nn.init.zeros_(model.weight)
        nn.init.zeros_(model.bias)
        digests.append(fingerprint(model, images, labels, {}))
    assert digests[0] == digests[1] != digests[2]


def test_progress_is_a_line_per_attack(
    case: tuple[nn.Module, Tensor, Tensor], capsys: pytest.CaptureFixture[str]
) -> None:
    quietly(*case, progress=True)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "24 images. Each line: how many resist so far, this attack and all before it."
    assert lines[1].startswith("fgsm ")
    assert "% resist so far" in lines[1]
    assert not [line for line in lines if "Alarm" in line or "Added" in line]


def test_progress_says_what_the_alarms_say_and_what_they_add(
    plateau: tuple[InALine, Tensor, Tensor], capsys: pytest.CaptureFixture[str]
) -> None:
    quietly(*plateau, progress=True)
    lines = capsys.readouterr().err.splitlines()
    off = next(
        n for n, line in enumerate(lines) if line.startswith("! Alarm goes off: zero gradients (share of images")
    )
    added = lines.index("  Added: pgd-margin-2, and attacks on copies of the model that let a gradient pass.")
    copied = next(n for n, line in enumerate(lines) if line.startswith("pgd-margin-2, rescaled copy"))
    silenced = next(n for n, line in enumerate(lines) if line.startswith("! Alarm silenced: zero gradients ("))
    assert off < added < copied < silenced
    # What breaks at another ε counts for an alarm alone, and no share is told.
    assert all("for an alarm alone" in line for line in lines if line.startswith("far"))
    assert not [line for line in lines if "rays" in line]


def test_progress_says_that_an_alarm_stays_and_what_the_last_attacks_are(capsys: pytest.CaptureFixture[str]) -> None:
    alarms = [Alarm("zero gradients", 0.9, 0.01, "share", after) for after in (None, 0.5, 0.4)]
    watcher = Kept(None, "", shown=True)
    for alarm, added in zip(alarms, (["pgd-2"], ["rays"], []), strict=True):
        watcher.checked([alarm], added)
    assert capsys.readouterr().err.splitlines() == [
        "! Alarm goes off: zero gradients (share: 90.0%, above 1.0%).",
        "  Added: pgd-2, and attacks on copies of the model that let a gradient pass.",
        "! Alarm still goes off: zero gradients (share: 50.0%, above 1.0%).",
        "  Added: attacks on a network distilled from the model's answers, rays.",
        "! Alarm still goes off: zero gradients (share: 40.0%, above 1.0%).",
        "  Nothing is left to add: whether what resists is robust stays undecided.",
    ]


def test_a_slow_attack_says_that_it_begins_and_a_kept_one_that_it_was_kept(
    case: tuple[nn.Module, Tensor, Tensor], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    attacks = {**FEW, "attacks": {**FEW["attacks"], "always-rays": {"name": "rays", "queries": 50}}}
    lines = []
    for _ in range(2):
        quietly(*case, attacks=attacks, progress=True, keep=tmp_path)
        lines.append(capsys.readouterr().err.splitlines())
    first, again = lines
    (begins,) = (line for line in first if "begins on" in line)
    assert begins.startswith("always-rays ")
    assert not [line for line in first if "kept from before" in line]
    assert [line for line in again if "begins on" in line] == []
    assert all(line.endswith("kept from before") for line in again[1:])
