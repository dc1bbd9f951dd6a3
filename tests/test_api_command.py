"""`robustrepro audit-model`: models from files, weights, data sets, and what it says of mistakes in them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from attack_cases import random_case
from safetensors.torch import save_file
from typer.testing import CliRunner

from robustrepro.api.command import load_model
from robustrepro.command_line import app
from robustrepro.errors import UserError

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
