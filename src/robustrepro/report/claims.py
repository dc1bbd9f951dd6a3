"""What the report shows of claims: both verdicts, and for a claimed robustness every attack on every model compared."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from pydantic import Field, RootModel, ValidationInfo, field_validator, model_validator

from robustrepro.report.base import Content
from robustrepro.report.displays import DeclaredFigure
from robustrepro.scorecard.judged import Judged, Judgement
from robustrepro.verdicts import Verdict


class Alarm(Content):
    """One check of the attacks on one model and seed; ``value``, ``bound`` and ``after`` are shares of the images."""

    seed: int
    name: str
    value: float
    bound: float
    says: str
    goes_off: bool
    after: float | None = None
    still_goes_off: bool = False


@dataclass(frozen=True)
class AlarmOverSeeds:
    """An alarm over a model's seeds: the one nearest to it or furthest beyond, how many set it off, and still do."""

    worst: Alarm
    went_off: int
    still: int


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
    clipped: bool = True
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
                max(of_seeds, key=lambda alarm: alarm.value - alarm.bound),
                sum(alarm.goes_off for alarm in of_seeds),
                sum(alarm.still_goes_off for alarm in of_seeds),
            )
            for of_seeds in by_name.values()
        ]


class JudgedReading(Content):
    """A claim under one reading of what its paper leaves unsaid: both verdicts, and its comparisons.

    Attributes
    ----------
    reading
        The reading's name; empty where the paper declares none.
    choices
        Its answer to each question that the paper leaves open.
    on_the_floor
        Whether every accuracy in the comparisons that decide against the claim is next to nothing.
    differs
        What is not the paper's of the models and measures that it compares.
    """

    reading: str = ""
    choices: dict[str, str] = Field(default_factory=dict)
    verdict: Verdict
    why: str
    audit: Verdict
    taken_down_by: str = ""
    on_the_floor: bool
    conditions: tuple[Judged, ...]
    differs: tuple[str, ...] = ()

    @field_validator("audit")
    @classmethod
    def _as_shown(cls, audit: Verdict, info: ValidationInfo) -> Verdict:
        return audit.beside(info.data["verdict"]) if "verdict" in info.data else audit


class JudgedClaim(Content):
    """A claim under each of its readings; ``reading`` names the headline's, the one that favours the paper most."""

    claim: str
    reading: str = ""
    readings: tuple[JudgedReading, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _the_headline_is_one_of_them(self) -> JudgedClaim:
        names = [judged.reading for judged in self.readings]
        if self.reading not in names:
            raise ValueError(f"the reading '{self.reading}' is none of {', '.join(names)}")
        return self

    @property
    def headline(self) -> JudgedReading:
        """The claim under the reading that favours the paper most."""
        return next(judged for judged in self.readings if judged.reading == self.reading)


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
    reading: str = ""
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
    def balls(self) -> dict[tuple[str, float, bool, int, int], list[str]]:
        """The cells by norm, ε, whether pixels are clipped, number of images and number of seeds."""
        balls: dict[tuple[str, float, bool, int, int], list[str]] = {}
        for cell in self.cells:
            where = (cell.norm, cell.epsilon, cell.clipped, cell.images, cell.seeds)
            balls.setdefault(where, []).append(cell.cell)
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
class ClaimReading:
    """A claim under one reading, as the page shows it beside the others.

    Attributes
    ----------
    name
        The reading's; empty where the paper declares none.
    judged
        Both verdicts, with the comparisons that they rest on.
    survival
        How it fared in the audit; None where it rests on no attack or was not audited.
    """

    name: str
    judged: JudgedReading
    survival: Survival | None


@dataclass(frozen=True)
class Claim:
    """A row of the scorecard: the claim under the reading that favours the paper most, and under each of the others.

    Attributes
    ----------
    audit
        Whether the claim survives the audit.
    reading
        The name of the reading that ``verdict``, ``audit``, ``conditions``, ``why``, ``differs`` and ``survival`` are
        of; empty where the paper declares no readings.
    tried
        How many readings were judged: those under which it was measured.
    under
        What became of the claim under each reading, in words; empty where there is one.
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
    readings
        The claim under every reading, in the paper's order.
    specification
        The specification curve, which shows them together; None where there is one reading.
    """

    paper: str
    claim: str
    says: str
    where: str
    verdict: Verdict
    audit: Verdict
    reading: str
    tried: int
    under: str
    conditions: tuple[Judged, ...]
    on_the_floor: bool
    why: str
    margins: str
    differs: tuple[str, ...]
    anchors: tuple[str, ...]
    survival: Survival | None
    readings: tuple[ClaimReading, ...]
    specification: DeclaredFigure | None

    @property
    def anchor(self) -> str:
        """Its own place, both on the paper's page and on the report's first."""
        return f"claim-{self.paper}-{self.claim}"

    @property
    def has_readings(self) -> bool:
        """Whether it was read in more ways than one."""
        return len(self.readings) > 1

    @property
    def audited(self) -> list[ClaimReading]:
        """The readings under which it was audited, that of the headline first."""
        audited = [reading for reading in self.readings if reading.survival]
        return sorted(audited, key=lambda reading: reading.name != self.reading)
