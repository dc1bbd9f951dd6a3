"""The settings that differ between two results, by the keys that a user writes."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

from robustrepro.comparison.settings import changed_settings, merged, read_settings, settings_of


def job(rule: str, spec: dict[str, Any], **wildcards: str) -> SimpleNamespace:
    return SimpleNamespace(
        rule=SimpleNamespace(name=rule), wildcards=wildcards, params={"spec": json.dumps({"runs": ["a:b"], **spec})}
    )


TRAINED = {"model": "erm", "seed": 0, "training": {"epochs": 5, "optimizer": {"name": "sgd", "learning_rate": 0.1}}}
MEASURED = {"declared_by": "a:B", "measure": {"attack": {"steps": 40}}, "subjects": []}


def test_a_run_has_the_settings_of_every_model_measure_and_data_set() -> None:
    jobs = [
        *(job("train", TRAINED, model="erm", seed=seed) for seed in ("0", "1")),
        job("derive", {"source": "erm", "keep": 0.5}, model="cut", seed="0"),
        job("measure", MEASURED, measure="pgd", subject="erm", seed="0"),
        job("data_of_scale", {"images": 100, "seed": 0}, dataset="digits", seed="0"),
        SimpleNamespace(rule=SimpleNamespace(name="table")),
    ]
    assert settings_of(jobs) == {
        "models": {"erm": {**TRAINED["training"], "seeds": 2}, "cut": {"source": "erm", "keep": 0.5, "seeds": 1}},
        "measures": {"pgd": {"attack": {"steps": 40}}},
        "datasets": {"digits": {"images": 100}},
    }


def test_a_changed_setting_is_named_with_both_values() -> None:
    before = {"models": {"mnist-erm": {"optimizer": {"learning_rate": 0.1}}}, "measures": {"pgd": {"steps": 40}}}
    after = {"models": {"mnist-erm": {"optimizer": {"learning_rate": 0.05}}}, "measures": {"pgd": {"steps": 20}}}
    assert changed_settings(before, after) == [
        "models.mnist-erm.optimizer.learning_rate: 0.1 → 0.05",
        "measures.pgd.steps: 40 → 20",
    ]
    assert changed_settings(before, before) == []


def test_models_with_the_same_change_stand_together_and_those_of_one_side_are_left_out() -> None:
    before = {"models": {name: {"epochs": 3} for name in "abcdx"}}
    after = {"models": {name: {"epochs": 5} for name in "abcdy"}}
    assert changed_settings(before, after) == ["models.{a, b, c, and 1 more}.epochs: 3 → 5"]


def test_settings_made_anew_take_the_place_of_those_of_before() -> None:
    before = {"models": {"a": {"epochs": 3}, "b": {"epochs": 3}}}
    after = {"models": {"a": {"epochs": 5}}, "measures": {"pgd": {}}}
    expected = {"models": {"a": {"epochs": 5}, "b": {"epochs": 3}}, "measures": {"pgd": {}}}
    assert merged(before, after) == expected
    assert before == {"models": {"a": {"epochs": 3}, "b": {"epochs": 3}}}


def test_what_is_published_has_its_settings_in_its_provenance_and_what_is_none_is_passed_over() -> None:
    provenance = {
        "models": {f"erm/seed{seed}": {"spec": TRAINED} for seed in (0, 1)},
        "measurements": {"pgd/erm/seed0.parquet": {"spec": "1234"}},
        "specs": {"1234": {"measure": {"attack": {"steps": 40}}}},
    }
    files = {"papers/hrm/provenance.json": json.dumps(provenance), "papers/other/provenance.json": "{}"}
    assert read_settings({**files, "settings.json": "no JSON"}) == {
        "models": {"erm": {**TRAINED["training"], "seeds": 2}},
        "measures": {"pgd": {"attack": {"steps": 40}}},
    }
