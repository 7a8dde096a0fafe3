"""Preferences: label the better of two tales for a prompt."""

import streamlit as st

from app.state import address
from app.text.escaping import escape
from app.widgets import model_strip
from workbench.data.text.preferences import Choice, left_share, read
from workbench.experiments.inputs import labelling

BUTTONS: tuple[tuple[Choice, str, str], ...] = (
    ("left", "Left is better", "arrow_back"),
    ("equal", "Equally good", "balance"),
    ("right", "Right is better", "arrow_forward"),
)


selection = model_strip.model_strip(inputs=False, first="tales_gpt")
if not labelling.tells_tales(selection.model):
    st.info(
        f"{escape(selection.model)} does not write tales. Choose a model that does, such as tales\\_gpt or tales\\_ppo."
    )
    address.stop()
file = labelling.labels_file(selection.model)
with st.container(border=True, horizontal=True, vertical_alignment="bottom", gap="small"):
    with st.container(width=220):
        annotator = address.write("Your name", "annotator", help="Kept with each judgement; may be left empty.")
    with st.container(width=140):
        seed = address.number("Seed", 0, 2**31 - 1, "seed", 0, help="Seeds the choice of pairs.")
judged = [kept for kept in read(file) if kept.seed == seed]
pair = labelling.pair_to_judge(selection.model, max((kept.pair for kept in judged), default=-1) + 1, seed)
st.markdown(f"**Order {pair.pair + 1:d}**  \n{escape(pair.prompt)}")
for column, (side, tale) in zip(st.columns(2), (("Left", pair.left), ("Right", pair.right)), strict=True):
    with column.container(border=True):
        st.markdown(f"**{escape(side)}**  \n{escape(tale)}")
with st.container(horizontal=True, gap="small", key="judgement"):
    for chosen, label, icon in BUTTONS:
        st.button(escape(label), icon=f":material/{icon}:", on_click=labelling.judge, args=(pair, chosen, annotator))
st.caption("Which tale fits the order better? The two sides are in random order.")
if judged:
    same, differing = labelling.agreement(judged)
    share = left_share(judged)
    sides = "" if share is None else f" · left chosen in {share:.0%}"
    with_simulated = f" · as the simulated annotator in {same} of {differing}" if differing else ""
    st.markdown(f"{len(judged):,} judged with this seed{escape(sides)}{escape(with_simulated)}")
    st.download_button(
        "JSON lines", file.read_bytes(), file.name, "application/jsonl", icon=":material/download:", on_click="ignore"
    )
model_strip.share_code(
    selection,
    "from workbench.data.text.preferences import read\n"
    "from workbench.experiments.inputs.labelling import labels_file, pair_to_judge\n\n"
    f'pair = pair_to_judge("{selection.model}", pair={pair.pair}, seed={seed})\n'
    f'judged = read(labels_file("{selection.model}"))',
    f"workbench train tales_reward --folder my_reward --set labels={file.name}",
)
