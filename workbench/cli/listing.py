"""`workbench list`: list models, architectures, analyses, recipes, data sets, runs or studies."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, Literal

from workbench.cli.model_table import markdown as table
from workbench.cli.writing import write, write_json, write_table
from workbench.core.errors import InputError

Kind = Literal["models", "architectures", "analyses", "recipes", "datasets", "runs", "studies"]


def show_list(kind: Kind = "models", /, *, json: bool = False, markdown: bool = False) -> None:
    """List trained models, architectures, analyses, recipes, data sets or runs, one per line.

    Args:
        kind: What to list.
        json: Write JSON, with everything that is known of each.
        markdown: Write the models as a table in Markdown: result, target, what others report, minutes of training.
    """
    if markdown:
        if kind != "models":
            raise InputError(
                f"There is a table in Markdown of models alone, not of {kind}. For {kind} there is --json."
            )
        write("\n".join(table()))
        return
    rows = LISTS[kind]()
    if json:
        write_json(rows)
    elif rows:
        write_table([brief(row) for row in rows])
    else:
        write(EMPTY[kind])


def brief(row: dict[str, Any]) -> dict[str, Any]:
    """Keep the values that fit on one line."""
    shown = {"metrics": lambda m: ", ".join(f"{name} {score['value']:.4g}" for name, score in m.items())}
    hidden = ("config", "weights_sha256", "licence", "hardware", "threads", "processes", "dtype", "commit", "seed",
              "spec", "pid", "data", "note", "recipe", "title", "wall_time_seconds", "updated", "parameters_of",
              "targets")  # fmt: skip
    return {name: shown.get(name, lambda v: v)(value) for name, value in row.items() if name not in hidden}


def models() -> list[dict[str, Any]]:
    """Return the card of every trained model."""
    from dataclasses import asdict

    from workbench.checkpoints.card import names, read_card

    return [{"name": name} | asdict(read_card(name)) for name in names()]


def architectures() -> list[dict[str, Any]]:
    """Return every architecture with the first line of its docstring."""
    from workbench.core.registry import MODELS

    return [{"name": n, "family": MODELS[n].family, "about": first_line(MODELS[n])} for n in MODELS]  # type: ignore[attr-defined]


def analyses() -> list[dict[str, Any]]:
    """Return every analysis with its arguments."""
    from workbench.core.registry import ANALYSES
    from workbench.experiments.questions.parameters import signature_of

    def described(name: str) -> dict[str, Any]:
        signature = signature_of(name)
        parameters = [
            {"name": p.name, "type": p.type, "required": p.required, "default": None if p.required else p.default,
             "choices": list(p.choices), "help": p.help}
            for p in signature.parameters.values()
        ]  # fmt: skip
        takes = ", ".join([*signature.injected, *signature.parameters])
        return {"name": name, "takes": takes, "about": first_line(ANALYSES[name]), "parameters_of": parameters}

    return [described(name) for name in ANALYSES]


def recipes() -> list[dict[str, Any]]:
    """Return every recipe with its targets and the state of its model."""
    from workbench.checkpoints.card import names
    from workbench.core.registry import RECIPES

    there = set(names())
    return [
        {"name": name, "title": RECIPES[name].title, "architecture": RECIPES[name].architecture,
         "trained": "yes" if name in there else "no", "targets": dict(RECIPES[name].targets)}
        for name in RECIPES
    ]  # fmt: skip


def datasets() -> list[dict[str, Any]]:
    """Return every data set with the first line of its docstring; none is loaded."""
    from workbench.core.registry import DATASETS

    return [{"name": name, "about": first_line(DATASETS[name])} for name in DATASETS]


def kept_studies() -> list[dict[str, Any]]:
    """Return every study that comes with the workbench, for `workbench pipeline`."""
    from workbench.experiments.pipelines.pipeline import studies

    return [{"name": name, "about": about} for name, about in studies().items()]


def runs() -> list[dict[str, Any]]:
    """Return every run, newest first."""
    from workbench.experiments.store.run_log import RunLog

    return [
        {"key": row["key"], "status": row["status"], "model": row["spec"].get("model"),
         "analysis": row["spec"].get("analysis"), "inputs": row["spec"].get("inputs"),
         "done": f"{row['done']} of {row['total']}", "started": row["started"].isoformat(timespec="seconds"),
         "error": row["error"], "spec": row["spec"], "pid": row["pid"], "updated": row["updated"].isoformat()}
        for row in RunLog().runs().to_dict("records")
    ]  # fmt: skip


def first_line(item: object) -> str:
    """Return the first line of a docstring."""
    return (inspect.getdoc(item) or "").partition("\n")[0]


LISTS: dict[str, Callable[[], list[dict[str, Any]]]] = {
    "models": models, "architectures": architectures, "analyses": analyses, "recipes": recipes,
    "datasets": datasets, "runs": runs, "studies": kept_studies,
}  # fmt: skip
EMPTY = {
    "models": "No model is trained yet. `workbench train digits_mlp` trains the smallest in half a minute.",
    "runs": "Nothing was run yet. `workbench run ANALYSIS --model MODEL` runs something.",
    "architectures": "No architecture is installed.",
    "analyses": "No analysis is installed.",
    "recipes": "No recipe is installed.",
    "datasets": "No data set is installed.",
    "studies": "No study is installed.",
}
