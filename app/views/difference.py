"""Difference: a tuned model compared with its base and with other models tuned to the same task."""

import streamlit as st

from app.state import address, jobs
from app.text.escaping import escape
from app.widgets import model_strip, result_view
from workbench.analysis.rlhf.difference import Trace
from workbench.checkpoints.card import read_card
from workbench.experiments.difference import trace, tuned_beside, tuned_models
from workbench.experiments.store.dependencies import current_key
from workbench.figures.alt import describe

ROWS = 15


def traced(place: int, tuned: str, original: str) -> Trace:
    """Compare a model with its base, kept until the files of either change; the page stops until it is available."""
    asked = examples, seed, restore
    key = f"difference {tuned} {asked} {current_key([tuned, original], data=[read_card(tuned).data.name])}"
    work = lambda report: trace([tuned], "", *asked, report)
    found = jobs.result(key, f"difference of {tuned}", work, f"difference {place}")
    if found is None:
        address.stop()
    return found


selection = model_strip.model_strip(inputs=False, first="tales_ppo")
known = tuned_models()
if selection.model not in known:
    some = next(iter(known), "none")
    st.info(f"{escape(selection.model)} was not tuned from another model. Choose one that was, such as {escape(some)}.")
    address.stop()
with st.container(border=True, horizontal=True, vertical_alignment="bottom", gap="small"):
    others = address.switch("Compare with other models tuned to this task", "others", True)
    restore = address.switch(
        "Restore parts", "restore", help="Undo tuning one part at a time: up to a minute per model."
    )
    with st.container(width=140):
        examples = address.number("Examples", 1, 256, "examples", 16, help="Tales written, or questions answered.")
    with st.container(width=140):
        seed = address.number("Seed", 0, 2**31 - 1, "seed", 0, help="Seeds the tales or the choice of questions.")
beside = tuned_beside(selection.model) if others else []
found = [traced(place, name, known[name]) for place, name in enumerate((selection.model, *beside))]
together = found[0].join(found[1:])
result_view.show(together, f"difference {selection.model}")
for title, rows in together.tables(ROWS).items():
    with st.expander(escape(title), icon=":material/table:"):
        st.dataframe(rows, hide_index=True, alt=title)
result_view.data_table(together, describe(together), f"difference {selection.model}")
words = " ".join([selection.model, *beside])
model_strip.share_code(
    selection,
    f"from workbench.experiments.difference import trace\n\n"
    f"found = trace({words.split()}, examples={examples}, seed={seed}, restore={restore})",
    f"workbench difference {words} --examples {examples} --seed {seed}{' --restore' * restore}",
)
