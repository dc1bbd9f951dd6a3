"""What the README and the findings say of the published results is what they say."""

from __future__ import annotations

import shutil
from pathlib import Path

from robustrepro.scorecard.combined import combined
from robustrepro.scorecard.overview import write_overview
from robustrepro.spec.config import scales_by_faithfulness
from robustrepro.verdicts import Verdict

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
RESULTS = ROOT / "docs/results"
FINDINGS = (ROOT / "docs/findings.md").read_text(encoding="utf-8")


def test_the_verdicts_of_the_readme_and_of_the_page_are_those_of_the_published_scales(tmp_path: Path) -> None:
    results, readme = tmp_path / "results", tmp_path / "README.md"
    shutil.copytree(RESULTS, results)
    readme.write_text(README, encoding="utf-8")
    (results / "README.md").unlink()
    write_overview(results, readme, scales_by_faithfulness(ROOT))
    assert readme.read_text(encoding="utf-8") == README
    assert (RESULTS / "README.md").read_text(encoding="utf-8") == (results / "README.md").read_text(encoding="utf-8")


def test_every_published_claim_that_differs_from_the_paper_is_indicative() -> None:
    for claim in combined(RESULTS, scales_by_faithfulness(ROOT)):
        for row in claim.by_scale.values():
            measured = row["verdict"] != "not measured"
            assert Verdict.of_word(row["verdict"]).is_indicative == (measured and bool(row["differs"]))


def test_the_tables_of_the_findings_are_the_published_ones() -> None:
    shown = [("paper", "hrm", "table2"), ("paper", "hrm", "table2@clipped-12"), ("reduced", "hrm", "table3")]
    shown += [("paper", "robust_optimization", "table1"), ("reduced", "robust_optimization", "table2")]
    shown += [("paper", "decision_surface", "table1@l1-of-levels"), ("paper", "idiosyncrasy", "own-cifar10")]
    for scale, paper, table in shown:
        markdown = (RESULTS / scale / f"papers/{paper}/tables/{table}.md").read_text(encoding="utf-8")
        rows = [line for line in markdown.splitlines() if line.startswith("|")]
        assert len(rows) > 3
        assert [row for row in rows if row not in FINDINGS.splitlines()] == []
