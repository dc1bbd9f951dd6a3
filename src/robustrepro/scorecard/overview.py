"""The verdicts over all published scales: each on a page beside them, counted by paper in a block of the README."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from robustrepro.errors import UserError
from robustrepro.files import write_text
from robustrepro.scorecard.combined import ClaimOverScales, as_markdown, combined, tried_in_words
from robustrepro.verdicts import HERE, Verdict, counted
from robustrepro.words import plural

BEGIN = "<!-- verdicts: what stands up to the next mark is written by `make publish` -->"
END = "<!-- end of the verdicts -->"


def write_overview(results: Path, readme: Path, scales: Sequence[str]) -> list[Path]:
    """Write ``README.md`` beside the published scales, and the block of the project's README.

    Parameters
    ----------
    results
        The folder of the published scales.
    readme
        Has the marks ``BEGIN`` and ``END``, each on a line of its own.
    scales
        Every scale, the most faithful first.

    Returns
    -------
    The files written.

    Raises
    ------
    UserError
        If the README lacks one of the marks.
    """
    claims = combined(results, scales)
    text = readme.read_text(encoding="utf-8")
    before, begin, rest = text.partition(f"{BEGIN}\n")
    _, end, after = rest.partition(f"{END}\n")
    if not begin or not end:
        raise UserError(f"{readme}: the verdicts go between two lines that are not there: '{BEGIN}' and '{END}'")
    write_text(readme, before + begin + block(claims) + end + after)
    overview = results / "README.md"
    write_text(overview, page(claims, [scale for scale in scales if (results / scale).is_dir()]))
    return [overview, readme]


def block(claims: Sequence[ClaimOverScales]) -> str:
    """Return the block of the README: of each paper, how many claims have which verdict, and how many survive."""
    occurring = {claim.verdict for claim in claims}
    verdicts = [verdict for verdict in Verdict if verdict in occurring]
    lines = [
        f"| paper | {' | '.join(verdicts)} | survive the audit |",
        f"| --- |{' ---: |' * (len(verdicts) + 1)}",
    ]
    for paper in dict.fromkeys(claim.paper for claim in claims):
        of_paper = [claim for claim in claims if claim.paper == paper]
        counts = Counter(claim.verdict for claim in of_paper)
        audits = [claim.audit for claim in of_paper if claim.audit.is_measured]
        surviving = f"{sum(audit.survives for audit in audits)} of {len(audits)}" if audits else "–"
        lines.append(f"| {paper} | {' | '.join(str(counts[each] or '–') for each in verdicts)} | {surviving} |")
    return "\n".join(lines) + "\n"


def page(claims: Sequence[ClaimOverScales], published: Sequence[str]) -> str:
    """Return the page: every claim with what differs from the paper where its verdict comes from.

    Parameters
    ----------
    claims
        Over all scales.
    published
        The scales that the page stands beside.
    """
    links = ", ".join(f"[`{scale}`]({scale}/scorecard.md)" for scale in published)
    differing = [
        f"- {claim.paper}, {claim.claim}: {claim.row['differs']}" for claim in claims if claim.row.get("differs")
    ]
    read_otherwise = [
        f"- {claim.paper}, {claim.claim}: {claim.row['under']}" for claim in claims if claim.row.get("under")
    ]
    sections = [
        "# Verdicts over all scales",
        in_short(claims),
        "Each claim is listed once, with the verdict of the scale that says most about the paper. What was measured, "
        f"and with which bounds, is in each scale's own scorecard: {links}.",
        as_markdown(claims).rstrip(),
        *(["## Each claim under every reading", "\n".join(read_otherwise)] if read_otherwise else []),
        "## Where indicative verdicts differ from the paper",
        "\n".join(differing) or "Nothing.",
    ]
    return "\n\n".join(sections) + "\n"


def in_short(claims: Sequence[ClaimOverScales]) -> str:
    """Return in a few sentences how many claims have which verdict."""
    audits = Counter(claim.audit for claim in claims)
    del audits[Verdict.NOT_APPLICABLE]
    sentences = [f"Of {plural(len(claims), 'claim')}, {counted(Counter(claim.verdict for claim in claims))}."]
    if audits:
        sentences.append(f"Of those that rest on an attack, {counted(audits)}.")
    several = [claim.tried for claim in claims if claim.tried > 1]
    if several:
        sentences.append(
            f"{plural(len(several), 'claim')} depend{'s' if len(several) == 1 else ''} on what the paper leaves "
            "unsaid: the verdict is that of the reading most favourable to the paper, of "
            f"{tried_in_words(several)} tried."
        )
    if any(verdict.is_indicative for claim in claims for verdict in (claim.verdict, claim.audit)):
        sentences.append(HERE)
    return " ".join(sentences)
