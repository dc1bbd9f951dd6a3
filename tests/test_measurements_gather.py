"""Shards of a measurement as one file: the rows, the account of what they took, and what does not belong together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from measuring import LENET, Model, checkpoint, described, measure, measured, read, spec_of
from safetensors.torch import save_file

from robustrepro.errors import UserError
from robustrepro.files import sha256_of
from robustrepro.measures import gather
from robustrepro.measures.store import as_arrays, columns_digest, read_columns, write_measurement
from robustrepro.models.build import build_network
from robustrepro.spec.networks import Network
from robustrepro.steps import Work

SHARDS = 3
DECLARED = {"attack": {"name": "pgd", "epsilon": 0.1, "steps": 2, "step_size": 0.05}, "examples": 11}


@pytest.fixture
def subject(tmp_path: Path) -> Model:
    return described(checkpoint(tmp_path / "weights", LENET)[0], network=LENET)


@pytest.fixture
def shards(digits: Path, tmp_path: Path, subject: Model) -> list[Path]:
    """The three parts of a measurement."""
    paths = [tmp_path / f"shards/pgd/m/seed3/{number}-of-{SHARDS}.parquet" for number in range(SHARDS)]
    return [measure(path, digits, DECLARED, [subject], shard=(n, SHARDS)) for n, path in enumerate(paths)]


def gathered(shards: list[Path], subject: Model) -> tuple[dict[str, list[Any]], dict[str, Any]]:
    output = shards[0].parents[4] / "measurements/pgd/m/seed3.parquet"
    gather.run(Work(spec_of(DECLARED, [subject]), "0ther", {"shard": shards}, [output]))
    return read(output)


def rewritten(path: Path, **changed: Any) -> None:
    """Let a part say something else of where it came from."""
    table, origin = read_columns(path)
    write_measurement(path, as_arrays(table), origin | changed)


def test_the_rows_are_those_of_one_piece_in_the_order_of_the_split(
    digits: Path, tmp_path: Path, shards: list[Path], subject: Model
) -> None:
    columns, _ = gathered(shards, subject)
    whole, _ = measured(tmp_path / "whole/m/seed3.parquet", digits, DECLARED, [subject])
    assert list(columns) == list(whole)
    assert columns["index"] == list(range(11))
    for name, values in whole.items():
        assert columns[name] == pytest.approx(values, abs=1e-5)
    assert columns["prediction"] == whole["prediction"]


def test_the_account_is_that_of_all_parts_together(shards: list[Path], subject: Model, tmp_path: Path) -> None:
    origins = [read(path)[1] for path in shards]
    _, origin = gathered(shards, subject)
    for key in ("seconds", "cpu_seconds"):
        assert origin[key] == pytest.approx(sum(part[key] for part in origins), abs=1e-3)
    assert origin["peak_memory_mb"] == max(part["peak_memory_mb"] for part in origins)
    assert origin["spec"] == spec_of(DECLARED, [subject])
    assert "shard" not in origin["spec"]
    assert origin["models"] == [{"model": "m", "seed": 3, "weights_sha256": sha256_of(tmp_path / "weights")}]
    assert (origin["kind"], origin["device"]) == ("attack", "cpu")
    table, _ = read_columns(tmp_path / "measurements/pgd/m/seed3.parquet")
    assert origin["columns_sha256"] == columns_digest(table)


def test_all_machines_and_commits_of_the_parts_are_named(shards: list[Path], subject: Model) -> None:
    for path, name, commit in zip(shards, ("One", "Other", "One"), ("a", "a", "b"), strict=True):
        rewritten(path, processor=name, commit=commit)
    _, origin = gathered(shards, subject)
    assert (origin["processor"], origin["commit"], origin["device"]) == ("One; Other", "a; b", "cpu")
    table, before = read_columns(shards[0])
    write_measurement(shards[0], as_arrays(table), {key: before[key] for key in before.keys() - {"processor"}})
    _, origin = gathered(shards, subject)
    assert origin["processor"] == "not recorded; Other; One"


def test_parts_of_different_weights_are_refused(
    digits: Path, tmp_path: Path, shards: list[Path], subject: Model
) -> None:
    other = build_network(Network.model_validate(LENET), (1, 28, 28), 10, seed=1)
    save_file({name: value.contiguous() for name, value in other.state_dict().items()}, tmp_path / "weights")
    measure(shards[1], digits, DECLARED, [subject], shard=(1, SHARDS))
    with pytest.raises(UserError, match=f"{shards[1]}: its models differs from the first part's; delete it"):
        gathered(shards, subject)
    assert not (tmp_path / "measurements").exists()


@pytest.mark.parametrize(
    ("key", "value"), [("versions", {"torch": "1.0"}), ("data_manifest_sha256", "0" * 64), ("code", "another digest")]
)
def test_parts_of_other_versions_data_or_sources_are_refused(
    shards: list[Path], subject: Model, key: str, value: Any
) -> None:
    rewritten(shards[2], **{key: value})
    with pytest.raises(UserError, match=f"{shards[2]}: its {key} differs from the first part's"):
        gathered(shards, subject)


@pytest.mark.parametrize(
    ("declared", "shard"),
    [(DECLARED, (1, SHARDS)), (DECLARED, (2, 4)), ({**DECLARED, "examples": 12}, (2, SHARDS))],
    ids=["twice the same", "of another number", "of another measure"],
)
def test_a_part_that_is_not_the_one_expected_is_refused(
    digits: Path, shards: list[Path], subject: Model, tmp_path: Path, declared: dict[str, Any], shard: tuple[int, int]
) -> None:
    measure(shards[2], digits, declared, [subject], shard=shard)
    with pytest.raises(UserError, match=f"{shards[2]}: not part 2 of 3 of this measurement; delete it"):
        gathered(shards, subject)
    assert not (tmp_path / "measurements").exists()


def test_a_part_that_is_cut_short_is_named(shards: list[Path], subject: Model) -> None:
    shards[1].write_bytes(shards[1].read_bytes()[:-50])
    with pytest.raises(UserError, match=f"{shards[1]}: unreadable measurement"):
        gathered(shards, subject)


def test_the_notes_of_parts_are_those_of_the_whole(shards: list[Path], subject: Model) -> None:
    for path in shards:
        rewritten(path, notes={"threshold": 0.5})
    assert gathered(shards, subject)[1]["notes"] == {"threshold": 0.5}
    rewritten(shards[1], notes={"threshold": 0.6})
    with pytest.raises(UserError, match=f"{shards[1]}: its notes differs from the first part's"):
        gathered(shards, subject)


def test_an_index_keeps_its_type_and_place(shards: list[Path]) -> None:
    indices = [as_arrays(read_columns(path)[0])["index"] for path in shards]
    assert {index.dtype.str[1:] for index in indices} == {"i8"}
    assert [index.tolist() for index in indices] == [[0, 1, 2], [3, 4, 5, 6], [7, 8, 9, 10]]
