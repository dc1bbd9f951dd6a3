"""A paper's tables and claims under each of its readings."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from robustrepro.errors import unknown_name
from robustrepro.grammar import Cell, parse_condition, parse_value
from robustrepro.keys import AT, KEY
from robustrepro.spec.paper import Paper, Row, Table
from robustrepro.spec.readings import PaperReadings, Reading, Search
from robustrepro.spec.strict_yaml import Tree
from robustrepro.spec.variants import Variant, Variants

TABLE_OF_CELL = re.compile(rf"(?<![\w.{AT}-]){KEY}(?=\[)")
"""The name of a table in a claim's condition."""
ROW_OF_CELL = re.compile(rf"(?<![\w.{AT}-])({KEY})\[\s*({KEY})\s*,")
"""The names of a table and of its row in a claim's condition."""


@dataclass(frozen=True)
class ClaimUnder:
    """A claim as one reading has it: conditions on its tables, what it chooses, and how it contradicts the paper."""

    reading: str
    holds_if: tuple[str, ...]
    choices: Mapping[str, str]
    differs: tuple[str, ...]


@dataclass(frozen=True)
class SearchUnder:
    """A reading's search: for each candidate, the conditions' and the tables' names on validation images."""

    declared: Search
    tables: Mapping[str, Mapping[str, str]]

    @property
    def in_words(self) -> str:
        """What is compared, and on what."""
        data = ", ".join(f"the test images of {used} (for {name})" for name, used in self.declared.data.items())
        best = f"closest to the printed numbers of {self.declared.closest_to}"
        if self.declared.largest:
            best = " and ".join([f"largest {self.declared.largest}", *self.declared.among])
        return f"{', '.join(self.tables)}; on {data}: {best}"

    @property
    def table_names(self) -> list[str]:
        """Every table that it reads."""
        return list(dict.fromkeys(name for names in self.tables.values() for name in names.values()))


class UnderReadings:
    """A paper's tables and claims under each of its readings.

    Parameters
    ----------
    name, paper
        The paper, and its id.
    readings, used
        Its readings, and those of them that are asked for, but for the default.
    variants
        What these change.
    """

    def __init__(
        self, name: str, paper: Paper, readings: PaperReadings, used: Mapping[str, Reading], variants: Variants
    ) -> None:
        self._paper, self._readings, self._used = paper, readings, used
        self.default = readings.default
        self.tables: dict[str, Table] = {}
        """By name, the tables that readings change."""
        self.origins: dict[str, tuple[str, str]] = {table: (table, self.default) for table in paper.tables}
        """By name, of every table: the declared one, and the reading."""
        self.searches: dict[str, SearchUnder] = {}
        """By reading, how it is tuned."""
        self.for_searches: set[str] = set()
        """The tables that only searches read."""
        self._names: dict[str, dict[str, str]] = {}
        self._claims: dict[str, list[ClaimUnder]] = {}
        for reading, declared in used.items():
            concerned = declared.concerns.tables
            tables = list(paper.tables) if concerned is None else concerned
            variant = variants.of(name, reading)
            self._names[reading] = {table: self._under(table, variant) for table in tables}
        for reading, declared in used.items():
            if declared.search is not None and self._is_tuned(variants.of(name, reading)):
                self._add_search(name, reading, declared.search, variants)

    def is_not_made(self, table: str) -> bool:
        """Tell whether a name is that of a declared table under a declared reading which adds nothing to this run."""
        declared, _, reading = table.partition(AT)
        return table not in self.origins and declared in self._paper.tables and reading in self._readings.declared

    def claims(self, claim: str) -> list[ClaimUnder]:
        """Return a claim under every reading that concerns it and makes it another one, the default first."""
        if claim not in self._claims:
            self._claims[claim] = self._claim(claim)
        return self._claims[claim]

    def _claim(self, claim: str) -> list[ClaimUnder]:
        conditions = self._paper.claims[claim].holds_if
        found = [ClaimUnder(self.default, tuple(conditions), self._choices(self.default), ())]
        compared = {self._compared(conditions)}
        for reading, declared in self._used.items():
            if declared.concerns.claims is not None and claim not in declared.concerns.claims:
                continue
            under = tuple(_with_tables(text, self._names[reading]) for text in conditions)
            if (ours := self._compared(under)) not in compared:
                compared.add(ours)
                differs = tuple(self._readings.differs(reading))
                found.append(ClaimUnder(reading, under, self._choices(reading), differs))
        return found

    def described(self) -> list[Tree]:
        """Return what the report says of the readings that are run, the default first; nothing where there is none."""
        return [
            {
                "name": name,
                "choices": dict(self._choices(name)),
                "differs": self._readings.differs(name),
                "searched": self._searched(name, declared),
                "concerns": self._concerned(name),
                **declared.model_dump(mode="json", include={"unsaid", "where", "why"}),
            }
            for name, declared in self._readings.declared.items()
            if name == self.default or name in self._used
        ]

    def _searched(self, name: str, declared: Reading) -> str:
        """Return how a reading is searched, in words; nothing of a plain alternative."""
        if name in self.searches:
            return self.searches[name].in_words
        return "not at this scale, where all candidates come to the same" if declared.search else ""

    def _concerned(self, name: str) -> str:
        """Return what a reading concerns, in words, where that is not everything."""
        if name == self.default:
            return ""
        names = self._names[name]
        if all(self._is_there_already(name, table, under) for table, under in names.items()):
            return "nothing at this scale, where it comes to what another reading is"
        return "" if len(names) == len(self._paper.tables) else ", ".join(names)

    def _is_there_already(self, reading: str, table: str, under: str) -> bool:
        """Tell whether a table is the same under a reading that comes before it."""
        before = [self.default, *self._used][: [self.default, *self._used].index(reading)]
        return any(self._names.get(other, {}).get(table, table) == under for other in before)

    def reading_of(self, model: str) -> str:
        """Return the first reading, the default before all others, in whose tables a model stands.

        Raises
        ------
        KeyError
            If no table shows it.
        """
        return self._first_reading[model]

    def _compared(self, conditions: Iterable[str]) -> tuple[str, ...]:
        """Return what stands behind the cells of a claim: of which models, by which measures."""
        return tuple(self._behind(cell) for text in conditions for cell in parse_condition(text).cells)

    def _behind(self, cell: Cell) -> str:
        """Return what stands behind a cell; of a computed one, behind the cells that it is made of."""
        if self.is_not_made(cell.table):
            return str(cell)
        table = self._table(cell.table)
        row, column = table.rows[cell.row], table.columns[cell.column]
        if column.value is not None:
            parts = parse_value(column.value, cell.row).cells
            return "; ".join(self._behind(Cell(cell.table, *part)) for part in parts)
        return f"{row.model} {row.models} {column.measure} {column.target}"

    @cached_property
    def _first_reading(self) -> dict[str, str]:
        first: dict[str, str] = {}
        for reading in (self.default, *self._used):
            for model in self.models(reading):
                first.setdefault(model, reading)
        return first

    def models(self, reading: str) -> list[str]:
        """Return the models in a reading's tables."""
        return list(dict.fromkeys(model for table in self._tables_of(reading) for model in _models(table)))

    def _tables_of(self, reading: str) -> Iterator[Table]:
        names = self._paper.tables if reading == self.default else self._names[reading].values()
        return map(self._table, names)

    def _table(self, name: str) -> Table:
        return self.tables.get(name) or self._paper.tables[name]

    def _choices(self, reading: str) -> Mapping[str, str]:
        return self._readings.choices(reading) if self._readings.declared else {}

    def _is_tuned(self, variant: Variant) -> bool:
        """Tell whether there is anything to choose: at a scale, all candidates may come to the same."""
        return any(name == variant.named(declared) for declared, name in variant.models.items())

    def _under(self, table: str, variant: Variant, read: Sequence[str] = ()) -> str:
        """Return the name of a table under a variant; one that is made, unless there is the same already.

        Of a table for a search alone, only the rows that its conditions, ``read``, name: what it decides is decided by
        these, and no other model has to be trained for it.
        """
        declared = self._paper.tables[table]
        changed = _only_rows_in(read, table, _renamed(declared, variant))
        if changed == declared:
            return table
        for name, (of, _) in self.origins.items():
            if of == table and self._table(name) == changed:
                return name
        name = variant.named(table)
        self.tables[name], self.origins[name] = changed, (table, variant.name)
        return name

    def _add_search(self, paper: str, reading: str, search: Search, variants: Variants) -> None:
        read = [search.largest, *search.among] if search.largest else []
        needed = [search.closest_to] if search.closest_to else _tables_in(read)
        for table in needed:
            if table not in self._paper.tables:
                place = f"{self._readings.place(reading)}.search"
                raise unknown_name(f"table in {place}", table, self._paper.tables)
        before = set(self.origins)
        tables = {
            key: {table: self._under(table, variants.of(paper, f"{reading}.{key}"), read) for table in needed}
            for key in search.candidates
        }
        self.searches[reading] = SearchUnder(search, tables)
        for name in set(self.origins) - before:
            # Captions of its own: who edits the table's is not to train anew what was chosen.
            told = {"where": f"a search of {reading}", "caption": "What is compared on held-out images"}
            self.tables[name] = self.tables[name].model_copy(update=told)
            self.for_searches.add(name)


def _renamed(table: Table, variant: Variant) -> Table:
    """Return a table with a variant's models and measures."""

    def of_row(row: Row) -> Row:
        models = row.models and {key: variant.model(model) for key, model in row.models.items()}
        return row.model_copy(update={"model": row.model and variant.model(row.model), "models": models})

    rows = {key: of_row(row) for key, row in table.rows.items()}
    columns = {}
    for key, column in table.columns.items():
        measure = column.measure
        if measure is not None:
            measure = variant.measure(measure) if isinstance(measure, str) else [*map(variant.measure, measure)]
        target = column.target and variant.model(column.target)
        columns[key] = column.model_copy(update={"measure": measure, "target": target})
    return table.model_copy(update={"rows": rows, "columns": columns})


def _only_rows_in(conditions: Sequence[str], name: str, table: Table) -> Table:
    """Return a table with the rows that conditions name and nothing printed; whole, where cells are made of others."""
    named = {match[2] for text in conditions for match in ROW_OF_CELL.finditer(text) if match[1] == name}
    rows = {key: row for key, row in table.rows.items() if key in named}
    if not rows or any(column.value is not None for column in table.columns.values()):
        return table
    return table.model_copy(update={"rows": rows, "published": None})


def _with_tables(condition: str, names: Mapping[str, str]) -> str:
    """Return a condition with other names of tables."""
    return TABLE_OF_CELL.sub(lambda cell: names.get(cell[0], cell[0]), condition)


def _models(table: Table) -> Iterator[str]:
    """Yield the models that a table's paper shows; those of other papers, in rows for these, are beside the point."""
    return (model for row in table.rows.values() if row.only_with is None for model in row.all_models)


def _tables_in(conditions: Iterable[str]) -> list[str]:
    """Return the names of the tables whose cells stand in sums or conditions."""
    return list(dict.fromkeys(match[0] for text in conditions for match in TABLE_OF_CELL.finditer(text)))
