"""Tests of parameter help and descriptions read from docstrings."""

import inspect
from dataclasses import dataclass

import pytest

from workbench.core.registry import ANALYSES
from workbench.experiments.questions.docstrings import description, parameter_help
from workbench.experiments.questions.parameters import read_signature


@dataclass(frozen=True)
class MaskConfig:
    """How edges are masked.

    Attributes:
        threshold: Smallest score
            of an edge that is kept.
    """

    threshold: float = 0.1
    steps: int = 5
    """Number of gradients to average."""
    old: bool = False


def find_edges(model: object, hook: str, how: MaskConfig = MaskConfig(), seed: int = 0) -> None:
    """Find edges,
    and count them.

    1. Score every edge.
    2. Keep the best,
       and no other; `hook` is named here too.

    Args:
        model: Any model.
        hook: Name of a hook, e.g. "blocks.0.hook_post".
        how: Settings of the masks.

    Returns:
        Nothing.

    Cost: 1 forward pass.

    Example:
        >>> find_edges(None, "x")
    """


def write_in_the_old_way(model: object, hook: str) -> None:
    """Something at `hook`, unaltered. A second sentence."""


def test_help_comes_from_args_attributes_and_the_docstrings_below_fields() -> None:
    parameters = read_signature("find_edges", find_edges).parameters
    assert {name: p.help for name, p in parameters.items()} == {
        "hook": 'Name of a hook, e.g. "blocks.0.hook_post".',
        "threshold": "Smallest score of an edge that is kept.",
        "steps": "Number of gradients to average.",
        "old": "",
    }
    assert parameter_help(find_edges)["model"] == "Any model."


def test_help_without_an_args_section_is_the_first_sentence_with_the_name_in_backticks() -> None:
    parameters = read_signature("write_in_the_old_way", write_in_the_old_way).parameters
    assert parameters["hook"].help == "Something at `hook`, unaltered."


def test_the_description_leaves_out_sections_and_keeps_steps_on_lines_of_their_own() -> None:
    assert description(find_edges) == (
        "Find edges, and count them.\n\n"
        "1. Score every edge.\n2. Keep the best, and no other; `hook` is named here too.\n\n"
        "Cost: 1 forward pass."
    )


DOCUMENTED = [name for name in ANALYSES if ".circuits." not in inspect.unwrap(ANALYSES[name]).__module__]


@pytest.mark.parametrize("analysis", DOCUMENTED)
def test_an_analysis_documents_every_argument_its_result_its_cost_and_an_example(analysis: str) -> None:
    function = inspect.unwrap(ANALYSES[analysis])
    assert set(parameter_help(function)) == set(inspect.signature(function).parameters)
    text = inspect.getdoc(function) or ""
    assert all(f"\n{section}:" in text for section in ("Args", "Returns", "Cost", "Example"))
