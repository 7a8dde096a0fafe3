"""Change one operator, number or keyword of `core` and `analysis/circuits` at a time and count what the tests notice.

1. Collect every place that an operator of cosmic-ray can change, without annotations, which nothing evaluates.
2. Take the first `size` in the order of their hash, so that a change elsewhere leaves the choice as it is.
3. Run the tests that execute the changed line, nearest file first, until one fails (`tests/campaigns/mutation.py`).

A mutant that no test fails on survives, and is printed with its place and difference. `equivalent.toml` lists those
that cannot be told from the original, each with the reason; they are not counted. Needs the extra `mutation`.
"""

from __future__ import annotations

import ast
import hashlib
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

from tests.bench.harness import Figure
from tests.campaigns.mutation import ROOT, Coverage, Work, executed_by, run_mutants

SIZE = 300
FOLDERS = ("workbench/core", "workbench/analysis/circuits")
TARGET = ">= 0.95"
COMPARISONS = ("Eq_NotEq", "NotEq_Eq", "Lt_LtE", "Lt_GtE", "LtE_Lt", "LtE_Gt", "Gt_GtE", "Gt_LtE", "GtE_Gt", "GtE_Lt")
ARITHMETIC = ("Add_Sub", "Sub_Add", "Mul_Div", "Div_Mul", "FloorDiv_Div", "Mod_FloorDiv", "Pow_Mul")
"""Replacements that still make sense of the operands; others fail at once and would flatter the score."""
OPERATORS = (
    *(f"ReplaceComparisonOperator_{pair}" for pair in (*COMPARISONS, "Is_IsNot", "IsNot_Is")),
    *(f"ReplaceBinaryOperator_{pair}" for pair in (*ARITHMETIC, "BitAnd_BitOr", "BitOr_BitAnd")),
    "ReplaceUnaryOperator_USub_UAdd",
    "ReplaceUnaryOperator_Delete_Not",
    "ReplaceUnaryOperator_Delete_Invert",
    "AddNot",
    "ReplaceTrueWithFalse",
    "ReplaceFalseWithTrue",
    "ReplaceAndWithOr",
    "ReplaceOrWithAnd",
    "ReplaceBreakWithContinue",
    "ReplaceContinueWithBreak",
    "NumberReplacer",
    "RemoveDecorator",
    "ZeroIterationForLoop",
)


@dataclass(frozen=True)
class Mutant:
    """One change of one file: `operator` applied to its `occurrence`-th place, for the `turn`-th time there."""

    file: str
    operator: str
    occurrence: int
    line: int
    column: int
    turn: int

    @property
    def code(self) -> str:
        """The whole file with the change."""
        from cosmic_ray.mutating import mutate_code

        return str(mutate_code(source(self.file), operator_of(self.operator), self.occurrence))

    @property
    def change(self) -> tuple[str, str]:
        """The lines that differ, before and after, without the space around them."""
        before, after = source(self.file).splitlines(), self.code.splitlines()
        head = next((i for i, (a, b) in enumerate(zip(before, after, strict=False)) if a != b), 0)
        tail = next((i for i, (a, b) in enumerate(zip(before[::-1], after[::-1], strict=False)) if a != b), 0)
        kept = min(tail, len(before) - head, len(after) - head)
        return tuple("\n".join(x[head : len(x) - kept]).strip() for x in (before, after))  # type: ignore[return-value]

    @property
    def rank(self) -> str:
        """A hash of the change, by which mutants are drawn; lines above do not move it."""
        line = source(self.file).splitlines()[self.line - 1]
        return hashlib.sha256(f"{self.file} {self.operator} {line} {self.column} {self.turn}".encode()).hexdigest()


@lru_cache
def source(file: str) -> str:
    """The text of a file of the project."""
    return (ROOT / file).read_text(encoding="utf-8")


@lru_cache
def operator_of(name: str) -> Any:
    """The operator of cosmic-ray with that name."""
    import cosmic_ray.plugins

    return cosmic_ray.plugins.get_operator(f"core/{name}")()


def candidates() -> Iterator[Mutant]:
    """Every mutant of the folders, file by file."""
    from cosmic_ray.ast import ast_nodes, get_ast

    for path in sorted(path for folder in FOLDERS for path in (ROOT / folder).glob("*.py")):
        file = str(path.relative_to(ROOT))
        ignored = unevaluated(source(file))
        nodes = list(ast_nodes(get_ast(source(file))))
        for operator in OPERATORS:
            positions = [where for node in nodes for where in operator_of(operator).mutation_positions(node)]
            starts = [tuple(start) for start, _ in positions]
            for occurrence, start in enumerate(starts):
                if not any(first <= start < last for first, last in ignored):
                    yield Mutant(file, operator, occurrence, *start, turn=starts[:occurrence].count(start))


def unevaluated(text: str) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Where annotations and blocks for type checkers stand: first and last line and column of each."""
    found: list[ast.AST | None] = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.arg | ast.AnnAssign):
            found.append(node.annotation)
        elif isinstance(node, ast.FunctionDef):
            found.append(node.returns)
        elif isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            found.append(node)
    places = [node for node in found if node is not None]
    return [((n.lineno, n.col_offset), (n.end_lineno, n.end_col_offset)) for n in places]  # type: ignore[attr-defined]


def equivalents() -> dict[tuple[str, str, str], str]:
    """The reason why a change of a file, before and after, cannot be noticed."""
    listed = tomllib.loads(Path(__file__).with_name("equivalent.toml").read_text(encoding="utf-8"))
    return {(one["file"], one["before"], one["after"]): one["reason"] for one in listed["mutant"]}


def drawn(size: int) -> list[Mutant]:
    """The mutants to try: changed in earnest, not equivalent, the first of the order of their hash."""
    known = equivalents()
    ordered = sorted(candidates(), key=lambda mutant: mutant.rank)
    able = (m for m in ordered if m.change[0] != m.change[1] and (m.file, *m.change) not in known)
    return list(islice(able, size))


def figures(size: int) -> Iterator[Figure]:
    """The share of mutants that the tests notice, and how many were tried."""
    tested = Coverage.measured()
    mutants = drawn(size)
    work = [Work(m.rank, m.file, m.code, executed_by(tested, m.file, source(m.file), m.line)) for m in mutants]
    survived = 0
    for mutant, killed in zip(mutants, run_mutants(work), strict=True):
        if not killed:
            survived += 1
            before, after = mutant.change
            sys.stderr.write(f"survived {mutant.file}:{mutant.line} {mutant.operator}\n- {before}\n+ {after}\n")
            sys.stderr.flush()
    yield Figure("mutants.tried", len(mutants), "mutants")
    yield Figure("mutants.equivalent_listed", len(equivalents()), "mutants")
    yield Figure("mutants.killed", 1 - survived / len(mutants), "share", target=TARGET)
