"""Table of stored runs, and the details of one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from app.state import address
from app.text.escaping import escape
from workbench.experiments.store.run_log import RunLog

if TYPE_CHECKING:
    import pandas as pd

QUIET = ("activations", "statistics", "anatomy")
"""Analyses of one forward pass, which pages run routinely: they never wait for Run, and the table omits them."""


def list_runs(everything: bool = False) -> pd.DataFrame:
    """Return one row per run, newest first."""
    table = RunLog().runs()
    for column in ("analysis", "model", "inputs", "metric"):
        table[column] = [spec.get(column, "") for spec in table["spec"]]
    table["seconds"] = (table["updated"] - table["started"]).dt.total_seconds()
    return table if everything else table[~table["analysis"].isin(QUIET)].reset_index(drop=True)


def show_recent(n: int) -> None:
    """Show the last `n` runs, or a hint if there are none."""
    table = list_runs().head(n)
    if table.empty:
        st.info("Nothing yet. Open a network above and ablate a unit, or run `workbench run --help`.")
        return
    shown = table[["status", "analysis", "model", "inputs", "started", "key"]]
    st.dataframe(shown, hide_index=True, column_config=columns(), alt=f"The last {len(shown)} runs")
    address.page_link("runs", "All runs", "history")


def columns() -> Any:
    """Return the column formats of the table."""
    return {
        "started": st.column_config.DatetimeColumn("started", format="distance"),
        "seconds": st.column_config.NumberColumn("seconds", format="%.1f"),
        "key": st.column_config.TextColumn("key", width="small"),
        "status": st.column_config.TextColumn("status", width="small"),
    }


def show_run(start: str, table: pd.DataFrame) -> None:
    """Show status, specification, figure and downloads of one run."""
    from workbench.core.errors import UnknownNameError
    from workbench.experiments.store.results import ResultStore

    found = table[table["key"].str.startswith(start)]
    if found.empty:
        raise UnknownNameError("run", start, table["key"])
    row = found.iloc[0]
    address.remember("run", row["key"], "")
    st.subheader(f"{escape(row['analysis'])} of {escape(row['model'])}", anchor=False)
    store = ResultStore()
    with st.container(horizontal=True):
        if row["status"] in ("queued", "running"):
            st.progress(
                row["done"] / row["total"] if row["total"] else 0.0, text=f"{row['done']:,} of {row['total']:,}"
            )
            st.button(
                "Cancel this run", on_click=store.cancel, args=(row["key"], int(row["pid"])), icon=":material/cancel:"
            )
        if store.has(row["key"]):
            st.button("Delete this result", on_click=delete, args=(row["key"],), icon=":material/delete:")
    if row["error"]:
        st.error(escape(row["error"]))
    if store.has(row["key"]):
        picture(row["key"])
    with st.expander("Specification", icon=":material/data_object:"):
        st.json(row["spec"])


def delete(key: str) -> None:
    """Delete a stored result and its job in this process."""
    from app.state import jobs
    from workbench.experiments.store.results import ResultStore

    ResultStore().delete(key)
    jobs.board().forget(key)
    address.forget("run")


def picture(key: str) -> None:
    """Show figure, table and downloads of a stored result without loading its model."""
    from app.state import jobs

    jobs.wait_for_library()
    from app.widgets import result_view
    from workbench.experiments.run import read

    result = read(key)
    result_view.show(result, key)
    result_view.data_table(result, "The rows of this result", key)
    result_view.downloads(key, type(result).__name__.lower())
