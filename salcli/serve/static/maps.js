// Maps: from packed numbers to colours, lines and shares. As salcli draws and measures them.
const palette = await (await fetch("/static/palette.json")).json();
export const {colours} = palette;

const LEAST_CONTRAST = 0.1, ENCLOSED = [0.25, 0.5, 0.75, 0.9], LINES = [0.93, 0.78, 0.6, 0.42];
const SHADE = 0.6, LINE_WIDTH = 0.005, FOG = "rgb(222 226 230)", FOG_DEPTH = 1.45, FOG_BLUR = 0.012, CLEAR = 0.35;
const MOST_SIDE = 2400; // of the canvas over a picture

export function unpack({name, width, height, data}) {
  const bytes = Uint8Array.from(atob(data), letter => letter.charCodeAt(0));
  const values = new Uint16Array(bytes.buffer), size = width * height;
  return {name, width, height, count: values.length / size, at: index => values.subarray(index * size, (index + 1) * size)};
}

// 0 at the median, 1 at the peak.
function prominence(values) {
  const sorted = values.slice().sort(), floor = sorted[sorted.length >> 1], peak = sorted[sorted.length - 1];
  const span = Math.max(peak - floor, LEAST_CONTRAST * peak) || 1;
  return Float32Array.from(values, value => Math.min(1, Math.max(0, (value - floor) / span)));
}

function tile(map, pixel) {
  const canvas = new OffscreenCanvas(map.width, map.height), context = canvas.getContext("2d");
  const image = context.createImageData(map.width, map.height);
  for (let at = 0; at < map.width * map.height; at++) pixel(image.data, 4 * at, at);
  context.putImageData(image, 0, 0);
  return canvas;
}

// Values above which these shares of all attention lie.
export function levels(values, shares = ENCLOSED) {
  const falling = Array.from(values).sort((a, b) => b - a), total = falling.reduce((sum, value) => sum + value, 0);
  const found = [];
  let sum = 0;
  for (const value of falling) {
    sum += value;
    while (found.length < shares.length && sum >= shares[found.length] * total) found.push(value);
  }
  return found;
}

// Marching squares: pieces of the line at a level, in fractions of the picture.
function line(values, {width, height}, level) {
  const path = new Path2D(), place = (x, y) => [(x + 0.5) / width, (y + 0.5) / height];
  for (let y = 0; y + 1 < height; y++) {
    for (let x = 0; x + 1 < width; x++) {
      const at = y * width + x, a = values[at], b = values[at + 1], c = values[at + width + 1], d = values[at + width];
      const code = (a >= level) + 2 * (b >= level) + 4 * (c >= level) + 8 * (d >= level);
      if (code === 0 || code === 15) continue;
      const part = (from, to) => (level - from) / (to - from);
      const sides = {t: () => place(x + part(a, b), y), r: () => place(x + 1, y + part(b, c)), b: () => place(x + part(d, c), y + 1), l: () => place(x, y + part(a, d))};
      for (const pair of [, "lt", "tr", "lr", "rb", "lt rb", "tb", "lb", "lb", "tb", "tr lb", "rb", "lr", "tr", "lt"][code].split(" ")) {
        path.moveTo(...sides[pair[0]]());
        path.lineTo(...sides[pair[1]]());
      }
    }
  }
  return path;
}

function heat(context, size, map, values, alpha) {
  const strength = prominence(values);
  const layer = tile(map, (data, to, at) => {
    const level = Math.round(255 * strength[at]);
    data.set(colours[level], to);
    data[to + 3] = palette.cover[level];
  });
  context.globalAlpha = alpha;
  context.drawImage(layer, 0, 0, ...size);
}

function contour(context, size, map, values, alpha) {
  const found = levels(values), unit = Math.sqrt(size[0] * size[1]);
  if (found.length < ENCLOSED.length || values.every(value => value === values[0])) return;
  const shade = tile(map, (data, to, at) => { data[to + 3] = values[at] < found.at(-1) ? 255 * SHADE * alpha : 0; });
  context.drawImage(shade, 0, 0, ...size);
  const width = Math.max(1, LINE_WIDTH * unit);
  found.map((level, index) => [level, LINES[index]]).reverse().forEach(([level, at]) => {
    const path = new Path2D();
    path.addPath(line(values, map, level), new DOMMatrix([size[0], 0, 0, size[1], 0, 0]));
    context.lineCap = "round";
    for (const [ink, thick] of [["rgb(0 0 0 / 60%)", 2.2 * width], [`rgb(${palette.table[Math.round(255 * at)].join()})`, width]]) {
      context.strokeStyle = ink;
      context.lineWidth = thick;
      context.stroke(path);
    }
  });
}

function fog(context, size, map, values, alpha, media) {
  const density = Math.min(1, FOG_DEPTH * alpha), strength = prominence(values);
  if (density === 0) return;
  const blur = FOG_BLUR * Math.sqrt(size[0] * size[1]);
  context.filter = `blur(${blur}px)`;
  context.drawImage(media, -blur, -blur, size[0] + 2 * blur, size[1] + 2 * blur);
  context.filter = "none";
  context.globalAlpha = density;
  context.fillStyle = FOG;
  context.fillRect(0, 0, ...size);
  context.globalAlpha = 1;
  const clear = tile(map, (data, to, at) => {
    const ramp = Math.min(1, strength[at] / CLEAR);
    data[to + 3] = 255 * ramp * ramp * (3 - 2 * ramp);
  });
  context.globalCompositeOperation = "destination-out";
  context.drawImage(clear, 0, 0, ...size);
}

// Draws one map over a picture or frame of a size, clear where nothing is to be shown.
export function draw(canvas, size, {map, index, style, alpha, media}) {
  const shrink = Math.min(1, MOST_SIDE / Math.max(...size)), sides = size.map(side => Math.max(1, Math.round(side * shrink)));
  if (canvas.width !== sides[0]) canvas.width = sides[0];
  if (canvas.height !== sides[1]) canvas.height = sides[1];
  const context = canvas.getContext("2d");
  context.reset();
  context.imageSmoothingQuality = "high";
  const values = map.at(index);
  ({heat, contour, fog})[style](context, sides, map, values, alpha, media);
}

// How much of each pixel of a map a polygon of corners [x, y], in fractions, covers.
export function coverage(points, {width, height}) {
  const covered = new Float64Array(width * height), corners = points.map(([x, y]) => [x * width, y * height]);
  corners.forEach((start, number) => addEdge(covered, width, height, start, corners[(number + 1) % corners.length]));
  return covered.map(part => Math.min(1, Math.abs(part)));
}

// The signed area between an edge and the right border, row by row.
function addEdge(part, width, height, start, end) {
  const down = end[1] > start[1], [[x0, y0], [x1, y1]] = down ? [start, end] : [end, start];
  const top = Math.max(y0, 0), bottom = Math.min(y1, height);
  if (top >= bottom) return;
  for (let row = Math.floor(top); row < bottom; row++) {
    const upper = Math.max(row, top), lower = Math.min(row + 1, bottom);
    const ends = [upper, lower].map(y => x0 + (x1 - x0) * ((y - y0) / (y1 - y0)));
    const left = Math.min(...ends), right = Math.max(...ends), span = right - left;
    const reach = column => {
      const within = Math.min(span, Math.max(0, column - left));
      return within * within / Math.max(2 * span, 1e-300) + Math.max(0, column - right);
    };
    let before = reach(0);
    for (let column = 0; column < width; column++) {
      const next = reach(column + 1);
      part[row * width + column] += (down ? 1 : -1) * (lower - upper) * (next - before);
      before = next;
    }
  }
}

// Share of attention inside, and of the frame.
export function measure(values, covered) {
  let inside = 0, all = 0, size = 0;
  for (let at = 0; at < covered.length; at++) {
    inside += values[at] * covered[at];
    all += values[at];
    size += covered[at];
  }
  const part = size / covered.length;
  return {share: all ? inside / all : part, part};
}
