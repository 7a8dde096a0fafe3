"""Activations: the values at any hook for one input."""

import io
from dataclasses import replace

import numpy as np
import streamlit as st

from app.state import address
from app.text import format
from app.text.escaping import escape
from app.widgets import example_view, model_strip, result_view
from app.widgets.hook_choice import Hook, choose_hook, hooks
from workbench.analysis.activations import Activations
from workbench.experiments.questions.spec import Spec
from workbench.figures.table import table


def statistics(values: np.ndarray) -> None:
    """Show mean, spread, extremes and zeros of the values."""
    finite = values[np.isfinite(values)]
    rows = {
        "values": f"{values.size:,}",
        "mean": format.short(finite.mean()),
        "standard deviation": format.short(finite.std()),
        "smallest": format.short(finite.min()),
        "largest": format.short(finite.max()),
        "zeros": f"{100 * (finite == 0).mean():.3g} %",
    }
    with st.container(horizontal=True, gap="small"):
        for name, value in rows.items():
            st.metric(escape(name), escape(value), width="content", border=True)


def take_away(result: Activations, name: str) -> None:
    """Offer the tensor as a CSV and a NumPy file."""

    def binary() -> bytes:
        np.save(stream := io.BytesIO(), result.values.numpy())
        return stream.getvalue()

    with st.container(horizontal=True, gap="small"):
        csv = lambda: table(result).to_csv(index=False).encode()
        for label, ending, data in (("CSV", "csv", csv), ("NumPy", "npy", binary)):
            file = f"{name}-{result.hook}.{ending}"
            st.download_button(
                escape(label), data, file, key=f"tensor {ending}", icon=":material/download:", on_click="ignore"
            )


def choose_unit(hook: Hook) -> int | None:
    """Choose a unit; None means all units."""
    if hook.unit is None:
        return None
    names = ["all", *map(str, range(hook.sizes[hook.unit]))]
    chosen = address.choose("Unit", names, "unit", help=f"One entry of {escape(hook.unit)}, or all.")
    return None if chosen == "all" else int(chosen)


def of_unit(result: Activations, axis: str, unit: int) -> Activations:
    """Select one unit of an activation."""
    values = result.values.select(result.axes.index(axis), unit)
    axes = tuple(name for name in result.axes if name != axis)
    return replace(result, hook=f"{result.hook}[{axis}={unit}]", axes=axes, values=values)


selection = model_strip.model_strip()
examples = example_view.batch(selection.model, selection.inputs)
places = st.columns([5, 2, 2], vertical_alignment="bottom")
with places[0]:
    name = choose_hook(selection.model)
    hook = hooks(selection.model)[name]
with places[1]:
    row = address.number("Example", 0, len(examples.labels) - 1, "row", 0, help=f"0 to {len(examples.labels) - 1}")
with places[2]:
    unit = choose_unit(hook)
spec = Spec(selection.model, "activations", selection.inputs, parameters={"hook": name})
model_strip.share(selection, spec)
result = result_view.result_or_run_button(spec)
if result is not None:
    seen = result if hook.unit is None or unit is None else of_unit(result, hook.unit, unit)
    seen = replace(seen, values=seen.values[row : row + 1], logits=seen.logits[row : row + 1])
    left, right = st.columns([1, 2.4], gap="large")
    with left:
        st.subheader("Input", anchor=False)
        example_view.show_example(selection.model, examples, row, example_view.per_position(seen, 0), name)
        st.subheader("Prediction", anchor=False)
        example_view.show_answer(selection.model, examples, row, seen)
    with right:
        st.subheader("Activation", anchor=False)
        statistics(seen.values.numpy())
        result_view.show(seen, "activation")
        result_view.data_table(seen, "The values of this activation", "activation")
        take_away(seen, selection.model)
    if address.switch("All hooks on these inputs", "overview"):
        overview = result_view.result_or_run_button(Spec(selection.model, "statistics", selection.inputs))
        if overview is not None:
            result_view.show(overview, "statistics")
            result_view.data_table(overview, "Spread of each hook's values", "statistics")
