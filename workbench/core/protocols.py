"""What lower layers ask of a model without knowing its class."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable


@runtime_checkable
class HasHooks(Protocol):
    """Anything whose hook points have names and axes and which can say what they gave."""

    hook_dict: Any

    def trace(self, inputs: Any = None, on_request: bool = True) -> Any:
        """What each hook point gives, by name."""
        ...
