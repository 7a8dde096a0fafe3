"""Training: train a recipe, check it, search its settings, compare runs."""

import streamlit as st

from app.state import address, jobs
from app.text.errors import explain
from app.text.escaping import escape
from app.widgets import result_view, training_panel
from workbench.checkpoints.card import names
from workbench.checkpoints.writing import require_free
from workbench.core.registry import RECIPES
from workbench.experiments.pipelines.checking import check
from workbench.experiments.pipelines.comparison import comparisons, kept_at, read_comparison, read_plan
from workbench.experiments.pipelines.search import open_study, ranges_from, searches
from workbench.experiments.pipelines.training_runs import curve_so_far
from workbench.experiments.questions.settings import from_words
from workbench.experiments.store.dependencies import current_key
from workbench.figures.search import describe_best, draw_search
from workbench.training.check import TrainingCheck

SETTINGS_HELP = "NAME=VALUE, separated by spaces: `steps=500 lr=0.01 hidden=32,32`"
RANGES_HELP = "NAME=LOW..HIGH, with `,log` for a logarithmic scale, or NAME=THIS|THAT, separated by spaces"
EVERY, CHECKABLE = training_panel.recipes()


def checked(recipe: str, settings: str, steps: int) -> TrainingCheck | None:
    """Return the check of a recipe, kept until its data set changes, or show progress and return None."""
    given = from_words(RECIPES[recipe], settings.split())
    key = f"check {recipe} {settings} {steps} {current_key((), data=[RECIPES[recipe].train.dataset])}"
    return jobs.result(key, f"check of {recipe}", lambda report: check(recipe, given, steps, report), "check")


def write_settings(label: str, recipe: str, usual: str) -> str:
    """Draw the field of a recipe's settings, and say at once what the recipe does not have."""
    text = address.write(escape(label), "set", usual, help=SETTINGS_HELP)
    with explain():
        training_panel.checked_words(recipe, text)
    return text


def train() -> None:
    """Train a recipe with changed settings and plot the curve while it runs."""
    recipe = address.choose("Recipe", EVERY, "r", "digits_mlp")
    settings = write_settings("Settings", recipe, "steps=1000")
    name = address.write("Name of the new model", "name", f"{recipe}_2")
    with st.expander("Every setting of this recipe", icon=":material/tune:"):
        st.dataframe(training_panel.settings_table(recipe), hide_index=True, alt=f"The settings of {recipe}")
    folder = training_panel.folder_of(name)
    state = training_panel.state_of("train", str(folder.resolve()))

    def command() -> list[str]:
        require_free(folder)
        return ["train", recipe, "--folder", str(folder), "--set", *training_panel.checked_words(recipe, settings)]

    def show() -> None:
        curve = curve_so_far(folder)
        if curve is not None and curve.step:
            result_view.show_curve(curve, f"live {name}")
        elif name in names():
            address.page_link("model", f"Open {escape(name)}", "arrow_forward", {"m": name})

    training_panel.start("Train", state, command)
    training_panel.watch("train", str(folder.resolve()), show)


def look() -> None:
    """Check that a recipe overfits one batch, and show gradients and activations by layer."""
    recipe = address.choose("Recipe", CHECKABLE, "r", "digits_mlp")
    settings = address.write("Settings", "set", "", help=SETTINGS_HELP)
    steps = address.number("Steps on one batch", 1, 1000, "steps", 100)
    found = checked(recipe, settings, steps)
    if found is None:
        return
    result_view.show(found, f"check {recipe}")
    result_view.data_table(found, f"Each parameter of {recipe} before training", f"check {recipe}")
    st.dataframe(
        [vars(hook) for hook in found.hooks],
        hide_index=True,
        alt=f"Activations of {recipe} before training",
    )


def search() -> None:
    """Search better settings with Optuna."""
    recipe = address.choose("Recipe", CHECKABLE, "r", "digits_mlp")
    check_ranges = lambda text: ranges_from(RECIPES[recipe], text.split())
    usual = "lr=1e-4..1e-1,log batch_size=16..256,log"
    ranges = address.write("Ranges", "ranges", usual, help=RANGES_HELP)
    with explain():
        check_ranges(ranges)
    settings = write_settings("Fixed settings", recipe, "steps=200 evaluate_every=0")
    trials = address.number("Trials to add", 1, 500, "trials", 10)
    name = address.write("Name of the search", "name", recipe)
    st.caption("Evaluated on a held-out tenth of the training set; the test set is not used.")

    def command() -> list[str]:
        check_ranges(ranges)
        fixed = training_panel.checked_words(recipe, settings)
        return ["search", recipe, *ranges.split(), "--trials", str(trials), "--name", name, "--set", *fixed]

    def show() -> None:
        if name not in searches():
            st.info("No trial yet.")
            return
        study = open_study(name)
        st.markdown(escape(describe_best(study)))
        for title, picture in draw_search(study).items():
            st.subheader(escape(title), anchor=False)
            result_view.plot(picture, f"{title} {name}", f"{title} of the search {name}. {describe_best(study)}")
        st.dataframe(
            study.trials_dataframe(attrs=("number", "value", "params", "state")), hide_index=True, alt="Trials"
        )

    training_panel.start("Search", training_panel.state_of("search", name), command)
    training_panel.watch("search", name, show)


def compare() -> None:
    """Compare several settings."""
    known = comparisons()
    name = address.choose("Comparison", list(known), "comparison")
    st.markdown(escape(known[name]))
    path = kept_at(read_plan(name))

    def show() -> None:
        if path.is_file():
            result = read_comparison(path)
            result_view.show(result, f"comparison {name}")
            result_view.data_table(result, known[name], f"comparison {name}")

    training_panel.start("Train what is missing", training_panel.state_of("compare", name), lambda: ["compare", name])
    training_panel.watch("compare", name, show)


WAYS = {"Train": train, "Check": look, "Search": search, "Compare": compare}
way = address.pick("Task", list(WAYS), "do")
with explain():
    WAYS[way]()
