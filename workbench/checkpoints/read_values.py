"""Digests of the values that a user's own functions read: globals, closures, defaults, attributes of their classes.

The bytes of a file do not say what `FACTOR = float(sys.argv[1])` holds, and a name can be assigned again in a notebook.

1. Start from the functions and classes behind an answer that come from modules of the user's own.
2. Follow the names in their code through those modules: functions and classes further, all else by content.
3. Take tensors and arrays by their bytes, other objects by the state that `copy` would take.

A value without such a state (a lock, an open file, a generator) is recorded as `UNKNOWN`: an answer that reads one is
computed anew each time.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from workbench.checkpoints.names_in_code import BY_NAME, EVERY, OUTSIDE, names_in, reads_any_module
from workbench.checkpoints.source_code import OURS, SHOWN, STANDARD, describe_code, module_of, package_version

UNKNOWN = "not comparable"
"""Digest of a value that cannot be compared from one run to the next."""
PLAIN = (type(None), bool, int, float, complex, str, bytes, type(...), torch.dtype, torch.device)


class NotComparableError(Exception):
    """A value that has no state to compare."""


def values_read_by(roots: Iterable[Any], own: Iterable[str]) -> dict[str, str]:
    """Compute the digest of every value that functions and classes of a user's own modules read.

    Args:
        roots: Functions, classes, other callables, or names of modules, all of whose functions and classes count.
        own: Names of the modules that belong to no installed package.

    Returns:
        Digests by `module.name`, sorted; empty where no root is of these modules.
    """
    reader = ValueReader(frozenset(own))
    for root in roots:
        if isinstance(root, str):
            reader.add_module(root)
        elif (found := reader.find_own(root)) is not None:
            reader.add(f"{module_of(found)}.{getattr(found, '__qualname__', type(found).__qualname__)}", found)
    return dict(sorted(reader.read().items()))


def unknown_values(values: Mapping[str, str]) -> list[str]:
    """List the names of the values that cannot be compared."""
    return [name for name, digest in values.items() if digest == UNKNOWN]


class ValueReader:
    """Values by name, found by following the names in the code of functions."""

    def __init__(self, own: frozenset[str]) -> None:
        self.own = own
        self.values: dict[str, str] = {}
        self.todo: list[tuple[str, Any]] = []
        self.entered: dict[int, Any] = {}

    def add(self, name: str, value: Any) -> None:
        """Add a value to those that are read."""
        self.todo.append((name, value))

    def add_module(self, module: str) -> None:
        """Add every function and class of a module of the user's own."""
        for name, value in vars(sys.modules[module]).items() if module in self.own & sys.modules.keys() else ():
            if isinstance(value, FunctionType | type) and value.__module__ == module:
                self.add(f"{module}.{name}", value)

    def find_own(self, root: Any) -> Any:
        """Return the user's own part of a callable, inside of the decorators of the workbench; None without one."""
        while isinstance(root, FunctionType) and home_of(root) not in self.own and hasattr(root, "__wrapped__"):
            root = root.__wrapped__
        if isinstance(root, FunctionType) and home_of(root) not in self.own:
            enclosed = [cell.cell_contents for cell in root.__closure__ or ()]
            return None if all(isinstance(value, (*PLAIN, FunctionType)) for value in enclosed) else root
        if isinstance(root, type):
            return root if root.__module__ in self.own else None
        return root

    def read(self) -> dict[str, str]:
        """Compute the digest of every value that is reached from those added."""
        while self.todo:
            name, value = self.todo.pop()
            if name not in self.values:
                try:
                    self.values[name] = Digest(self.enter).of(value)
                except (NotComparableError, RecursionError):
                    self.values[name] = UNKNOWN
        return self.values

    def enter(self, item: Any) -> None:
        """Follow the names in the code of a function, or of the methods of a class, of the user's own."""
        if id(item) in self.entered:
            return
        self.entered[id(item)] = item
        if isinstance(item, type):
            for base in item.__mro__:
                if base is not item and base.__module__ in self.own:
                    self.add(f"{base.__module__}.{base.__qualname__}", base)
        elif home_of(item) in self.own:
            names = frozenset(names_in(item.__code__))
            self.follow(item.__globals__, names)
            if names & OUTSIDE:
                self.values[f"{item.__module__}.{item.__qualname__} {min(names & OUTSIDE)}"] = UNKNOWN

    def follow(self, space: Mapping[str, Any], names: frozenset[str]) -> None:
        """Add the values of these names in the globals of a module, and in the modules that it has imported."""
        module = space.get("__name__", "")
        read = set(space) if names & EVERY else names & space.keys()
        for name in (name for name in read if not name.startswith("__")):
            value = space[name]
            if isinstance(value, ModuleType):
                self.follow_module(value, names)
            elif isinstance(value, FunctionType | type) and value.__module__ in self.own:
                self.add(f"{value.__module__}.{value.__qualname__}", value)
                self.add(f"{module}.{name}", value)
            elif not isinstance(value, ModuleType | type):
                self.add(f"{module}.{name}", value)
        for inner in self.imported(str(space.get("__package__") or ""), names):
            self.follow_module(sys.modules[inner], names)

    def imported(self, package: str, names: frozenset[str]) -> Iterator[str]:
        """Yield the user's own modules that a function with these names imports, or may import, when it runs."""
        loaded = self.own & sys.modules.keys()
        if reads_any_module(names):
            yield from sorted(loaded)
            return
        parts = package.split(".") if package else []
        starts = ["", *(".".join(parts[:n]) + "." for n in range(1, len(parts) + 1))]
        yield from sorted({start + name for start in starts for name in names} & loaded)

    def follow_module(self, module: ModuleType, names: frozenset[str]) -> None:
        """Add the values of these names in a module of the user's own; all of them if one may be read by a text."""
        if module.__name__ in self.own:
            space = vars(module)
            read = space.keys() if names & BY_NAME or reads_any_module(names) else names & space.keys()
            for name in (name for name in read if not name.startswith("__")):
                if not isinstance(space[name], ModuleType):
                    self.add(f"{module.__name__}.{name}", space[name])


class Digest:
    """The digest of one value; `enter` is called with each function and class that it holds."""

    def __init__(self, enter: Callable[[Any], None]) -> None:
        self.enter, self.hash = enter, hashlib.sha256()
        self.seen: dict[int, int] = {}
        self.kept: list[Any] = []

    def of(self, value: Any) -> str:
        """Compute the digest of a value."""
        self.write(value)
        return self.hash.hexdigest()[:SHOWN]

    def put(self, *texts: object) -> None:
        """Add texts to the digest, each with its length."""
        for text in map(str, texts):
            self.hash.update(f"{len(text)}:{text}".encode("utf-8", "surrogatepass"))

    def write(self, value: Any) -> None:
        """Add a value; one that occurs again is added by its number, so that cycles end."""
        kind = type(value)
        if kind in PLAIN:
            self.put(kind.__name__, repr(value))
            return
        if id(value) in self.seen:
            self.put("again", self.seen[id(value)])
            return
        self.seen[id(value)] = len(self.kept)
        self.kept.append(value)
        self.put(kind.__module__, kind.__qualname__)
        if isinstance(value, FunctionType):
            self.write_function(value)
        elif isinstance(value, type):
            self.write_class(value)
        elif isinstance(value, ModuleType):
            self.put(value.__name__)
        elif isinstance(value, Tensor):
            self.write_tensor(value)
        elif isinstance(value, np.ndarray | np.generic):
            self.write_array(np.asarray(value))
        elif isinstance(value, torch.Generator):
            self.write(value.get_state())
        elif kind in (list, tuple, dict, set, frozenset):
            self.write_collection(value)
        elif isinstance(value, MethodType | partial):
            self.write_all(call_parts(value))
        else:
            self.write_object(value)

    def write_collection(self, value: Any) -> None:
        """Add the entries of a list, a tuple, a dictionary or a set."""
        if isinstance(value, set | frozenset):
            self.put(*sorted(Digest(self.enter).of(part) for part in value))
            return
        self.put(len(value))
        for part in value.items() if isinstance(value, dict) else value:
            self.write_all(part) if isinstance(value, dict) else self.write(part)

    def write_all(self, parts: Iterable[Any]) -> None:
        """Add several values."""
        for part in parts:
            self.write(part)

    def write_function(self, function: FunctionType) -> None:
        """Add a function's code, its defaults, what it encloses and its attributes."""
        self.put(home_of(function), function.__qualname__, describe_code(function.__code__))
        for cell in function.__closure__ or ():
            try:
                self.write(cell.cell_contents)
            except ValueError:  # a name that is not bound yet
                self.put("empty")
        self.write_all((function.__defaults__, function.__kwdefaults__, vars(function)))
        self.enter(function)

    def write_class(self, kind: type) -> None:
        """Add a class by its name, and one with code of the user's own by its methods and attributes as well."""
        self.put(kind.__module__, kind.__qualname__)
        self.enter(kind)
        if is_installed(kind.__module__):
            return
        for name, value in sorted(vars(kind).items()):
            inner = getattr(value, "__func__", value)
            if isinstance(inner, property):
                self.write_all((name, inner.fget, inner.fset))
            elif isinstance(inner, FunctionType) or not (name.startswith(("__", "_abc_")) or hasattr(inner, "__get__")):
                self.write_all((name, inner))

    def write_tensor(self, tensor: Tensor) -> None:
        """Add a tensor's type and bytes."""
        if tensor.layout != torch.strided or tensor.is_meta or tensor.is_quantized:
            raise NotComparableError
        plain = tensor.detach().cpu().resolve_conj().resolve_neg().contiguous()
        self.put(tensor.dtype, tuple(tensor.shape), tensor.requires_grad)
        self.hash.update(plain.reshape(-1).view(torch.uint8).numpy().data)

    def write_array(self, array: np.ndarray) -> None:
        """Add an array's type and bytes, or its objects."""
        self.put(array.dtype.str, array.dtype.descr if array.dtype.names else "", array.shape)
        if array.dtype.hasobject:
            self.write_all(array.ravel().tolist())
        else:
            self.hash.update(array.tobytes())

    def write_object(self, value: Any) -> None:
        """Add an object by the state that `copy` would take."""
        if isinstance(value, BuiltinFunctionType):
            inside = () if isinstance(value.__self__, ModuleType | type(None)) else (value.__self__,)
            self.write_all((value.__module__, value.__qualname__, *inside))
            return
        try:
            state = value.__reduce_ex__(4)
        except Exception as error:  # an object may refuse in any way
            raise NotComparableError from error
        if (inner := getattr(value, "__wrapped__", None)) is not None:
            self.write(inner)
        if isinstance(state, str):
            self.put(state)
            return
        make, given, *rest = state
        self.write_all((make, given))
        for part in rest:
            self.write(list(part) if isinstance(part, Iterator) else part)


def call_parts(value: MethodType | partial[Any]) -> tuple[Any, ...]:
    """Return the function of a bound method or a partial one, and what it is called with."""
    if isinstance(value, MethodType):
        return value.__func__, value.__self__
    return value.func, value.args, value.keywords


def home_of(function: FunctionType) -> str:
    """Return the module whose globals a function reads, which a decorator does not change."""
    return str(function.__globals__.get("__name__", ""))


def is_installed(module: str) -> bool:
    """Test if a module belongs to the workbench, to Python or to an installed package."""
    top = module.partition(".")[0]
    return top == OURS or top in STANDARD or package_version(top) is not None
