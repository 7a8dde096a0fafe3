"""`workbench train`: train a recipe's model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from workbench.cli.flags import with_limits
from workbench.cli.writing import bar, write, write_json


@with_limits
def train_model(
    recipe: str,
    /,
    *,
    settings: Annotated[list[str] | None, Parameter(name="--set", consume_multiple=True, negative="")] = None,
    folder: Path | None = None,
    seed: int | None = None,
    overwrite: Annotated[bool, Parameter(negative="")] = False,
    json: bool = False,
) -> None:
    """Train a recipe's model and save it with its card and curve; an interrupted training continues.

    `torchrun --standalone --nproc_per_node 2 -m workbench train RECIPE` shares each batch among two processes.

    Args:
        recipe: Name of a recipe; `workbench list recipes` has them.
        settings: Other values, as NAME=VALUE, for the recipe's training or architecture: `--set steps=100 lr=0.01`.
        folder: Where to save; left out, beside the other trained models, under the recipe's name.
        seed: Another seed than the recipe's.
        overwrite: Replace a finished model in the folder, and drop an interrupted training with other settings.
        json: Write the card as JSON.
    """
    from dataclasses import asdict

    from workbench.checkpoints.card import models_folder
    from workbench.core.registry import RECIPES
    from workbench.experiments.pipelines.training_runs import train
    from workbench.experiments.questions.settings import from_words
    from workbench.training.parallel import is_first

    values = from_words(RECIPES[recipe], [*(settings or []), *([] if seed is None else [f"seed={seed}"])])
    with bar(f"training {recipe}", quiet=json or not is_first()) as progress:
        card = train(recipe, values, folder, progress, overwrite)
    if not is_first():
        return
    if json:
        write_json(asdict(card))
        return
    scores = ", ".join(f"{name} {score.value:.4g}" for name, score in card.metrics.items())
    write(f"{folder or models_folder() / recipe}: {card.parameters:,} parameters, {scores}")
