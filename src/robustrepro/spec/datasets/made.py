"""The data sets that a paper declares: generated from another one, a part of one, or made from a model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, ConfigDict, Field, ValidationError, model_validator

from robustrepro.errors import UserError
from robustrepro.spec.attacks import CraftingSpec
from robustrepro.spec.base import Implemented, Name, Number
from robustrepro.spec.datasets.base import Dataset
from robustrepro.spec.messages import explain
from robustrepro.spec.networks import InputNormalisation, Preprocessing


def _within_the_range(deviation: float) -> float:
    if deviation > 1:
        raise ValueError(f"expected at most 1, the range of pixels; did you mean {deviation:g}/255?")
    return deviation


class GaussianNoise(Implemented):
    """Independent Gaussian noise on every pixel; ``standard_deviation`` is in units of the pixel range [0, 1]."""

    implementation: ClassVar[str] = "robustrepro.datasets.gaussian_noise:gaussian_noise"
    name: Literal["gaussian_noise"]
    standard_deviation: Annotated[Number, Field(gt=0), AfterValidator(_within_the_range)]


class PreprocessedOnce(Implemented):
    """What a network would do to images before it looks at them, done beforehand, so that an adversary changes that.

    ``steps`` are those of a network's preprocessing. What they lead to has no range that it could be clipped to.
    """

    implementation: ClassVar[str] = "robustrepro.datasets.preprocessed:preprocessed"
    name: Literal["preprocessing"]
    steps: Annotated[list[Preprocessing], Field(min_length=1)]

    @model_validator(mode="after")
    def _steps_need_no_training(self) -> PreprocessedOnce:
        if any(isinstance(step, InputNormalisation) for step in self.steps):
            raise ValueError("steps: input_normalisation learns from batches; expected it in a network's preprocessing")
        return self


Generator = Annotated[GaussianNoise | PreprocessedOnce, Field(discriminator="name")]
"""How images may be changed."""


class DerivedDataset(Dataset):
    """A data set that is made from the examples of another one (``from`` in YAML), or of what stands in for that.

    ``origin`` is its key in ``paper.yaml``.
    """

    model_config = ConfigDict(serialize_by_alias=True)

    origin: ClassVar[str]
    source: Name = Field(alias="from")


class GeneratedDataset(DerivedDataset):
    """Images of another data set, each changed by itself, with random numbers of its own if any.

    ``split`` says what is made: the test images alone, as corruption benchmarks are, or both splits.
    """

    implementation: ClassVar[str] = "robustrepro.datasets.generated:make"
    origin: ClassVar[str] = "generated"
    by: Generator
    split: Literal["test", "both"] = "test"
    seed: int = 0

    @property
    def in_words(self) -> str:
        """Where it comes from."""
        return f"{self.source}, changed by {self.by.name}"


class HeldOutDataset(DerivedDataset):
    """The training split of another data set in two parts: ``examples`` of it to test on, the others to train on.

    So a choice can be made on examples that no training has seen, and without a look at the other one's test split.
    Which are held out is the same for all models and seeds. Of what stands in for the other data set at a scale, the
    same share is held out.
    """

    implementation: ClassVar[str] = "robustrepro.datasets.held_out:make"
    origin: ClassVar[str] = "held_out"
    examples: int = Field(ge=1)

    @property
    def in_words(self) -> str:
        """Where it comes from."""
        return f"{self.examples:,} examples held out of the training split of {self.source}"


class SampledDataset(DerivedDataset):
    """A random part of another data set: ``train`` examples of its training split and ``test`` of its test split.

    So a paper's own images are trained and measured on where all of them would take too long. Which are drawn is the
    same for all models and seeds. Of what stands in for the other data set at a scale as many are drawn, or the whole
    of a split that has fewer: the numbers say how much there is time for, and the same share of few stand-ins would be
    too few.
    """

    implementation: ClassVar[str] = "robustrepro.datasets.sampled:make"
    origin: ClassVar[str] = "sampled"
    train: int = Field(ge=1)
    test: int = Field(ge=1)

    @property
    def in_words(self) -> str:
        """Where it comes from."""
        return f"{self.train:,} training and {self.test:,} test examples drawn at random from {self.source}"


class AdversarialDataset(Dataset):
    """Every image of a split that a model gets right, attacked in each way, and kept where that fools the model.

    The images are those of the model's own data set. Unless ``clipped``, the examples may leave the range of valid
    pixels. The data set belongs to a scale and a seed, and has a test split only. It has the examples, or, where
    ``stored`` says so, the ``originals`` that they were made of: what other adversaries may start from.
    """

    implementation: ClassVar[str] = "robustrepro.datasets.adversarial:make"
    origin: ClassVar[str] = "adversarial"
    model: Name
    attacks: Annotated[list[CraftingSpec], Field(min_length=1)]
    split: Literal["train", "test"] = "test"
    clipped: bool = True
    stored: Literal["examples", "originals"] = "examples"

    @model_validator(mode="after")
    def _losses_need_no_objective(self) -> AdversarialDataset:
        for number, attack in enumerate(self.attacks):
            if getattr(attack, "loss", None) == "training":
                raise ValueError(f"attacks[{number}].loss is 'training'; name the loss itself, such as cross_entropy")
        return self

    @property
    def in_words(self) -> str:
        """Where it comes from."""
        examples = f"adversarial examples that fool {self.model}"
        return examples if self.stored == "examples" else f"the originals of {examples}"


DeclaredDataset = GeneratedDataset | HeldOutDataset | SampledDataset | AdversarialDataset
"""A data set that a paper declares."""
ORIGINS: Mapping[str, type[DeclaredDataset]] = {
    kind.origin: kind for kind in (GeneratedDataset, HeldOutDataset, SampledDataset, AdversarialDataset)
}
"""By its one key in ``paper.yaml``, where a data set comes from."""


def dataset_of(name: str, declared: Mapping[str, Any], where: str) -> DeclaredDataset:
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
