"""One table, made and printed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml
from conftest import Declarations

from robustrepro.errors import UserError
from robustrepro.spec.config import configured, read_config
from robustrepro.spec.plan import Plan
from robustrepro.terminal import table as module
from robustrepro.terminal.costs import Costs
from robustrepro.terminal.table import make_table, show_table

MARKDOWN = """**Table 2.** Accuracy

|  | Test Acc | PGD |
| --- | ---: | ---: |
| ERM | 99.24% ± 0.02 [98.71%] | 0.29% [3.25%] |

Scale `quick`, 1 seed.
"""


@pytest.fixture
def asked(declarations: Declarations, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What Snakemake is asked to make, in the folder of the small paper."""
    declarations.write()
    asked: list[list[str]] = []

    def reproduce(arguments: Sequence[str], *_: object) -> int:
        asked.append(list(arguments))
        return 0

    monkeypatch.setattr(module, "reproduce", reproduce)
    monkeypatch.chdir(declarations.root)
    Path("config.yaml").write_text("scale: quick\npapers: [small]\n", encoding="utf-8")
    return asked


def test_with_other_seeds_or_epochs_a_table_is_a_trial_in_its_own_folder(asked: list[list[str]]) -> None:
    assert make_table("small/accuracy", 1, 2, ["--cores", "2"], print) == 0
    ((target, option, file, *rest),) = asked
    assert target == "results/trial-quick-1-seed-2-epochs/papers/small/tables/accuracy.json"
    assert (option, rest) == ("--configfile", ["--cores", "2"])
    plan = Plan(read_config({}, [Path(file)]))
    assert plan.folder == "results/trial-quick-1-seed-2-epochs"
    assert plan.job("train", model="image-erm", seed=0).spec.count('"epochs":2') == 1
    files = plan.job("table", paper="small", table="accuracy").files
    assert files
    assert all("/seed0." in name for name in files)


def test_the_scale_of_the_command_line_names_the_folder(asked: list[list[str]]) -> None:
    make_table("small/accuracy", 1, None, ["--config", "scale=paper"], print)
    assert asked[0][0] == "results/trial-paper-1-seed/papers/small/tables/accuracy.json"


def test_as_the_scale_has_it_a_table_is_the_scales_own(asked: list[list[str]]) -> None:
    make_table("small/accuracy", None, None, [], print)
    assert asked[0][0] == "results/quick/papers/small/tables/accuracy.json"
    assert yaml.safe_load(Path(asked[0][2]).read_text()) == {"folder": "quick", "papers": ["small"]}


@pytest.mark.parametrize(("name", "hint"), [("small/acuracy", "; did you mean 'small/accuracy'?"), ("", "")])
def test_a_wrong_name_is_one_message_that_lists_the_tables(asked: list[list[str]], name: str, hint: str) -> None:
    message = f"unknown table: '{name}'{hint} (known: small/accuracy, small/distances)"
    with pytest.raises(UserError, match=re.escape(message)):
        make_table(name, 1, 2, [], print)
    assert asked == []


def test_a_table_is_printed_in_columns(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    (tmp_path / "table2.md").write_text(MARKDOWN, encoding="utf-8")
    show_table(tmp_path / "table2.md")
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == ["Table", "2.", "Accuracy"]
    assert ["ERM", "99.24%", "±", "0.02", "[98.71%]", "0.29%", "[3.25%]"] in lines
    assert lines[-1] == ["Scale", "quick,", "1", "seed."]


@pytest.mark.parametrize(("epochs", "expected"), [(None, None), (1, 20.0)])
def test_a_trial_knows_how_long_its_scale_took_and_a_table_of_the_scale_itself_borrows_nothing(
    asked: list[list[str]], monkeypatch: pytest.MonkeyPatch, epochs: int | None, expected: float | None
) -> None:
    scale = configured().scale
    benchmark = Path(f"results/{scale}/benchmarks/train/net/seed0.tsv")
    benchmark.parent.mkdir(parents=True)
    benchmark.write_text("s\n20\n")
    assert asked == []
    taken: list[float | None] = []

    def reproduce(arguments: Sequence[str], *others: Costs) -> int:
        costs = others[-1]
        folder = yaml.safe_load(Path(arguments[2]).read_text())["folder"]
        taken.append(costs.expected(Path(f"results/{folder}/benchmarks/train/net/seed0.tsv")))
        return 0

    monkeypatch.setattr(module, "reproduce", reproduce)
    make_table("small/accuracy", None, epochs, [], print)
    assert taken == [expected]
