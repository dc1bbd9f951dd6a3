"""scikit-learn's handwritten digits as images of MNIST's and of CIFAR-10's shape: real data without a download."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from robustrepro.datasets.examples import Examples, Ingredients, MadeDataset
from robustrepro.seeds import derive_seed
from robustrepro.spec.datasets import DigitsSpec

Grey = NDArray[np.uint8]  # (H, W)


def make(declared: DigitsSpec, _: Ingredients) -> MadeDataset:
    """Make the training and the test images of ``digits`` or ``digits_rgb``.

    Both have the same split, stratified by class. The writers are not recorded, so it cannot be a split by writer.
    """
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    digits = load_digits()
    labels: NDArray[np.integer] = digits.target
    small: NDArray[np.uint8] = np.rint(digits.images * (255 / 16)).astype(np.uint8)
    train, test = train_test_split(
        np.arange(len(labels)),
        train_size=declared.train_examples,
        test_size=declared.test_examples,
        stratify=labels,
        random_state=derive_seed(declared.seed, "digits split") % 2**32,
    )
    if declared.name == "digits":
        images = np.stack([_like_mnist(digit) for digit in small])[:, None]
    else:
        images = _on_photographs(small, declared.seed)
    splits = Examples(images[train], labels[train]), Examples(images[test], labels[test])
    return MadeDataset(*splits, declared.classes, declared.source)


def _like_mnist(digit: Grey) -> Grey:
    # As in MNIST, the digit fills 20 x 20 pixels and a border of 4 is black. Bicubic keeps the strokes as sharp as
    # 8 x 8 pixels allow: mean 0.158 and standard deviation 0.293 of a pixel, 0.131 and 0.308 in MNIST. (Straight to
    # 28 x 28: mean 0.31; bilinear: greyer strokes; Lanczos: ringing on the black ground.)
    return np.pad(_resize(digit, 20, Image.Resampling.BICUBIC), 4)


def _resize(image: Grey, side: int, filter_: Image.Resampling) -> Grey:
    return np.asarray(Image.fromarray(image).resize((side, side), filter_))


def _on_photographs(small: NDArray[np.uint8], seed: int) -> NDArray[np.uint8]:
    """Return a colour image of each digit, uint8, shape (N, 3, 32, 32).

    Each image has a random stream of its own, by its index in scikit-learn's order.
    """
    from sklearn.datasets import load_sample_images

    photographs = load_sample_images().images
    streams = (np.random.default_rng(derive_seed(seed, "digits_rgb image", index)) for index in range(len(small)))
    return np.stack([_compose(digit, photographs, stream) for digit, stream in zip(small, streams, strict=True)])


def _compose(digit: Grey, photographs: list[NDArray[np.uint8]], generator: np.random.Generator) -> NDArray[np.uint8]:
    """Paint one digit, 26 x 26 pixels and somewhere inside, on a crop of a photograph; shape (3, 32, 32)."""
    photograph = photographs[generator.integers(len(photographs))]
    # Crops of up to 96 x 96 pixels, shrunk: as varied as the background of a natural image of 32 x 32 pixels.
    side = int(generator.integers(32, 97))
    top = int(generator.integers(photograph.shape[0] - side + 1))
    left = int(generator.integers(photograph.shape[1] - side + 1))
    crop = photograph[top : top + side, left : left + side]
    background = _resize(crop, 32, Image.Resampling.BOX).astype(np.float64)

    mask = np.zeros((32, 32, 1))
    row, column = generator.integers(7, size=2)
    mask[row : row + 26, column : column + 26, 0] = _resize(digit, 26, Image.Resampling.BICUBIC) / 255

    colour = generator.uniform(0, 255, size=3)
    # A digit that nobody could tell from its background would be label noise: lift or lower its lightness.
    lightness = background.mean()
    colour += (90 if lightness < 128 else -90) + lightness - colour.mean()
    painted = (1 - mask) * background + mask * np.clip(colour, 0, 255)
    return np.rint(painted).astype(np.uint8).transpose(2, 0, 1)
