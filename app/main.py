"""The dashboard's pages and the way between them: a title first, the heavy libraries after it, then the page."""

from dataclasses import dataclass

import streamlit as st

from app import style
from app.state import access, address, jobs
from app.text.errors import explained
from app.text.escaping import escape


@dataclass(frozen=True)
class View:
    """A page: its name in the address, its title and symbol, and the sentence under the title."""

    name: str
    title: str
    icon: str
    lead: str
    light: bool = False


VIEWS = (
    View("home", "Home", "home", "Which parts of a small network do what, and how do we know?", light=True),
    View("model", "Model", "schema", "What it is made of, what it was trained on and how good it is."),
    View("activations", "Activations", "grid_view", "One input on its way through the network."),
    View(
        "patch",
        "Ablate & patch",
        "content_cut",
        "Remove a part, or copy it from another input: what changes?",
    ),
    View("gallery", "Gallery", "imagesmode", "What each unit likes best: optimised inputs beside natural ones."),
    View("traversal", "Traversal", "swipe", "A unit, or a latent, moved over its range: what comes of it further on?"),
    View("episodes", "Episodes", "sports_esports", "A policy at work, step by step: what it sees, expects and does."),
    View("policy", "Policy", "explore", "What its parts are worth in play, what it would do elsewhere, what it knows."),
    View("circuit", "Circuit", "hub", "The edges that carry a behaviour, and how faithful they are to the network."),
    View(
        "training", "Training", "model_training", "Train a network, look before you do, and find what trains it best."
    ),
    View(
        "difference",
        "Difference",
        "difference",
        "What tuning changed: weights, words, directions; and which parts put back undo it.",
    ),
    View("preferences", "Preferences", "thumbs_up_down", "Two tales told to one order: say which is better."),
    View("runs", "Runs", "history", "What was computed here, on the command line or by a script.", light=True),
)

st.set_page_config("Interpretability workbench", page_icon=str(style.ICON), layout="wide")
pages = {
    st.Page(
        f"views/{view.name}.py",
        title=view.title,
        icon=f":material/{view.icon}:",
        url_path=None if view.name == "home" else view.name,
        default=view.name == "home",
    ): view
    for view in VIEWS
}
page = st.navigation(list(pages), position="top")
access.require()
view = pages[page]
style.apply()
st.title("Interpretability workbench" if view.name == "home" else escape(view.title), anchor=False)
st.caption(escape(view.lead))
if address.begin(view.name):
    jobs.leave_page()
complete = False
with explained():
    if view.light:
        jobs.warm_up()
    else:
        jobs.wait_for_library()
    page.run()
    complete = True
address.finish(complete)
