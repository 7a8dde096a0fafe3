"""Tests of digests of the values that a user's functions read: equal exactly for equal values."""

import sys
import threading
import types
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch

from workbench.checkpoints.read_values import UNKNOWN, values_read_by
from workbench.checkpoints.source_code import package_version

SETUP = """
import functools, numpy as np, random, torch
from dataclasses import dataclass
@dataclass
class Config:
    factor: float = 1.0
class Slots:
    __slots__ = ("x",)
    def __init__(self, x): self.x = x
class Base:
    scale = 1
class Rule(Base):
    def apply(self): return inner_factor * self.scale
inner_factor = 1
def scaled(by):
    def decorate(function):
        @functools.wraps(function)
        def call(*args): return by * function(*args)
        return call
    return decorate
@functools.lru_cache
def cached(): return inner_factor
"""


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A module of a user's own."""
    made = types.ModuleType("of_a_user")
    monkeypatch.setitem(sys.modules, "of_a_user", made)
    exec(SETUP, vars(made))
    yield made
    package_version.cache_clear()


def digests(module: Any, *texts: str) -> dict[str, str]:
    for text in texts:
        exec(text, vars(module))
    return values_read_by([module.analyse], ["of_a_user"])


VALUES = {
    "number": ("1.0", "2.0"),
    "kind": ("1", "1.0"),
    "zero": ("0.0", "-0.0"),
    "text": ("'a'", "'b'"),
    "nested": ("{'a': [1, (2, 3)]}", "{'a': [1, (2, 4)]}"),
    "set": ("{1, 2}", "{1, 3}"),
    "tensor": ("torch.zeros(2000)", "torch.zeros(2000).index_fill(0, torch.tensor([1000]), 9)"),
    "bfloat16": ("torch.zeros(3, dtype=torch.bfloat16)", "torch.ones(3, dtype=torch.bfloat16)"),
    "shape": ("torch.zeros(2, 3)", "torch.zeros(3, 2)"),
    "conjugate": ("torch.tensor([1j]).conj()", "torch.tensor([1j])"),
    "array": ("np.zeros(2000)", "np.eye(1, 2000, 1000)[0]"),
    "objects": ("np.array([1, 'a'], dtype=object)", "np.array([2, 'a'], dtype=object)"),
    "scalar": ("np.float32(1)", "np.float32(2)"),
    "dataclass": ("Config(1.0)", "Config(2.0)"),
    "slots": ("Slots(1)", "Slots(2)"),
    "module": ("fill(0)", "fill(1)"),
    "function": ("lambda: 1", "lambda: 2"),
    "closure": ("scaled(1)", "scaled(2)"),
    "wrapped": ("scaled(1)(max)", "scaled(2)(max)"),
    "default": ("lambda x=1: x", "lambda x=2: x"),
    "partial": ("functools.partial(max, torch.zeros(2000))", "functools.partial(max, torch.ones(2000))"),
    "method": ("Slots(1).__init__", "Slots(2).__init__"),
    "builtin": ("[1].count", "[2].count"),
    "generator": ("random.Random(1)", "random.Random(2)"),
    "numpy generator": ("np.random.default_rng(1)", "np.random.default_rng(2)"),
    "torch generator": ("torch.Generator().manual_seed(1)", "torch.Generator().manual_seed(2)"),
    "iterator": ("iter([1, 2])", "iter([1, 3])"),
}
FILL = """
def fill(value):
    linear = torch.nn.Linear(2, 2)
    torch.nn.init.constant_(linear.weight, value)
    torch.nn.init.constant_(linear.bias, 0)
    return linear
"""


@pytest.mark.parametrize("kind", VALUES)
def test_equal_values_have_one_digest_and_others_another(module: Any, kind: str) -> None:
    here, there = VALUES[kind]
    define = (FILL, "def analyse(): return v")
    first = digests(module, *define, f"v = {here}")
    again = digests(module, *define, f"v = {here}")
    other = digests(module, *define, f"v = {there}")
    assert UNKNOWN not in first.values()
    assert first == again and first["of_a_user.v"] != other["of_a_user.v"]


@pytest.mark.parametrize(
    "change",
    ["inner_factor = 2", "Base.scale = 2", "cfg.factor = 2.0", "analyse.note = 2", "Rule.apply = lambda self: 3",
     "cached = functools.lru_cache(lambda: 4)"],
)  # fmt: skip
def test_a_value_counts_however_it_is_reached(module: Any, change: str) -> None:
    text = (
        "cfg = Config()\ndef analyse(): return Rule().apply() + cfg.factor + analyse.note + cached()\nanalyse.note = 1"
    )
    assert digests(module, text) == digests(module)
    assert digests(module) != digests(module, change)


def test_a_name_that_is_not_read_makes_no_difference(module: Any) -> None:
    assert digests(module, "def analyse(): return 1", "v = 1") == digests(module, "v = 2")


def test_a_function_that_may_read_every_global_depends_on_all(module: Any) -> None:
    first = digests(module, "def analyse(): return globals()['v' + 'w']", "vw = 1")
    assert first != digests(module, "vw = 2")


def test_values_of_another_module_of_the_users_own_count(module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    other = types.ModuleType("settings_of_a_user")
    other.scale = 1  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, other.__name__, other)
    module.settings = other
    exec("def analyse(): return settings.scale", vars(module))
    first = values_read_by([module.analyse], ["of_a_user", other.__name__])
    other.scale = 2  # type: ignore[attr-defined]
    assert first != values_read_by([module.analyse], ["of_a_user", other.__name__])


@pytest.mark.parametrize(
    "body",
    [
        "import other_of_a_user\n return other_of_a_user.scale",
        "import other_of_a_user as o\n return o.scale",
        "from other_of_a_user import scale\n return scale",
        "return getattr(settings, 'sca' + 'le')",
        "return vars(settings)['scale']",
        "import sys\n return sys.modules['other' + '_of_a_user'].scale",
        "from importlib import import_module\n return import_module('other' + '_of_a_user').scale",
    ],
)
def test_a_value_of_a_module_that_is_found_when_the_function_runs_counts(
    module: Any, monkeypatch: pytest.MonkeyPatch, body: str
) -> None:
    other = types.ModuleType("other_of_a_user")
    other.scale = 1  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, other.__name__, other)
    module.settings = other
    exec(f"def analyse():\n {body}", vars(module))
    first = values_read_by([module.analyse], ["of_a_user", other.__name__])
    other.scale = 2  # type: ignore[attr-defined]
    assert module.analyse() == 2
    assert first != values_read_by([module.analyse], ["of_a_user", other.__name__])


@pytest.mark.parametrize(
    "text",
    [
        "def analyse(): return open('k').read()",
        "import os\ndef analyse(): return os.environ['K']",
        "from os import getenv\ndef analyse(): return getenv('K')",
        "def analyse(): return np.load('k.npy')",
        "def inner(): return torch.load('k')\ndef analyse(): return inner()",
    ],
)
def test_a_function_that_reads_a_file_or_the_environment_is_not_comparable(module: Any, text: str) -> None:
    assert UNKNOWN in digests(module, text).values()


def test_values_inside_of_a_function_of_an_installed_package_count() -> None:
    made: Callable[[Any], Any] = lambda value: partial(torch.add, value)
    zeros, ones = (values_read_by([made(torch.full((2000,), v))], []) for v in (0.0, 1.0))
    assert zeros and set(zeros) == set(ones) and zeros != ones


@pytest.mark.parametrize("value", [threading.Lock(), (x for x in "ab"), torch.zeros(2).to_sparse(), sys.stdout])
def test_a_value_without_a_state_is_not_comparable(module: Any, value: Any) -> None:
    module.v = [value]
    assert digests(module, "def analyse(): return v")["of_a_user.v"] == UNKNOWN


def test_a_cycle_ends(module: Any) -> None:
    text = "v = [1]\nv.append(v)\ndef analyse(): return v"
    assert digests(module, text) == digests(module, text) != digests(module, text.replace("[1]", "[2]"))


def test_functions_of_the_workbench_read_no_values_of_a_user() -> None:
    from workbench.core.registry import ANALYSES

    assert not values_read_by([ANALYSES[name] for name in ANALYSES], [])
