"""YAML files, read so that nothing in them is lost or taken for something else without a word."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from robustrepro.errors import UserError

Tree = dict[str, Any]

_MERGE, _TEXT = "tag:yaml.org,2002:merge", "tag:yaml.org,2002:str"
_NUMBERS = {"tag:yaml.org,2002:int", "tag:yaml.org,2002:float"}
_READ_IN_ANOTHER_BASE = re.compile(r"[-+]?0[0-9_]*[0-9][0-9_]*")
_READ_AS_A_TIME = re.compile(r"[-+]?[0-9][0-9_]*(:[0-9_]+)+(\.[0-9_]*)?")


def read_yaml(path: Path) -> Tree:
    """Return the mapping in a YAML file; its keys are text, as they are written.

    Raises
    ------
    UserError
        If the file is missing, is no YAML, holds no mapping, has a key twice, or a number that YAML would read in base
        8 or 60. The message has the line.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UserError(f"{path}: there is no such file") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not valid YAML: {error}") from None
    return mapping_in(text, str(path))


def mapping_in(text: str, source: str) -> Tree:
    """Return the mapping in a text, as :func:`read_yaml` does.

    Parameters
    ----------
    text
        YAML.
    source
        Where it stands, for messages.

    Raises
    ------
    UserError
        As of a file.
    """
    try:
        content = _StrictLoader(text).get_single_data()
    except yaml.MarkedYAMLError as error:
        place = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        why = ": ".join(filter(None, (error.context, error.problem)))
        raise UserError(f"{source}{place}: not valid YAML: {' '.join(why.split())}") from None
    except (yaml.YAMLError, ValueError) as error:
        raise UserError(f"{source}: not valid YAML: {' '.join(str(error).split())}") from None
    except RecursionError:
        raise UserError(f"{source}: not valid YAML: something contains itself, or is nested too deeply") from None
    if not isinstance(content, dict):
        raise UserError(f"{source}: expected a mapping of keys to values, found {type(content).__name__}")
    require_text_keys(content, source)
    return content


class _StrictLoader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Reads plain data, but takes no key twice, and every key as it is written: ``no`` and ``8`` are names, too.

    It is a safe loader: a tag that would run code, such as ``!!python/object/apply``, is unknown to it. Where PyYAML
    was built with libyaml, it is that one's, which is seven times faster.
    """

    def construct_document(self, node: yaml.Node) -> Any:
        # Before anything is constructed, when a mapping has its own keys alone, and not yet those that it merges.
        waiting, seen = [node], set()
        while waiting:
            node_here = waiting.pop()
            if id(node_here) in seen:
                continue
            seen.add(id(node_here))
            if isinstance(node_here, yaml.MappingNode):
                node_here.value = _with_keys_as_written(node_here.value)
                waiting += [part for pair in node_here.value for part in pair]
            elif isinstance(node_here, yaml.SequenceNode):
                waiting += node_here.value
            elif isinstance(node_here, yaml.ScalarNode):
                _require_plain_number(node_here)
        return super().construct_document(node)


def _with_keys_as_written(pairs: Iterable[tuple[yaml.Node, yaml.Node]]) -> list[tuple[yaml.Node, yaml.Node]]:
    """Return a mapping's pairs with keys that are text."""
    lines: dict[str, int] = {}
    result = []
    for key, value in pairs:
        written = key
        if isinstance(key, yaml.ScalarNode) and key.tag != _MERGE:
            line = key.start_mark.line + 1
            if key.value in lines:
                raise yaml.MarkedYAMLError(
                    problem=f"the key '{key.value}' is there twice, first in line {lines[key.value]}",
                    problem_mark=key.start_mark,
                )
            lines[key.value] = line
            written = yaml.ScalarNode(_TEXT, key.value, key.start_mark, key.end_mark, key.style)
        result.append((written, value))
    return result


def _require_plain_number(node: yaml.ScalarNode) -> None:
    """Refuse a number that a reader of the file would take for another one: ``010`` is 8 in YAML, ``1:30`` is 90."""
    if node.tag not in _NUMBERS:
        return
    if _READ_IN_ANOTHER_BASE.fullmatch(node.value) or _READ_AS_A_TIME.fullmatch(node.value):
        raise yaml.MarkedYAMLError(
            problem=f"'{node.value}' would be read in another base; expected a number without zeros and colons in it, "
            "or text in quotes",
            problem_mark=node.start_mark,
        )


def as_in_yaml(tree: Any) -> Any:
    """Return plain data whose text is what YAML makes of it: ``8`` a number, ``true`` a truth value.

    Snakemake leaves every value inside a mapping of its command line as text.

    Raises
    ------
    UserError
        At a number that would be read as another one.
    """
    if isinstance(tree, Mapping):
        return {key: as_in_yaml(value) for key, value in tree.items()}
    if isinstance(tree, list):
        return [as_in_yaml(value) for value in tree]
    if not isinstance(tree, str):
        return tree
    loader: Any = yaml.SafeLoader("")
    node = yaml.ScalarNode(loader.resolve(yaml.ScalarNode, tree, (True, False)), tree)
    try:
        _require_plain_number(node)
    except yaml.MarkedYAMLError as error:
        raise UserError(f"--config: {error.problem}") from None
    return loader.construct_object(node)


def require_text_keys(tree: Any, source: str, within: tuple[int, ...] = ()) -> None:
    """Refuse keys that are no text, and a mapping or list that contains itself.

    Raises
    ------
    UserError
        At the first of them; the message begins with ``source``.
    """
    if id(tree) in within:
        raise UserError(f"{source}: this contains itself")
    if isinstance(tree, Mapping):
        for key, value in tree.items():
            if not isinstance(key, str):
                raise UserError(f"{source}: the key {key!r} is no text; expected it in quotes: '{key}'")
            require_text_keys(value, f"{source}{'.' if within else ': '}{key}", (*within, id(tree)))
    elif isinstance(tree, list):
        for number, value in enumerate(tree):
            require_text_keys(value, f"{source}[{number}]", (*within, id(tree)))
