"""`workbench run` and `workbench pipeline`: run one analysis, or all analyses that a file lists."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from workbench.cli.flags import Allow, with_limits
from workbench.cli.writing import bar, write, write_json, write_table

if TYPE_CHECKING:
    from workbench.experiments.pipelines.pipeline import Outcome
    from workbench.experiments.questions.parameters import Signature
    from workbench.experiments.questions.spec import Spec

SHOWN = 12
"""Rows of a result that are printed."""
HELP = ("--help", "-h")
Token = Annotated[str, Parameter(allow_leading_hyphen=True)]


def run_one(analysis: Token = "", /, *tokens: Token) -> int:
    """Run one analysis of one model; its flags follow from its signature."""
    from workbench.cli import command_line, run_command
    from workbench.core.registry import ANALYSES
    from workbench.experiments.questions.docstrings import description
    from workbench.experiments.questions.parameters import signature_of

    if not analysis or analysis in HELP:
        write("Usage: workbench run ANALYSIS --model MODEL [OPTIONS]\n")
        write_table([{"analysis": n, "": (inspect.getdoc(ANALYSES[n]) or "").partition("\n")[0]} for n in ANALYSES])
        write("\n`workbench run ANALYSIS --help` lists the flags of one.")
        return 0
    signature = signature_of(analysis)
    app = command_line(f"workbench run {analysis}", description(ANALYSES[analysis]))
    app.default(build_command(signature))
    return run_command(app, tokens)


def build_command(signature: Signature) -> Callable[..., int]:
    """Build the command for one analysis: a function with a keyword for each flag."""

    def ask(**flags: Any) -> int:
        from workbench.experiments.questions.spec import Spec
        from workbench.experiments.questions.spelling import from_text

        given = {name: value for name, value in flags.items() if name in signature.parameters and value is not None}
        texts = {name: value for name, value in given.items() if isinstance(value, str)}
        own = {n: flags[n] for n in ("model", "inputs", "corrupted", "metric") if flags.get(n) is not None}
        if "seed" in flags:
            own["seed"] = from_text(int, flags["seed"])
        spec = Spec(analysis=signature.analysis, parameters=given | signature.parse(texts), **own)
        return answer(spec.complete(), flags.get("output"), flags.get("json", False))

    keywords = [*own_flags(signature), *(flag(p) for p in signature.parameters.values()), *OUTPUT]
    ask.__signature__ = inspect.Signature(sorted(keywords, key=lambda k: k.default is not k.empty))  # type: ignore[attr-defined]
    ask.__annotations__ = {keyword.name: keyword.annotation for keyword in keywords}
    ask.__doc__ = None  # the analysis says what it does
    return ask


def keyword(name: str, kind: Any, help_text: str, default: Any) -> inspect.Parameter:
    """Build one flag; a default of `inspect.Parameter.empty` makes it required."""
    annotation = Annotated[kind, Parameter(help=help_text, show_default=default not in (None, False))]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


OUTPUT = (
    inspect.Parameter(
        "output", inspect.Parameter.KEYWORD_ONLY, default=None,
        annotation=Annotated[
            Path | None, Parameter(name=["--output", "-o"], help="File for the result: .csv, .json, .parquet or .html.")
        ],
    ),
    keyword("json", bool, "Write the result as JSON.", False),
    inspect.Parameter("allow", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Allow),
)  # fmt: skip


def own_flags(signature: Signature) -> list[inspect.Parameter]:
    """Build the flags that are not parameters of the analysis."""
    from workbench.core.metrics import METRICS

    usual = "Left out: the model's usual ones."
    about = {
        "model": ("Name of a trained model.", str, inspect.Parameter.empty),
        "inputs": (
            f"test:0:16, text:PROMPT, rollout:SEED:N, sample:SEED:N, file:PATH, rows:PATH.csv. {usual}",
            str | None,
            None,
        ),
        "corrupted": (f"Inputs to compare with, as many as the others. {usual}", str | None, None),
        "metric": (f"What is measured: {', '.join(METRICS)}. {usual}", str | None, None),
        "seed": ("Seed of all that is random.", str, "0"),
    }
    takes = {"model", *signature.injected} | ({"corrupted"} if "metric" in signature.injected else set())
    return [keyword(name, kind, text, default) for name, (text, kind, default) in about.items() if name in takes]


def flag(parameter: Any) -> inspect.Parameter:
    """Build the flag of a parameter: a switch, or a text that is read as the parameter's type."""
    from workbench.experiments.questions.spelling import in_text

    if parameter.annotation is bool:
        return keyword(parameter.name, bool | None, parameter.help, parameter.default if parameter.required else None)
    notes = [] if parameter.annotation in (str, str | None) else [parameter.type]
    if not parameter.required and parameter.default not in (None, "", ()):
        notes.append(f"default: {in_text(parameter.annotation, parameter.default)}")
    text = " ".join([parameter.help, *(f"[{note}]" for note in notes)])
    if parameter.required:
        return keyword(parameter.name, str, text, parameter.default)
    return keyword(parameter.name, str | None, text, None)


def answer(spec: Spec, output: Path | None, json: bool) -> int:
    """Run a specification and print its finding, its strongest parts or first rows, and its key."""
    from workbench.experiments import run
    from workbench.experiments.store.export import as_json, export, format_of
    from workbench.experiments.store.results import ResultStore
    from workbench.figures.ranking import ranking
    from workbench.figures.table import table

    store = ResultStore()
    if output is not None:
        format_of(output)  # a file name that says nothing is refused before the work, not after
    with bar(f"{spec.analysis} of {spec.model}", quiet=json) as progress:
        found = run.answer(spec, progress, store)
    key, rows = found.key, table(found.result)
    if output is not None:
        export(key, format_of(output), output, store)
    if json:
        sys.stdout.write(as_json(key, rows, store, {"computed": found.computed, "because": list(found.because)}))
        return 0
    write(f"{finding(found.result)}\n")
    first = ranking(found.result)
    write_table((rows.head(SHOWN) if first is None else first).to_dict("records"))
    if len(rows) > SHOWN:
        write(f"... {len(rows):,} rows in all: workbench export {key[:8]} --to csv")
    contrast = " against ".join(filter(None, (spec.inputs, spec.corrupted)))
    subject = " ".join([spec.analysis, "of", spec.model, *(["on", contrast] if contrast else [])])
    measured = f" by {spec.metric}" if spec.metric else ""
    write(f"\n{subject}{measured}: {'computed' if found.computed else 'stored before'}, key {key}")
    if found.because:
        write(f"The stored answer was not used: {'; '.join(found.because)}.")
    return 0


def finding(result: Any) -> str:
    """Return the finding of a result, one clause per line."""
    from workbench.figures.alt import describe

    return describe(result).replace("; ", "\n")


@with_limits
def run_file(file: Path, /, *, json: bool = False, dry_run: bool = False) -> int:
    """Run every question of a pipeline file; stored answers are kept, so an interrupted pipeline continues.

    Args:
        file: TOML: [defaults], [[runs]] and [runs.grid] with lists of values. Or the name of a study that comes with
            the workbench: `workbench list studies` has them.
        json: Write what became of each question as JSON.
        dry_run: Only check the file and list its questions.
    """
    from workbench.experiments.pipelines.pipeline import read_pipeline, run_pipeline

    specs = read_pipeline(file)
    if dry_run:
        plans = [{"key": spec.key, "command": spec.as_command()} for spec in specs]
        write_json(plans) if json else write("\n".join(plan["command"] for plan in plans))
        return 0
    with bar("pipeline", quiet=json) as progress:
        finished: list[Outcome] = []

        def tell(outcome: Outcome) -> None:
            finished.append(outcome)
            progress(len(finished), len(specs))

        summary = run_pipeline(specs, finished=tell)
    if json:
        write_json(summary.rows())
    else:
        write_table([brief(outcome) for outcome in summary.outcomes])
        for outcome in summary.failed:
            write(f"\nfailed: {outcome.spec.as_command()}\n  {outcome.error}")
        write(f"\n{len(summary.outcomes)} questions, {len(summary.failed)} without an answer")
    return 1 if summary.failed else 0


def brief(outcome: Outcome) -> dict[str, Any]:
    """Return one line about a question."""
    spec = outcome.spec
    parameters = " ".join(f"{name}={value}" for name, value in spec.parameters.items() if value is not None)
    return {"key": outcome.key[:8], "status": outcome.status, "seconds": outcome.seconds, "analysis": spec.analysis,
            "model": spec.model, "seed": spec.seed, "parameters": parameters}  # fmt: skip
