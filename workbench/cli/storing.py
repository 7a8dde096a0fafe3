"""`workbench store`: check, repair and clean the folder of results."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Literal

from workbench.cli.writing import write, write_json, write_table

if TYPE_CHECKING:
    from workbench.experiments.store.results import ResultStore
    from workbench.experiments.store.upkeep import Finding

FOUND, NOT_DONE = 1, 1


def keep_store(
    action: Literal["check", "repair", "clean"], /, *, yes: bool = False, superseded: bool = False, json: bool = False
) -> int:
    """Check the folder of results, make its catalog agree with its files, or delete what is no longer needed.

    Args:
        action: `check` lists what is damaged, orphaned or left over and changes nothing; its exit code is 1 when
            something is damaged. `repair` makes a catalog that agrees with the files. `clean` lists what can go, and
            deletes exactly that once it is confirmed.
        yes: Delete without asking.
        superseded: Let `check` and `clean` find results that a newer answer to the same question has replaced, too.
        json: Write JSON; `clean` then deletes nothing without `--yes`.
    """
    from workbench.experiments.store.results import ResultStore

    store = ResultStore()
    if action == "check":
        return check_store(store, superseded, json)
    if action == "repair":
        return repair_store(store, json)
    return clean_store(store, yes, superseded, json)


def check_store(store: ResultStore, superseded: bool, json: bool) -> int:
    """Print the defects of a store and its size."""
    from workbench.experiments.store.upkeep import REPAIRED, check, result_files, size_of

    found = check(store, superseded)
    files = result_files(store.folder)
    size = sum(map(size_of, files))
    if json:
        write_json({"folder": str(store.folder), "files": len(files), "bytes": size, "findings": finding_rows(found)})
    else:
        write(f"{store.folder}: result files: {len(files):,}, together {megabytes(size)}")
        write_table(rows(found))
        write("Nothing is damaged, orphaned or left over." if not found else next_steps(found))
    return FOUND if any(finding.kind in REPAIRED for finding in found) else 0


def repair_store(store: ResultStore, json: bool) -> int:
    """Make the catalog agree with the files."""
    from workbench.experiments.store.upkeep import repair

    done = repair(store)
    if json:
        write_json({"folder": str(store.folder), "repaired": finding_rows(done)})
        return 0
    write_table(rows(done))
    write(f"Repaired in {store.folder}: {len(done)}." if done else f"Nothing to repair in {store.folder}.")
    return 0


def clean_store(store: ResultStore, yes: bool, superseded: bool, json: bool) -> int:
    """Delete what is no longer needed, after listing it and a confirmation."""
    from workbench.experiments.store.upkeep import CLEANED, check, clean

    found = [finding for finding in check(store, superseded) if finding.kind in CLEANED]
    if not json:
        write_table(rows(found))
    if not found:
        write_json({"deleted": [], "bytes": 0}) if json else write(f"Nothing to clean in {store.folder}.")
        return 0
    if not (yes or (not json and confirm(f"Delete all of these ({len(found)}) from {store.folder}?"))):
        write_json({"deleted": [], "bytes": 0, "found": finding_rows(found)}) if json else write(
            "Nothing was deleted. Add --yes to delete what is listed."
        )
        return NOT_DONE
    given_back = clean(store, found)
    if json:
        write_json({"deleted": finding_rows(found), "bytes": given_back})
    else:
        write(f"Deleted: {len(found)}. Given back: {megabytes(given_back)}.")
    return 0


def confirm(question: str) -> bool:
    """Ask a person at a terminal for confirmation."""
    if not sys.stdin.isatty():
        return False
    sys.stdout.write(f"{question} [y/N] ")
    sys.stdout.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def rows(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """Return one line for each finding."""
    return [{"found": f.kind, "what": f.name, "bytes": f.bytes, "remedy": f.remedy} for f in findings]


def finding_rows(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """Return findings as JSON."""
    return [asdict(f) | {"owner": f.owner and f.owner.pid, "remedy": f.remedy} for f in findings]


def next_steps(findings: Sequence[Finding]) -> str:
    """Return the commands that remove the findings."""
    commands = {action for finding in findings for action in finding.remedy.split(" or ")}
    steps = {"repair": "makes the catalog agree with the files", "clean": "deletes what is of no use, after asking"}
    return "\n".join(f"`workbench store {action}` {does}." for action, does in steps.items() if action in commands)


def megabytes(size: int) -> str:
    """Write a number of bytes in MB."""
    return f"{size / 1e6:.1f} MB"
