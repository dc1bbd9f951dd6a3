"""The report of the sample, opened in a headless Chromium: fixtures for the tests that read it there."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright
from report_sample import SPEC, write_sample

from robustrepro.report import build_report

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
    folder = tmp_path_factory.mktemp("quick")
    write_sample(folder)
    return folder


@pytest.fixture(scope="module")
def html(scale_folder: Path) -> str:
    return build_report(SPEC, scale_folder)


@pytest.fixture(scope="module")
def address(html: str, scale_folder: Path) -> str:
    path = scale_folder / "report" / "index.html"
    path.parent.mkdir()
    path.write_text(html, encoding="utf-8")
    return path.as_uri()


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    page = browser.new_page(viewport={"width": 1280, "height": 900}, color_scheme="light", reduced_motion="reduce")
    page.goto(address)
    yield page
    page.close()
