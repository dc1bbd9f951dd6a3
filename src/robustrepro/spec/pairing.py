"""Who attacks whom by transfer: the examples of a source are tried on networks that were trained from another seed."""

from __future__ import annotations

from robustrepro.spec.declarations import Declarations
from robustrepro.spec.jobs import Seeded
from robustrepro.spec.measurements import Transfer
from robustrepro.spec.paper import Column
from robustrepro.spec.strict_yaml import Tree


class Pairing:
    """The sources and targets of measures of transfer, seed by seed.

    A source with seed k attacks the target's next seed, k + 1, in turn. With a single seed that would be k again: what
    shares a seed shares initial weights and the order of the data, and may be the very same network.

    Parameters
    ----------
    declarations
        Everything that is declared.
    """

    def __init__(self, declarations: Declarations) -> None:
        self._declarations = declarations

    def pair(self, model: str, column: Column) -> tuple[str, str]:
        """Return the source and the target of a column's cell in a model's row."""
        declared = self._transfer(column.measures[0])
        return (declared.source, model) if declared.source else (model, str(column.target))

    def without_second_seed(self, model: str, column: Column) -> str | None:
        """Return the model that a column's cell needs with a second seed, and which has one; None where nothing lacks.

        It is the one whose seeds are taken in turn: the target, or the source where the measure names it.
        """
        source, target = self.pair(model, column)
        if column.white_box and source == target:
            return None
        other = source if self._transfer(column.measures[0]).source else target
        return other if self._seed_count(other) < 2 else None

    def samples(self, model: str, column: Column) -> list[Tree]:
        """Return which measurement of the source each seed's value of a cell is from, and which of its rows.

        There are as many values as the side with fewer seeds has: a network that is taken twice would count as two.
        """
        source, target = self.pair(model, column)
        sources, targets = self._seed_count(source), self._seed_count(target)
        seeds = range(min(sources, targets))
        if self._transfer(column.measures[0]).source:
            triples = [(seed, (seed + 1) % sources, seed) for seed in seeds]
        else:
            white_box = column.white_box and source == target
            triples = [(seed, seed, seed if white_box else (seed + 1) % targets) for seed in seeds]
        return [
            {
                "seed": seed,
                "subject_seed": source_seed,
                "rows": {**(column.rows or {}), "target": target, "target_seed": target_seed},
            }
            for seed, source_seed, target_seed in triples
        ]

    def targets(self, measure: str, source: str, seed: int) -> list[Seeded]:
        """Return the models, with their seeds, that the examples of a source are tried on under a declared measure."""
        declared = self._transfer(measure)
        targets = [target for target in declared.targets if not self._declarations.left_out(target)]
        if declared.source:
            sources = self._seed_count(source)
            pairs = [
                (target, other)
                for target in targets
                for other in self._declarations.seeds(target)
                if sources > 1 and (other + 1) % sources == seed
            ]
        else:
            counts = {target: self._seed_count(target) for target in targets}
            pairs = [(target, (seed + 1) % count) for target, count in counts.items() if count > 1]
        if declared.white_box and source in targets:
            pairs.append((source, seed))
        return sorted(set(pairs))

    def _transfer(self, measure: str) -> Transfer:
        declared = self._declarations.measure(measure)
        assert isinstance(declared, Transfer)
        return declared

    def _seed_count(self, model: str) -> int:
        return len(self._declarations.seeds(model))
