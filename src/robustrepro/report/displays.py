"""Tables and figures as a paper's page displays them, a table with its versions under other readings."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from robustrepro.report.base import Content
from robustrepro.report.table import Table


class Declared(Content):
    """A table or figure that the paper declares; ``where`` is what the paper calls it.

    Attributes
    ----------
    of, reading
        Of a table that is made for a reading: the declared table, and the reading's name. Both are empty of a declared
        one.
    """

    id: str
    where: str
    caption: str = ""
    of: str = ""
    reading: str = ""


@dataclass(frozen=True)
class DeclaredTable:
    """A declared table, or its version under a reading: ``table`` is None where it was not made.

    ``path`` says what is missing then. ``of`` is the key of the declared table, and ``reading`` the name of the
    version's reading; both are empty of the declared table itself.
    """

    id: str
    label: str
    anchor: str
    path: str
    caption: str
    table: Table | None
    of: str = ""
    reading: str = ""

    @property
    def is_measured(self) -> bool:
        """Whether any of its numbers was: a run that leaves models out makes their tables all the same."""
        return self.table is not None and any(cell.status == "measured" for cell in self.table.cells)

    @property
    def name(self) -> str:
        """What it is called in a sentence: a version names its reading."""
        return f"{self.label} ({self.reading})" if self.of else self.label

    @property
    def under(self) -> str:
        """The name of its reading, also of the declared table, which is of the default reading."""
        return self.reading or (self.table.reading if self.table else "") or "as declared"

    @property
    def distance(self) -> float | None:
        """The mean absolute difference to the printed numbers; None where they were not compared."""
        return self.table.distance.mean_absolute_difference if self.table and self.table.distance else None


@dataclass(frozen=True)
class TableVersions:
    """A declared table, and its versions under the readings that change it."""

    declared: DeclaredTable
    others: tuple[DeclaredTable, ...]

    @property
    def all(self) -> tuple[DeclaredTable, ...]:
        """Every version, the declared one first."""
        return (self.declared, *self.others)

    @property
    def closest(self) -> list[str]:
        """The keys of those nearest to the printed numbers; none where there are no two to compare."""
        distances = {version.id: version.distance for version in self.all if version.distance is not None}
        if len(distances) < 2:
            return []
        nearest = min(distances.values())
        return [key for key, distance in distances.items() if distance == nearest]


def with_versions(tables: Iterable[DeclaredTable]) -> list[TableVersions]:
    """Return each declared table with its versions, in their order."""
    tables = list(tables)
    return [
        TableVersions(declared, tuple(version for version in tables if version.of == declared.id))
        for declared in tables
        if not declared.of
    ]


@dataclass(frozen=True)
class DeclaredFigure:
    """A declared figure: ``uri`` is None, and ``path`` says what is missing, where it was not drawn."""

    label: str
    anchor: str
    path: str
    caption: str
    uri: str | None
    width: int = 0
    height: int = 0
