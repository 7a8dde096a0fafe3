"""Interpretability workbench: find the parts of a small network that carry a behaviour, and test the evidence.

    import workbench

    result = workbench.run("ablation", model="digits_mlp", hook="blocks.0.hook_post", inputs="test:0:64")
    workbench.figure(result).show()

Every name is imported when it is first used, so that importing the package costs milliseconds.
"""

from importlib import import_module
from time import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workbench.checkpoints.card import names, read_card
    from workbench.checkpoints.store import load
    from workbench.core import interventions
    from workbench.core.allocator import keep_freed_pages
    from workbench.core.allocator import release as release_freed_pages
    from workbench.core.registry import ANALYSES, DATASETS, MODELS, RECIPES
    from workbench.core.sites import Site
    from workbench.core.stages import sweep
    from workbench.core.tape_model import record_module as record
    from workbench.core.wrap import wrap
    from workbench.experiments.adding import add, remove
    from workbench.experiments.questions.budget import Budget
    from workbench.experiments.run import catalog, read
    from workbench.experiments.run_overloads import run
    from workbench.experiments.store.circuit_formats import read_circuit
    from workbench.experiments.study import Study
    from workbench.figures.figure import figure
    from workbench.figures.table import table
    from workbench.ground_truth.known import known_circuit
    from workbench.zoo.from_transformers import from_transformers

PLACES = {
    "load": "workbench.checkpoints.store:load",
    "names": "workbench.checkpoints.card:names",
    "read_card": "workbench.checkpoints.card:read_card",
    "run": "workbench.experiments.run:run_analysis",
    "add": "workbench.experiments.adding:add",
    "remove": "workbench.experiments.adding:remove",
    "Study": "workbench.experiments.study:Study",
    "Budget": "workbench.experiments.questions.budget:Budget",
    "read": "workbench.experiments.run:read",
    "catalog": "workbench.experiments.run:catalog",
    "figure": "workbench.figures.figure:figure",
    "table": "workbench.figures.table:table",
    "read_circuit": "workbench.experiments.store.circuit_formats:read_circuit",
    "known_circuit": "workbench.ground_truth.known:known_circuit",
    "from_transformers": "workbench.zoo.from_transformers:from_transformers",
    "wrap": "workbench.core.wrap:wrap",
    "record": "workbench.core.tape_model:record_module",
    "keep_freed_pages": "workbench.core.allocator:keep_freed_pages",
    "release_freed_pages": "workbench.core.allocator:release",
    "sweep": "workbench.core.stages:sweep",
    "Site": "workbench.core.sites:Site",
    "interventions": "workbench.core:interventions",
    "MODELS": "workbench.core.registry:MODELS",
    "ANALYSES": "workbench.core.registry:ANALYSES",
    "RECIPES": "workbench.core.registry:RECIPES",
    "DATASETS": "workbench.core.registry:DATASETS",
}
"""Module and attribute of each public name. The module is imported at the first use."""

STARTED = time()
"""Time of the first import of the workbench in this process, to compare with the times of source files."""

__all__ = [  # noqa: PLE0604
    *PLACES
]


if not TYPE_CHECKING:  # a type checker would take every name for one of these

    def __getattr__(name: str) -> Any:
        """Import a public name at its first use."""
        if name not in PLACES:
            raise AttributeError(f"module 'workbench' has no attribute {name!r}")
        module, attribute = PLACES[name].split(":")
        found = import_module(module)
        value = getattr(found, attribute, None) or import_module(f"{module}.{attribute}")
        globals()[name] = value
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *PLACES})
