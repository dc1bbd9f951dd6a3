"""Which of our source files a job runs, and their digest: the ``code`` of every rule.

The roots are the step's own module and the implementations that the job's spec lists under ``runs``; the import graph
tells what those use. Everything that can change a number is in the digest, and nothing else is: neither declarations,
which reach a job as its spec, nor plumbing, nor comments and docstrings.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import io
import json
import os
import tokenize
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import robustrepro
from robustrepro.errors import UserError
from robustrepro.files import write_text

if TYPE_CHECKING:
    import grimp

STEPS: Mapping[str, str] = {
    "data": "robustrepro.datasets.step:run",
    "train": "robustrepro.training.step:run",
    "derive": "robustrepro.models.derive:run",
    "measure": "robustrepro.measures.step:run",
    "gather": "robustrepro.measures.gather:run",
    "table": "robustrepro.tables.step:run",
    "figure": "robustrepro.figures.step:run",
    "audit": "robustrepro.audits.step:run",
    "search": "robustrepro.scorecard.search:run",
    "scorecard": "robustrepro.scorecard.step:run",
    "summary": "robustrepro.scorecard.summary:run",
    "page": "robustrepro.report.step:run_page",
    "report": "robustrepro.report.step:run",
}

DECLARATIONS = "robustrepro.spec"
PLUMBING = (
    "robustrepro.__main__",
    "robustrepro.adoption",
    "robustrepro.command_line",
    "robustrepro.devices",
    "robustrepro.errors",
    "robustrepro.files",
    "robustrepro.locks",
    "robustrepro.provenance",
    "robustrepro.publishing",
    "robustrepro.steps",
    "robustrepro.threads",
    "robustrepro.warm",
)
"""What surrounds a step and cannot change a number."""

PACKAGE = Path(robustrepro.__file__).parent
CACHE = Path(".snakemake/robustrepro/modules.json")
"""Digests of source files by the checksum of their bytes: reading them word by word takes half a second."""

NO_DATA = {".py", ".pyc", ".pyi", ".typed"}
"""Suffixes of files in a package's folder that its code does not read: sources, stubs, the mark of a typed package."""

COMPOSED = CACHE.with_name("composed.json")
"""Of which modules the digests of jobs are made, the latest ones last."""
MOST_COMPOSED = 400
SHORT = 12
"""Hexadecimal digits by which two versions of a module are told apart."""

STATE = "ROBUSTREPRO_SOURCES"
"""Environment variable with the state of the sources when a run began to schedule its jobs."""


def code_digest(step: str, runs: Iterable[str]) -> str:
    """Return the SHA-256 of the sources that a job runs.

    Parameters
    ----------
    step
        The step's name, a key of :data:`STEPS`.
    runs
        The implementations that the job's declarations stand for, each ``module:attribute``.
    """
    return _digest_of(frozenset({STEPS[step], *runs}))


@cache
def _digest_of(targets: frozenset[str]) -> str:
    digest = hashlib.sha256("\n".join(sorted(targets)).encode())
    modules = sorted(modules_of(frozenset(target.partition(":")[0] for target in targets)))
    for module in modules:
        digest.update(f"\0{module}\0{_module_digest(module)}".encode())
    code = digest.hexdigest()
    _composed[code] = {module: _module_digest(module)[:SHORT] for module in modules}
    return code


_composed: dict[str, dict[str, str]] = {}
"""What each digest computed here is made of: the digests of its modules, in short."""


def edited_since(before: str, now: str) -> list[str]:
    """Return the modules whose sources differ between two digests of code; none where one of them is not known here.

    Parameters
    ----------
    before, now
        Two digests that runs in this folder have computed.
    """
    known = _kept(COMPOSED)
    old, new = (known.get(code) or {} for code in (before, now))
    if not old or not new:
        return []
    names = sorted(module for module in old.keys() | new.keys() if old.get(module) != new.get(module))
    return [f"{name.removeprefix('robustrepro.').replace('.', '/')}.py" for name in names]


def state_of_the_sources() -> str:
    """Return a digest of when each of our source files was last written: the quick way to see that none was."""
    digest = hashlib.sha256()
    for directory, folders, names in os.walk(PACKAGE):
        folders[:] = sorted(name for name in folders if name != "__pycache__")
        for name in sorted(names):
            try:
                status = os.stat(os.path.join(directory, name))  # noqa: PTH116, PTH118 (a hundred files in every step)
            except FileNotFoundError:  # what an editor keeps beside a file: a link to nowhere, or gone already
                continue
            digest.update(f"{directory}\0{name}\0{status.st_ino}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def require_own_sources() -> None:
    """Stop when the working directory is a checkout of this project, and another checkout's code is running.

    Raises
    ------
    UserError
        If so, as where a worktree borrows the environment of the checkout that it belongs to.
    """
    own = Path("src/robustrepro")
    if (own / "__init__.py").exists() and not own.samefile(PACKAGE):
        raise UserError(
            f"the code of this checkout is in {own.resolve()}, but robustrepro is imported from {PACKAGE}: results "
            "would be recorded as something they are not. Run `make setup` here and use the commands in .venv/bin, or "
            f"set PYTHONPATH={own.parent.resolve()}"
        )


def modules_from_outside(runs: Iterable[str]) -> list[str]:
    """Return the modules of implementations that are not the package's, such as an extension's."""
    return sorted({target.partition(":")[0] for target in runs if not target.startswith("robustrepro.")})


def require_unchanged(step: str, runs: Sequence[str], expected: str) -> None:
    """Stop when the sources are no longer those that this job was scheduled with.

    Where the environment has their state from before the digests were computed, and it is the same now, nothing needs
    to be computed again; but for sources outside the package, which that state does not cover.

    Raises
    ------
    UserError
        If a source file was edited between the scheduling and now.
    """
    if not modules_from_outside(runs) and os.environ.get(STATE) == state_of_the_sources():
        return
    if code_digest(step, runs) != expected:
        raise UserError(
            f"step {step}: its sources under {PACKAGE.name}/ were edited while it waited to start, so its result would "
            "be recorded as something it is not. Run the same command again."
        )


@cache
def modules_of(roots: frozenset[str]) -> frozenset[str]:
    """Return the modules that can change what these modules compute: themselves, what they import of ours, packages."""
    graph = _graph()
    reached: set[str] = set()
    waiting = list(roots)
    while waiting:
        module = waiting.pop()
        if module in reached or _is_outside(module):
            continue
        reached.add(module)
        if module == "robustrepro" or module.startswith("robustrepro."):
            if module not in graph.modules:
                raise UserError(f"there is no module {module} in the sources, though a declaration names it")
            waiting.extend(graph.find_modules_directly_imported_by(module))
        else:
            waiting.extend(_imported_by(_file_of(module)))
        if "." in module:
            waiting.append(module.rpartition(".")[0])
    return frozenset(reached)


def _is_outside(module: str) -> bool:
    return any(module == name or module.startswith(f"{name}.") for name in (DECLARATIONS, *PLUMBING))


@cache
def _graph() -> grimp.ImportGraph:
    import grimp  # which a step whose sources were not touched does not need

    try:
        return grimp.build_graph("robustrepro", cache_dir=None)
    except grimp.exceptions.SourceSyntaxError as error:
        raise UserError(str(error)) from None


def _file_of(module: str) -> Path:
    """Return the file of a module."""
    if module == "robustrepro" or module.startswith("robustrepro."):
        path = PACKAGE.joinpath(*module.split(".")[1:])
        return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    found = importlib.util.find_spec(module)
    if found is None or found.origin is None:
        raise UserError(f"there is no module {module}, though a declaration names it")
    return Path(found.origin)


def _imported_by(file: Path) -> Iterator[str]:
    """Yield what a module of an extension imports of ours, and of the modules beside it."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        for name in names:
            if name.partition(".")[0] == "robustrepro":
                if name in _graph().modules:
                    yield name
            elif (file.parent / name.partition(".")[0]).with_suffix(".py").is_file():
                yield name.partition(".")[0]


@cache
def _module_digest(module: str) -> str:
    """Return the digest of a module's code; of a package, also of what lies in its folder and is no Python."""
    file = _file_of(module)
    others: list[Path] = []
    if file.name == "__init__.py":
        others = sorted(path for path in file.parent.iterdir() if path.is_file() and path.suffix not in NO_DATA)
    digest = hashlib.sha256(_words_digest(file.read_bytes()).encode())
    for path in others:
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def _words_digest(source: bytes) -> str:
    """Return the digest of a source file's words, kept between runs by the checksum of its bytes."""
    checksum = hashlib.sha256(source).hexdigest()
    known = _known_digests()
    if checksum not in known:
        known[checksum] = hashlib.sha256("\0".join(words_of(source.decode())).encode()).hexdigest()
    return known[checksum]


@cache
def _known_digests() -> dict[str, str]:
    return _kept(CACHE)


def _kept(path: Path) -> dict[str, Any]:
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def keep_digests() -> None:
    """Keep the digests of this run's source files for the next one, which computes those that could not be kept.

    Also kept is what each job's digest is made of, so that a dry run can name the file that was edited.
    """
    composed = {code: modules for code, modules in _kept(COMPOSED).items() if code not in _composed} | _composed
    latest = dict(list(composed.items())[-MOST_COMPOSED:])
    contents = {CACHE: json.dumps(_known_digests(), indent=0, sort_keys=True), COMPOSED: json.dumps(latest, indent=0)}
    for path, text in contents.items():
        with suppress(OSError, UserError):
            if not path.exists() or path.read_bytes() != text.encode():
                write_text(path, text)


def words_of(source: str) -> list[str]:
    """Return a Python source's tokens without comments, docstrings and blank lines, the same on every Python version.

    Since Python 3.12 an f-string is many tokens; here it is one, as it stands in the source.
    """
    lines = source.splitlines(keepends=True)
    docstrings = set(_docstrings(source))
    words: list[str] = []
    depth, start = 0, (0, 0)
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        kind = tokenize.tok_name[token.type]
        if kind == "FSTRING_START":
            depth += 1
            if depth == 1:
                start = token.start
        elif kind == "FSTRING_END":
            depth -= 1
            if depth == 0:
                words.append(_between(lines, start, token.end))
        elif depth or kind in {"COMMENT", "NL", "ENCODING", "ENDMARKER"} or token.start in docstrings:
            continue
        elif kind in {"NEWLINE", "INDENT", "DEDENT"}:
            if kind != "NEWLINE" or (words and words[-1] not in {"NEWLINE", "INDENT", "DEDENT"}):
                words.append(kind)
        else:
            words.append(token.string)
    return words


def _docstrings(source: str) -> Iterator[tuple[int, int]]:
    """Yield where each string begins that stands alone as a statement: line, and column in characters."""
    for node in ast.walk(ast.parse(source)):
        body = getattr(node, "body", None)
        for statement in body if isinstance(body, list) else []:
            value = getattr(statement, "value", None)
            if isinstance(statement, ast.Expr) and isinstance(value, ast.Constant) and isinstance(value.value, str):
                yield statement.lineno, statement.col_offset


def _between(lines: Sequence[str], start: tuple[int, int], end: tuple[int, int]) -> str:
    """Return the source from one place to another."""
    if start[0] == end[0]:
        return lines[start[0] - 1][start[1] : end[1]]
    middle = "".join(lines[start[0] : end[0] - 1])
    return lines[start[0] - 1][start[1] :] + middle + lines[end[0] - 1][: end[1]]
