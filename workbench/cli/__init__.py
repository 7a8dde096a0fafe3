"""The command line: the choices of the Python interface and the dashboard, in words.

Nothing heavy is imported here or at the top of the commands' modules, so that `workbench --help` is quick.
"""

import io
import os
import sys
from collections.abc import Sequence

from cyclopts import App, CycloptsError, Parameter

from workbench.cli.flags import call, read_flag
from workbench.core.errors import Cancelled, InputError, WorkbenchError

COMMANDS = {
    "list": ("listing:show_list", "Trained models, architectures, analyses, recipes, data sets or runs."),
    "show": (
        "showing:show",
        "One trained model: card, hooks, graph. Or one stored result, and what it depends on.",
    ),
    "run": ("running:run_one", "One analysis of one model. `workbench run ANALYSIS --help` lists its flags."),
    "pipeline": ("running:run_file", "Several analyses from a file; what is stored is not computed again."),
    "export": ("exporting:export_result", "A stored result as CSV, JSON, Parquet or a web page."),
    "train": ("training:train_model", "A recipe's model, trained and saved; resumes where it was interrupted."),
    "difference": (
        "difference:show_difference",
        "What tuning changed in GPTs that tell tales or answer questions, and what brings it back.",
    ),
    "evaluate": ("evaluating:evaluate_model", "A trained model measured again and held against its card."),
    "seal": ("sealing:seal_cards", "Cards that were changed on purpose get the hash of their new text."),
    "check": ("checking:check_recipe", "Can a recipe learn? One batch by heart, gradients and activations by layer."),
    "search": ("searching:search_settings", "Better settings for a recipe, by Optuna; goes on where it stopped."),
    "compare": ("comparing:compare_settings", "One recipe under several settings, side by side."),
    "store": (
        "storing:keep_store",
        "The folder of results: check it, repair its catalog, delete what is of no use.",
    ),
    "app": ("dashboard:open_dashboard", "The dashboard, in the browser."),
}
FAILED, MISUSED, INTERRUPTED = 1, 2, 130
LONGEST = 1_900
"""Characters of an error."""
INTERNAL = "This is an error of the workbench itself:"
TRACEBACK = "WORKBENCH_TRACEBACK"
"""With this environment variable, an internal error shows where it happened."""
COMPUTING = frozenset({"run", "pipeline", "difference", "evaluate", "check", "search", "compare"})
"""Commands that run networks for a while and then end, so that the process may keep freed memory for itself."""


def build() -> App:
    """All commands; a command's module is imported when it is used."""
    app = command_line("workbench", "Which parts of a small network do what, and how do we know?")
    app.version = installed_version
    app.version_flags = ["--version"]
    for name, (place, help_text) in COMMANDS.items():
        # `run` has other flags for each analysis, so it prints its own help.
        flags = [] if name == "run" else ["--help", "-h"]
        app.command(f"workbench.cli.{place}", name=name, help=help_text, help_flags=flags, version_flags=[])
    return app


def command_line(name: str, text: str) -> App:
    """An empty command with a help text."""
    return App(
        name=name,
        help=text,
        help_format="plaintext",  # Markdown would cost a third of the time of --help
        version_flags=[],
        suppress_keyboard_interrupt=False,
        default_parameter=Parameter(converter=read_flag),
    )


def installed_version() -> str:
    """The version that is installed."""
    from workbench.checkpoints.provenance import DISTRIBUTION, release

    return release(DISTRIBUTION)


def run_command(app: App, tokens: Sequence[str]) -> int:
    """The exit code of one command; its errors pass through."""
    command, bound, _ = app.parse_args(list(tokens), exit_on_error=False, print_error=False)
    ours = command.__module__.startswith("workbench.")
    code = call(command, bound) if ours else command(*bound.args, **bound.kwargs)
    return code if isinstance(code, int) else 0


def run(tokens: Sequence[str]) -> int:
    """The exit code of a command line; every error passes through."""
    if any("\0" in token for token in tokens):
        raise InputError("An argument holds a NUL character, which no name, path or text has. Leave it out.")
    if COMPUTING.intersection(tokens[:1]):
        from workbench.core.allocator import keep_freed_pages

        keep_freed_pages()
    code = run_command(build(), tokens)
    sys.stdout.flush()  # a full disk and a closed pipe are noticed here and not after the last line of this program
    return code


def status(tokens: Sequence[str]) -> int:
    """The exit code of a command line, with any error as one sentence on stderr.

    A mistake of the user is 2; a refusal of the operating system, too little memory and an error of the workbench
    itself are 1.
    """
    try:
        return run(tokens)
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (Exception, KeyboardInterrupt) as error:
        message, code = explain(error)
        if code == FAILED and os.environ.get(TRACEBACK):
            raise
        return complain(message, code)


def explain(error: BaseException) -> tuple[str, int]:
    """What to write about an error, and the exit code."""
    if isinstance(error, KeyboardInterrupt | Cancelled):
        return "Stopped. What is finished is kept; the same command continues from there.", INTERRUPTED
    if isinstance(error, WorkbenchError | CycloptsError):
        return str(error), MISUSED
    if isinstance(error, OSError):
        place = f" ({error.filename})" if error.filename else ""
        return f"{error.strerror or error}{place}. Free some room, or choose another file or folder.", FAILED
    if isinstance(error, MemoryError):
        return "There is too little memory. Ask for fewer examples, units or steps.", FAILED
    return f"{INTERNAL} {type(error).__name__}: {error}. Please report it; {TRACEBACK}=1 shows where it is.", FAILED


def complain(message: str, code: int) -> int:
    """Write one line of at most `LONGEST` characters on stderr, and give back the exit code."""
    line = " ".join(message.split())
    if sys.stderr is not None:
        sys.stderr.write(f"workbench: {line if len(line) <= LONGEST else f'{line[: LONGEST - 3]}...'}\n")
    return code


def main() -> None:
    """Entry point of the command `workbench`."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a path of bytes that are no text is shown as \\udc80
            stream.reconfigure(errors="backslashreplace")
    if sys.stdout is None:  # started with its output closed
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    sys.exit(status(sys.argv[1:]))
