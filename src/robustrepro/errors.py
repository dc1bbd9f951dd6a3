"""What a user can get wrong, told in one message."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path


class UserError(Exception):
    """A mistake that the user can mend; everything that the package offers raises it, and one line says what to do.

    The message names the key or file, what was found and what is expected. The command line prints it
    as it is, without a traceback, and exits with status 2.
    """


def unknown_name(what: str, found: str, known: Iterable[str]) -> UserError:
    """Return the error for a name nobody declared, with the nearest known ones.

    Parameters
    ----------
    what
        What the name stands for and where it was found, such as ``"objective in papers/hrm/paper.yaml"``.
    found
        The name as the user wrote it.
    known
        Every name that would have been accepted.
    """
    found, names = " ".join(found.split()), sorted(known)
    near = difflib.get_close_matches(found, names, n=1, cutoff=0.5)
    hint = f"; did you mean '{near[0]}'?" if near else ""
    return UserError(f"unknown {what}: '{found}'{hint} (known: {', '.join(names) or 'none'})")


def require_workflow(command: str, packages: Iterable[str]) -> None:
    """Stop where a command needs packages of the extra ``workflow`` that are not installed.

    Parameters
    ----------
    command
        The command, as it is typed.
    packages
        The packages that it imports or runs, all of that extra.

    Raises
    ------
    UserError
        If any of them is absent.
    """
    absent = [name for name in packages if find_spec(name) is None]
    if absent:
        raise UserError(
            f"`robustrepro {command}` needs packages that are not installed: {', '.join(absent)}. "
            "Run `make setup` in a checkout, or `pip install 'robustrepro[workflow]'`"
        )


def require_clone(file: str) -> None:
    """Stop where a command for the papers is not run in the folder of a clone of the project.

    Parameters
    ----------
    file
        What the command reads there first; the message names it.

    Raises
    ------
    UserError
        If there is no such file or folder.
    """
    if not Path(file).exists():
        raise UserError(f"there is no {file} in {Path.cwd()}: run this command in the folder of a clone of the project")
