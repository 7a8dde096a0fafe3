"""Reinforcement learning: training against Stable-Baselines3, units removed in rollouts, circuits by return, RLHF."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from functools import partial
from time import perf_counter, process_time

import gymnasium
import torch
from torch import Tensor

from tests.bench import preferences
from tests.bench.harness import Figure, paired
from workbench.analysis.policies.circuit_returns import Rollout, mean_writes, rank_edges
from workbench.analysis.policies.episodes import run_episodes, total_returns
from workbench.analysis.policies.interventions import Condition, intervene_in_rollouts, remove_each_unit
from workbench.checkpoints.card import names, read_card
from workbench.checkpoints.store import load
from workbench.core.hooked import HookedModel
from workbench.core.registry import RECIPES
from workbench.data.environments import make_vector
from workbench.training.policy_evaluation import evaluate_policy
from workbench.training.ppo import PPOConfig, ppo
from workbench.zoo.actor_critic import ActorCritic, ActorCriticConfig

CARTPOLE, MAZE = "workbench/CartPole-v1", "workbench/Maze-v0"
CLEANRL = PPOConfig(steps=4096, segment=128, epochs=4, minibatch=128, lr=2.5e-4, discount=0.99, decay=0.95)
"""CleanRL's settings for CartPole, with 4 environments."""
WIDE = PPOConfig(steps=16384)
"""Ours, with 64."""
SOLVING = PPOConfig(steps=80_000)
EPISODES = 20


def figures() -> Iterator[Figure]:
    """Every figure of this benchmark."""
    yield from returns()
    for name, cfg, n_envs in (("cleanrl_4_environments", CLEANRL, 4), ("ours_64_environments", WIDE, 64)):
        yield from training_speed(f"rl.ppo.{name}", cfg, n_envs)
    yield from solving()
    yield from ablations()
    for model, environment in (("maze_ppo", MAZE), ("cartpole_ppo", CARTPOLE)):
        yield from circuits(model, environment)
    yield from preferences.table()


def returns() -> Iterator[Figure]:
    """What each trained policy earns, as its card says: the mean over greedy episodes with its interval, and seeds."""
    for name in names():
        card = read_card(name)
        for metric in ("return_mean", "exact_return", "success"):
            if card.recipe in RECIPES and metric in card.metrics and metric in RECIPES[card.recipe].targets:
                score, seeds = card.metrics[metric], card.metrics.get("return_over_seeds")
                said = f"{metric.replace('_', ' ')}, n {score.n}"
                said += f", 95 % {score.interval[0]:.4g} to {score.interval[1]:.4g}" if score.interval else ""
                said += f"; sampled, over {seeds.n} seeds {seeds.value:.4g}" if seeds else ""
                yield Figure(
                    f"rl.return.{name}", score.value, said, None, f">= {RECIPES[card.recipe].targets[metric]:g}"
                )


def training_speed(name: str, cfg: PPOConfig, n_envs: int) -> Iterator[Figure]:
    """Environment steps per second of PPO, and how many times as many as Stable-Baselines3 makes."""
    from stable_baselines3 import PPO
    from stable_baselines3.common.vec_env import DummyVecEnv

    peer = PPO(
        "MlpPolicy", DummyVecEnv([lambda: gymnasium.make("CartPole-v1") for _ in range(n_envs)]), cfg.lr, cfg.segment,
        cfg.minibatch, cfg.epochs, cfg.discount, cfg.decay, cfg.clip, vf_coef=cfg.value_weight,
        ent_coef=cfg.entropy_bonus, max_grad_norm=cfg.gradient_clip, device="cpu", seed=0,
    )  # fmt: skip

    def ours() -> None:
        torch.manual_seed(0)
        ppo(ActorCritic(ActorCriticConfig()), make_vector(CARTPOLE, n_envs), cfg)

    ratio = paired(ours, partial(peer.learn, cfg.steps), repeats=7, budget=40)
    setting = f"steps/s, {n_envs} environments, {cfg.segment} x {cfg.epochs} epochs, minibatch {cfg.minibatch}"
    theirs = cfg.steps / ratio.peer_ms * 1e3
    yield Figure(name, theirs / ratio.median, setting)
    yield Figure(f"{name}.ratio", 1 / ratio.median, "x as many steps/s, same settings", "Stable-Baselines3", ">= 2")


def solving() -> Iterator[Figure]:
    """Time to a policy whose 100 greedy episodes all return 500, over five seeds."""
    wall, processor, returns = [], [], []
    for seed in range(5):
        torch.manual_seed(seed)
        model = ActorCritic(ActorCriticConfig())
        start, used = perf_counter(), process_time()
        ppo(model, make_vector(CARTPOLE, 64), SOLVING, seed)
        wall.append(perf_counter() - start)
        processor.append(process_time() - used)
        returns.append(evaluate_policy(model, partial(make_vector, "CartPole-v1"), seed=10_000).mean)
    yield Figure("rl.cartpole.return", min(returns), "worst of 5 seeds, 100 greedy episodes each", None, ">= 500")
    yield Figure("rl.cartpole.seconds", statistics.median(wall), "s on the wall, 64 environments", None, "<= 3")
    yield Figure("rl.cartpole.processor_seconds", statistics.median(processor), "s of the processor", None, "<= 3")


def ablations() -> Iterator[Figure]:
    """Every unit of the CartPole policy removed for 20 episodes: all at once, against one unit after the other."""
    model, make, seeds = load("cartpole_ppo"), partial(make_vector, CARTPOLE), list(range(EPISODES))
    units = remove_each_unit(model, ["actor.blocks.*.hook_post"])
    ours = partial(intervene_in_rollouts, model, make, units, seeds)
    peer = partial(loop, model, units, seeds)
    difference = float((ours().edited - peer()).abs().max())
    ratio = paired(ours, peer, repeats=5, budget=60)
    task = f"{len(units)} units x {EPISODES} episodes"
    yield Figure("rl.ablations.seconds", ratio.median * ratio.peer_ms / 1e3, f"s, {task}", None, "<= 1")
    yield Figure("rl.ablations.ratio", 1 / ratio.median, f"x as fast, {task}", "a loop over units", ">= 8")
    yield Figure("rl.ablations.largest_difference", difference, "return", "a loop over units", "== 0")


def loop(model: HookedModel, conditions: list[Condition], seeds: list[int]) -> Tensor:
    """The same returns, one unit after the other, its episodes as rows."""
    rows = []
    for condition in conditions:
        with model.edited(condition):
            steps = run_episodes(lambda x, _: model(x).logits.argmax(-1), make_vector(CARTPOLE, len(seeds)), seeds)
            rows.append(total_returns(steps, len(seeds)))
    return torch.stack(rows)


def circuits(name: str, environment: str) -> Iterator[Figure]:
    """Share of the return that half of the edges keep: the strongest ones, the loudest ones, random ones.

    They are scored on 256 states of 64 episodes and checked by 100 others.
    """
    model, make, draws = load(name), partial(make_vector, environment), 3
    steps = run_episodes(lambda x, _: model(x).logits.argmax(-1), make(64), list(range(64)))
    states = torch.cat([step.observation for step in steps])
    states = states[torch.randperm(len(states), generator=torch.Generator().manual_seed(0))[:256]]
    graph = model.graph()
    ranked = rank_edges(graph, states, draws, seed=0)
    run = Rollout(graph, make, mean_writes(graph, states), tuple(range(1000, 1100)))
    half = [run.run(graph.wiring.largest(strength, ranked.n // 2)).mean() for strength in ranked.strength]
    lowest, highest = (float(run.run(graph.full(keep)).mean()) for keep in (0.0, 1.0))
    strongest, loudest, *random = [(float(mean) - lowest) / (highest - lowest) for mean in half]
    edges = f"of the return kept by {ranked.n // 2:,} of {ranked.n:,} edges"
    yield Figure(f"rl.circuit.{name}.strongest", strongest, edges)
    yield Figure(f"rl.circuit.{name}.loudest", loudest, edges)
    yield Figure(f"rl.circuit.{name}.random", statistics.mean(random), f"{edges}, mean of {draws}")
