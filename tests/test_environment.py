"""What the repository says about its software in two places is the same."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
LOCKED = dict(re.findall(r"^([\w.-]+)==([^\s\\;]+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE))


def test_the_rules_environment_pins_what_the_lock_pins():
    pinned = yaml.safe_load((ROOT / "workflow/environment.yaml").read_text())["dependencies"][-1]["pip"]
    lock = (ROOT / "requirements.lock").read_text()
    assert pinned
    assert [pin for pin in pinned if not re.search(rf"^{re.escape(pin)}[ \\]", lock, re.MULTILINE)] == []


def test_the_lock_names_no_index_and_hashes_everything():
    lock = (ROOT / "requirements.lock").read_text()
    assert "://" not in lock
    blocks = re.split(r"^(?=[\w.-]+==)", lock, flags=re.MULTILINE)[1:]
    assert len(blocks) >= len(LOCKED) > 100
    assert [block.split()[0] for block in blocks if "--hash=sha256:" not in block] == []
