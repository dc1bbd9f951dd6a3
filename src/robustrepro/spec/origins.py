"""Where models and data sets come from in the end: what stands in for what, and lineages that lead nowhere."""

from __future__ import annotations

from collections.abc import Mapping

from robustrepro.errors import UserError, unknown_name
from robustrepro.spec.attacks import Inputs
from robustrepro.spec.datasets import AdversarialDataset, CountedDataset, DatasetSpec, GeneratedDataset
from robustrepro.spec.lengths import require_lengths_within
from robustrepro.spec.models import DerivedModel, GivenModel, ModelDeclaration, TrainedModel


def resolved_datasets(declared: Mapping[str, DatasetSpec], stand_ins: Mapping[str, str]) -> dict[str, DatasetSpec]:
    """Return the data sets as a scale makes them: generated from what stands in for their sources.

    Raises
    ------
    UserError
        If one is generated from an unknown data set, in a circle, or from what cannot be changed image by image.
    """
    resolved: dict[str, DatasetSpec] = {}
    for name, dataset in declared.items():
        if isinstance(dataset, GeneratedDataset):
            if dataset.source not in declared:
                raise unknown_name(f"data set in datasets.{name}: generated.from", dataset.source, declared)
            dataset = dataset.model_copy(update={"source": stand_ins.get(dataset.source, dataset.source)})
        resolved[name] = dataset
    for name in resolved:
        _check_source(name, resolved)
    return resolved


def _check_source(name: str, datasets: Mapping[str, DatasetSpec]) -> None:
    lineage, current = [name], datasets[name]
    while isinstance(current, GeneratedDataset):
        source, both = datasets[current.source], current.split == "both"
        where = f"datasets.{lineage[-1]}: generated.from: {current.source}"
        if current.source in lineage:
            raise UserError(f"datasets.{name}: generated in a circle: {' from '.join([*lineage, current.source])}")
        if isinstance(source, AdversarialDataset):
            raise UserError(
                f"{where} is made from a model, and its float32 examples cannot be changed; expected images"
            )
        if isinstance(source, CountedDataset) and len(source.input_shape) != 3:
            raise UserError(f"{where} has points of the plane; expected images")
        if both and isinstance(source, GeneratedDataset) and source.split == "test":
            raise UserError(f"{where} has a test split only, so that 'split: both' cannot be made of it")
        lineage.append(current.source)
        current = source


def has_training_split(dataset: DatasetSpec) -> bool:
    """Tell whether a data set has images to train on."""
    if isinstance(dataset, GeneratedDataset):
        return dataset.split == "both"
    return not isinstance(dataset, AdversarialDataset)


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


def check_models(models: Mapping[str, ModelDeclaration], datasets: Mapping[str, DatasetSpec]) -> None:
    """Refuse models of unknown lineage or data, and data sets of unknown models, at a scale.

    Raises
    ------
    UserError
        At the first of them.
    """
    for name, model in models.items():
        check_derivation(name, models)
        if isinstance(model, DerivedModel):
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
        if isinstance(model, TrainedModel) and model.augmentation is not None and len(shape) != 3:
            raise UserError(
                f"models.{name}: augmentation: {model.augmentation.name} is of images; those of {model.dataset} are "
                "points of the plane"
            )
    for name, dataset in datasets.items():
        if isinstance(dataset, AdversarialDataset):
            _check_adversarial(f"datasets.{name}: adversarial", dataset, models, datasets)


def _check_adversarial(
    where: str, dataset: AdversarialDataset, models: Mapping[str, ModelDeclaration], datasets: Mapping[str, DatasetSpec]
) -> None:
    if dataset.model not in models:
        raise unknown_name(f"model in {where}.model", dataset.model, models)
    name = origin_of(dataset.model, models).dataset
    if dataset.split == "train" and not has_training_split(datasets[name]):
        raise UserError(f"{where}.split: {dataset.model} is of {name}, which has no split 'train'")
    if dataset.box == "unit" and len(form_of(name, models, datasets).input_shape) != 3:
        raise UserError(f"{where}.box: the points of {name} have no unit box; expected null")
    form = form_of(name, models, datasets)
    for number, attack in enumerate(dataset.attacks):
        if why := attack.unfit(Inputs(form.input_shape, form.classes, bounded=dataset.box == "unit")):
            raise UserError(f"{where}.attacks[{number}]: {why}")
    if dataset.box == "unit":
        require_lengths_within(f"{where}.attacks", dataset, form_of(name, models, datasets).input_shape)


def origin_of(name: str, models: Mapping[str, ModelDeclaration]) -> TrainedModel | GivenModel:
    """Return the trained or given model among these that one of them comes from in the end."""
    model = models[name]
    while isinstance(model, DerivedModel):
        model = models[model.derived.source]
    return model


def form_of(name: str, models: Mapping[str, ModelDeclaration], datasets: Mapping[str, DatasetSpec]) -> CountedDataset:
    """Return the data set from which one has the shape of its inputs and its classes."""
    dataset = datasets[name]
    while not isinstance(dataset, CountedDataset):
        if isinstance(dataset, GeneratedDataset):
            dataset = datasets[dataset.source]
        else:
            dataset = datasets[origin_of(dataset.model, models).dataset]
    return dataset
