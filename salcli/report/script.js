"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const control = Object.fromEntries(["model", "opacity", "wipe"].map(id => [id, document.getElementById(id)]));
const views = [];
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

function view(entry) {
  const canvas = make("canvas", {}), notes = make("div", {});
  canvas.setAttribute("aria-hidden", "true");
  let model = null, track = null;
  const time = () => stage.currentTime || 0;
  const redraw = () => {
    if (!model) return;
    paint(canvas, model.tiles, entry.times ? moment(entry.times, time()) : 0);
    track?.follow(time());
  };
  const stage = entry.video ? player(entry, () => redraw()) : make("img", {src: entry.picture, alt: entry.name, width: entry.width, height: entry.height});
  for (const each of entry.models) {
    each.tiles.picture = make("img", {onload: () => redraw(), src: each.tiles.source});
  }
  const choose = name => {
    model = entry.models.find(each => each.name === name) ?? null;
    canvas.hidden = !model;
    track = model?.series ? timeline(entry, model, stage) : null;
    notes.replaceChildren(...(model ? [facts(model.facts), ...(track ? [track.node] : [])] : []));
    redraw();
  };
  const look = (opacity, wipe) => {
    canvas.style.opacity = opacity;
    canvas.style.clipPath = `inset(0 ${100 - wipe}% 0 0)`;
  };
  const node = make("article", {className: entry.video ? "clip" : "still"}, make("h2", {textContent: entry.name}), make("figure", {}, stage, canvas), notes);
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
const choose = () => { views.forEach(each => each.choose(control.model.value)); refresh(); };
const nudge = (slider, step) => { slider.value = Number(slider.value) + step; refresh(); };

for (const name of data.models) control.model.append(make("option", {value: name, textContent: name}));
for (const entry of data.entries) {
  views.push(view(entry));
  document.getElementById("entries").append(views.at(-1).node);
}
control.model.addEventListener("change", choose);
control.opacity.addEventListener("input", refresh);
control.wipe.addEventListener("input", refresh);
document.addEventListener("keydown", event => {
  if (event.ctrlKey || event.altKey || event.metaKey || event.target.matches("select")) return;
  const actions = {
    m: () => { control.model.selectedIndex = (control.model.selectedIndex + 1) % control.model.length; choose(); },
    "[": () => nudge(control.opacity, -5), "]": () => nudge(control.opacity, 5),
    ",": () => nudge(control.wipe, -5), ".": () => nudge(control.wipe, 5),
  };
  actions[event.key]?.();
});
legend();
choose();
