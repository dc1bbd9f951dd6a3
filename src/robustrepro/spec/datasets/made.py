"""The data sets that a paper declares: generated from another one, or made from a model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, ConfigDict, Field, ValidationError, model_validator

from robustrepro.errors import UserError
from robustrepro.spec.attacks import CraftingSpec
from robustrepro.spec.base import Implemented, Key, Number
from robustrepro.spec.datasets.base import Dataset
from robustrepro.spec.messages import explain


def _within_the_range(deviation: float) -> float:
    if deviation > 1:
        raise ValueError(f"expected at most 1, the range of pixels; did you mean {deviation:g}/255?")
    return deviation


class GaussianNoise(Implemented):
    """Independent Gaussian noise on every pixel; ``standard_deviation`` is in units of the pixel range [0, 1]."""

    implementation: ClassVar[str] = "robustrepro.datasets.gaussian_noise:gaussian_noise"
    name: Literal["gaussian_noise"]
    standard_deviation: Annotated[Number, Field(gt=0), AfterValidator(_within_the_range)]


Generator = GaussianNoise
"""How images may be changed; a second way makes this a union, discriminated by ``name``."""


class GeneratedDataset(Dataset):
    """Images of another data set (``from`` in YAML), each changed with random numbers of its own.

    ``split`` says what is made: the test images alone, as corruption benchmarks are, or both splits.
    """

    model_config = ConfigDict(serialize_by_alias=True)

    implementation: ClassVar[str] = "robustrepro.datasets.generated:make"
    source: Key = Field(alias="from")
    by: Generator
    split: Literal["test", "both"] = "test"
    seed: int = 0

    @property
    def in_words(self) -> str:
        """Where it comes from."""
        return f"{self.source}, changed by {self.by.name}"


class AdversarialDataset(Dataset):
    """Every image of a split that a model gets right, attacked in each way, and kept where that fools the model.

    The images are those of the model's own data set. ``box`` is the range of valid pixels: the unit box, or none
    (``null``), where nothing is clipped. The data set belongs to a scale and a seed, and has a test split only.
    """

    implementation: ClassVar[str] = "robustrepro.datasets.adversarial:make"
    model: Key
    attacks: Annotated[list[CraftingSpec], Field(min_length=1)]
    split: Literal["train", "test"] = "test"
    box: Literal["unit"] | None = "unit"

    @model_validator(mode="after")
    def _losses_need_no_objective(self) -> AdversarialDataset:
        for number, attack in enumerate(self.attacks):
            if getattr(attack, "loss", None) == "training":
                raise ValueError(f"attacks[{number}].loss is 'training'; name the loss itself, such as cross_entropy")
        return self

    @property
    def in_words(self) -> str:
        """Where it comes from."""
        return f"adversarial examples that fool {self.model}"


ORIGINS: Mapping[str, type[GeneratedDataset] | type[AdversarialDataset]] = {
    "generated": GeneratedDataset,
    "adversarial": AdversarialDataset,
}
"""By its one key in ``paper.yaml``, where a data set comes from."""


def dataset_of(name: str, declared: Mapping[str, Any], where: str) -> GeneratedDataset | AdversarialDataset:
    """Return the data set that a paper declares under ``datasets``.

    Parameters
    ----------
    name
        The data set's name.
    declared
        As in YAML: one key, which says where the data set comes from, and its options.
    where
        Where this stands, for messages.

    Raises
    ------
    UserError
        If the declaration is not of this form.
    """
    known = ", ".join(sorted(ORIGINS))
    if len(declared) != 1 or next(iter(declared)) not in ORIGINS:
        found = ", ".join(map(str, declared)) or "no key"
        raise UserError(f"{where}: found {found}; expected exactly one of the keys {known}")
    origin, options = next(iter(declared.items()))
    if not isinstance(options, Mapping) or "name" in options:
        raise UserError(f"{where}.{origin}: found {options!r}; expected a mapping of options, the name not among them")
    kind = ORIGINS[origin]
    try:
        return kind.model_validate({"name": name, **options})
    except ValidationError as error:
        raise UserError(explain(error, kind, f"{where}.{origin}")) from None
