import pytest

from workbench.core.errors import ConfigError, UnknownNameError, WorkbenchError
from workbench.training.fit_config import FitConfig


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"optimizer": "adem"}, UnknownNameError, "Did you mean 'adam'"),
        ({"schedule": "cosin"}, UnknownNameError, "Did you mean 'cosine'"),
        ({"precision": "bf"}, UnknownNameError, "Did you mean 'bf16'"),
        ({"steps": 0}, ConfigError, "steps=0"),
        ({"steps": 5, "keep_steps": (6,)}, ConfigError, "from 0 to 5"),
        ({"ema": 1.0}, ConfigError, "ema=1.0"),
    ],
)
def test_a_setting_that_cannot_work_is_refused_at_once(
    settings: dict, error: type[WorkbenchError], message: str
) -> None:
    with pytest.raises(error, match=message):
        FitConfig(**settings)


def test_the_factor_follows_the_named_schedule() -> None:
    cfg = FitConfig(steps=10, schedule="linear", warmup=2, final_factor=0.5)
    assert [cfg.factor(step) for step in (0, 1, 2, 10)] == pytest.approx([0.5, 1, 1, 0.5])
