"""A claim under every reading of its paper: which one is the headline, and what became of it under all, in words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from robustrepro.verdicts import Verdict, listed
from robustrepro.words import plural

MOST_NAMED = 3
"""Up to this many readings are named one by one; of more it is said how many they are of how many."""
WITHOUT_AUDIT = frozenset(
    {Verdict.NOT_APPLICABLE, Verdict.NOT_MEASURED, Verdict.ALREADY_FAILS, Verdict.ALREADY_FAILS_HERE}
)
"""What leaves nothing to be said of an audit, where it is so under every reading."""


@dataclass(frozen=True)
class UnderReading:
    """What is said of a claim under one reading: whether it was reproduced, and whether it survives the audit."""

    reading: str
    verdict: Verdict
    audit: Verdict

    @property
    def was_tried(self) -> bool:
        """Whether the claim was measured under the reading."""
        return self.verdict is not Verdict.NOT_MEASURED


def headline(readings: Sequence[UnderReading]) -> UnderReading:
    """Return the reading under which a claim stands best.

    It is that of the verdict most favourable to the paper, of several with this verdict the one whose audit is, and
    then the first. So it says what the paper has when it is given the benefit of the doubt, and nothing without the
    number of readings that were tried, since many tries find something.

    Parameters
    ----------
    readings
        One reading or more, the default first, the others as declared.
    """
    return min(readings, key=lambda each: (each.verdict.favour, each.audit.favour))


def tried(readings: Sequence[UnderReading]) -> int:
    """Return how many readings of a claim were judged: those that were measured, and the only one in any case."""
    return sum(each.was_tried for each in readings) if len(readings) > 1 else 1


def in_words(readings: Sequence[UnderReading]) -> str:
    """Return what became of a claim under all readings, and how many were tried.

    Such as ``reproduced under `clipped`, not reproduced under `plain` (2 readings tried); does not survive under
    `clipped`, already fails under `plain```, the verdict most favourable to the paper first. Of more than three
    readings it is said how many of how many. What is behind the semicolon is the audit's; a claim that rests on no
    attack, or fails without one, has nothing there.

    Parameters
    ----------
    readings
        As those of :func:`headline`.

    Returns
    -------
    Nothing where there is one reading.
    """
    if len(readings) == 1:
        return ""
    unmeasured = [each.reading for each in readings if not each.was_tried]
    measured = [each for each in readings if each.was_tried]
    if not measured:
        return _said_of_all(Verdict.NOT_MEASURED, len(readings))
    words = _verdicts_in_words(measured)
    if unmeasured:
        words += f", {Verdict.NOT_MEASURED} under {_few(unmeasured)}"
    audits = {each.audit.beside(each.verdict) for each in measured}
    return words if audits <= WITHOUT_AUDIT else f"{words}; {_audits_in_words(measured)}"


def _verdicts_in_words(those_tried: Sequence[UnderReading]) -> str:
    """Return under which of the readings tried a claim has which verdict, and how many they are."""
    count = len(those_tried)
    groups = _groups((each.verdict, each.reading) for each in those_tried)
    if len(groups) == 1 < count:
        (verdict,) = groups
        return _said_of_all(verdict, count)
    if count > MOST_NAMED:
        return _each(groups, f" of {count} readings tried")
    return f"{_each(groups)} ({plural(count, 'reading')} tried)"


def _audits_in_words(those_tried: Sequence[UnderReading]) -> str:
    """Return under which of the readings tried a claim survives the audit, or rests on no attack at all."""
    count = len(those_tried)
    groups = _groups((each.audit.beside(each.verdict), each.reading) for each in those_tried)
    if len(groups) == 1 < count:
        (audit,) = groups
        return f"{audit} under {_every(audit, count)}"
    return _each(groups, f" of {count}" if count > MOST_NAMED else "")


def _groups(said: Iterable[tuple[Verdict, str]]) -> dict[Verdict, list[str]]:
    """Return the readings by what is said under them, what is most favourable to the paper first."""
    groups: dict[Verdict, list[str]] = {}
    for verdict, reading in sorted(said, key=lambda each: each[0].favour):
        groups.setdefault(verdict, []).append(reading)
    return groups


def _each(groups: Mapping[Verdict, Sequence[str]], of_all: str = "") -> str:
    """Return what is said under which readings; under how many ``of_all`` the first is said, where that is told."""
    all_indicative = all(verdict.is_indicative for verdict in groups)
    parts: list[str] = []
    for verdict, readings in groups.items():
        # That all are indicative is said once, before the first.
        words = verdict.bare if parts and all_indicative else str(verdict)
        counted = of_all and not parts
        which = f"{len(readings)}{of_all} ({_names(readings)})" if counted else _few(readings)
        parts.append(f"{words} under {which}")
    return ", ".join(parts)


def _said_of_all(verdict: Verdict, count: int) -> str:
    return f"{verdict} under {_every(verdict, count)} of {count} readings"


def _every(verdict: Verdict, count: int) -> str:
    """Return how two or more readings are spoken of where this is said under all of them."""
    if not verdict.denies:
        return "each"
    return "either" if count == 2 else "any"


def _few(readings: Sequence[str]) -> str:
    """Return the readings by their names, or how many others they are."""
    return _names(readings) if len(readings) <= MOST_NAMED else f"{len(readings)} others"


def _names(readings: Sequence[str]) -> str:
    return listed([f"`{reading}`" for reading in readings])
