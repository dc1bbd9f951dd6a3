"""Outputs that no run is known to have made."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from pathlib import Path

import pytest

from robustrepro.errors import UserError
from robustrepro.spec.records import recorded_outputs, require_recorded, unrecorded_outputs

LONG = "results/quick/measurements/attack/" + "a-model-with-a-long-name-" * 9 + "/seed0/pgd.parquet"


def record(output: str, kind: str = "metadata") -> None:
    """Note an output as Snakemake does: names of more than 255 bytes are cut into folders marked with "@"."""
    name = urlsafe_b64encode(output.encode()).decode()
    parts = [name[start : start + 254] for start in range(0, len(name), 254)]
    path = Path(".snakemake", kind, *(f"@{part}" for part in parts[:-1]), parts[-1])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("{}")


def produce(output: str) -> None:
    path = Path(output)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("")


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_records_are_read_however_long_their_names_are() -> None:
    record("results/quick/scorecard.csv")
    record(LONG)
    assert len(urlsafe_b64encode(LONG.encode())) > 255
    Path(".snakemake/metadata/a note of its own").write_text("")
    assert recorded_outputs() == {"results/quick/scorecard.csv", LONG}


def test_a_file_that_was_copied_in_is_found() -> None:
    for output in ("results/quick/scorecard.csv", LONG):
        record(output)
        produce(output)
    require_recorded("results/quick")
    produce("results/quick/papers/hrm/tables/table2.json")
    assert unrecorded_outputs(Path("results/quick")) == [Path("results/quick/papers/hrm/tables/table2.json")]
    with pytest.raises(UserError, match=r"1 file\(s\) under results/quick have no record") as caught:
        require_recorded("results/quick")
    assert "\n  results/quick/papers/hrm/tables/table2.json\n" in str(caught.value)
    assert "robustrepro adopt" in str(caught.value)


def test_what_no_rule_declares_is_no_output() -> None:
    for path in ("logs/train/a.log", "benchmarks/train/a.tsv", "models/a/seed0/resume-00.safetensors.partial"):
        produce(f"results/quick/{path}")
    require_recorded("results/quick")


def test_only_the_scales_own_folders_are_left_out() -> None:
    produce("results/quick/papers/logs/table.csv")
    assert unrecorded_outputs(Path("results/quick")) == [Path("results/quick/papers/logs/table.csv")]


def test_what_snakemake_knows_to_be_unfinished_is_left_to_it() -> None:
    record("results/quick/scorecard.csv", "incomplete")
    produce("results/quick/scorecard.csv")
    require_recorded("results/quick")


def test_another_scale_is_not_looked_at_and_a_scale_that_never_ran_has_nothing() -> None:
    produce("results/paper/scorecard.csv")
    require_recorded("results/quick")


def test_of_many_files_the_first_ten_are_named() -> None:
    for number in range(12):
        produce(f"results/quick/file{number:02}")
    with pytest.raises(UserError) as caught:
        require_recorded("results/quick")
    assert str(caught.value).count("\n  results/quick/file") == 10
    assert "and 2 more" in str(caught.value)
