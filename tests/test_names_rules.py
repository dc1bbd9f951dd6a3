"""Names on their way through the real Snakemake: each stays what it is, or is refused in one message."""

from __future__ import annotations

import shutil

import pytest
from checkout import Checkout, small_checkout

PUBLISHED = ",Clean\nTheirs,98.7\n"
TABLE = """
  {name}:
    where: Table 2
    caption: {caption}
    published: printed.csv
    rows: {{no: {{label: Theirs, published_only: true}}}}
    columns: {{8.10: {{label: Clean, measure: clean}}}}"""


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """The small paper under another name, at a scale of another name, with tables whose names look alike."""
    checkout = small_checkout(tmp_path_factory.mktemp("named"), tmp_path_factory.mktemp("remote"))
    paper = checkout.folder / "papers/a-paper.v2"
    (checkout.folder / "papers/small").rename(paper)
    (paper / "published").mkdir()
    (paper / "published/printed.csv").write_text(PUBLISHED)
    tables = "".join(TABLE.format(name=name, caption=name) for name in ("table2", "table2.1", "2-b"))
    checkout.edit("papers/a-paper.v2/paper.yaml", "\nfigures:\n", f"{tables}\nfigures:\n")
    shutil.copy(checkout.folder / "workflow/scales/quick.yaml", checkout.folder / "workflow/scales/q.1.yaml")
    checkout.edit("config.yaml", "papers: [small]", "papers: [a-paper.v2]")
    checkout.edit("config.yaml", "scale: quick ", "scale: q.1 ")
    return checkout


def test_tables_whose_names_look_alike_are_files_of_their_own(named: Checkout) -> None:
    targets = [f"a_paper_v2_{name}" for name in ("table2", "table2_1", "2_b")]
    named.snakemake(*targets)
    folder = named.folder / "results/q.1/papers/a-paper.v2/tables"
    expected = [f"{table}.{suffix}" for table in ("2-b", "table2", "table2.1") for suffix in ("csv", "json", "md")]
    assert sorted(path.name for path in folder.iterdir()) == sorted(expected)
    assert "table2.1" in (folder / "table2.1.md").read_text()
    assert "table2.1" not in (folder / "table2.md").read_text()
    assert named.scheduled(*targets) == set()


def test_a_paper_with_dots_and_hyphens_is_a_target(named: Checkout) -> None:
    assert "results/q.1/papers/a-paper.v2/scorecard.json" in named.scheduled("a-paper.v2")


def test_a_dot_in_a_scale_stands_for_itself_alone(named: Checkout) -> None:
    refused = named.snakemake("-n", "results/qx1/models/small-erm/seed0/card.json", check=False)
    assert "MissingRuleException" in refused


@pytest.mark.parametrize("name", ["all", "audit", "train", "index", "my paper"])
def test_a_paper_whose_name_is_taken_is_refused_in_our_words(named: Checkout, name: str) -> None:
    folder = named.folder / "papers" / name
    folder.mkdir()
    try:
        (folder / "paper.yaml").write_text("title: x\nauthors: x\nsummary: x\ntables: {}\n")
        said = named.snakemake("-n", "--config", f"papers={name}", check=False)
    finally:
        shutil.rmtree(folder)
    assert f"papers/{name}: " in said
    assert "Traceback" not in said
    assert "CreateRuleException" not in said


def test_what_config_yaml_has_twice_stops_a_run(named: Checkout) -> None:
    named.edit("config.yaml", "overrides:\n", "overrides:\n  models: {small-erm: {epochs: 1}}\n")
    try:
        said = named.snakemake("-n", check=False)
    finally:
        named.edit("config.yaml", "overrides:\n  models: {small-erm: {epochs: 1}}\n", "overrides:\n")
    assert "the key 'models' is there twice, first in line" in said
    assert "config.yaml, line" in said


def test_settings_of_the_command_line_are_read_as_yaml(named: Checkout) -> None:
    # Snakemake leaves the numbers in them as text.
    said = named.snakemake("-np", "--config", "overrides={models: {small-erm: {epochs: 7}}, seeds: 1}")
    assert '"epochs":7' in said


def test_a_key_that_is_twice_on_the_command_line_stops_the_run(named: Checkout) -> None:
    said = named.snakemake("-n", "--config", "papers=small", "scale=quick", "papers=large", check=False)
    assert "--config: 'papers' is there 2 times, and only the last would count" in said
