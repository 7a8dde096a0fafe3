"""Source code behind an answer: a digest of every module that computes it and the version of every package.

1. Start from the modules that hold the analysis, the architecture, the metric and whatever reads the inputs.
2. Follow their imports through `workbench`, through the package of a plug-in and through modules that belong to no
   installed package, and take the digest of each file's bytes.
3. Take the version of every other package that they import.

Bytes and not syntax trees: a hundred files are read in some ten milliseconds once per process, and parsed in thirty
times that. A changed comment therefore computes an answer again, which costs time and is never wrong. Imports are found
by pattern, in docstrings and texts too, so that rather too many modules count than too few.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache, partial
from importlib.metadata import entry_points, packages_distributions
from importlib.util import find_spec, resolve_name
from inspect import unwrap
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

from workbench.checkpoints.provenance import Stamp, release, stamp_of

OURS = "workbench"
FROM = re.compile(r"\bfrom[ \t]+(\.*[\w.]*)[ \t]+import[ \t]*(\([^)]*\)|[^\n]*)")
IMPORT = re.compile(r"(?:^|[;:])[ \t]*import[ \t]+([^\n;#]+)", re.MULTILINE)
QUOTED = re.compile(r"""["']([A-Za-z_]\w*(?:\.\w+)+)(?::\w+)?["']""")
"""Modules named in a text, such as the entry point of an environment."""
TYPING = re.compile(r"^if TYPE_CHECKING:\n(?:[ \t]+.*\n|\n)*", re.MULTILINE)
DISTRIBUTIONS = {"PIL": "pillow", "sklearn": "scikit-learn"}
"""Distributions with another name than their package; looking up any other one takes longer."""
RUNNING = ("torch", "numpy", "gymnasium")
"""Packages that may be upgraded under a running process: the imported version is compared with the installed one."""
GROUPS = ("workbench.analysis", "workbench.zoo", "workbench.data", "workbench.experiments.modalities")
"""Groups of entry points through which other distributions add code that an answer may depend on."""
STANDARD = sys.stdlib_module_names - {"__main__"}
SHOWN = 16
"""Hexadecimal digits of a module's digest."""


def started() -> float:
    """Return the time at which this process began to import the workbench."""
    return float(sys.modules[OURS].STARTED)


@dataclass(frozen=True)
class Code:
    """Digests of modules by name and versions of packages by name."""

    modules: dict[str, str]
    versions: dict[str, str]


@dataclass(frozen=True, eq=False)
class Origin:
    """Code that computes a network or a metric.

    Attributes:
        roots: Functions and classes whose source counts.
        versions: Versions of the installed packages that hold the others.
        unknown: Names of values that cannot be compared from one process to another.
    """

    roots: tuple[Any, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True)
class Source:
    """A source file as this process first read it."""

    digest: str
    stamp: Stamp
    imports: frozenset[str]


_SOURCES: dict[str, Source] = {}


def code_of(roots: Iterable[Any], leaves: Iterable[str] = ()) -> Code:
    """Compute digests of the modules that hold `roots` and of all their imports.

    Args:
        roots: Functions, classes, or names of modules.
        leaves: Names of modules that count without their imports.

    Returns:
        Digests by module and versions by distribution, both sorted by name.
    """
    todo = [root if isinstance(root, str) else module_of(root) for root in roots]
    followed = {OURS} | {name.partition(".")[0] for name in todo}
    versions = {name: version for top in followed - {OURS} for name, version in plugin_versions(top).items()}
    modules = {name: source_of(name, path).digest for name in leaves if (path := locate(name))}
    assert all(name in modules for name in leaves if name.startswith(f"{OURS}.")), f"a module was moved: {leaves}"
    while todo:
        name = todo.pop()
        top = name.partition(".")[0]
        if name in modules or name == OURS or top in STANDARD:
            continue
        if top not in followed and (found := package_version(top)):
            versions |= dict([found])
        elif (path := locate(name)) is not None:
            source = source_of(name, path)
            modules[name] = source.digest
            todo += [*source.imports, *parents(name)]
        elif top in followed and is_session(name):
            modules[name] = session_digest(sys.modules[name])
            todo += session_imports(sys.modules[name])
    versions["python"] = ".".join(platform.python_version_tuple()[:2])
    return Code(dict(sorted(modules.items())), dict(sorted(running_versions(versions).items())))


def module_of(item: Any) -> str:
    """Return the name of the module that holds a function or a class."""
    plain = unwrap(item) if callable(item) else item
    if isinstance(plain, partial):
        return module_of(plain.func)
    return getattr(plain, "__module__", None) or type(plain).__module__


def definition_of(item: Any) -> str:
    """Name a function or a class by its module; an inner function also by its code and its closure."""
    plain = unwrap(item) if callable(item) else item
    if isinstance(plain, partial):
        return f"{definition_of(plain.func)} of {plain.args!r} and {plain.keywords!r}"
    name = f"{module_of(plain)}:{getattr(plain, '__qualname__', None) or repr(plain)}"
    return f"{name}#{function_digest(plain)[:SHOWN]}" if isinstance(plain, FunctionType) and "<" in name else name


# Files


def source_of(module: str, path: Path) -> Source:
    """Return a module's source as it was first read, with another digest if the file has changed since.

    A process keeps running the code that it imported. If the file was changed after the start of the process, the file
    does not determine the running code, so the digest is one that no other process computes.
    """
    first = _SOURCES.get(module) or _SOURCES.setdefault(module, read_source(module, path))
    if stamp_of(path) == first.stamp and first.stamp.changed < started():
        return first
    now = read_source(module, path)
    private = f"{first.digest} {now.digest} {os.getpid()} {started()}"
    return Source(hashlib.sha256(private.encode()).hexdigest()[:SHOWN], now.stamp, now.imports)


def read_source(module: str, path: Path) -> Source:
    """Read the digest of a file and the modules that it names."""
    stamp, content = stamp_of(path), path.read_bytes()
    assert stamp is not None, f"{path} is there"
    package = module if path.stem == "__init__" else module.rpartition(".")[0]
    names = find_imports(content.decode("utf-8", "replace"), package) if path.suffix == ".py" else set()
    return Source(hashlib.sha256(content).hexdigest()[:SHOWN], stamp, frozenset(names))


def find_imports(text: str, package: str) -> set[str]:
    """Return the names of the modules that a source text of a package imports or may import."""
    text = TYPING.sub("", text.replace("\\\n", " "))
    found = set(QUOTED.findall(text))
    for line in IMPORT.findall(text):
        found |= {words[0] for part in line.split(",") if (words := part.split())}
    for start, names in FROM.findall(text):
        try:
            origin = resolve_name(start, package)
        except ImportError:
            continue
        found |= {origin, *(f"{origin}.{name}" for name in re.findall(r"\w+", names))}
    return {name for name in found if name.partition(".")[0] not in STANDARD and locate(name)}


def parents(module: str) -> list[str]:
    """List the packages that are imported before a module."""
    parts = module.split(".")
    return [".".join(parts[:n]) for n in range(1, len(parts))]


@cache
def locate(module: str) -> Path | None:
    """Find the file of a module without importing it; None if there is none."""
    top, *rest = module.split(".")
    if (file := getattr(sys.modules.get(module), "__file__", None)) and Path(file).is_file():  # not so from a pipe
        return Path(file)
    try:
        spec = find_spec(top)
    except (ImportError, ValueError):
        return None
    if spec is None or not rest:
        return Path(spec.origin) if spec and spec.has_location and spec.origin else None
    for place in spec.submodule_search_locations or ():
        path = Path(place, *rest)
        for file in (path.with_suffix(".py"), path / "__init__.py"):
            if file.is_file():
                return file
    return None


# Packages


def is_shipped(module: str) -> bool:
    """Test if a module is Python's or stands where packages are installed, so that its version says what it holds.

    A package that is installed in editable form is not: its files may change under one version.
    """
    top = module.partition(".")[0]
    path = None if top in STANDARD else locate(top)
    return top in STANDARD or (path is not None and bool({"site-packages", "dist-packages"} & {*path.parts}))


def shipped_versions(items: Iterable[Any]) -> dict[str, str]:
    """Return the versions of the packages that hold some functions or classes."""
    tops = {module.partition(".")[0] for item in items if is_shipped(module := module_of(item))} - STANDARD - {OURS}
    return dict(sorted(found for top in tops if (found := package_version(top)) is not None))


@cache
def package_version(top: str) -> tuple[str, str] | None:
    """Return distribution and version of an installed package; None if the module belongs to none."""
    name, path = DISTRIBUTIONS.get(top, top), locate(top)
    if (version := release(name)) == "unknown" and path is not None and "site-packages" in path.parts:
        name = next(iter(packages_distributions().get(top, ())), top)
        version = release(name)
    return None if version == "unknown" else (name, version)


def running_versions(versions: dict[str, str]) -> dict[str, str]:
    """Replace versions by those imported, which differ if a package was upgraded under the process."""
    imported = {name: str(getattr(sys.modules.get(name), "__version__", "")) for name in RUNNING if name in versions}
    other = {n: v for n, v in imported.items() if v and v.partition("+")[0] != versions[n].partition("+")[0]}
    return versions | {name: f"{version} ({versions[name]} is installed)" for name, version in other.items()}


@cache
def plugin_versions(top: str) -> dict[str, str]:
    """Return the version of a plug-in's distribution, found by its name or its entry points."""
    found = {top: version} if (version := release(top)) != "unknown" else {}
    for entry in (entry for group in GROUPS for entry in entry_points(group=group)):
        if entry.module.partition(".")[0] == top and entry.dist is not None:
            found[entry.dist.name] = entry.dist.version
    return found


# Sessions without files


def is_session(module: str) -> bool:
    """Test that a module was typed into a notebook or a console."""
    loaded = sys.modules.get(module)
    return loaded is not None and not hasattr(loaded, "__path__")


def session_digest(module: ModuleType) -> str:
    """Compute a digest of everything defined in a module without a file; it holds for this process alone."""
    digest = hashlib.sha256(f"{os.getpid()} {started()}".encode())
    for name, value in sorted(vars(module).items()):
        plain = unwrap(value) if callable(value) else value
        if isinstance(plain, FunctionType):
            digest.update(f"{name}={function_digest(plain)}".encode())
        elif isinstance(plain, type) and plain.__module__ == module.__name__:
            bodies = [function_digest(f) for f in vars(plain).values() if isinstance(f, FunctionType)]
            digest.update(f"{name}={bodies}".encode())
        elif isinstance(plain, str | int | float | bool | tuple | list | dict) and not name.startswith("_"):
            digest.update(f"{name}={plain!r}".encode())
    return digest.hexdigest()[:SHOWN]


def session_imports(module: ModuleType) -> list[str]:
    """List the modules of the objects in a module's namespace."""
    values = list(vars(module).values())
    named = {v.__name__ if isinstance(v, ModuleType) else getattr(v, "__module__", None) for v in values}
    return [name for name in named if isinstance(name, str) and name != module.__name__]


def function_digest(function: Any) -> str:
    """Compute a digest of a function's code, defaults and closure."""
    code = getattr(function, "__code__", None)
    if code is None:
        return hashlib.sha256(repr(function).encode()).hexdigest()
    cells = [cell.cell_contents for cell in function.__closure__ or ()]
    enclosed = [function_digest(unwrap(v)) if isinstance(v, FunctionType) else repr(v) for v in cells]
    kept = (describe_code(code), repr(function.__defaults__), repr(function.__kwdefaults__), enclosed)
    return hashlib.sha256(repr(kept).encode()).hexdigest()


def describe_code(code: CodeType) -> tuple[Any, ...]:
    """Strip line numbers and file name from a code object."""
    constants = [describe_code(c) if isinstance(c, CodeType) else describe_constant(c) for c in code.co_consts]
    return code.co_code, constants, code.co_names, code.co_varnames


def describe_constant(value: object) -> str:
    """Write a constant as text; sets of texts are sorted, because their order differs between processes."""
    return repr(sorted(map(repr, value)) if isinstance(value, frozenset) else value)
