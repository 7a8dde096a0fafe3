"""Record one forward pass as a tape of functional operations, and replay it on other inputs of the same shapes.

1. Run the module under a dispatch mode that notes every operation of PyTorch's kernel library; `functionalize` turns
   operations in place and writes through views into functional ones, so a value on the tape never changes.
2. Keep the operations that depend on the inputs; what the others compute becomes a constant.
3. Note which value each submodule returned, and every number that Python read off a tensor (`.item()`, `if`): a
   replay whose number differs would have taken another branch, and raises.

The dispatch mode and the functional wrapper are private interfaces of PyTorch (`torch_internals.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functionalize
from torch.overrides import TorchFunctionMode

from workbench.core.errors import InputError
from workbench.core.recorded_form import tensors_of
from workbench.core.torch_internals import TorchDispatchMode, tree_leaves, tree_map, unwrap

aten = torch.ops.aten
READS = (aten._local_scalar_dense.default, aten.equal.default, aten.is_nonzero.default)
"""Operations that return a number to Python, which may branch on it."""
MASKS = (torch.bool, torch.uint8)
SELECTS = (aten.nonzero.default, aten.masked_select.default, aten._unique2.default, aten.unique_dim.default)
"""Operations whose result has a length that depends on the data, which Python may read from its shape."""


class Ref(int):
    """Number of a value on a tape."""


@dataclass(frozen=True)
class Operation:
    """Call of a kernel. `args` and `kwargs` have a `Ref` for each value, `outputs` are the values it returns.

    `module` is the path of the innermost submodule that made the call.
    """

    function: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    outputs: tuple[Ref | None, ...]
    module: str

    @property
    def name(self) -> str:
        """Name of the kernel without overload: `convolution`, `add`."""
        return self.function._schema.name.removeprefix("aten::")

    @property
    def reads(self) -> list[Ref]:
        """Values that the operation reads, in the order of its arguments."""
        return [leaf for leaf in tree_leaves((self.args, self.kwargs)) if isinstance(leaf, Ref)]

    @property
    def several(self) -> bool:
        """True if the operation returns a sequence."""
        returns = self.function._schema.returns
        return len(returns) > 1 or returns[0].type.kind() == "ListType"


@dataclass(frozen=True)
class Guard:
    """Number that Python read from a value after a number of operations."""

    after: int
    function: Any
    args: tuple[Any, ...]
    number: Any


@dataclass(frozen=True)
class Tape:
    """Recording of one forward pass.

    Attributes:
        inputs: Values of the tensors among the inputs, in the order of the flattened inputs.
        operations: In the order in which they ran.
        constants: Tensors that do not depend on the inputs, by value.
        output: The module's output with a `Ref` for each tensor.
        shapes: Shape of each value.
        returned: Values that each submodule returned, by its path; `path@2` for its second call.
        received: Values that each submodule was called with.
        guards: Numbers that Python read off values.
    """

    inputs: tuple[Ref, ...]
    operations: tuple[Operation, ...]
    constants: dict[Ref, Tensor]
    output: Any
    shapes: dict[Ref, tuple[int, ...]]
    returned: dict[str, tuple[Ref, ...]]
    received: dict[str, tuple[Ref, ...]]
    guards: tuple[Guard, ...]

    @property
    def outputs(self) -> list[Ref]:
        """Values that the module returns and that depend on the inputs."""
        return [leaf for leaf in tree_leaves(self.output) if isinstance(leaf, Ref) and leaf not in self.constants]

    @property
    def maker(self) -> dict[Ref, int]:
        """For each value, the number of the operation that returns it."""
        return {out: i for i, op in enumerate(self.operations) for out in op.outputs if out is not None}

    @property
    def readers(self) -> dict[Ref, list[int]]:
        """For each value, the numbers of the operations that read it."""
        found: dict[Ref, list[int]] = {}
        for i, op in enumerate(self.operations):
            for ref in dict.fromkeys(op.reads):
                found.setdefault(ref, []).append(i)
        return found


class Recorder(TorchDispatchMode):
    """Dispatch mode that numbers every tensor and records every operation."""

    def __init__(self) -> None:
        super().__init__()
        self.numbers: dict[int, Ref] = {}
        self.tensors: list[Tensor] = []
        self.written: list[Tensor] = []
        self.operations: list[Operation] = []
        self.guards: list[Guard] = []
        self.live: set[Ref] = set()
        self.path = [""]

    def ref(self, leaf: Any) -> Any:
        """Return the number of a tensor, or the value itself if it is not a tensor."""
        if not isinstance(leaf, Tensor):
            return leaf
        if id(leaf) not in self.numbers:
            self.numbers[id(leaf)] = Ref(len(self.tensors))
            self.tensors.append(leaf)  # kept alive, so that its id stays its own
        return self.numbers[id(leaf)]

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        function = func
        noted = tree_map(self.ref, tuple(args))
        if function._schema.is_mutable and isinstance(noted[0], Ref):
            self.written.append(args[0])  # kept alive, so that its id stays its own
            self.tensors[noted[0]] = args[0].clone()
        result = function(*args, **(kwargs or {}))
        if function in READS:
            self.guards.append(Guard(len(self.operations), function, noted, result))
            return result
        if function in SELECTS or (function is aten.index.Tensor and any(x.dtype in MASKS for x in indices(args))):
            size = size_of(function)
            self.guards.append(Guard(len(self.operations), size, noted, size(*args)))
        noted_kwargs = tree_map(self.ref, dict(kwargs or {}))
        if function._schema.is_mutable:
            function = out_of_place(function)
            self.numbers.pop(id(result), None)  # what it wrote is a new value
        outputs = result if isinstance(result, tuple | list) else (result,)
        refs = tuple(self.ref(out) if isinstance(out, Tensor) else None for out in outputs)
        if any(leaf in self.live for leaf in tree_leaves((noted, noted_kwargs)) if isinstance(leaf, Ref)):
            self.live.update(ref for ref in refs if ref is not None)
        self.operations.append(Operation(function, noted, noted_kwargs, refs, self.path[-1]))
        return result


class Leaving(TorchFunctionMode):
    """Raise where values that depend on the inputs leave PyTorch for Python, which may branch on them."""

    def __init__(self, recorder: Recorder) -> None:
        super().__init__()
        self.recorder = recorder

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in (Tensor.tolist, Tensor.numpy, Tensor.__array__):
            ref = self.recorder.numbers.get(id(unwrap(args[0])))
            if ref is None or ref in self.recorder.live:
                raise InputError(
                    f"The network reads an activation in Python by {func.__name__}(), which cannot be recorded. "
                    "Open it with hooks alone."
                )
        return func(*args, **(kwargs or {}))


@cache
def size_of(function: Any) -> Callable[..., tuple[int, ...]]:
    """Return the function from an operation's arguments to the shape of what it returns."""

    def size(*args: Any) -> tuple[int, ...]:
        result = function(*args)
        return tuple((result[0] if isinstance(result, tuple) else result).shape)

    return size


def indices(args: tuple[Any, ...]) -> list[Tensor]:
    """Return the tensors by which `index` picks entries."""
    return [x for x in args[1] if isinstance(x, Tensor)]


def out_of_place(function: Any) -> Any:
    """Return the functional variant of an operation; some composite kernels call in-place ones."""
    name = function._schema.name.removeprefix("aten::")
    packet = getattr(aten, name.removesuffix("_"), None) if name.endswith("_") else None
    variants = [getattr(packet, overload) for overload in packet.overloads()] if packet is not None else []
    asked = [argument.name for argument in function._schema.arguments]
    found = next((v for v in variants if [a.name for a in v._schema.arguments] == asked), None)
    if found is None:
        raise InputError(
            f"The network runs {function}, which writes in place and has no other variant, so its forward pass cannot "
            "be recorded. Open it with hooks alone."
        )
    return found


def record(module: nn.Module, call: Callable[[Any], Any], inputs: Any, functional: bool = True) -> Tape:
    """Record `call(inputs)`, which runs `module`.

    Args:
        module: The network; its submodules name what they return.
        call: Runs the network.
        inputs: Valid inputs.
        functional: Follow writes through views, which a network with its own `autograd.Function` does not allow.

    Returns:
        The tape.

    Raises:
        InputError: If the output does not depend on the inputs, or the run writes to a tensor that it does not own,
            such as a parameter.

    Cost: 1 forward pass, slowed down by a few microseconds for each operation.
    """
    recorder = Recorder()
    returned: dict[str, tuple[Ref, ...]] = {}
    received: dict[str, tuple[Ref, ...]] = {}
    refs = tuple(map(recorder.ref, tensors_of(inputs)))
    recorder.live.update(refs)
    with torch.no_grad(), named_calls(module, recorder, returned, received), recorder, Leaving(recorder):
        output = (functionalize(call) if functional else call)(inputs)
    return live_part(recorder, refs, tree_map(recorder.ref, output), returned, received)


def live_part(recorder: Recorder, inputs: tuple[Ref, ...], output: Any, returned: Any, received: Any) -> Tape:
    """Return the tape without what does not depend on the inputs, or does not reach output, submodule or guard."""
    live = set(inputs)
    operations, places = [], {0: 0}
    for i, op in enumerate(recorder.operations):
        if any(ref in live for ref in op.reads):
            operations.append(op)
            live.update(out for out in op.outputs if out is not None)
        places[i + 1] = len(operations)
    if not any(leaf in live for leaf in tree_leaves(output) if isinstance(leaf, Ref)):
        raise InputError(
            "The output does not depend on the inputs: no operation reads them. Pass an example that the network reads."
        )
    guards = [g for g in recorder.guards if any(isinstance(a, Ref) and a in live for a in tree_leaves(g.args))]
    numbers: dict[Ref, Ref] = {}

    def renumber(leaf: Any) -> Any:
        """Number values by their first use, so that two recordings of one network have the same numbers."""
        return numbers.setdefault(leaf, Ref(len(numbers))) if isinstance(leaf, Ref) else leaf

    def live_ones(refs: tuple[Ref, ...]) -> tuple[Ref, ...]:
        return tuple(numbers[ref] for ref in refs if ref in numbers)

    first = tuple(map(renumber, inputs))
    used = tuple(renumbered(op, renumber) for op in operations)
    output = tree_map(renumber, output)
    return Tape(
        first,
        used,
        {new: recorder.tensors[old].detach() for old, new in numbers.items() if old not in live},
        output,
        {new: tuple(recorder.tensors[old].shape) for old, new in numbers.items() if old in live},
        {name: live_ones(refs) for name, refs in returned.items()},
        {name: live_ones(refs) for name, refs in received.items()},
        tuple(Guard(places[g.after], g.function, tree_map(renumber, g.args), g.number) for g in guards),
    )


def renumbered(op: Operation, renumber: Callable[[Any], Any]) -> Operation:
    """Return an operation on values with other numbers."""
    args, kwargs = tree_map(renumber, op.args), tree_map(renumber, op.kwargs)
    return replace(op, args=args, kwargs=kwargs, outputs=tuple(map(renumber, op.outputs)))


@contextmanager
def named_calls(module: nn.Module, recorder: Recorder, returned: Any, received: Any) -> Iterator[None]:
    """Record the values that each submodule receives and returns while the context lasts."""
    hooks = []
    calls: dict[str, int] = {}

    def enter(path: str, part: nn.Module, args: Any, kwargs: Any) -> None:
        recorder.path.append(path)
        calls[path] = calls.get(path, 0) + 1
        received[call_name(path, calls[path])] = refs_of(recorder, (args, kwargs))

    def leave(path: str, part: nn.Module, args: Any, output: Any) -> None:
        recorder.path.pop()
        returned[call_name(path, calls[path])] = refs_of(recorder, output)

    for path, part in module.named_modules():
        if path:
            hooks.append(part.register_forward_pre_hook(partial(enter, path), with_kwargs=True))
            hooks.append(part.register_forward_hook(partial(leave, path)))
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def call_name(path: str, call: int) -> str:
    """Return the name of one call of a submodule."""
    return path if call == 1 else f"{path}@{call}"


def refs_of(recorder: Recorder, values: Any) -> tuple[Ref, ...]:
    """Return the numbers of the tensors in arguments or an output, functional wrappers taken off."""
    return tuple(recorder.ref(unwrap(leaf)) for leaf in tree_leaves(values) if isinstance(leaf, Tensor))
