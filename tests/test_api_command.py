"""`robustrepro audit-model`: models from files, weights, data sets, and what it says of mistakes in them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from attack_cases import random_case
from conftest import REPOSITORY
from safetensors.torch import save_file
from typer.main import get_command
from typer.testing import CliRunner

from robustrepro.api.command import load_model
from robustrepro.api.data_set import test_examples as examples_of
from robustrepro.command_line import app
from robustrepro.errors import UserError
from robustrepro.spec.datasets import DATASETS

CODE = """
import torch
from torch import nn

def make_model():
    return nn.Sequential(
        nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(288, 16), nn.ReLU(), nn.Linear(16, 4)
    )

class Network(nn.Sequential):
    def __init__(self):
        super().__init__(*make_model())

ready = make_model()
number = 3

def needs(width):
    return nn.Linear(width, 2)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a user's model, weights and images."""
    monkeypatch.chdir(tmp_path)
    model, images, labels = random_case(12)
    Path("mine.py").write_text(CODE, encoding="utf-8")
    save_file(model.state_dict(), "w.safetensors")
    torch.save(model.state_dict(), "w.pt")
    torch.save(
        {"epoch": 3, "state_dict": {f"module.{name}": v for name, v in model.state_dict().items()}}, "wrapped.pt"
    )
    torch.save(model, "whole.pt")
    np.savez("images.npz", images=images.numpy(), labels=labels.numpy())
    return tmp_path


@pytest.mark.parametrize("weights", ["w.safetensors", "w.pt", "wrapped.pt"])
@pytest.mark.parametrize("name", ["make_model", "Network", "ready"])
def test_a_model_is_made_from_a_file_with_its_weights(folder: Path, name: str, weights: str) -> None:
    model, images, _ = random_case(12)
    loaded = load_model(f"{folder}/mine.py:{name}", Path(weights))
    assert not loaded.training
    with torch.no_grad():
        assert torch.equal(loaded(images), model(images))
    assert not load_model("mine:make_model", None).training


@pytest.mark.parametrize(
    ("model", "weights", "message"),
    [
        ("mine.py", None, "mine.py: expected FILE.py:NAME or package.module:NAME"),
        ("other.py:make", None, "other.py: there is no such file"),
        ("mine.py:make_modle", None, "unknown name in mine.py: 'make_modle'; did you mean 'make_model'?"),
        ("mine.py:number", None, "mine.py:number: is a int; expected a torch.nn.Module, or a function that makes one"),
        ("mine.py:needs", None, "mine.py:needs: cannot be called without arguments (TypeError"),
        ("nowhere.at.all:make", None, "nowhere.at.all: cannot be imported (ModuleNotFoundError"),
        ("mine.py:make_model", "none.pt", "--weights none.pt: there is no such file"),
        ("mine.py:make_model", "mine.py", "--weights mine.py: cannot be read as weights alone"),
        ("mine.py:make_model", "whole.pt", "A file that holds a whole model could run any code"),
        ("mine.py:make_model", "small.safetensors", "does not fit the model mine.py:make_model: tensors"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_a_mistaken_model_is_named(model: str, weights: str | None, message: str) -> None:
    save_file({"0.weight": torch.zeros(1)}, "small.safetensors")
    with pytest.raises(UserError) as error:
        load_model(model, Path(weights) if weights else None)
    assert message in str(error.value)


@pytest.mark.usefixtures("folder")
def test_the_command_writes_a_page_and_keeps_nothing_beside_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from robustrepro.spec.audit import Audit, built_in_audit

    few = built_in_audit().model_dump() | {
        "attacks": {"fgsm": {"name": "fgsm"}, "pgd": {"name": "pgd", "steps": 3}},
        "escalation": {"pgd-2": {"name": "pgd", "steps": 3}},
        "without_gradients": {},
    }
    monkeypatch.setattr("robustrepro.api.ball.built_in_audit", lambda: Audit.model_validate(few))
    arguments = ["audit-model", "mine.py:make_model", "--weights", "w.safetensors", "--dataset", "images.npz"]
    arguments += ["--epsilon", "8/255", "--examples", "10", "--out", "page.html", "--other", "mine.py:ready=w.pt"]
    arguments += ["--attack", "pgd:steps=5,loss=margin", "--attack", "noise:draws=2"]
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert "of 10 images resist every attack within ℓ∞ 8/255" in result.output
    page = Path("page.html").read_text(encoding="utf-8")
    assert "transfer from mine.py:ready" in page
    assert "PGD, 5 steps, on the margin <code>own-pgd-steps-5-loss-margin</code>" in page
    assert "<code>own-noise-draws-2</code>" in page
    assert "images.npz" in page
    assert not list(Path().glob("*.partial"))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"--epsilon": "eight"}, "--epsilon eight: expected a number or a fraction, such as 0.03 or 8/255"),
        ({"--dataset": "cifar-10"}, "unknown data set: 'cifar-10'; did you mean 'cifar10'?"),
        ({"--dataset": "none.npz"}, "--dataset none.npz: there is no such file"),
        (
            {"--epsilon": "25"},
            "epsilon is 25; expected at most 1, the largest ℓ∞ distance between two inputs with values",
        ),
        ({"--epsilon": "25"}, "did you mean 25/255?"),
        ({"--attack": "pgd:step=5"}, "unknown option of 'pgd' in --attack pgd:step=5: 'step'; did you mean 'steps'?"),
        ({"--attack": "deepfool"}, "unknown attack in --attack deepfool: 'deepfool'"),
        (
            {"--attack": "pgd:steps"},
            "--attack pgd:steps: expected NAME or NAME:OPTION=VALUE,..., such as pgd:steps=1000",
        ),
        ({"--attack": "pgd:steps=many"}, "steps"),
        ({"--dataset": "two_moons"}, "--dataset two_moons: its examples have no range of valid pixels"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_a_mistaken_option_is_named(changed: dict[str, str], message: str) -> None:
    options = {"--dataset": "images.npz", "--epsilon": "0.1"} | changed
    arguments = [part for option in options.items() for part in option]
    result = CliRunner().invoke(app, ["audit-model", "mine.py:make_model", *arguments])
    assert isinstance(result.exception, UserError)
    assert message in str(result.exception)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": np.zeros((4, 1, 8, 8))}, "and labels (N,), whole numbers; found x float64 (4, 1, 8, 8)"),
        ({"images": np.zeros((4, 1, 8, 8))}, "expected images (N, channels, height, width), grey ones also (N, height"),
        (
            {"images": np.zeros((4, 1, 8, 8)), "labels": np.zeros(3, int)},
            "found images float64 (4, 1, 8, 8), labels",
        ),
        ({"images": np.zeros((4, 1, 8, 8)), "labels": np.zeros((4, 1), int)}, "labels int64 (4, 1)"),
        ({"images": np.zeros((4, 1, 8, 8)), "labels": np.zeros(4)}, "labels float64 (4,)"),
        ({"images": np.zeros((4, 1, 8, 8), int), "labels": np.zeros(4, int)}, "found images int64 (4, 1, 8, 8)"),
        (
            {"images": np.zeros((4, 8, 8, 3)), "labels": np.zeros(4, int)},
            "Channels seem to be last: save images",
        ),
        (
            {"images": np.array([None] * 4), "labels": np.zeros(4, int)},
            "cannot be read as .npz of plain arrays (",
        ),
        (b"no archive", "--dataset wrong.npz: cannot be read as .npz of plain arrays ("),
        (b"", "--dataset wrong.npz: cannot be read as .npz of plain arrays ("),
    ],
)
@pytest.mark.usefixtures("folder")
def test_a_file_of_other_arrays_says_what_is_expected_and_found(arrays: Any, message: str) -> None:
    if isinstance(arrays, bytes):
        Path("wrong.npz").write_bytes(arrays)
    else:
        np.savez("wrong.npz", **arrays)
    result = CliRunner().invoke(
        app, ["audit-model", "mine.py:make_model", "--dataset", "wrong.npz", "--epsilon", "0.1"]
    )
    assert isinstance(result.exception, UserError)
    assert message in str(result.exception)
    assert "\n" not in str(result.exception)


@pytest.mark.parametrize("kind", [np.uint8, np.float32, np.float64])
@pytest.mark.usefixtures("folder")
def test_grey_images_without_channels_are_taken(kind: Any) -> None:
    levels = np.random.default_rng(0).integers(0, 256, (5, 8, 8))
    images = levels.astype(np.uint8) if kind is np.uint8 else (levels / 255).astype(kind)
    np.savez("grey.npz", images=images, labels=np.arange(5, dtype=np.uint8))
    found, labels = examples_of("grey.npz", Path("data"), 4, allow_unverified=False)
    assert found.shape == (4, 1, 8, 8)
    assert found.dtype == kind
    assert labels.tolist() == [0, 1, 2, 3]


def test_the_shapes_of_the_built_in_images_are_in_the_help_and_on_the_page() -> None:
    parameter = next(each for each in get_command(app).commands["audit-model"].params if each.name == "dataset")
    page = (REPOSITORY / "docs/audit-your-model.md").read_text(encoding="utf-8")
    by_shape: dict[str, list[str]] = {}
    for name, declared in DATASETS.items():
        if len(declared.input_shape) == 3:
            by_shape.setdefault("×".join(map(str, declared.input_shape)), []).append(name)
    for shape, names in by_shape.items():
        assert shape in parameter.help
        for name in names:
            assert name in parameter.help.partition(shape)[0]
            assert f"`{name}` | {shape} |" in page


@pytest.mark.usefixtures("folder")
def test_a_model_without_weights_is_said_to_be_as_it_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: Any, **__: Any) -> None:
        raise UserError("as far as this test goes")

    monkeypatch.setattr("robustrepro.api.command.audit", stop)
    hint = "No --weights: audited with the weights that mine.py:make_model has when it is made; is that model trained?"
    arguments = ["audit-model", "mine.py:make_model", "--dataset", "images.npz", "--epsilon", "0.1"]
    assert hint in CliRunner().invoke(app, arguments).stderr.splitlines()
    assert hint not in CliRunner().invoke(app, [*arguments, "--weights", "w.pt"]).stderr
    Path("plain.py").write_text("from torch import nn\nmodel = nn.Flatten()\n", encoding="utf-8")
    arguments[1] = "plain.py:model"
    assert "No --weights" not in CliRunner().invoke(app, arguments).stderr
