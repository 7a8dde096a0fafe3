"""Registries of architectures, analyses, recipes and data sets: a decorator registers an object under a name."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import threading
from collections.abc import Callable, Iterator
from importlib.metadata import entry_points
from typing import Any, Generic, TypeVar, cast, get_type_hints

from workbench.core.arguments import prepare_analysis
from workbench.core.errors import ConfigError, UnknownNameError

T = TypeVar("T")
Item = TypeVar("Item")


class Registry(Generic[T]):
    """Mapping from names to objects of one kind. The package that defines them is imported at the first look-up.

    Another distribution adds objects with entry points in the group named like the package.

    Args:
        kind: Kind of object, for errors.
        package: Package whose modules register objects.
        prepare: Applied to each name and object as it is registered.

    Raises:
        UnknownNameError: At a look-up of a name that does not exist; names the nearest one.
        ConfigError: If two objects are registered under one name.

    Example:
        >>> workbench.ANALYSES["ablation"].__name__, "mlp" in workbench.MODELS
        ('ablate', True)
    """

    _discovering = threading.RLock()
    """Shared by all registries, because importing the modules of one may look up names in another."""

    def __init__(self, kind: str, package: str, prepare: Callable[[str, T], T] = lambda name, item: item) -> None:
        self.kind, self.package, self.prepare = kind, package, prepare
        self._items: dict[str, T] = {}
        self._discovered = False
        self._within = False

    def register(self, name: str) -> Callable[[Item], Item]:
        """Decorate an object to register it as `name`. Its static type is kept."""

        def remember(item: Item) -> Item:
            if name in self._items and not same_source(self._items[name], item):
                raise ConfigError(f"Two {self.kind}s are called {name!r}. Give one of them another name.")
            self._items[name] = prepared = self.prepare(name, cast(T, item))
            return cast(Item, prepared)

        return remember

    def __getitem__(self, name: str) -> T:
        if not isinstance(name, str):
            raise UnknownNameError(self.kind, name, self.names())
        if name not in self._items:
            self.discover()
        if name not in self._items:
            raise UnknownNameError(self.kind, name, self.names())
        return self._items[name]

    def __contains__(self, name: str) -> bool:
        return name in self.names()

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def __len__(self) -> int:
        return len(self.names())

    def names(self) -> list[str]:
        """List all names, sorted."""
        self.discover()
        return sorted(self._items)

    def discover(self) -> None:
        """Import every module of the package and every entry point, once. Other threads wait until it is done.

        A module that looks up names while it is imported gets those registered so far. If an import fails, the next
        call tries again.
        """
        if self._discovered:
            return
        with self._discovering:
            if self._discovered or self._within:
                return
            self._within = True
            try:
                package = importlib.import_module(self.package)
                for module in pkgutil.walk_packages(package.__path__, f"{self.package}."):
                    importlib.import_module(module.name)
                for entry in entry_points(group=self.package):
                    self.register(entry.name)(entry.load())
                self._discovered = True
            finally:
                self._within = False


def same_source(one: Any, other: Any) -> bool:
    """Return whether two objects come from the same definition, imported twice."""
    return getattr(one, "__qualname__", one) == getattr(other, "__qualname__", other) and (
        getattr(one, "__module__", None) == getattr(other, "__module__", None)
    )


def config_type(model_class: type) -> type:
    """Return the configuration dataclass that an architecture's `__init__` takes as `cfg`."""
    hints = get_type_hints(inspect.unwrap(model_class.__init__))
    if "cfg" not in hints:
        raise ConfigError(f"{model_class.__name__}.__init__ has no annotated argument 'cfg'.")
    return hints["cfg"]


MODELS: Registry[type] = Registry("model", "workbench.zoo")
ANALYSES: Registry[Callable[..., Any]] = Registry("analysis", "workbench.analysis", prepare_analysis)
RECIPES: Registry[Any] = Registry("recipe", "workbench.recipes")
DATASETS: Registry[Callable[[], Any]] = Registry("data set", "workbench.data")
MODALITIES: Registry[Any] = Registry("modality", "workbench.experiments.modalities")
CIRCUITS: Registry[Callable[[], Any]] = Registry("known circuit", "workbench.ground_truth")
VIEWS: Registry[Callable[[Any], Any]] = Registry("view", "workbench.figures")
