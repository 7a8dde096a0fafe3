"""Imports from TransformerLens, all in one file. `pyproject.toml` bounds the versions in which they are tested."""

from transformer_lens.hook_points import HookPoint, LensHandle
from transformer_lens.HookedRootModule import HookedRootModule

__all__ = ["HookPoint", "HookedRootModule", "LensHandle"]
