"""`workbench train`: a recipe's model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from workbench.cli.writing import bar, write, write_json
from workbench.core.errors import InputError


def train_model(
    recipe: str,
    /,
    *,
    settings: Annotated[list[str] | None, Parameter(name="--set", consume_multiple=True, negative="")] = None,
    folder: Path | None = None,
    seed: int | None = None,
    json: bool = False,
) -> None:
    """Trains a recipe's model and saves it with its card and curve; goes on where it was interrupted.

    Parameters
    ----------
    recipe
        Name of a recipe; `workbench list recipes` has them.
    settings
        Other values, as NAME=VALUE, for the recipe's training or architecture: `--set steps=100 lr=0.01`.
    folder
        Where to save; left out, beside the other trained models, under the recipe's name.
    seed
        Another seed than the recipe's.
    json
        Write the card as JSON.
    """
    from dataclasses import asdict, replace

    from workbench.checkpoints.card import models_folder
    from workbench.core.registry import RECIPES
    from workbench.experiments.settings import from_words
    from workbench.recipes.recipe import make

    plain = RECIPES[recipe]
    values = from_words(plain, settings or []) | ({} if seed is None else {"seed": seed})
    # One seed for everything: that of the training algorithm is set with the recipe's.
    chosen = replace(plain.with_settings(values), seed=values.get("seed", plain.seed))
    if chosen != plain and folder is None:
        raise InputError(
            f"With these settings it is another model than {recipe}, which would be written over. "
            f"Say where to save it: --folder {models_folder() / f'{recipe}_2'}"
        )
    with bar(f"training {recipe}", quiet=json) as progress:
        card = make(chosen, folder, progress)
    if json:
        write_json(asdict(card))
        return
    scores = ", ".join(f"{name} {score.value:.4g}" for name, score in card.metrics.items())
    write(f"{folder or models_folder() / recipe}: {card.parameters:,} parameters, {scores}")
