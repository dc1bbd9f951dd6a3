"""The audit of one paper: which models its claims about robustness rest on, in which balls, and who attacks whom."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from functools import cached_property
from typing import NamedTuple

from pydantic import ValidationError

from robustrepro.errors import UserError
from robustrepro.grammar import Cell, parse_condition, parse_value
from robustrepro.keys import AT
from robustrepro.layout import Layout
from robustrepro.spec.attacks import BallAttack, CraftingSpec, Inputs, Norm
from robustrepro.spec.audit import AUDIT_FILE, AuditBall, attack_at, ball_of
from robustrepro.spec.contents import Contents
from robustrepro.spec.declarations import Declarations
from robustrepro.spec.jobs import Seeded
from robustrepro.spec.lengths import require_lengths_within
from robustrepro.spec.measurements import Attack, AuditOfBall, AuditTransfer, CurveOfAttacks
from robustrepro.spec.messages import explain
from robustrepro.spec.models import GivenModel
from robustrepro.spec.paper import Column, Row, Table
from robustrepro.spec.resolution import RESERVED
from robustrepro.spec.strict_yaml import Tree

UNCLIPPED = "-unclipped"
"""What the names of measures in balls without a range of valid pixels have."""


class Ball(NamedTuple):
    """Where an adversary may go: within ε in a norm and, where it is clipped, in the range of valid pixels.

    ``data`` is the data set whose images are attacked, where these are not the model's own test images.
    """

    norm: Norm
    epsilon: float
    clipped: bool
    data: str = ""


class Transfers(NamedTuple):
    """Which models a measure of transfer is tried on: those audited under a reading, in clipped balls or in others."""

    reading: str
    clipped: bool


class PaperAudit:
    """The attacks on the models whose robustness one paper claims; it knows of no other paper.

    Parameters
    ----------
    paper
        The paper's id.
    declarations
        Everything that is declared.
    contents
        What the paper's tables are made from.
    """

    def __init__(self, paper: str, declarations: Declarations, contents: Contents) -> None:
        self.paper, self._declarations = paper, declarations
        self._under = declarations.under_readings[paper]
        self._tables = {
            name: table
            for name, table in declarations.papers[paper].tables.items()
            if name not in self._under.for_searches
        }
        self._contents = contents
        self._measured = {Cell(table, *place) for table in self._tables for place in contents.measured(paper, table)}

    @cached_property
    def balls(self) -> dict[str, list[Ball]]:
        """The audited models, each with the balls that its robustness is claimed in."""
        balls: dict[str, set[Ball]] = {}
        for conditions in self._conditions():
            for _, model, _, ball in self._attacked_cells(conditions):
                balls.setdefault(model, set()).add(ball)
        return {model: sorted(of_model) for model, of_model in sorted(balls.items())}

    def _battery(self, ball: Ball, model: str) -> AuditOfBall:
        """Return the measure of a model under every attack in a ball."""
        audit, inputs = self._declarations.audit(self.paper), self._inputs(model)
        try:
            fitting = inputs._replace(in_range=inputs.in_range and ball.clipped)
            attacks = ball_of(audit, ball.norm, ball.epsilon, fitting)
            transfer = attack_at(audit.transfer, ball.norm, ball.epsilon) if "step_size" in audit.transfer else None
        except ValidationError as error:
            raise self._not_in(ball, error) from None
        if ball.clipped:
            self._require_lengths(attacks, transfer, inputs.shape)
        return AuditOfBall(
            kind="audit", ball=attacks, clipped=ball.clipped, data=ball.data or None, examples=audit.examples
        )

    def _require_lengths(self, attacks: AuditBall, transfer: BallAttack | None, shape: tuple[int, ...]) -> None:
        """Refuse steps of the audit's that lead out of the range of pixels; those that follow from ε are ε's matter."""
        audit = self._declarations.audit(self.paper)
        for part, templates in (("attacks", audit.attacks), ("escalation", audit.escalation)):
            for key, attack in getattr(attacks, part).items():
                if "step_size" in templates[key]:
                    require_lengths_within(f"{AUDIT_FILE}: {part}.{key}", attack, shape)
        require_lengths_within(f"{AUDIT_FILE}: transfer", transfer, shape)

    @cached_property
    def transfer_measures(self) -> dict[str, Transfers]:
        """The measures under which the models of a reading attack those that are audited under it.

        A model is audited by transfer under the first reading that shows it. On other images than its own test images
        it is not: they may be others for every seed, and no two models would be attacked on the same.
        """
        return {
            self.transfer_measure(target, ball): Transfers(self._under.reading_of(target), ball.clipped)
            for target, balls in self.balls.items()
            for ball in balls
            if not ball.data
        }

    def transfer_measure(self, target: str, ball: Ball) -> str:
        """Return the measure under which the other models attack an audited one in a ball."""
        reading = self._under.reading_of(target)
        end = "" if reading == self._under.default else f"{AT}{reading}"
        return f"{RESERVED}transfer-{self.paper}{'' if ball.clipped else UNCLIPPED}{end}"

    def transfer(self, measure: str, source: str) -> AuditTransfer:
        """Return the declaration of a model's attack on those that are audited on the same data.

        It makes examples in every ball in which one of these is audited.

        Raises
        ------
        UserError
            If the audit's attack cannot run on this model; the message names its key.
        """
        audit = self._declarations.audit(self.paper)
        balls = sorted(
            {ball for target in self._targets_of(measure, source) for ball in self._balls_of(measure, target)}
        )
        try:
            attacks = [attack_at(audit.transfer, ball.norm, ball.epsilon) for ball in balls]
        except ValidationError as error:
            raise self._not_in(balls[0], error) from None
        for attack in attacks:
            if why := attack.unfit(self._inputs(source)):
                raise UserError(f"{AUDIT_FILE}: transfer: {why}; {self._named(source)}")
            given = isinstance(self._declarations.origin(source), GivenModel)
            if given and getattr(attack, "loss", None) == "training":
                raise UserError(
                    f"{AUDIT_FILE}: transfer.loss: expected a loss that every model has, found 'training'; the weights "
                    f"of {source} are given, and {self._named(source)}"
                )
        declared = {"attacks": attacks, "clipped": balls[0].clipped, "examples": audit.examples}
        return AuditTransfer.model_validate({"kind": "audit_transfer", **declared})

    def batteries(self) -> Iterator[tuple[str, Ball, AuditOfBall]]:
        """Yield each audited model with each ball, and its measure under every attack there.

        Raises
        ------
        UserError
            If an attack of the audit cannot search a ball, or run on the audited model or on one that is to attack it.
        """
        for model, balls in self.balls.items():
            for ball in balls:
                yield model, ball, self._battery(ball, model)
                for source in () if ball.data else self.sources(model):
                    self.transfer(self.transfer_measure(model, ball), source)

    def _inputs(self, model: str) -> Inputs:
        """Return what an attack on a model is to change."""
        return self._declarations.inputs(self._declarations.dataset_of(model))

    def _named(self, model: str) -> str:
        """Return which model a message is about, and why it is attacked."""
        return f"it is to attack {model}, on whose data papers/{self.paper}/paper.yaml claims robustness"

    def _not_in(self, ball: Ball, error: ValidationError) -> UserError:
        """Return the error for a ball that an attack of the audit cannot search."""
        why = explain(error, CraftingSpec, AUDIT_FILE)
        return UserError(f"papers/{self.paper}/paper.yaml: claims in the {ball.norm} ball of {ball.epsilon:g}: {why}")

    def transfer_targets(self, measure: str, source: str, seed: int) -> list[Seeded]:
        """Return the models, with their seeds, that a model's examples are tried on: all audited ones but itself."""
        return [
            (target, other)
            for target in self._targets_of(measure, source)
            for other in self._declarations.seeds(target)
            if (target, other) != (source, seed)
        ]

    def claim_values(self, conditions: Iterable[str]) -> list[Tree]:
        """Return the cells of a claim that are computed from others, each behind those that it is computed from."""
        values, _ = self._values_and_cells(conditions)
        return [{**asdict(cell), "value": value} for cell, value in values.items()]

    def claim_cells(self, conditions: Iterable[str]) -> list[Tree]:
        """Return the cells of a claim that are under attack: model, ball, and the measures in this ball.

        Of a computed cell, those that it is computed from.
        """
        return [
            {
                "cell": str(cell),
                **asdict(cell),
                "model": model,
                "measure": measure,
                **ball._asdict(),
                "measures": self._measures_in(ball, model),
                "battery": battery_measure(ball),
                "transfer": None if ball.data else self.transfer_measure(model, ball),
            }
            for cell, model, measure, ball in self._attacked_cells(conditions)
        ]

    def sources(self, target: str) -> dict[str, int]:
        """Return the models of the paper whose examples are tried on an audited one, each with its number of seeds."""
        return {
            model: len(self._declarations.seeds(model))
            for model in self._possible_sources(target)
            if not self._declarations.left_out(model)
        }

    def left_out_sources(self, target: str) -> list[str]:
        """Return the models that would have attacked an audited one, had the user not left them out."""
        return [model for model in self._possible_sources(target) if self._declarations.left_out(model)]

    def files(self, layout: Layout) -> list[str]:
        """Return the measurements that the paper's claims are audited with."""
        files: dict[str, None] = {}
        for conditions in self._conditions():
            for cell in self.claim_cells(conditions):
                for seed in self._declarations.seeds(cell["model"]):
                    names = [*cell["measures"], cell["battery"]]
                    files |= dict.fromkeys(layout.measurement(name, cell["model"], seed) for name in names)
        for target, balls in self.balls.items():
            for measure in dict.fromkeys(self.transfer_measure(target, ball) for ball in balls if not ball.data):
                for source, seeds in self.sources(target).items():
                    files |= dict.fromkeys(
                        layout.measurement(measure, source, seed)
                        for seed in range(seeds)
                        if self.transfer_targets(measure, source, seed)
                    )
        return list(files)

    def _possible_sources(self, target: str) -> list[str]:
        """Return the models of an audited one's reading on the same data set."""
        dataset, shown = self._declarations.dataset_of(target), self._under.models(self._under.reading_of(target))
        return [model for model in shown if self._declarations.dataset_of(model) == dataset]

    def _targets_of(self, measure: str, source: str) -> list[str]:
        """Return the audited models on the same data set as a model that a measure of transfer is of."""
        dataset, reading = self._declarations.dataset_of(source), self.transfer_measures[measure].reading
        of_reading = [model for model in self.balls if self._under.reading_of(model) == reading]
        on_the_same_data = [model for model in of_reading if self._declarations.dataset_of(model) == dataset]
        return [model for model in on_the_same_data if self._balls_of(measure, model)]

    def _balls_of(self, measure: str, target: str) -> list[Ball]:
        """Return the balls of an audited model that a measure of transfer is in."""
        clipped = self.transfer_measures[measure].clipped
        return [ball for ball in self.balls[target] if ball.clipped == clipped and not ball.data]

    def _conditions(self) -> Iterator[tuple[str, ...]]:
        """Yield the conditions of every claim under every reading."""
        for claim in self._declarations.papers[self.paper].claims:
            for under in self._under.claims(claim):
                yield under.holds_if

    def _attacked_cells(self, conditions: Iterable[str]) -> Iterator[tuple[Cell, str, str, Ball]]:
        """Yield each accuracy in a claim that is under attack, with its cell, model, measure and ball.

        What else is measured under attack, such as a distance, is no accuracy that others could lower. There is
        none where one of the claim's cells is not measured: nothing can be judged then; and none where a condition
        compares attacks on one model in one ball, of which all attacks together leave the same.
        """
        conditions = list(conditions)
        values, cells = self._values_and_cells(conditions)
        if not self._measured.issuperset({*values, *cells}):
            return
        found = {cell: (cell, model, measure, ball) for cell, model, measure, ball in self._attacked(cells)}
        for condition in conditions:
            places = [found[cell][1::2] for cell in self._values_and_cells([condition])[1] if cell in found]
            if len(set(places)) < len(places):
                return
        yield from found.values()

    def _attacked(self, cells: Iterable[Cell]) -> Iterator[tuple[Cell, str, str, Ball]]:
        """Yield those cells that are accuracies of a model under one attack in a ball."""
        for cell in cells:
            row = self._tables[cell.table].rows[cell.row]
            column = self._tables[cell.table].columns[cell.column]
            model = row.subject(column)
            if model is None or len(column.measures) != 1 or not self._contents.statistic(column).accuracy:
                continue
            ball = self._ball(column.measures[0], column)
            if ball and ball.epsilon > 0:
                yield cell, model, column.measures[0], ball

    def _values_and_cells(self, conditions: Iterable[str]) -> tuple[dict[Cell, str], list[Cell]]:
        """Return the computed cells of a claim, each behind those that it is computed from, and all other cells."""
        values: dict[Cell, str] = {}
        others: dict[Cell, None] = {}

        def follow(cell: Cell) -> None:
            not_made = self._under.is_not_made(cell.table)
            value = None if not_made else self._tables[cell.table].columns[cell.column].value
            if value is None:
                others[cell] = None
                return
            for part in parse_value(value, cell.row).cells:
                follow(Cell(cell.table, *part))
            values[cell] = value

        for text in conditions:
            for cell in parse_condition(text).cells:
                follow(cell)
        return values, list(others)

    def _ball(self, measure: str, column: Column) -> Ball | None:
        """Return the ball of a column's measure on test images, of a curve at its one ε; None where there is none."""
        declared = self._declarations.measure(measure)
        if not isinstance(declared, Attack | CurveOfAttacks) or declared.split != "test":
            return None
        attack = declared.curve.attack if isinstance(declared, CurveOfAttacks) else declared.attack
        norm, epsilon = getattr(attack, "norm", None), getattr(attack, "epsilon", None)
        if isinstance(declared, CurveOfAttacks):
            chosen = (column.rows or {}).get("epsilon")
            epsilon = chosen[0] if isinstance(chosen, list) and len(chosen) == 1 else chosen
        if norm is None or not isinstance(epsilon, float):
            return None
        return Ball(norm, epsilon, declared.clipped, declared.data or "")

    def _measures_in(self, ball: Ball, model: str) -> list[str]:
        """Return the measures in a ball that the paper's tables have of a model, in the tables' order."""
        columns = [
            column for table, row in self._rows() for column in table.columns.values() if row.subject(column) == model
        ]
        measures = [(measure, column) for column in columns for measure in column.measures]
        return list(dict.fromkeys(measure for measure, column in measures if self._ball(measure, column) == ball))

    def _rows(self) -> Iterator[tuple[Table, Row]]:
        for table in self._tables.values():
            for row in table.rows.values():
                yield table, row


def battery_measure(ball: Ball) -> str:
    """Return the name of the measure of a model under every attack in a ball."""
    on_data = f"-on-{ball.data}" if ball.data else ""
    return f"{RESERVED}{ball.norm}-{ball.epsilon:g}{'' if ball.clipped else UNCLIPPED}{on_data}"


def batteries_of(audits: Iterable[PaperAudit]) -> dict[tuple[str, str], AuditOfBall]:
    """Return what all papers audit a model with in one ball, by the name of the measure and of the model.

    Raises
    ------
    UserError
        If two balls have the same name, a model cannot be audited in one, or two papers audit it there differently.
    """
    balls: dict[str, Ball] = {}
    batteries: dict[tuple[str, str], AuditOfBall] = {}
    for audit in audits:
        for model, ball, battery in audit.batteries():
            measure = battery_measure(ball)
            same = balls.setdefault(measure, ball)
            if same != ball:
                raise UserError(
                    f"epsilons {same.epsilon} and {ball.epsilon} differ by less than their names show; use one"
                )
            if batteries.setdefault((measure, model), battery) != battery:
                raise UserError(
                    f"{model} is audited in the {ball.norm} ball of {ball.epsilon:g} by two papers, whose audits "
                    f"differ (audit.papers of the scale or of config.yaml): let them be the same, or run one paper"
                )
    return batteries
