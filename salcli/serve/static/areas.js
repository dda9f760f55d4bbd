// Areas of interest: named boxes and polygons in fractions of the picture, the same on all versions.
import {coverage, measure} from "./maps.js";

// Okabe and Ito's colours, as in salcli's pictures.
const INKS = ["rgb(0 114 178)", "rgb(213 94 0)", "rgb(0 158 115)", "rgb(204 121 167)", "rgb(230 159 0)", "rgb(86 180 233)", "rgb(60 60 60)"];
const LEAST = 0.005, STEP = 0.01;

const clamp = (value, low, high) => Math.min(high, Math.max(low, value));
const box = (x, y, width, height) => [[x, y], [x + width, y], [x + width, y + height], [x, y + height]];
export const bounds = ({points}) => {
  const [xs, ys] = [0, 1].map(axis => points.map(point => point[axis]));
  const [x, y] = [Math.min(...xs), Math.min(...ys)];
  return {x, y, width: Math.max(...xs) - x, height: Math.max(...ys) - y};
};

export class Areas extends EventTarget {
  list = [];
  selected = null;
  changed() { this.dispatchEvent(new Event("change")); }

  add(place = null) {
    const used = new Set(this.list.map(area => area.name)), number = [...Array(this.list.length + 1).keys()].find(n => !used.has(`area ${n + 1}`)) + 1;
    const shift = 0.03 * (this.list.length % 8), area = {name: `area ${number}`, points: place ? box(...place) : box(0.35 + shift, 0.35 + shift, 0.2, 0.15), box: true};
    this.list.push(area);
    this.selected = area;
    this.changed();
    return area;
  }
  remove(area) {
    this.list = this.list.filter(each => each !== area);
    if (this.selected === area) this.selected = this.list.at(-1) ?? null;
    this.changed();
  }
  rename(area, name) { area.name = name.trim() || area.name; this.changed(); }
  ink(area) { return INKS[this.list.indexOf(area) % INKS.length]; }

  // Moves by a part of the picture; stays inside.
  move(area, dx, dy) {
    const {x, y, width, height} = bounds(area);
    const [right, down] = [clamp(dx, -x, 1 - width - x), clamp(dy, -y, 1 - height - y)];
    area.points = area.points.map(point => [point[0] + right, point[1] + down]);
    this.changed();
  }
  // Moves the corner at (0 or 1, 0 or 1) to a place; the opposite one stays.
  size(area, corner, x, y) {
    const old = bounds(area), fixed = [corner[0] ? old.x : old.x + old.width, corner[1] ? old.y : old.y + old.height];
    const to = [x, y].map((value, axis) => clamp(value, corner[axis] ? fixed[axis] + LEAST : 0, corner[axis] ? 1 : fixed[axis] - LEAST));
    const [left, top] = [Math.min(fixed[0], to[0]), Math.min(fixed[1], to[1])];
    area.points = box(left, top, Math.abs(fixed[0] - to[0]), Math.abs(fixed[1] - to[1]));
    this.changed();
  }

  // The text of an areas.json in percent, which fits every size of a picture.
  text() {
    const percent = value => `${Number((100 * value).toFixed(4))}%`;
    const entries = this.list.map(area => {
      const {x, y, width, height} = bounds(area);
      return area.box ? {name: area.name, box: [x, y, width, height].map(percent)} : {name: area.name, polygon: area.points.map(point => point.map(percent))};
    });
    return JSON.stringify({areas: entries}, null, 2) + "\n";
  }
  // Takes the text of an areas.json; pixels are those of a picture of this size.
  read(text, size) {
    const fraction = (value, axis) => {
      const number = parseFloat(value);
      if (!Number.isFinite(number)) throw new Error(`${JSON.stringify(value)} is no number of pixels or percent`);
      return String(value).trim().endsWith("%") ? number / 100 : number / size[axis];
    };
    const document = JSON.parse(text);
    if (!Array.isArray(document?.areas)) throw new Error('there is no list "areas"');
    const found = document.areas.map(entry => {
      if (Array.isArray(entry.box) && entry.box.length === 4) return {name: String(entry.name), points: box(...entry.box.map((value, at) => fraction(value, at % 2))), box: true};
      if (Array.isArray(entry.polygon)) return {name: String(entry.name), points: entry.polygon.map(point => point.map(fraction)), box: false};
      throw new Error("an area has neither a box nor a polygon; areas that move are for clips on the command line");
    });
    this.list = found;
    this.selected = null;
    this.changed();
  }

  // What an area gets of a map at an index.
  measure(area, map, index) { return measure(map.at(index), this.covered(area, map)); }
  covered(area, map) {
    const key = JSON.stringify([area.points, map.width, map.height]);
    if (area.key !== key) Object.assign(area, {key, covers: coverage(area.points, map)});
    return area.covers;
  }
}

// The layer over a picture on which areas are drawn, moved, sized and removed.
export class Editor {
  constructor(areas, layer, label) {
    Object.assign(this, {areas, layer, label, nodes: new Map()});
    layer.addEventListener("pointerdown", event => this.press(event));
    areas.addEventListener("change", () => this.show());
    this.show();
  }
  place(event) {
    const frame = this.layer.getBoundingClientRect();
    return [clamp((event.clientX - frame.left) / frame.width, 0, 1), clamp((event.clientY - frame.top) / frame.height, 0, 1)];
  }
  press(event) {
    const armed = document.body.classList.contains("armed");
    if (event.button !== 0 || (event.pointerType !== "mouse" && !armed && event.target === this.layer)) return;
    const from = this.place(event), node = event.target.closest(".area"), grip = event.target.dataset.corner;
    let area = node?.area, last = from, moved = false;
    const follow = each => {
      const to = this.place(each);
      if (!area) {
        if (Math.hypot(each.clientX - event.clientX, each.clientY - event.clientY) < 5) return;
        area = this.areas.add([Math.min(from[0], to[0]), Math.min(from[1], to[1]), LEAST, LEAST]);
        area.from = from;
      }
      moved = true;
      if (area.from) {
        const [left, top] = [0, 1].map(axis => Math.min(from[axis], to[axis]));
        area.points = box(left, top, Math.max(LEAST, Math.abs(to[0] - from[0])), Math.max(LEAST, Math.abs(to[1] - from[1])));
        this.areas.changed();
      } else if (grip) this.areas.size(area, [...grip].map(Number), ...to);
      else this.areas.move(area, to[0] - last[0], to[1] - last[1]);
      last = to;
    };
    const end = () => {
      this.layer.removeEventListener("pointermove", follow);
      document.body.classList.remove("armed");
      if (area) {
        delete area.from;
        this.areas.selected = area;
        this.nodes.get(area)?.focus({preventScroll: true});
        if (moved) this.areas.changed();
      }
      this.areas.dispatchEvent(new Event("drawn"));
    };
    event.preventDefault();
    this.layer.setPointerCapture(event.pointerId);
    this.layer.addEventListener("pointermove", follow);
    this.layer.addEventListener("lostpointercapture", end, {once: true});
  }
  key(event, area) {
    const step = {ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP]}[event.key];
    if (step && event.shiftKey && area.box) {
      const {x, y, width, height} = bounds(area);
      this.areas.size(area, [1, 1], x + width + step[0], y + height + step[1]);
    } else if (step) this.areas.move(area, ...step);
    else if (event.key === "Delete" || event.key === "Backspace") {
      this.areas.remove(area);
      this.nodes.get(this.areas.selected)?.focus();
    } else if (event.key === "Enter") document.querySelector(`#areas tbody tr:nth-child(${this.areas.list.indexOf(area) + 1}) input`)?.select();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }
  show() {
    for (const [area, node] of this.nodes) {
      if (!this.areas.list.includes(area)) { node.remove(); this.nodes.delete(area); }
    }
    for (const area of this.areas.list) {
      const node = this.nodes.get(area) ?? this.make(area), {x, y, width, height} = bounds(area);
      Object.assign(node.style, {left: `${100 * x}%`, top: `${100 * y}%`, width: `${100 * width}%`, height: `${100 * height}%`});
      node.style.setProperty("--ink", this.areas.ink(area));
      node.classList.toggle("low", y < 0.06);
      node.classList.toggle("far", x > 0.7);
      const label = this.label(area);
      node.querySelector("b").textContent = label;
      node.setAttribute("aria-label", `${label}; arrows move it, with Shift they size it, Delete removes it`);
      this.outline(node, area, {x, y, width, height});
    }
  }
  outline(node, area, frame) {
    if (area.box) return;
    const shape = node.querySelector("polygon");
    shape.setAttribute("points", area.points.map(([x, y]) => `${100 * (x - frame.x) / frame.width},${100 * (y - frame.y) / frame.height}`).join(" "));
    shape.style.stroke = this.areas.ink(area);
  }
  make(area) {
    const node = document.createElement("div");
    Object.assign(node, {className: area.box ? "area" : "area polygon", tabIndex: 0, area});
    node.setAttribute("role", "group");
    node.append(document.createElement("b"));
    if (area.box) {
      for (const corner of ["00", "10", "01", "11"]) {
        const grip = document.createElement("i");
        grip.dataset.corner = corner;
        node.append(grip);
      }
    } else {
      const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg"), shape = document.createElementNS("http://www.w3.org/2000/svg", "polygon");
      svg.setAttribute("viewBox", "0 0 100 100");
      svg.setAttribute("preserveAspectRatio", "none");
      for (const [name, value] of [["fill", "none"], ["stroke-width", "3"], ["vector-effect", "non-scaling-stroke"]]) shape.setAttribute(name, value);
      svg.append(shape);
      node.append(svg);
    }
    node.addEventListener("keydown", event => this.key(event, area));
    node.addEventListener("focus", () => { this.areas.selected = area; });
    this.nodes.set(area, node);
    this.layer.append(node);
    return node;
  }
}
