"""A claim about robustness judged again: on models whose truth is known, and on made-up worst cases."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from robustrepro.attacks.craft import craft
from robustrepro.attacks.measure import measure
from robustrepro.attacks.pgd import pgd
from robustrepro.audits.battery import Battery
from robustrepro.audits.claims import Survival, judge_survival
from robustrepro.audits.worst_case import WorstCase
from robustrepro.grammar import Cell, parse_value
from robustrepro.losses import cross_entropy
from robustrepro.scorecard.cells import KEYS, TableCells
from robustrepro.spec.attacks import Inputs
from robustrepro.spec.audit import Audit, attack_at, ball_of
from robustrepro.tables.statistics import accuracy_interval

EPSILON = 0.2
SEEDS = (0, 1, 2)
BALL = ball_of(
    Audit.model_validate(
        {
            "examples": 100,
            "attacks": {
                "fgsm": {"name": "fgsm"},
                "pgd": {"name": "pgd", "steps": 20},
                "pgd-margin": {"name": "pgd", "loss": "margin", "steps": 20},
                "pgd-log-odds": {"name": "pgd", "loss": "log_odds", "steps": 20},
            },
            "transfer": {"name": "pgd", "steps": 10},
            "escalation": {"pgd-5": {"name": "pgd", "steps": 20, "restarts": 5}},
            "smaller": {"shares": [0.25], "attack": {"name": "pgd", "steps": 10, "relative_step": 0.25}},
            "noises": 5,
        }
    ),
    "linf",
    EPSILON,
    Inputs((1, 28, 28), 10),
)
CLAIM = ["table[defended, own] >= table[plain, own] + 20"]
DEFENDED, PLAIN = Cell("table", "defended", "own"), Cell("table", "plain", "own")


class Scaled(nn.Module):
    """A model with its logits multiplied: the same predictions, and gradients that rounding takes."""

    def __init__(self, model: nn.Module, factor: float) -> None:
        super().__init__()
        self.model, self.factor = model, factor

    def forward(self, inputs: Tensor) -> Tensor:
        return self.factor * self.model(inputs)


class Quantisation(nn.Module):
    """Pixels rounded to eight levels: no gradient passes."""

    def forward(self, inputs: Tensor) -> Tensor:
        return (inputs * 7).round() / 7


class Constant(nn.Module):
    """A model that answers everything with the same class."""

    def __init__(self) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.tensor([1.0, *[0.0] * 9]))

    def forward(self, inputs: Tensor) -> Tensor:
        return self.logits + 0 * inputs.flatten(1).sum(1, keepdim=True)


@cache
def digits() -> tuple[Tensor, Tensor]:
    """Return scikit-learn's digits, 8x8 pixels in [0, 1]."""
    from sklearn.datasets import load_digits

    data = load_digits()
    return torch.tensor(data.images, dtype=torch.float32).unsqueeze(1) / 16, torch.tensor(data.target)


@cache
def trained(seed: int, *, adversarially: bool) -> nn.Module:
    """Return a small network trained on all digits but the last 300, with or without PGD."""
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))
    images, labels = (part[:-300] for part in digits())
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(25):
        for batch in torch.randperm(len(labels)).split(128):
            inputs = images[batch]
            if adversarially:
                start = (inputs + torch.empty_like(inputs).uniform_(-EPSILON, EPSILON)).clamp(0, 1)
                inputs = pgd(
                    model, inputs, labels[batch], epsilon=EPSILON, steps=7, step_size=EPSILON / 4, starts=start
                )
            optimizer.zero_grad()
            cross_entropy(model(inputs), labels[batch]).mean().backward()
            optimizer.step()
    return model.eval()


DEFENCES: dict[str, tuple[Callable[[int], nn.Module], str]] = {
    "logits x 10": (lambda seed: Scaled(trained(seed, adversarially=False), 10).eval(), "does not survive"),
    "logits x 1000": (lambda seed: Scaled(trained(seed, adversarially=False), 1000).eval(), "does not survive"),
    "quantised": (lambda seed: nn.Sequential(Quantisation(), trained(seed, adversarially=False)), "does not survive"),
    "adversarially trained": (lambda seed: trained(seed, adversarially=True), "survives"),
    "adversarially trained, quantised": (
        lambda seed: nn.Sequential(Quantisation(), trained(seed, adversarially=True)),
        "survives",
    ),
    "constant": (lambda seed: Constant(), "vacuous"),  # noqa: ARG005
}


@cache
def worst_case(which: str, seed: int) -> WorstCase:
    """Run the battery, the claim's own PGD, and transfer from the undefended network on one model."""
    images, labels = (part[-300:-200] for part in digits())
    make = DEFENCES[which][0] if which in DEFENCES else (lambda seed: trained(seed, adversarially=False))
    model = make(seed).eval()
    battery = Battery(model, images, labels, seed=seed, box=(0.0, 1.0))
    outcome = battery.run(BALL)
    indices = torch.arange(len(labels))
    own = attack_at({"name": "pgd", "steps": 10}, "linf", EPSILON)
    predictions = {"own": measure(model, images, labels, indices, own, seed=seed).prediction, **outcome.predictions}
    made = craft(trained((seed + 1) % len(SEEDS), adversarially=False), images, labels, indices, own, seed=seed)
    with torch.no_grad():
        predictions["transfer"] = torch.where(battery.clean == labels, model(made).argmax(1), battery.clean)
    resisted = pd.DataFrame({name: (prediction == labels).numpy() for name, prediction in predictions.items()})
    smaller = pd.DataFrame({epsilon: (prediction == labels).numpy() for epsilon, prediction in outcome.smaller.items()})
    constant = bool((battery.clean == battery.clean[0]).all())
    return WorstCase(resisted, smaller, "own", 1.0 if constant else None, [alarm.as_data() for alarm in outcome.alarms])


def table_of(cells: Mapping[Cell, Mapping[int, WorstCase]]) -> TableCells:
    """Return the table that the claim compares, as measured under its own attack; the paper prints 99 everywhere."""
    return TableCells.of_tables(
        {
            "table": {
                "columns": [{"key": "own", "unit": "%", "decimals": 2, "accuracy": True}],
                "cells": [
                    {
                        "row": cell.row,
                        "column": "own",
                        "status": "measured",
                        "printed": "99",
                        "values": [{"seed": seed, "value": case.accuracy("own")} for seed, case in cases.items()],
                    }
                    for cell, cases in cells.items()
                ],
            }
        }
    )


def judged(which: str) -> Survival:
    cells = {
        DEFENDED: {seed: worst_case(which, seed) for seed in SEEDS},
        PLAIN: {seed: worst_case("plain", seed) for seed in SEEDS},
    }
    return judge_survival(CLAIM, table_of(cells), cells)


@pytest.mark.parametrize("which", DEFENCES)
def test_a_defence_whose_truth_is_known_is_judged_right(which: str) -> None:
    survival = judged(which)
    assert survival.verdict == DEFENCES[which][1], survival


def test_a_masked_defence_seems_to_hold_until_it_is_audited() -> None:
    # Under its own attack the claim holds for logits x 1000; the exact direction takes it down alone.
    case = worst_case("logits x 1000", 0)
    assert case.accuracy("own") > 80
    assert case.accuracy() < 20
    assert "pgd" in str(judged("logits x 1000").taken_down)


def test_alarms_accuse_the_attack_and_not_the_model() -> None:
    def going_off(which: str) -> set[str]:
        return {alarm["name"] for alarm in worst_case(which, 0).alarms if alarm["goes_off"]}

    assert going_off("adversarially trained") == set()
    # Truly robust, and yet nothing that follows a gradient can say so.
    assert {"zero gradients", "noise beats gradients", "robust beyond reason"} <= going_off(
        "adversarially trained, quantised"
    )
    assert "zero gradients" in going_off("logits x 1000")


def test_an_alarm_brings_the_examples_of_differentiable_copies() -> None:
    added = {name for name in worst_case("quantised", 0).resisted if "copy" in name}
    kinds = ("rescaled", "straight-through", "left-out", "smoothed")
    assert added == {f"pgd-5, {kind} copy" for kind in kinds}
    assert worst_case("quantised", 0).accuracy("pgd") > 80
    assert worst_case("quantised", 0).accuracy("pgd-5, straight-through copy") < 20
    assert not any("copy" in name for name in worst_case("adversarially trained", 0).resisted)


def ringing(case: WorstCase) -> WorstCase:
    alarms = [{"name": "zero gradients", "goes_off": True, "still_goes_off": True}]
    return replace(case, alarms=alarms)


def test_what_hides_from_every_attack_is_undecided_and_never_robust() -> None:
    survival = survival_of([ringing(made_up(60))] * 2, [made_up(5)] * 2)
    assert survival.verdict == "inconclusive"
    assert survival.why.startswith("alarms still go off after every attack")
    assert "table[defended, own] (zero gradients)" in survival.why
    assert survival.conditions
    indicative = survival_of([ringing(made_up(60))] * 2, [made_up(5)] * 2, "data: digits instead of mnist")
    assert indicative.verdict == "indicative: undecided"


def test_one_seed_that_hides_is_taken_for_broken_as_well() -> None:
    survival = survival_of([made_up(60), ringing(made_up(60))], [made_up(5)] * 2)
    assert survival.verdict == "inconclusive"


def test_a_claim_that_fails_whatever_a_hidden_model_resists_does_not_survive() -> None:
    survival = survival_of([ringing(made_up(6))] * 2, [made_up(5)] * 2)
    assert survival.verdict == "does not survive"


def test_a_baseline_that_hides_leaves_a_claim_that_fails_undecided() -> None:
    survival = survival_of([made_up(50)] * 2, [ringing(made_up(60))] * 2)
    assert survival.verdict == "inconclusive"


def test_a_model_that_gives_nearly_every_image_one_class_is_named_as_such() -> None:
    nearly = replace(made_up(50), one_class=0.985)
    survival = survival_of([nearly, made_up(50)], [made_up(5)] * 2)
    assert survival.verdict == "vacuous"
    assert survival.why == "one class for 98% of the images or more: table[defended, own] in 1 of 2 seeds"


def made_up(own: float, **others: float) -> WorstCase:
    """Return a worst case in which the first so many of 100 images resist each attack."""
    shares = {"own": own, **others}
    resisted = pd.DataFrame({name: np.arange(100) < share for name, share in shares.items()})
    smaller = pd.DataFrame({0.05: np.arange(100) < 90, 0.1: np.arange(100) < 60})
    return WorstCase(resisted, smaller, "own", None, [])


def survival_of(defended: list[WorstCase], plain: list[WorstCase], *differs: str) -> Survival:
    cells = {DEFENDED: dict(enumerate(defended)), PLAIN: dict(enumerate(plain))}
    return judge_survival(CLAIM, table_of(cells), cells, differs)


def test_the_attack_that_takes_a_claim_down_is_named_with_what_is_left() -> None:
    defended = [made_up(80, weak=70, strong=10), made_up(81, weak=71, strong=11)]
    survival = survival_of(defended, [made_up(5, weak=5, strong=5), made_up(6, weak=6, strong=6)])
    assert survival.verdict == "does not survive"
    assert str(survival.taken_down).startswith("strong: ")
    assert "= 10.50" in str(survival.taken_down)


def test_attacks_that_only_together_take_a_claim_down_are_named_together() -> None:
    case = made_up(100)
    halves = case.resisted.assign(first=np.arange(100) >= 50, second=np.arange(100) < 50)
    broken = replace(case, resisted=halves)
    survival = survival_of([broken, broken], [made_up(5, first=5, second=5)] * 2)
    assert survival.verdict == "does not survive"
    assert str(survival.taken_down).startswith("all attacks together: ")


def test_what_did_not_hold_before_has_nothing_to_take_down() -> None:
    survival = survival_of([made_up(10)] * 2, [made_up(5)] * 2)
    assert survival.verdict == "does not survive"
    assert str(survival.taken_down) == ("already fails under the paper's own attack, on the audit's 100 images")


def test_what_survives_was_taken_down_by_nothing_whatever_one_attack_alone_says() -> None:
    # Undecided under the paper's own attack, false under one that hurts the defended model alone: all together decide.
    defended = [made_up(90, one=60, all=60), made_up(60, one=60, all=60)]
    plain = [made_up(50, one=50, all=5), made_up(50, one=50, all=5)]
    survival = survival_of(defended, plain)
    assert (survival.verdict, survival.taken_down) == ("survives", None)


def test_a_bound_that_no_accuracy_can_meet_cannot_be_asked() -> None:
    # 92.23% + 20 points are more than there are, at the audit's own radius and at a smaller one.
    survival = survival_of([made_up(95)] * 2, [made_up(92.23)] * 2)
    assert survival.verdict == "cannot be asked here"
    assert str(survival.taken_down) == (
        "cannot be asked under the paper's own attack, on the audit's 100 images: no accuracy can meet the bound"
    )
    broken = survival_of([made_up(50, strong=0)] * 2, [made_up(5, strong=0)] * 2)
    at_a_tenth, at_a_twentieth = map(str, broken.smaller)
    assert "cannot be asked here" not in at_a_tenth
    assert "cannot be asked here" in at_a_twentieth  # both sides keep 90%


def test_a_comparison_that_crosses_its_bound_is_inconclusive() -> None:
    survival = survival_of([made_up(20), made_up(40)], [made_up(5)] * 2)
    assert survival.verdict == "inconclusive"
    assert "undecided under the paper's own attack, " in str(survival.taken_down)


def test_where_every_side_is_at_zero_the_comparison_is_repeated_at_smaller_epsilon() -> None:
    broken = survival_of([made_up(50, strong=0)] * 2, [made_up(5, strong=0)] * 2)
    assert [str(smaller).partition(":")[0] for smaller in broken.smaller] == ["at ε = 0.1", "at ε = 0.05"]
    assert "table[defended, own] = 60.00" in str(broken.smaller[0])
    assert survival_of([made_up(50, strong=30)] * 2, [made_up(5, strong=0)] * 2).smaller == ()


def test_one_constant_model_makes_a_claim_vacuous() -> None:
    constant = replace(made_up(50), one_class=1.0)
    survival = survival_of([constant, made_up(50)], [made_up(5)] * 2)
    assert survival.verdict == "vacuous"
    assert survival.why == "one class for all images: table[defended, own] in 1 of 2 seeds"
    indicative = survival_of([constant, constant], [made_up(5)] * 2, "data: digits instead of mnist")
    assert indicative.verdict == "indicative: vacuous"


def test_where_something_differs_from_the_paper_the_audit_is_only_indicative() -> None:
    weak, strong = [made_up(80, strong=70)] * 2, [made_up(80, strong=10)] * 2
    plain = [made_up(5, strong=5)] * 2
    assert survival_of(weak, plain, "data: digits instead of mnist").verdict == "indicative: survives"
    survival = survival_of(strong, plain, "data: digits instead of mnist")
    assert survival.verdict == "indicative: does not survive"
    assert str(survival.taken_down).startswith("strong: ")


def test_the_library_is_named_only_where_no_other_attack_takes_the_claim_down() -> None:
    # AutoAttack is credited with all that was broken before it.
    plain = [made_up(5)] * 2

    def with_library(pgd: float) -> WorstCase:
        return replace(made_up(80, pgd=pgd, ensemble=10), ran_last=frozenset({"ensemble"}))

    both = survival_of([with_library(20)] * 2, plain)
    assert str(both.taken_down).startswith("pgd: ")
    alone = survival_of([with_library(70)] * 2, plain)
    assert str(alone.taken_down).startswith("ensemble: ")


def test_the_paper_prints_nothing_of_a_worst_case() -> None:
    assert "printed" not in survival_of([made_up(80)] * 2, [made_up(5)] * 2).conditions[0].text


def test_the_measured_tables_are_left_as_they_were() -> None:
    cells = {DEFENDED: {0: made_up(80, strong=10)}, PLAIN: {0: made_up(5)}}
    tables = table_of(cells)
    judge_survival(CLAIM, tables, cells)
    assert tables.of(DEFENDED, "printed") == "99"
    assert tables.samples_of(DEFENDED)["value"].tolist() == [80]


def test_what_was_not_measured_is_not_audited() -> None:
    cells = {DEFENDED: {0: made_up(80)}}
    survival = judge_survival(CLAIM, table_of(cells | {PLAIN: {0: made_up(5)}}), cells)
    assert survival.verdict != "not measured"
    missing = judge_survival(["other[a, b] >= 0", *CLAIM], table_of(cells | {PLAIN: {0: made_up(5)}}), cells)
    assert missing == Survival("not measured", "other was not made at this scale")


def test_with_one_seed_the_interval_is_over_the_audits_images() -> None:
    survival = survival_of([made_up(80, strong=10)], [made_up(5, strong=5)])
    assert survival.verdict == "does not survive"
    (condition,) = survival.conditions
    defended, plain = (accuracy_interval(accuracy, 100) for accuracy in (10.0, 5.0))
    assert condition.interval == pytest.approx((defended[0] - plain[1] - 20, defended[1] - plain[0] - 20))


def test_a_value_is_computed_anew_from_the_worst_case() -> None:
    cells = {DEFENDED: dict(enumerate([made_up(80, strong=10), made_up(81, strong=11)]))}
    tables = table_of(cells | {PLAIN: {0: made_up(5), 1: made_up(6)}})
    half = Cell("table", "defended", "half")
    place = {"table": "table", "row": "defended", "column": "half"}
    column = {"status": "measured", "why": "", "printed": "", "unit": "", "decimals": 1, "accuracy": False}
    row = pd.DataFrame([{**place, **column}]).set_index(KEYS)
    tables = replace(tables, cells=pd.concat([tables.cells, row]).sort_index())
    values = {half: parse_value("this[own] / 2", "defended")}
    survival = judge_survival(["table[defended, half] >= 30"], tables.recomputed(values), cells, (), values)
    (condition,) = survival.conditions
    assert condition.margin == pytest.approx(10.5 / 2 - 30)
    assert survival.verdict == "does not survive"
