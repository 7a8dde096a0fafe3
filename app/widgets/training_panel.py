"""Trainings, searches and comparisons on a page: each a process of its own, watched through the run log."""

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
"""Seconds that a new process may take to say that it has begun."""


def launch(*command: str) -> None:
    """Starts `workbench COMMAND` in a process that outlives this page; what it says goes to a file beside the runs."""
    folder = runs_folder() / "logs"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{command[0]}_{command[1]}.log").open("w", encoding="utf-8") as log:
        subprocess.Popen(
            [sys.executable, "-m", "workbench", *command], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            start_new_session=True,
        )  # fmt: skip
    st.session_state["launched"] = time.time()


def state_of(kind: str, name: str) -> dict[str, Any] | None:
    """What the run log says of a training, search or comparison; None when it was never begun."""
    table = RunLog().runs()
    found = table[table["key"] == key_of(kind, name)]
    return None if found.empty else found.iloc[0].to_dict()


def start(label: str, state: dict[str, Any] | None, command: Callable[[], list[str]]) -> None:
    """A button that starts or goes on with the work, unless it is under way; mistakes are shown before it starts."""
    busy = under_way(state, st.session_state.get("launched", 0.0))
    if st.button(escape(label), type="primary", icon=":material/play_arrow:", disabled=busy, key=f"start {label}"):
        launch(*command())
        st.toast("Started. It goes on when this page is closed.")


def watch(kind: str, name: str, show: Callable[[], None]) -> None:
    """How far the work is, with a way to stop it, and what it has found so far, drawn again every two seconds."""
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
    """Whether a process works on it, or was launched a moment ago and has not said so yet."""
    if state is not None and (state["status"] in UNDER_WAY or state["started"].timestamp() > launched):
        return state["status"] in UNDER_WAY
    return time.time() - launched < PATIENCE


def show_status(state: dict[str, Any]) -> None:
    """One line, or a bar, for the state of a run."""
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
            f"Stopped after {done:,} of {total:,} steps. What is finished is kept; starting again goes on from there."
        )


def split_words(text: str) -> list[str]:
    """The settings or ranges of a line, separated by spaces."""
    return text.split()


def recipes() -> tuple[list[str], list[str]]:
    """All recipes, and those that say what one batch is."""
    from workbench.core.registry import RECIPES

    every = list(RECIPES)
    return every, [name for name in every if hasattr(RECIPES[name].train, "lesson")]


def settings_table(recipe: str) -> list[dict[str, str]]:
    """Each setting of a recipe with its value and the values that it may have."""
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
    """The settings in a line, after a look that the recipe takes them."""
    from workbench.core.registry import RECIPES
    from workbench.experiments.questions.settings import from_words

    RECIPES[recipe].with_settings(from_words(RECIPES[recipe], split_words(text)))
    return split_words(text)


def folder_of(name: str) -> Path:
    """Where a new model of that name is saved; a name that is taken by a recipe is refused."""
    from workbench.checkpoints.card import SLUG, models_folder
    from workbench.core.registry import RECIPES

    if not SLUG.fullmatch(name) or name in RECIPES:
        raise WorkbenchError(
            f"{name!r} cannot be the new model's name: take letters, digits, '_' and '-', and no recipe's."
        )
    return models_folder() / name
