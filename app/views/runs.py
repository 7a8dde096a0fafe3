"""Runs: stored results and running computations, started from pages, commands or scripts."""

import streamlit as st

from app.state import address
from app.widgets import run_table

everything = address.switch("Include routine runs of pages (activations, statistics)", "all")
table = run_table.list_runs(everything)
if table.empty:
    st.info("Nothing has been computed yet. Try `workbench run ablation --model digits_mlp --hook blocks.0.hook_post`.")
else:
    shown = table[["status", "analysis", "model", "inputs", "metric", "started", "seconds", "key"]]
    st.caption("Choose a row to see its specification and its figure.")
    event = st.dataframe(
        shown,
        hide_index=True,
        column_config=run_table.columns(),
        on_select="rerun",
        selection_mode="single-row",
        key=f"runs {address.visit()}",
        alt=f"{len(shown)} runs, newest first",
    )
    known = list(table["key"])
    rows = event.selection.rows
    key = known[rows[0]] if rows and rows[0] < len(known) else address.requested("run")
    if key:
        run_table.show_run(key, table)
