"""Runs of a module in which each tensor that a submodule returns is passed to a function with its name."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from torch import Tensor, nn

from workbench.core.errors import InputError
from workbench.core.nested import flatten, is_plain
from workbench.core.taps import open_taps

Forward = Callable[[nn.Module, Any], Any]
Note = Callable[[str, Tensor], Tensor]
"""Takes the name of an activation and the tensor; returns the tensor that the network continues with."""
Watch = Callable[[str, nn.Module, Any], None]
"""Takes a submodule's name, itself and what it returned, before its tensors are noted."""


class ModuleRun:
    """Module, the call that runs it, and the hooks on its submodules.

    The output of a submodule has its name; `name@2` and so on in later calls of one run; `name:0`, `name:1` and so on
    if it has several tensors.
    """

    def __init__(self, module: nn.Module, forward: Forward | None) -> None:
        self.module, self.forward = module, forward or call
        self.labels = labels(module)
        self.parts = dict(module.named_modules())
        self.taps = open_taps(module)

    def __call__(self, inputs: Any, note: Note | None, watch: Watch | None = None) -> Any:
        """Run the module; without `note` nothing is intercepted."""
        with self.taps.sending(None if note is None else partial(self._send, Counter(), note, watch)):
            return self.forward(self.module, inputs)

    def part_of(self, name: str) -> nn.Module | None:
        """Return the submodule whose output has this name."""
        labelled = {label: self.parts[part] for part, label in self.labels.items()}
        return labelled.get(name, labelled.get(name.rpartition("@")[0]))

    def _send(self, calls: Counter[str], note: Note, watch: Watch | None, part: str, output: Any) -> Any:
        """Replace the tensors of a submodule's output by those that `note` returns; None if nothing changed."""
        if watch is not None:
            watch(part, self.parts[part], output)
        calls[part] += 1
        name = self.labels[part] + (f"@{calls[part]}" if calls[part] > 1 else "")
        if isinstance(output, Tensor):
            return note(name, output) if is_plain(output) else None
        leaves, rebuild = flatten(output)
        places = [i for i, leaf in enumerate(leaves) if is_plain(leaf)]
        new = [note(name if len(places) == 1 else f"{name}:{i}", leaves[i]) for i in places]
        if all(leaves[i] is x for i, x in zip(places, new, strict=True)):
            return None
        for i, x in zip(places, new, strict=True):
            leaves[i] = x
        return rebuild(leaves)


def call(module: nn.Module, inputs: Any) -> Any:
    """Call a module with a tensor, a tuple of arguments or a mapping of keyword arguments."""
    if isinstance(inputs, Mapping):
        return module(**inputs)
    return module(*inputs) if isinstance(inputs, tuple) else module(inputs)


def labels(module: nn.Module) -> dict[str, str]:
    """Name the sites of each submodule by its path, without brackets and spaces, which a site cannot contain."""
    found = {name: re.sub(r"[\[\]\s]", "_", name) for name, _ in module.named_modules() if name}
    for label, count in Counter(found.values()).items():
        if count > 1:
            raise InputError(f"{count} submodules would be called {label!r}. Rename all but one of them.")
    return found
