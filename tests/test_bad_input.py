"""Mistakes in declarations: one message each that names the key or file, what was found and what is expected."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Declarations
from mistakes import AROUND_A_PAPER
from mistakes_of_papers import IN_A_PAPER

from robustrepro.errors import UserError
from robustrepro.spec.config import read_yaml
from robustrepro.spec.plan import Plan

MISTAKES = AROUND_A_PAPER | IN_A_PAPER


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_told_in_one_message_that_names_the_key_or_file(declarations: Declarations, mistake: str) -> None:
    change, said = MISTAKES[mistake]
    declarations.plan()  # without the mistake there is none
    change(declarations)
    with pytest.raises(UserError) as caught:
        declarations.plan()
    message = str(caught.value)
    assert [part for part in said if part not in message] == [], message
    assert len(message.splitlines()) == 1


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no such file") as caught:
        read_yaml(tmp_path / "paper.yaml")
    assert str(tmp_path / "paper.yaml") in str(caught.value)


@pytest.mark.parametrize(
    "ask",
    [
        lambda plan: plan.model("image-emr"),
        lambda plan: plan.attack_spec("image-emr", "pgd"),
        lambda plan: plan.attack_spec("image-erm", "pdg"),
        lambda plan: plan.table_spec("small", "acuracy"),
        lambda plan: plan.figure_spec("small", "region"),
        lambda plan: plan.data_spec("digit"),
    ],
)
def test_a_target_on_the_command_line_that_nobody_declared_names_the_nearest(
    declarations: Declarations, ask: Callable[[Plan], object]
) -> None:
    plan = declarations.plan()
    with pytest.raises(UserError, match="did you mean"):
        ask(plan)
