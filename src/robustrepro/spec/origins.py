"""Where models and data sets come from in the end: what stands in for what, and lineages that lead nowhere."""

from __future__ import annotations

from collections.abc import Mapping

from robustrepro.errors import UserError, unknown_name
from robustrepro.keys import AT
from robustrepro.spec.attacks import Attack, Inputs
from robustrepro.spec.datasets import (
    AdversarialDataset,
    CountedDataset,
    DatasetSpec,
    DerivedDataset,
    FormedDataset,
    GeneratedDataset,
    HeldOutDataset,
    ImageNetSpec,
    PreprocessedOnce,
    SampledDataset,
)
from robustrepro.spec.lengths import IMAGE_DIMENSIONS, require_lengths_within
from robustrepro.spec.measurements import walk
from robustrepro.spec.models import (
    Checkpoint,
    ChosenModel,
    Derivation,
    DerivedModel,
    GivenModel,
    ModelDeclaration,
    OfActivity,
    TrainedModel,
)
from robustrepro.spec.objectives import Adversarial, GradientRegularisation
from robustrepro.spec.reads import models_read_by


def resolved_datasets(declared: Mapping[str, DatasetSpec], stand_ins: Mapping[str, str]) -> dict[str, DatasetSpec]:
    """Return the data sets as a scale makes them: from what stands in for their sources.

    Of what stands in for a data set, the same share of the training split is held out as of that data set, and as many
    examples are sampled, or all where there are fewer.

    Raises
    ------
    UserError
        If one is made from an unknown data set, in a circle, or from one that it cannot be made from.
    """
    resolved: dict[str, DatasetSpec] = {}
    for name, dataset in declared.items():
        if isinstance(dataset, DerivedDataset):
            if dataset.source not in declared:
                raise unknown_name(f"data set in datasets.{name}: {dataset.origin}.from", dataset.source, declared)
            dataset = dataset.model_copy(update={"source": stand_ins.get(dataset.source, dataset.source)})
        resolved[name] = dataset
    for layer in (declared, resolved):
        for name, dataset in layer.items():
            if isinstance(dataset, DerivedDataset):
                _check_source(name, dataset, layer)
    for name in sorted(resolved, key=lambda name: len(_lineage(name, resolved))):
        dataset = resolved[name]
        if isinstance(dataset, HeldOutDataset):
            theirs = _examples_to_divide(name, declared)
            ours = example_count(dataset.source, "train", resolved)
            resolved[name] = dataset.model_copy(update={"examples": max(1, dataset.examples * ours // theirs)})
        if isinstance(dataset, SampledDataset):
            _require_enough_to_sample(name, declared)
            drawn = {
                split: min(count, example_count(dataset.source, split, resolved))
                for split, count in (("train", dataset.train), ("test", dataset.test))
            }
            resolved[name] = dataset.model_copy(update=drawn)
    return resolved


def _lineage(name: str, datasets: Mapping[str, DatasetSpec]) -> list[str]:
    """Return a data set, the one that it is made from, and so on."""
    lineage = [name]
    while isinstance(current := datasets[lineage[-1]], DerivedDataset):
        if current.source in lineage:
            raise UserError(f"datasets.{name}: made in a circle: {' from '.join([*lineage, current.source])}")
        lineage.append(current.source)
    return lineage


def _check_source(name: str, dataset: DerivedDataset, datasets: Mapping[str, DatasetSpec]) -> None:
    where = f"datasets.{name}: {dataset.origin}.from: {dataset.source}"
    source, first = datasets[dataset.source], datasets[_lineage(name, datasets)[-1]]
    if isinstance(dataset, HeldOutDataset) and not has_training_split(source):
        raise UserError(f"{where} has a test split only, so that no training examples can be held out of it")
    if isinstance(dataset, SampledDataset) and not has_training_split(source):
        raise UserError(f"{where} has a test split only, so that no training examples can be drawn from it")
    if not isinstance(dataset, GeneratedDataset):
        return
    if isinstance(source, AdversarialDataset):
        raise UserError(f"{where} is made from a model, and its float32 examples cannot be changed; expected images")
    if isinstance(first, FormedDataset) and len(first.input_shape) != 3:
        raise UserError(f"{where} has points of the plane; expected images")
    if dataset.split == "both" and not has_training_split(source):
        raise UserError(f"{where} has a test split only, so that 'split: both' cannot be made of it")


def _examples_to_divide(name: str, datasets: Mapping[str, DatasetSpec]) -> int:
    """Return how many training examples there are where some are held out, at most half of them."""
    dataset = datasets[name]
    assert isinstance(dataset, HeldOutDataset)
    count = example_count(dataset.source, "train", datasets)
    if dataset.examples > count // 2:
        raise UserError(
            f"datasets.{name}: held_out.examples: found {dataset.examples}; expected at most {count // 2}, half of the "
            f"{count} training examples of {dataset.source}"
        )
    return count


def _require_enough_to_sample(name: str, datasets: Mapping[str, DatasetSpec]) -> None:
    """Refuse to draw more examples than there are."""
    dataset = datasets[name]
    assert isinstance(dataset, SampledDataset)
    for split, called, count in (("train", "training", dataset.train), ("test", "test", dataset.test)):
        size = example_count(dataset.source, split, datasets)
        if count > size:
            raise UserError(
                f"datasets.{name}: sampled.{split}: found {count}; expected at most {size}, all {called} examples of "
                f"{dataset.source}"
            )


def has_training_split(dataset: DatasetSpec) -> bool:
    """Tell whether a data set has images to train on."""
    if isinstance(dataset, GeneratedDataset):
        return dataset.split == "both"
    return not isinstance(dataset, AdversarialDataset | ImageNetSpec)


def example_count(name: str, split: str, datasets: Mapping[str, DatasetSpec]) -> int:
    """Return how many examples a split of a data set has whose size is known before it is made."""
    dataset = datasets[name]
    if isinstance(dataset, HeldOutDataset):
        held_out = dataset.examples
        return held_out if split == "test" else example_count(dataset.source, "train", datasets) - held_out
    if isinstance(dataset, SampledDataset):
        return dataset.train if split == "train" else dataset.test
    if isinstance(dataset, GeneratedDataset):
        return example_count(dataset.source, split, datasets)
    assert isinstance(dataset, CountedDataset)
    return dataset.train_examples if split == "train" else dataset.test_examples


def check_derivation(name: str, models: Mapping[str, ModelDeclaration]) -> None:
    """Refuse a model that is derived from an unknown one, or in a circle.

    Raises
    ------
    UserError
        Which names the model, and the circle.
    """
    lineage, current = [name], models[name]
    while isinstance(current, DerivedModel):
        source = current.derived.source
        if source not in models:
            raise unknown_name(f"model in models.{lineage[-1]}: derived.from", source, models)
        if source in lineage:
            raise UserError(f"models.{name}: derived in a circle: {' from '.join([*lineage, source])}")
        lineage.append(source)
        current = models[source]


def kept_epochs(name: str, models: Mapping[str, ModelDeclaration]) -> list[int]:
    """Return the epochs after which the weights of a model are kept, in order; none unless it is trained."""
    model = models[name]
    return model.kept_epochs() if isinstance(model, TrainedModel) else []


def require_checkpoints(where: str, name: str, models: Mapping[str, ModelDeclaration]) -> None:
    """Refuse a model that keeps no weights of its training.

    Raises
    ------
    UserError
        Which begins with ``where`` and says what to add, if anything can be.
    """
    if kept_epochs(name, models):
        return
    model = models[name]
    if isinstance(model, ChosenModel):
        why = "a search chooses, so that its epochs are not known beforehand"
    elif not isinstance(model, TrainedModel):
        origin = "given" if isinstance(model, GivenModel) else "made from another model"
        why = f"is {origin}; only a model that is trained keeps 'checkpoints'"
    elif model.checkpoints:
        declared = ", ".join(map(str, model.checkpoints))
        why = f"is trained for {model.epochs} epochs, before its 'checkpoints' ({declared}); add an earlier one to them"
    else:
        why = "keeps none; add 'checkpoints' to the model, such as checkpoints: [1, 2, 5]"
    raise UserError(f"{where} needs weights of the training of {name}, which {why}")


def _require_trainings(name: str, model: ChosenModel, models: Mapping[str, ModelDeclaration]) -> None:
    """Refuse a search among models that are not trained."""
    for candidate in model.chosen.among.values():
        if not isinstance(models[candidate], TrainedModel):
            paper, reading = model.chosen.search.split("/")
            raise UserError(
                f"papers/{paper}/paper.yaml: readings.{reading}.search: it chooses how models are trained, and "
                f"{name.partition(AT)[0]}, which its candidates change, is not trained"
            )


def _check_change(
    where: str, derivation: Derivation, models: Mapping[str, ModelDeclaration], datasets: Mapping[str, DatasetSpec]
) -> None:
    """Refuse to take weights that the source's training does not keep, or to look at images that there are not."""
    change, source = derivation.change, derivation.source
    if isinstance(change, OfActivity):
        name = origin_of(source, models).dataset
        if change.split == "train" and name in datasets and not has_training_split(datasets[name]):
            raise UserError(f"{where}: derived.change.split: {name} has a test split only; expected test")
    if not isinstance(change, Checkpoint):
        return
    require_checkpoints(f"{where}: derived.change.epoch: {change.epoch}", source, models)
    kept = kept_epochs(source, models)
    if change.epoch not in kept:
        raise UserError(
            f"{where}: derived.change.epoch: {source} keeps no weights after epoch {change.epoch} at this scale; those "
            f"kept: {', '.join(map(str, kept))}"
        )


def check_models(models: Mapping[str, ModelDeclaration], datasets: Mapping[str, DatasetSpec]) -> None:
    """Refuse models of unknown lineage or data, and data sets of unknown models, at a scale.

    Raises
    ------
    UserError
        At the first of them.
    """
    for name in models:
        check_derivation(name, models)
    for name, model in models.items():
        if isinstance(model, DerivedModel):
            _check_change(f"models.{name}", model.derived, models, datasets)
        if isinstance(model, ChosenModel):
            _require_trainings(name, model, models)
        if isinstance(model, DerivedModel | ChosenModel):
            continue
        if model.dataset not in datasets:
            raise unknown_name(f"data set of model {name}", model.dataset, datasets)
        dataset = datasets[model.dataset]
        if isinstance(dataset, AdversarialDataset):
            raise UserError(f"models.{name}: dataset: {model.dataset} is made from a model, so no model can be of it")
        if isinstance(model, TrainedModel) and not has_training_split(dataset):
            raise UserError(
                f"models.{name}: dataset: {model.dataset} has a test split only, so none can be trained on it"
            )
        shape = form_of(model.dataset, models, datasets).input_shape
        if isinstance(model, TrainedModel):
            _check_adversaries(name, model, models, datasets)
        if has_pixel_range(model.dataset, models, datasets) and isinstance(model, TrainedModel):
            require_lengths_within(f"models.{name}: objective", model.objective, shape)
        elif _clips_images(model, shape):
            raise UserError(
                f"models.{name}: objective.clipped: the images of {model.dataset} have no range to be clipped to; "
                "expected false"
            )
        if isinstance(model, TrainedModel) and model.augmentation is not None and len(shape) != 3:
            raise UserError(
                f"models.{name}: augmentation: {model.augmentation.name} is of images; those of {model.dataset} are "
                "points of the plane"
            )
    for name, model in models.items():
        if isinstance(model, TrainedModel):
            _check_features(name, model, models, datasets)
        _check_circle(name, models)
    for name, dataset in datasets.items():
        if isinstance(dataset, AdversarialDataset):
            _check_adversarial(f"datasets.{name}: adversarial", dataset, models, datasets)


def _check_adversaries(
    name: str, model: TrainedModel, models: Mapping[str, ModelDeclaration], datasets: Mapping[str, DatasetSpec]
) -> None:
    """Refuse a training on what attacks make that cannot run on its data."""
    inputs = inputs_of(model.dataset, models, datasets)
    for attack in walk(model.objective):
        if isinstance(attack, Attack) and (why := attack.unfit(inputs)):
            raise UserError(f"models.{name}: objective: on {model.dataset}, {why}")


def _check_features(
    name: str, model: TrainedModel, models: Mapping[str, ModelDeclaration], datasets: Mapping[str, DatasetSpec]
) -> None:
    """Refuse a training that compares images by the features of unknown or unlike models; their data are known."""
    where = f"models.{name}: objective"
    for other in models_read_by(model.objective):
        if other not in models:
            raise unknown_name(f"model in {where}: features", other, models)
        require_alike(where, other, model.dataset, models, datasets)


def _check_circle(name: str, models: Mapping[str, ModelDeclaration], lineage: tuple[str, ...] = ()) -> None:
    """Refuse a model that could only be made once it is there, since its training reads what is made from it."""
    if name in lineage:
        circle = " needs ".join([*lineage[lineage.index(name) :], name])
        raise UserError(f"models.{name}: objective: its training reads models in a circle: {circle}")
    for other in _needed_by(name, models):
        _check_circle(other, models, (*lineage, name))


def _needed_by(name: str, models: Mapping[str, ModelDeclaration]) -> list[str]:
    """Return the models that must be there before one can be made."""
    match models[name]:
        case TrainedModel(objective=objective):
            return models_read_by(objective)
        case DerivedModel(derived=derived):
            return [derived.source]
        case ChosenModel(chosen=chosen):
            return [other for candidate in chosen.among.values() for other in _needed_by(candidate, models)]
    return []


def require_alike(
    where: str, other: str, dataset: str, models: Mapping[str, ModelDeclaration], datasets: Mapping[str, DatasetSpec]
) -> None:
    """Refuse to compare images of a data set by the features of a model that was made for others.

    Raises
    ------
    UserError
        Which begins with ``where``, and names both.
    """
    own = origin_of(other, models).dataset
    theirs, ours = inputs_of(own, models, datasets), inputs_of(dataset, models, datasets)
    if theirs != ours:
        in_range = "" if theirs.in_range == ours.in_range else f", pixels {'' if ours.in_range else 'not '}in [0, 1]"
        raise UserError(
            f"{where}: features.model: {other} is of {own}, with {theirs.classes} classes of shape {theirs.shape}; "
            f"expected, as in {dataset}, {ours.classes} of {ours.shape}{in_range}"
        )


def _clips_images(model: ModelDeclaration, shape: tuple[int, ...]) -> bool:
    """Tell whether a training makes adversarial images that stay in the range of valid pixels."""
    objective = model.objective if isinstance(model, TrainedModel) else None
    if isinstance(objective, GradientRegularisation):
        objective = objective.beside
    return isinstance(objective, Adversarial) and objective.clipped and len(shape) == IMAGE_DIMENSIONS


def _check_adversarial(
    where: str, dataset: AdversarialDataset, models: Mapping[str, ModelDeclaration], datasets: Mapping[str, DatasetSpec]
) -> None:
    if dataset.model not in models:
        raise unknown_name(f"model in {where}.model", dataset.model, models)
    name = origin_of(dataset.model, models).dataset
    if dataset.split == "train" and not has_training_split(datasets[name]):
        raise UserError(f"{where}.split: {dataset.model} is of {name}, which has no split 'train'")
    if dataset.clipped and not has_pixel_range(name, models, datasets):
        raise UserError(f"{where}.clipped: the examples of {name} have no range to be clipped to; expected false")
    inputs = inputs_of(name, models, datasets)
    for number, attack in enumerate(dataset.attacks):
        if why := attack.unfit(inputs):
            raise UserError(f"{where}.attacks[{number}]: {why}")
    if has_pixel_range(name, models, datasets):
        require_lengths_within(f"{where}.attacks", dataset, form_of(name, models, datasets).input_shape)


def has_pixel_range(name: str, models: Mapping[str, ModelDeclaration], datasets: Mapping[str, DatasetSpec]) -> bool:
    """Tell whether the examples of a data set are images with a range of valid pixels, to which an attack can clip.

    Points have none, nor have images that were preprocessed, or changed by an attack that did not clip.
    """
    dataset = datasets[name]
    if isinstance(dataset, AdversarialDataset):
        in_range = dataset.clipped or dataset.stored == "originals"
        return in_range and has_pixel_range(origin_of(dataset.model, models).dataset, models, datasets)
    if isinstance(dataset, GeneratedDataset) and isinstance(dataset.by, PreprocessedOnce):
        return False
    if isinstance(dataset, DerivedDataset):
        return has_pixel_range(dataset.source, models, datasets)
    return len(form_of(name, models, datasets).input_shape) == IMAGE_DIMENSIONS


def inputs_of(name: str, models: Mapping[str, ModelDeclaration], datasets: Mapping[str, DatasetSpec]) -> Inputs:
    """Return what an attack on a data set is to change."""
    form = form_of(name, models, datasets)
    return Inputs(form.input_shape, form.classes, has_pixel_range(name, models, datasets))


def origin_of(name: str, models: Mapping[str, ModelDeclaration]) -> TrainedModel | GivenModel:
    """Return the trained or given model among these that one of them comes from in the end."""
    model = models[name]
    while isinstance(model, DerivedModel | ChosenModel):
        # Those among which one is chosen differ in how they are trained alone.
        among = [model.derived.source] if isinstance(model, DerivedModel) else [*model.chosen.among.values()]
        model = models[among[0]]
    return model


def form_of(name: str, models: Mapping[str, ModelDeclaration], datasets: Mapping[str, DatasetSpec]) -> FormedDataset:
    """Return the data set from which one has the shape of its inputs and its classes."""
    dataset = datasets[name]
    while not isinstance(dataset, FormedDataset):
        if isinstance(dataset, DerivedDataset):
            dataset = datasets[dataset.source]
        else:
            dataset = datasets[origin_of(dataset.model, models).dataset]
    return dataset
