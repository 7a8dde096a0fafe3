"""Tests of actor-critics against Stable-Baselines3's network and their own graph."""

import copy

import gymnasium
import pytest
import torch

from workbench.core.errors import ConfigError, ShapeError
from workbench.core.interventions import zero
from workbench.core.metrics import Logit, Value
from workbench.core.random import seed_everything
from workbench.core.stages import sweep
from workbench.zoo.actor_critic import ActorCritic, ActorCriticConfig, PolicyValue

CONFIGS = {
    "separate": ActorCriticConfig(hidden=(6, 5)),
    "shared": ActorCriticConfig(hidden=(6, 5), critic="shared", activation="relu"),
    "convolutional": ActorCriticConfig((3, 4, 5), 3, "convolutional", (4, 2), (6,), "relu"),
    "convolutional shared": ActorCriticConfig((3, 4, 5), 3, "convolutional", (4,), (), "relu", "shared"),
    "linear": ActorCriticConfig(hidden=()),
}


@pytest.fixture(params=CONFIGS)
def model(request: pytest.FixtureRequest) -> ActorCritic:
    seed_everything(0)
    model = ActorCritic(CONFIGS[request.param]).eval()
    with torch.no_grad():
        for p in model.parameters():  # biases start at zero and the logits tiny: give them something to show
            p += 0.3 * torch.randn_like(p)
    return model


def test_outputs_have_one_logit_per_action_and_one_value(model: ActorCritic) -> None:
    output = model(model.example(batch=7))
    assert isinstance(output, PolicyValue)
    assert output.logits.shape == (7, model.cfg.n_actions)
    assert output.value.shape == (7,)


def test_the_separate_network_is_stable_baselines3s_with_the_same_weights() -> None:
    policies = pytest.importorskip("stable_baselines3.common.policies")
    env = gymnasium.make("CartPole-v1")
    theirs = policies.ActorCriticPolicy(env.observation_space, env.action_space, lambda _: 1e-3)
    ours = ActorCritic(ActorCriticConfig()).eval()
    extractor = theirs.mlp_extractor
    pairs = [(theirs.action_net, ours.actor.readout), (theirs.value_net, ours.critic.readout)]
    for net, stream in ((extractor.policy_net, ours.actor), (extractor.value_net, ours.critic)):
        pairs += [(net[2 * i], block.linear) for i, block in enumerate(stream.blocks)]
    for source, target in pairs:
        target.load_state_dict(source.state_dict())
    x = ours.example(batch=50)
    with torch.no_grad():
        features = theirs.extract_features(x)
        logits = theirs.action_net(extractor.forward_actor(features))
        torch.testing.assert_close(ours(x).logits, logits, rtol=0, atol=1e-6)
        torch.testing.assert_close(ours(x).value, theirs.predict_values(x)[:, 0], rtol=0, atol=1e-6)


def test_weights_start_orthogonal_with_the_gains_of_cleanrl() -> None:
    model = ActorCritic(ActorCriticConfig())
    gains = {
        "actor.blocks.1.linear": 2**0.5,
        "critic.blocks.0.linear": 2**0.5,
        "actor.readout": 0.01,
        "critic.readout": 1,
    }
    for name, gain in gains.items():
        layer = model.get_submodule(name)
        spectrum = torch.linalg.svdvals(layer.weight.detach())
        torch.testing.assert_close(spectrum, torch.full_like(spectrum, gain))
        assert not layer.bias.any()


def test_separate_streams_do_not_touch_each_other() -> None:
    model = ActorCritic(ActorCriticConfig()).eval()
    x = model.example()
    with model.edited([zero("actor.blocks.0.hook_post")]):
        edited = model(x)
    assert torch.equal(edited.value, model(x).value)
    assert not torch.equal(edited.logits, model(x).logits)


def test_a_copy_shares_nothing_with_its_original(model: ActorCritic) -> None:
    x = model.example()
    before, twin = model(x), copy.deepcopy(model)
    with torch.no_grad():
        for p in twin.parameters():
            p.zero_()
    assert not twin(x).value.any()
    assert torch.equal(model(x).value, before.value)


def test_every_port_reads_what_the_graph_says(model: ActorCritic) -> None:
    graph, x = model.graph(), model.example(batch=3)
    writes, reads = graph.writes(x), model.cache(x)
    assert graph.sinks == ("actor.hook_logits", "critic.hook_value")
    for port in graph.ports:
        torch.testing.assert_close(graph.predict_reads(port, writes), reads[port], rtol=1e-5, atol=1e-6)


def test_with_every_edge_cut_the_output_is_that_of_the_other_input(model: ActorCritic) -> None:
    graph = model.graph()
    x, other = model.example(batch=3, seed=0), model.example(batch=3, seed=1)
    for cut, expected in ((1.0, model(other)), (0.0, model(x))):
        with torch.no_grad(), graph.patch(graph.writes(other), graph.full(cut)) as patched:
            output = patched(x)
        torch.testing.assert_close(tuple(output), tuple(expected), rtol=1e-4, atol=1e-5)


def test_a_sweep_over_both_streams_equals_one_run_per_edit(model: ActorCritic) -> None:
    x = model.example(batch=4)
    edits = [[zero(name)] for name in model.hook_dict]
    for measure in (Logit(torch.ones(4, dtype=torch.int64)), Value()):
        fast = sweep(model, x, edits, measure)
        for condition, row in zip(edits, fast, strict=True):
            with torch.no_grad(), model.edited(condition):
                torch.testing.assert_close(row, measure(model(x)), rtol=1e-5, atol=1e-6)


def test_an_observation_of_the_wrong_shape_is_refused_with_both_shapes() -> None:
    with pytest.raises(ShapeError, match=r"\('batch', 4\).*\(2, 5\)"):
        ActorCritic(ActorCriticConfig())(torch.zeros(2, 5))


def test_a_trunk_that_cannot_read_the_observation_is_refused() -> None:
    with pytest.raises(ConfigError, match="convolutional"):
        ActorCriticConfig(observation=(4,), trunk="convolutional")


def test_acting_gives_the_logits_without_the_critics_own_trunk(model: ActorCritic) -> None:
    observation, ran = model.example(batch=5), []
    full = model(observation).logits
    with model.attach({"actor.hook_logits": lambda x: x}):
        torch.testing.assert_close(model.act(observation), full)
    handle = model.critic.readout.register_forward_hook(lambda *_: ran.append(1))
    model.act(observation)
    handle.remove()
    assert bool(ran) == (model.cfg.critic == "shared")
    twin = copy.deepcopy(model)
    with torch.no_grad():
        twin.actor.readout.bias += 1.0
    torch.testing.assert_close(twin.act(observation), full + 1)
