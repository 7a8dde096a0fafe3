"""Single dispatch on the type of a result; implementations in this package are imported on first use."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from functools import cache, singledispatch, update_wrapper
from typing import Any, Protocol, TypeVar, runtime_checkable

R_co = TypeVar("R_co", covariant=True)
F = TypeVar("F", bound=Callable[..., Any])


@cache
def load_all() -> None:
    """Import every file of this package once, so that it registers its implementations."""
    package = importlib.import_module("workbench.figures")
    for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        importlib.import_module(module.name)


@runtime_checkable
class ByResult(Protocol[R_co]):
    """Function of a result with an implementation for each registered type."""

    def __call__(self, result: object, /) -> R_co: ...

    def register(self, implementation: F) -> F:
        """Decorator: use the implementation for results of the type that annotates its first argument."""
        ...

    def dispatch(self, kind: type) -> Callable[[Any], R_co]:
        """Return the implementation for results of a type."""
        ...


def by_result(default: Callable[[Any], R_co]) -> ByResult[R_co]:
    """Return `functools.singledispatch` of `default`, which first loads the files that may register a better one."""

    def find(result: Any) -> R_co:
        load_all()
        chosen = dispatcher.dispatch(type(result))
        return default(result) if chosen is find else chosen(result)

    dispatcher: Any = singledispatch(update_wrapper(find, default))
    return dispatcher
