"""What a run has other than the papers: what the scale changes, and what the user does.

A verdict is for the paper's data sets, networks, preprocessing and budgets. So every model, and every measure, is held
against what its paper declares, key by key; whatever differs makes a verdict indicative and is said beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from robustrepro.keys import AT
from robustrepro.spec.declarations import Declarations
from robustrepro.spec.strict_yaml import Tree

UNSET = "the default"
"""What stands for the value of a key that one layer alone has."""
NONE = {"examples": "all", "data": "each model's own"}
"""What a key says that has no value; it is none of something unless it stands here."""
MOST_NAMED = 3
"""So many models are named beside what they have in common; of more, the number is said."""


@dataclass(frozen=True)
class Difference:
    """A key that has not the value that it has in the paper, or at the scale.

    Attributes
    ----------
    key
        Dotted, as in paper.yaml: ``optimizer.learning_rate``.
    used, in_paper, at_scale
        Its values here, in the paper and at the scale without the user's changes, as plain data.
    """

    key: str
    used: Any
    in_paper: Any
    at_scale: Any

    @property
    def from_paper(self) -> bool:
        """Whether the paper has another value."""
        return bool(self.used != self.in_paper)

    @property
    def overridden(self) -> bool:
        """Whether the user changed it, and not the scale."""
        return bool(self.used != self.at_scale)

    def __str__(self) -> str:
        other = self.in_paper if self.from_paper else self.at_scale
        whose = "" if self.from_paper else "this scale's "
        changed = " (config.yaml)" if self.overridden else ""
        nothing = NONE.get(self.key.rpartition(".")[2], "none")
        ours, theirs = (_in_words(value, nothing) for value in (self.used, other))
        if ours == theirs:  # they differ in digits that are not shown
            ours, theirs = repr(self.used), repr(other)
        return f"{self.key}: {ours} instead of {whose}{theirs}{changed}"


@dataclass(frozen=True)
class Note:
    """A difference in words, with all the models or measures that have it.

    Attributes
    ----------
    words
        ``epochs: 12 instead of 100``.
    what, names
        ``models``, ``measures`` or ``papers``, and which; none where it is so of all of them.
    overridden, from_paper
        Whether the user changed it, and whether the paper has it otherwise.
    """

    words: str
    what: str
    names: tuple[str, ...]
    overridden: bool
    from_paper: bool

    def __str__(self) -> str:
        if not self.names:
            return self.words
        few = len(self.names) <= MOST_NAMED
        return f"{self.words} ({', '.join(self.names) if few else f'{len(self.names)} {self.what}'})"

    def as_data(self) -> Tree:
        """Return the note as plain data."""
        return {**asdict(self), "names": list(self.names)}


class Differences:
    """The differences between papers and runs.

    Parameters
    ----------
    declarations
        Everything that is declared, at every layer.
    """

    def __init__(self, declarations: Declarations) -> None:
        self._declarations = declarations
        self._of_model: dict[str, tuple[Difference, ...]] = {}
        self._of_measure: dict[str, tuple[Difference, ...]] = {}

    def of_model(self, name: str) -> tuple[Difference, ...]:
        """Return what differs in how a model is made."""
        if name not in self._of_model:
            self._of_model[name] = tuple(_differing(*self._declarations.model_layers(name)))
        return self._of_model[name]

    def of_measure(self, name: str) -> tuple[Difference, ...]:
        """Return what differs in how models are measured."""
        if name not in self._of_measure:
            self._of_measure[name] = tuple(_differing(*self._declarations.measure_layers(name)))
        return self._of_measure[name]

    def of_audit(self, paper: str) -> list[str]:
        """Return in words what a paper's audit has other than ``workflow/audit.yaml``, which is ours and no paper's."""
        return [str(difference) for difference in self._of_audit(paper)]

    def _of_audit(self, paper: str) -> Iterator[Difference]:
        return _differing(*self._declarations.audit_layers(paper), "audit")

    def beside_models(self, papers: Iterable[str]) -> list[Note]:
        """Return what differs in the audit of some papers, and what the user has left out."""
        shown = list(papers)
        audits: dict[tuple[str, bool], list[str]] = {}
        for paper in shown:
            for difference in self._of_audit(paper):
                audits.setdefault((str(difference), difference.overridden), []).append(paper)
        notes = [
            Note(words, "papers", () if of == shown else tuple(of), overridden, from_paper=True)
            for (words, overridden), of in audits.items()
        ]
        left_out_models = filter(self._declarations.left_out, self._declarations.models)
        # What readings make of a model is left out with it, which goes without saying.
        absent = tuple(
            name
            for name in left_out_models
            if name not in self._declarations.only_candidates
            and (AT not in name or not self._declarations.left_out(name.partition(AT)[0]))
        )
        left_out = [Note("models: left out (config.yaml)", "models", absent, overridden=True, from_paper=True)]
        return notes + (left_out if absent else []) + self._of_readings()

    def _of_readings(self) -> list[Note]:
        """Return which readings the user has asked for instead of those of the scale."""
        asked = self._declarations.config.overrides.readings
        return [
            Note(
                f"readings of {paper}: {', '.join(names) or 'none'} (config.yaml)", "models", (), True, from_paper=True
            )
            for paper, names in asked.items()
        ]

    def of_data(self, model: str, measure: str) -> Iterator[str]:
        """Yield in words which data sets need not be the paper's, since the user has allowed other files of them."""
        of_model = self._declarations.data_behind(model)
        of_measure = self._declarations.data_behind(model, self._declarations.measure(measure))
        for used in sorted({used for _, used in (*of_model, *of_measure)}):
            if used in self._declarations.config.data.allow_unverified:
                yield f"data: {used} from files that need not be the official ones (config.yaml)"

    def notes(self, shown: Iterable[tuple[str, str]]) -> list[Note]:
        """Return what differs in everything that is shown, each difference once.

        Parameters
        ----------
        shown
            What is shown, as (model, measure).
        """
        data: dict[str, None] = {}
        differing: dict[tuple[str, str, bool, bool], dict[str, None]] = {}
        for model, measure in dict.fromkeys(shown):
            data |= dict.fromkeys(self.of_data(model, measure))
            behind = self._declarations.models_behind(model, self._declarations.measure(measure))
            of_both = [("models", name, self.of_model(name)) for name in behind]
            for what, name, differences in (*of_both, ("measures", measure, self.of_measure(measure))):
                for difference in differences:
                    key = (str(difference), what, difference.overridden, difference.from_paper)
                    differing.setdefault(key, {})[name] = None
        notes = [Note(words, "models", (), overridden=True, from_paper=True) for words in data]
        return notes + [Note(words, what, tuple(names), *flags) for (words, what, *flags), names in differing.items()]


def _differing(in_paper: Any, at_scale: Any, used: Any, key: str = "") -> Iterator[Difference]:
    """Yield the differences of three layers of one declaration, as deep as they are of the same thing."""
    layers = (in_paper, at_scale, used)
    if in_paper == at_scale == used:
        return
    alike = all(isinstance(layer, Mapping) for layer in layers) and len({layer.get("name") for layer in layers}) == 1
    if not alike:
        yield Difference(key, used, in_paper, at_scale)
        return
    for part in dict.fromkeys(part for layer in layers for part in layer):
        # An option that one layer alone has is the others' default; of a list of things, they have no such thing.
        absent = UNSET if "name" in in_paper else None
        of_paper, of_scale, of_use = (layer.get(part, absent) for layer in layers)
        yield from _differing(of_paper, of_scale, of_use, f"{key}.{part}" if key else part)


def _in_words(value: Any, nothing: str = "none") -> str:
    """Return a value as a reader of YAML would say it: ``none``, ``24, 48, 96``, ``convnet (channels: 24, 48, 96)``."""
    if value is None:
        return nothing
    if isinstance(value, Mapping):
        options = {
            part: option for part, option in value.items() if part not in {"name", "kind"} and option is not None
        }
        inside = ", ".join(f"{part}: {_in_words(option)}" for part, option in options.items())
        name = value.get("name") or value.get("kind")
        if name is None:
            return inside or "nothing"
        return f"{name} ({inside})" if inside else str(name)
    if isinstance(value, list):
        return ", ".join(map(_in_words, value)) or "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:g}" if isinstance(value, float) else str(value)
