"""Forward hooks on every submodule of a module, shared by all wrappers of the module."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

from torch import nn

Sender = Callable[[str, Any], Any]
"""Maps a submodule's name and output to another output, or to None to keep it."""

_open: WeakKeyDictionary[nn.Module, Taps] = WeakKeyDictionary()
_opening = threading.RLock()  # a wrapper may be collected, and so release, while another one opens


class Taps:
    """Hooks of one module. They act only in a thread that is inside `sending`, and cost a look-up otherwise."""

    def __init__(self) -> None:
        self._active = threading.local()
        self._users = 0
        self._handles: WeakKeyDictionary[nn.Module, Any] = WeakKeyDictionary()
        self._training: WeakSet[nn.Module] = WeakSet()

    @contextmanager
    def sending(self, send: Sender | None) -> Iterator[None]:
        """Pass the outputs of submodules to `send` in this thread while the context lasts."""
        outer = getattr(self._active, "send", None)
        self._active.send = send
        try:
            yield
        finally:
            self._active.send = outer

    def attach(self, module: nn.Module) -> None:
        """Add a user, and a hook to each submodule that has none; record which ones are in training mode."""
        with _opening:
            self._users += 1
            self._training.update(part for part in module.modules() if part.training)
            for name, part in module.named_modules():
                if name and part not in self._handles:
                    self._handles[part] = part.register_forward_hook(Tap(name, self._active))

    def release(self) -> None:
        """Remove a user; with the last one, remove the hooks."""
        with _opening:
            self._users -= 1
            if not self._users:
                for handle in self._handles.values():
                    handle.remove()
                self._handles.clear()

    def restore_modes(self) -> None:
        """Restore the training mode of submodules, unless the module has another user."""
        with _opening:
            if not self._users:
                for part in self._training:
                    part.training = True
                self._training.clear()


def open_taps(module: nn.Module) -> Taps:
    """Return the hooks of a module, which all wrappers share. Each call needs one `release`."""
    with _opening:
        taps = _open.setdefault(module, Taps())
    taps.attach(module)
    return taps


class Tap:
    """Forward hook of one submodule. In a copy of the module (`deepcopy`, `torch.save`) it does nothing."""

    def __init__(self, name: str, active: threading.local) -> None:
        self.name, self.active = name, active

    def __call__(self, module: nn.Module, args: Any, output: Any) -> Any:
        send = getattr(self.active, "send", None)
        return None if send is None else send(self.name, output)

    def __reduce__(self) -> tuple[type[CutTap], tuple[()]]:
        return CutTap, ()


class CutTap:
    """Forward hook that does nothing."""

    def __call__(self, module: nn.Module, args: Any, output: Any) -> None:
        return None
