"""Where every number that is published of a paper comes from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from robustrepro.canonical import canonical_json
from robustrepro.files import sha256_of
from robustrepro.measures.store import read_origin

DIGITS = 12
"""How many hexadecimal digits of a checksum name something within one file."""

NAMED_BY_MODELS = {"subjects", "targets", "features"}
"""Parts of a measurement's spec about its models: their cards stand in the same file, under ``models``."""

ACCOUNT = ("code", "commit", "device", "processor", "threads", "seconds")
"""What of a measurement's origin is published as it is, where it was recorded."""


def provenance(source: Path, behind: Iterable[Path], differences: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return where every number comes from: each model's card and each measurement's origin.

    What several measurements measure alike stands once, under ``specs``; a measurement names the models that it is of
    as ``name/seed0@sha256``, with the first digits of the weights' checksum.

    Parameters
    ----------
    source
        The scale's folder under ``results/``.
    behind
        The models' weights and the measurements that the numbers are made of, below ``source``; those that are not
        there were not run.
    differences
        What differs from the paper, as its page says it; stands before all else.
    """
    models: dict[str, Any] = {}
    specs: dict[str, Any] = {}
    measurements: dict[str, Any] = {}
    for path in sorted(behind):
        if path.parts[0] == "models" and (card := source / path.with_name("card.json")).exists():
            models["/".join(path.parts[1:3])] = json.loads(card.read_text(encoding="utf-8"))
        elif path.parts[0] == "measurements" and (source / path).exists():
            origin = read_origin(source / path)
            spec = {key: value for key, value in origin["spec"].items() if key not in NAMED_BY_MODELS}
            name = hashlib.sha256(canonical_json(spec).encode()).hexdigest()[:DIGITS]
            specs[name] = spec
            measurements["/".join(path.parts[1:])] = {
                **{key: origin[key] for key in ACCOUNT if key in origin},
                "spec": name,
                "models": [
                    f"{model['model']}/seed{model['seed']}@{model['weights_sha256'][:DIGITS]}"
                    for model in origin["models"]
                ],
                "sha256": sha256_of(source / path),
            }
    return {
        "scale": source.name,
        "differences": list(differences),
        "models": models,
        "measurements": measurements,
        "specs": specs,
    }


def one_line_per_entry(sections: Mapping[str, Any]) -> str:
    """Return JSON that a reader can search and git can compare line by line."""
    parts = []
    for key, value in sections.items():
        if isinstance(value, Mapping):
            lines = ",\n".join(
                f"  {json.dumps(name)}: {canonical_json(entry)}" for name, entry in sorted(value.items())
            )
            parts.append(f" {json.dumps(key)}: {{\n{lines}\n }}")
        elif isinstance(value, list) and value:
            entries = ",\n".join(f"  {canonical_json(entry)}" for entry in value)
            parts.append(f" {json.dumps(key)}: [\n{entries}\n ]")
        else:
            parts.append(f" {json.dumps(key)}: {canonical_json(value)}")
    return "{\n" + ",\n".join(parts) + "\n}\n"
