"""`workbench show`: one trained model."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from workbench.cli.writing import cell, write, write_json, write_table


def show_model(model: str, /, *, json: bool = False) -> None:
    """The card of a trained model, its hooks with their axes and shapes, and the size of its graph.

    Parameters
    ----------
    model
        Name of a trained model; `workbench list models` has them.
    json
        Write JSON.
    """
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
    write_table([{"": name, " ": cell(value)} for name, value in described(card).items()])
    write("\nHooks, for two example inputs")
    write_table(hooks)
    write(f"\nGraph: {graph['nodes']:,} nodes, {graph['edges']:,} edges" if graph else "\nNo computation graph")


def described(card: dict[str, Any]) -> dict[str, Any]:
    """A card with one value per line."""
    elsewhere = ("config", "metrics", "note", "title")
    config = {f"config.{name}": v for name, v in card["config"].items()}
    metrics = {name: f"{score['value']:.4g} (n = {score['n']})" for name, score in card["metrics"].items()}
    plain = {name: v for name, v in card.items() if v not in ("", {}) and name not in elsewhere}
    return plain | metrics | config | {"data": card["data"]["name"]}


def graph_size(model: Any) -> dict[str, int] | None:
    """Numbers of nodes, ports and edges; None for a model without a graph."""
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
