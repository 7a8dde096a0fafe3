"""Forward hooks on every submodule of a module, attached once however often the module is wrapped."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

from torch import nn

Sender = Callable[[str, Any], Any]
"""Takes a submodule's name and output; returns another output, or None to leave it."""

_open: WeakKeyDictionary[nn.Module, Taps] = WeakKeyDictionary()
_opening = threading.RLock()  # a wrapper may be collected, and so release, while another one opens


class Taps:
    """The hooks of one module. They act only in a thread that is inside `sending`, and cost a look-up elsewhere."""

    def __init__(self) -> None:
        self._active = threading.local()
        self._users = 0
        self._handles: WeakKeyDictionary[nn.Module, Any] = WeakKeyDictionary()
        self._training: WeakSet[nn.Module] = WeakSet()

    @contextmanager
    def sending(self, send: Sender | None) -> Iterator[None]:
        """Pass the outputs of submodules to `send` while the context lasts, in this thread."""
        outer = getattr(self._active, "send", None)
        self._active.send = send
        try:
            yield
        finally:
            self._active.send = outer

    def attach(self, module: nn.Module) -> None:
        """Add a user, and a hook to each submodule that has none yet; remember which are in training mode."""
        with _opening:
            self._users += 1
            self._training.update(part for part in module.modules() if part.training)
            for name, part in module.named_modules():
                if name and part not in self._handles:
                    self._handles[part] = part.register_forward_hook(Tap(name, self._active))

    def release(self) -> None:
        """Remove a user, and the hooks with the last one."""
        with _opening:
            self._users -= 1
            if not self._users:
                for handle in self._handles.values():
                    handle.remove()
                self._handles.clear()

    def restore_modes(self) -> None:
        """Put back into training mode what was in it, unless the module has another user."""
        with _opening:
            if not self._users:
                for part in self._training:
                    part.training = True
                self._training.clear()


def open_taps(module: nn.Module) -> Taps:
    """The hooks of a module, which it keeps from wrapper to wrapper. Each call asks for one `release`."""
    with _opening:
        taps = _open.setdefault(module, Taps())
    taps.attach(module)
    return taps


class Tap:
    """The forward hook of one submodule. A copy of the module, by `deepcopy` or `torch.save`, gets one that is cut."""

    def __init__(self, name: str, active: threading.local) -> None:
        self.name, self.active = name, active

    def __call__(self, module: nn.Module, args: Any, output: Any) -> Any:
        send = getattr(self.active, "send", None)
        return None if send is None else send(self.name, output)

    def __reduce__(self) -> tuple[type[CutTap], tuple[()]]:
        return CutTap, ()


class CutTap:
    """A forward hook that does nothing."""

    def __call__(self, module: nn.Module, args: Any, output: Any) -> None:
        return None
