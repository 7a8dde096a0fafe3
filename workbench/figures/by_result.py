"""Single dispatch on a result's type, over implementations that lie in this package and load when first needed."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from functools import cache, singledispatch, update_wrapper
from typing import Any


@cache
def load_all() -> None:
    """Imports every file of this package once, so that its registrations are made."""
    package = importlib.import_module("workbench.figures")
    for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        importlib.import_module(module.name)


def by_result(default: Callable[[Any], Any]) -> Any:
    """`functools.singledispatch` whose default first looks whether a file not yet loaded does it better."""

    def find(result: Any) -> Any:
        load_all()
        chosen = dispatcher.dispatch(type(result))
        return default(result) if chosen is find else chosen(result)

    dispatcher = singledispatch(update_wrapper(find, default))
    return dispatcher
