"""A user's program with seeded mistakes: every line that ends in `# wrong` has one, and no other line does.

mypy reads no types of plotly, pandas and torch, so mistakes with these are `wrong for pyrefly`.
"""

import torch

import workbench
from workbench.figures.alt import describe

ablation = workbench.run("ablation", model="digits_mlp", hook="blocks.0.hook_post", method="mean", seed=1)
print(ablation.effect.shape, ablation.hook)
circuit = workbench.run("circuit", model="cartpole_ppo", inputs="rollout:0:16", method="eap_ig", metric="logit")
print(f"{circuit.cmd:.3f} {len(circuit.sizes)}")
units = workbench.run("maximization", model="mnist_cnn", hook="blocks.0.hook_post", units=(0, 3))
workbench.figure(circuit).write_html("circuit.html")
print(workbench.table(ablation).head(), units)

model = workbench.load("digits_mlp")
x = torch.zeros(2, 64)
hidden = model.cache(x, hooks="blocks.*.hook_post")
with model.edited([workbench.interventions.zero("blocks.0.hook_post[unit=7]")]) as edited:
    print(edited(x), hidden["blocks.0.hook_post"].mean())
wrapped = workbench.wrap(torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU()), example=torch.zeros(2, 4))
effects = workbench.sweep(wrapped, torch.zeros(2, 4), [()], measure=lambda y: y[:, 0])
mine = workbench.run("ablation", model=wrapped, hook="1", inputs=torch.zeros(2, 4), metric=lambda y: y[:, 0])
site = workbench.Site.parse("blocks.0.hook_post[unit=3]")
card = workbench.read_card("digits_mlp")
print(mine.effect.shape, effects.mean(), site.hook, card.parameters, workbench.names()[0])

workbench.run("ablatoin", model="digits_mlp", hook="blocks.0.hook_post")  # wrong
workbench.run("ablation", model="digits_mlp")  # wrong
workbench.run("ablation", model="digits_mlp", hook="blocks.0.hook_post", method="zeros")  # wrong
workbench.run("ablation", model="digits_mlp", hok="blocks.0.hook_post")  # wrong
workbench.run("ablation", model=3, hook="blocks.0.hook_post")  # wrong for pyrefly
workbench.run("ablation", model="digits_mlp", hook="blocks.0.hook_post", seed="0")  # wrong
workbench.run("ablation", model="digits_mlp", hook="blocks.0.hook_post", metric="logitt")  # wrong
workbench.run("anatomy", model="digits_mlp", metric="logit")  # wrong
workbench.run("maximization", model="mnist_cnn", hook="blocks.0.hook_post", units="0,3")  # wrong
workbench.run("maximization", model="mnist_cnn", hook="blocks.0.hook_post", steps=1.5)  # wrong
workbench.run("patching", model="digits_mlp", hook="blocks.0.hook_post", axes="pos")  # wrong
workbench.run("circuit", model="digits_mlp", positions="yes")  # wrong
print(ablation.efect)  # wrong
print(circuit.hook)  # wrong
number: int = workbench.run("head_patterns", model="induction_gpt")  # wrong
workbench.figure()  # wrong
workbench.table(ablation, 3)  # wrong
workbench.load("digits_mlp", step="10")  # wrong
workbench.load()  # wrong
workbench.lod("digits_mlp")  # wrong
model.cache(x, hook="blocks.0.hook_post")  # wrong
model.edited(["blocks.0.hook_post"])  # wrong
workbench.interventions.scale("blocks.0.hook_post", factor="2")  # wrong
workbench.interventions.zeros("blocks.0.hook_post")  # wrong
workbench.Site.parse(3)  # wrong
workbench.catalog(3)  # wrong
print(card.parametres)  # wrong
workbench.names("digits")  # wrong
workbench.wrap(example=torch.zeros(2, 4))  # wrong
text: str = workbench.known_circuit("planted_cnn")  # wrong
sentence: int = describe(ablation)  # wrong
print(ablation.labels["batch"] + 1)  # wrong
count: int = workbench.figure(ablation)  # wrong for pyrefly
workbench.figure(ablation).write_htm("ablation.html")  # wrong for pyrefly
rows: str = workbench.table(ablation)  # wrong for pyrefly
