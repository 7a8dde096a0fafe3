"""Command lines, valid, with mistakes, and with foreign arguments."""

from __future__ import annotations

from pathlib import Path
from random import Random

from tests.fuzz.files import comparison, pipeline
from tests.fuzz.questions import question, setting
from tests.fuzz.words import mutate, number, pick, spoil, text
from workbench.checkpoints.card import names
from workbench.cli import COMMANDS
from workbench.experiments.store.results import ResultStore

FAST = ("digits_mlp", "induction_gpt", "modular_addition_gpt", "cartpole_dqn", "cartpole_ppo", "cliffwalking_q",
        "dates_encoder_decoder")  # fmt: skip
"""Recipes whose data is made in code; a valid training of them is stopped at its first report."""


def command(rng: Random, models: tuple[str, ...], folder: Path) -> list[str]:
    """The tokens of one command line, all of whose files lie in `folder`."""
    name = pick(rng, *COMMANDS, "run", "run", "run", "run", "pipeline", "train", "check")
    tokens = {
        "run": asked, "pipeline": questions_of_a_file, "train": trained, "check": trained, "search": searched,
        "export": exported, "compare": compared, "evaluate": misnamed, "app": opened, "difference": measured,
    }.get(name, plain)(rng, models, folder)  # fmt: skip
    tokens = [name, *tokens]
    if rng.random() < 0.1:
        tokens.insert(rng.randrange(len(tokens) + 1), pick(rng, text(rng), f"--{text(rng)}", "--json", "--help"))
    if rng.random() < 0.05:
        tokens[0] = mutate(rng, name)
    return tokens


def flag(rng: Random, name: str, value: str) -> list[str]:
    """A flag in one of its two forms."""
    name = name.replace("_", "-")
    if value in ("true", "false") and rng.random() < 0.8:
        return [f"--{name}" if value == "true" else f"--no-{name}"]
    return [f"--{name}={value}"] if rng.random() < 0.5 else [f"--{name}", value]


def asked(rng: Random, models: tuple[str, ...], folder: Path) -> list[str]:
    """`run` with a question."""
    analysis, model, given = question(rng, models)
    flags = [token for name, value in given.items() for token in flag(rng, name, value)]
    output = ["-o", path(rng, folder, "out.csv")] if rng.random() < 0.1 else []
    return [analysis, *flag(rng, "model", model), *flags, *output]


def path(rng: Random, folder: Path, usual: str) -> str:
    """A path below the folder, which no mutation leads out of: those who run this may be allowed to write anywhere."""
    inside = spoil(rng, usual, 0.4).replace("/", "_").replace("..", "_")
    whole = str(folder / inside) if "\0" not in inside else inside
    return pick(rng, whole, whole, inside.lstrip("~"), ".", "pipe", "pipe/x.csv", "./", str(folder))


def questions_of_a_file(rng: Random, models: tuple[str, ...], folder: Path) -> list[str]:
    """`pipeline` with a file; its questions are only listed."""
    file = folder / "pipeline.toml"
    file.write_bytes(pipeline(rng, models))
    return [pick(rng, str(file), str(file), path(rng, folder, "nothing.toml"), spoil(rng, "dead_units")), "--dry-run"]


def compared(rng: Random, models: tuple[str, ...], folder: Path) -> list[str]:
    """`compare` with a file whose recipe or settings are wrong."""
    file = folder / "plan.toml"
    file.write_bytes(comparison(rng))
    return [pick(rng, str(file), path(rng, folder, "nothing.toml"), mutate(rng, "optimizers"))]


def trained(rng: Random, models: tuple[str, ...], folder: Path) -> list[str]:
    """`train` or `check` with settings."""
    recipe = pick(rng, *FAST)
    words = ["--set", *(setting(rng, recipe) for _ in range(rng.randrange(1, 4)))]
    more = pick(rng, [], ["--seed", number(rng)], ["--steps", number(rng)])
    return [
        spoil(rng, recipe, 0.05),
        *words,
        *more,
        *(["--folder", path(rng, folder, "model")] if rng.random() < 0.3 else []),
    ]


def searched(rng: Random, models: tuple[str, ...], folder: Path) -> list[str]:
    """`search` with ranges."""
    recipe = pick(rng, *FAST)
    ranges = [spoil(rng, pick(rng, f"lr={number(rng)}..{number(rng)}", "lr=1e-4..1e-1,log", "optimizer=adam|sgd"), 0.5)]
    return [
        recipe,
        *ranges,
        "--trials",
        pick(rng, "1", number(rng)),
        "--name",
        spoil(rng, "a"),
        "--metric",
        spoil(rng, "test_accuracy"),
    ]


def exported(rng: Random, models: tuple[str, ...], folder: Path) -> list[str]:
    """`export` of what is stored, or not."""
    keys = list(ResultStore().catalog()["key"]) or ["0" * 32]
    to = (
        []
        if rng.random() < 0.5
        else ["--to", spoil(rng, pick(rng, "csv", "json", "parquet", "circuit", "eap_ig", "graphml"))]
    )
    size = [] if rng.random() < 0.7 else ["--size", number(rng)]
    output = (
        [] if rng.random() < 0.5 else ["-o", path(rng, folder, pick(rng, "a.csv", "a.json", "a.parquet", "a.graphml"))]
    )
    return [spoil(rng, pick(rng, *keys)), *to, *size, *output]


def opened(rng: Random, models: tuple[str, ...], folder: Path) -> list[str]:
    """`app`, which the campaign never lets start."""
    return pick(
        rng, ["--port", number(rng)], ["--address", text(rng)], ["--port", number(rng), "--headless"], [text(rng)]
    )


def measured(rng: Random, models: tuple[str, ...], folder: Path) -> list[str]:
    """`difference` of models that are no tuned ones, or with wrong numbers."""
    flags = pick(
        rng, ["--examples", number(rng)], ["--rows", number(rng)], ["--seed", number(rng)], ["--original", text(rng)]
    )
    return [*(spoil(rng, pick(rng, *models)) for _ in range(rng.randrange(3))), *flags]


def misnamed(rng: Random, models: tuple[str, ...], folder: Path) -> list[str]:
    """`evaluate` of a network that is not there: to evaluate a real one takes long and needs its data."""
    return [pick(rng, text(rng), f"{mutate(rng, pick(rng, *names()))}x", number(rng))]


def plain(rng: Random, models: tuple[str, ...], folder: Path) -> list[str]:
    """Any other command with names, true or spoiled."""
    name = pick(rng, *models, *names(), "models", "analyses", "recipes", "datasets", "runs", "studies", "architectures")
    return [spoil(rng, name), *pick(rng, [], ["--json"], ["--markdown"], [text(rng)])]
