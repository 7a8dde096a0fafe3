"""Table of trained models for the README, made from cards and recipes."""

from __future__ import annotations

HEAD = ("model", "what", "data", "parameters", "result", "target", "published", "minutes")
RIGHT = ("parameters", "minutes")


def markdown() -> list[str]:
    """Return the lines of the table: a head, and a line for each trained model."""
    from workbench.checkpoints.card import names

    rule = ["---:" if name in RIGHT else "---" for name in HEAD]
    return [line(HEAD), f"|{'|'.join(rule)}|", *map(row, names())]


def row(name: str) -> str:
    """Return a model's line: name, data, size, results, targets, published results and minutes of training."""
    from workbench.checkpoints.card import read_card
    from workbench.core.registry import RECIPES

    card = read_card(name)
    known = card.recipe in RECIPES
    recipe = RECIPES[card.recipe] if known else None
    targets = recipe.targets if recipe else {}
    results = [
        f"{metric.replace('_', ' ')} {card.metrics[metric].value:.4g} (n = {card.metrics[metric].n:,})"
        for metric in targets or card.metrics
        if metric in card.metrics
    ]
    bounds = [
        f"{'<=' if metric.endswith(('loss', 'error', 'distance')) else '>='} {bound:g}"
        for metric, bound in targets.items()
    ]
    published = (recipe.published if recipe else "") or "-"
    taken = max(0.1, card.wall_time_seconds / 60)
    minutes = f"{taken:.2g}" if taken < 10 else f"{taken:.0f}"
    about = (f"`{name}`", card.title or card.architecture, card.data.name, f"{card.parameters:,}")
    return line((*about, "; ".join(results), "; ".join(bounds) or "-", published, minutes))


def line(cells: tuple[str, ...]) -> str:
    """Join cells to a line of a Markdown table."""
    return f"| {' | '.join(cells)} |"
