"""Networks as declared in ``paper.yaml``: an architecture, and what is done to the images in front of it."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from robustrepro.spec.base import Declaration, Implemented, Number

Count = Annotated[int, Field(ge=1)]


def _per_channel(declared: Any) -> Any:
    """Return the list that a single number is short for; anything else as it is."""
    return declared if isinstance(declared, list) else [declared]


PerChannel = Annotated[list[Number], Field(min_length=1), BeforeValidator(_per_channel)]
"""One number for all channels, or one per channel."""
Deviations = Annotated[list[Annotated[Number, Field(gt=0)]], Field(min_length=1), BeforeValidator(_per_channel)]


class Lenet5(Implemented):
    """LeNet-5 on images of 28x28 or 32x32."""

    implementation: ClassVar[str] = "robustrepro.models.lenet5:LeNet5"
    name: Literal["lenet5"]


class Mlp(Implemented):
    """Fully connected layers of the given widths with ReLU between them."""

    implementation: ClassVar[str] = "robustrepro.models.mlp:MultiLayerPerceptron"
    name: Literal["mlp"]
    hidden: Annotated[list[Count], Field(min_length=1)]


class ConvNet(Implemented):
    """3x3 convolutions of stride 2 with ReLU, of the given numbers of channels, and a linear layer."""

    implementation: ClassVar[str] = "robustrepro.models.convnet:ConvNet"
    name: Literal["convnet"]
    channels: Annotated[list[Count], Field(min_length=1)]


class PooledConvNet(Implemented):
    """Valid convolutions, each with ReLU and max-pooling, then fully connected layers.

    ``channels`` and ``pools`` have one number per convolution; ``kernel`` and ``pools`` are in pixels.
    """

    implementation: ClassVar[str] = "robustrepro.models.pooled_convnet:PooledConvNet"
    name: Literal["pooled_convnet"]
    channels: Annotated[list[Count], Field(min_length=1)]
    kernel: Count
    pools: Annotated[list[Count], Field(min_length=1)]
    hidden: list[Count]

    @model_validator(mode="after")
    def _pools_after_every_convolution(self) -> Self:
        if len(self.pools) != len(self.channels):
            raise ValueError(f"pools has {len(self.pools)} numbers, channels {len(self.channels)}; expected as many")
        return self


class StridedConvNet(Implemented):
    """Padded convolutions of one ``stride`` with ReLU, then fully connected layers of the widths ``hidden``.

    ``channels`` has one number per convolution; ``kernel`` and ``stride`` are in pixels.
    """

    implementation: ClassVar[str] = "robustrepro.models.strided_convnet:StridedConvNet"
    name: Literal["strided_convnet"]
    channels: Annotated[list[Count], Field(min_length=1)]
    kernel: Count
    stride: Count
    hidden: list[Count]


class AveragedConvNet(Implemented):
    """3x3 convolutions with ReLU, then one with a feature map per class, and global average pooling.

    ``channels`` and ``strides`` have one number for each convolution but the last.
    """

    implementation: ClassVar[str] = "robustrepro.models.averaged_convnet:AveragedConvNet"
    name: Literal["averaged_convnet"]
    channels: Annotated[list[Count], Field(min_length=1)]
    strides: Annotated[list[Count], Field(min_length=1)]

    @model_validator(mode="after")
    def _stride_of_every_convolution(self) -> Self:
        if len(self.strides) != len(self.channels):
            raise ValueError(
                f"strides has {len(self.strides)} numbers, channels {len(self.channels)}; expected as many"
            )
        return self


class BlockConvNet(Implemented):
    """A convolution with ``stem`` filters, blocks of two normalised ones, then fully connected layers.

    ``channels`` has the filters of each block, ``hidden`` the width of each hidden fully connected layer.
    """

    implementation: ClassVar[str] = "robustrepro.models.block_convnet:BlockConvNet"
    name: Literal["block_convnet"]
    stem: Count = 24
    channels: Annotated[list[Count], Field(min_length=1)]
    hidden: list[Count] = Field(default_factory=list)


class CarliniWagner(Implemented):
    """Pairs of valid 3x3 convolutions with ReLU, each pair with 2x2 max-pooling, then fully connected layers.

    ``channels`` has the filters of each pair, ``hidden`` the width of each hidden fully connected layer.
    """

    implementation: ClassVar[str] = "robustrepro.models.carlini_wagner:CarliniWagnerNet"
    name: Literal["carlini_wagner"]
    channels: Annotated[list[Count], Field(min_length=1, default_factory=lambda: [32, 64])]
    hidden: list[Count] = Field(default_factory=lambda: [200, 200])


class CifarAlexnet(Implemented):
    """AlexNet for small images: five convolutions, whose filters are ``channels``, then fully connected layers.

    ``hidden`` has the width of each hidden fully connected layer.
    """

    implementation: ClassVar[str] = "robustrepro.models.cifar_alexnet:CifarAlexNet"
    name: Literal["cifar_alexnet"]
    channels: Annotated[
        list[Count], Field(min_length=5, max_length=5, default_factory=lambda: [64, 192, 384, 256, 256])
    ]
    hidden: list[Count] = Field(default_factory=lambda: [4096, 4096])


class PreActResnet18(Implemented):
    """The pre-activation ResNet-18 with a stem for small images; ``width`` is the number of filters of its stem."""

    implementation: ClassVar[str] = "robustrepro.models.preact_resnet:PreActResNet18"
    name: Literal["preact_resnet18"]
    width: Count = 64


class Vgg(Implemented):
    """VGG with batch normalisation and dropout, in five groups of ``convolutions`` with so many ``channels`` each."""

    implementation: ClassVar[str] = "robustrepro.models.vgg:Vgg"
    name: Literal["vgg"]
    channels: Annotated[
        list[Count], Field(min_length=5, max_length=5, default_factory=lambda: [64, 128, 256, 512, 512])
    ]
    convolutions: Annotated[list[Count], Field(min_length=5, max_length=5, default_factory=lambda: [2, 2, 3, 3, 3])]


class Resnet50(Implemented):
    """ResNet-50 with a stem for small images."""

    implementation: ClassVar[str] = "robustrepro.models.resnet:ResNet50"
    name: Literal["resnet50"]


class TorchvisionNetwork(Implemented):
    """A network for ImageNet as torchvision has it; ``variant`` is its name there."""

    implementation: ClassVar[str] = "robustrepro.models.torchvision_network:torchvision_network"
    name: Literal["torchvision"]
    variant: Literal["alexnet", "resnet18", "resnet50", "squeezenet1_1", "vgg11", "vgg19"]


class Standardise(Implemented):
    """(x − ``mean``) / ``std``, in units of the pixel range [0, 1]; one number each, or one per channel."""

    implementation: ClassVar[str] = "robustrepro.models.preprocessing.standardise:Standardise"
    name: Literal["standardise"]
    mean: PerChannel
    std: Deviations


class Pad(Implemented):
    """Zeros around the image until its height and width are ``size``, in pixels."""

    implementation: ClassVar[str] = "robustrepro.models.preprocessing.pad:Pad"
    name: Literal["pad"]
    size: Count


class ColourSpace(Implemented):
    """From RGB to another colour space; ``yuv`` is that of ITU-R BT.601."""

    implementation: ClassVar[str] = "robustrepro.models.preprocessing.colour_space:ColourSpace"
    name: Literal["colour_space"]
    to: Literal["yuv"]


class LocalContrastNormalisation(Implemented):
    """Each pixel of ``channels`` (counted from 0) in units of the contrast in a window of ``size`` pixels around it."""

    implementation: ClassVar[str] = (
        "robustrepro.models.preprocessing.local_contrast_normalisation:LocalContrastNormalisation"
    )
    name: Literal["local_contrast_normalisation"]
    channels: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)]
    size: Count

    @model_validator(mode="after")
    def _window_has_a_middle(self) -> Self:
        if self.size % 2 == 0:
            raise ValueError(f"size is {self.size}; expected an odd number, so that the window has a middle")
        return self


class InputNormalisation(Implemented):
    """Batch normalisation of the input, per channel and without affine parameters."""

    implementation: ClassVar[str] = "robustrepro.models.preprocessing.input_normalisation:InputNormalisation"
    name: Literal["input_normalisation"]


def _named(declared: Any) -> Any:
    """Return the mapping that a bare name is short for; anything else as it is."""
    return {"name": declared} if isinstance(declared, str) else declared


Architecture = Annotated[
    Lenet5
    | Mlp
    | ConvNet
    | PooledConvNet
    | StridedConvNet
    | AveragedConvNet
    | BlockConvNet
    | CarliniWagner
    | CifarAlexnet
    | PreActResnet18
    | Vgg
    | Resnet50
    | TorchvisionNetwork,
    Field(discriminator="name"),
    BeforeValidator(_named),
]
"""One architecture; ``lenet5`` is short for ``{name: lenet5}``."""

Preprocessing = Annotated[
    Standardise | Pad | ColourSpace | LocalContrastNormalisation | InputNormalisation, Field(discriminator="name")
]


class Network(Declaration):
    """What every measurement loads: it takes images as their data set has them, preprocesses them, returns logits."""

    architecture: Architecture
    preprocessing: list[Preprocessing] = Field(default_factory=list)
