"use strict";
/* Elements, numbers and figures. Whatever comes from a run becomes text, never markup. */

const SVG = "http://www.w3.org/2000/svg";

function made(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...children.flat().filter((child) => child != null && child !== false));
  return element;
}
const el = (tag, attributes, ...children) => made(document.createElement(tag), attributes, children);
const shape = (tag, attributes, ...children) =>
  made(document.createElementNS(SVG, tag), attributes, children);

/* Numbers: a column's name tells its unit. */
const isShare = (name) => /accuracy$/.test(name);
function shown(name, value) {
  if (value == null || value === "") return "–";
  if (typeof value !== "number") return String(value);
  if (isShare(name)) return `${(100 * value).toFixed(2)} %`;
  if (Number.isInteger(value)) {
    return /seed|index|budget|rank|schema/.test(name) ? String(value) : value.toLocaleString("en");
  }
  return Math.abs(value) >= 1e5 ? value.toExponential(3) : String(Number(value.toPrecision(4)));
}
function brief(name, value) {
  if (isShare(name)) return `${Number((100 * value).toFixed(2))} %`;
  const size = Math.abs(value);
  for (const [unit, factor] of [["G", 1e9], ["M", 1e6], ["k", 1e3]]) {
    if (size >= factor) return `${Number((value / factor).toPrecision(4))}${unit}`;
  }
  return String(Number(value.toPrecision(4)));
}
function duration(seconds) {
  if (seconds == null) return "–";
  if (seconds < 60) return `${Number(seconds.toPrecision(2))} s`;
  if (seconds < 600) return `${Math.floor(seconds / 60)} min ${Math.floor(seconds % 60)} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/* Axes. */
function axis({ name, log }, values, count) {
  const finite = values.filter((value) => value != null && (!log || value > 0));
  let low = Math.min(...finiteEnds(finite)), high = Math.max(...finiteEnds(finite));
  if (low === high) [low, high] = log ? [low / 2, high * 2] : [low - (Math.abs(low) * 0.05 || 1), high + (Math.abs(high) * 0.05 || 1)];
  const to = log ? Math.log10 : (value) => value;
  const margin = (to(high) - to(low)) * 0.04;
  const start = to(low) - margin, end = to(high) + margin;
  const place = (value) => (to(value) - start) / (end - start);
  const ticks = log ? logTicks(low, high, count) : linearTicks(low, high, count);
  return { place, ticks: ticks.map((value) => ({ value, text: brief(name, value) })) };
}
function finiteEnds(values) {
  let low = Infinity, high = -Infinity;
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return [low, high];
}
function linearTicks(low, high, count) {
  const rough = (high - low) / count, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].find((factor) => factor * power >= rough * 0.75) * power;
  const ticks = [];
  for (let tick = Math.ceil(low / step) * step; tick <= high + step * 1e-6; tick += step) {
    ticks.push(Number(tick.toPrecision(12)));
  }
  return ticks;
}
function logTicks(low, high, count) {
  const from = Math.floor(Math.log10(low)), to = Math.ceil(Math.log10(high));
  for (const factors of [[1, 2, 5], [1, 3], [1]]) {
    const ticks = [];
    for (let power = from; power <= to; power += 1) {
      for (const factor of factors) {
        const tick = factor * 10 ** power;
        if (tick >= low && tick <= high) ticks.push(Number(tick.toPrecision(6)));
      }
    }
    if (ticks.length <= count + 2 || factors.length === 1) return ticks.length > 1 ? ticks : linearTicks(low, high, count);
  }
  return [];
}

/* Marks of many points are one path: thousands of elements would be slow. */
const OUTLINES = {
  dots: () => "h0",
  diamond: () => "m0 -6l6 6l-6 6l-6 -6z",
  square: () => "m-4.5 -4.5h9v9h-9z",
  triangle: () => "m0 -6l5.5 10h-11z",
};
const outline = (kind, points) =>
  points.map(([x, y]) => `M${x.toFixed(1)} ${y.toFixed(1)}${OUTLINES[kind]()}`).join("");
function way(kind, points) {
  return points
    .map(([x, y], i) => {
      if (i === 0) return `M${x.toFixed(1)} ${y.toFixed(1)}`;
      return kind === "steps" ? `H${x.toFixed(1)}V${y.toFixed(1)}` : `L${x.toFixed(1)} ${y.toFixed(1)}`;
    })
    .join("");
}
const isWay = (kind) => kind === "line" || kind === "steps";
function drawn(series, points) {
  const tone = `s${series.tone || 0}`;
  if (isWay(series.kind)) {
    const dash = series.dash ? ` d${series.dash}` : "";
    return shape("path", { class: `stroke ${tone}${dash}`, d: way(series.kind, points) });
  }
  const look = series.kind === "dots" ? "dots" : "shape";
  return shape("path", { class: `${look} ${tone}`, d: outline(series.kind, points) });
}
function legend(all) {
  const items = all.filter((series) => series.label).map((series) => {
    const points = isWay(series.kind) ? [[0, 6], [26, 6]] : [[13, 6]];
    const sample = shape("svg", { "aria-hidden": "true", viewBox: "0 0 26 12" },
      drawn({ ...series, kind: series.kind === "steps" ? "line" : series.kind }, points));
    return el("li", {}, sample, series.label);
  });
  return items.length > 1 ? el("ul", { class: "legend" }, items) : null;
}

/* A figure redraws itself when its width changes, so that its text keeps its size. */
function chart(title, { x, y, series, height = 260, about = "" }) {
  const full = series
    .map((one) => ({ ...one, points: pairs(one, x, y) }))
    .filter((one) => one.points.length);
  const holder = el("div", {}), readout = el("p", { class: "readout" }, "\u00a0");
  const figure = el("figure", {}, el("figcaption", {}, title), legend(full), holder, readout);
  if (!full.length) {
    holder.append(el("p", { class: "nothing" }, "There is nothing to draw yet."));
    readout.remove();
    return figure;
  }
  let drawnAt = 0;
  new ResizeObserver(() => {
    const width = Math.floor(holder.clientWidth);
    if (width > 0 && width !== drawnAt) {
      drawnAt = width;
      holder.replaceChildren(plot({ x, y, full, height, width, title, about, readout }));
    }
  }).observe(holder);
  return figure;
}
function pairs(one, x, y) {
  const found = [];
  for (let i = 0; i < one.x.length; i += 1) {
    const a = one.x[i], b = one.y[i];
    if (a != null && b != null && (!x.log || a > 0) && (!y.log || b > 0)) {
      found.push({ a, b, key: one.keys ? one.keys[i] : null });
    }
  }
  return found;
}
function plot({ x, y, full, height, width, title, about, readout }) {
  const all = full.flatMap((one) => one.points);
  const down = axis(y, all.map((point) => point.b), 5);
  const left = 14 + 6.6 * Math.max(...down.ticks.map((tick) => tick.text.length));
  const right = 12, top = 20, bottom = 38, inner = width - left - right, tall = height - top - bottom;
  const across = axis(x, all.map((point) => point.a), Math.max(2, Math.floor(inner / 75)));
  const at = (point) => [left + inner * across.place(point.a), top + tall * (1 - down.place(point.b))];
  const cursor = shape("circle", { class: "cursor", r: 6, visibility: "hidden" });
  const picture = shape("svg", {
    viewBox: `0 0 ${width} ${height}`, height, role: "img",
    "aria-label": `${title}. ${about || `${y.label} against ${x.label}, ${all.length} points.`}`,
    pointermove: (event) => point(event, picture, full, at, { x, y, cursor, readout }),
    pointerleave: () => { cursor.setAttribute("visibility", "hidden"); readout.textContent = "\u00a0"; },
  });
  for (const { value, text } of down.ticks) {
    const level = top + tall * (1 - down.place(value));
    picture.append(shape("path", { class: "grid", d: `M${left} ${level}h${inner}` }),
      shape("text", { x: left - 6, y: level + 4, "text-anchor": "end" }, text));
  }
  for (const { value, text } of across.ticks) {
    const column = left + inner * across.place(value);
    picture.append(shape("path", { class: "axis", d: `M${column} ${top + tall}v4` }),
      shape("text", { x: column, y: top + tall + 17, "text-anchor": "middle" }, text));
  }
  picture.append(
    shape("path", { class: "axis", d: `M${left} ${top + tall}h${inner}` }),
    shape("text", { class: "title", x: 2, y: 11 }, y.label),
    shape("text", { class: "title", x: width - right, y: height - 4, "text-anchor": "end" }, x.label),
    ...full.map((one) => drawn(one, one.points.map(at))), cursor);
  return picture;
}
function point(event, picture, full, at, { x, y, cursor, readout }) {
  const bounds = picture.getBoundingClientRect();
  const here = [event.clientX - bounds.left, event.clientY - bounds.top];
  let nearest = null, least = 40 ** 2;
  for (const one of full) {
    for (const candidate of one.points) {
      const [left, top] = at(candidate);
      const distance = (left - here[0]) ** 2 + (top - here[1]) ** 2;
      if (distance <= least) [nearest, least] = [{ ...candidate, left, top, label: one.label }, distance];
    }
  }
  cursor.setAttribute("visibility", nearest ? "visible" : "hidden");
  readout.textContent = "\u00a0";
  if (!nearest) return;
  cursor.setAttribute("cx", nearest.left);
  cursor.setAttribute("cy", nearest.top);
  const name = nearest.key || nearest.label || "";
  readout.textContent =
    `${name ? `${name}: ` : ""}${x.label} ${shown(x.name, nearest.a)}, ${y.label} ${shown(y.name, nearest.b)}`;
}
