"""`workbench check`: test that a recipe can learn."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from cyclopts import Parameter

from workbench.cli.flags import with_limits
from workbench.cli.writing import bar, write, write_json, write_table
from workbench.core.ranges import PositiveInt

FAILS = 1


@with_limits
def check_recipe(
    recipe: str,
    /,
    *,
    settings: Annotated[list[str] | None, Parameter(name="--set", consume_multiple=True, negative="")] = None,
    steps: PositiveInt = 100,
    json: bool = False,
) -> int:
    """Overfit one batch and measure each layer's gradient and activations before training; exit code 1 if it fails.

    Args:
        recipe: Name of a recipe; `workbench list recipes` has them.
        settings: Other values, as NAME=VALUE: `--set weights=naive lr=0.01`.
        steps: Updates on the one batch.
        json: Write JSON.
    """
    from workbench.core.registry import RECIPES
    from workbench.experiments.pipelines.checking import check
    from workbench.experiments.questions.settings import from_words
    from workbench.figures.alt import describe
    from workbench.training.comparison import replace_infinite

    with bar(f"checking {recipe}", quiet=json) as progress:
        found = check(recipe, from_words(RECIPES[recipe], settings or []), steps, progress)
    if json:
        write_json(replace_infinite(asdict(found)) | {"learned": found.learned, "idle": found.idle})
    else:
        write(f"{describe(found)}\n")
        write_table([asdict(weight) for weight in found.weights])
        write("")
        write_table([asdict(hook) for hook in found.hooks])
    return 0 if found.learned and not found.idle else FAILS
