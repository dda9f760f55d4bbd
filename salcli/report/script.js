"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const control = Object.fromEntries(["model", "opacity", "wipe"].map(id => [id, document.getElementById(id)]));
const views = [], TOGETHER = "side by side", SOON = 6; // so many views are built at once, others when there is time
document.getElementById("controls").addEventListener("submit", event => event.preventDefault());

const make = (tag, properties = {}, ...children) => {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
};
const drawing = (tag, attributes) => {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  return node;
};
const text = value => typeof value === "number" ? String(Math.round(value * 1000) / 1000) : value;
const bytes = base64 => Uint8Array.from(atob(base64), letter => letter.charCodeAt(0));

// A map is a tile of a grey picture; each level has a colour and an opacity.
function paint(canvas, tiles, index) {
  const {width, height, columns, picture} = tiles;
  if (!picture.complete || !picture.naturalWidth) return;
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d", {willReadFrequently: true});
  context.drawImage(picture, index % columns * width, Math.floor(index / columns) * height, width, height, 0, 0, width, height);
  const pixels = context.getImageData(0, 0, width, height);
  for (let at = 0; at < pixels.data.length; at += 4) {
    const level = pixels.data[at];
    pixels.data.set(data.colours[level], at);
    pixels.data[at + 3] = data.cover[level];
  }
  context.putImageData(pixels, 0, 0);
}

function facts(pairs) {
  return make("dl", {}, ...Object.entries(pairs).map(([name, value]) =>
    make("div", {}, make("dt", {textContent: name}), make("dd", {textContent: text(value)}))));
}

// The moment whose map is shown at a time: the last one that is not later.
function moment(times, time) {
  let low = 0, high = times.length - 1;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (times[middle] <= time + 1e-4) low = middle; else high = middle - 1;
  }
  return low;
}

function timeline(entry, model, video) {
  const rows = Object.entries(model.series), unit = 40;
  const chart = drawing("svg", {class: "timeline", viewBox: `0 0 1000 ${unit * rows.length}`, preserveAspectRatio: "none", tabindex: 0, role: "slider", "aria-label": "Timeline", "aria-valuemin": 0, "aria-valuemax": entry.duration});
  chart.style.height = `${3.2 * rows.length}rem`;
  const names = make("div", {className: "names"});
  rows.forEach(([name, values], row) => {
    const known = values.filter(value => value !== null), low = Math.min(...known), high = Math.max(...known);
    const points = values.map((value, index) => value === null ? "" : `${1000 * entry.times[index] / entry.duration},${unit * (row + 0.92 - 0.84 * (value - low) / (high - low || 1))}`);
    chart.append(drawing("polyline", {points: points.join(" ")}), drawing("line", {class: "rule", x1: 0, x2: 1000, y1: unit * row, y2: unit * row}));
    names.append(make("span", {}, name, make("small", {textContent: known.length ? `${text(low)} to ${text(high)}` : "undefined"})));
  });
  const cursor = drawing("line", {x1: 0, x2: 0, y1: 0, y2: unit * rows.length});
  chart.append(cursor);
  const seek = time => { video.currentTime = Math.min(Math.max(time, 0), entry.duration); };
  const point = event => {
    const box = chart.getBoundingClientRect();
    seek((event.clientX - box.left) / box.width * entry.duration);
  };
  chart.addEventListener("pointerdown", event => { chart.setPointerCapture(event.pointerId); point(event); });
  chart.addEventListener("pointermove", event => { if (event.buttons) point(event); });
  chart.addEventListener("keydown", event => {
    const goal = {ArrowLeft: video.currentTime - 1, ArrowRight: video.currentTime + 1, Home: 0, End: entry.duration}[event.key];
    if (goal !== undefined) { event.preventDefault(); seek(goal); }
  });
  const follow = time => {
    const at = 1000 * time / entry.duration;
    cursor.setAttribute("x1", at);
    cursor.setAttribute("x2", at);
    chart.setAttribute("aria-valuenow", time.toFixed(2));
  };
  return {node: make("div", {className: "track"}, names, chart), follow};
}

function player(entry, redraw) {
  const source = URL.createObjectURL(new Blob([bytes(entry.video)], {type: "video/mp4"}));
  const video = make("video", {src: source, controls: true, loop: true, playsInline: true, preload: "auto"});
  video.setAttribute("controlslist", "nofullscreen"); // there the overlay would be missing
  video.setAttribute("aria-label", entry.name);
  const everyFrame = () => {
    redraw();
    if (video.requestVideoFrameCallback) video.requestVideoFrameCallback(everyFrame);
  };
  everyFrame();
  for (const name of ["timeupdate", "seeked", "loadeddata"]) video.addEventListener(name, redraw);
  return video;
}

// The outlines and names of areas over a picture.
function outlines(areas, shares) {
  const svg = drawing("svg", {viewBox: "0 0 100 100", preserveAspectRatio: "none", "aria-hidden": true}), names = [];
  for (const {name, ink, corners} of areas) {
    for (const polygon of corners) svg.append(drawing("polygon", {points: polygon.map(point => point.join()).join(" "), stroke: ink}));
    if (!corners.length) continue;
    const left = Math.max(0, Math.min(...corners[0].map(([x]) => x))), top = Math.max(0, Math.min(...corners[0].map(([, y]) => y)));
    const share = shares?.[name], label = make("b", {textContent: share ? `${name} ${(100 * share[0]).toFixed(1)}%` : name});
    Object.assign(label.style, {background: ink, top: `${top}%`, ...(left > 70 ? {right: "0"} : {left: `${left}%`})});
    label.classList.toggle("low", top < 6);
    names.push(label);
  }
  return [svg, ...names];
}

// A picture or clip under a map of one model.
function panel(entry, stage, caption) {
  const canvas = make("canvas", {}), over = make("div", {className: "stage"}, stage, canvas);
  canvas.setAttribute("aria-hidden", "true");
  if (entry.width) over.style.setProperty("--ratio", entry.width / entry.height);
  let model = null;
  const redraw = () => { if (model) paint(canvas, model.tiles, entry.times ? moment(entry.times, stage.currentTime || 0) : 0); };
  const choose = name => {
    model = entry.models.find(each => each.name === name) ?? null;
    canvas.hidden = !model;
    over.querySelectorAll("svg, b").forEach(each => each.remove());
    over.append(...outlines(entry.areas, model?.areas));
    if (model) {
      model.tiles.picture ??= make("img", {src: model.tiles.source});
      model.tiles.picture.addEventListener("load", redraw, {once: true});
    }
    redraw();
    return model;
  };
  const look = (opacity, wipe) => {
    canvas.style.opacity = opacity;
    canvas.style.clipPath = `inset(0 ${100 - wipe}% 0 0)`;
  };
  const name = () => model?.name;
  return {node: make("figure", {}, ...(caption ? [make("figcaption", {textContent: caption})] : []), over), choose, look, redraw, over, name};
}

const still = entry => make("img", {src: entry.picture, alt: entry.name, width: entry.width, height: entry.height});

function zoom(entry, name) {
  const dialog = document.getElementById("zoom"), large = panel(entry, still(entry));
  dialog.querySelector("figure")?.remove();
  dialog.append(large.node);
  large.choose(name);
  large.look(control.opacity.value / 100, control.wipe.value);
  dialog.showModal();
}

function view(entry) {
  const notes = make("div", {}), panels = make("div", {className: "panels"});
  let shown = [], track = null, looks = [1, 100];
  const redraw = () => {
    for (const each of shown) each.redraw();
    track?.follow(stage.currentTime || 0);
  };
  const stage = entry.video ? player(entry, () => redraw()) : null;
  const build = names => {
    const parts = entry.before ? [["Before: ", entry.before], ["After: ", entry]] : [["", entry]];
    shown = parts.flatMap(([when, part]) => names.map(name => {
      const several = [when && when + part.name, names.length > 1 && name].filter(Boolean).join(", ");
      const made = panel(part, stage ?? still(part), several);
      made.choose(name);
      if (!stage) made.over.append(make("button", {type: "button", className: "zoom", textContent: "Zoom", ariaLabel: `Zoom ${part.name}`, onclick: () => zoom(part, made.name())}));
      return made;
    }));
    node.classList.toggle("wide-still", shown.length > 1);
    panels.replaceChildren(...shown.map(each => each.node));
    look(...looks);
  };
  const choose = name => {
    const known = entry.models.map(each => each.name), first = known.includes(name) ? name : name === TOGETHER ? known[0] : null;
    const alone = shown.length === (entry.before ? 2 : 1);
    if (name === TOGETHER && !stage) build(known);
    else if (alone) shown.forEach(each => each.choose(first ?? name));
    else build([first ?? name]);
    const model = entry.models.find(each => each.name === first);
    track = model?.series ? timeline(entry, model, stage) : null;
    const technical = model ? [make("details", {}, make("summary", {textContent: "Measures"}), facts(model.facts))] : [];
    notes.replaceChildren(...(track ? [track.node] : []), ...technical);
    redraw();
  };
  const look = (...values) => { looks = values; for (const each of shown) each.look(...values); };
  const node = make("article", {className: entry.video ? "clip" : "still"}, make("h2", {textContent: entry.name}), panels, notes);
  return {node, choose, look};
}

function legend() {
  const canvas = document.getElementById("colours"), context = canvas.getContext("2d");
  data.colours.forEach((colour, level) => {
    context.fillStyle = `rgb(${colour.join()})`;
    context.fillRect(level, 0, 1, 1);
  });
}

const refresh = () => views.forEach(each => each.look(control.opacity.value / 100, control.wipe.value));
const later = window.requestIdleCallback ?? (work => setTimeout(work, 1));
let turn = 0;
function choose() {
  const mine = ++turn, name = control.model.value, waiting = views.slice(SOON);
  views.slice(0, SOON).forEach(each => each.choose(name));
  const next = () => {
    if (mine !== turn) return;
    const each = waiting.shift();
    each?.choose(name);
    if (waiting.length) later(next); else document.documentElement.dataset.built = "";
  };
  next();
  refresh();
}
const nudge = (slider, step) => { slider.value = Number(slider.value) + step; refresh(); };

for (const name of data.models) control.model.append(make("option", {value: name, textContent: name}));
if (data.entries.some(entry => entry.picture && entry.models.length > 1)) control.model.append(make("option", {value: TOGETHER, textContent: TOGETHER}));
document.getElementById("entries").classList.toggle("many", data.entries.length > SOON);
for (const entry of data.entries) {
  views.push(view(entry));
  document.getElementById("entries").append(views.at(-1).node);
}
document.querySelector("#zoom button").addEventListener("click", () => document.getElementById("zoom").close());
control.model.addEventListener("change", choose);
control.opacity.addEventListener("input", refresh);
control.wipe.addEventListener("input", refresh);
document.addEventListener("keydown", event => {
  if (event.ctrlKey || event.altKey || event.metaKey || event.target.matches("select")) return;
  const actions = {
    m: () => { control.model.selectedIndex = (control.model.selectedIndex + 1) % data.models.length; choose(); },
    "[": () => nudge(control.opacity, -5), "]": () => nudge(control.opacity, 5),
    ",": () => nudge(control.wipe, -5), ".": () => nudge(control.wipe, 5),
  };
  actions[event.key]?.();
});
legend();
choose();
