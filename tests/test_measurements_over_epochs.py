"""Attacks on a model as it was after each epoch that its training keeps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import TEST_POINTS, Declarations
from measuring import Model, checkpoint, described, measured
from safetensors.torch import load_file, save_file
from test_training_step import SPEC, work_of
from torch import nn

from robustrepro.datasets.tensors import load
from robustrepro.errors import UserError
from robustrepro.files import sha256_of
from robustrepro.losses import clipped_cross_entropy
from robustrepro.measures.over_epochs import lack_gradient
from robustrepro.measures.trained import Examples, Trained
from robustrepro.models.build import build_network, require_fit
from robustrepro.spec.attacks import Fgsm
from robustrepro.spec.measurements import measure_of
from robustrepro.spec.networks import Network
from robustrepro.training import step

SEED = 3
WIDE: dict[str, Any] = {"architecture": {"name": "mlp", "hidden": [32]}}
"""Of so many units, some are active at every point."""
FAST = {**SPEC, "optimizer": {"name": "adam", "learning_rate": 0.1}}
PGD = {"name": "pgd", "epsilon": 0.2, "steps": 3, "step_size": 0.1, "restarts": 2}
ATTACKS: dict[str, dict[str, Any]] = {
    "none": {"name": "clean"},
    "FGSM": {"name": "fgsm", "epsilon": 0.2},
    "PGD from random points": PGD,
    "PGD that hardly leaves its random point": {**PGD, "steps": 1, "step_size": 1e-6, "restarts": 1, "epsilon": 0.5},
    "PGD on the training objective, in float64": {**PGD, "loss": "training", "precision": "float64"},
    "MI-FGSM without a radius": {"name": "mi_fgsm", "epsilon": 0, "steps": 2, "step_size": 0.1},
}
PLAIN = ("index", "label", "clean_prediction", "prediction")


def trained(folder: Path, moons: Path, epochs: int, checkpoints: list[int]) -> Path:
    """Train for so many epochs, keep some, and return the weights."""
    spec = {**FAST, "epochs": epochs, "checkpoints": checkpoints}
    work = work_of(folder, moons, spec=spec, seed=SEED)
    step.run(work)
    return work.outputs[0]


@pytest.fixture(scope="module")
def kept(moons: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The weights of a training of three epochs, with its checkpoints after the first two beside them."""
    return trained(tmp_path_factory.mktemp("three"), moons, 3, [1, 2])


def subject(weights: Path, epochs: list[int], network: dict[str, Any] = SPEC["network"], **parts: Any) -> Model:
    return described(weights, network=network, checkpoints=epochs, **parts)


def over_epochs(
    folder: Path, moons: Path, attack: dict[str, Any], model: Model, **options: Any
) -> tuple[dict[str, list[Any]], dict[str, Any]]:
    declared = {"over_epochs": {"attack": attack, **options.pop("declared", {})}}
    checkpoints = model[1].with_name("checkpoints.safetensors")
    return measured(folder / "over/m/seed3.parquet", moons, declared, [model], checkpoints=checkpoints, **options)


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_an_epochs_rows_are_those_of_an_attack_on_a_model_trained_for_just_so_many(
    moons: Path, tmp_path: Path, kept: Path, attack: dict[str, Any]
) -> None:
    objective = {"objective": SPEC["objective"]} if attack.get("loss") == "training" else {}
    columns, _ = over_epochs(tmp_path, moons, attack, subject(kept, [1, 2], **objective))
    assert columns["epoch"] == [1] * TEST_POINTS + [2] * TEST_POINTS
    assert columns.keys() == measure_of({"over_epochs": {"attack": attack}}, "the measure").known_columns()
    different = []
    for number, epochs in enumerate((1, 2)):
        weights = trained(tmp_path / str(epochs), moons, epochs, [])
        model = described(weights, network=SPEC["network"], **objective)
        alone, _ = measured(tmp_path / f"alone{epochs}/m/seed3.parquet", moons, {"attack": attack}, [model])
        rows = slice(number * TEST_POINTS, (number + 1) * TEST_POINTS)
        assert {name: columns[name][rows] for name in PLAIN} == {name: alone[name] for name in PLAIN}
        different.append(alone["prediction"])
    assert different[0] != different[1]


def test_without_an_attack_there_is_no_loss_that_could_lack_a_gradient(moons: Path, tmp_path: Path, kept: Path) -> None:
    columns, _ = over_epochs(tmp_path, moons, ATTACKS["none"], subject(kept, [2]))
    assert list(columns) == ["epoch", *PLAIN]
    assert columns["prediction"] == columns["clean_prediction"]


@pytest.fixture
def confident(tmp_path: Path) -> Path:
    """The weights of a network, beside which lie checkpoints of ever more confident ones."""
    weights, _ = checkpoint(tmp_path / "confident/weights.safetensors", WIDE)
    tensors = load_file(weights)
    last = max(name for name in tensors if name.endswith("weight"))
    grown = {
        f"{epoch}/{name}": tensor * (factor if name == last else 1)
        for epoch, factor in ((1, 1), (2, 60), (3, 1e6), (4, 1000))
        for name, tensor in tensors.items()
    }
    save_file(
        {name: tensor.contiguous() for name, tensor in grown.items()}, weights.with_name("checkpoints.safetensors")
    )
    return weights


@pytest.mark.parametrize("loss", ["clipped_cross_entropy", "training"])
def test_without_a_gradient_are_the_examples_whose_loss_has_none_in_any_pixel(
    moons: Path, tmp_path: Path, confident: Path, loss: str
) -> None:
    objective = {"objective": {"name": "erm", "loss": "clipped_cross_entropy"}} if loss == "training" else {}
    model = subject(confident, [1, 2, 3], WIDE, **objective)
    attack = {"name": "fgsm", "epsilon": 0.1, "loss": loss}
    columns, _ = over_epochs(tmp_path, moons, attack, model)
    split, shares = load(moons, "test"), []
    for epoch in (1, 2, 3):
        network = build_network(Network.model_validate(WIDE), (2,), 2).eval()
        weights = load_file(confident.with_name("checkpoints.safetensors"))
        prefix = f"{epoch}/"
        own = {name.removeprefix(prefix): each for name, each in weights.items() if name.startswith(prefix)}
        require_fit(network, own, "the checkpoint", "the network")
        expected = []
        for point, label in zip(split.inputs, split.labels, strict=True):
            variable = point[None].clone().requires_grad_(True)
            clipped_cross_entropy(network(variable), label[None]).sum().backward()  # type: ignore[no-untyped-call]
            assert variable.grad is not None
            expected.append(not variable.grad.any())
        found = [lost for lost, at in zip(columns["without_gradient"], columns["epoch"], strict=True) if at == epoch]
        assert found == expected
        shares.append(sum(found) / len(found))
    assert shares[0] == 0 < shares[1] < 1
    assert shares[1] < shares[2]


def test_the_cross_entropy_of_the_logits_has_a_gradient_where_the_clipped_one_has_none(
    moons: Path, tmp_path: Path, confident: Path
) -> None:
    model = subject(confident, [2], WIDE)
    columns, _ = over_epochs(tmp_path, moons, {"name": "fgsm", "epsilon": 0.1}, model)
    assert columns["without_gradient"] == [False] * TEST_POINTS


def test_a_gradient_in_a_single_pixel_is_one() -> None:
    network = nn.Linear(2, 2)
    with torch.no_grad():
        network.weight.copy_(torch.tensor([[0.0, 1.0], [0.0, -1.0]]))
    two = torch.tensor([0, 1])
    examples = Examples(torch.tensor([[0.3, 0.2], [0.3, 100.0]]), torch.tensor([0, 0]), two, None)
    attack = Fgsm(name="fgsm", epsilon=0.1, loss="clipped_cross_entropy")
    assert lack_gradient(network.eval(), examples, attack, None).tolist() == [False, True]


def test_a_gradient_that_is_too_small_for_float32_is_one_in_float64(
    moons: Path, tmp_path: Path, confident: Path
) -> None:
    attack, model = {"name": "fgsm", "epsilon": 0.1}, subject(confident, [4], WIDE)
    lost = [
        sum(over_epochs(tmp_path, moons, {**attack, "precision": precision}, model)[0]["without_gradient"])
        for precision in ("float32", "float64")
    ]
    assert lost[0] > lost[1]


def test_the_origin_has_the_weights_and_the_checkpoints(moons: Path, tmp_path: Path, kept: Path) -> None:
    _, origin = over_epochs(tmp_path, moons, ATTACKS["FGSM"], subject(kept, [1, 2]))
    digests = {
        f"{kind}_sha256": sha256_of(kept.with_name(f"{kind}.safetensors")) for kind in ("weights", "checkpoints")
    }
    assert origin["models"] == [{"model": "m", "seed": SEED, **digests}]


def test_shards_have_the_rows_of_one_piece(moons: Path, tmp_path: Path, kept: Path) -> None:
    model, declared = subject(kept, [1, 2]), {"examples": 11}
    whole, _ = over_epochs(tmp_path, moons, PGD, model, declared=declared)
    parts = [over_epochs(tmp_path, moons, PGD, model, declared=declared, shard=(n, 2))[0] for n in range(2)]
    rows = [set(zip(*columns.values(), strict=True)) for columns in (whole, *parts)]
    assert rows[0] == rows[1] | rows[2]
    assert [len(each) for each in rows] == [22, 10, 12]


def test_progress_counts_the_epochs(moons: Path, tmp_path: Path, kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[tuple[int, str]] = []
    monkeypatch.setattr("robustrepro.steps.Progress.expect", lambda _, total: said.append((total, "expected")))
    monkeypatch.setattr("robustrepro.steps.Progress.advance", lambda _, count, detail="": said.append((count, detail)))
    over_epochs(tmp_path, moons, PGD, subject(kept, [1, 2]))
    assert said == [(2, "expected"), (1, "epoch 1"), (1, "epoch 2")]


@pytest.mark.parametrize("mistake", ["no file", "no such epoch", "another network"])
def test_checkpoints_that_are_not_those_declared_are_named(
    moons: Path, tmp_path: Path, kept: Path, mistake: str
) -> None:
    weights, epochs, network = kept, [1, 2], SPEC["network"]
    match mistake:
        case "no file":
            weights, message = tmp_path / "weights.safetensors", "checkpoints.safetensors: unreadable or truncated"
            weights.write_bytes(kept.read_bytes())
        case "no such epoch":
            epochs, message = [1, 3], "no weights after epoch 3 were kept; those kept: 1, 2"
        case _:
            network, message = WIDE, "the checkpoint after epoch 1 does not fit the declared network: "
    with pytest.raises(UserError, match=message):
        over_epochs(tmp_path, moons, ATTACKS["FGSM"], subject(weights, epochs, network))


def test_a_kind_that_reads_no_checkpoints_is_told_so(moons: Path, kept: Path) -> None:
    model = Trained({"model": "m", "seed": 0, "network": SPEC["network"]}, kept, moons, torch.device("cpu"))
    with pytest.raises(ValueError, match="says that it reads no checkpoints"):
        model.network_after(1)


# -- what the plan knows -------------------------------------------------------------------------------------


def planned(declarations: Declarations, attack: dict[str, Any], **options: Any) -> Declarations:
    declarations.paper["models"]["image-hrm"]["checkpoints"] = [1, 3, 4]
    declarations.paper["measures"]["over"] = {"over_epochs": {"attack": attack}, **options}
    rows = {"hrm": {"label": "HRM", "model": "image-hrm"}}
    column = {"label": "Early", "measure": "over", "rows": {"epoch": 1}}
    declarations.paper["tables"]["accuracy"] |= {"rows": rows, "columns": {"early": column}, "published": None}
    declarations.paper["claims"] = {}
    return declarations


def test_a_job_reads_the_checkpoints_and_knows_their_epochs(declarations: Declarations) -> None:
    plan = planned(declarations, ATTACKS["FGSM"]).plan()
    job = plan.job("measure", measure="over", subject="image-hrm", seed=1)
    assert dict(job.inputs) == {
        "data": "data/digits/manifest.json",
        "weights": "results/quick/models/image-hrm/seed1/weights.safetensors",
        "checkpoints": "results/quick/models/image-hrm/seed1/checkpoints.safetensors",
    }
    assert '"checkpoints":[1,3]' in job.spec  # it is trained for three epochs at this scale
    assert "objective" not in job.spec
    plan = planned(declarations, {**PGD, "loss": "training"}, shards=2, examples=10).plan()
    job = plan.job("measure", measure="over", subject="image-hrm", seed=1, shard=0)
    assert '"objective":' in job.spec
    assert [role for role, _ in job.inputs] == ["data", "weights", "checkpoints"]


def test_a_measurement_that_no_table_shows_is_refused_as_well(declarations: Declarations) -> None:
    plan = planned(declarations, ATTACKS["FGSM"]).plan()
    with pytest.raises(UserError, match=r"^over needs weights of the training of image-erm, which keeps none; "):
        plan.job("measure", measure="over", subject="image-erm", seed=0)
