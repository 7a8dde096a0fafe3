"""Generate the documentation's pages on techniques and the API from the registries; a hook of mkdocs."""

from __future__ import annotations

import inspect
import re
import tomllib
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

import workbench
from workbench.core.registry import ANALYSES
from workbench.experiments.questions.docstrings import description
from workbench.experiments.questions.parameters import signature_of

GROUPS = {
    "Questions and results": ("run", "Study", "catalog", "read", "figure", "table", "Budget", "read_circuit"),
    "Networks": ("load", "names", "read_card", "wrap", "record", "from_transformers", "add", "remove", "known_circuit"),
    "Interventions": ("sweep", "Site", "interventions"),
    "Registries": ("ANALYSES", "MODELS", "RECIPES", "DATASETS"),
    "Memory": ("keep_freed_pages", "release_freed_pages"),
}
LIMITS: dict[str, str] = tomllib.loads((Path(__file__).parent / "limits.toml").read_text(encoding="utf-8"))
NEEDS = {
    "inputs": "inputs", "corrupted": "corrupted inputs", "metric": "a metric", "world": "an environment",
    "load": "other trained networks",
}  # fmt: skip


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are not written by hand."""
    for name, text in {"techniques.md": techniques(), "api.md": api()}.items():
        files.append(File.generated(config, name, content=text))
    return files


def techniques() -> str:
    """One section for each registered technique: what it shows, what it cannot show, needs and costs."""
    parts = [
        "# Techniques",
        "Every technique runs from Python (`workbench.run`), from the command line (`workbench run`) and on a page of "
        "the dashboard. This page is made from the docstrings of the registered functions and from `docs/limits.toml`.",
        *(section(name) for name in ANALYSES),
    ]
    return "\n\n".join(parts) + "\n"


def section(name: str) -> str:
    """The section of one technique."""
    signature = signature_of(name)
    needed = ["a network" + axes(ANALYSES[name]), *(NEEDS[n] for n, must in signature.injected.items() if n in NEEDS)]
    rows = [f"| `{p.name}` | {cell(p.type)} | {default(p)} | {cell(p.help)} |" for p in signature.parameters.values()]
    table = ["| parameter | type | default | meaning |", "|---|---|---|---|", *rows] if rows else []
    paragraphs = description(inspect.unwrap(ANALYSES[name])).split("\n\n")
    if name in LIMITS and not any(p.startswith("Limits:") for p in paragraphs):
        paragraphs.insert(1, f"Limits: {LIMITS[name]}")
    paragraphs = [emphasize(p) for p in paragraphs]
    return "\n\n".join([f"## {name}", *paragraphs, f"**Needs:** {', '.join(needed)}.", "\n".join(table)])


def axes(technique: Any) -> str:
    """The axes that a technique asks for, in words."""
    named = getattr(technique, "needed_axes", ())
    return f" with an axis {' and '.join(f'`{axis}`' for axis in named)}" if named else ""


def default(parameter: Any) -> str:
    """A parameter's default as it is written on the command line."""
    return "required" if parameter.required else "none" if parameter.default is None else f"`{parameter.default}`"


def cell(text: str) -> str:
    """A text that stays in its cell of a table."""
    return text.replace("|", r"\|")


def emphasize(paragraph: str) -> str:
    """A paragraph with its heading, such as `Cost:`, in bold; numbered steps stay a list."""
    return re.sub(r"^(Cost|References|Limits):", r"**\1:**", paragraph)


def api() -> str:
    """Every public name of the package, by subject."""
    grouped = {name for names in GROUPS.values() for name in names}
    if missing := set(workbench.PLACES) ^ grouped:
        raise KeyError(f"docs/generate.py groups other public names than workbench has: {sorted(missing)}")
    parts = ["# API", "Every name below is an attribute of `workbench`, imported when it is first used."]
    for title, names in GROUPS.items():
        parts.append(f"## {title}")
        for name in names:
            module, _, attribute = workbench.PLACES[name].partition(":")
            parts.append(
                f"::: {module}.{attribute}\n    options:\n      heading: workbench.{name}\n      toc_label: {name}"
            )
    return "\n\n".join(parts) + "\n"
