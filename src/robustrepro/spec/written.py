"""The papers' files as they are written: which there are, and what they declare under names that are global."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from robustrepro.errors import UserError
from robustrepro.spec.names import KEY_IN_WORDS, differing_in_case_alone, is_key
from robustrepro.spec.strict_yaml import Tree, read_yaml

ONE_FILE = "'{}' differs from it in the case of letters alone, and would be the same file on some systems; rename one"


class WrittenPapers:
    """The content of every ``papers/<paper>/paper.yaml``, whichever are asked for.

    Parameters
    ----------
    root
        The folder that holds ``papers/``.
    """

    def __init__(self, root: Path) -> None:
        files = {path.parent.name: path for path in sorted((root / "papers").glob("*/paper.yaml"))}
        self.trees: dict[str, Tree] = {name: read_yaml(path) for name, path in files.items()}
        """By the paper's id."""
        self._declared_in: dict[tuple[str, str], str] = {}

    def gathered(self, kind: str) -> dict[str, Tree]:
        """Return all papers' declarations of one kind, such as ``models``.

        Raises
        ------
        UserError
            If a name cannot be used, or has two declarations.
        """
        gathered: dict[str, Tree] = {}
        for paper, content in self.trees.items():
            file = f"papers/{paper}/paper.yaml"
            declarations = content.get(kind, {})
            if not isinstance(declarations, dict):
                raise UserError(f"{file}: {kind}: expected a mapping of names to declarations, found {declarations!r}")
            for name, tree in declarations.items():
                if not is_key(name):
                    raise UserError(f"{file}: {kind}: the name '{name}' cannot be part of a path; {KEY_IN_WORDS}")
                if not isinstance(tree, dict):
                    raise UserError(f"{file}: {kind}.{name}: expected a mapping, found {tree!r}")
                if name in gathered and gathered[name] != tree:
                    raise UserError(
                        f"{file}: {kind}.{name}: declared differently in {self._declared_in[kind, name]}; names are "
                        "global, so give one of them another name"
                    )
                gathered[name] = tree
                self._declared_in.setdefault((kind, name), file)
        if same := differing_in_case_alone(gathered):
            raise UserError(f"{self.place(kind, same[1])}: {ONE_FILE.format(same[0])}")
        return gathered

    def place(self, kind: str, name: str) -> str:
        """Return where something is declared, for messages."""
        return f"{self._declared_in[kind, name]}: {kind}.{name}"


def require_usable(folder: str, why: str, asked_for: Iterable[str], known: Iterable[str]) -> None:
    """Refuse what is asked for under a name that cannot be used: a folder's name, or a file's without its ending."""
    for name in asked_for:
        if not is_key(name):
            raise UserError(f"{folder}/{name}: {why}; {KEY_IN_WORDS}")
        for other in known:
            if other != name and other.casefold() == name.casefold():
                raise UserError(f"{folder}/{name}: {ONE_FILE.format(other)}")
