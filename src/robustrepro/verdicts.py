"""What is said of a claim: whether it was reproduced, and whether it survives the audit.

Words, tone, order and sentences of every verdict stand here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum, StrEnum
from types import MappingProxyType

from robustrepro.errors import unknown_name


class Tone(Enum):
    """How a verdict is meant. The value is a class of the report's style sheets."""

    GOOD = "good"
    BAD = "bad"
    OPEN = "open"
    ABSENT = "absent"

    @property
    def colour(self) -> str:
        """Return its style in a terminal."""
        return {"good": "green", "bad": "red", "open": "yellow", "absent": "dim"}[self.value]


class Verdict(StrEnum):
    """A verdict on a claim, or of its audit, in the order in which they are sorted and counted.

    The value is the word that files and pages have, but for ``already fails``, which is shown alone (see ``beside``).
    ``reproduced``, ``not reproduced`` and ``inconclusive`` are for the paper's own data, network and budget; whatever
    differs from them makes a verdict indicative.

    Attributes
    ----------
    tone
        How it is meant.
    icon
        The icon that stands before it on a page.
    says, say
        What becomes of one claim, and of several: ``was reproduced``, ``were reproduced``.
    """

    REPRODUCED = ("reproduced", Tone.GOOD, "check", "was reproduced", "were reproduced")
    SURVIVES = (
        "survives",
        Tone.GOOD,
        "check",
        "survives every attack of the audit",
        "survive every attack of the audit",
    )
    NOT_REPRODUCED = ("not reproduced", Tone.BAD, "cross", "was not reproduced", "were not reproduced")
    DOES_NOT_SURVIVE = ("does not survive", Tone.BAD, "cross", "does not survive", "do not survive")
    ALREADY_FAILS = (
        "already fails",
        Tone.BAD,
        "cross",
        "already fails under the paper's own attack",
        "already fail under the paper's own attack",
    )
    INCONCLUSIVE = ("inconclusive", Tone.OPEN, "wave", "is inconclusive", "are inconclusive")
    VACUOUS = ("vacuous", Tone.OPEN, "void", "is about a constant predictor", "are about constant predictors")
    HOLDS = ("indicative: holds", Tone.GOOD, "check", "holds here", "hold here")
    STILL_HOLDS = ("indicative: survives", Tone.GOOD, "check", "survives here", "survive here")
    DOES_NOT_HOLD = ("indicative: does not hold", Tone.BAD, "cross", "does not hold here", "do not hold here")
    NO_LONGER_HOLDS = (
        "indicative: does not survive",
        Tone.BAD,
        "cross",
        "does not survive here",
        "do not survive here",
    )
    ALREADY_FAILS_HERE = (
        "indicative: already fails",
        Tone.BAD,
        "cross",
        "already fails here under the paper's own attack",
        "already fail here under the paper's own attack",
    )
    UNDECIDED = ("indicative: undecided", Tone.OPEN, "wave", "is undecided here", "are undecided here")
    VACUOUS_HERE = (
        "indicative: vacuous",
        Tone.OPEN,
        "void",
        "is about a constant predictor here",
        "are about constant predictors here",
    )
    CANNOT_BE_ASKED = ("cannot be asked here", Tone.OPEN, "void", "cannot be asked here", "cannot be asked here")
    NOT_MEASURED = ("not measured", Tone.ABSENT, "dash", "was not measured", "were not measured")
    NOT_APPLICABLE = ("not applicable", Tone.ABSENT, "dot", "rests on no attack", "rest on no attack")

    tone: Tone
    icon: str
    says: str
    say: str

    def __new__(cls, word: str, tone: Tone, icon: str, says: str, say: str) -> Verdict:
        """Make the member of a word."""
        member = str.__new__(cls, word)
        member._value_ = word
        member.tone, member.icon, member.says, member.say = tone, icon, says, say
        return member

    @classmethod
    def of_word(cls, word: str) -> Verdict:
        """Return the verdict of a word, as files have it.

        Raises
        ------
        UserError
            If no verdict has this word, as in files that an earlier version wrote.
        """
        for verdict in cls:
            if verdict == word:
                return verdict
        raise unknown_name("verdict", word, map(str, cls))

    @property
    def is_indicative(self) -> bool:
        """Whether it is said of other data, networks or budgets than the paper's."""
        return self.startswith("indicative")

    @property
    def bare(self) -> str:
        """Its word without saying that it is indicative."""
        return self.removeprefix("indicative: ")

    @property
    def style(self) -> str:
        """The classes that the report's style sheets know it by."""
        return f"{self.tone.value} indicative" if self.is_indicative else self.tone.value

    @property
    def favour(self) -> int:
        """Its place among all verdicts and audits when those most favourable to the paper come first, from 0 on."""
        return _BY_FAVOUR.index(self)

    @property
    def denies(self) -> bool:
        """Whether its words deny something, so that they go with "any" and "either" instead of "each" and "both"."""
        return "not" in self

    @property
    def indicative(self) -> Verdict:
        """What is left of it where something differs from the paper."""
        return _INDICATIVE.get(self, self)

    @property
    def of_audit(self) -> Verdict:
        """What the audit says of a claim whose comparisons come to this verdict on the worst case."""
        return _OF_AUDIT.get(self, self)

    def beside(self, verdict: Verdict) -> Verdict:
        """Return this verdict of the audit as shown beside the claim's: one that fails has nothing left to survive."""
        return _ALREADY.get(self, self) if verdict.fails else self

    @property
    def holds(self) -> bool:
        """Whether every comparison of the claim holds."""
        return self in {Verdict.REPRODUCED, Verdict.HOLDS}

    @property
    def fails(self) -> bool:
        """Whether some comparison of the claim fails."""
        return self in {Verdict.NOT_REPRODUCED, Verdict.DOES_NOT_HOLD}

    @property
    def survives(self) -> bool:
        """Whether the audit leaves every comparison of the claim standing."""
        return self in {Verdict.SURVIVES, Verdict.STILL_HOLDS}

    @property
    def is_measured(self) -> bool:
        """Whether something was measured that it is said of."""
        return self not in {Verdict.NOT_MEASURED, Verdict.NOT_APPLICABLE}


_INDICATIVE: Mapping[Verdict, Verdict] = MappingProxyType(
    {
        Verdict.REPRODUCED: Verdict.HOLDS,
        Verdict.NOT_REPRODUCED: Verdict.DOES_NOT_HOLD,
        Verdict.INCONCLUSIVE: Verdict.UNDECIDED,
        Verdict.VACUOUS: Verdict.VACUOUS_HERE,
    }
)
_OF_AUDIT: Mapping[Verdict, Verdict] = MappingProxyType(
    {
        Verdict.REPRODUCED: Verdict.SURVIVES,
        Verdict.NOT_REPRODUCED: Verdict.DOES_NOT_SURVIVE,
        Verdict.HOLDS: Verdict.STILL_HOLDS,
        Verdict.DOES_NOT_HOLD: Verdict.NO_LONGER_HOLDS,
    }
)
_ALREADY: Mapping[Verdict, Verdict] = MappingProxyType(
    {
        Verdict.DOES_NOT_SURVIVE: Verdict.ALREADY_FAILS,
        Verdict.NO_LONGER_HOLDS: Verdict.ALREADY_FAILS_HERE,
    }
)

_BY_FAVOUR = (
    Verdict.REPRODUCED,
    Verdict.SURVIVES,
    Verdict.HOLDS,
    Verdict.STILL_HOLDS,
    Verdict.INCONCLUSIVE,
    Verdict.UNDECIDED,
    Verdict.VACUOUS,
    Verdict.VACUOUS_HERE,
    Verdict.NOT_REPRODUCED,
    Verdict.DOES_NOT_SURVIVE,
    Verdict.DOES_NOT_HOLD,
    Verdict.NO_LONGER_HOLDS,
    Verdict.ALREADY_FAILS,
    Verdict.ALREADY_FAILS_HERE,
    Verdict.CANNOT_BE_ASKED,
    Verdict.NOT_MEASURED,
    Verdict.NOT_APPLICABLE,
)
"""All verdicts, the one most favourable to the paper first: by it the readings of a claim are ranked.

A reading under which a claim cannot be asked says less of it than one under which it fails."""

OF_CLAIMS = tuple(
    verdict
    for verdict in Verdict
    if verdict
    not in {*_OF_AUDIT.values(), *_ALREADY.values(), Verdict.VACUOUS, Verdict.VACUOUS_HERE, Verdict.NOT_APPLICABLE}
)
"""What may be said of a claim under the paper's own attacks."""

OF_AUDITS = tuple(verdict for verdict in Verdict if verdict not in {*_OF_AUDIT, *_ALREADY.values()})
"""What the audit may say of a claim, as files have it."""

HERE = "“Here” means with data, networks or budgets other than the paper's: an indication, not a verdict on the paper."
"""What has to be said beside sentences about indicative verdicts."""


def counted(counts: Mapping[Verdict, int]) -> str:
    """Return how many claims have each verdict, in their order: ``4 were not reproduced and 1 holds here``."""
    return listed(
        [f"{counts[each]} {each.says if counts[each] == 1 else each.say}" for each in Verdict if counts.get(each)]
    )


def listed(parts: Sequence[str]) -> str:
    """Return one part or more as a sentence lists them: ``a``, ``a and b``, ``a, b and c``."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
