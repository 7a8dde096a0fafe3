"""One step of environments somebody else wrote."""

from __future__ import annotations

from typing import Any

from workbench.core.errors import InputError, WorkbenchError


def step_environments(envs: Any, actions: Any) -> tuple[Any, ...]:
    """What `envs.step(actions)` gives; what it raises comes as one sentence that says whose mistake it is."""
    try:
        return envs.step(actions)
    except WorkbenchError:
        raise
    except Exception as error:
        raise InputError(
            f"The environment {envs} raised {type(error).__name__} in the middle of an episode: {error} "
            "Mend the environment; a training that keeps its state goes on where it was last stored."
        ) from error
