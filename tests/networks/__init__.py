"""Small random networks from other libraries, by kind."""

from __future__ import annotations

from collections.abc import Callable

from tests.networks.images import images
from tests.networks.language import language
from tests.networks.network import Network, made
from tests.networks.plain import plain
from tests.networks.policies import policies
from tests.networks.recurrent import recurrent

__all__ = ["Network", "made", "networks"]


def networks() -> dict[str, Callable[[], Network]]:
    """Every network by its name, made when it is called."""
    return {**plain(), **images(), **recurrent(), **language(), **policies()}
