"""An attack from outside the package, in one file: in Python, and in a paper through the real Snakemake."""

from __future__ import annotations

import importlib
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from attack_cases import random_case
from checkout import Checkout, small_checkout
from conftest import REPOSITORY
from torch import Tensor, nn

import robustrepro as rr
from robustrepro.api.command import audit_model
from robustrepro.api.kept import fingerprint
from robustrepro.attacks.craft import craft
from robustrepro.attacks.curve import measure_curve
from robustrepro.attacks.measure import measure
from robustrepro.spec.attacks import ATTACKS, Attack, Curve, GradientAttack, Pgd, attack_adapter
from robustrepro.spec.audit import attack_at
from robustrepro.spec.datasets import dataset_of
from robustrepro.spec.extensions import load_extensions
from robustrepro.spec.measurements import measure_of, runs_of
from robustrepro.spec.objectives import objective_adapter

FILE = Path(__file__).with_name("extension_attack.py")
COUNT, EPSILON = 48, 0.03
INDICES = torch.arange(COUNT)
OPTIONS: dict[str, Any] = {"epsilon": EPSILON, "steps": 4, "step_size": 0.015}
Case = tuple[nn.Module, Tensor, Tensor]


@pytest.fixture(scope="module")
def case() -> Case:
    model, inputs, labels = random_case(COUNT)
    return model.double(), inputs.double(), labels


@pytest.fixture
def unregistered() -> Iterator[Any]:
    """The class of the attack, which has been taken out of the registry, and will be."""
    known = dict(ATTACKS)
    kind = importlib.import_module("extension_attack").HeavyBall
    ATTACKS.pop("heavy_ball", None)
    yield kind
    ATTACKS.pop("heavy_ball", None)
    sys.modules.pop("extension_attack")
    assert dict(ATTACKS) == known


@pytest.fixture
def heavy_ball(unregistered: Any) -> Any:
    """The class of the attack, registered as its file does it."""
    ATTACKS["heavy_ball"] = unregistered
    return unregistered


# -- in Python -----------------------------------------------------------------------------------------------


def test_a_class_and_a_declared_attack_run_without_being_registered(case: Case, unregistered: Any) -> None:
    of_class = rr.attack(*case, unregistered, **OPTIONS)
    pd.testing.assert_frame_equal(of_class, rr.attack(*case, unregistered(**OPTIONS)))
    assert 0 < of_class["robust"].sum() < COUNT
    with pytest.raises(rr.UserError, match="unknown attack: 'heavy_ball'"):
        rr.attack(*case, "heavy_ball", **OPTIONS)


def test_the_file_of_a_model_may_bring_an_attack_to_the_command_line(
    unregistered: Any,  # noqa: ARG001 (out of the registry before and after)
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[dict[str, Any]] = []

    def spy(*_: Any, attacks: dict[str, Any], **__: Any) -> Any:
        asked.append(attacks["attacks"])
        raise rr.UserError("that is all")

    monkeypatch.setattr("robustrepro.api.command.audit", spy)
    brings = [
        "from torch import nn",
        "from extension_attack import HeavyBall",
        "from robustrepro.spec.attacks import ATTACKS",
    ]
    brings += ["ATTACKS['heavy_ball'] = HeavyBall", "model = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))"]
    (tmp_path / "mine.py").write_text("\n".join(brings))
    np.savez(tmp_path / "images.npz", images=np.zeros((2, 1, 2, 2), "float32"), labels=np.zeros(2, "int64"))
    with pytest.raises(rr.UserError, match="that is all"):
        audit_model(
            f"{tmp_path / 'mine.py'}:model",
            dataset=str(tmp_path / "images.npz"),
            epsilon="0.1",
            norm="linf",
            out=tmp_path / "audit.html",
            attacks=["heavy_ball:steps=3"],
            examples=2,
            seed=0,
        )
    assert asked == [{"own-heavy_ball-steps-3": {"name": "heavy_ball", "steps": 3}}]


def test_once_registered_it_runs_by_name_with_steps_that_follow_from_epsilon(case: Case, heavy_ball: Any) -> None:
    by_name = rr.attack(*case, "heavy_ball", epsilon=EPSILON, steps=4)
    pd.testing.assert_frame_equal(by_name, rr.attack(*case, heavy_ball, epsilon=EPSILON, steps=4))
    same = heavy_ball(epsilon=EPSILON, steps=4, step_size=2.5 * EPSILON / 4)
    pd.testing.assert_frame_equal(by_name, rr.attack(*case, same))


def test_a_built_in_class_is_taken_as_well(case: Case) -> None:
    pd.testing.assert_frame_equal(rr.attack(*case, Pgd, **OPTIONS), rr.attack(*case, "pgd", **OPTIONS))


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_without_momentum_it_is_pgd_bit_for_bit(case: Case, heavy_ball: Any, norm: Any) -> None:
    scale = {"linf": 1, "l2": 6, "l1": 30}[norm]
    lengths = {"epsilon": EPSILON * scale, "step_size": 0.015 * scale, "norm": norm, "precision": "float64"}
    specs = [heavy_ball(**OPTIONS | lengths, momentum=momentum, restarts=2) for momentum in (0.0, 0.75)]
    specs.append(Pgd(name="pgd", **OPTIONS | lengths, restarts=2))
    still, moving, pgd = (measure(*case, INDICES, spec, seed=1, keep_adversarial=True) for spec in specs)
    assert 0 < pgd.robust.sum() < COUNT
    assert torch.equal(still.adversarial, pgd.adversarial)
    assert torch.equal(still.restart, pgd.restart)
    assert not torch.equal(moving.adversarial, pgd.adversarial)
    crafted = [craft(*case, INDICES, spec, seed=1) for spec in specs]
    assert torch.equal(crafted[0], crafted[2])
    assert not torch.equal(crafted[1], crafted[2])


@pytest.mark.parametrize("batch_size", [1, 7])
def test_what_an_image_remembers_is_its_own_whatever_the_batch(case: Case, heavy_ball: Any, batch_size: int) -> None:
    spec = heavy_ball(**OPTIONS, restarts=3, precision="float64")
    whole, parts = (measure(*case, INDICES, spec, seed=2, batch_size=size) for size in (COUNT, batch_size))
    assert torch.equal(parts.robust, whole.robust)
    assert torch.equal(parts.restart, whole.restart)
    assert len(set(whole.restart.tolist())) > 2  # of images in one batch, some are in their second restart
    torch.testing.assert_close(parts.margin, whole.margin)


def test_a_curve_is_the_attack_at_each_radius(case: Case, heavy_ball: Any) -> None:
    attack = {"name": "heavy_ball", "steps": 4, "relative_step": 0.5, "precision": "float64"}
    curve = Curve.model_validate({"epsilons": [EPSILON, 2 * EPSILON], "attack": attack})
    assert Curve.model_validate_json(curve.model_dump_json()) == curve
    found = measure_curve(*case, INDICES, curve, seed=3)
    for column, epsilon in enumerate(curve.epsilons):
        spec = heavy_ball(epsilon=epsilon, steps=4, step_size=0.5 * epsilon, precision="float64")
        assert torch.equal(found.prediction[column::2], measure(*case, INDICES, spec, seed=3).prediction)


def test_it_can_be_declared_wherever_a_gradient_attack_can(heavy_ball: Any) -> None:
    attack = {"name": "heavy_ball", **OPTIONS}
    assert isinstance(attack_adapter.validate_python(attack), heavy_ball)
    declared = [
        measure_of({"attack": attack}, "m"),
        measure_of({"over_epochs": {"attack": attack}}, "m"),
        measure_of({"transfer": {"attack": attack, "targets": ["other"]}}, "m"),
        measure_of({"verification": {"attack": attack}}, "m"),
        dataset_of("fooling", {"adversarial": {"model": "erm", "attacks": [attack]}}, "datasets.fooling"),
        objective_adapter.validate_python({"name": "adversarial", "adversary": attack}),
        attack_at({"name": "heavy_ball", "steps": 4}, "l2", 0.5),
    ]
    for each in declared:
        assert {"extension_attack:HeavyBall", "extension_attack:ascent_of"} <= set(runs_of(each))
        if not isinstance(each, Attack):
            assert type(each).model_validate_json(each.model_dump_json()) == each


def test_an_audit_runs_it_beside_its_own_attacks(case: Case, heavy_ball: Any, tmp_path: Path) -> None:
    attacks: dict[str, Any] = {
        "attacks": {
            "fgsm": {"name": "fgsm"},
            "pgd": {"name": "pgd", "steps": 3},
            "declared": heavy_ball(**OPTIONS),
            "by-name": {"name": "heavy_ball", "steps": 4, "step_size": 0.015},
        },
        "escalation": {"more": {"name": "heavy_ball", "steps": 4, "restarts": 2}},
        "without_gradients": {},
        "noises": 2,
    }
    found = rr.audit(*case, epsilon=EPSILON, attacks=attacks, progress=False, keep=tmp_path)
    assert found.frame["declared"].tolist() == found.frame["by-name"].tolist()
    words = found.attacks.set_index("attack")["words"]
    assert words["declared"] == "heavy ball, 4 steps"
    for changed, message in (
        (heavy_ball(**OPTIONS | {"epsilon": 0.5}), "attacks.declared: is declared in the linf ball of 0.5; expected"),
        ({"name": "heavy_bal"}, "unknown attack in attacks.declared: 'heavy_bal'; did you mean 'heavy_ball'?"),
    ):
        mistaken = {**attacks, "attacks": {**attacks["attacks"], "declared": changed}}
        with pytest.raises(rr.UserError, match=re.escape(message)):
            rr.audit(*case, epsilon=EPSILON, attacks=mistaken, progress=False)


def test_an_audit_asks_that_the_class_of_a_declared_attack_be_registered(case: Case, unregistered: Any) -> None:
    attacks = {"escalation": {"own": unregistered(**OPTIONS)}}
    with pytest.raises(rr.UserError, match=r"escalation.own: HeavyBall is not registered; say ATTACKS\['heavy_ball'\]"):
        rr.audit(*case, epsilon=EPSILON, attacks=attacks, progress=False)


def test_what_was_kept_of_an_audit_depends_on_the_code_of_own_attacks(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    digests = []
    for number in (1, 1, 2):
        (tmp_path / "edited_attack.py").write_text(f"def ascent_of():\n    return {number}\n", encoding="utf-8")
        sys.modules.pop("edited_attack", None)
        code = importlib.import_module("edited_attack").ascent_of
        digests.append(fingerprint(*case, {}, [code]))
    assert digests[0] == digests[1] != digests[2] != fingerprint(*case, {})


# -- mistakes ------------------------------------------------------------------------------------------------

WITHOUT = {
    "its name": ('    name: Literal["heavy_ball"] = "heavy_ball"\n', 'needs name: Literal["heavy_ball"]'),
    "an implementation": (
        '    implementation: ClassVar[str] = f"{__name__}:ascent_of"  # the function below\n',
        "HeavyBall needs an implementation",
    ),
    "words": ('    words: ClassVar[str] = "heavy ball"  # in texts for people\n', "HeavyBall needs words"),
}
REPLACED = {
    "no attack at all": ("HeavyBall(GradientAttack)", "HeavyBall(Attack)", "expected a subclass of GradientAttack"),
    "a name that is not its own": ('ATTACKS["heavy_ball"]', 'ATTACKS["heavier"]', 'needs name: Literal["heavier"]'),
    "no function": ("def ascent_of", "def ascend", "has the implementation 'mistaken:ascent_of', but there is no such"),
    "no module": ('f"{__name__}:', '"no_such_module:', "the implementation 'no_such_module:ascent_of', but there is"),
    "a built-in one": ("heavy_ball", "pgd", "the attack 'pgd' is built in and cannot be replaced"),
    "code that fails": ("import torch\n", "import torhc\n", "cannot be imported (ModuleNotFoundError: No module"),
}
CHANGES = {f"without {what}": (old, "", says) for what, (old, says) in WITHOUT.items()} | REPLACED


@pytest.mark.parametrize("mistake", CHANGES)
def test_a_mistaken_extension_is_told_in_one_line_and_changes_nothing(
    mistake: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new, says = CHANGES[mistake]
    source = FILE.read_text(encoding="utf-8").replace("import ATTACKS, ", "import ATTACKS, Attack, ")
    assert old in source
    (tmp_path / "mistaken.py").write_text(source.replace(old, new), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    before = dict(ATTACKS)
    with pytest.raises(rr.UserError) as caught:
        load_extensions(["mistaken"])
    sys.modules.pop("mistaken", None)
    message = str(caught.value)
    assert message.startswith("config.yaml: extensions: mistaken cannot be ")
    assert says in message
    assert "\n" not in message
    assert before == dict(ATTACKS)


def test_two_extensions_cannot_have_attacks_of_one_name(
    heavy_ball: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(FILE, tmp_path / "second_ball.py")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    with pytest.raises(rr.UserError, match="extensions: second_ball replaces the attack 'heavy_ball'"):
        load_extensions(["second_ball"])
    sys.modules.pop("second_ball")
    assert ATTACKS["heavy_ball"] is heavy_ball


def test_one_may_be_registered_anew_as_in_a_notebook(heavy_ball: Any) -> None:
    class Heavier(heavy_ball):
        pass

    ATTACKS["heavy_ball"] = Heavier
    assert type(attack_adapter.validate_python({"name": "heavy_ball", **OPTIONS})) is Heavier


def test_what_is_no_attack_is_named(case: Case, unregistered: Any) -> None:
    class Nameless(GradientAttack):
        pass

    for given, options, message in (
        (unregistered, {"step": 3}, "unknown option of 'heavy_ball': 'step'; did you mean 'steps'?"),
        (unregistered, {"epsilon": 0.1, "steps": 2, "momentum": 2}, "attack 'heavy_ball': momentum: found 2"),
        (
            unregistered(**OPTIONS),
            {"steps": 3},
            "the attack is declared already, so that steps beside it would be lost",
        ),
        (Nameless, {}, "no attack: Nameless needs name: Literal"),
        (nn.Linear, {}, "no attack: expected a subclass of GradientAttack"),
        (3, {}, "no attack: expected a subclass of GradientAttack, BallAttack or another base of attacks, found 3"),
    ):
        with pytest.raises(rr.UserError, match=re.escape(message)):
            rr.attack(*case, given, **options)


# -- CONTRIBUTING --------------------------------------------------------------------------------------------


def test_the_file_in_the_guide_is_the_one_that_is_tested() -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", (REPOSITORY / "CONTRIBUTING.md").read_text("utf-8"), re.S | re.M)
    assert FILE.read_text(encoding="utf-8") in blocks


# -- in a paper ----------------------------------------------------------------------------------------------

MODEL = """
  small-own:
    <<: *small
    objective: {name: adversarial, adversary: {name: heavy_ball, epsilon: 0.2, steps: 2, step_size: 0.1}}
"""
MEASURES = """
  own: {attack: {name: heavy_ball, epsilon: 0.2, steps: 3, step_size: 0.1, restarts: 2}}
  own-curve: {curve: {epsilons: [0.1, 0.2], attack: {name: heavy_ball, steps: 3, relative_step: 0.5}}}
"""
ROWS = "rows: {erm: {label: ERM, model: small-erm}, hrm: {label: HRM, model: small-hrm}"
COLUMNS = "columns: {clean: {label: Clean, measure: clean}, pgd: {label: PGD, measure: small-pgd}"
OWN_COLUMNS = ", own: {label: Own, measure: own}, curve: {label: Curve, measure: own-curve, rows: {epsilon: 0.2}}"


@pytest.fixture(scope="module")
def extended(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """The small paper with an attack that only a file beside the Snakefile has, also in its training and its audit."""
    checkout = small_checkout(tmp_path_factory.mktemp("extended"), tmp_path_factory.mktemp("remote"))
    shutil.copy(FILE, checkout.folder / "heavy_ball.py")
    checkout.edit("config.yaml", "extensions: []", "extensions: [heavy_ball]")
    paper = "papers/small/paper.yaml"
    checkout.edit(paper, "\nmeasures:\n", f"{MODEL}measures:\n")
    checkout.edit(paper, "\ntables:\n", f"{MEASURES}tables:\n")
    checkout.edit(paper, ROWS, f"{ROWS}, own: {{label: Own, model: small-own}}")
    checkout.edit(paper, COLUMNS, COLUMNS + OWN_COLUMNS)
    checkout.edit(
        paper, "accuracy[hrm, clean] >= accuracy[erm, clean] - 50", "accuracy[hrm, own] >= accuracy[erm, own] - 50"
    )
    checkout.edit(
        "workflow/audit.yaml",
        "  fgsm: {name: fgsm}",
        "  fgsm: {name: fgsm}\n  heavy-ball: {name: heavy_ball, steps: 3}",
    )
    checkout.snakemake("small")
    return checkout


def measured(checkout: Checkout, measure: str, model: str) -> pd.DataFrame:
    return pd.read_parquet(checkout.folder / f"results/quick/measurements/{measure}/{model}/seed0.parquet")


def test_a_paper_measures_trains_and_is_audited_with_it(extended: Checkout) -> None:
    for model in ("small-erm", "small-own"):
        rows, curve = measured(extended, "own", model), measured(extended, "own-curve", model)
        assert set(rows["restart"]) <= {-1, 0, 1}
        assert 0 < (rows["prediction"] == rows["label"]).mean() < (rows["clean_prediction"] == rows["label"]).mean()
        assert set(curve["epsilon"]) >= {0.1, 0.2}
    audit = json.loads((extended.folder / "results/quick/papers/small/audit.json").read_text(encoding="utf-8"))
    text = json.dumps(audit, ensure_ascii=False)
    assert "audit: heavy-ball" in text
    assert "heavy ball, 3 steps" in text  # in its own words
    assert "heavy_ball," not in text


def test_editing_its_file_runs_again_what_it_decides_and_nothing_else(extended: Checkout) -> None:
    extended.edit("heavy_ball.py", "self.momentum * last", "(self.momentum * last)")
    scheduled = {name for name in extended.scheduled("small") if name.startswith(("measurements", "models"))}
    again = {name for name in scheduled if "small-own" not in name}
    assert "models/small-own/seed0/weights.safetensors" in scheduled
    assert {name.split("/")[1] for name in again} - {"own", "own-curve"} == {
        name.split("/")[1] for name in again if name.startswith("measurements/audit")
    }
    assert {f"measurements/{measure}/small-erm/seed0.parquet" for measure in ("own", "own-curve")} <= again
    assert not {name for name in again if name.startswith("models")}


def test_planning_with_a_declaration_in_a_file_of_its_own_imports_no_torch(tmp_path: Path) -> None:
    source = FILE.read_text(encoding="utf-8")
    head, rest = source[: source.index("@dataclass(")], source[source.index("@dataclass(") :]
    declared = head.replace('f"{__name__}:ascent_of"', '"its_steps:ascent_of"')
    declared = re.sub(r"^(import torch|from torch|from robustrepro\.(attacks|losses)).*\n", "", declared, flags=re.M)
    imports = "".join(line for line in head[: head.index("class HeavyBall")].splitlines(keepends=True))
    (tmp_path / "declared_alone.py").write_text(declared, encoding="utf-8")
    (tmp_path / "its_steps.py").write_text(
        f"{imports}from declared_alone import HeavyBall\n\n\n{rest}", encoding="utf-8"
    )
    script = """
import sys
from robustrepro.spec.extensions import load_extensions
from robustrepro.spec.measurements import measure_of, runs_of
load_extensions(["declared_alone"])
declared = measure_of({"attack": {"name": "heavy_ball", "epsilon": 0.1, "steps": 2, "step_size": 0.1}}, "m")
print("torch" in sys.modules, *runs_of(declared))
"""
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60)
    runs = "declared_alone:HeavyBall its_steps:ascent_of robustrepro.measures.attack:measure"
    assert done.stdout.strip() == f"False {runs}"
