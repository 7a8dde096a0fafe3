"""Names in the code of a function, and those by which it may read more than it names."""

from __future__ import annotations

from collections.abc import Iterator
from types import CodeType

EVERY = frozenset({"globals", "vars", "eval", "exec", "locals"})
"""Names by which a function may read any global of its module."""
ANY_MODULE = frozenset({"import_module", "__import__"})
"""Names by which a function may read any module of the user's own; so it may by those of `sys.modules`."""
BY_NAME = frozenset({"getattr", "attrgetter", "__dict__", "vars"})
"""Names by which a function may read any global of a module that it holds."""
OUTSIDE = frozenset(
    {"environ", "getenv", "open", "read_text", "read_bytes", "load", "loadtxt", "load_file", "fromfile"}
)
"""Names by which a function may read a file or the environment of the process, which are not values of a module."""


def reads_any_module(names: frozenset[str]) -> bool:
    """Return whether a function with these names may read any module of the user's own."""
    return bool(names & ANY_MODULE) or {"sys", "modules"} <= names


def names_in(code: CodeType) -> Iterator[str]:
    """Yield the names of globals and attributes in a code object and in the functions inside of it."""
    yield from code.co_names
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from names_in(inner)
