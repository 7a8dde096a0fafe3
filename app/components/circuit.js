// The circuit graph: data in, a selected node out. Threshold, hover and zoom stay in the browser.
const SVG = "http://www.w3.org/2000/svg";
const NODE = { width: 42, height: 22 };
const GAP = 10;

function element(name, attributes = {}, text = null) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text !== null) node.textContent = text;
  return node;
}

// Reuses the children of `parent` by key: a rerun changes what differs and nothing else.
function diff(parent, items, keyOf, create, update) {
  const old = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  for (const item of items) {
    const key = keyOf(item);
    let child = old.get(key);
    if (child) old.delete(key);
    else {
      child = create(item);
      child.dataset.key = key;
      parent.appendChild(child);
    }
    update(child, item);
  }
  for (const child of old.values()) child.remove();
}

const share = (value) => number(value == null ? value : Math.round(value * 1e4) / 1e4 + 0);
const number = (value) => (value == null || !isFinite(value) ? "–" : Number(value.toPrecision(3)).toString());
const count = (value) => value.toLocaleString("en");

// Slider positions are spread evenly over the logarithm of the number of edges.
const POSITIONS = 400;
const toEdges = (position, n) => Math.max(1, Math.round(Math.pow(n, position / POSITIONS)));
const toPosition = (edges, n) => (n <= 1 ? POSITIONS : Math.round((POSITIONS * Math.log(edges)) / Math.log(n)));

function interpolate(xs, ys, x) {
  if (!xs.length || x < xs[0]) return null;
  for (let i = 1; i < xs.length; i++) {
    if (x <= xs[i]) return ys[i - 1] + ((ys[i] - ys[i - 1]) * (x - xs[i - 1])) / (xs[i] - xs[i - 1] || 1);
  }
  return ys[ys.length - 1];
}

class CircuitGraph {
  constructor(root) {
    this.root = root.querySelector(".wb-circuit");
    this.slider = root.querySelector("input");
    this.summary = root.querySelector("output");
    this.svg = root.querySelector(".graph");
    this.stage = root.querySelector(".stage");
    this.curve = root.querySelector(".curve");
    this.empty = root.querySelector(".empty");
    this.zoom = 1;
    this.slider.oninput = () => this.show(toEdges(Number(this.slider.value), this.most));
    this.curve.onclick = (event) => this.pickOnCurve(event);
    for (const button of root.querySelectorAll("button")) button.onclick = () => this.rescale(button.dataset.zoom);
    this.resized = new ResizeObserver(() => this.data && this.draw());
    this.resized.observe(this.stage);
  }

  update(data, select) {
    const fresh = !this.data || this.data.key !== data.key;
    this.data = data;
    this.select = select;
    this.root.classList.toggle("dark", isDark(this.root));
    if (fresh) {
      this.selected = data.selected;
      this.most = Math.max(1, ...data.edges.map((edge) => edge.rank));
      this.shown = Math.min(data.start, this.most);
      this.slider.max = POSITIONS;
      this.slider.value = toPosition(this.shown, this.most);
    }
    this.show(this.shown);
  }

  rescale(direction) {
    this.zoom = direction === "0" ? 1 : Math.min(3, Math.max(0.4, this.zoom * (direction === "+" ? 1.25 : 0.8)));
    this.draw();
  }

  show(n) {
    this.shown = n;
    const { curve, total } = this.data;
    this.edges = this.alive(n);
    const own = interpolate(curve.edges, curve.faithfulness, n);
    const chance = interpolate(curve.edges, curve.random, n);
    const live = this.edges.length < n ? ` (${count(this.edges.length)} on a path to the output)` : "";
    this.empty.hidden = this.edges.length > 0;
    const text = `${count(n)} of ${count(total)} edges kept${live}: faithfulness ${share(own)}, random circuits ${share(chance)}`;
    this.summary.textContent = text;
    this.slider.setAttribute("aria-valuetext", text);
    this.draw();
    this.drawCurve();
  }

  // The n strongest edges without those that lie on no path from an input to an output.
  alive(n) {
    const kept = this.data.edges.filter((edge) => edge.rank <= n);
    const ends = (flag) => new Set(this.data.nodes.filter((node) => node[flag]).map((node) => node.id));
    const layer = new Map(this.data.nodes.map((node) => [node.id, node.layer]));
    const ways = [...kept, ...this.data.inner];
    const heard = ends(this.data.counterfactual ? "source" : "id");
    const wanted = ends("sink");
    ways.sort((a, b) => layer.get(a.source) - layer.get(b.source));
    for (const way of ways) if (heard.has(way.source)) heard.add(way.target);
    ways.sort((a, b) => layer.get(b.target) - layer.get(a.target));
    for (const way of ways) if (wanted.has(way.target)) wanted.add(way.source);
    return kept.filter((edge) => heard.has(edge.source) && wanted.has(edge.target));
  }

  draw() {
    const used = new Set(this.edges.flatMap((edge) => [edge.source, edge.target]));
    if (this.selected != null) used.add(this.selected);
    this.nodes = this.data.nodes.filter((node) => used.has(node.id));
    this.inner = this.data.inner.filter((link) => used.has(link.source) && used.has(link.target));
    this.place();
    this.drawEdges();
    this.drawNodes();
    this.focus(this.selected);
  }

  // Layers run from left to right, or from top to bottom where the page is narrow; a full layer wraps.
  place() {
    const wide = this.stage.clientWidth >= 640;
    const layers = [...new Set(this.nodes.map((node) => node.layer))].sort((a, b) => a - b);
    const [along, across] = wide ? [NODE.width + GAP, NODE.height + GAP] : [NODE.height + 16, NODE.width + GAP];
    const capacity = wide ? 22 : Math.max(1, Math.floor((this.stage.clientWidth - 20) / across));
    const counts = layers.map((layer) => this.nodes.filter((node) => node.layer === layer).length);
    const taken = counts.reduce((sum, n) => sum + Math.ceil(n / capacity) * along, 18);
    const room = wide ? Math.max(8, (this.stage.clientWidth - taken) / Math.max(1, layers.length - 1)) : 34;
    const most = Math.min(capacity, Math.max(1, ...counts));
    const extent = wide ? Math.max(most * across, 240) : this.stage.clientWidth - 20;
    this.at = new Map();
    this.column = new Map();
    this.labels = [];
    let position = wide ? 10 : 22;
    layers.forEach((layer, i) => {
      const members = this.nodes.filter((node) => node.layer === layer);
      const lines = Math.ceil(counts[i] / capacity);
      const last = wide && i === layers.length - 1 && i > 0;
      const label = wide ? [position + (last ? lines * along - GAP : 0), i % 2 ? 28 : 13] : [8, position - 6];
      this.labels.push({ text: this.data.layers[layer], x: label[0], y: label[1], last });
      members.forEach((node, j) => {
        this.column.set(node.id, i);
        const line = Math.floor(j / capacity);
        const inLine = Math.min(capacity, members.length - line * capacity);
        const cross = extent / 2 + ((j % capacity) - (inLine - 1) / 2) * across;
        const main = position + line * along + (wide ? NODE.width : NODE.height) / 2;
        this.at.set(node.id, wide ? [main, cross + 44] : [cross + 10, main]);
      });
      position += lines * along + room;
    });
    const width = Math.max(position - room + 4, 120);
    const size = wide ? [width, extent + 66] : [Math.max(this.stage.clientWidth - 2, 120), Math.max(position, 40)];
    this.wide = wide;
    this.middle = extent / 2 + 44;
    this.svg.setAttribute("viewBox", `0 0 ${size[0]} ${size[1]}`);
    this.svg.setAttribute("width", size[0] * this.zoom);
    this.svg.setAttribute("height", size[1] * this.zoom);
  }

  path(edge) {
    const [x1, y1] = this.at.get(edge.source);
    const [x2, y2] = this.at.get(edge.target);
    if (this.wide) {
      const [a, b] = [x1 + NODE.width / 2, x2 - NODE.width / 2];
      const bend = Math.max(18, Math.abs(b - a) / 2);
      const skipped = this.column.get(edge.target) - this.column.get(edge.source) - 1;
      const aside = Math.min(100, 26 * skipped); // around what stands between
      const lift = y1 <= this.middle ? -aside : aside;
      return `M${a},${y1}C${a + bend},${y1 + lift} ${b - bend},${y2 + lift} ${b},${y2}`;
    }
    const [a, b] = [y1 + NODE.height / 2, y2 - NODE.height / 2];
    const bend = Math.max(12, Math.abs(b - a) / 2);
    return `M${x1},${a}C${x1},${a + bend} ${x2},${b - bend} ${x2},${b}`;
  }

  drawEdges() {
    const largest = Math.abs(this.data.edges[0]?.score) || 1;
    diff(
      this.svg.querySelector(".edges"), this.edges, (edge) => edge.id,
      (edge) => {
        const path = element("path", { "data-id": edge.id });
        path.appendChild(element("title", {}, `${edge.id}: ${number(edge.score)}`));
        return path;
      },
      (path, edge) => {
        path.setAttribute("class", edge.score < 0 ? "edge" : "edge lowers");
        path.setAttribute("d", this.path(edge));
        path.setAttribute("stroke-width", 0.8 + 4 * Math.sqrt(Math.abs(edge.score) / largest));
      },
    );
    diff(
      this.svg.querySelector(".inner"), this.inner, (link) => `${link.source} ${link.target}`,
      () => element("path", { class: "link" }),
      (path, link) => path.setAttribute("d", this.path(link)),
    );
    diff(
      this.svg.querySelector(".layers"), this.labels, (label) => label.text,
      (label) => element("text", { class: "layer" }, label.text),
      (text, label) => {
        text.setAttribute("x", label.x);
        text.setAttribute("y", label.y);
        text.setAttribute("text-anchor", label.last ? "end" : "start");
      },
    );
  }

  drawNodes() {
    const tabbable = this.nodes.some((node) => node.id === this.current) ? this.current : this.nodes[0]?.id;
    diff(
      this.svg.querySelector(".nodes"), this.nodes, (node) => node.id,
      (node) => this.createNode(node),
      (group, node) => {
        const [x, y] = this.at.get(node.id);
        const [into, out] = ["target", "source"].map((end) => this.edges.filter((edge) => edge[end] === node.id).length);
        group.setAttribute("transform", `translate(${x},${y})`);
        group.setAttribute("class", node.id === this.selected ? "node selected" : "node");
        group.setAttribute("aria-pressed", node.id === this.selected);
        group.setAttribute("aria-label", `${node.id}: ${into} edges in, ${out} out`);
        group.setAttribute("tabindex", node.id === tabbable ? 0 : -1);
      },
    );
  }

  createNode(node) {
    const group = element("g", { role: "button", "data-id": node.id });
    const { width, height } = NODE;
    group.appendChild(element("rect", { x: -width / 2, y: -height / 2, width, height, rx: 6 }));
    group.appendChild(element("text", {}, node.label));
    group.appendChild(element("title", {}, node.id));
    group.onclick = () => this.pick(node.id);
    group.onkeydown = (event) => this.press(event, node.id);
    group.onpointerenter = () => this.focus(node.id);
    group.onpointerleave = () => this.focus(this.selected);
    group.onfocus = () => { this.current = node.id; };
    return group;
  }

  pick(id) {
    this.selected = this.selected === id ? null : id;
    this.current = id;
    this.drawNodes();
    this.focus(this.selected);
    this.select(this.selected);
  }

  press(event, id) {
    const moves = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] };
    if (event.key === "Enter" || event.key === " ") this.pick(id);
    else if (event.key === "Escape" && this.selected != null) this.pick(this.selected);
    else if (moves[event.key]) this.move(id, ...moves[event.key]);
    else return;
    event.preventDefault();
  }

  // To the nearest node that lies in the direction of the arrow.
  move(id, dx, dy) {
    const [x, y] = this.at.get(id);
    let best = null;
    for (const node of this.nodes) {
      const [u, v] = this.at.get(node.id);
      const ahead = (u - x) * dx + (v - y) * dy;
      const aside = Math.abs((u - x) * dy) + Math.abs((v - y) * dx);
      if (ahead > 1 && (!best || ahead + 3 * aside < best.cost)) best = { id: node.id, cost: ahead + 3 * aside };
    }
    if (!best) return;
    this.current = best.id;
    this.drawNodes();
    [...this.svg.querySelector(".nodes").children].find((child) => child.dataset.key === best.id).focus();
  }

  // Dims what does not touch the node.
  focus(id) {
    const near = new Set(id == null ? [] : [id]);
    for (const edge of this.edges) if (edge.source === id || edge.target === id) near.add(edge.source).add(edge.target);
    const touching = new Set(this.edges.filter((e) => e.source === id || e.target === id).map((e) => e.id));
    this.svg.classList.toggle("focus", id != null);
    for (const path of this.svg.querySelector(".edges").children) path.classList.toggle("near", touching.has(path.dataset.key));
    for (const node of this.svg.querySelector(".nodes").children) node.classList.toggle("near", near.has(node.dataset.key));
  }

  pickOnCurve(event) {
    const box = this.curve.getBoundingClientRect();
    const share = Math.min(1, Math.max(0, (event.clientX - box.left - 34) / (box.width - 44)));
    const largest = Math.max(...this.data.curve.edges, 1);
    const n = Math.min(this.most, Math.max(1, Math.round(Math.pow(largest, share))));
    this.slider.value = toPosition(n, this.most);
    this.show(n);
  }

  drawCurve() {
    const { edges, faithfulness, random, low, high } = this.data.curve;
    const [width, height] = [this.curve.clientWidth || 250, 200];
    const largest = Math.max(...edges, 2);
    const values = [...faithfulness, ...random, 0, 1].filter(isFinite);
    const [bottom, top] = [Math.max(-1, Math.min(...values)), Math.min(2, Math.max(...values))];
    const x = (n) => 34 + ((width - 44) * Math.log(Math.max(n, 1))) / Math.log(largest);
    const y = (v) => height - 24 - ((height - 36) * (Math.min(top, Math.max(bottom, v)) - bottom)) / (top - bottom);
    const line = (ys) => edges.map((n, i) => `${i ? "L" : "M"}${x(n)},${y(ys[i])}`).join("");
    const band = low.length ? `${line(high)}${[...edges].reverse().map((n, i) => `L${x(n)},${y(low[edges.length - 1 - i])}`).join("")}Z` : "";
    const parts = [0, 1].map((v) => element("line", { class: "grid", x1: 34, x2: width - 10, y1: y(v), y2: y(v) }));
    parts.push(...[0, 1].map((v) => element("text", { x: 22, y: y(v) + 4 }, v)));
    parts.push(element("path", { class: "band", d: band }), element("path", { class: "line random", d: line(random) }));
    parts.push(element("path", { class: "line circuit", d: line(faithfulness) }));
    parts.push(element("line", { class: "now", x1: x(this.shown), x2: x(this.shown), y1: 8, y2: height - 24 }));
    parts.push(element("text", { x: 34, y: height - 8 }, "1"), element("text", { x: width - 10, y: height - 8, "text-anchor": "end" }, `${count(largest)} edges`));
    this.curve.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.curve.setAttribute("aria-label", this.data.finding);
    this.curve.replaceChildren(...parts);
  }
}

function isDark(root) {
  const [r, g, b] = getComputedStyle(root).color.match(/\d+/g).map(Number);
  return r + g + b > 382; // light text
}

const graphs = new WeakMap();

export default function ({ data, parentElement, setStateValue }) {
  let graph = graphs.get(parentElement);
  if (!graph) {
    graph = new CircuitGraph(parentElement);
    graphs.set(parentElement, graph);
  }
  graph.update(data, (id) => setStateValue("selected", id));
}
