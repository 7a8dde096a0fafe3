"""The command line: the choices of the Python interface and the dashboard, in words.

Nothing heavy is imported here or at the top of the commands' modules, so that `workbench --help` is quick.
"""

import os
import sys
from collections.abc import Sequence

from cyclopts import App, CycloptsError

from workbench.core.errors import Cancelled, WorkbenchError

COMMANDS = {
    "list": ("listing:show_list", "Trained models, architectures, analyses, recipes, data sets or runs."),
    "show": ("showing:show_model", "One trained model: its card, its hooks with axes and shapes, its graph."),
    "run": ("running:run_one", "One analysis of one model. `workbench run ANALYSIS --help` lists its flags."),
    "pipeline": ("running:run_file", "Several analyses from a file; what is stored is not computed again."),
    "export": ("exporting:export_result", "A stored result as CSV, JSON, Parquet or a web page."),
    "train": ("training:train_model", "A recipe's model, trained and saved; resumes where it was interrupted."),
    "difference": (
        "difference:show_difference",
        "What tuning changed in GPTs that tell tales or answer questions, and what brings it back.",
    ),
    "evaluate": ("evaluating:evaluate_model", "A trained model measured again and held against its card."),
    "check": ("checking:check_recipe", "Can a recipe learn? One batch by heart, gradients and activations by layer."),
    "search": ("searching:search_settings", "Better settings for a recipe, by Optuna; goes on where it stopped."),
    "compare": ("comparing:compare_settings", "One recipe under several settings, side by side."),
    "app": ("dashboard:open_dashboard", "The dashboard, in the browser."),
}
FAILED, MISUSED, INTERRUPTED = 1, 2, 130


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
    )


def installed_version() -> str:
    """The version that is installed."""
    from workbench.checkpoints.provenance import DISTRIBUTION, release

    return release(DISTRIBUTION)


def call(app: App, tokens: Sequence[str]) -> int:
    """The exit code of one command; its errors pass through."""
    code = app(list(tokens), exit_on_error=False, print_error=False, result_action="return_value")
    return code if isinstance(code, int) else 0


def status(tokens: Sequence[str]) -> int:
    """The exit code of a command line: a mistake of the user is one line on stderr and 2, never a traceback."""
    try:
        return call(build(), tokens)
    except (KeyboardInterrupt, Cancelled):
        sys.stderr.write("Stopped. What is finished is kept; the same command goes on from there.\n")
        return INTERRUPTED
    except (WorkbenchError, CycloptsError) as error:
        sys.stderr.write(f"workbench: {' '.join(str(error).split())}\n")
        return MISUSED
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def main() -> None:
    """Entry point of the command `workbench`."""
    sys.exit(status(sys.argv[1:]))
