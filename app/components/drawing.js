// A grey canvas of side x side pixels. The drawing stays in the browser until a stroke ends.
class Drawing {
  constructor(root) {
    this.canvas = root.querySelector("canvas");
    this.output = root.querySelector("output");
    this.side = 0;
    root.querySelector("button").onclick = () => this.clear();
    this.canvas.onpointerdown = (event) => this.start(event);
    this.canvas.onpointermove = (event) => this.continue(event);
    this.canvas.onpointerup = this.canvas.onpointercancel = () => this.end();
    this.canvas.onkeydown = (event) => this.press(event);
    this.canvas.onblur = this.canvas.onfocus = () => this.paint();
  }

  update(side, send) {
    this.send = send;
    if (side === this.side) return;
    this.side = side;
    this.canvas.width = this.canvas.height = side * 8;
    this.pixels = new Float32Array(side * side);
    this.cursor = [side >> 1, side >> 1];
    this.paint();
  }

  clear() {
    this.pixels.fill(0);
    this.paint();
    this.tell();
  }

  // Where the pointer is, in pixels of the drawing.
  place(event) {
    const box = this.canvas.getBoundingClientRect();
    return [((event.clientX - box.left) / box.width) * this.side, ((event.clientY - box.top) / box.height) * this.side];
  }

  start(event) {
    this.canvas.setPointerCapture(event.pointerId);
    this.last = this.place(event);
    this.brush(...this.last);
  }

  continue(event) {
    if (!this.last) return;
    const next = this.place(event);
    const steps = Math.max(1, Math.ceil(4 * Math.hypot(next[0] - this.last[0], next[1] - this.last[1])));
    for (let i = 1; i <= steps; i++) {
      this.brush(...[0, 1].map((axis) => this.last[axis] + ((next[axis] - this.last[axis]) * i) / steps));
    }
    this.last = next;
  }

  end() {
    if (this.last) this.tell();
    this.last = null;
  }

  // A soft round brush as wide as a pen stroke in the data sets: about a twelfth of the side.
  brush(x, y) {
    const radius = Math.max(0.62, this.side / 22);
    for (let row = 0; row < this.side; row++) {
      for (let column = 0; column < this.side; column++) {
        const distance = Math.hypot(column + 0.5 - x, row + 0.5 - y);
        const ink = Math.min(1, Math.max(0, radius + 0.5 - distance));
        const place = row * this.side + column;
        this.pixels[place] = Math.max(this.pixels[place], ink);
      }
    }
    this.paint();
  }

  press(event) {
    const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    if (moves[event.key]) this.cursor = this.cursor.map((at, axis) => Math.min(this.side - 1, Math.max(0, at + moves[event.key][axis])));
    else if (event.key === " " || event.key === "Enter") {
      const place = this.cursor[1] * this.side + this.cursor[0];
      this.pixels[place] = this.pixels[place] > 0.5 ? 0 : 1;
      this.tell();
    } else if (event.key === "Delete" || event.key === "Backspace") this.clear();
    else return;
    event.preventDefault();
    this.paint();
  }

  paint() {
    const context = this.canvas.getContext("2d");
    for (let i = 0; i < this.pixels.length; i++) {
      const grey = Math.round(255 * this.pixels[i]);
      context.fillStyle = `rgb(${grey},${grey},${grey})`;
      context.fillRect((i % this.side) * 8, Math.floor(i / this.side) * 8, 8, 8);
    }
    if (this.canvas.matches(":focus-visible")) {
      context.strokeStyle = "#ffb000";
      context.lineWidth = 2;
      context.strokeRect(this.cursor[0] * 8 + 1, this.cursor[1] * 8 + 1, 6, 6);
    }
  }

  tell() {
    const drawn = this.pixels.some((value) => value > 0);
    this.output.textContent = drawn ? "" : "empty";
    this.send([...this.pixels].map((value) => Math.round(255 * value)));
  }
}

const drawings = new WeakMap();

export default function ({ data, parentElement, setStateValue }) {
  let drawing = drawings.get(parentElement);
  if (!drawing) {
    drawing = new Drawing(parentElement);
    drawings.set(parentElement, drawing);
  }
  drawing.update(data.side, (pixels) => setStateValue("pixels", pixels));
}
