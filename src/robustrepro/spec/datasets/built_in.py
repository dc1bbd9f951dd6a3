"""The data sets that are known by name, as static declarations."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from robustrepro.errors import unknown_name
from robustrepro.spec.base import Declaration, Number
from robustrepro.spec.datasets.base import Dataset


class OfficialFile(Declaration):
    """A file as its authors published it."""

    name: str
    md5: str = Field(pattern="^[0-9a-f]{32}$")


class FormedDataset(Dataset):
    """A data set whose form is known before it is made.

    ``input_shape`` is (channels, height, width) for images, (2,) for points.
    """

    input_shape: tuple[int, ...]
    classes: int = Field(ge=2)
    source: str


class CountedDataset(FormedDataset):
    """A data set whose sizes are known beforehand, and in which every class occurs."""

    train_examples: int = Field(ge=1)
    test_examples: int = Field(ge=1)

    @property
    def in_words(self) -> str:
        """Where it comes from and how large it is."""
        return f"{self.source}; {self.train_examples:,} to train on and {self.test_examples:,} to test"


class DigitsSpec(CountedDataset):
    """Images made from what scikit-learn ships, so that nothing is downloaded."""

    implementation: ClassVar[str] = "robustrepro.datasets.digits:make"
    kind: Literal["embedded"] = "embedded"
    name: Literal["digits", "digits_rgb"]
    seed: int = 0


class MnistSpec(CountedDataset):
    """Gzipped IDX files; ``train_files`` and ``test_files`` are (images, labels)."""

    implementation: ClassVar[str] = "robustrepro.datasets.mnist:make"
    kind: Literal["torchvision"] = "torchvision"
    name: Literal["mnist", "fashion_mnist"]
    train_files: tuple[OfficialFile, OfficialFile]
    test_files: tuple[OfficialFile, OfficialFile]


class Cifar10Spec(CountedDataset):
    """Pickled batches in ``batches_folder``, or the ``archive`` that holds this folder."""

    implementation: ClassVar[str] = "robustrepro.datasets.cifar10:make"
    kind: Literal["torchvision"] = "torchvision"
    name: Literal["cifar10"]
    archive: OfficialFile
    batches_folder: str
    train_files: tuple[OfficialFile, ...]
    test_files: tuple[OfficialFile, ...]
    # Says which number is which class: with another one, the labels could mean something else.
    class_names_file: OfficialFile


class ImageNetSpec(FormedDataset):
    """The validation images of ILSVRC2012, in a folder of the mirror; there is nothing to train on.

    Images are decoded, their shorter side is made ``resized`` pixels long (bilinear), and the middle is cut out. Of the
    official images there are ``official_examples``, as many of each class, with names like ``official_name``; what a
    folder has is seen when it is read.
    """

    implementation: ClassVar[str] = "robustrepro.datasets.imagenet:make"
    kind: Literal["image_folder"] = "image_folder"
    name: Literal["imagenet"] = "imagenet"
    input_shape: tuple[int, ...] = (3, 224, 224)
    classes: int = 1000
    source: str = "ImageNet, the validation images of ILSVRC2012 (Russakovsky et al. 2015)"
    resized: int = 256
    official_examples: int = 50_000
    official_name: str = r"ILSVRC2012_val_\d{8}\.JPEG"

    @property
    def in_words(self) -> str:
        """Where it comes from, and how large it is if it is whole."""
        return f"{self.source}; to test on alone, {self.official_examples:,} where all are there"


class _Toy(CountedDataset):
    """Points in the plane; ``noise`` is the standard deviation of the Gaussian noise on each coordinate."""

    kind: Literal["toy"] = "toy"
    input_shape: tuple[int, ...] = (2,)
    classes: int = 2
    train_examples: int = 96
    test_examples: int = 1000
    noise: Annotated[Number, Field(gt=0)]
    seed: int = 0


class TwoMoonsSpec(_Toy):
    """Two interleaving half circles of radius 1."""

    implementation: ClassVar[str] = "robustrepro.datasets.toys:two_moons"
    name: Literal["two_moons"] = "two_moons"
    source: str = "scikit-learn: make_moons"


class CirclesSpec(_Toy):
    """A circle of radius 1 around one of radius ``inner_radius``."""

    implementation: ClassVar[str] = "robustrepro.datasets.toys:circles"
    name: Literal["circles"] = "circles"
    source: str = "scikit-learn: make_circles"
    inner_radius: Annotated[Number, Field(gt=0, lt=1)]


class BlobsSpec(_Toy):
    """Two Gaussians, ``distance`` apart on the first axis."""

    implementation: ClassVar[str] = "robustrepro.datasets.toys:blobs"
    name: Literal["blobs"] = "blobs"
    source: str = "scikit-learn: make_blobs"
    distance: Annotated[Number, Field(gt=0)]


class SpiralsSpec(_Toy):
    """Two interleaving Archimedean spirals that turn ``turns`` times on their way out to radius 2."""

    implementation: ClassVar[str] = "robustrepro.datasets.toys:spirals"
    name: Literal["spirals"] = "spirals"
    source: str = "two Archimedean spirals, uniform in the angle"
    turns: Annotated[Number, Field(gt=0)]


BuiltInDataset = (
    DigitsSpec | MnistSpec | Cifar10Spec | ImageNetSpec | TwoMoonsSpec | CirclesSpec | BlobsSpec | SpiralsSpec
)

# The published MD5s; those that torchvision checks, too.
_BUILT_IN: tuple[BuiltInDataset, ...] = (
    DigitsSpec(
        name="digits",
        input_shape=(1, 28, 28),
        classes=10,
        train_examples=1437,
        test_examples=360,
        source="scikit-learn: the 1797 handwritten digits of the UCI test set (Alpaydin and Kaynak 1998)",
    ),
    DigitsSpec(
        name="digits_rgb",
        input_shape=(3, 32, 32),
        classes=10,
        train_examples=1437,
        test_examples=360,
        source="scikit-learn: the same digits, coloured, on crops of its two sample photographs",
    ),
    MnistSpec(
        name="mnist",
        input_shape=(1, 28, 28),
        classes=10,
        train_examples=60_000,
        test_examples=10_000,
        source="MNIST (LeCun et al. 1998)",
        train_files=(
            OfficialFile(name="train-images-idx3-ubyte.gz", md5="f68b3c2dcbeaaa9fbdd348bbdeb94873"),
            OfficialFile(name="train-labels-idx1-ubyte.gz", md5="d53e105ee54ea40749a09fcbcd1e9432"),
        ),
        test_files=(
            OfficialFile(name="t10k-images-idx3-ubyte.gz", md5="9fb629c4189551a2d022fa330f9573f3"),
            OfficialFile(name="t10k-labels-idx1-ubyte.gz", md5="ec29112dd5afa0611ce80d1b7f02629c"),
        ),
    ),
    MnistSpec(
        name="fashion_mnist",
        input_shape=(1, 28, 28),
        classes=10,
        train_examples=60_000,
        test_examples=10_000,
        source="Fashion-MNIST (Xiao et al. 2017)",
        train_files=(
            OfficialFile(name="train-images-idx3-ubyte.gz", md5="8d4fb7e6c68d591d4c3dfef9ec88bf0d"),
            OfficialFile(name="train-labels-idx1-ubyte.gz", md5="25c81989df183df01b3e8a0aad5dffbe"),
        ),
        test_files=(
            OfficialFile(name="t10k-images-idx3-ubyte.gz", md5="bef4ecab320f06d8554ea6380940ec79"),
            OfficialFile(name="t10k-labels-idx1-ubyte.gz", md5="bb300cfdad3c16e7a12a480ee83cd310"),
        ),
    ),
    Cifar10Spec(
        name="cifar10",
        input_shape=(3, 32, 32),
        classes=10,
        train_examples=50_000,
        test_examples=10_000,
        source="CIFAR-10 (Krizhevsky 2009), python version",
        archive=OfficialFile(name="cifar-10-python.tar.gz", md5="c58f30108f718f92721af3b95e74349a"),
        batches_folder="cifar-10-batches-py",
        train_files=(
            OfficialFile(name="data_batch_1", md5="c99cafc152244af753f735de768cd75f"),
            OfficialFile(name="data_batch_2", md5="d4bba439e000b95fd0a9bffe97cbabec"),
            OfficialFile(name="data_batch_3", md5="54ebc095f3ab1f0389bbae665268c751"),
            OfficialFile(name="data_batch_4", md5="634d18415352ddfa80567beed471001a"),
            OfficialFile(name="data_batch_5", md5="482c414d41f54cd18b22e5b47cb7c3cb"),
        ),
        test_files=(OfficialFile(name="test_batch", md5="40351d587109b95175f43aff81a1287e"),),
        class_names_file=OfficialFile(name="batches.meta", md5="5ff9c542aee3614f3951f8cda6e48888"),
    ),
    ImageNetSpec(),
    # "Very few examples" and "very noisy samples" is all that the hrm paper says of its toy sets; sizes and noise
    # are chosen so that the classes overlap and a large network can fit every training point.
    TwoMoonsSpec(noise=0.25),
    CirclesSpec(noise=0.15, inner_radius=0.5),
    BlobsSpec(noise=0.75, distance=2.5),
    SpiralsSpec(noise=0.15, turns=1.0),
)
DATASETS: dict[str, BuiltInDataset] = {spec.name: spec for spec in _BUILT_IN}


def dataset_spec(name: str) -> BuiltInDataset:
    """Return the declaration of a built-in data set.

    Raises
    ------
    UserError
        If no data set has this name; the message has the nearest one and all known ones.
    """
    try:
        return DATASETS[name]
    except KeyError:
        raise unknown_name("data set", name, DATASETS) from None
