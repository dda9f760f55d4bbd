import * as api from "./api.js";
import {Areas} from "./areas.js";
import {camera} from "./camera.js";
import {colours} from "./maps.js";
import {make, Pane, percent, save} from "./pane.js";

const get = id => document.getElementById(id);
const areas = new Areas(), look = {model: "", accepts: [], style: "heat", alpha: 0.7, moment: 0};
const panes = [];
let models = [];

// Versions

function add() {
  const letter = panes.length ? "B" : "A";
  const pane = new Pane(letter, {areas, look, changed: playing => update(pane, playing), close: () => close(pane)});
  panes.push(pane);
  arrange();
  return pane;
}
function close(pane) {
  if (pane.letter === "B") panes.pop();
  else panes[0] = new Pane("A", {areas, look, changed: playing => update(panes[0], playing), close: () => close(panes[0])});
  arrange();
}
function arrange() {
  get("panes").replaceChildren(...panes.map(pane => pane.node));
  for (const pane of panes) pane.badge.hidden = panes.length < 2;
  get("compare").setAttribute("aria-pressed", panes.length > 1);
  update();
}
function open(file, pane = panes.find(each => !each.file) ?? panes.at(-1)) { pane.open(file); }

function tell(text) {
  get("message").textContent = text;
  clearTimeout(tell.timer);
  tell.timer = setTimeout(() => { get("message").textContent = ""; }, 6000);
}

// What is told about areas

const points = value => `${value < 0 ? "−" : "+"}${Math.abs(100 * value).toFixed(1)}`;
const times = lift => lift < 0.095 ? "<0.1x" : `${lift.toFixed(1)}x`;
const kind = value => Math.abs(value) < 0.0005 ? "" : value > 0 ? "gain" : "loss";

function update(pane, playing = false) {
  const slices = Math.max(1, ...panes.map(each => each.clip ? 1 : each.maps?.length ?? 1));
  get("moments").hidden = slices < 2;
  get("moment").max = slices - 1;
  look.moment = Math.min(look.moment, slices - 1);
  get("moment").value = look.moment;
  const shown = panes.find(each => each.maps?.length > 1);
  get("moment-name").textContent = look.moment ? shown?.maps[look.moment]?.name.replace(/^slice(\d+)$/, "second $1") ?? "" : "all of it";
  get("find-areas").disabled = !panes.some(each => each.file && !each.clip);
  get("save-areas").disabled = !areas.list.length;
  get("area-hint").hidden = areas.list.length > 0;
  if (!playing) measure();
}

function measure() {
  const both = panes.length > 1, heads = both ? ["A", "B", "change"] : ["share", "lift"];
  const table = get("areas").querySelector("table"), body = table.querySelector("tbody");
  table.hidden = !areas.list.length;
  table.querySelector("thead").replaceChildren(make("tr", {}, make("th", {textContent: "area", scope: "col"}), ...heads.map(textContent => make("th", {textContent, scope: "col"})), make("th")));
  const found = areas.list.map(area => panes.map(pane => pane.share(area)));
  while (body.rows.length > areas.list.length) body.lastElementChild.remove();
  areas.list.forEach((area, number) => {
    const [a, b] = found[number], row = body.rows[number] ?? body.appendChild(blank());
    row.area = area;
    row.style.setProperty("--ink", areas.ink(area));
    const name = row.querySelector("input");
    if (document.activeElement !== name) name.value = area.name;
    name.setAttribute("aria-label", `Name of ${area.name}`);
    const change = a && b ? b.share - a.share : null;
    const cells = both ? [a ? percent(a.share) : "", b ? percent(b.share) : "", change === null ? "" : points(change)] : [a ? percent(a.share) : "", a && a.part ? times(a.share / a.part) : ""];
    while (row.cells.length > 2) row.cells[1].remove();
    cells.forEach((textContent, at) => row.insertBefore(make("td", {textContent, className: both && at === 2 && change !== null ? kind(change) : ""}), row.lastElementChild));
  });
  for (const pane of panes) pane.editor.show();
  get("answer").replaceChildren(...sentence(both, found));
}

function blank() {
  const row = make("tr"), input = make("input", {maxLength: 60});
  input.addEventListener("input", () => { if (input.value.trim()) areas.rename(row.area, input.value); });
  input.addEventListener("keydown", event => { if (event.key === "Enter" || event.key === "Escape") input.blur(); });
  row.append(make("td", {}, make("span", {className: "swatch"}), input), make("td", {}, make("button", {type: "button", className: "remove", title: "Remove", ariaLabel: "Remove the area", textContent: "×", onclick: () => areas.remove(row.area)})));
  return row;
}

// The answer in words: of the selected area, or of the one that tells most.
function sentence(both, found) {
  const known = found.map((each, number) => ({area: areas.list[number], a: each[0], b: each[1]})).filter(({a, b}) => a && (!both || b));
  if (!known.length) return [];
  const size = ({a, b}) => both ? Math.abs(b.share - a.share) : a.share;
  const {area, a, b} = known.find(each => each.area === areas.selected) ?? known.reduce((best, each) => size(each) > size(best) ? each : best);
  const name = make("strong", {textContent: area.name});
  if (both) {
    const change = b.share - a.share;
    if (!kind(change)) return [name, ` gets the same attention in both: ${percent(a.share)}.`];
    return [name, ` ${change > 0 ? "gains" : "loses"}: `, make("span", {className: kind(change), textContent: `${points(change)} points`}), `, from ${percent(a.share)} of attention in A to ${percent(b.share)} in B.`];
  }
  const lift = a.share / a.part;
  const words = lift >= 1.15 ? `${lift.toFixed(1)} times what its size alone would get` : lift <= 0.85 ? lift < 0.3 ? "far less than its size alone would get" : `less than its size alone would get (${lift.toFixed(1)} times)` : "about what its size alone would get";
  return [name, ` gets ${percent(a.share)} of attention, ${words}.`];
}

// Controls

function redraw() { for (const pane of panes) pane.redraw(); }
function chooseModel(name) {
  const found = models.find(each => each.name === name);
  Object.assign(look, {model: name, accepts: found.accepts});
  get("about").lastElementChild.replaceChildren(make("p", {}, make("strong", {textContent: name}), `: ${found.summary}`), ...(found.known_limits ? [make("p", {textContent: `Note: it ${found.known_limits}`})] : []), make("p", {className: "hint", textContent: `Licence: ${found.licence || "not stated"}. Takes ${found.accepts.join(" and ")}.`}));
  for (const pane of panes) pane.predict();
}
function nudge(id, step) { get(id).value = Number(get(id).value) + step; get(id).dispatchEvent(new Event("input")); }

get("controls").addEventListener("submit", event => event.preventDefault());
get("model").addEventListener("change", () => chooseModel(get("model").value));
get("styles").addEventListener("change", event => { look.style = event.target.value; redraw(); });
get("opacity").addEventListener("input", () => { look.alpha = get("opacity").value / 100; redraw(); });
get("moment").addEventListener("input", () => { look.moment = Number(get("moment").value); redraw(); update(); });
get("compare").addEventListener("click", () => { if (panes.length > 1) { panes.pop(); arrange(); } else add().input.focus(); });
get("add-area").addEventListener("click", event => {
  const touch = matchMedia("(pointer: coarse)").matches;
  if (touch && !document.body.classList.contains("armed")) { document.body.classList.add("armed"); tell("draw a box on the picture"); } else newArea();
});
function newArea() {
  if (!panes.some(pane => pane.file)) { tell("open a picture first"); return; }
  const area = areas.add();
  [...document.querySelectorAll(".area")].find(node => node.area === area)?.focus();
}
function saveAreas() { if (areas.list.length) save(new Blob([areas.text()], {type: "application/json"}), "areas.json"); }
get("save-areas").addEventListener("click", saveAreas);
get("open-areas").addEventListener("change", async () => {
  const file = get("open-areas").files[0];
  try { areas.read(await file.text(), panes.find(pane => pane.file)?.size ?? [1, 1]); } catch (error) { tell(`${file.name}: ${error.message}`); }
  get("open-areas").value = "";
});
get("find-areas").addEventListener("click", async () => {
  const pane = panes.find(each => each.file && !each.clip);
  get("find-areas").disabled = true;
  try { areas.read(await api.areas(pane.file, look.model), pane.size); } catch (error) { tell(error.message); }
  get("find-areas").disabled = false;
});
const useCamera = camera(get("shot"), {opened: file => open(file), failed: tell});
get("camera").addEventListener("click", useCamera);
get("help").addEventListener("click", () => get("keys").showModal());
for (const button of document.querySelectorAll("dialog .close")) button.addEventListener("click", () => button.closest("dialog").close());

document.addEventListener("paste", event => { const file = event.clipboardData?.files[0]; if (file) { event.preventDefault(); open(file); } });
for (const name of ["dragover", "drop"]) document.addEventListener(name, event => event.preventDefault());
document.addEventListener("drop", event => { const file = event.dataTransfer.files[0]; if (file) open(file); });
document.addEventListener("keydown", event => {
  if (event.ctrlKey || event.altKey || event.metaKey || event.target.matches("select, input:not([type=range], [type=radio]), dialog *")) return;
  const style = number => () => { const radio = get("styles").querySelectorAll("input")[number]; radio.checked = true; radio.dispatchEvent(new Event("change", {bubbles: true})); };
  const actions = {
    o: () => (panes.find(pane => !pane.file) ?? panes.at(-1)).input.click(),
    m: () => { get("model").selectedIndex = (get("model").selectedIndex + 1) % get("model").length; chooseModel(get("model").value); },
    1: style(0), 2: style(1), 3: style(2),
    "[": () => nudge("opacity", -5), "]": () => nudge("opacity", 5), ",": () => nudge("moment", -1), ".": () => nudge("moment", 1),
    c: () => get("compare").click(), a: newArea, s: saveAreas, "?": () => get("help").click(),
    " ": () => { if (event.target.matches("button, summary, a, label")) return false; panes.forEach(pane => pane.play()); },
  };
  if (actions[event.key] && actions[event.key]() !== false) event.preventDefault();
});
areas.addEventListener("change", () => update());
areas.addEventListener("drawn", () => update());

const context = get("colours").getContext("2d");
colours.forEach((colour, level) => { context.fillStyle = `rgb(${colour.join()})`; context.fillRect(level, 0, 1, 1); });

add();
try {
  models = await api.models();
  get("browse").hidden = !(await api.health()).browses;
  for (const {name} of models) get("model").append(make("option", {value: name, textContent: name}));
  chooseModel(models[0].name);
} catch (error) { tell(error.message); }
document.documentElement.dataset.ready = "";
