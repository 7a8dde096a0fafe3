"""Checks for modules that forward hooks cannot observe."""

from __future__ import annotations

import torch
from torch import nn

from workbench.core.errors import InputError
from workbench.core.torch_internals import is_compiled


def require_wrappable(module: nn.Module) -> None:
    """Raise InputError for a module that is scripted, compiled, or on the meta device."""
    for name, part in module.named_modules():
        where = f"{name!r} of this {type(module).__name__}" if name else f"This {type(part).__name__}"
        if isinstance(part, torch.jit.ScriptModule):
            raise InputError(
                f"{where} is compiled by TorchScript, which runs no hooks inside. Wrap the nn.Module that it was made "
                "from."
            )
        if is_compiled(part):
            raise InputError(
                f"{where} is compiled, and hooks inside it would be compiled away. Wrap the module before "
                "torch.compile, or its `_orig_mod`."
            )
    tensors = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    if (empty := next((name for name, x in tensors.items() if x.is_meta), None)) is not None:
        raise InputError(
            f"{empty!r} of this {type(module).__name__} is on the meta device and holds no values. Load the weights "
            "first, such as by module.to_empty(device='cpu') and load_state_dict."
        )
