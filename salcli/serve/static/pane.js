// One version of a design or cut: its picture or clip, its maps, its timeline.
import * as api from "./api.js";
import {Editor} from "./areas.js";
import {draw, unpack} from "./maps.js";

export const make = (tag, properties = {}, ...children) => {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
};
const drawing = (tag, attributes) => {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  return node;
};
export const percent = value => `${(100 * value).toFixed(1)}%`;
const clock = seconds => `${Math.floor(seconds / 60)}:${(seconds % 60).toFixed(1).padStart(4, "0")}`;

export function save(content, name) {
  const link = make("a", {href: URL.createObjectURL(content), download: name});
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

export class Pane {
  file = null; media = null; result = null; maps = null; index = 0; #job = null; #known = new Map();

  constructor(letter, {areas, look, changed, close}) {
    Object.assign(this, {letter, areas, look, changed});
    this.canvas = make("canvas", {className: "map"});
    this.canvas.setAttribute("aria-hidden", "true");
    this.layer = make("div", {className: "layer"});
    this.stage = make("div", {className: "stage"}, this.canvas, this.layer);
    this.state = make("p", {className: "state"});
    this.state.setAttribute("role", "status");
    this.title = make("span", {className: "name"});
    this.badge = make("span", {className: "badge", textContent: letter, hidden: true});
    this.menu = make("div", {className: "menu"});
    this.download = make("details", {}, make("summary", {textContent: "Download"}), this.menu);
    const replace = make("button", {type: "button", textContent: "Replace", onclick: () => this.input.click()});
    const remove = make("button", {type: "button", textContent: "Close", onclick: close});
    this.bar = make("div", {className: "bar"}, this.badge, this.title, this.download, replace, remove);
    this.input = make("input", {type: "file", accept: "image/*,video/*,.mkv,.avi,.ts"});
    this.input.addEventListener("change", () => { if (this.input.files[0]) this.open(this.input.files[0]); this.input.value = ""; });
    this.drop = make("div", {className: "drop"}, make("strong", {textContent: letter === "A" ? "Drop a picture or clip here" : "Drop the version to compare with"}), make("span", {textContent: "or paste it, or"}), make("label", {className: "button"}, "Choose a file", this.input));
    this.player = make("div", {className: "player"});
    this.caption = make("p", {className: "caption"});
    this.node = make("section", {className: "pane"});
    this.node.setAttribute("aria-label", `Version ${letter}`);
    this.editor = new Editor(areas, this.layer, area => this.label(area));
    areas.addEventListener("change", () => { if (this.clip) this.curves(); });
    this.receive();
    this.show();
  }

  get clip() { return this.media instanceof HTMLVideoElement; }
  get size() { return this.clip ? [this.media.videoWidth, this.media.videoHeight] : [this.media?.naturalWidth ?? 0, this.media?.naturalHeight ?? 0]; }
  get map() { return this.maps ? this.maps[Math.min(this.look.moment, this.maps.length - 1)] : null; }

  receive() {
    const over = event => { event.preventDefault(); this.node.classList.toggle("over", event.type === "dragover"); };
    for (const name of ["dragover", "dragleave"]) this.node.addEventListener(name, over);
    this.node.addEventListener("drop", event => {
      over(event);
      event.stopPropagation();
      const file = event.dataTransfer.files[0];
      if (file) this.open(file); else this.say("this is no file; save it first, then drop it", true);
    });
  }

  open(file) {
    this.#job?.abort();
    this.#known.clear();
    if (this.media) URL.revokeObjectURL(this.media.src);
    this.file = file;
    this.maps = this.result = null;
    const moving = file.type.startsWith("video/") || /\.(mkv|avi|ts|mov|webm|mp4)$/i.test(file.name);
    const source = URL.createObjectURL(file);
    this.title.textContent = this.title.title = file.name || "picture";
    if (moving) {
      this.media = make("video", {src: source, muted: true, loop: true, playsInline: true, preload: "auto"});
      this.media.setAttribute("aria-label", file.name);
      for (const name of ["timeupdate", "seeked", "loadeddata", "play", "pause"]) this.media.addEventListener(name, () => this.follow());
      this.media.addEventListener("error", () => this.substitute(), {once: true});
      const frames = () => { this.follow(); this.media?.requestVideoFrameCallback?.(frames); };
      this.media.requestVideoFrameCallback?.(frames);
    } else {
      this.media = make("img", {src: source, alt: file.name, draggable: false});
      this.media.addEventListener("load", () => { this.redraw(); this.changed(); });
      this.media.addEventListener("error", () => this.convert(), {once: true});
    }
    this.stage.querySelector("img, video")?.remove();
    this.stage.prepend(this.media);
    this.show();
    this.changed();
    this.predict();
  }

  // Where the browser cannot show a picture, the server makes it one that it can.
  async convert() {
    try {
      const shown = await api.rendered(this.file, this.look.model, "heat", 0);
      this.media.src = URL.createObjectURL(shown);
    } catch { /* the prediction says why */ }
  }

  // Where the browser cannot play a file, it shows the server's movie, overlay included.
  substitute() {
    this.unplayable = true;
    if (this.result?.movie && this.media.src !== new URL(this.result.movie, location).href) {
      this.media.src = this.result.movie;
      this.caption.textContent = "This browser cannot play the file itself; this is the movie with its overlay.";
    }
  }

  async predict() {
    if (!this.file) return;
    this.#job?.abort();
    const job = this.#job = new AbortController(), {model} = this.look, {signal} = job;
    this.stage.classList.add("busy");
    this.say("predicting ...");
    try {
      if (!this.clip && !this.look.accepts.includes("stills")) throw new Error(`model '${model}' takes clips only`);
      if (!this.#known.has(model)) {
        const found = this.clip ? await api.clip(this.file, model, {signal, tell: each => this.progress(each, job)}) : await api.picture(this.file, model, signal);
        this.#known.set(model, {result: found, maps: found.maps.map(unpack)});
      }
      if (signal.aborted) return;
      Object.assign(this, this.#known.get(model));
      this.say("");
      if (this.unplayable) this.substitute();
      this.curves();
      this.redraw();
      this.changed();
    } catch (error) {
      if (signal.aborted) return;
      this.maps = this.result = null;
      this.canvas.getContext("2d").reset();
      this.say(error.message, true);
      this.changed();
    } finally {
      if (job === this.#job) this.stage.classList.remove("busy");
    }
  }

  say(text, wrong = false) {
    this.state.classList.toggle("error", wrong);
    this.state.textContent = text;
  }
  progress({status, done, frames}, job) {
    const bar = make("progress", frames ? {max: frames, value: done} : {});
    const stop = make("button", {type: "button", textContent: "Cancel", onclick: () => { job.abort(); this.stage.classList.remove("busy"); this.say("cancelled"); }});
    this.state.replaceChildren(status === "waiting" ? "waiting ..." : `${done}${frames ? ` of ${frames}` : ""} frames`, bar, stop);
  }

  show() {
    this.node.replaceChildren(...(this.file ? [this.bar, this.stage, ...(this.clip ? [this.player] : []), this.state, this.caption] : [this.drop]));
    this.caption.textContent = "";
    this.player.replaceChildren();
    const items = this.clip ? [["Clip with overlay (MP4)", () => this.get("mp4")], ["This frame with overlay (PNG)", () => this.get("shown")]]
      : [["Picture with overlay (PNG)", () => this.get("shown")], ["Map in grey (PNG)", () => this.get("png")], ["Map as numbers (NPY)", () => this.get("npy")]];
    this.menu.replaceChildren(...items.map(([textContent, onclick]) => make("button", {type: "button", textContent, onclick: () => { this.download.open = false; onclick(); }})));
  }

  async get(form) {
    const stem = (this.file.name || "picture").replace(/\.[^.]*$/, "");
    try {
      if (form === "mp4") {
        if (!this.result) return;
        save(await (await fetch(this.result.movie)).blob(), `${stem}.overlay.mp4`);
      } else if (form === "shown") {
        const canvas = new OffscreenCanvas(...this.size), context = canvas.getContext("2d");
        context.drawImage(this.media, 0, 0);
        context.drawImage(this.canvas, 0, 0, ...this.size);
        save(await canvas.convertToBlob(), `${stem}.${this.look.style}.png`);
      } else save(await api.rendered(this.file, this.look.model, form), `${stem}.${form}`);
    } catch (error) { this.say(error.message, true); }
  }

  // The map of the moment that is shown: the last one that is not later.
  follow() {
    if (!this.clip) return;
    const time = this.media.currentTime, times = this.result?.times ?? [];
    let index = times.findLastIndex(each => each <= time + 1e-4);
    this.index = Math.max(0, index);
    this.tick?.(time);
    this.redraw();
    this.changed(true);
  }
  redraw() {
    if (this.size[0]) this.stage.style.setProperty("--ratio", this.size[0] / this.size[1]);
    this.canvas.hidden = Boolean(this.unplayable);
    if (!this.map || !this.size[0]) return;
    const {style, alpha} = this.look;
    draw(this.canvas, this.size, {map: this.map, index: this.clip ? this.index : 0, style, alpha, media: this.media});
  }

  label(area) {
    const found = this.share(area);
    return found ? `${area.name} ${percent(found.share)}` : area.name;
  }
  // How much an area gets, of a clip over the whole of it.
  share(area) {
    const {map} = this;
    if (!map) return null;
    if (!this.clip) return this.areas.measure(area, map, 0);
    let share = 0, part = 0;
    for (let index = 0; index < map.count; index++) {
      const found = this.areas.measure(area, map, index);
      share += found.share / map.count;
      part += found.part / map.count;
    }
    return {share, part};
  }

  curves() {
    if (!this.clip || !this.result) return;
    const {duration, times} = this.result, {map} = this, chart = drawing("svg", {class: "timeline", viewBox: "0 0 1000 100", preserveAspectRatio: "none", tabindex: 0, role: "slider", "aria-label": "Timeline", "aria-valuemin": 0, "aria-valuemax": duration});
    const rows = this.areas.list.map(area => [this.areas.ink(area), times.map((_, index) => this.areas.measure(area, map, index).share)]);
    const most = Math.max(0.01, ...rows.flatMap(([, values]) => values));
    for (const [ink, values] of rows) {
      const line = drawing("polyline", {points: values.map((value, at) => `${1000 * times[at] / duration},${96 - 92 * value / most}`).join(" ")});
      line.style.setProperty("--ink", ink);
      chart.append(line);
    }
    const cursor = drawing("line", {x1: 0, x2: 0, y1: 0, y2: 100});
    chart.append(cursor);
    const seek = time => { this.media.currentTime = Math.min(Math.max(time, 0), duration); };
    const point = event => { const frame = chart.getBoundingClientRect(); seek((event.clientX - frame.left) / frame.width * duration); };
    chart.addEventListener("pointerdown", event => { chart.setPointerCapture(event.pointerId); point(event); });
    chart.addEventListener("pointermove", event => { if (event.buttons) point(event); });
    chart.addEventListener("keydown", event => {
      const goal = {ArrowLeft: this.media.currentTime - 1, ArrowRight: this.media.currentTime + 1, Home: 0, End: duration}[event.key];
      if (goal !== undefined) { event.preventDefault(); seek(goal); }
    });
    const play = make("button", {type: "button", className: "play", onclick: () => this.play()}), time = make("span", {className: "clock"});
    this.tick = now => {
      const at = 1000 * Math.min(1, now / duration);
      cursor.setAttribute("x1", at);
      cursor.setAttribute("x2", at);
      chart.setAttribute("aria-valuenow", now.toFixed(2));
      time.textContent = `${clock(now)} / ${clock(duration)}`;
      play.textContent = this.media.paused ? "Play" : "Pause";
    };
    this.player.replaceChildren(play, chart, time);
    this.caption.textContent = rows.length ? `Share of attention of each area over time; the highest is ${(100 * most).toFixed(1)}%.` : "Draw areas to see how much attention they get over time.";
    this.tick(this.media.currentTime);
  }
  play() { if (this.clip) (this.media.paused ? this.media.play().catch(() => {}) : this.media.pause()); }
}
