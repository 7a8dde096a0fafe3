"""Steps of environments, with errors that name the environment."""

from __future__ import annotations

from typing import Any

from workbench.core.errors import InputError, WorkbenchError


def step_environments(envs: Any, actions: Any) -> tuple[Any, ...]:
    """Call `envs.step(actions)`, re-raising any error as an InputError that names the environment."""
    try:
        return envs.step(actions)
    except WorkbenchError:
        raise
    except Exception as error:
        raise InputError(
            f"The environment {envs} raised {type(error).__name__} in the middle of an episode: {error} "
            "Fix the environment. A training that stores its state resumes where it was last stored."
        ) from error
