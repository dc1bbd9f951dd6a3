"""Where a model comes from: it is trained, derived from another one, or given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Discriminator, Field, StringConstraints, Tag

from robustrepro.spec.base import Declaration, Implemented, Key, Number
from robustrepro.spec.networks import Network
from robustrepro.spec.training import TrainingSpec

Percent = Annotated[Number, Field(ge=0, le=100)]


class TrainedModel(TrainingSpec):
    """A model and how it is trained; ``seeds`` is how often (the scale's number by default)."""

    origin: ClassVar[str] = "trained"
    seeds: int | None = Field(default=None, ge=1)

    def training_spec(self) -> dict[str, Any]:
        """Return what one seed's training job depends on, as plain data; options that are not set are left out."""
        return self.model_dump(mode="json", exclude={"seeds"}, exclude_none=True)


class TruncateSingularValues(Implemented):
    """Set the trailing ``percent`` of the singular values of a fully connected layer to zero.

    ``layer`` is the layer's name in the network, such as ``classifier.3``.
    """

    implementation: ClassVar[str] = "robustrepro.models.changes.truncate_singular_values:truncate_singular_values"
    name: Literal["truncate_singular_values"]
    layer: str
    percent: Percent


Change = TruncateSingularValues
"""What may be done to a trained model's weights; a second kind makes this a union, discriminated by ``name``."""


class Derivation(Declaration):
    """The model that another one is made from (``from`` in YAML), and what is changed in its weights."""

    source: Key = Field(alias="from")
    change: Change


class DerivedModel(Declaration):
    """A model made from another one, seed by seed; its data set and network are its source's."""

    origin: ClassVar[str] = "derived"
    derived: Derivation
    seeds: int | None = Field(default=None, ge=1)

    def derivation_spec(self) -> dict[str, Any]:
        """Return ``from`` and ``change`` as plain data, for the job of one seed."""
        return self.derived.model_dump(mode="json", by_alias=True)


class GivenFile(Declaration):
    """Weights that somebody else trained: a safetensors file in the mirror folder, and the SHA-256 of its bytes."""

    file: Key
    sha256: Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]


class GivenModel(Declaration):
    """A model whose weights are given; there is one of it, seed 0."""

    origin: ClassVar[str] = "given"
    seeds: ClassVar[int] = 1
    given: GivenFile
    dataset: str
    network: Network


def model_class(declared: Mapping[str, Any]) -> type[TrainedModel] | type[DerivedModel] | type[GivenModel]:
    """Return what kind of model a mapping declares, by its keys: ``derived``, ``given``, or else it is trained."""
    for kind in (DerivedModel, GivenModel):
        if kind.origin in declared:
            return kind
    return TrainedModel


def _origin(declared: Any) -> str:
    return model_class(declared).origin if isinstance(declared, Mapping) else getattr(declared, "origin", "trained")


ModelDeclaration = Annotated[
    Annotated[TrainedModel, Tag("trained")]
    | Annotated[DerivedModel, Tag("derived")]
    | Annotated[GivenModel, Tag("given")],
    Discriminator(_origin),
]
"""A model of a paper."""
