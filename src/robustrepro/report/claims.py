"""What the report shows of claims: both verdicts, and for a claimed robustness every attack on every model compared."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from pydantic import Field, RootModel

from robustrepro.report.base import Content
from robustrepro.scorecard.judged import Judged, Judgement
from robustrepro.verdicts import Verdict


class Alarm(Content):
    """One check of the attacks on one model and seed; ``value`` and ``bound`` are shares of the images."""

    seed: int
    name: str
    value: float
    bound: float
    says: str
    goes_off: bool


@dataclass(frozen=True)
class AlarmOverSeeds:
    """An alarm over the seeds of a model: how many set it off, and the one nearest to it or furthest beyond."""

    worst: Alarm
    went_off: int


class AuditedCell(Content):
    """A cell that a claim compares: one model, in one ball, under every attack; accuracies in percent.

    Attributes
    ----------
    cell
        As the claim writes it.
    own
        The paper's own attack, a key of ``accuracies``.
    words
        Attacks as a sentence would name them.
    only_seeds
        The seeds that an attack was run on, where these are not all.
    """

    cell: str
    model: str
    norm: str
    epsilon: float
    images: int
    seeds: int
    own: str
    accuracies: dict[str, float] = Field(min_length=1)
    words: dict[str, str] = Field(default_factory=dict)
    only_seeds: dict[str, list[int]] = Field(default_factory=dict)
    worst_case: float
    alarms: tuple[Alarm, ...]

    @property
    def harms_most(self) -> list[str]:
        """The attack that leaves the fewest images; several where they leave the same, none where most do."""
        lowest = min(self.accuracies.values())
        lowest_under = [attack for attack, accuracy in self.accuracies.items() if accuracy == lowest]
        return lowest_under if 2 * len(lowest_under) <= len(self.accuracies) else []

    @property
    def alarms_over_seeds(self) -> list[AlarmOverSeeds]:
        """Each alarm once, in order."""
        by_name: dict[str, list[Alarm]] = {}
        for alarm in self.alarms:
            by_name.setdefault(alarm.name, []).append(alarm)
        return [
            AlarmOverSeeds(
                max(of_seeds, key=lambda alarm: alarm.value - alarm.bound), sum(alarm.goes_off for alarm in of_seeds)
            )
            for of_seeds in by_name.values()
        ]


class JudgedClaim(Content):
    """The comparisons of a claim, under the paper's own attacks.

    ``on_the_floor``: every accuracy in those that decide against it is next to nothing. ``differs``: what is not the
    paper's of the models and measures that it compares.
    """

    claim: str
    on_the_floor: bool
    conditions: tuple[Judged, ...]
    differs: tuple[str, ...] = ()


class JudgedClaims(RootModel[tuple[JudgedClaim, ...]]):
    """The whole of a paper's ``scorecard.json``."""


class TakenDown(Content):
    """What took a claim down, and the comparisons that it leaves."""

    by: str
    left: Judgement | None

    @property
    def conditions(self) -> tuple[Judged, ...]:
        """The comparisons that it leaves; none where there was nothing to take down."""
        return self.left.conditions if self.left else ()


class AtSmaller(Content):
    """The comparisons at a smaller ε."""

    epsilons: tuple[float, ...]
    found: Judgement


class Survival(Content):
    """How a claim fared: the comparisons on the worst case, at smaller ε where all are broken, and its cells."""

    claim: str
    why: str
    conditions: tuple[Judged, ...]
    taken_down: TakenDown | None
    smaller: tuple[AtSmaller, ...]
    cells: tuple[AuditedCell, ...]

    @cached_property
    def attacks(self) -> list[str]:
        """Every attack on some cell, in order; a cell without alarms was spared the stronger ones."""
        return list(dict.fromkeys(attack for cell in self.cells for attack in cell.accuracies))

    @cached_property
    def words(self) -> dict[str, str]:
        """Attacks as a sentence would name them."""
        return {attack: words for cell in self.cells for attack, words in cell.words.items()}

    @property
    def balls(self) -> dict[tuple[str, float, int, int], list[str]]:
        """The cells by norm, ε, number of images and number of seeds."""
        balls: dict[tuple[str, float, int, int], list[str]] = {}
        for cell in self.cells:
            balls.setdefault((cell.norm, cell.epsilon, cell.images, cell.seeds), []).append(cell.cell)
        return balls

    @property
    def alarms_gone_off(self) -> int:
        """How many alarms went off, each counted once per cell."""
        return sum(alarm.went_off > 0 for cell in self.cells for alarm in cell.alarms_over_seeds)

    def own_in(self, attack: str) -> list[str]:
        """Return the cells whose own attack this is."""
        return [cell.cell for cell in self.cells if cell.own == attack]


class Survivals(RootModel[tuple[Survival, ...]]):
    """The whole of a paper's ``audit.json``."""


@dataclass(frozen=True)
class Claim:
    """A row of the scorecard.

    Attributes
    ----------
    audit
        Whether the claim survives the audit.
    conditions
        Its comparisons, as measured under the paper's own attacks; none where it was not measured.
    on_the_floor
        Whether every accuracy in the comparisons that decide against it is next to nothing.
    margins
        Why the comparisons have the bounds that they have; fixed before anything was measured.
    differs
        What is not the paper's of the models and measures that it compares, in words.
    anchors
        The places on the paper's page that the claim is judged by, the one that it names first.
    survival
        How it fared in the audit; None where it rests on no attack or was not audited.
    """

    paper: str
    claim: str
    says: str
    where: str
    verdict: Verdict
    audit: Verdict
    conditions: tuple[Judged, ...]
    on_the_floor: bool
    why: str
    margins: str
    differs: tuple[str, ...]
    anchors: tuple[str, ...]
    survival: Survival | None

    @property
    def anchor(self) -> str:
        """Its own place, both on the paper's page and on the report's first."""
        return f"claim-{self.paper}-{self.claim}"
