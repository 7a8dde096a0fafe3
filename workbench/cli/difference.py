"""`workbench difference`: compare tuned GPTs with their original."""

from __future__ import annotations

from workbench.cli.flags import with_limits
from workbench.cli.writing import bar, write, write_json, write_table
from workbench.core.ranges import PositiveInt, Seed


@with_limits
def show_difference(
    *tuned: str,
    original: str = "",
    restore: bool = False,
    examples: PositiveInt = 64,
    rows: PositiveInt = 12,
    seed: Seed = 0,
    json: bool = False,
) -> None:
    """Show the weights, tokens and directions of the residual stream that tuning changed, and the parts that undo it.

    Args:
        tuned: Names of models that tell tales or answer questions, all tuned from one; they are shown side by side.
        original: Name of the model they were tuned from, where it is another one than their recipes say.
        restore: Put parts back as they were before tuning, one after the other, and see how much of what it was worth
            returns.
        examples: Tales written, or questions answered, for each condition.
        rows: Rows of each table.
        seed: Of the tales, or of which questions.
        json: Write JSON.
    """
    from workbench.experiments.difference import trace

    with bar("comparing", quiet=json) as progress:
        found = trace(tuned, original, examples, seed, restore, progress)
    tables = found.tables(rows)
    if json:
        write_json(tables)
        return
    for title, table in tables.items():
        write(title)
        write_table(table)
        write("")
