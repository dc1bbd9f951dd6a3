"""The report of the sample, opened in a headless Chromium: fixtures for the tests that read it there."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright
from report_sample import write_elsewhere, write_pages, write_sample
from report_sample_readings import PAGE, PAPER, write_readings

from robustrepro.report import build_page

CHROMIUM_ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    names = ("chromium", "chromium-browser", "google-chrome")
    executable = os.environ.get("ROBUSTREPRO_CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    if executable is None:
        pytest.skip(f"needs a Chromium: set ROBUSTREPRO_CHROMIUM or put one of {', '.join(names)} in PATH")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=CHROMIUM_ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def scale_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("results") / "quick"
    folder.mkdir()
    write_sample(folder)
    write_elsewhere(folder.parent)
    write_pages(folder)
    write_readings(folder)
    (folder / f"report/{PAPER}.html").write_text(build_page(PAGE, folder), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def addresses(scale_folder: Path) -> dict[str, str]:
    """The address of each page, by its name."""
    return {path.stem: path.as_uri() for path in sorted((scale_folder / "report").glob("*.html"))}


@pytest.fixture
def index(browser: Browser, addresses: dict[str, str]) -> Iterator[Page]:
    """The report's first page."""
    yield from _opened(browser, addresses["index"])


@pytest.fixture
def hrm(browser: Browser, addresses: dict[str, str]) -> Iterator[Page]:
    """The page of a paper with figures and departures."""
    yield from _opened(browser, addresses["hrm"])


@pytest.fixture
def hamming(browser: Browser, addresses: dict[str, str]) -> Iterator[Page]:
    """The page of a paper with wide tables."""
    yield from _opened(browser, addresses["hamming"])


@pytest.fixture
def unsaid(browser: Browser, addresses: dict[str, str]) -> Iterator[Page]:
    """The page of a paper with readings."""
    yield from _opened(browser, addresses[PAPER])


def _opened(browser: Browser, address: str) -> Iterator[Page]:
    page = browser.new_page(viewport={"width": 1280, "height": 900}, color_scheme="light", reduced_motion="reduce")
    page.goto(address)
    yield page
    page.close()
