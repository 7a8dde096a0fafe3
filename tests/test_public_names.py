"""Tests of the names offered by `import workbench`."""

import pytest

import workbench


def test_every_public_name_is_there() -> None:
    for name in workbench.PLACES:
        assert getattr(workbench, name) is not None and name in dir(workbench)


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        workbench.nothing  # noqa: B018


def test_the_figure_is_the_function_and_the_interventions_the_module() -> None:
    assert callable(workbench.figure) and callable(workbench.run) and workbench.interventions.zero("hook_x")
