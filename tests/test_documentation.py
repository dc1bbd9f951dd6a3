"""The API page and the notebooks: as the code is, and as a reader on the web sees them.

`make docs` executes the notebooks, and CI does after a run at scale quick.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest
from conftest import REPOSITORY

import robustrepro as rr

DOCS = REPOSITORY / "docs"
NOTEBOOKS = sorted((DOCS / "notebooks").glob("*.ipynb"))
MOST_BYTES = 200_000


@pytest.fixture(scope="module")
def page() -> str:
    """The API page, as the sources have it now."""
    sys.path.insert(0, str(DOCS))
    try:
        from write import api_page
    finally:
        sys.path.remove(str(DOCS))
    return api_page()


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def notebook(request: pytest.FixtureRequest) -> Any:
    return nbformat.read(request.param, as_version=4)


def test_the_api_page_is_what_the_docstrings_say(page: str) -> None:
    assert (DOCS / "api.md").read_text(encoding="utf-8") == page, "run `make docs`"


def test_the_api_page_describes_all_that_the_package_offers(page: str) -> None:
    assert set(re.findall(r"^## rr\.(\w+)$", page, re.MULTILINE)) == set(rr.__all__)
    assert [
        line for line in page.splitlines() if ">>>" in line or "----" in line.replace("| --- | --- | --- |", "")
    ] == []


def test_a_notebook_stands_as_a_fresh_kernel_left_it(notebook: Any) -> None:
    nbformat.validate(notebook)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert sum(bool(cell.outputs) for cell in cells) > len(cells) / 2
    kinds = {(output.output_type, output.get("name")) for cell in cells for output in cell.outputs}
    assert not {kind for kind in kinds if kind[0] in ("error", "stream")}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_small_and_names_no_machine(path: Path) -> None:
    content = path.read_text(encoding="utf-8")
    assert len(content.encode()) < MOST_BYTES
    assert not re.search(r"/(home|root|tmp|Users|work)/", json.dumps(json.loads(content), ensure_ascii=False))


PAGES = [REPOSITORY / name for name in ("README.md", "CONTRIBUTING.md", "benchmarks/README.md")]


@pytest.mark.parametrize("path", [*PAGES, *sorted(DOCS.glob("*.md")), *NOTEBOOKS], ids=lambda path: path.name)
def test_what_the_pages_link_to_is_there(path: Path) -> None:
    targets = re.findall(r"\]\((?!https?:)([^)\s#]+)", path.read_text(encoding="utf-8").replace("\\n", "\n"))
    assert [target for target in targets if not (path.parent / target).exists()] == []
