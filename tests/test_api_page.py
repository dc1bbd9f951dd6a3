"""What an audit says first, and its page: what broke the images, in words, on screens of any width."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from api_cases import COUNT, FEW, quietly
from hidden_models import InALine
from playwright.sync_api import Browser
from torch import Tensor, nn

import robustrepro as rr
from robustrepro.api.verdict import broken_by, short_words

pytest_plugins = ["api_audits", "report_pages"]


def test_a_hidden_gradient_is_the_first_thing_that_is_said(hidden: rr.Audit) -> None:
    assert hidden.gradient_hidden
    by_key = hidden.attacks.set_index("attack")
    said = f"The gradient is hidden: PGD alone leaves {by_key.at['pgd', 'accuracy']:.1f}%; "
    assert hidden.verdict.startswith(said)
    named, _, rest = hidden.verdict.removeprefix(said).partition(" leave")
    assert " copy" in named
    # Few attacks are named, and they leave what is said.
    assert hidden.worst_case <= float(rest.removeprefix("s").split("%")[0]) < by_key.at["pgd", "accuracy"] - 10
    assert f"<strong>{said}" in hidden.to_html()
    assert 'class="verdict hidden"' in hidden.to_html()


def test_every_broken_image_is_newly_broken_by_one_attack_in_the_order_of_running(hidden: rr.Audit) -> None:
    newly = hidden.attacks.set_index("attack")["newly"][hidden.ran]
    remaining = hidden.frame["clean_prediction"] == hidden.frame["label"]
    for attack, count in newly.items():
        wrong = hidden.frame[attack] != hidden.frame["label"]
        assert count == (remaining & wrong).sum()
        remaining &= ~wrong
    assert newly.sum() == len(hidden.broken) == (hidden.frame["right"] == 0).sum() > 0
    assert hidden.broken["attack"].value_counts().to_dict() == newly[newly > 0].to_dict()


def test_an_attack_that_was_spared_broken_images_is_not_named_for_them(
    plateau: tuple[InALine, Tensor, Tensor], hidden: rr.Audit
) -> None:
    spared = quietly(
        *plateau, attacks={**FEW, "escalation": {**FEW["escalation"], "late-rays": {"name": "rays", "queries": 2}}}
    )
    rows = spared.attacks.set_index("attack")
    assert rows["spared"].to_dict() == {attack: attack == "late-rays" for attack in rows.index}
    # Its row has the lowest accuracy, and it has broken nothing.
    assert rows.at["late-rays", "accuracy"] == rows["accuracy"].min()
    assert rows.at["late-rays", "newly"] == 0
    assert spared.verdict == hidden.verdict
    assert not broken_by(spared)["late-rays"].any()


def test_an_attack_is_told_by_when_it_runs(hidden: rr.Audit) -> None:
    stages = hidden.attacks.set_index("attack")["stage"]
    assert stages[["fgsm", "pgd", "uniform noise"]].eq("always").all()
    assert stages["pgd-margin-2"] == "alarm"
    assert stages.filter(like="smoothed copy").eq("alarm").all()
    page = hidden.to_html()
    assert page.index("Always") < page.index(">fgsm<") < page.index("Added because an alarm went off")
    assert page.index("Added because an alarm went off") < page.index(">pgd-margin-2<")
    assert "an alarm still went off" not in page


def test_each_image_that_is_shown_says_what_broke_it_and_what_it_is_taken_for(
    plateau: tuple[InALine, Tensor, Tensor], hidden: rr.Audit
) -> None:
    model, _, labels = plateau
    with torch.no_grad():
        answers = model(hidden.adversarial).argmax(1)
    page = hidden.to_html()
    for row in hidden.broken.head(6).itertuples():
        assert row.prediction == answers[row.index] != labels[row.index]
        words = short_words(hidden, row.attack)
        assert f"Image {row.index}: class {row.label}, taken for {row.prediction} ({words})" in page


def test_alarms_that_change_little_are_said_to_be_silenced(audited: rr.Audit) -> None:
    alarm = replace(audited.alarms[0], value=0.5, after=0.0)
    spared = replace(audited, alarms=(alarm,))
    assert spared.verdict.startswith("An alarm went off (zero gradients): what this added has broken nothing more and")
    assert not spared.gradient_hidden
    assert "went off" not in audited.verdict


def test_an_accuracy_near_chance_is_said_plainly(case: tuple[nn.Module, Tensor, Tensor], audited: rr.Audit) -> None:
    model, images, labels = case
    found = quietly(model, images, labels.roll(5))
    assert (
        f"Its accuracy without attack, {found.clean_accuracy:.1f}%, is near chance (one answer for all" in found.verdict
    )
    assert "near chance" not in audited.verdict


def test_the_page_has_everything_and_needs_nothing(audited: rr.Audit, tmp_path: Path) -> None:
    content = audited.to_html(tmp_path / "audit.html")
    assert (tmp_path / "audit.html").read_text(encoding="utf-8") == content
    assert audited.verdict in content.replace("&#39;", "'")
    for words in audited.attacks["words"]:
        assert words in content
    assert content.count("<figure>") == min(6, int((audited.clean_accuracy - audited.worst_case) / 100 * COUNT + 0.5))
    assert "http" not in content.replace("http-equiv", "")
    assert content == audited.to_html()
    assert audited.verdict in audited._repr_html_()


@pytest.mark.parametrize("width", [320, 400, 700, 1200])
def test_the_page_fits_on_a_screen_of_any_width(hidden: rr.Audit, tmp_path: Path, browser: Browser, width: int) -> None:
    named = replace(hidden, name="/a/folder/with/a/long/name/my_file.py:make_the_model_of_the_paper", left_out={})
    named.to_html(tmp_path / "audit.html")
    page = browser.new_page(viewport={"width": width, "height": 800})
    page.goto((tmp_path / "audit.html").as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    # Numbers of a narrow table stand beside what they are.
    labelled = page.evaluate("getComputedStyle(document.querySelector('td.numeric'), '::before').content")
    assert (labelled != "none") == (width < 640)
    page.close()
