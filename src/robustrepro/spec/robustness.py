"""Who attacks whom: transfer between models, and every attack on the models that a claim about robustness rests on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from functools import cached_property

from robustrepro.grammar import Cell, parse_condition
from robustrepro.spec.attacks import Norm, TransferAttack
from robustrepro.spec.config import Tree
from robustrepro.spec.declarations import Declared
from robustrepro.spec.layout import AUDIT
from robustrepro.spec.paper import Column, Row, Transfer

Ball = tuple[Norm, float]
"""A norm and ε: where an adversary may go."""


class Robustness:
    """The attacks of a plan on the models whose robustness is claimed.

    Parameters
    ----------
    declared
        Everything that is declared.
    """

    def __init__(self, declared: Declared) -> None:
        self._declared = declared

    @cached_property
    def audited(self) -> dict[str, list[Ball]]:
        """The models whose robustness a claim rests on, each with the balls that it is claimed in."""
        found: dict[str, set[Ball]] = {}
        for name, paper in self._declared.papers.items():
            for claim in paper.claims.values():
                for _, model, _, ball in self._attacked_cells(name, claim.holds_if):
                    found.setdefault(model, set()).add(ball)
        return {model: sorted(balls) for model, balls in sorted(found.items())}

    def transfer_targets(self, model: str, seed: int | str, measure: str) -> list[tuple[str, int]]:
        """Return the models, with their seeds, that a model's adversarial examples are tried on.

        For the audit these are all audited models on the same data, but the model itself. A table asks for targets
        that were trained independently, from another seed, and for the model itself where that is the white box.
        """
        if measure == AUDIT:
            return [
                (target, other)
                for target in self._audited_beside(model)
                for other in self._declared.seeds(target)
                if (target, other) != (model, int(seed))
            ]
        cells = list(self._made_cells())
        if isinstance(attack := self._declared.measure(measure).attack, TransferAttack):
            hit = {row.model for row, column in cells if row.model and column.measure == measure}
            return sorted(
                (target, other)
                for target in (hit if attack.source == model else ())
                for other in self._declared.seeds(target)
                if self.source_seed(attack.source, other) == int(seed)
            )
        return sorted(
            {
                (column.transfer.target, self.target_seed(model, int(seed), column.transfer))
                for row, column in cells
                if row.model == model and column.transfer is not None and column.transfer.measure == measure
            }
        )

    def source_seed(self, source: str, seed: int) -> int:
        """Return the seed of the source whose examples a target with this seed is tried on: the next."""
        return (seed + 1) % len(self._declared.seeds(source))

    def target_seed(self, source: str, seed: int, transfer: Transfer) -> int:
        """Return the seed of the target that a source with this seed attacks: the next, unless it is the white box."""
        if transfer.white_box and source == transfer.target:
            return seed
        return (seed + 1) % len(self._declared.seeds(transfer.target))

    def _audited_beside(self, model: str) -> list[str]:
        """Return the audited models on the same data set as a model."""
        dataset = self._declared.model(model).dataset
        return [name for name in self.audited if self._declared.model(name).dataset == dataset]

    def balls_beside(self, model: str) -> list[Ball]:
        """Return the balls in which models on the same data set are audited."""
        return sorted({ball for name in self._audited_beside(model) for ball in self.audited[name]})

    def _attacked_cells(self, paper: str, conditions: Iterable[str]) -> Iterator[tuple[Cell, str, str, Ball]]:
        """Yield each cell of a claim that is under attack, with its model, measure and ball."""
        for cell in dict.fromkeys(cell for text in conditions for _, cell in parse_condition(text).terms):
            table = self._declared.papers[paper].tables[cell.table]
            model, measure = table.rows[cell.row].model, table.columns[cell.column].measure
            ball = self._ball(measure) if measure else None
            if model and measure and ball and ball[1] > 0 and self._declared.is_made(paper, cell.table):
                yield cell, model, measure, ball

    def robust_cells(self, paper: str, conditions: Iterable[str]) -> list[Tree]:
        """Return the cells of a claim that are under attack: model, ball, and the measures in this ball."""
        return [
            {
                "cell": str(cell),
                **asdict(cell),
                "model": model,
                "measure": measure,
                "norm": ball[0],
                "epsilon": ball[1],
                "measures": [name for name in self._measures_of(model) if self._ball(name) == ball],
            }
            for cell, model, measure, ball in self._attacked_cells(paper, conditions)
        ]

    def sources(self, paper: str, model: str) -> dict[str, int]:
        """Return the models of a paper whose adversarial examples are tried on one, each with its number of seeds."""
        dataset = self._declared.model(model).dataset
        return {
            source: len(self._declared.seeds(source))
            for source in self._declared.papers[paper].models
            if self._declared.model(source).dataset == dataset and not self._declared.left_out(source)
        }

    def _ball(self, measure: str) -> Ball | None:
        """Return the ball of a measure on the test set; None where there is none."""
        declaration = self._declared.measure(measure)
        attack = declaration.attack
        if declaration.split != "test" or not hasattr(attack, "norm") or not hasattr(attack, "epsilon"):
            return None
        return (attack.norm, attack.epsilon)

    def _measures_of(self, model: str) -> tuple[str, ...]:
        """Return the measures that some table has of a model, in the tables' order."""
        return tuple(
            dict.fromkeys(
                column.measure
                for row, column in self._made_cells()
                if row.model == model and column.measure is not None
            )
        )

    def _made_cells(self) -> Iterator[tuple[Row, Column]]:
        """Yield row and column of every cell of the tables that are made."""
        for name, paper in self._declared.papers.items():
            for key, table in paper.tables.items():
                if self._declared.is_made(name, key):
                    for row in table.rows.values():
                        for column in table.columns.values():
                            yield row, column
