"""The settings that results were made with, and those that differ between two results.

A run records what it resolves every model, measure and data set to; what is published has it in its provenance. Of
results without either, such as those that DVC has brought, the models' cards tell.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from robustrepro.spec.changed_keys import differences

Settings = dict[str, dict[str, dict[str, Any]]]
"""Of every kind (``models``, ``measures``, ``datasets``), what each name was resolved to."""
SETTINGS, PROVENANCE = "settings.json", "provenance.json"
"""The files that have them: of a run, and of a published paper."""
CARD = re.compile(r"models/(?P<model>[^/]+)/(?P<seed>seed\d+)/card\.json")
"""The card of a model, below a scale's folder."""
KINDS: Mapping[str, tuple[str, str]] = {
    **dict.fromkeys(("train", "derive"), ("models", "model")),
    **dict.fromkeys(("measure", "measure_shard"), ("measures", "measure")),
    **dict.fromkeys(("data", "data_test_only", "data_of_scale", "data_of_scale_test_only"), ("datasets", "dataset")),
}
"""Of each rule whose jobs have settings: their kind, and the wildcard with their name."""
ORDER = ("models", "measures", "datasets")
NOT_SET = frozenset({"runs", "seed", "model", "declared_by", "subjects", "targets", "features", "shards"})
"""Keys of a spec that say whose it is or what it runs, and that no user sets."""
ABOVE = ("training", "measure")
"""Keys of a spec that stand above what a user sets."""
SHOWN = 3
"""How many models or measures with the same change are named."""


def settings_of(jobs: Iterable[Any]) -> Settings:
    """Return the settings of a run.

    Parameters
    ----------
    jobs
        Those of Snakemake's graph, also the ones that need not run: their results have these settings already.
    """
    settings: Settings = {}
    seeds: dict[str, set[str]] = {}
    for job in jobs:
        if job.rule.name not in KINDS:
            continue
        kind, wildcard = KINDS[job.rule.name]
        name, of_kind = str(job.wildcards[wildcard]), settings.setdefault(kind, {})
        if kind == "models":
            seeds.setdefault(name, set()).add(str(job.wildcards["seed"]))
        if name not in of_kind:
            of_kind[name] = _set(json.loads(job.params["spec"]))
    for name, of_model in seeds.items():
        settings["models"][name]["seeds"] = len(of_model)
    return settings


def read_settings(files: Mapping[str, str]) -> Settings:
    """Return the settings that a scale's files record; empty where they record none.

    Parameters
    ----------
    files
        Their text, by path below the scale's folder.
    """
    settings: Settings = {}
    for path, text in files.items():
        with suppress(ValueError, KeyError, TypeError, AttributeError):  # of another version
            if path == SETTINGS:
                settings = merged(settings, json.loads(text))
            elif path.endswith(f"/{PROVENANCE}"):
                settings = merged(settings, _published(json.loads(text)))
    found = {match: text for path, text in files.items() if (match := CARD.fullmatch(path))}
    return settings or _of_cards({f"{match['model']}/{match['seed']}": text for match, text in found.items()})


def settings_of_cards(folder: Path) -> Settings:
    """Return what the cards of the models below a scale's folder say; nothing of measures and data sets."""
    cards = sorted(folder.glob("models/*/seed*/card.json"))
    return _of_cards({"/".join(card.parts[-3:-1]): card.read_text(encoding="utf-8") for card in cards})


def merged(before: Settings, now: Settings) -> Settings:
    """Return the settings of results of which some were made anew: those of now, and of others those of before."""
    return {kind: {**before.get(kind, {}), **now.get(kind, {})} for kind in (*before, *(now.keys() - before.keys()))}


def changed_settings(before: Settings, after: Settings) -> list[str]:
    """Return each setting that differs of what both sides have: ``models.a.optimizer.learning_rate: 0.1 → 0.05``.

    Models, or measures, with the same change stand together.
    """
    names: dict[tuple[str, str], list[str]] = {}
    kinds = [kind for kind in ORDER if kind in before and kind in after]
    for kind in kinds:
        for name in sorted(before[kind].keys() & after[kind].keys()):
            for each in differences(before[kind][name], after[kind][name]):
                names.setdefault((kind, each.words), []).append(name)
    return [
        f"{kind}.{_together(of_change)}.{words}"
        for (kind, words), of_change in sorted(names.items(), key=lambda entry: (kinds.index(entry[0][0]), entry[0][1]))
    ]


def _together(names: list[str]) -> str:
    if len(names) == 1:
        return names[0]
    more = f", and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"{{{', '.join(names[:SHOWN])}{more}}}"


def _set(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of a resolved spec a user sets."""
    for key in ABOVE:
        if isinstance(spec.get(key), Mapping):
            return dict(spec[key])
    return {key: value for key, value in spec.items() if key not in NOT_SET}


def _published(provenance: Mapping[str, Any]) -> Settings:
    """Return the settings that are published with a paper's numbers."""
    measures: dict[str, dict[str, Any]] = {}
    for place, account in provenance["measurements"].items():
        measures.setdefault(place.partition("/")[0], _set(provenance["specs"][account["spec"]]))
    return {"models": _models(provenance["models"]), "measures": measures}


def _of_cards(cards: Mapping[str, str]) -> Settings:
    """Return what models' cards say, by the model and its seed; those that cannot be read are passed over."""
    read = {}
    for place, text in cards.items():
        with suppress(ValueError, KeyError, TypeError):
            card = json.loads(text)
            read[place] = {"spec": dict(card["spec"])}
    return {"models": _models(read)} if read else {}


def _models(cards: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the settings of models from their cards, by ``model/seed0``."""
    models: dict[str, dict[str, Any]] = {}
    for place, card in cards.items():
        of_model = models.setdefault(place.partition("/")[0], {**_set(card["spec"]), "seeds": 0})
        of_model["seeds"] += 1
    return models
