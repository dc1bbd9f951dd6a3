"""What an audit says first: what resists, whether the gradient was hidden, and what broke the images then."""

from __future__ import annotations

from typing import TYPE_CHECKING

from robustrepro.audits.worst_case import TRANSFER
from robustrepro.tables.statistics import accuracy_interval
from robustrepro.verdicts import listed
from robustrepro.words import NORM_SYMBOLS, epsilon_in_words, plural

if TYPE_CHECKING:
    import pandas as pd

    from robustrepro.api.auditing import Audit

CHANCE = "answers by chance"
"""The alarm of a model whose answers vary, which accuses no attack."""
PGD = "pgd"
"""The attack that follows the gradient of the cross-entropy, which every audit has."""
MISLED = 10.0
"""By how many points an attack on the gradient has to miss the worst case to be called misled, once an alarm goes off.

A network that hides nothing loses a few points to AutoAttack and to other losses.
"""
MOST_NAMED = 3
"""How many attacks a sentence names."""
NEAR_CHANCE = 10.0
"""An accuracy this many points above that of a constant answer is far from chance, however few images there are."""


def sentences(audit: Audit) -> list[str]:
    """Return the verdict of an audit, sentence by sentence, the most important first."""
    found = [*_what_resists(audit), *_accuracy_near_chance(audit)]
    gradient = [] if audit.one_class is not None else about_the_gradient(audit)
    return [*found, *gradient] if audit.undecided or audit.one_class is not None else [*gradient, *found]


def gradient_is_hidden(audit: Audit) -> bool:
    """Tell whether an alarm of the attacks went off, and PGD missed much of what others broke (see `MISLED`)."""
    if not _alarms_of_attacks(audit):
        return False
    resisted = _resisted(audit)
    return 100 * float(resisted[PGD].mean() - resisted.all(axis=1).mean()) >= MISLED


def about_the_gradient(audit: Audit) -> list[str]:
    """Return what the alarms came to, in a sentence; none where no alarm of the attacks went off."""
    off = _alarms_of_attacks(audit)
    if not off:
        return []
    resisted = _resisted(audit)
    if gradient_is_hidden(audit):
        named = breakers(audit)
        left = 100 * float((resisted[PGD] & ~broken_by(audit)[named].any(axis=1)).mean())
        names = list(dict.fromkeys(short_words(audit, attack) for attack in named))
        leave = "leaves" if len(names) == 1 else "leave"
        return [
            f"The gradient is hidden: PGD alone leaves {100 * float(resisted[PGD].mean()):.1f}%; {listed(names)} "
            f"{leave} {left:.1f}%."
        ]
    if audit.undecided:
        return []
    added = audit.attacks[audit.attacks["stage"].isin(["alarm", "still"])]
    broke = int(added["newly"].sum())
    more = f"{plural(broke, 'more image')}" if broke else "nothing more"
    went, them = ("An alarm", "it") if len(off) == 1 else ("Alarms", "them")
    return [f"{went} went off ({', '.join(off)}): what this added has broken {more} and has silenced {them}."]


def breakers(audit: Audit) -> list[str]:
    """Return few attacks that together broke most of what PGD has not, by key: each the one that adds most."""
    resisted = _resisted(audit)
    missing = resisted[PGD] & ~resisted.all(axis=1)
    broke = broken_by(audit)
    chosen: list[str] = []
    while missing.any() and len(chosen) < MOST_NAMED:
        chosen.append(str(broke.loc[missing].sum().idxmax()))
        missing &= ~broke[chosen[-1]]
    return chosen


def broken_by(audit: Audit) -> pd.DataFrame:
    """Return which images each attack itself has broken, bool, one column per attack.

    An attack that was spared what others had broken has broken none of these.
    """
    resisted = _resisted(audit)
    broke = ~resisted
    for attack in audit.attacks.loc[audit.attacks["spared"], "attack"]:
        before = audit.ran[: audit.ran.index(attack)]
        broke[attack] &= resisted[before].all(axis=1)  # what others had broken is none of its doing
    return broke


def short_words(audit: Audit, attack: str) -> str:
    """Return an attack without its budget: ``PGD on the margin on a smoothed copy``."""
    if attack.startswith(TRANSFER):
        return f"the examples of {attack.removeprefix(TRANSFER)}"
    first, *others = str(audit.attacks.set_index("attack")["words"][attack]).split(", ")
    return " ".join([first, *(part for part in others if part.startswith(("on ", "in ")))])


def _what_resists(audit: Audit) -> list[str]:
    within = f"within {NORM_SYMBOLS[audit.norm]} {epsilon_in_words(audit.epsilon)}"
    count = len(audit.frame)
    if audit.one_class is not None:
        number, share = audit.one_class
        which = "All" if share == 1 else f"{100 * share:.0f}% of the"
        return [f"{which} {count} images get class {number}: no accuracy under attack says anything of such a model."]
    if audit.undecided:
        named = ", ".join(audit.still_going_off)
        return [
            f"Undecided: between 0% and {audit.worst_case:.1f}% of {count} images resist {within}.",
            f"After every attack an alarm still goes off ({named}), so that what resists may only be hidden from "
            "attacks.",
        ]
    low, high = audit.interval
    without = f"without attack {audit.clean_accuracy:.1f}% are right."
    if audit.by_chance:
        return [
            "The model answers by chance.",
            f"Its expected accuracy {within} is {audit.worst_case:.1f}% [{low:.1f}, {high:.1f}] on {count} images; "
            f"{without}",
        ]
    found = f"{audit.worst_case:.1f}% [{low:.1f}, {high:.1f}] of {count} images resist every attack {within}"
    return [f"{found}; {without}"]


def _accuracy_near_chance(audit: Audit) -> list[str]:
    """Return that the model is hardly right at all, where its accuracy is that of a constant answer or below."""
    labels = audit.frame["label"].value_counts(normalize=True)
    constant = 100 * float(labels.iloc[0])
    low, _ = accuracy_interval(audit.clean_accuracy, len(audit.frame))
    if len(labels) == 1 or low > constant or audit.clean_accuracy > constant + NEAR_CHANCE:
        return []
    return [
        f"Its accuracy without attack, {audit.clean_accuracy:.1f}%, is near chance (one answer for all images gets "
        f"{constant:.1f}%): is it trained, are these its weights, and are the images as it expects them?"
    ]


def _alarms_of_attacks(audit: Audit) -> list[str]:
    """Return the names of the alarms that accuse the attacks and went off; an answer by chance accuses none."""
    return [alarm.name for alarm in audit.alarms if alarm.goes_off and alarm.name != CHANCE]


def _resisted(audit: Audit) -> pd.DataFrame:
    """Return which images resist which attack, bool: a column per attack, in the order in which they ran."""
    return audit.frame[audit.ran].eq(audit.frame["label"], axis=0)
