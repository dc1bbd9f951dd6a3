"""The verifier: against every activation pattern of tiny networks, and what must stop it."""

from __future__ import annotations

import builtins
import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from measuring import checkpoint, described, measured
from scipy import sparse
from scipy.optimize import linprog
from torch import Tensor, nn

from robustrepro.errors import UserError
from robustrepro.models.preact_resnet import PreActResNet18
from robustrepro.models.preprocessed import Preprocessed
from robustrepro.models.preprocessing.standardise import Standardise
from robustrepro.models.strided_convnet import StridedConvNet
from robustrepro.verification import bounds, programs, verify
from robustrepro.verification.bounds import Boxes, CrossingBoundsError, Ranges, bounds_of, least_margins
from robustrepro.verification.cuts import Cuts
from robustrepro.verification.layers import chain_of
from robustrepro.verification.relaxation import Relaxation
from robustrepro.verification.verify import Decision, Verifier

UNIT = (0.0, 1.0)
MEANS = [(Relaxation, "least_margin"), (Relaxation, "branched"), (programs.Program, "least_margin")]


def tiny(seed: int) -> nn.Sequential:
    """A network of 3 inputs, layers of 4 and 3 ReLUs, and 3 classes."""
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 3)).double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(3)
    return model


def convolutional(seed: int = 0) -> Preprocessed:
    """Two strided convolutions and a hidden layer, with standardisation in front, on 8x8 images."""
    torch.manual_seed(seed)
    network = StridedConvNet((1, 8, 8), 3, [2, 3], 4, 2, [5])
    model = Preprocessed([Standardise((1, 8, 8), [0.3], [0.4])], network).double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1.5)
    return model


def exact_least_margins(model: nn.Sequential, low: Tensor, high: Tensor, label: int) -> np.ndarray:
    """Return min Z_y − Z_t over a box for every t, by a linear program for each of the 2⁷ activation patterns."""
    weights = [(layer.weight.detach().numpy(), layer.bias.detach().numpy()) for layer in model[::2]]
    least = np.full(3, np.inf)
    for pattern in itertools.product([0.0, 1.0], repeat=7):
        slope, shift, rows, right = np.eye(3), np.zeros(3), [], []
        for (weight, bias), active in zip(weights[:-1], (pattern[:4], pattern[4:]), strict=True):
            slope, shift = weight @ slope, weight @ shift + bias
            sign = 1 - 2 * np.array(active)  # an active unit is 0 or above, an inactive one 0 or below
            rows.append(sign[:, None] * slope)
            right.append(-sign * shift)
            slope, shift = np.array(active)[:, None] * slope, np.array(active) * shift
        weight, bias = weights[-1]
        for other in {0, 1, 2} - {label}:
            difference = weight[label] - weight[other]
            found = linprog(
                difference @ slope,
                np.concatenate(rows),
                np.concatenate(right),
                bounds=[*zip(low.tolist(), high.tolist(), strict=True)],
            )
            if found.success:
                margin = found.fun + difference @ shift + bias[label] - bias[other]
                least[other] = min(least[other], margin)
    return least


def decided(model: nn.Module, images: Tensor, labels: Tensor, epsilon: float, seconds: float = 60) -> list[Decision]:
    """Return the decisions without an attack: what it makes of an image is the image."""
    verifier = Verifier.of(model, tuple(images.shape[1:]), epsilon, UNIT, seconds)
    return list(verifier.decide(images, labels, images))


@pytest.mark.parametrize("means", ["branch and bound", "integer program"])
def test_each_exact_means_alone_decides_as_every_pattern_enumerated_does(means, monkeypatch) -> None:
    """Without attacks, bounds and corners that would have decided before."""
    bounded = Verifier._bounded
    monkeypatch.setattr(Verifier, "_bounded", lambda *given: [replace(each, decision=None) for each in bounded(*given)])
    monkeypatch.setattr(verify, "PROGRAMS", (means,))
    verdicts = []
    for seed in range(3):
        model = tiny(seed)
        images = torch.rand(4, 3, generator=torch.Generator().manual_seed(seed + 10), dtype=torch.float64)
        labels = model(images).argmax(1)
        boxes = Boxes.around(images, 0.3, UNIT)
        for number, decision in enumerate(decided(model, images, labels, 0.3)):
            truth = exact_least_margins(model, boxes.low[number], boxes.high[number], int(labels[number])).min()
            assert decision.verdict == ("verified" if truth > 0 else "falsified")
            verdicts.append((decision.verdict, decision.stage))
    assert {verdict for verdict, _ in verdicts} == {"verified", "falsified"}
    assert {stage for _, stage in verdicts} == {means}


@pytest.mark.parametrize("epsilon", [0.2, 0.4])
def test_verdicts_are_those_of_every_activation_pattern_enumerated(epsilon) -> None:
    verdicts = []
    for seed in range(3):
        model = tiny(seed)
        images = torch.rand(4, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        labels = model(images).argmax(1)
        boxes = Boxes.around(images, epsilon, UNIT)
        for number, decision in enumerate(decided(model, images, labels, epsilon)):
            truth = exact_least_margins(model, boxes.low[number], boxes.high[number], int(labels[number])).min()
            assert abs(truth) > 1e-4  # or else the case says nothing
            assert decision.verdict == ("verified" if truth > 0 else "falsified")
            verdicts.append((decision.verdict, decision.stage))
    assert {verdict for verdict, _ in verdicts} == {"verified", "falsified"}
    assert {"bounds", "linear program"} & {stage for _, stage in verdicts}


def test_branching_decides_what_the_relaxation_leaves_open() -> None:
    images = torch.rand(40, 1, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    model = convolutional()
    stages = {decision.stage for decision in decided(model, images, model(images).argmax(1), 0.05)}
    assert {"bounds", "linear program", "branch and bound"} <= stages


def test_the_witness_of_a_falsified_image_lies_in_its_ball_and_is_misclassified() -> None:
    model = convolutional()
    images = torch.rand(12, 1, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    labels = model(images).argmax(1)
    falsified = 0
    for image, label, decision in zip(images, labels, decided(model, images, labels, 0.15), strict=True):
        if decision.verdict == "falsified":
            falsified += 1
            assert (decision.witness - image).abs().max() <= 0.15 + 1e-15
            assert 0 <= decision.witness.min() <= decision.witness.max() <= 1
            logits = model(decision.witness[None])[0]
            assert logits.argmax() != label
            others = logits[torch.arange(3) != label]
            assert decision.margin == pytest.approx((logits[label] - others.max()).item(), abs=1e-12)
        else:
            assert decision.witness is None
    assert falsified


def test_no_random_point_of_a_verified_ball_is_misclassified() -> None:
    model = convolutional()
    images = torch.rand(12, 1, 8, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    labels = model(images).argmax(1)
    boxes = Boxes.around(images, 0.05, UNIT)
    decisions = decided(model, images, labels, 0.05)
    assert any(decision.verdict == "verified" for decision in decisions)
    for number, decision in enumerate(decisions):
        if decision.verdict == "verified":
            corners = torch.randint(2, (500, 1, 8, 8), generator=torch.Generator().manual_seed(number))
            points = torch.where(corners == 1, boxes.high[number], boxes.low[number])
            assert (model(points).argmax(1) == labels[number]).all()


@pytest.mark.parametrize("epsilon", [0.01, 0.1, 0.5])
def test_bounds_hold_at_random_points_and_corners(epsilon) -> None:
    model = convolutional()
    images = torch.rand(6, 1, 8, 8, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    chain, boxes = chain_of(model, (1, 8, 8)), Boxes.around(images, epsilon, UNIT)
    ranges = bounds_of(chain, boxes)
    labels = model(images).argmax(1)
    margins, corners = least_margins(chain, boxes, ranges, labels)
    assert ((corners == boxes.low) | (corners == boxes.high)).all()
    generator = torch.Generator().manual_seed(3)
    for draw in range(200):
        shares = torch.rand(images.shape, generator=generator, dtype=torch.float64)
        points = boxes.low + (boxes.high - boxes.low) * (shares.round() if draw % 2 else shares)
        *hidden, logits = chain.pre_activations(points)
        for found, given in zip(ranges, hidden, strict=True):
            assert (given >= found.low - 1e-9).all()
            assert (given <= found.high + 1e-9).all()
        apart = logits.gather(1, labels[:, None]) - logits
        apart[torch.arange(6), labels] = torch.inf
        assert (apart >= margins - 1e-9).all()


def test_the_bounds_of_the_first_layer_are_reached() -> None:
    chain = chain_of(tiny(0), (3,))
    boxes = Boxes.around(torch.full((1, 3), 0.5), 0.2, UNIT)
    ranges = bounds_of(chain, boxes)[0]
    corners = torch.tensor(list(itertools.product([0.3, 0.7], repeat=3)), dtype=torch.float64)
    at_corners = chain.pre_activations(corners)[0]
    torch.testing.assert_close(ranges.low[0], at_corners.amin(0))
    torch.testing.assert_close(ranges.high[0], at_corners.amax(0))


def test_a_smaller_ball_has_tighter_bounds_and_crown_is_never_looser_than_intervals(monkeypatch) -> None:
    chain = chain_of(convolutional(), (1, 8, 8))
    images = torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    small, large = (bounds_of(chain, Boxes.around(images, epsilon, UNIT)) for epsilon in (0.05, 0.1))
    monkeypatch.setattr(bounds, "_tightened", lambda *arguments: arguments[-1])
    intervals = bounds_of(chain, Boxes.around(images, 0.1, UNIT))
    for tight, loose, plain in zip(small, large, intervals, strict=True):
        assert (tight.low >= loose.low - 1e-12).all()
        assert (loose.low >= plain.low - 1e-12).all()
        assert (loose.high <= plain.high + 1e-12).all()
    assert (large[-1].high < intervals[-1].high - 1e-3).any()


def test_bounds_that_cross_stop_the_verifier(monkeypatch) -> None:
    model = tiny(0)
    images = torch.rand(3, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    monkeypatch.setattr(bounds, "_tightened", lambda *arguments: Ranges(arguments[-1].high + 1, arguments[-1].low))
    with pytest.raises(CrossingBoundsError, match=r"3 unit\(s\)|9 unit\(s\)"):
        decided(model, images, model(images).argmax(1), 0.1)


@pytest.mark.parametrize("means", ["linear program", "branch and bound"])
def test_wrong_bounds_that_leave_a_relaxation_without_a_point_are_no_verdict(means, monkeypatch) -> None:
    images = torch.rand(3, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    model = tiny(0)
    found = Verifier._bounded

    def wrong(*given):
        shifted = [
            replace(each, ranges=[Ranges(r.high + 1, r.high + 2) for r in each.ranges]) for each in found(*given)
        ]
        return [replace(each, decision=None, least=each.least - 100) for each in shifted]

    monkeypatch.setattr(Verifier, "_bounded", wrong)
    monkeypatch.setattr(verify, "PROGRAMS", (means,))
    with pytest.raises(CrossingBoundsError, match="has no point"):
        decided(model, images, model(images).argmax(1), 0.1)


def test_an_image_that_no_program_decides_in_time_is_unresolved(monkeypatch) -> None:
    for of, means in MEANS:
        monkeypatch.setattr(of, means, lambda *_, **__: programs.Answer("open"))
    model = convolutional()
    images = torch.rand(12, 1, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    decisions = decided(model, images, model(images).argmax(1), 0.15)
    left = [decision for decision in decisions if decision.stage != "bounds"]
    assert left
    assert all((decision.verdict, decision.stage) == ("unresolved", "time") for decision in left)


def test_every_point_of_the_box_is_one_of_its_program() -> None:
    """With what the network makes of it: the rows hold, and the margin is the network's."""
    model = convolutional()
    image = torch.rand(1, 1, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    chain, box = chain_of(model, (1, 8, 8)), Boxes.around(image, 0.1, UNIT)
    ranges = bounds_of(chain, box)
    assert all(layer.unstable.any() for layer in ranges)
    program = programs.Program(chain, box, ranges)
    parts, margin = program.parts, torch.tensor([1.0, -1.0, 0.0], dtype=torch.float64)
    coefficients, offset = program._linear(len(ranges), margin[None])
    for _ in range(20):
        point = box.low + (box.high - box.low) * torch.rand_like(box.low)
        made = chain.pre_activations(point)
        given = torch.cat([values[layer.unstable] for values, layer in zip(made, ranges, strict=False)])
        columns = torch.cat([point.flatten(), given.clamp(min=0), (-given).clamp(min=0)]).numpy()
        rows = parts.matrix @ columns
        assert ((parts.low - 1e-12 <= columns) & (columns <= parts.high + 1e-12)).all()
        assert ((parts.row_low - 1e-12 <= rows) & (rows <= parts.row_high + 1e-12)).all()
        ours = coefficients[0] @ columns[: coefficients.shape[1]] + offset[0]
        assert ours == pytest.approx((made[-1] @ margin).item())


def test_a_relu_of_two_inputs_has_the_cuts_of_its_hull() -> None:
    """max(0, x₁ + x₂ − 1) on the unit square lies below x₁ and below x₂; its chord alone leaves (1, 0, ½) in."""
    given = sparse.csr_array([[1.0, 1.0, 0.0]])
    cuts = Cuts(given, np.array([-1.0]), np.zeros(3), np.ones(3), np.array([2]))
    for point in ([1.0, 0.0, 0.5], [0.0, 1.0, 0.5]):
        rows, sides = cuts.broken(np.array(point))
        (row,) = rows.toarray()
        assert row.tolist() == [-1.0 if value == 0 else 0.0 for value in point[:2]] + [1.0]
        assert sides.tolist() == [0.0]
    rows, sides = cuts.broken(np.array([0.5, 0.5, 0.5]))
    assert (rows.shape, sides.shape) == ((0, 3), (0,))


@pytest.mark.parametrize("offset", [-2.1, 0.0, 1e-9, 0.1], ids=["inactive", "touching", "rounding", "active"])
def test_a_relu_that_the_box_settles_has_no_cut(offset) -> None:
    cuts = Cuts(sparse.csr_array([[1.0, 1.0, 0.0]]), np.array([offset]), np.zeros(3), np.full(3, 1.0), np.array([2]))
    rows, sides = cuts.broken(np.array([0.0, 0.0, 5.0]))
    assert (rows.shape, sides.shape) == ((0, 3), (0,))


def test_cuts_leave_in_every_point_of_the_network() -> None:
    model = convolutional()
    image = torch.rand(1, 1, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    chain, box = chain_of(model, (1, 8, 8)), Boxes.around(image, 0.1, UNIT)
    ranges = bounds_of(chain, box)
    program = programs.Program(chain, box, ranges)
    parts, cuts = program.parts, program.cuts
    generator, made = np.random.default_rng(0), 0
    points = []
    for draw in range(100):
        shares = torch.from_numpy(generator.random(box.low.shape))
        point = box.low + (box.high - box.low) * (shares.round() if draw % 2 else shares)
        values = chain.pre_activations(point)
        given = torch.cat([each[layer.unstable] for each, layer in zip(values, ranges, strict=False)])
        points.append(torch.cat([point.flatten(), given.clamp(min=0), (-given).clamp(min=0)]).numpy())
    for _ in range(20):
        rows, sides = cuts.broken(parts.low + (parts.high - parts.low) * generator.random(parts.columns).round())
        made += len(sides)
        for point in points:
            assert (rows @ point <= sides + 1e-9).all()
            assert len(cuts.broken(point)[1]) == 0
    assert made > 100


def test_branching_and_the_integer_program_agree(monkeypatch) -> None:
    """On what bounds and the relaxation leave open; both against each other, since each is exact."""
    model = convolutional()
    images = torch.rand(40, 1, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    labels = model(images).argmax(1)
    branched = decided(model, images, labels, 0.1)
    monkeypatch.setattr(verify, "PROGRAMS", ("linear program", "integer program"))
    integer = decided(model, images, labels, 0.1)
    assert [each.verdict for each in branched] == [each.verdict for each in integer]
    assert "branch and bound" in {each.stage for each in branched}
    assert "integer program" in {each.stage for each in integer}


def test_an_image_that_takes_many_splits_goes_to_the_integer_program(monkeypatch) -> None:
    model = convolutional()
    images = torch.rand(40, 1, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    labels = model(images).argmax(1)
    branched = decided(model, images, labels, 0.1)
    monkeypatch.setattr(verify, "BRANCHES", 1)
    given_up = decided(model, images, labels, 0.1)
    assert [each.verdict for each in branched] == [each.verdict for each in given_up]
    stages = {(before.stage, after.stage) for before, after in zip(branched, given_up, strict=True)}
    assert ("branch and bound", "integer program") in stages


def test_a_solution_that_the_network_classifies_rightly_is_no_witness(monkeypatch) -> None:
    """A solver's point counts only where the network itself errs: otherwise nothing is decided."""

    def beside(self: programs.Program | Relaxation, *_: Tensor, **__: object) -> programs.Answer:
        box = getattr(self, "_program", self)._box
        return programs.Answer("point", torch.from_numpy(box[0] + box[1]).view(1, 8, 8) / 2)

    for of, means in MEANS:
        monkeypatch.setattr(of, means, beside)
    model = convolutional()
    images = torch.rand(12, 1, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    images = images * 0.6 + 0.2  # so that the middle of the box is the image, which is right
    decisions = decided(model, images, model(images).argmax(1), 0.15)
    left = [decision for decision in decisions if decision.stage != "bounds"]
    assert left
    assert all((decision.verdict, decision.stage) == ("unresolved", "integer program") for decision in left)


def test_a_misclassified_image_is_falsified_by_itself_and_a_broken_one_by_the_attack() -> None:
    model = tiny(1)
    images = torch.rand(4, 3, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    predictions = model(images).argmax(1)
    wrong = (predictions + 1) % 3
    assert {decision.stage for decision in decided(model, images, wrong, 0.01)} == {"clean"}
    verifier = Verifier.of(model, (3,), 1.0, UNIT, 60)
    points = torch.rand(200, 3, generator=torch.Generator().manual_seed(6), dtype=torch.float64)
    broken = points[model(points).argmax(1) != predictions[0]][:1]
    (found,) = list(verifier.decide(images[:1], predictions[:1], broken))
    assert (found.verdict, found.stage) == ("falsified", "attack")
    outside = Verifier.of(model, (3,), 1e-6, UNIT, 60)
    (found,) = list(outside.decide(images[:1], predictions[:1], broken))  # moved into the ball
    assert (found.verdict, found.stage) == ("verified", "bounds")


# -- networks ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [8, 9, 11])
def test_a_chain_has_the_logits_of_its_network_and_leads_rows_back_through_it(size) -> None:
    torch.manual_seed(0)
    network = StridedConvNet((2, size, size), 3, [2, 3], 4, 2, [5])
    model = Preprocessed([Standardise((2, size, size), [0.3, 0.1], [0.4, 0.5])], network).double().eval()
    chain = chain_of(model, (2, size, size))
    images = torch.rand(3, 2, size, size, dtype=torch.float64)
    made = chain.pre_activations(images)
    torch.testing.assert_close(made[-1], model(images))
    activations = images
    for number, given in enumerate(made):
        rows = torch.randn(4, *given.shape[1:], dtype=torch.float64)
        before, offsets = chain.back(number, rows)
        torch.testing.assert_close(
            given.flatten(1) @ rows.flatten(1).T, activations.flatten(1) @ before.flatten(1).T + offsets
        )
        activations = given.clamp(min=0)


def test_a_network_stays_in_the_precision_that_it_was_in() -> None:
    model = tiny(0).float()
    chain_of(model, (3,))
    assert next(model.parameters()).dtype is torch.float32


@pytest.mark.parametrize(
    ("model", "shape", "message"),
    [
        (nn.Sequential(nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 2)), (3,), "layer 1 is a Tanh"),
        (PreActResNet18((3, 16, 16), 10, 2), (3, 16, 16), r"layer stem\.1 is a BatchNorm2d"),
        (nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.MaxPool2d(2)), (1, 6, 6), "layer 2 is a MaxPool2d"),
        (nn.Sequential(nn.Linear(3, 2)), (3,), "ReLU"),
        (nn.Sequential(nn.Linear(3, 3), nn.ReLU(), nn.ReLU(), nn.Linear(3, 2)), (3,), "ReLU"),
    ],
    ids=["tanh", "batch normalisation", "pooling", "no ReLU", "two in a row"],
)
def test_a_network_that_cannot_be_verified_is_refused_by_the_name_of_the_layer(model, shape, message) -> None:
    with pytest.raises(UserError, match=message):
        chain_of(model.eval(), shape)


def test_a_network_that_does_more_than_its_layers_is_refused() -> None:
    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.relu, self.second = nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 3)

        def forward(self, inputs: Tensor) -> Tensor:
            return inputs + self.second(self.relu(self.first(inputs)))

    with pytest.raises(UserError, match="more than its layers one after another"):
        chain_of(Residual().eval(), (3,))


@pytest.fixture
def without_highspy(monkeypatch: pytest.MonkeyPatch) -> None:
    found = builtins.__import__

    def importing(name: str, *arguments: object, **options: object) -> object:
        if name == "highspy":
            raise ImportError("no module named highspy")
        return found(name, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(builtins, "__import__", importing)


@pytest.mark.usefixtures("without_highspy")
def test_a_missing_solver_is_named_with_what_to_do() -> None:
    model = convolutional()
    images = torch.rand(12, 1, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    with pytest.raises(UserError, match=r"HiGHS is not there .*`make setup` installs it"):
        decided(model, images, model(images).argmax(1), 0.15)


# -- as a measurement ----------------------------------------------------------------------------------------------


def test_the_measurement_has_a_verdict_for_every_image(moons, tmp_path) -> None:
    network = {"architecture": {"name": "mlp", "hidden": [6, 5]}}
    weights, model = checkpoint(tmp_path / "weights", network, seed=1)
    attack = {"name": "pgd", "epsilon": 0.3, "steps": 5, "step_size": 0.1, "loss": "margin"}
    declared = {"verification": {"attack": attack, "seconds": 10}, "examples": 30}
    columns, _ = measured(tmp_path / "v.parquet", moons, declared, [described(weights, seed=1, network=network)])
    assert set(columns["verdict"]) <= {"verified", "falsified", "unresolved"}
    assert len(columns["index"]) == 30
    columns = {name: np.asarray(values) for name, values in columns.items()}
    wrong = columns["clean_prediction"] != columns["label"]
    assert (columns["stage"][wrong] == "clean").all()
    assert (columns["margin"][columns["verdict"] == "verified"] > 0).all()
    assert (columns["margin"][columns["verdict"] == "falsified"] <= 0).all()
    asked = columns["unstable"] >= 0
    assert (columns["last_unstable"][asked] <= columns["unstable"][asked]).all()
    assert (columns["stage"][~asked] != "bounds").all()
    assert next(iter(model.parameters())).dtype is torch.float32
