"""Command line of the workbench.

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
    "list": ("listing:show_list", "List trained models, architectures, analyses, recipes, data sets, runs or studies."),
    "show": (
        "showing:show",
        "Show a trained model (card, hooks, graph), or a stored result and the facts behind it.",
    ),
    "run": ("running:run_one", "Run one analysis of one model. `workbench run ANALYSIS --help` lists its flags."),
    "pipeline": ("running:run_file", "Run several analyses from a file; stored answers are kept."),
    "export": ("exporting:export_result", "Write a stored result as CSV, JSON, Parquet or a web page."),
    "train": ("training:train_model", "Train a recipe's model and save it; an interrupted training continues."),
    "add": ("adding:add_network", "Put a network made elsewhere beside the trained ones, by name."),
    "remove": ("adding:remove_network", "Take away a network that was added."),
    "difference": (
        "difference:show_difference",
        "Compare GPTs tuned to tell tales or answer questions with their original.",
    ),
    "evaluate": ("evaluating:evaluate_model", "Measure a trained model again and compare it with its card."),
    "seal": ("sealing:seal_cards", "Confirm cards that were changed on purpose."),
    "check": ("checking:check_recipe", "Overfit one batch and measure gradients and activations by layer."),
    "search": (
        "searching:search_settings",
        "Search for better settings of a recipe with Optuna; an earlier search continues.",
    ),
    "compare": ("comparing:compare_settings", "Train one recipe under several settings."),
    "store": (
        "storing:keep_store",
        "Check, repair or clean the folder of results.",
    ),
    "app": ("dashboard:open_dashboard", "Open the dashboard in the browser."),
}
FAILED, MISUSED, INTERRUPTED = 1, 2, 130
LONGEST = 1_900
"""Largest number of characters of an error."""
INTERNAL = "This is an error of the workbench itself:"
TRACEBACK = "WORKBENCH_TRACEBACK"
"""Environment variable that makes an internal error show its traceback."""
COMPUTING = frozenset({"run", "pipeline", "difference", "evaluate", "check", "search", "compare"})
"""Commands that run networks and then end, so that the process may keep freed memory."""


def build() -> App:
    """Build the command line; a command's module is imported when it is used."""
    app = command_line("workbench", "Which parts of a small network do what, and how do we know?")
    app.version = installed_version
    app.version_flags = ["--version"]
    for name, (place, help_text) in COMMANDS.items():
        # `run` has other flags for each analysis, so it prints its own help.
        flags = [] if name == "run" else ["--help", "-h"]
        app.command(f"workbench.cli.{place}", name=name, help=help_text, help_flags=flags, version_flags=[])
    return app


def command_line(name: str, text: str) -> App:
    """Build an empty command with a help text."""
    return App(
        name=name,
        help=text,
        help_format="plaintext",  # Markdown would cost a third of the time of --help
        version_flags=[],
        suppress_keyboard_interrupt=False,
        default_parameter=Parameter(converter=read_flag),
    )


def installed_version() -> str:
    """Return the installed version."""
    from workbench.checkpoints.provenance import DISTRIBUTION, release

    return release(DISTRIBUTION)


def run_command(app: App, tokens: Sequence[str]) -> int:
    """Run one command and return its exit code; errors are raised."""
    command, bound, _ = app.parse_args(list(tokens), exit_on_error=False, print_error=False)
    ours = command.__module__.startswith("workbench.")
    code = call(command, bound) if ours else command(*bound.args, **bound.kwargs)
    return code if isinstance(code, int) else 0


def run(tokens: Sequence[str]) -> int:
    """Run a command line and return its exit code; errors are raised."""
    if any("\0" in token for token in tokens):
        raise InputError("An argument holds a NUL character, which no name, path or text has. Leave it out.")
    if COMPUTING.intersection(tokens[:1]):
        from workbench.core.allocator import keep_freed_pages

        keep_freed_pages()
    code = run_command(build(), tokens)
    sys.stdout.flush()  # a full disk and a closed pipe are noticed here and not after the last line of this program
    return code


def status(tokens: Sequence[str]) -> int:
    """Run a command line and return its exit code, writing any error as one sentence on stderr.

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
    """Return the message and the exit code for an error."""
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
    """Write one line of at most `LONGEST` characters on stderr and return the exit code."""
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
