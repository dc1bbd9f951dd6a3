"""What can be measured of which model, on which data, and tried on which other models."""

from __future__ import annotations

from robustrepro.errors import UserError, unknown_name
from robustrepro.spec.attacks import Attack, Clean
from robustrepro.spec.datasets import AdversarialDataset
from robustrepro.spec.declarations import Declarations
from robustrepro.spec.lengths import IMAGE_DIMENSIONS, require_lengths_within
from robustrepro.spec.measurements import (
    Corrupted,
    CorruptedSamples,
    DecisionBoundary,
    Measurement,
    OfExamples,
    Samples,
    TrainingPath,
    Transfer,
    UnderAttack,
    WeightPerturbation,
    walk,
)
from robustrepro.spec.models import ChosenModel, DerivedModel, GivenModel
from robustrepro.spec.origins import require_alike, require_checkpoints
from robustrepro.spec.paper import Column

IMAGENET = "imagenet"
POINTS = (2,)
"""The shape of a point of the plane."""


def check_measure(name: str, declarations: Declarations) -> None:
    """Refuse a measure of unknown data or models, whoever shows it.

    Raises
    ------
    UserError
        Which names the measure.
    """
    where, measure = declarations.place("measures", name), declarations.measure(name)
    if measure.data is not None and measure.data not in declarations.datasets:
        raise unknown_name(f"data set in {where}", measure.data, declarations.datasets)
    for model in declarations.read_by(measure):
        if model not in declarations.models:
            raise unknown_name(f"model in {where}: features", model, declarations.models)
    if not isinstance(measure, Transfer):
        return
    sources = [measure.source] if measure.source else []
    for model in [*measure.targets, *sources]:
        if model not in declarations.models:
            raise unknown_name(f"model in {where}", model, declarations.models)
    datasets = {declarations.dataset_of(model) for model in (*measure.targets, *sources)}
    if len(datasets) > 1:
        raise UserError(f"{where}: examples are transferred between models of one data set, not of {sorted(datasets)}")


def check_subject(where: str, model: str, name: str, declarations: Declarations) -> None:
    """Refuse a measurement of a model that cannot be made.

    Parameters
    ----------
    where
        Where the two are named.
    model, name
        The model, and the measure.
    declarations
        Everything that is declared.

    Raises
    ------
    UserError
        If the measure needs to know of the model what is not known, or data do not fit the model.
    """
    measure, declared, origin = declarations.measure(name), declarations.model(model), declarations.origin(model)
    parts = measure.parts()
    if parts & {"objective", "training"} and isinstance(origin, GivenModel):
        part = "training" if "training" in parts else "training objective"
        raise UserError(f"{where}: {name} needs the {part} of {model}, whose weights are given")
    if isinstance(declared, ChosenModel) and parts & {"objective", "training"}:
        raise UserError(
            f"{where}: {name} needs the {min(parts & {'objective', 'training'})} of {model}, which a search chooses"
        )
    if "training" in parts and isinstance(declared, DerivedModel):
        raise UserError(f"{where}: {name} needs the training of {model}, which is derived from another model")
    if "history" in parts and not declarations.is_trained(model):
        raise UserError(f"{where}: {name} needs the history of {model}, which has no training of its own")
    if "checkpoints" in parts:
        require_checkpoints(f"{where}: {name}", model, declarations.models)
    _check_data(where, model, name, declarations)


def _check_data(where: str, model: str, name: str, declarations: Declarations) -> None:
    measure = declarations.measure(name)
    own, read = declarations.dataset_of(model), declarations.dataset_of_measure(measure, model)
    ours, theirs = declarations.form(own), declarations.form(read)
    if (ours.input_shape, ours.classes) != (theirs.input_shape, theirs.classes):
        raise UserError(
            f"{where}: {name} is of {read}, with {theirs.classes} classes of shape {theirs.input_shape}; {model} is of "
            f"{own}, with {ours.classes} of {ours.input_shape}"
        )
    inputs = declarations.inputs(read)
    for attack in walk(measure):
        if isinstance(attack, Attack) and (why := attack.unfit(inputs)):
            raise UserError(f"{where}: {name} cannot attack {model} on {read}: {why}")
    for other in declarations.read_by(measure):
        require_alike(f"{where}: {name}", other, read, declarations.models, declarations.datasets)
    if declarations.has_pixel_range(read):
        require_lengths_within(f"{where}: {name}", measure, theirs.input_shape)
    if isinstance(measure, Corrupted | CorruptedSamples) and not _is_square_in_colour(theirs.input_shape):
        raise UserError(
            f"{where}: {name} is for square images in colour, of shape (3, H, H); those of {read} are "
            f"{theirs.input_shape}"
        )
    in_8_bits = declarations.has_pixel_range(read) and not isinstance(declarations.dataset(read), AdversarialDataset)
    if isinstance(measure, Corrupted | CorruptedSamples) and not in_8_bits:
        raise UserError(f"{where}: {name} is for 8-bit images, which those of {read} are not")
    if isinstance(measure, Corrupted) and measure.images == "official" and read != IMAGENET:
        raise UserError(
            f"{where}: {name} is of the official ImageNet-C, whose images are those of {IMAGENET}, not {read}"
        )
    if isinstance(measure, DecisionBoundary) and theirs.input_shape != POINTS:
        raise UserError(f"{where}: {name} is for points of the plane; {model} is of {read}")
    if _clips_images(measure, theirs.input_shape) and not declarations.has_pixel_range(read):
        raise UserError(f"{where}: {name} clips to the range of pixels, which {read} has none of; add 'clipped: false'")
    if isinstance(measure, Samples) and not isinstance(declarations.dataset(read), AdversarialDataset):
        raise UserError(f"{where}: {name} shows adversarial examples; expected 'data' made from a model, not {read}")
    if isinstance(measure, Samples) and measure.norm:
        made_from = declarations.dataset(read)
        assert isinstance(made_from, AdversarialDataset)
        norms = [attack.norm for attack in made_from.attacks]
        if measure.norm not in norms:
            raise UserError(f"{where}: {name} shows the norm {measure.norm}; {read} has {', '.join(norms)}")
    if _reads_training_split(measure) and not declarations.has_training_split(read):
        raise UserError(f"{where}: {name} reads the training images of {read}, which has a test split only")
    if isinstance(measure, OfExamples):
        sizes = (measure.examples, declarations.examples(read, measure.split))
        count = min((size for size in sizes if size is not None), default=measure.shards)
        if measure.shards > count:
            raise UserError(f"{where}: {name} has {measure.shards} shards, but {count} examples of {read} to share")


def _is_square_in_colour(shape: tuple[int, ...]) -> bool:
    return len(shape) == IMAGE_DIMENSIONS and shape[0] == 3 and shape[1] == shape[2]


def _clips_images(measure: Measurement, shape: tuple[int, ...]) -> bool:
    """Tell whether a measure makes adversarial images that stay in the range of valid pixels."""
    if len(shape) != IMAGE_DIMENSIONS or not (isinstance(measure, UnderAttack) and measure.clipped):
        return False
    return any(isinstance(attack, Attack) and not isinstance(attack, Clean) for attack in walk(measure))


def _reads_training_split(measure: Measurement) -> bool:
    if isinstance(measure, WeightPerturbation) and measure.activity == "train":
        return set(measure.methods) != {"truncate_singular_values"} or measure.split == "train"
    return getattr(measure, "split", "test") == "train" or isinstance(measure, DecisionBoundary | TrainingPath)


def check_target(where: str, model: str, column: Column, name: str, declarations: Declarations) -> None:
    """Refuse a cell of transfer that has no target, or one of other data.

    Parameters
    ----------
    where
        The column.
    model
        The row's model.
    column, name
        The column, and its measure of transfer.
    declarations
        Everything that is declared.

    Raises
    ------
    UserError
        Which names the column.
    """
    declared = declarations.measure(name)
    assert isinstance(declared, Transfer)
    for option in ("target", "white_box"):
        if declared.source and getattr(column, option):
            raise UserError(
                f"{where}: {name} has a source, so that the target is each row's own model; remove '{option}'"
            )
    target = model if declared.source else column.target
    if target is None:
        raise UserError(f"{where}: expected 'target', one of {name}'s ({', '.join(declared.targets)})")
    if target not in declared.targets:
        raise unknown_name(f"target of {name} in {where}", target, declared.targets)
    source = declared.source or model
    ours, theirs = declarations.dataset_of(source), declarations.dataset_of(target)
    if ours != theirs:
        raise UserError(
            f"{where}: examples are transferred between models of one data set; {source} is of {ours}, {target} of "
            f"{theirs}"
        )
    if column.white_box and not declared.white_box:
        raise UserError(f"{where}: white_box, but {name} does not try the source's own network")
