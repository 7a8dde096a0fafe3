"""Registry of pages: those with a view of their own, and one for each registered technique."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import streamlit as st

VIEWS = Path(__file__).parents[1] / "views"
TECHNIQUES = "workbench.analysis"
"""Package of the techniques, and the group of the entry points that add to it."""
PLUGINS = "workbench.pages"
"""Group of the entry points that add a page: its name in the address, and the module that is run for it."""
REGISTERED = re.compile(r'^@ANALYSES\.register\("([^"]+)"\)', re.MULTILINE)


@dataclass(frozen=True)
class Page:
    """Page of the dashboard.

    A `light` page opens before the heavy libraries are imported. A `hidden` page is an earlier address.
    """

    name: str
    title: str
    icon: str
    group: str = ""
    lead: str = ""
    technique: str = ""
    file: str = ""
    """Script of a page that another distribution adds."""
    light: bool = False
    hidden: bool = False


OWN = (
    Page("home", "Home", "home", "", "Which parts of a small network do what, and how do we know?", light=True),
    Page("model", "Model", "schema", "", "Architecture, hooks, training and measured performance."),
    Page("runs", "Runs", "history", "", "Results of this dashboard, the command line and scripts.", light=True),
    Page(
        "episodes",
        "Episodes",
        "sports_esports",
        "Policies",
        "An episode step by step: observations, action probabilities, values and saliency.",
    ),
    Page(
        "training",
        "Training",
        "model_training",
        "Training",
        "Train a network, check a recipe, search its settings and compare runs.",
    ),
    Page(
        "difference",
        "Difference",
        "difference",
        "Training",
        "Weights, outputs and directions of a tuned model compared with the model it was tuned from.",
    ),
    Page(
        "preferences", "Preferences", "thumbs_up_down", "Training", "Label which of two tales answers an order better."
    ),
)
GROUPS = {"Activations": "grid_view", "Circuits": "hub", "Policies": "explore", "Plug-ins": "extension"}
"""Icon of each group of techniques."""
MOVED = {"gallery": "maximization", "patch": "ablation", "policy": "counterfactuals"}
"""Earlier addresses, and the technique that each opened with."""


@cache
def technique_groups() -> dict[str, str]:
    """Map each technique to its navigation group: that of its package, or "Plug-ins" for entry points.

    Names are read from the sources, because importing the techniques takes seconds and the navigation is drawn first.
    """
    spec = find_spec(TECHNIQUES)
    folders = (spec.submodule_search_locations or []) if spec else []
    groups = {"circuits": "Circuits", "policies": "Policies"}
    found = {
        name: groups.get(file.parent.name, "Activations")
        for folder in folders
        for file in sorted(Path(folder).rglob("*.py"))
        for name in REGISTERED.findall(file.read_text(encoding="utf-8"))
    }
    return found | {entry.name: "Plug-ins" for entry in entry_points(group=TECHNIQUES)}


@cache
def all_pages() -> dict[str, Page]:
    """Map the name in the address to its page."""
    known = {page.name: page for page in OWN}
    for technique, group in sorted(technique_groups().items()):
        name = re.sub(r"\W+", "_", technique)
        name = f"{name}_technique" if name in known or name in MOVED else name
        title = technique.replace("_", " ").capitalize()
        known[name] = Page(name, title, GROUPS[group], group, technique=technique)
    return known | plugin_pages() | {name: Page(name, "Moved", "forward", hidden=True) for name in MOVED}


def plugin_pages() -> dict[str, Page]:
    """Map the name in the address to the page that another distribution adds; no page is replaced."""
    found = {entry.name: find_spec(entry.value) for entry in entry_points(group=PLUGINS)}
    taken = {page.name for page in OWN} | {*MOVED}
    return {
        name: Page(name, name.replace("_", " ").capitalize(), GROUPS["Plug-ins"], "Plug-ins", file=spec.origin)
        for name, spec in found.items()
        if spec and spec.origin and name not in taken
    }


def to_streamlit(page: Page) -> Any:
    """Convert to a Streamlit page. A view file named like the page replaces the generic technique page."""
    own = VIEWS / f"{page.name}.py"
    file = VIEWS / "moved.py" if page.hidden else own if own.is_file() else page.file or VIEWS / "technique.py"
    home = page.name == "home"
    return st.Page(
        file,
        title=page.title,
        icon=f":material/{page.icon}:",
        url_path=None if home else page.name,
        default=home,
        visibility="hidden" if page.hidden else "visible",
    )


def navigate() -> tuple[Page, Any]:
    """Draw the navigation and return the page of this run, as ours and as Streamlit's."""
    sections: dict[str, list[Any]] = {group: [] for group in ("", *GROUPS, "Training")}
    known = {}
    for page in all_pages().values():
        known[shown := to_streamlit(page)] = page
        sections[page.group].append(shown)
    chosen = st.navigation({group: pages for group, pages in sections.items() if pages}, position="top")
    return known[chosen], chosen
