"""Panel that starts trainings, searches and comparisons as processes and shows their progress."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import streamlit as st

from app.text.escaping import escape
from workbench.core.errors import WorkbenchError
from workbench.experiments.pipelines.training_runs import key_of
from workbench.experiments.store.run_log import RunLog, runs_folder

UNDER_WAY = ("queued", "running")
PATIENCE = 20.0
"""Seconds that a new process may take to appear in the run log."""


def launch(*command: str) -> None:
    """Start `workbench COMMAND` in a separate process that survives the page and logs to a file beside the runs."""
    folder = runs_folder() / "logs"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{command[0]}_{command[1]}.log").open("w", encoding="utf-8") as log:
        subprocess.Popen(
            [sys.executable, "-m", "workbench", *command], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            start_new_session=True,
        )  # fmt: skip
    st.session_state["launched"] = time.time()


def state_of(kind: str, name: str) -> dict[str, Any] | None:
    """Return the run log's entry of a training, search or comparison, or None."""
    table = RunLog().runs()
    found = table[table["key"] == key_of(kind, name)]
    return None if found.empty else found.iloc[0].to_dict()


def start(label: str, state: dict[str, Any] | None, command: Callable[[], list[str]]) -> None:
    """Draw a button that starts or resumes the work, disabled while it runs; mistakes are shown before it starts."""
    busy = under_way(state, st.session_state.get("launched", 0.0))
    if st.button(escape(label), type="primary", icon=":material/play_arrow:", disabled=busy, key=f"start {label}"):
        launch(*command())
        st.toast("Started. It continues if this page is closed.")


def watch(kind: str, name: str, show: Callable[[], None]) -> None:
    """Show progress, Cancel and intermediate results, refreshed every two seconds."""
    launched = st.session_state.get("launched", 0.0)
    active = under_way(state_of(kind, name), launched)

    @st.fragment(run_every=2.0 if active else None)
    def redraw() -> None:
        now = state_of(kind, name)
        if active and not under_way(now, launched):
            st.rerun()
        if now is not None:
            show_status(now)
        show()

    redraw()


def under_way(state: dict[str, Any] | None, launched: float) -> bool:
    """Return True if the work runs, or was launched less than `PATIENCE` seconds ago."""
    if state is not None and (state["status"] in UNDER_WAY or state["started"].timestamp() > launched):
        return state["status"] in UNDER_WAY
    return time.time() - launched < PATIENCE


def show_status(state: dict[str, Any]) -> None:
    """Show the status of a run as a line or a progress bar."""
    status, done, total = state["status"], int(state["done"]), int(state["total"])
    if status in UNDER_WAY:
        spent = (state["updated"] - state["started"]).total_seconds()
        left = f", about {spent * (total - done) / done:,.0f} s left" if done else ""
        st.progress(min(1.0, done / total) if total else 0.0, text=f"{done:,} of {total:,} steps{escape(left)}")
        if st.button("Cancel", icon=":material/cancel:", key=f"cancel {state['key']}"):
            RunLog().cancel(state["key"], int(state["pid"]))
    elif status == "failed":
        st.error(escape(state["error"]), icon=":material/error:")
    elif status in ("cancelled", "interrupted"):
        st.info(
            f"Stopped after {done:,} of {total:,} steps. Finished steps are kept; starting again resumes from there."
        )


def recipes() -> tuple[list[str], list[str]]:
    """Return all recipes, and those that can be checked on one batch."""
    from workbench.core.registry import RECIPES

    every = list(RECIPES)
    return every, [name for name in every if hasattr(RECIPES[name].train, "lesson")]


def settings_table(recipe: str) -> list[dict[str, str]]:
    """Return each setting of a recipe with its value and valid range."""
    from workbench.core.ranges import describe_type, is_carried
    from workbench.core.registry import RECIPES
    from workbench.experiments.questions.settings import kinds

    made = RECIPES[recipe]
    holders = (made.training, made.config, made.train, made)
    return [
        {
            "setting": name,
            "value": str(next(getattr(holder, name) for holder in holders if hasattr(holder, name))),
            "valid": describe_type(kind) if is_carried(kind) else "",
        }
        for name, kind in kinds(made).items()
    ]


def checked_words(recipe: str, text: str) -> list[str]:
    """Split a line into settings and check that the recipe accepts them."""
    from workbench.core.registry import RECIPES
    from workbench.experiments.questions.settings import from_words

    RECIPES[recipe].with_settings(from_words(RECIPES[recipe], words := text.split()))
    return words


def folder_of(name: str) -> Path:
    """Return the folder of a new model; raises if the name is invalid or belongs to a recipe."""
    from workbench.checkpoints.card import SLUG, models_folder
    from workbench.core.registry import RECIPES

    if not SLUG.fullmatch(name) or name in RECIPES:
        raise WorkbenchError(
            f"{name!r} cannot name a new model: use letters, digits, '_' and '-', and no recipe's name."
        )
    return models_folder() / name
