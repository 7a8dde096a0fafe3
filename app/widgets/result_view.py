"""Result on a page: figure, finding in words, table, method and downloads."""

from __future__ import annotations

from textwrap import wrap
from typing import Any

import streamlit as st
from plotly.graph_objects import Figure

from app import style
from app.state import jobs
from app.text.escaping import code, escape
from app.text.format import count
from app.widgets.run_table import QUIET
from workbench.experiments.inputs.reading import rows_of
from workbench.experiments.questions.spec import Spec
from workbench.experiments.store.export import render
from workbench.experiments.store.results import ResultStore
from workbench.figures.alt import describe
from workbench.figures.figure import figure
from workbench.figures.markup import remove_foreign_markup
from workbench.figures.table import table
from workbench.figures.theme import TEMPLATE

PLOT = {
    "displaylogo": False,
    "toImageButtonOptions": {"format": "svg"},
    "modeBarButtonsToRemove": ["lasso2d", "select2d"],
}
FONT, CODE = '"Source Sans", sans-serif', '"Source Code Pro", monospace'
TITLE = 52
"""Maximum number of characters in a line of a title: plotly cuts off what is wider than a narrow screen."""
ROWS = 5000
"""Maximum number of table rows shown; downloads have all."""
MANY = 256
"""Number of examples above which an analysis waits for Run."""


def show(result: Any, key: str) -> None:
    """Show figure and finding of a result."""
    finding = describe(result)
    plot(figure(result), f"figure {key}", finding)
    st.markdown(escape(finding))


def plot(picture: Figure, key: str, finding: str) -> None:
    """Plot a figure in the page's font and colours."""
    text = "#d5dce6" if style.dark() else "#3a4656"
    picture.update_layout(font={"color": text, "family": FONT}, hoverlabel={"font": {"family": CODE}})
    picture.update_layout(modebar={"bgcolor": "rgba(0,0,0,0)", "color": "rgba(128,128,128,0.7)", "activecolor": text})
    picture.update_yaxes(title_standoff=10)  # else it lies on long tick labels
    break_title(picture)
    st.plotly_chart(remove_foreign_markup(picture), key=key, alt=finding, config=PLOT, theme=None)


def break_title(picture: Figure) -> None:
    """Break a long title into lines, with room above the plot for them."""
    layout: Any = picture.layout
    lines = wrap(layout.title.text or "", TITLE)
    if len(lines) > 1:
        above = layout.margin.t or TEMPLATE.layout.margin.t
        picture.update_layout(title_text="<br>".join(lines), margin_t=above + 20 * (len(lines) - 1))


def data_table(result: Any, finding: str, key: str) -> None:
    """Show the table of a result in an expander."""
    rows = table(result)
    with st.expander(escape(f"Table ({count(len(rows), 'row')})"), icon=":material/table:"):
        st.dataframe(rows.head(ROWS), hide_index=True, key=f"table {key}", alt=finding)
        if len(rows) > ROWS:
            st.caption(f"The first {ROWS:,} of {len(rows):,} rows; the files have all.")


def result_view(result: Any, spec: Spec) -> None:
    """Show figure, finding, method, table and downloads of a stored result."""
    show(result, spec.key)
    result_footer(result, spec)


def result_footer(result: Any, spec: Spec) -> None:
    """Show method, table and downloads of a stored result."""
    key = spec.key
    st.caption(method(spec, key))
    data_table(result, describe(result), key)
    downloads(key, spec.analysis)


def method(spec: Spec, key: str) -> str:
    """Return one line of Markdown: technique, inputs, n, metric, parameters, seed and time."""
    full = spec.complete()
    rows, corrupted = rows_of(full.inputs), f"corrupted {code(full.corrupted)}" if full.corrupted else ""
    facts = [escape(f"{full.analysis} of {full.model}"), full.inputs and f"inputs {code(full.inputs)}", corrupted]
    facts += [f"n = {rows:,}" if rows else "", full.metric and escape(f"metric {full.metric}")]
    facts += [escape(f"{name} {value}") for name, value in full.parameters.items() if value not in (None, "", [])]
    if not ResultStore().has(key):  # deleted while this page kept it in memory
        jobs.board().forget(key)
        return " · ".join([*filter(None, facts), "deleted from the store: reload the page to compute it again"])
    about, _ = ResultStore().read(key)
    seconds = about["provenance"].get("seconds")
    facts += [f"seed {full.seed}", f"{seconds:.3g} s" if isinstance(seconds, int | float) else "", f"result {key[:12]}"]
    return " · ".join(filter(None, facts))


def downloads(key: str, name: str) -> None:
    """Offer the result as CSV, JSON, Parquet and HTML, and a circuit as JSON and GraphML. Files are made on
    request.
    """
    kinds = [("CSV", "csv"), ("JSON", "json"), ("Parquet", "parquet"), ("Figure", "html")]
    if name == "circuit":
        kinds += [("Circuit", "circuit"), ("GraphML", "graphml")]
    with st.container(horizontal=True, gap="small"):
        for label, kind in kinds:
            st.download_button(
                escape(label),
                data=lambda kind=kind: render(key, kind, ResultStore()),
                file_name=f"{name}-{key[:8]}.{'circuit.json' if kind == 'circuit' else kind}",
                key=f"{kind} {key}",
                icon=":material/download:",
                on_click="ignore",
            )


def show_curve(result: Any, key: str) -> None:
    """Plot training curves with their table."""
    finding = describe(result)
    plot(
        figure(result).update_layout(title=None, legend={"yref": "paper", "y": 1.03, "yanchor": "bottom"}),
        f"curve {key}",
        finding,
    )
    data_table(result, finding, f"curve {key}")


def result_or_run_button(spec: Spec, cost: str = "", go: str = "go") -> Any:
    """Return the result of a question, or show progress or a Run button and return None.

    The button appears if a `cost` is given or there are more than `MANY` examples. A press is part of the link as `go`.
    """
    rows = rows_of(spec.inputs)
    if not cost and spec.analysis not in QUIET and (rows is None or rows > MANY):
        cost = f"It runs on {f'{rows:,}' if rows else 'all'} examples of the inputs."
    return jobs.result_on_request(spec, cost, go) if cost else jobs.result_of(spec)
