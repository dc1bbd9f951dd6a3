"""Names in YAML, the schemas that check them and the code that implements them: none without the other two."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

import pytest

from robustrepro.errors import UserError
from robustrepro.spec.attacks import AttackSpec, Curve
from robustrepro.spec.figures import Drawing
from robustrepro.spec.registry import (
    ARCHITECTURES,
    ATTACKS,
    AUGMENTATIONS,
    FIGURES,
    OBJECTIVES,
    resolve,
    target_of,
)
from robustrepro.spec.sources import REGISTRIES
from robustrepro.spec.training import Architecture, CropAndFlip, Objective


def schemas_of(union: Any) -> set[type]:
    """Return the members of an annotated union."""
    return set(get_args(get_args(union)[0]))


SCHEMAS: dict[str, tuple[Mapping[str, str], set[type]]] = {
    "architecture": (ARCHITECTURES, schemas_of(Architecture)),
    "attack": (ATTACKS, schemas_of(AttackSpec) | {Curve}),
    "augmentation": (AUGMENTATIONS, {CropAndFlip}),
    "figure": (FIGURES, schemas_of(Drawing)),
    "objective": (OBJECTIVES, schemas_of(Objective)),
}


def test_every_registry_has_schemas() -> None:
    assert {key: registry for key, (registry, _) in SCHEMAS.items()} == dict(REGISTRIES)


@pytest.mark.parametrize("kind", SCHEMAS)
def test_every_schema_is_registered_and_everything_registered_has_a_schema(kind: str) -> None:
    registry, schemas = SCHEMAS[kind]
    named = [get_args(schema.model_fields["name"].annotation)[0] for schema in schemas]  # type: ignore[attr-defined]
    assert sorted(named) == sorted(registry)


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, (known, _) in SCHEMAS.items() for name in known])
def test_every_registered_name_leads_to_something_that_can_be_called(kind: str, name: str) -> None:
    registry, _ = SCHEMAS[kind]
    found = resolve(registry, kind, name)
    assert callable(found)
    module = target_of(registry, kind, name).partition(":")[0]
    assert found.__module__ == module
    assert target_of(registry, kind, name) == f"{module}:{found.__qualname__}"


def test_an_unknown_name_is_a_mistake_that_names_the_nearest() -> None:
    with pytest.raises(
        UserError, match=r"unknown attack: 'pgdd'; did you mean 'pgd'\? \(known: autoattack, bim, clean"
    ):
        resolve(ATTACKS, "attack", "pgdd")
