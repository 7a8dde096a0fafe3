// The stages of a network from input to output, with every hook a button.
function make(name, className, text) {
  const node = document.createElement(name);
  if (className) node.className = className;
  if (text != null) node.textContent = text;
  return node;
}

function chip(hook, selected, select) {
  const button = make("button", hook.asked ? "asked" : "", hook.label);
  button.type = "button";
  button.dataset.id = hook.name;
  button.title = `${hook.name}: ${hook.shape}${hook.asked ? " (computed only when asked for)" : ""}`;
  button.setAttribute("aria-label", button.title);
  button.setAttribute("aria-pressed", hook.name === selected);
  button.onclick = () => select(hook.name);
  return button;
}

function box(stage, data, select) {
  const node = make("section", stage.parts.length ? "stage" : "stage bare");
  const title = make("h4", "", stage.title);
  if (stage.shape) title.appendChild(make("span", "", stage.shape));
  node.appendChild(title);
  for (const part of stage.parts) {
    const row = make("div", "part");
    if (part.title) row.appendChild(make("span", "", part.title));
    for (const hook of part.hooks) row.appendChild(chip(hook, data.selected, select));
    node.appendChild(row);
  }
  return node;
}

export default function ({ data, parentElement, setStateValue }) {
  const root = parentElement.querySelector(".wb-architecture");
  const select = (name) => {
    for (const button of root.querySelectorAll("button")) button.setAttribute("aria-pressed", button.dataset.id === name);
    setStateValue("hook", name);
  };
  if (root.dataset.key !== data.key) {
    root.dataset.key = data.key;
    root.replaceChildren();
    data.stages.forEach((stage, place) => {
      if (place) root.appendChild(make("div", "arrow"));
      root.appendChild(box(stage, data, select));
    });
  }
  for (const button of root.querySelectorAll("button")) button.setAttribute("aria-pressed", button.dataset.id === data.selected);
}
