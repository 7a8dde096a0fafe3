"""Tests of the training loop: resumption, determinism, accumulation, clipping, precision and errors."""

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, mse_loss

from workbench.core.errors import Cancelled, CheckpointError, TrainingError
from workbench.training.curve import Curve
from workbench.training.fit import fit
from workbench.training.fit_config import FitConfig
from workbench.training.optimizers import OPTIMIZERS

CFG = FitConfig(
    steps=6, lr=0.01, weight_decay=0.1, schedule="cosine", warmup=2, gradient_clip=1.0, ema=0.9, log_every=2,
    checkpoint_every=2,
)  # fmt: skip


def network(seed: int = 0) -> nn.Sequential:
    """A convolution in channels-last layout, batch statistics, dropout: all that makes resuming hard."""
    torch.manual_seed(seed)
    layers = (nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.2), nn.Flatten(), nn.Linear(144, 8), nn.Linear(8, 3))
    return nn.Sequential(*layers).to(memory_format=torch.channels_last)


def images(step: int) -> tuple[Tensor, Tensor]:
    rng = torch.Generator().manual_seed(step)
    return torch.randn(8, 1, 8, 8, generator=rng), torch.randint(3, (8,), generator=rng)


def cancel_at(step: int) -> Callable[[int, int], None]:
    def progress(done: int, total: int) -> None:
        if done == step:
            raise Cancelled("enough")

    return progress


def same(a: nn.Module, b: nn.Module) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


def without_seconds(curve: Curve) -> dict[str, list]:
    return {name: column for name, column in curve.table().items() if name != "seconds"}


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_run_cancelled_and_resumed_equals_an_uninterrupted_one_bit_for_bit(tmp_path: Path, optimizer: str) -> None:
    cfg = replace(CFG, optimizer=optimizer, accumulate=2)
    whole = network()
    expected = fit(whole, images, cross_entropy, cfg)
    path = tmp_path / "state.safetensors"
    with pytest.raises(Cancelled):
        fit(network(), images, cross_entropy, cfg, checkpoint=path, progress=cancel_at(3))
    resumed = network(seed=1)
    curve = fit(resumed, images, cross_entropy, cfg, checkpoint=path)
    assert same(whole, resumed)
    assert without_seconds(curve) == without_seconds(expected)


def test_a_run_killed_between_two_states_resumes_from_the_earlier_one(tmp_path: Path) -> None:
    path, whole, resumed = tmp_path / "state.safetensors", network(), network(seed=1)
    fit(whole, images, cross_entropy, CFG)

    def broken(step: int) -> tuple[Tensor, Tensor]:
        if step == 3:
            raise KeyboardInterrupt
        return images(step)

    with pytest.raises(KeyboardInterrupt):
        fit(network(), broken, cross_entropy, CFG, checkpoint=path)
    asked: list[int] = []

    def recorded(step: int) -> tuple[Tensor, Tensor]:
        asked.append(step)
        return images(step)

    fit(resumed, recorded, cross_entropy, CFG, checkpoint=path)
    assert asked == [0, 2, 3, 4, 5]  # the first batch tells whether the data are the same
    assert same(whole, resumed)


def test_a_finished_run_gives_its_weights_and_curve_at_once(tmp_path: Path) -> None:
    path, first, second = tmp_path / "state.safetensors", network(), network(seed=1)
    expected = fit(first, images, cross_entropy, CFG, checkpoint=path)

    def first_batch(step: int) -> tuple[Tensor, Tensor]:
        return images(step) if step == 0 else pytest.fail("no later batch is needed")

    assert fit(second, first_batch, cross_entropy, CFG, checkpoint=path) == expected
    assert same(first, second)


def test_resuming_with_another_configuration_names_the_field(tmp_path: Path) -> None:
    path = tmp_path / "state.safetensors"
    fit(network(), images, cross_entropy, CFG, checkpoint=path)
    with pytest.raises(CheckpointError, match=r"momentum=0\.9, and this one has momentum=0\.5"):
        fit(network(), images, cross_entropy, replace(CFG, momentum=0.5), checkpoint=path)


def test_evaluating_and_keeping_do_not_change_the_run() -> None:
    plain, watched, kept = network(), network(), {}

    def evaluate(model: nn.Module) -> dict[str, float]:
        assert not model.training
        return {"draw": torch.rand(()).item()}

    def keep(step: int, model: nn.Module) -> None:
        kept[step] = {n: t.clone() for n, t in model.state_dict().items()}

    cfg = replace(CFG, evaluate_every=1, keep_steps=(0, 2, 6))
    fit(plain, images, cross_entropy, CFG)
    curve = fit(watched, images, cross_entropy, cfg, evaluate=evaluate, keep=keep)
    assert same(plain, watched)
    assert [step for step, _ in curve.points("draw")] == [1, 2, 3, 4, 5, 6]
    assert list(kept) == [0, 2, 6]
    assert all(torch.equal(t, watched.state_dict()[n]) for n, t in kept[6].items())


def test_a_metric_with_an_interval_enters_the_curve_by_its_value() -> None:
    curve = fit(
        network(),
        images,
        cross_entropy,
        CFG,
        lambda model: {"accuracy": {"value": 0.5, "n": 2, "interval": (0.1, 0.9)}},
    )
    assert curve.points("accuracy") == [(6, 0.5)]


def test_the_seed_alone_decides_dropout_and_the_callers_stream_is_untouched() -> None:
    first, second, third = network(), network(), network()
    torch.manual_seed(123)
    fit(first, images, cross_entropy, CFG)
    after = torch.rand(1)
    torch.manual_seed(123)
    assert torch.equal(after, torch.rand(1))
    fit(second, images, cross_entropy, CFG)
    fit(third, images, cross_entropy, replace(CFG, seed=1))
    assert same(first, second) and not same(first, third)


def line() -> nn.Linear:
    torch.manual_seed(0)
    return nn.Linear(2, 1)


def points(step: int) -> tuple[Tensor, Tensor]:
    x = torch.randn(4, 2, generator=torch.Generator().manual_seed(step))
    return x, x.sum(dim=1, keepdim=True)


def test_gradient_descent_on_a_quadratic_has_its_closed_form() -> None:
    model = nn.Linear(1, 1, bias=False)
    start = model.weight.item()
    cfg = FitConfig(steps=10, optimizer="gradient_descent", lr=0.1)
    fit(model, lambda step: (torch.ones(1, 1), torch.zeros(1, 1)), mse_loss, cfg)
    assert model.weight.item() == pytest.approx(start * (1 - 0.2) ** 10, rel=1e-5)


def test_accumulated_batches_equal_one_batch_of_them_all() -> None:
    parts, whole = line(), line()
    cfg = FitConfig(steps=3, lr=0.05, gradient_clip=0.5)

    def joined(step: int) -> tuple[Tensor, Tensor]:
        pieces = [points(2 * step), points(2 * step + 1)]
        return torch.cat([x for x, _ in pieces]), torch.cat([y for _, y in pieces])

    fit(parts, points, mse_loss, replace(cfg, accumulate=2))
    fit(whole, joined, mse_loss, cfg)
    torch.testing.assert_close(parts.weight, whole.weight)


def test_clipping_bounds_the_step_of_plain_descent() -> None:
    model = line()
    before = torch.cat([p.detach().flatten().clone() for p in model.parameters()])
    cfg = FitConfig(steps=1, optimizer="sgd", lr=1.0, gradient_clip=0.01)
    curve = fit(model, points, lambda y, t: 1000 * mse_loss(y, t), cfg)
    after = torch.cat([p.detach().flatten() for p in model.parameters()])
    assert (after - before).norm().item() == pytest.approx(0.01, rel=1e-3)
    assert curve.last("gradient_norm") > 1  # the curve has the norm before clipping


def test_the_curve_has_the_mean_loss_since_its_last_point_and_the_rate_that_was_used() -> None:
    every, sparse = line(), line()
    cfg = FitConfig(steps=6, lr=0.01, schedule="linear", log_every=1)
    dense = fit(every, points, mse_loss, cfg)
    curve = fit(sparse, points, mse_loss, replace(cfg, log_every=4))
    losses = dense.series["train_loss"]
    assert curve.step == [4, 6]
    assert curve.series["train_loss"] == pytest.approx([sum(losses[:4]) / 4, sum(losses[4:]) / 2])
    assert dense.series["learning_rate"] == pytest.approx([0.01 * (1 - i / 6) for i in range(6)])


def test_bf16_keeps_weights_and_loss_in_fp32_and_trains_nearly_the_same() -> None:
    exact, rough = network(), network()
    seen = []

    def loss(output: Tensor, targets: Tensor) -> Tensor:
        seen.append(output.dtype)
        return cross_entropy(output, targets)

    a = fit(exact, images, loss, CFG)
    b = fit(rough, images, loss, replace(CFG, precision="bf16"))
    assert set(seen) == {torch.float32}
    assert all(p.dtype == torch.float32 for p in rough.parameters())
    assert a.series["train_loss"] == pytest.approx(b.series["train_loss"], rel=0.1)


def test_the_averaged_weights_are_what_is_left_in_the_model() -> None:
    model = nn.Linear(1, 1, bias=False)
    weights = [model.weight.item()]

    def loss(output: Tensor, targets: Tensor) -> Tensor:
        return output.sum()

    fit(model, lambda s: (torch.ones(1, 1), torch.ones(1)), loss, FitConfig(steps=2, optimizer="sgd", lr=1.0, ema=0.9))
    after_one = 0.1 * weights[0] + 0.9 * (weights[0] - 1)
    after_two = (2 / 11) * after_one + (9 / 11) * (weights[0] - 2)
    assert model.weight.item() == pytest.approx(after_two, rel=1e-5)


def test_a_loss_that_is_not_finite_stops_with_the_step_and_keeps_the_last_good_state(tmp_path: Path) -> None:
    path, model, steps = tmp_path / "state.safetensors", network(), []

    def poisoned(logits: Tensor, targets: Tensor) -> Tensor:
        steps.append(len(steps))
        return cross_entropy(logits, targets) * (torch.nan if steps[-1] == 4 else 1)

    with pytest.raises(TrainingError, match=r"step 5: the loss is nan; every parameter is finite.*remains in"):
        fit(model, images, poisoned, CFG, checkpoint=path)
    assert not model.training
    good = network(seed=1)
    fit(good, images, cross_entropy, CFG, checkpoint=path)
    assert all(p.isfinite().all() for p in good.parameters())


def test_inputs_that_are_not_finite_stop_with_the_step_and_the_place() -> None:
    def poisoned(step: int) -> tuple[Tensor, Tensor]:
        inputs, targets = images(step)
        return (inputs * torch.nan if step == 4 else inputs), targets

    with pytest.raises(TrainingError, match=r"step 5: the inputs of its batch hold nan at \[0"):
        fit(network(), poisoned, cross_entropy, CFG)


def test_the_first_parameter_that_is_not_finite_is_named() -> None:
    model = network()
    model[4].bias.data[0] = torch.inf
    with pytest.raises(TrainingError, match=r"first parameter that is not finite is 4\.bias"):
        fit(model, images, cross_entropy, CFG)


def test_a_gradient_that_is_not_finite_stops_before_it_spoils_the_weights() -> None:
    model = line()

    def loss(output: Tensor, targets: Tensor) -> Tensor:
        return output.sum() * 0 + (model.weight - model.weight.detach()).abs().sqrt().sum()

    with pytest.raises(TrainingError, match="the gradient of weight"):
        fit(model, points, loss, FitConfig(steps=1))
    assert model.weight.isfinite().all()


def test_the_model_is_left_in_evaluation_mode() -> None:
    model = network().train()
    fit(model, images, cross_entropy, CFG)
    assert not model.training


def test_a_model_that_cannot_be_copied_trains() -> None:
    model = line()
    model.lock = threading.RLock()  # as every HookedModel has
    fit(model, points, mse_loss, replace(CFG, optimizer="muon"))
