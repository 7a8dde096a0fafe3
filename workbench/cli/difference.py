"""`workbench difference`: what tuning changed in a GPT that tells tales."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workbench.cli.writing import write, write_json, write_table

if TYPE_CHECKING:
    from workbench.analysis.rlhf.restoring import Restoration
    from workbench.experiments.difference import Difference


def show_difference(
    tuned: str,
    original: str = "tales_gpt",
    /,
    *,
    restore: bool = False,
    tales: int = 128,
    rows: int = 12,
    seed: int = 0,
    json: bool = False,
) -> None:
    """Which weights moved, before which tokens, along which directions of the residual stream; and what undoes it.

    Parameters
    ----------
    tuned
        Name of a model that tells tales.
    original
        Name of the model it was tuned from.
    restore
        Put parts back as they were before tuning, one after the other, and see how much true reward returns.
    tales
        Tales written for each condition.
    rows
        Rows of each table.
    seed
        Of the tales.
    json
        Write JSON.
    """
    from workbench.experiments.difference import bring_back, difference, pair_of

    pair = pair_of(tuned, original, seed, tales)
    found = difference(pair)
    tables = {
        f"Weights of {tuned} that moved most from {original}": weight_rows(found, rows),
        f"KL {found.kl.per_token:.3g} nats per token, and before which tokens it is": kl_rows(found, rows),
        "Mean shift of the residual stream on the same tokens": shift_rows(found),
    }
    for kind, back in (bring_back(pair, found.shift) if restore else {}).items():
        title = f"True reward with {kind} restored (tuned {back.tuned.mean():.3g}, original {back.original.mean():.3g})"
        tables[title] = restored_rows(back, rows)
    if json:
        write_json(tables)
        return
    for title, table in tables.items():
        write(f"{title}")
        write_table(table)
        write("")


def weight_rows(found: Difference, n: int) -> list[dict[str, Any]]:
    """The weights that moved most."""
    return [
        {"weight": name, "relative change": relative, "in one direction": top}
        for name, relative, top in found.weights.largest(n)
    ]


def kl_rows(found: Difference, n: int) -> list[dict[str, Any]]:
    """The tokens with the most KL before them."""
    return [
        {"token": repr(found.tokens[token]), "times": count, "mean KL": mean}
        for token, count, mean in found.kl.largest(n)
    ]


def shift_rows(found: Difference) -> list[dict[str, Any]]:
    """One row for each layer."""
    shift = found.shift
    columns = zip(shift.hooks, shift.size.tolist(), shift.share.tolist(), shift.promoted, strict=True)
    return [
        {"hook": hook, "size": size, "along the mean": share, "promotes": " ".join(repr(found.tokens[t]) for t in top)}
        for hook, size, share, top in columns
    ]


def restored_rows(back: Restoration, n: int) -> list[dict[str, Any]]:
    """The parts whose restoring brings most back."""
    means, shares = back.restored.mean(dim=1).tolist(), back.share.tolist()
    table = sorted(zip(back.names, means, shares, strict=True), key=lambda row: -row[2])
    return [{"restored": name, "true reward": mean, "share of the way back": share} for name, mean, share in table[:n]]
