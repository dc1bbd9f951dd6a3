"""Where a model comes from: it is trained, derived from another one, or given."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from robustrepro.errors import UserError
from robustrepro.spec.base import Declaration, Implemented, Name, Number, Seeds
from robustrepro.spec.config import validated
from robustrepro.spec.names import KEY_IN_WORDS, is_key
from robustrepro.spec.networks import Network
from robustrepro.spec.training import TrainingSpec

Percent = Annotated[Number, Field(ge=0, le=99)]
Side = Literal["outputs", "inputs"]


class TrainedModel(TrainingSpec):
    """A model and how it is trained; ``seeds`` is how often (the scale's number by default)."""

    seeds: Seeds | None = None

    def training_spec(self) -> dict[str, Any]:
        """Return what one seed's training job depends on, as plain data; options that are not set are left out.

        Checkpoints that are not reached are left out, too: which are kept is decided here, and not when it runs.
        """
        return self.model_dump(mode="json", exclude={"seeds"}, exclude_none=True) | {"checkpoints": self.kept_epochs()}


class WeightChange(Implemented):
    """What may be done to the weights of a trained model.

    ``reads`` is the file of the source's training that its implementation begins with: the weights of the end, which it
    finds in the network that it is handed and changes there, or the checkpoints, whose file it is handed as well. With
    ``reads_data`` it is handed the folder of its data set, too.
    """

    reads: ClassVar[Literal["weights", "checkpoints"]] = "weights"
    reads_data: ClassVar[bool] = False

    name: str


class TruncateSingularValues(WeightChange):
    """Set the trailing ``percent`` of the singular values of a fully connected layer to zero.

    ``layer`` is the layer's name in the network, such as ``classifier.3``.
    """

    implementation: ClassVar[str] = "robustrepro.models.changes.truncate_singular_values:truncate_singular_values"
    name: Literal["truncate_singular_values"]
    layer: str
    percent: Percent


class OfActivity(WeightChange):
    """What is told from how often the units of a fully connected layer are active on the images of a ``split``.

    ``side`` is which units: the layer's ``outputs``, active where they are above 0, or its ``inputs``, active where
    they are not 0. ``percent`` is of the images.
    """

    reads_data: ClassVar[bool] = True

    layer: str
    percent: Percent
    side: Side = "outputs"
    split: Literal["train", "test"] = "train"


class RemoveRarelyActive(OfActivity):
    """Remove the units that are active on less than ``percent`` of the images."""

    implementation: ClassVar[str] = "robustrepro.models.changes.remove_rarely_active:remove_rarely_active"
    name: Literal["remove_rarely_active"]


class RemoveAndTruncate(OfActivity):
    """Remove the units that are active on less than ``percent`` of the images, and truncate as many singular values."""

    implementation: ClassVar[str] = "robustrepro.models.changes.remove_and_truncate:remove_and_truncate"
    name: Literal["remove_and_truncate"]


class Checkpoint(WeightChange):
    """Take the weights that the training had after an epoch, one of the source's ``checkpoints``."""

    implementation: ClassVar[str] = "robustrepro.models.changes.checkpoint:take_weights_after"
    reads: ClassVar[Literal["weights", "checkpoints"]] = "checkpoints"

    name: Literal["checkpoint"]
    epoch: Annotated[int, Field(ge=1)]


Change = Annotated[
    TruncateSingularValues | RemoveRarelyActive | RemoveAndTruncate | Checkpoint, Field(discriminator="name")
]


class Derivation(Declaration):
    """The model that another one is made from (``from`` in YAML), and what is changed in its weights."""

    source: Name = Field(alias="from")
    change: Change


class DerivedModel(Declaration):
    """A model made from another one, seed by seed; its data set and network are its source's."""

    derived: Derivation
    seeds: Seeds | None = None


def _path(text: str) -> str:
    """Refuse what is no path of folders and a file below the mirror."""
    if not all(map(is_key, text.split("/"))):
        raise ValueError(f"{KEY_IN_WORDS}, of every folder and of the file")
    return text


class GivenWeights(Declaration):
    """Weights that somebody else trained.

    They are a safetensors ``file`` in the mirror folder, and the SHA-256 of its bytes; or those that ``torchvision``
    knows by a name such as ``AlexNet_Weights.IMAGENET1K_V1``, which are downloaded unless they lie in the mirror.
    """

    file: Annotated[str, AfterValidator(_path)] | None = None
    sha256: Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")] | None = None
    torchvision: Annotated[str, StringConstraints(pattern=r"^\w+\.\w+$")] | None = None

    @property
    def in_words(self) -> str:
        """Where they come from, and of a file the first digits of its checksum."""
        return (
            f"torchvision's {self.torchvision}"
            if self.torchvision
            else f"{self.file} (sha256 {str(self.sha256)[:8]}...)"
        )

    @model_validator(mode="after")
    def _says_where_once(self) -> Self:
        from_file, from_zoo = (self.file, self.sha256), self.torchvision is not None
        if (None in from_file) != from_zoo or (from_zoo and from_file != (None, None)):
            raise ValueError("expected either 'file' and its 'sha256', or 'torchvision'")
        return self


class GivenModel(Declaration):
    """A model whose weights are given; there is one of it, seed 0."""

    given: GivenWeights
    dataset: str
    network: Network


class Chosen(Declaration):
    """Which search chooses a training, as ``paper/reading``, and the model of each candidate that is trained so."""

    search: str
    among: dict[str, str]


class ChosenModel(Declaration):
    """A model trained as the candidate that a reading's search chooses; no paper declares one itself."""

    chosen: Chosen
    seeds: Seeds | None = None


ModelDeclaration = TrainedModel | DerivedModel | GivenModel | ChosenModel
"""A model of a paper."""


def changes_that_fit(declared: Mapping[str, Any], changes: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return, of the keys that a scale replaces by a pattern, those that this model can have.

    ``mnist-*: {epochs: 12}`` is for the models that are trained: one that is derived or given has no epochs, and is
    left as it is. A key that no model has stays, for validation to refuse. With ``given: null`` a model whose weights
    are given is trained instead, and has all that is said of that.
    """
    if "given" in declared and "given" in changes and changes["given"] is None:
        return changes
    own = set(_class_of(declared).model_fields)
    others = {key for kind in (TrainedModel, DerivedModel, GivenModel) for key in kind.model_fields} - own
    return {key: value for key, value in changes.items() if key not in others}


def model_of(declared: Mapping[str, Any], where: str) -> ModelDeclaration:
    """Return the model that a mapping declares: by its key ``derived`` or ``given``, or else it is trained.

    Raises
    ------
    UserError
        At the first mistake; the message begins with ``where``, such as ``models.mnist-erm``.
    """
    if declared.get("given", ...) is None:
        declared = {key: value for key, value in declared.items() if key != "given"}
    if not {"derived", "given"} & declared.keys() and (misspelt := _misspelt_origin(declared)):
        raise UserError(f"{where}: {misspelt[0]}: unknown key; did you mean '{misspelt[1]}'?")
    return validated(_class_of(declared), declared, where)


def _misspelt_origin(declared: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return a key that is nearer to what says that a model is derived or given than to any key of a trained one."""
    for key in declared.keys() - TrainedModel.model_fields.keys():
        near = difflib.get_close_matches(key, [*TrainedModel.model_fields, "derived", "given"], n=1)
        if near and near[0] in {"derived", "given"} and near[0] != key:
            return key, near[0]
    return None


def _class_of(declared: Mapping[str, Any]) -> type[ModelDeclaration]:
    if "derived" in declared:
        return DerivedModel
    return GivenModel if "given" in declared else TrainedModel
