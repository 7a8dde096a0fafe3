"""State of a training in one file of safetensors and JSON, from which it continues bit for bit."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, is_dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from workbench.core.atomic import write_atomically
from workbench.core.errors import CheckpointError, short
from workbench.core.progress import Progress
from workbench.core.tensor_file import pack, unpack
from workbench.core.torch_internals import tree_leaves
from workbench.training.curve import Curve
from workbench.training.optimizers import Optimizer

FORMAT = 2
HEADER = "training_state"


@dataclass(frozen=True)
class TrainingState:
    """State of a run: tensors by dotted name, and facts as plain JSON values."""

    tensors: dict[str, Tensor]
    facts: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, groups: Mapping[str, Mapping[str, Tensor]], facts: dict[str, Any]) -> TrainingState:
        """Join groups of tensors, each named `group.name`."""
        return cls({f"{group}.{name}": t for group, entries in groups.items() for name, t in entries.items()}, facts)

    def under(self, prefix: str) -> dict[str, Tensor]:
        """Return the tensors whose name starts with `prefix` and a dot, without the prefix."""
        return {n.removeprefix(f"{prefix}."): t for n, t in self.tensors.items() if n.startswith(f"{prefix}.")}


def write_state(path: Path, state: TrainingState) -> None:
    """Write a state; if the process is killed, either the old or the new file is whole."""
    write_atomically(path, pack(state.tensors, {HEADER: FORMAT, "facts": state.facts}))


def read_state(path: Path) -> TrainingState:
    """Read a state of `write_state`; raises if a single bit was changed."""
    try:
        tensors, about = unpack(path.read_bytes(), str(path), sealed=True)
    except (OSError, CheckpointError) as error:
        raise _unreadable(path, str(error)) from error
    if about.get(HEADER) != FORMAT:
        raise _unreadable(path, f"its format is {about.get(HEADER)}, this version reads {FORMAT}")
    return TrainingState(tensors, about["facts"])


@dataclass
class Loop:
    """State of a training in progress that one file holds.

    A subclass adds its own tensors in `groups` and names in `counters` the attributes that are plain numbers.
    """

    counters: ClassVar[tuple[str, ...]] = ("seconds",)

    model: nn.Module
    optimizer: Optimizer
    identity: dict[str, Any]
    """Everything that determines the weights, see `facts_of`."""
    curve: Curve = field(default_factory=Curve, kw_only=True)
    seconds: float = field(default=0.0, kw_only=True)

    def groups(self) -> dict[str, Mapping[str, Tensor]]:
        """Return further tensors of the state."""
        return {}

    def facts(self) -> dict[str, Any]:
        """Return the numbers of the state."""
        return {name: getattr(self, name) for name in self.counters}

    def save(self, path: Path | None) -> None:
        """Write the training state, if there is a file for it."""
        if path is None:
            return
        own = {"model": self.model.state_dict(), "optimizer": optimizer_tensors(self.optimizer)}
        facts = {"config": self.identity, "curve": [self.curve.step, self.curve.series]}
        write_state(path, TrainingState.of(own | self.groups(), facts | self.facts()))

    def restore(self, path: Path) -> TrainingState:
        """Restore a stored state and return it; raises if it belongs to another training."""
        state = read_state(path)
        require_same(state.facts["config"], self.identity, path)
        restore_model(self.model, state.under("model"), path)
        restore_optimizer(self.optimizer, state.under("optimizer"))
        self.curve = Curve(*state.facts["curve"])
        for name in self.counters:
            setattr(self, name, state.facts[name])
        return state


def pause(save: Callable[[], None], due: bool, progress: Progress, done: int, total: int) -> None:
    """Write the state if it is due, report progress, and write the state too if the caller cancels."""
    if due:
        save()
    try:
        progress(done, total)
    except BaseException:
        if not due:
            save()
        raise


def facts_of(cfg: Any, model: nn.Module, **others: Any) -> dict[str, Any]:
    """Return everything known here that determines a run's weights, as one flat table of JSON values."""
    config = getattr(model, "cfg", None)
    facts = asdict(cfg) | {"model": type(model).__qualname__}
    facts |= (
        {f"model.{name}": value for name, value in asdict(config).items()}
        if is_dataclass(config) and not isinstance(config, type)
        else {}
    )
    facts |= {"threads": torch.get_num_threads(), "torch": str(torch.__version__)} | others
    return json.loads(json.dumps(facts, default=str))


def batch_sha256(inputs: Any, targets: Any) -> str:
    """Hash the inputs of a batch, and its targets if they are integers."""
    return tensors_sha256([*tree_leaves(inputs), *(t for t in tree_leaves(targets) if not t.is_floating_point())])


def tensors_sha256(tensors: Iterable[Tensor]) -> str:
    """Hash types, shapes and values of tensors."""
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(f"{tensor.dtype}{tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()[:16]


def require_same(stored: dict[str, Any], now: dict[str, Any], path: Path) -> None:
    """Raise, naming the field, unless the stored configuration equals the present one."""
    present = json.loads(json.dumps(now))
    for name in sorted(stored.keys() | present.keys()):
        if stored.get(name) != present.get(name):
            raise CheckpointError(
                f"{path} belongs to a run with {name}={short(stored.get(name))}, and this one has "
                f"{name}={short(present.get(name))}. Use the same value to continue, or delete the file to start again."
            )


def optimizer_tensors(optimizer: Optimizer) -> dict[str, Tensor]:
    """Return the state of an optimiser as `<parameter number>.<quantity>`."""
    state = optimizer.state_dict()["state"]
    return {f"{i}.{k}": value for i, entry in state.items() for k, value in entry.items() if value is not None}


def restore_optimizer(optimizer: Optimizer, tensors: dict[str, Tensor]) -> None:
    """Restore a state of `optimizer_tensors` in the memory layout of each parameter."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        number, _, quantity = name.partition(".")
        parameter = parameters[int(number)]
        # Fused kernels walk memory in order: a contiguous buffer beside a channels-last weight would be misread.
        same = tensor.shape == parameter.shape
        entry = torch.empty_like(parameter, dtype=tensor.dtype).copy_(tensor).detach() if same else tensor
        state.setdefault(int(number), {})[quantity] = entry
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def restore_model(model: nn.Module, tensors: dict[str, Tensor], path: Path) -> None:
    """Restore stored weights; raises for a missing, unknown or differently shaped one."""
    own = model.state_dict()
    for name in [*own, *tensors]:
        mine, stored = own.get(name), tensors.get(name)
        if mine is None or stored is None or mine.shape != stored.shape:
            raise CheckpointError(
                f"{path} does not fit this model: {name!r} is {_shape(stored)} there and {_shape(mine)} here. "
                "Train the same architecture, or delete the file to start again."
            )
    model.load_state_dict(tensors)


def _shape(tensor: Tensor | None) -> str:
    return "absent" if tensor is None else f"of shape {tuple(tensor.shape)}"


def _unreadable(path: Path, reason: str) -> CheckpointError:
    return CheckpointError(
        f"{path} is not a readable training state: {reason}. Delete it to start again, or put back a whole copy."
    )
