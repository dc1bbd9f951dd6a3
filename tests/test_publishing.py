"""What is published beside the report: where every number comes from."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser
from report_sample import ASKED, write_elsewhere, write_pages, write_sample
from report_sample_readings import write_pages_of_readings, write_readings

from robustrepro.errors import UserError
from robustrepro.files import sha256_of
from robustrepro.measurements.store import read_columns, write_measurement
from robustrepro.publishing import provenance, publish, scorecard_markdown

pytest_plugins = ["report_pages"]

SHA = "0123456789abcdef" * 4
FGSM = {"kind": "attack", "attack": {"name": "fgsm", "epsilon": 0.3}, "split": "test"}


def measured(folder: Path, seed: int, measure: object) -> Path:
    path = folder / f"measurements/fgsm/erm/seed{seed}.parquet"
    subject = {"model": "erm", "seed": seed, "network": {"architecture": {"name": "lenet5"}}}
    origin = {
        "kind": "attack",
        "spec": {"measure": measure, "declared_by": "robustrepro.spec.measurements:Attack", "subjects": [subject]},
        "notes": {"alarms": []},
        "models": [{"model": "erm", "seed": seed, "weights_sha256": SHA}],
        "code": "c0de",
        "commit": "c0ffee",
        "device": "cpu",
        "seconds": 1.5,
    }
    write_measurement(path, {"index": np.arange(1)}, origin)
    return path


COLUMNS = "paper,says,where,verdict,audit,taken_down_by,measured,differs,audit_differs"


@pytest.fixture
def scale(tmp_path: Path) -> Path:
    folder = tmp_path / "results/quick"
    write_sample(folder)
    write_pages(folder)
    for name, text in {
        "models/erm/seed0/card.json": '{"seed": 0}',
        "scorecard.csv": f"{COLUMNS}\np,s,w,reproduced,survives,,m,,\n",
        "papers/hrm/tables/table2.csv": "row",
        "papers/hrm/tables/declared-no-more.csv": "row",
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def test_provenance_has_every_card_and_measurement_and_each_spec_once(scale: Path, tmp_path: Path) -> None:
    files = [measured(scale, seed, FGSM) for seed in (0, 1)]
    other = measured(scale, 2, {**FGSM, "examples": 7})
    publish(scale, tmp_path / "docs/quick")
    text = (tmp_path / "docs/quick/provenance.json").read_text()
    published = json.loads(text)
    assert published["models"] == {"erm/seed0": {"seed": 0}}
    assert len(published["specs"]) == 2
    for seed, file in enumerate([*files, other]):
        entry = published["measurements"][f"fgsm/erm/seed{seed}.parquet"]
        assert entry["models"] == [f"erm/seed{seed}@{SHA[:12]}"]
        assert entry["sha256"] == sha256_of(file)
        assert published["specs"][entry["spec"]] == {
            "measure": {**FGSM, "examples": 7} if seed == 2 else FGSM,
            "declared_by": "robustrepro.spec.measurements:Attack",
        }
        assert (entry["code"], entry["commit"], entry["device"], entry["seconds"]) == ("c0de", "c0ffee", "cpu", 1.5)
    assert published["differences"] == ASKED["differences"]
    # One line each, for git to compare.
    assert sum("fgsm/erm" in line for line in text.splitlines()) == 3
    assert sum("instead of" in line for line in text.splitlines()) == len(ASKED["differences"])


def test_provenance_has_the_processor_and_the_threads_where_they_were_recorded(scale: Path) -> None:
    path = measured(scale, 0, FGSM)
    key = "fgsm/erm/seed0.parquet"
    assert "processor" not in provenance(scale, [])["measurements"][key]
    table, origin = read_columns(path)
    write_measurement(path, {"index": table.column("index").to_numpy()}, origin | {"processor": "P", "threads": 2})
    entry = provenance(scale, [])["measurements"][key]
    assert (entry["processor"], entry["threads"]) == ("P", 2)


def test_a_measurement_of_a_pair_names_both_models(scale: Path) -> None:
    path = measured(scale, 0, {"kind": "parameter_distance"})
    table, origin = read_columns(path)
    origin["models"].append({"model": "hrm", "seed": 0, "weights_sha256": SHA[::-1]})
    pair = scale / "measurements/distance/erm+hrm/seed0.parquet"
    write_measurement(pair, {"index": table.column("index").to_numpy()}, origin)
    entry = provenance(scale, [])["measurements"]["distance/erm+hrm/seed0.parquet"]
    assert entry["models"] == [f"erm/seed0@{SHA[:12]}", f"hrm/seed0@{SHA[::-1][:12]}"]


def test_the_scorecard_as_markdown_keeps_each_field_as_it_stands(tmp_path: Path) -> None:
    rows = [
        COLUMNS,
        'p,"a\n claim",NA,reproduced,survives,,x; y,u; v,w',
    ]
    (tmp_path / "scorecard.csv").write_text("\n".join(rows) + "\n")
    table = scorecard_markdown(tmp_path / "scorecard.csv").splitlines()
    assert table[2] == "| p | “a claim” (NA) | **reproduced** | **survives**  | x;<br>y | u;<br>v;<br>w |"


def test_a_bar_in_a_claim_ends_no_cell_of_the_scorecard(tmp_path: Path) -> None:
    (tmp_path / "scorecard.csv").write_text(f"{COLUMNS}\np,a |x| b,w|w,reproduced,survives,a|b,m|m; n,d|d,\n")
    (line,) = scorecard_markdown(tmp_path / "scorecard.csv").splitlines()[2:]
    cells = line.replace("\\|", "").strip("|").split("|")
    assert len(cells) == 6
    assert "m\\|m;<br>n" in line


def test_publishing_replaces_what_was_there_and_leaves_out_measurements_and_what_is_declared_no_more(
    scale: Path, tmp_path: Path
) -> None:
    measured(scale, 0, FGSM)
    for name in ("papers/p/tables/gone.csv", "report.html"):
        old = tmp_path / "docs/quick" / name
        old.parent.mkdir(parents=True, exist_ok=True)
        old.write_text("")
    written = publish(scale, tmp_path / "docs/quick")
    assert sorted(path.relative_to(tmp_path / "docs/quick").as_posix() for path in written) == [
        "hamming.html",
        "hrm.html",
        "index.html",
        "papers/hrm/figures/figure2.png",
        "papers/hrm/tables/table2.csv",
        "provenance.json",
        "scorecard.csv",
        "scorecard.md",
    ]
    assert "**survives**" in (tmp_path / "docs/quick/scorecard.md").read_text()


def test_a_published_page_opens_from_disk_and_shows_the_figures_beside_it(
    scale: Path, tmp_path: Path, browser: Browser
) -> None:
    publish(scale, tmp_path / "docs/quick")
    published = tmp_path / "docs/quick/hrm.html"
    assert "data:image/png" in (scale / "report/hrm.html").read_text("utf-8")
    assert "data:image/png" not in published.read_text("utf-8")
    page = browser.new_page()
    messages: list[str] = []
    page.on("console", lambda message: messages.append(message.text))
    page.goto(published.as_uri(), wait_until="networkidle")
    figure = page.locator("#hrm-figure2 img")
    assert figure.get_attribute("src") == "papers/hrm/figures/figure2.png"
    assert figure.evaluate("image => image.complete && image.naturalWidth") > 500
    page.locator(".enlarge").click()
    assert page.locator(".lightbox img").evaluate("image => image.complete && image.naturalWidth") > 500
    page.keyboard.press("Escape")
    page.get_by_role("link", name="All claims").click()
    assert page.url == (tmp_path / "docs/quick/index.html").as_uri()
    page.close()
    assert messages == []


def test_a_published_page_links_to_those_of_scales_that_are_published_beside_it(scale: Path, tmp_path: Path) -> None:
    write_sample(scale.with_name("reduced"))
    write_pages(scale.with_name("reduced"))
    write_elsewhere(scale.parent)
    publish(scale, tmp_path / "docs/quick")
    assert "its page" not in (tmp_path / "docs/quick/index.html").read_text("utf-8")
    published = tmp_path / "docs/reduced/hrm.html"
    published.parent.mkdir()
    published.write_text("")
    publish(scale, tmp_path / "docs/quick")
    index = (tmp_path / "docs/quick/index.html").read_text("utf-8")
    assert 'href="../reduced/hrm.html#claim-hrm-hrm-raises-pgd-accuracy"' in index


@pytest.mark.parametrize("page", ["index.html", "hrm.html"])
def test_a_scale_without_its_report_is_not_published(page: str, scale: Path, tmp_path: Path) -> None:
    (scale / "report" / page).unlink()
    with pytest.raises(UserError, match=rf"{page}: there is no such file; `make reproduce SCALE=quick` makes it"):
        publish(scale, tmp_path / "docs/quick")
    assert not (tmp_path / "docs").exists()


def test_the_scorecard_says_the_reading_beside_its_verdict(tmp_path: Path) -> None:
    scorecard = tmp_path / "scorecard.csv"
    scorecard.write_text(
        f"{COLUMNS},reading,tried\np,s,w,reproduced,survives,,m,,,clipped,6\np,t,w,inconclusive,,,,,,,1\n"
    )
    first, second = scorecard_markdown(scorecard).splitlines()[2:]
    assert "| **reproduced** (clipped, 1 of 6) |" in first
    assert "| **inconclusive** |" in second


def test_what_became_of_each_reading_is_published_with_its_curve(tmp_path: Path) -> None:
    folder = tmp_path / "results/quick"
    write_readings(folder)
    write_pages_of_readings(folder)
    (folder / "scorecard.csv").write_text(f"{COLUMNS}\n")
    (folder / "papers/unsaid/readings.csv").write_text("paper,claim,reading\n")
    (folder / "papers/unsaid/figures/specification-alone.png").write_bytes(b"of an earlier run")
    (folder / "papers/unsaid/tables/table2@clipped.csv").write_text("row\n")
    publish(folder, tmp_path / "docs/quick")
    published = {
        file.relative_to(tmp_path / "docs/quick/papers/unsaid").as_posix()
        for file in (tmp_path / "docs/quick/papers/unsaid").rglob("*.*")
    }
    assert published == {"readings.csv", "figures/specification-gain.png", "tables/table2@clipped.csv"}
    page = (tmp_path / "docs/quick/unsaid.html").read_text()
    assert 'src="papers/unsaid/figures/specification-gain.png"' in page
