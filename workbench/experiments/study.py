"""A study: one network with its inputs, their contrast, the metric and the world, for many questions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from workbench.core.hooked import HookedModel
from workbench.core.metrics import Metric
from workbench.core.progress import Progress, silent
from workbench.experiments.computing import loaded
from workbench.experiments.objects import name_objects, open_module
from workbench.experiments.questions.spec import Spec
from workbench.experiments.run import Answer, answer


@dataclass(frozen=True, eq=False)
class Study:
    """One network with its inputs, their contrast, the metric and the world, for many questions.

    Each question is that of `workbench.run` with the same arguments and has the same stored answer. A plain module is
    opened once. `dataclasses.replace(study, metric=...)` makes a study of the same network that differs in one part.

    Args:
        model: Name of a trained network, or a network as `workbench.run` takes it.
        inputs: Inputs as text or tensors. By default the model's usual inputs.
        corrupted: Corrupted inputs, likewise. By default the usual ones for the model.
        metric: Name of a metric, or a function from the output to one number per example.
        environment: Environment of a policy that is passed as an object.
        seed: Seeds everything random.

    Raises:
        InputError: If a module cannot be opened on the inputs.

    Example:
        >>> study = workbench.Study("digits_mlp", inputs="test:0:16", metric="logit_difference")
        >>> study.run("ablation", hook="blocks.0.hook_post").effect.shape
        torch.Size([64, 16])
        >>> study.circuit(method="eap").wiring.n_edges > 100
        True
        >>> study.answer("ablation", hook="blocks.0.hook_post").computed
        False
    """

    model: str | nn.Module
    inputs: Any = ""
    corrupted: Any = ""
    metric: str | Metric = ""
    environment: str = ""
    seed: int = 0

    def __post_init__(self) -> None:
        if not isinstance(self.model, str | HookedModel):
            object.__setattr__(self, "model", open_module(self.model, self.inputs))

    @property
    def network(self) -> HookedModel:
        """The opened network, with its hooks and its graph."""
        return self.model if isinstance(self.model, HookedModel) else loaded(str(self.model))

    def run(self, analysis: str, **parameters: Any) -> Any:
        """Return the result of an analysis, read back if it was computed before."""
        return self.ask(analysis, parameters).result

    def circuit(self, **parameters: Any) -> Any:
        """Return the circuit of the metric's difference between clean and corrupted inputs."""
        return self.ask("circuit", parameters).result

    def answer(self, analysis: str, **parameters: Any) -> Answer:
        """Return the result of an analysis with its key, and if it was computed just now."""
        return self.ask(analysis, parameters)

    def ask(self, analysis: str, parameters: Mapping[str, Any], progress: Progress = silent) -> Answer:
        """Answer one question, reporting progress.

        Raises:
            UnknownNameError: If a name does not exist.
            ConfigError: If a parameter is out of range, or the analysis does not fit the model.
        """
        with name_objects(self.model, self.inputs, self.corrupted, self.metric, self.environment) as named:
            texts = (named.inputs, named.corrupted, named.metric)
            return answer(Spec(named.model, analysis, *texts, parameters, self.seed), progress)
