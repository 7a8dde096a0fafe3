"""Defaults of the circuit methods, which are part of what an answer means: none changes without notice."""

from __future__ import annotations

from dataclasses import asdict

import pytest

from workbench.analysis.circuits.edge_pruning import MaskConfig
from workbench.analysis.circuits.node_effects import NodeConfig
from workbench.analysis.circuits.tracing import CircuitConfig
from workbench.analysis.circuits.verification import VerifyConfig

SHARED = {"ablation": "resample", "detail": "", "group": 1, "positions": False}


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (
            CircuitConfig(),
            {**SHARED, "method": "eap_ig", "steps": 5, "threshold": 0.02, "sizes": "usual", "draws": 10},
        ),
        (NodeConfig(), {**SHARED, "method": "exact"}),
        (VerifyConfig(), {"size": 0, "controls": 20, "cuts": 200, "resamples": 5, "sampled": 60}),
        (MaskConfig(), {"steps": 300, "lr": 0.1, "sparsity": 0.3}),
    ],
)
def test_the_default_is_the_documented_one(config: object, expected: dict[str, object]) -> None:
    assert asdict(config) == expected  # type: ignore[call-overload]
