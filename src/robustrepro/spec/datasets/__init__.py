"""Which data sets exist, and how a paper declares more of them: what the planner reads, and part of each job's spec.

A data set's class names the code that makes it, so that a job depends on the loader of its own data set and on no
other's. Adding one is its class here and its file in `robustrepro.datasets`.
"""

from robustrepro.spec.datasets.base import Dataset
from robustrepro.spec.datasets.built_in import (
    DATASETS,
    BlobsSpec,
    BuiltInDataset,
    Cifar10Spec,
    CirclesSpec,
    CountedDataset,
    DigitsSpec,
    FormedDataset,
    ImageNetSpec,
    MnistSpec,
    OfficialFile,
    SpiralsSpec,
    TwoMoonsSpec,
    dataset_spec,
)
from robustrepro.spec.datasets.made import (
    AdversarialDataset,
    DeclaredDataset,
    DerivedDataset,
    GaussianNoise,
    GeneratedDataset,
    HeldOutDataset,
    PreprocessedOnce,
    SampledDataset,
    dataset_of,
)

DatasetSpec = BuiltInDataset | DeclaredDataset
"""Any data set."""

__all__ = [
    "DATASETS",
    "AdversarialDataset",
    "BlobsSpec",
    "Cifar10Spec",
    "CirclesSpec",
    "CountedDataset",
    "Dataset",
    "DatasetSpec",
    "DerivedDataset",
    "DigitsSpec",
    "FormedDataset",
    "GaussianNoise",
    "GeneratedDataset",
    "HeldOutDataset",
    "ImageNetSpec",
    "MnistSpec",
    "OfficialFile",
    "PreprocessedOnce",
    "SampledDataset",
    "SpiralsSpec",
    "TwoMoonsSpec",
    "dataset_of",
    "dataset_spec",
]
