"""A sentence about each claim: what the paper says, what it printed, what was measured, and the verdict."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from robustrepro.scorecard.combined import ClaimOverScales, reading_in_words
from robustrepro.scorecard.headlines import Headline, read_headlines
from robustrepro.scorecard.judged import Judged
from robustrepro.verdicts import Verdict
from robustrepro.words import plural

SHOWN = 2
"""How many comparisons and differences of a claim a sentence names."""


def sentences(results: Path, claims: Sequence[ClaimOverScales]) -> list[str]:
    """Return a sentence about each claim, with the numbers of the scale that says most about the paper.

    Parameters
    ----------
    results
        Holds a folder per scale.
    claims
        Claims over the scales to choose from.

    Raises
    ------
    UserError
        If a scale's files do not have a claim that its scorecard has.
    """
    headlines: dict[tuple[str, str], Headline] = {}
    for place in dict.fromkeys((claim.scale, claim.paper) for claim in claims):
        rows = [claim.row for claim in claims if (claim.scale, claim.paper) == place]
        headlines |= {
            (headline.row["paper"], headline.row["claim"]): headline
            for headline in read_headlines(results / place[0], rows)
        }
    return [_sentence(headlines[claim.paper, claim.claim], claim.scale) for claim in claims]


def _sentence(claim: Headline, scale: str) -> str:
    row = claim.row
    begin = f"{row['claim']}: The paper says “{' '.join(row['says'].split())}” ({row['where']})"
    reading = reading_in_words(row)
    under = f", read as {reading}" if reading else ""
    if claim.verdict is Verdict.NOT_MEASURED:
        return f"{begin}; not measured ({row['why'].partition(';')[0]})."
    differs = f", with {_few(claim.differences)}" if claim.verdict.is_indicative and claim.differences else ""
    measured = f"; {numbers}" if (numbers := _numbers(claim)) else ""
    return f"{begin}{measured}: {claim.verdict} at scale {scale}{under}{differs}{_audited(claim)}."


def _numbers(claim: Headline) -> str:
    """Return the numbers of the comparisons that decide: printed, measured, and how far from the bound."""
    shown = claim.decisive[:SHOWN]
    rest = len(claim.decisive) - len(shown)
    more = f" (and {plural(rest, 'comparison')} more alike)" if rest else ""
    return ", and ".join(map(_comparison, shown)) + more


def _comparison(condition: Judged) -> str:
    unit = condition.unit if condition.unit == "%" else f" {condition.unit}".rstrip()
    numbers = ", ".join(
        f"{number.cell} measured {number.value:.{condition.decimals}f}{unit}"
        + (f" (printed {number.printed})" if number.printed else "")
        for number in condition.compared
    )
    if condition.bound is not None:
        return f"{numbers}, where {condition.bound:.{condition.decimals}f}{unit} would be needed"
    side = "above" if condition.margin >= 0 else "below"
    spread = ""
    if condition.interval:
        low, high = condition.interval
        spread = f" [{low:+.{condition.decimals}f}, {high:+.{condition.decimals}f}]"
    return f"{numbers}, {abs(condition.margin):.{condition.decimals}f} {side} the bound{spread}"


def _few(differences: Sequence[str]) -> str:
    rest = len(differences) - SHOWN
    more = f" and {plural(rest, 'difference')} more" if rest > 0 else ""
    return ", ".join(differences[:SHOWN]) + more


def _audited(claim: Headline) -> str:
    if not claim.audit.is_measured:
        return ""
    by = f" ({claim.taken_down_by})" if claim.taken_down_by else ""
    return f"; audit: {claim.audit.bare}{by}"
