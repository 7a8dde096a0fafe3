"""`workbench show`: show a trained model or a stored result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from workbench.cli.writing import cell, write, write_json, write_table

if TYPE_CHECKING:
    from workbench.experiments.store.results import ResultStore, Stored


def show(name: str, /, *, json: bool = False) -> None:
    """Show the card, hooks and graph of a trained model, or the facts behind a stored result.

    Args:
        name: Name of a trained model (`workbench list models` has them), or the key of a result, or how it begins
            (`workbench list runs`).
        json: Write JSON.
    """
    from workbench.checkpoints.card import names
    from workbench.experiments.store.results import ResultStore

    if name not in names():
        store = ResultStore()
        if any(stored.key.startswith(name) for stored in store.entries()):
            show_result(name, store, json)
            return
    show_model(name, json)


def show_result(start: str, store: ResultStore, json: bool) -> None:
    """Print the question of a stored result, its facts, and the reasons why it would be computed again."""
    from workbench.experiments.questions.spec import Spec
    from workbench.experiments.run import full_key
    from workbench.experiments.store.changes import differences

    stored = next(one for one in store.entries() if one.key == full_key(start, store))
    answers = store.answers_to(stored.spec)
    at = [one.key for one in answers].index(stored.key)
    earlier, later = answers[at + 1 :], answers[:at]
    today, past = not_used_today(stored), [(one, list(differences(one.facts, stored.facts))) for one in earlier]
    if json:
        before = [{"key": one.key, "because": because} for one, because in past]
        write_json(asdict(stored) | {"today": today, "earlier": before, "later": [one.key for one in later]})
        return
    write(f"{stored.key}: {stored.result}, {stored.bytes:,} bytes\n{Spec(**stored.spec).as_command()}")
    write_lines("Computed", stored.provenance)
    unknown = {"unknown": "the version that stored it did not record this"}
    write_lines("Depends on", facts_in_lines(stored.facts) if stored.facts else unknown)
    write(f"\nAsked now, it is not used: {'; '.join(today)}." if today else "\nAsked now, this is the answer.")
    for one, because in past:
        write(f"Before it, {one.key[:8]} ({one.provenance.get('time', '')}) was not used: {'; '.join(because)}.")
    for one in later:
        write(f"A later answer to the same question: {one.key[:8]} ({one.provenance.get('time', '')}).")


def not_used_today(stored: Stored) -> list[str]:
    """List the changes that would cause a stored result to be computed again; empty if there are none."""
    from workbench.core.errors import WorkbenchError
    from workbench.experiments.questions.spec import Spec
    from workbench.experiments.store.changes import differences

    try:
        spec = Spec(**stored.spec)
        return [] if spec.key == stored.key else list(differences(stored.facts, spec.facts))
    except (WorkbenchError, TypeError) as error:
        return [f"it cannot be asked ({error})"]


def facts_in_lines(facts: Mapping[str, Any]) -> dict[str, str]:
    """Return the facts behind an answer, one per line; digests of modules are only counted."""
    lines = {f"function of the {name}": value for name, value in facts["functions"].items() if value}
    for model, about in facts["models"].items():
        config = ", ".join(f"{name}={value}" for name, value in about["config"].items())
        lines[f"model {model}"] = f"{about['architecture']}({config})"
        lines |= {f"{part} of {model}": about[part] for part in ("weights", "step", "tokenizer") if about.get(part)}
    lines |= {f"data {name}": value for name, value in facts["data"].items()}
    lines |= {f"environment {name}": str(value) for name, value in facts["environment"].items()}
    lines |= {f"value of {name}": value for name, value in facts.get("values", {}).items()}
    return lines | {"code": f"{len(facts['code'])} modules, listed by --json"} | dict(facts["versions"])


def write_lines(title: str, values: Mapping[str, Any]) -> None:
    """Print names and values below a title, uncut."""
    write(f"\n{title}")
    for name, value in values.items():
        write(f"  {name}: {value}")


def show_model(model: str, json: bool = False) -> None:
    """Return the card of a trained model, its hooks with their axes and shapes, and the size of its graph."""
    from workbench.checkpoints.card import split_step
    from workbench.checkpoints.store import load

    loaded: Any = load(model)
    hooks = [
        {"hook": info.name, "axes": " ".join(info.axes), "shape": list(info.shape), "stage": info.stage}
        for info in loaded.trace(loaded.example()).values()
    ]
    card, graph = asdict(loaded.card), graph_size(loaded)
    if json:
        write_json({"name": model, "card": card, "hooks": hooks, "graph": graph})
        return
    about = (loaded.card.title or loaded.card.architecture, loaded.card.note)
    write(f"{model}: {'. '.join(filter(None, about))}\n")
    if (finished := split_step(model)[0]) != model:
        write(f"The card and its metrics are those of the finished network {finished}.\n")
    write_table([{"": name, " ": cell(value)} for name, value in describe_card(card).items()])
    write("\nHooks, for two example inputs")
    write_table(hooks)
    write(f"\nGraph: {graph['nodes']:,} nodes, {graph['edges']:,} edges" if graph else "\nNo computation graph")


def describe_card(card: dict[str, Any]) -> dict[str, Any]:
    """Return a card with one value per line."""
    elsewhere = ("config", "metrics", "note", "title", "settings")
    config = {f"config.{name}": v for name, v in card["config"].items()}
    metrics = {name: format_score(score) for name, score in card["metrics"].items()}
    plain = {name: v for name, v in card.items() if v not in ("", {}) and name not in elsewhere}
    unrecorded = {} if card["recipe"] == ADDED else {"not recorded": UNRECORDED}
    settings = card["settings"] or unrecorded
    return plain | metrics | config | {"data": card["data"]["name"]} | settings


ADDED = "added"
"""In place of a recipe on the card of a network that was not trained here."""
UNRECORDED = "settings of training and task, versions, code (older card)"


def format_score(score: dict[str, Any]) -> str:
    """Write a metric with its 95 % interval and its number of samples."""
    interval = score["interval"]
    between = "" if interval is None else f", 95 % interval {interval[0]:.4g} to {interval[1]:.4g}"
    return f"{score['value']:.4g} (n = {score['n']}{between})"


def graph_size(model: Any) -> dict[str, int] | None:
    """Return the numbers of nodes, ports and edges; None for a model without a graph."""
    from workbench.core.errors import ConfigError

    try:
        graph = model.graph()
    except ConfigError:
        return None
    return {
        "nodes": sum(graph.size[hook] for hook in graph.nodes),
        "ports": sum(graph.size[hook] for hook in graph.ports),
        "edges": graph.n_edges,
    }
