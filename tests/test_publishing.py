"""What is published beside the report: where every number comes from."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser
from report_sample import ASKED, SPEC, write_pages, write_sample
from report_sample_readings import PAGE, write_pages_of_readings, write_readings

from robustrepro.errors import UserError
from robustrepro.files import sha256_of
from robustrepro.layout import MEASUREMENT, MODEL
from robustrepro.measures.store import read_columns, write_measurement
from robustrepro.publishing import publish
from robustrepro.publishing.provenance import provenance
from robustrepro.publishing.publish import LARGE_PICTURE, _copy
from robustrepro.publishing.scorecard import scorecard_markdown
from robustrepro.report import build_report
from robustrepro.scorecard.rows import read_rows
from robustrepro.spec.kept import spec_in

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


def behind(folder: Path) -> list[Path]:
    """Every model and measurement below a scale's folder."""
    files = [file.relative_to(folder) for file in folder.rglob("*.*")]
    computed = [file for file in files if MEASUREMENT.fullmatch(file.as_posix()) or MODEL.fullmatch(file.as_posix())]
    return [file.with_name("weights.safetensors") if file.name == "card.json" else file for file in computed]


def published(folder: Path, destination: Path) -> list[Path]:
    return publish(folder, destination, lambda _: behind(folder))


COLUMNS = "paper,says,where,verdict,audit,taken_down_by,measured,differs,audit_differs"


@pytest.fixture
def scale(tmp_path: Path) -> Path:
    folder = tmp_path / "results/quick"
    write_sample(folder)
    write_pages(folder)
    for name, text in {
        "models/erm/seed0/card.json": '{"seed": 0}',
        "../metrics/quick.json": '{"hrm": {"table2": {}}}',
        "papers/hrm/tables/table2.csv": "row",
        "papers/hrm/tables/declared-no-more.csv": "row",
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def test_provenance_has_every_card_and_measurement_and_each_spec_once(scale: Path, tmp_path: Path) -> None:
    files = [measured(scale, seed, FGSM) for seed in (0, 1)]
    other = measured(scale, 2, {**FGSM, "examples": 7})
    published(scale, tmp_path / "docs/quick")
    text = (tmp_path / "docs/quick/papers/hrm/provenance.json").read_text()
    account = json.loads(text)
    assert account["models"] == {"erm/seed0": {"seed": 0}}
    assert len(account["specs"]) == 2
    for seed, file in enumerate([*files, other]):
        entry = account["measurements"][f"fgsm/erm/seed{seed}.parquet"]
        assert entry["models"] == [f"erm/seed{seed}@{SHA[:12]}"]
        assert entry["sha256"] == sha256_of(file)
        assert account["specs"][entry["spec"]] == {
            "measure": {**FGSM, "examples": 7} if seed == 2 else FGSM,
            "declared_by": "robustrepro.spec.measurements:Attack",
        }
        assert (entry["code"], entry["commit"], entry["device"], entry["seconds"]) == ("c0de", "c0ffee", "cpu", 1.5)
    assert account["differences"] == ASKED["differences"]
    # One line each, for git to compare.
    assert sum("fgsm/erm" in line for line in text.splitlines()) == 3
    assert sum("instead of" in line for line in text.splitlines()) == len(ASKED["differences"])


def test_provenance_has_the_processor_and_the_threads_where_they_were_recorded(scale: Path) -> None:
    path = measured(scale, 0, FGSM)
    key = "fgsm/erm/seed0.parquet"
    assert "processor" not in provenance(scale, behind(scale), [])["measurements"][key]
    table, origin = read_columns(path)
    write_measurement(path, {"index": table.column("index").to_numpy()}, origin | {"processor": "P", "threads": 2})
    entry = provenance(scale, behind(scale), [])["measurements"][key]
    assert (entry["processor"], entry["threads"]) == ("P", 2)


def test_a_measurement_of_a_pair_names_both_models(scale: Path) -> None:
    path = measured(scale, 0, {"kind": "parameter_distance"})
    table, origin = read_columns(path)
    origin["models"].append({"model": "hrm", "seed": 0, "weights_sha256": SHA[::-1]})
    pair = scale / "measurements/distance/erm+hrm/seed0.parquet"
    write_measurement(pair, {"index": table.column("index").to_numpy()}, origin)
    entry = provenance(scale, behind(scale), [])["measurements"]["distance/erm+hrm/seed0.parquet"]
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
    old = tmp_path / "docs/quick/papers/hrm/tables/gone.csv"
    old.parent.mkdir(parents=True, exist_ok=True)
    old.write_text("")
    written = published(scale, tmp_path / "docs/quick")
    of_papers = {
        f"papers/{paper}/{name}"
        for paper in ("hamming", "hrm")
        for name in ("audit.csv", "audit.json", "provenance.json", "scorecard.csv", "scorecard.json")
    }
    tables = {
        f"papers/{paper}/tables/{name}"
        for paper, name in (
            *(("hrm", name) for name in ("table2.csv", "table2.json")),
            *(("hamming", name) for name in ("table1.json", "table2.json")),
        )
    }
    over_all = {"audit.csv", "index.html", "metrics.json", "scorecard.csv", "scorecard.md"}
    assert {path.relative_to(tmp_path / "docs/quick").as_posix() for path in written} == {
        *("hamming.html", "hrm.html", "papers/hrm/figures/figure2.png"),
        *of_papers,
        *tables,
        *over_all,
    }


def test_publishing_a_paper_leaves_the_others_as_they_were_published(scale: Path, tmp_path: Path) -> None:
    published(scale, tmp_path / "docs/quick")
    before = {path: path.read_bytes() for path in (tmp_path / "docs/quick/papers").rglob("*.*")}
    other = tmp_path / "elsewhere/quick"
    write_readings(other)
    write_pages_of_readings(other)
    (tmp_path / "elsewhere/metrics").mkdir()
    (tmp_path / "elsewhere/metrics/quick.json").write_text('{"unsaid": {}}')
    published(other, tmp_path / "docs/quick")
    folder = tmp_path / "docs/quick"
    assert {path: path.read_bytes() for path in before} == before
    assert json.loads((folder / "metrics.json").read_text()) == {"hrm": {"table2": {}}, "unsaid": {}}
    papers = ["hrm", "hamming", "unsaid"]
    assert list(dict.fromkeys(read_rows(folder / "scorecard.csv")["paper"])) == papers
    assert {page.stem for page in folder.glob("*.html")} == {"index", *papers}
    index = spec_in(folder / "index.html")
    assert [paper["id"] for paper in index["papers"]] == papers
    assert index["stand_ins"] == ASKED["stand_ins"]
    assert [note["words"] for note in index["differences"]] == [note["words"] for note in ASKED["differences"]]
    for paper in papers:
        assert [named["id"] for named in spec_in(folder / f"{paper}.html")["papers"]] == papers
    assert "Efficient Regularization" in (folder / "unsaid.html").read_text("utf-8")


def test_what_differs_for_one_paper_alone_is_said_of_it_on_the_first_page(
    scale: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published(scale, tmp_path / "docs/quick")
    other = tmp_path / "elsewhere/quick"
    write_readings(other)
    few = {"words": "audit.examples: 200 instead of 1000", "names": [], "what": "papers"}
    monkeypatch.setitem(PAGE, "differences", [ASKED["differences"][0], few])
    write_pages_of_readings(other)
    (tmp_path / "elsewhere/metrics").mkdir()
    (tmp_path / "elsewhere/metrics/quick.json").write_text('{"unsaid": {}}')
    published(other, tmp_path / "docs/quick")
    index = spec_in(tmp_path / "docs/quick/index.html")
    names = {note["words"]: note["names"] for note in index["differences"]}
    assert names[few["words"]] == ["unsaid"]
    assert names["data: digits instead of mnist"] == []  # so of all papers


def test_publishing_a_paper_again_changes_nothing(scale: Path, tmp_path: Path) -> None:
    folder = tmp_path / "docs/quick"
    first = {path: path.read_bytes() for path in published(scale, folder)}
    assert {path: path.read_bytes() for path in published(scale, folder)} == first


def test_a_published_table_leaves_the_specs_behind_its_numbers_to_the_provenance(scale: Path, tmp_path: Path) -> None:
    published(scale, tmp_path / "docs/quick")
    here = (scale / "papers/hrm/tables/table2.json").read_text()
    there = (tmp_path / "docs/quick/papers/hrm/tables/table2.json").read_text()
    assert "training_spec" in here
    assert "training_spec" not in there
    told = {source["measurement"] for source in _sources(json.loads(there))}
    assert {Path(source["measurement"]).parent for source in _sources(json.loads(here))} == {
        Path(measurement).parent for measurement in told
    }


@pytest.mark.parametrize("name", ["audit.json", "scorecard.json"])
def test_what_was_judged_is_published_whole_and_in_order_a_line_a_claim(scale: Path, tmp_path: Path, name: str) -> None:
    published(scale, tmp_path / "docs/quick")
    here = json.loads((scale / "papers/hrm" / name).read_text())
    text = (tmp_path / "docs/quick/papers/hrm" / name).read_text()
    assert json.dumps(json.loads(text)) == json.dumps(here)
    assert len(text.splitlines()) == len(here) + 2


def _sources(table: dict[str, Any]) -> list[dict[str, Any]]:
    return [source for cell in table["cells"] for value in cell.get("values", ()) for source in value["sources"]]


def test_a_result_that_no_number_is_made_of_is_not_in_the_provenance(scale: Path, tmp_path: Path) -> None:
    kept, _ = (measured(scale, seed, FGSM).relative_to(scale) for seed in (0, 1))
    publish(scale, tmp_path / "docs/quick", lambda paper: [kept] if paper == "hrm" else [])
    papers = tmp_path / "docs/quick/papers"
    accounts = {paper: json.loads((papers / paper / "provenance.json").read_text()) for paper in ("hrm", "hamming")}
    assert list(accounts["hrm"]["measurements"]) == ["fgsm/erm/seed0.parquet"]
    assert accounts["hamming"]["measurements"] == {}


def test_a_published_page_opens_from_disk_and_shows_the_figures_beside_it(
    scale: Path, tmp_path: Path, browser: Browser
) -> None:
    published(scale, tmp_path / "docs/quick")
    there = tmp_path / "docs/quick/hrm.html"
    assert "data:image/png" in (scale / "report/hrm.html").read_text("utf-8")
    assert "data:image/png" not in there.read_text("utf-8")
    page = browser.new_page()
    messages: list[str] = []
    page.on("console", lambda message: messages.append(message.text))
    page.goto(there.as_uri(), wait_until="networkidle")
    figure = page.locator("#hrm-figure2 img")
    assert figure.get_attribute("src") == "papers/hrm/figures/figure2.png"
    assert figure.evaluate("image => image.complete && image.naturalWidth") > 500
    page.locator(".enlarge").click()
    assert page.locator(".lightbox img").evaluate("image => image.complete && image.naturalWidth") > 500
    page.keyboard.press("Escape")
    page.get_by_role("link", name="All claims").click()
    page.wait_for_url((tmp_path / "docs/quick/index.html").as_uri())
    page.close()
    assert messages == []


def test_the_first_page_of_each_scale_links_to_those_of_scales_published_since(scale: Path, tmp_path: Path) -> None:
    published(scale, tmp_path / "docs/quick")
    first = tmp_path / "docs/quick/index.html"
    link = 'href="../paper/hrm.html#claim-hrm-hrm-raises-pgd-accuracy"'
    assert link not in first.read_text("utf-8")
    other = tmp_path / "results/paper"
    shutil.copytree(scale, other)
    shutil.copy(tmp_path / "results/metrics/quick.json", tmp_path / "results/metrics/paper.json")
    asked = {**SPEC, "scale": "paper", "stand_ins": {}}
    (other / "report/index.html").write_text(build_report(asked, other), encoding="utf-8")
    published(other, tmp_path / "docs/paper")
    assert link in first.read_text("utf-8")


@pytest.mark.parametrize("page", ["index.html", "hrm.html"])
def test_a_scale_without_its_report_is_not_published(page: str, scale: Path, tmp_path: Path) -> None:
    (scale / "report" / page).unlink()
    with pytest.raises(UserError, match=rf"{page}: there is no such file; `make reproduce SCALE=quick` makes it"):
        published(scale, tmp_path / "docs/quick")
    assert not (tmp_path / "docs").exists()


def test_the_scorecard_says_the_reading_beside_its_verdict(tmp_path: Path) -> None:
    scorecard = tmp_path / "scorecard.csv"
    scorecard.write_text(
        f"{COLUMNS},reading,tried\np,s,w,reproduced,survives,,m,,,clipped,6\np,t,w,inconclusive,inconclusive,,,,,,1\n"
    )
    first, second = scorecard_markdown(scorecard).splitlines()[2:]
    assert "| **reproduced** (clipped, 1 of 6) |" in first
    assert "| **inconclusive** |" in second


def test_what_became_of_each_reading_is_published_with_its_curve(tmp_path: Path) -> None:
    folder = tmp_path / "results/quick"
    write_readings(folder)
    write_pages_of_readings(folder)
    (tmp_path / "results/metrics").mkdir()
    (tmp_path / "results/metrics/quick.json").write_text("{}")
    (folder / "papers/unsaid/readings.csv").write_text("paper,claim,reading\n")
    (folder / "papers/unsaid/figures/specification-alone.png").write_bytes(b"of an earlier run")
    (folder / "papers/unsaid/tables/table2@clipped.csv").write_text("row\n")
    published(folder, tmp_path / "docs/quick")
    there = tmp_path / "docs/quick/papers/unsaid"
    assert (there / "readings.csv").exists()
    assert [path.name for path in (there / "figures").iterdir()] == ["specification-gain.png"]
    assert sorted(path.name for path in (there / "tables").iterdir()) == [
        "table2.json",
        "table2@clipped.csv",
        "table2@clipped.json",
        "table2@short-steps.json",
    ]
    page = (tmp_path / "docs/quick/unsaid.html").read_text()
    assert 'src="papers/unsaid/figures/specification-gain.png"' in page


def test_a_large_picture_is_published_in_fewer_colours_and_a_small_one_as_it_is(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    gradient = np.add.outer(np.linspace(0, 200, 700), np.linspace(0, 50, 700))[..., None]
    pixels = (gradient + generator.integers(0, 6, (700, 700, 3))).astype(np.uint8)
    for name, content in (("large", pixels), ("small", pixels[:100, :100])):
        Image.fromarray(content).save(tmp_path / f"{name}.png")
    large, small = tmp_path / "large.png", tmp_path / "small.png"
    assert large.stat().st_size > LARGE_PICTURE > small.stat().st_size
    _copy(tmp_path, tmp_path / "docs", iter([large, small]))
    assert (tmp_path / "docs/small.png").read_bytes() == small.read_bytes()
    assert (tmp_path / "docs/large.png").stat().st_size < large.stat().st_size / 2
    shown = np.asarray(Image.open(tmp_path / "docs/large.png").convert("RGB")).astype(int)
    assert np.abs(shown - pixels).mean() < 4
