"""Wrapping of any torch module: each output of a submodule is a site, and the network is probed."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from typing import Any
from weakref import finalize

import torch
from torch import Tensor, nn

from workbench.core.arguments import check_arguments
from workbench.core.axis_names import fresh, names_of
from workbench.core.errors import InputError
from workbench.core.hooked import AxisHookPoint, HookedModel, HookFn, HookInfo, State
from workbench.core.module_run import Forward, ModuleRun
from workbench.core.nested import flatten, map_tensors, tensors_in
from workbench.core.opening import discover, follow_axes
from workbench.core.probe import Probe
from workbench.core.probing import probe
from workbench.core.random import fixed_noise
from workbench.core.survey import survey
from workbench.core.training_mode import require_evaluation_mode
from workbench.core.wrappable import require_wrappable


@check_arguments
@check_arguments
def wrap(module: nn.Module, example: Any, forward: Forward | None = None, seed: int = 0) -> WrappedModel:
    """Open a torch module: the outputs of its submodules can be cached, edited and swept over.

    1. Run the module once. Each submodule that returns tensors becomes a site of its own name; later calls in the same
       run are called `name@2` and so on, and of several tensors each is called `name:0`, `name:1` and so on.
    2. Follow the axes of the inputs through all operations to name the axes of each site. An axis whose meaning is not
       certain is called `axis1` and so on after its place.
    3. Run the module again with doubled and with changed rows. The facts found are stored in `model.probe`, printed
       with the model, and obeyed by sweeps, `example()` and all interventions.

    The module itself is used and put in evaluation mode. It gets one forward hook per submodule, however often it is
    wrapped; `close()`, or the end of a `with` block, removes them. A module that draws random numbers is run with the
    same seed each time.

    Args:
        module: Any module on a real device, not compiled or scripted.
        example: A valid input, the batch first: a tensor, a tuple of arguments or a mapping of keyword arguments.
        forward: Runs the module, `forward(module, inputs)`. By default `module.forward` is called.
        seed: Seeds the noise of a module that draws random numbers.

    Returns:
        A model like those of the zoo, as one stage and without a computation graph.

    Raises:
        InputError: If the module cannot run on the example or has no submodule that returns a tensor.

    Cost: About 20 forward passes on at most 4 rows, and 2 on the example.

    Example:
        >>> module = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.ReLU(), torch.nn.Conv2d(4, 2, 3)).eval()
        >>> images = torch.rand(3, 1, 8, 8)
        >>> model = workbench.wrap(module, images)
        >>> with model.edited([workbench.interventions.zero("1[channel=3]")]):
        ...     model(images).shape
        torch.Size([3, 2, 4, 4])
    """
    return WrappedModel(module, example, forward, seed)


class WrappedModel(HookedModel):
    """Torch module as a single stage: slower than a native model, but without assumptions about it."""

    family = "module"
    probe: Probe  # type: ignore[assignment]

    def __init__(self, module: nn.Module, example: Any, forward: Forward | None = None, seed: int = 0) -> None:
        super().__init__()
        require_wrappable(module)
        self._example, self._seed = map_tensors(lambda x: x.detach().clone(), example), seed
        self._run = ModuleRun(module, forward)
        self._release = finalize(self, self._run.taps.release)
        self.module = module.eval()
        try:
            self._open()
        except BaseException:
            self.close()
            raise
        self.eval()

    def _open(self) -> None:
        shapes, unopened = discover(self._run, self._example, self._seed)
        self.probe = replace(probe(self._run, self._example), unopened=unopened)
        rows = None if self.probe.fixed_batch else 2 * min(self.probe.rows, 2)
        axes = follow_axes(self._run, self.example(rows), self.probe.per_row, self._seed)
        points: dict[str, AxisHookPoint] = {}
        for name, shape in shapes.items():
            points[name] = AxisHookPoint(names_of(axes.get(name, fresh(shape)), self.probe.batch_axis.get(name)))
            points[name].inferred = True
        self.join(points, [self.run])
        self.mod_dict = dict(points)
        self.overwritten |= set(self.probe.in_place)

    def run(self, inputs: State) -> Any:
        """Run the whole module, which is the only stage."""
        self._require_open()
        if self.probe.writes_inputs:
            inputs = map_tensors(torch.clone, inputs)
        listened = self.router.active_hooks is not None or self.router.listened
        with fixed_noise(self._seed) if self.probe.random else nullcontext():
            return self._run(inputs, self._pass if listened else None)

    def forward(self, inputs: State) -> Any:
        """Compute the output for inputs, batch first."""
        if not self.training:
            require_evaluation_mode(self)
        return super().forward(inputs)

    @contextmanager
    def attach(self, handlers: Mapping[str, HookFn], force: Iterable[str] = ()) -> Iterator[None]:
        """Activate hook functions while the context lasts."""
        self._require_open()
        with super().attach(handlers, force):
            yield

    def _require_open(self) -> None:
        if not self._release.alive:
            raise InputError(f"This wrapper of {type(self.module).__name__} is closed. Wrap the module again.")

    def example(self, batch: int | None = None, seed: int = 0) -> Any:
        """Return the example that the module was wrapped with, with its rows repeated or cut to `batch`."""
        size = self.probe.rows
        if batch is None or batch == size:
            return map_tensors(torch.clone, self._example)
        if self.probe.fixed_batch:
            raise InputError(f"{type(self.module).__name__} runs with {size} rows only. Ask for that many.")
        return self.take_rows(self._example, torch.arange(batch) % size)

    def count_rows(self, inputs: State) -> int:
        """Return the number of examples: the length of the first input that has one row per example."""
        sizes: list[int] = []
        self._map_rows(lambda x: sizes.append(len(x)) or x, inputs)
        return sizes[0]

    def take_rows(self, inputs: State, rows: Tensor) -> State:
        """Select rows of the inputs; inputs shared by all rows are unchanged."""
        return self._map_rows(lambda x: x[rows.to(x.device)], inputs)

    def embedding_tables(self) -> dict[str, Tensor]:
        """Return the weights of the embeddings that read the inputs directly, by hook."""
        ids = next(x for x, own in zip(tensors_in(self._example), self.probe.per_row, strict=True) if own)
        found: dict[str, Tensor] = {}
        for hook, place in self.probe.batch_axis.items():
            part = self._run.part_of(hook)
            if isinstance(part, nn.Embedding) and place == 0 and not ids.is_floating_point():
                read = self.cache(self.example(), hook)[hook]
                if read.shape[:-1] == ids.shape and torch.equal(read, part.weight[ids]):
                    found[hook] = part.weight
        return found

    def trace(self, inputs: State = None, on_request: bool = True) -> dict[str, HookInfo]:
        """Return axes and shape of every activation on `inputs`; not cached if shapes depend on values."""
        if inputs is not None and self.probe.varying:
            return survey(self, inputs, on_request)
        return super().trace(inputs, on_request)

    def close(self) -> None:
        """Stop observing the module.

        With its last wrapper, the module's hooks are removed and its parts return to the modes they had before.
        """
        self._release()
        self._run.taps.restore_modes()

    def __enter__(self) -> WrappedModel:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __deepcopy__(self, memo: dict[int, Any]) -> WrappedModel:
        module = copy.deepcopy(self.module, memo)
        return memo.setdefault(id(self), WrappedModel(module, self._example, self._run.forward, self._seed))

    def extra_repr(self) -> str:
        """Describe the facts that the probe found."""
        return str(self.probe)

    def _pass(self, name: str, x: Tensor) -> Tensor:
        """Pass an activation through the hook point of that name."""
        return self.hook_dict[name](x) if name in self.hook_dict else x

    def _map_rows(self, function: Callable[[Tensor], Tensor], inputs: State) -> State:
        """Apply a function to the inputs that have one row per example."""
        leaves, rebuild = flatten(inputs)
        tensors = [i for i, leaf in enumerate(leaves) if isinstance(leaf, Tensor)]
        if len(tensors) != len(self.probe.per_row):
            raise InputError(
                f"The inputs hold {len(tensors)} tensors and the example held {len(self.probe.per_row)}, so it is not "
                "known which have one row per example. Wrap the module with an example of this form."
            )
        for i, per_row in zip(tensors, self.probe.per_row, strict=True):
            leaves[i] = function(leaves[i]) if per_row else leaves[i]
        return rebuild(leaves)
