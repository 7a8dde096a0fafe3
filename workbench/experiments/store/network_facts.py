"""Facts that the computation of a network object depends on: its classes, weights, plain attributes and hooks.

1. Hash every parameter and buffer with its name, its type and its bytes.
2. Hash every other attribute of every submodule, and the code of the classes and functions of the user's own.
3. Name the modules of these, whose source and whose read values count in the key as those of an analysis do.

The bookkeeping of torch, of our hook points and of recorded tapes is left out.
"""

from __future__ import annotations

import hashlib
import weakref
from collections.abc import Callable
from dataclasses import dataclass, replace
from types import FunctionType
from typing import Any

from torch import Tensor, nn

from workbench.checkpoints.foreign import RECORDED, WRAPPED, weights_sha256
from workbench.checkpoints.present import OBJECT
from workbench.checkpoints.read_values import UNKNOWN, Digest, NotComparableError, home_of
from workbench.checkpoints.source_code import OURS, SHOWN, is_shipped, shipped_versions
from workbench.core.hook_points import AxisHookPoint, Router
from workbench.core.hooked import HookedModel
from workbench.core.run_lock import RunLock
from workbench.core.tape_model import TapeModel
from workbench.core.taps import CutTap, Tap
from workbench.core.wrap import WrappedModel

HOOKS = ("_forward_pre_hooks", "_forward_hooks")
OWN = frozenset(nn.Module().__dict__)
"""Attributes of every module: its tables of parts, weights and hooks, and its mode."""
RUNNING = frozenset({"router", "stages", "hook_dict", "mod_dict", "overwritten", "_traces", "card", "tokenizer"})
"""Attributes of a network of ours that are made anew from its class, or that change as it runs."""


@dataclass(frozen=True, eq=False)
class NetworkFacts:
    """Identity of a network object.

    Attributes:
        network: Name of its class.
        weights: Hash of all parameters and buffers.
        structure: Hash of its classes and of all that they hold beside the weights.
        opened: Way in which a network of another class was opened, else empty.
        opening: Hash of the hooks, their axes and the facts found in opening it.
        unknown: Attributes that cannot be compared from one process to another.
        roots: Classes and functions of the user's own, whose modules count.
        versions: Versions of the packages of its other classes.
    """

    network: str
    weights: str
    structure: str
    opened: str
    opening: str
    unknown: tuple[str, ...]
    roots: tuple[Any, ...]
    versions: dict[str, str]

    @property
    def config(self) -> dict[str, str]:
        """Entries of the card in place of the settings of an architecture."""
        return {"network": self.network, "structure": self.structure, "opened": self.opened, "opening": self.opening}

    @property
    def label(self) -> str:
        """Name made of the class and of everything that the network depends on."""
        parts = (self.network, self.weights, self.structure, self.opened, self.opening)
        return f"{OBJECT}{self.network}-{hashlib.sha256(repr(parts).encode()).hexdigest()[:12]}"


def network_facts(model: HookedModel) -> NetworkFacts:
    """Compute the identity of a network.

    Cost: One pass over the bytes of all weights.
    """
    inner, opened, opening = opened_network(model)
    reader = StructureReader(inner)
    structure = reader.digest()
    return NetworkFacts(
        type(inner).__name__,
        weights_sha256(inner),
        structure,
        opened,
        reader.plain(opening) if opened else "",
        tuple(reader.unknown),
        tuple(reader.own()),
        reader.versions(),
    )


def opened_network(model: HookedModel) -> tuple[nn.Module, str, Any]:
    """Return the module behind a model, how it was opened, and everything that opening it decided."""
    axes = {name: (point.axes, point.on_request, point.displaces) for name, point in model.hook_dict.items()}
    if isinstance(model, WrappedModel):
        probe = vars(replace(model.probe, rows=0))
        rows = model.probe.rows if model.probe.fixed_batch else 0
        return model.module, WRAPPED, (axes, probe, rows, model._run.forward, model._seed if model.probe.random else 0)
    if isinstance(model, TapeModel):
        return model.module, RECORDED, (axes, model.call, model.take)
    return model, "", ()


class StructureReader:
    """Digest of everything in a module tree but its weights.

    Attributes:
        unknown: Attributes that cannot be compared.
        found: Functions and classes that were met.
    """

    def __init__(self, root: nn.Module) -> None:
        self.parts = list(root.named_modules())
        self.paths = {id(part): path for path, part in self.parts}
        tensors = [*root.named_parameters(remove_duplicate=False), *root.named_buffers(remove_duplicate=False)]
        self.names = {id(tensor): name for name, tensor in tensors}
        self.unknown: list[str] = []
        self.found: dict[int, Any] = {}

    def digest(self) -> str:
        """Compute the digest of the classes, attributes and hooks of every submodule."""
        entries = list[str]()
        for path, part in self.parts:
            entries.append(f"{path}: {self.plain(type(part))}")
            for name, value in sorted(attributes_of(part).items()):
                entries.append(f"{path}.{name}: {self.of(f'{path}.{name}', value)}")
        return hashlib.sha256("\n".join(entries).encode()).hexdigest()[:SHOWN]

    def of(self, name: str, value: Any) -> str:
        """Compute the digest of an attribute; one that cannot be compared is noted by its name."""
        try:
            return self.plain(value)
        except (NotComparableError, RecursionError):
            self.unknown.append(name.removeprefix("."))
            return UNKNOWN

    def plain(self, value: Any) -> str:
        """Compute the digest of a value, in which parts and weights of the network stand by their names."""
        return PartDigest(self.note, self.paths, self.names).of(value)

    def note(self, item: Any) -> None:
        """Note a function or a class that was met."""
        self.found[id(item)] = item

    def own(self) -> list[Any]:
        """List the functions and classes of the user's own."""
        modules = {key: module_of(item) for key, item in self.found.items()}
        ours = {key for key, module in modules.items() if module.partition(".")[0] == OURS}
        return [item for key, item in self.found.items() if key not in ours and not is_shipped(modules[key])]

    def versions(self) -> dict[str, str]:
        """Return the versions of the packages of all other classes and functions that were met."""
        return shipped_versions(self.found.values())


class PartDigest(Digest):
    """Digest of a value that may hold submodules and weights of one network."""

    def __init__(self, enter: Callable[[Any], None], paths: dict[int, str], names: dict[int, str]) -> None:
        super().__init__(enter)
        self.paths, self.names = paths, names

    def write(self, value: Any) -> None:
        """Add a value; submodules and weights stand by their names, and locks and routers of ours by their class."""
        if isinstance(value, nn.Module) and id(value) in self.paths:
            self.put("part", self.paths[id(value)])
        elif isinstance(value, Tensor) and id(value) in self.names:
            self.put("weight", self.names[id(value)])
        elif isinstance(value, Router | RunLock | Tap | CutTap):
            self.put(type(value).__name__)
        elif isinstance(value, weakref.ref):  # recurrent layers of torch hold their weights so
            self.write(value())
        else:
            super().write(value)


def attributes_of(part: nn.Module) -> dict[str, Any]:
    """Return everything that decides a submodule's work beside its class, its parts and its weights."""
    left_out = OWN | (RUNNING if isinstance(part, HookedModel | AxisHookPoint) else frozenset())
    own = {name: value for name, value in vars(part).items() if name not in left_out}
    listening = {hooks: [f for f in getattr(part, hooks).values() if not isinstance(f, Tap)] for hooks in HOOKS}
    return own | {name: functions for name, functions in listening.items() if functions}


def module_of(item: Any) -> str:
    """Return the module whose globals a function reads, or that defines a class."""
    return home_of(item) if isinstance(item, FunctionType) else str(item.__module__)
