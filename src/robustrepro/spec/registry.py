"""Types that are told from a registry by ``name`` when they are validated: what is registered later counts, too."""

from __future__ import annotations

from collections import UserDict
from collections.abc import Callable, Iterable
from functools import cache
from typing import Annotated, Any, Union

from pydantic import Field, GetCoreSchemaHandler, TypeAdapter
from pydantic_core.core_schema import CoreSchema, no_info_plain_validator_function

from robustrepro.errors import UserError
from robustrepro.spec.base import Implemented


def is_built_in(kind: type) -> bool:
    """Tell whether a class is the package's own."""
    return kind.__module__.partition(".")[0] == "robustrepro"


class Registry(UserDict[str, Any]):
    """Declarations by name; what is put in is checked at once.

    Parameters
    ----------
    what
        What is registered, in one word for messages.
    why_not
        Returns what is wrong with a declaration under a name; None where nothing is.
    """

    def __init__(self, what: str, why_not: Callable[[str, Any], str | None]) -> None:
        self._what, self._why_not = what, why_not
        super().__init__()

    def __setitem__(self, name: str, kind: Any) -> None:
        """Register a declaration; one of the user's own may be registered anew, as in a notebook.

        Raises
        ------
        UserError
            If it is no such declaration, or replaces a built-in one.
        """
        if (why := self._why_not(name, kind)) is not None:
            raise UserError(f"the {self._what} '{name}' cannot be registered: {why}")
        before = self.data.get(name, kind)
        if before is not kind and is_built_in(before):
            raise UserError(
                f"the {self._what} '{name}' is built in and cannot be replaced, so that everybody knows what is "
                "measured; give your own another name"
            )
        super().__setitem__(name, kind)


class OneOf:
    """Marks a type as one of the declarations that are registered at the time, told by ``name``.

    ``Annotated[Attack, OneOf(...)]`` is validated as the union of these would be, with the same messages. An instance
    that fits is taken as it is, registered or not.

    Parameters
    ----------
    kinds
        Returns the declarations.
    fits
        Whether a class is such a declaration.
    """

    def __init__(self, kinds: Callable[[], Iterable[type[Implemented]]], fits: Callable[[type], bool]) -> None:
        self._kinds, self._fits = kinds, fits

    @property
    def members(self) -> tuple[type[Implemented], ...]:
        """The declarations that are registered now."""
        return tuple(self._kinds())

    def __get_pydantic_core_schema__(self, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        return no_info_plain_validator_function(self._chosen)

    def _chosen(self, value: Any) -> Any:
        """Return what a mapping with a ``name`` declares."""
        if isinstance(value, Implemented) and self._fits(type(value)):
            return value
        return _union_of(self.members).validate_python(value)


@cache
def _union_of(members: tuple[type[Implemented], ...]) -> TypeAdapter[Any]:
    union: Any = Annotated[Union[members], Field(discriminator="name")]  # noqa: UP007 (not known beforehand)
    return TypeAdapter(union)
