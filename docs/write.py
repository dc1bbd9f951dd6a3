"""Writes what the documentation has from the code: the API page, and the outputs of the notebooks (`make docs`)."""

from __future__ import annotations

import re
from pathlib import Path

import griffe
import nbformat
from nbclient import NotebookClient

from robustrepro.spec.attacks import ATTACKS

DOCS = Path(__file__).parent
PACKAGE = DOCS.parent / "src/robustrepro"
PAGE = DOCS / "api.md"
NOTEBOOKS = sorted((DOCS / "notebooks").glob("*.ipynb"))
SECONDS = 600
"""The most that a cell may take."""

INTRODUCTION = """# API

```python
import robustrepro as rr
```

[Is my model robust?](audit-your-model.md) says what an audit's verdict means. Two notebooks show everything at work:
[audit your own model](notebooks/audit-your-model.ipynb) and
[look into a finished run](notebooks/look-into-a-finished-run.ipynb).

<!-- Written from the docstrings by `make docs`. -->
"""
ORDER = ("audit", "Audit", "Alarm", "attack", "load", "Loaded", "measurements", "UserError")
"""What the page describes, in its order: what the package offers, and the alarms of an audit."""
ELSEWHERE = {"Alarm": "robustrepro.audits.alarms"}
"""The modules of what an attribute has and the package does not offer by name."""


def api_page() -> str:
    """Return the API page, in Markdown."""
    package = griffe.load(
        "robustrepro", search_paths=[PACKAGE.parent], docstring_parser="numpy", docstring_options={"warnings": False}
    )
    named = {name: package[name] for name in package.exports}
    named |= {name: package[f"{module.partition('.')[2]}.{name}"] for name, module in ELSEWHERE.items()}
    assert set(named) == set(ORDER), "ORDER has every public name once"
    page = "\n".join([INTRODUCTION, *(_described(named[name]) for name in ORDER), _attacks()])
    return re.sub(r"(?<!`)``(?!`)", "`", page)


def _described(offered: griffe.Object | griffe.Alias) -> str:
    """Return the section of a function or a class."""
    heading = "Alarm" if offered.name in ELSEWHERE else f"rr.{offered.name}"
    signature = f"\n```python\n{_signature(offered)}\n```\n" if offered.is_function else ""
    sections = "\n".join(_section(section) for section in _parsed(offered))
    members = "\n".join(_member(member) for member in _own_members(offered)) if offered.is_class else ""
    return f"## {heading}\n{signature}\n{sections}" + (f"\n{members}" if members else "")


def _parsed(offered: griffe.Object | griffe.Alias) -> list[griffe.DocstringSection]:
    assert offered.docstring is not None, f"{offered.path} has no docstring"
    return offered.docstring.parsed


def _own_members(offered: griffe.Object | griffe.Alias) -> list[griffe.Object | griffe.Alias]:
    """Return the methods and properties of a class; its other attributes stand in its docstring."""
    return [
        member
        for name, member in offered.members.items()
        if not name.startswith("_") and (member.is_function or "property" in member.labels)
    ]


def _member(member: griffe.Object | griffe.Alias) -> str:
    heading = f"{member.name}()" if member.is_function else member.name
    signature = f"\n```python\n{_signature(member)}\n```\n" if member.is_function else ""
    kind = "" if member.is_function else f"*{member.annotation}* – "
    return f"### {heading}\n{signature}\n{kind}" + "\n".join(_section(section) for section in _parsed(member))


def _signature(function: griffe.Object | griffe.Alias) -> str:
    """Return a signature, on several lines where it is long."""
    parameters = [each for each in function.parameters if each.name != "self"]
    parts: list[str] = []
    for parameter in parameters:
        if parameter.kind is griffe.ParameterKind.keyword_only and "*" not in parts:
            parts.append("*")
        stars = {"variadic positional": "*", "variadic keyword": "**"}.get(str(parameter.kind.value), "")
        default = "" if stars or parameter.default is None else f" = {parameter.default}".replace("'", '"')
        parts.append(f"{stars}{parameter.name}: {parameter.annotation}{default}")
    short = f"{function.name}({', '.join(parts)}) -> {function.returns}"
    if len(short) <= 90:
        return short
    return f"{function.name}(\n" + "".join(f"    {part},\n" for part in parts) + f") -> {function.returns}"


def _section(section: griffe.DocstringSection) -> str:
    """Return a section of a docstring."""
    match section.kind:
        case griffe.DocstringSectionKind.text:
            return (
                re.sub(r"^>>> (.*?)  # doctest: .*$", r"```python\n\1\n```", section.value, flags=re.MULTILINE) + "\n"
            )
        case griffe.DocstringSectionKind.admonition:
            return f"**{section.title}**\n\n{' '.join(section.value.contents.split())}\n"
        case griffe.DocstringSectionKind.returns:  # in words: griffe takes each line for a type
            return f"**Returns**\n\n{' '.join(str(line.annotation) for line in section.value)}\n"
        case griffe.DocstringSectionKind.raises:
            return _listing("Raises", [(f"`{each.annotation}`", each.description) for each in section.value])
        case griffe.DocstringSectionKind.parameters | griffe.DocstringSectionKind.attributes as kind:
            entries = [(f"`{each.name}` (`{each.annotation}`)", each.description) for each in section.value]
            return _listing(str(kind.value).capitalize(), entries)
        case kind:
            raise NotImplementedError(f"a docstring has a section {kind.value}, which the page cannot show")


def _attacks() -> str:
    """Return the section of the attacks that `rr.attack` knows."""
    rows = []
    for name, declared in ATTACKS.items():
        assert declared.__doc__ is not None, f"{name} has no docstring"
        options = [
            f"`{option}`" if field.is_required() else f"`{option}={field.default}`"
            for option, field in declared.model_fields.items()
            if option != "name"
        ]
        rows.append(f"| `{name}` | {declared.__doc__.partition(chr(10))[0]} | {', '.join(options)} |")
    return "\n".join(
        [
            "## Attacks\n",
            "What `rr.attack` takes as `name`, with the options of each; those without a default have to be given, but "
            "`step_size`.\n",
            "| name | attack | options |",
            "| --- | --- | --- |",
            *rows,
            "",
        ]
    )


def _listing(title: str, entries: list[tuple[str, str]]) -> str:
    lines = [f"- {name}: {' '.join(description.split())}" for name, description in entries]
    return "\n".join([f"**{title}**\n", *lines, ""])


def executed(path: Path) -> nbformat.NotebookNode:
    """Return a notebook with the outputs of a fresh kernel that runs in its folder.

    Raises
    ------
    nbclient.exceptions.CellExecutionError
        If a cell fails.
    """
    notebook = nbformat.read(path, as_version=4)
    resources = {"metadata": {"path": str(path.parent)}}
    NotebookClient(notebook, timeout=SECONDS, resources=resources, record_timing=False).execute()
    notebook.metadata["language_info"] = {"name": "python"}  # without the version of this interpreter
    return notebook


def main() -> None:
    """Write the API page, and execute the notebooks."""
    PAGE.write_text(api_page(), encoding="utf-8")
    for path in NOTEBOOKS:
        nbformat.write(executed(path), path)


if __name__ == "__main__":
    main()
