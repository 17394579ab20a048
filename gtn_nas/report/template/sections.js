"use strict";
/* What each section of the page shows. Every function returns the elements of its section. */

const nothing = (text) => el("p", { class: "nothing" }, text);
const note = (...parts) => el("p", { class: "note" }, ...parts);
const plural = (count, one, many) => `${count.toLocaleString("en")} ${count === 1 ? one : many || `${one}s`}`;
const column = (table, name) => (table.columns.find((one) => one.name === name) || {}).values;

function headed(names, rows, { numbers = [], caption = "" } = {}) {
  const kind = (i) => (numbers.includes(i) ? "number" : null);
  return el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption }, el("table", {},
    el("thead", {}, el("tr", {}, names.map((name, i) => el("th", { scope: "col", class: kind(i) }, name)))),
    el("tbody", {}, rows.map((row) => el("tr", {}, row.map((cell, i) => el("td", { class: kind(i) }, cell)))))));
}

function headline({ summary }) {
  const state = summary.ended ? "ended" : "not ended";
  return [
    el("span", { class: `state${summary.ended ? "" : " open"}` }, state),
    el("span", {}, `${summary.dataset} · ${summary.space} · ${summary.strategy} · ranked by ${summary.rank_by}`),
    ...[...summary.limits, ...summary.objectives.map((name) => `objective ${name}`)].map((text) => el("span", {}, text)),
    summary.started ? el("span", {}, `started ${moment(summary.started)}, last written ${moment(summary.written)}`) : null,
  ];
}
const moment = (iso) => `${iso.slice(0, 10)} ${iso.slice(11, 19)} UTC`;

function tile(name, value, about, kind = "") {
  return el("div", { class: `tile ${kind}`.trim() }, el("dt", {}, name), el("dd", {}, value), about ? el("dd", {}, about) : null);
}

function summary_section({ summary }) {
  const { winner, statuses, finals } = summary;
  const total = sum(statuses), ok = statuses.ok || 0, trained = sum(finals);
  const tiles = winner ? [
    tile("Winner", el("span", { class: "key" }, winner.key), `ranked ${winner.rank}; chosen on validation images`, "first"),
    tile("Test accuracy", shown("accuracy", winner.test_accuracy), "read once, when its training had ended", "first"),
    tile("Validation accuracy", shown("accuracy", winner.validation_accuracy), `best of ${plural(winner.epochs || 0, "epoch")}: ${winner.best_epoch ?? "?"}`),
    tile("Parameters", shown("params", winner.params), winner.flops == null ? "" : `${brief("flops", winner.flops)} FLOPs an image`),
  ] : [tile("Winner", "none yet", "no full training has ended well")];
  const failed = Object.entries(statuses).filter(([status]) => status !== "ok");
  const share = summary.wanted && !summary.ended ? ` of ${summary.wanted.toLocaleString("en")}` : "";
  const others = Object.entries(finals).filter(([status]) => status !== "ok");
  tiles.push(
    tile("Candidates", `${total.toLocaleString("en")}${share}`, [`${ok.toLocaleString("en")} ok`, ...counts(failed)].join(", ")),
    tile("Full trainings", String(trained), [`${finals.ok || 0} ok`, ...counts(others)].join(", ")),
    tile("Time", duration(summary.lasted_s), "from first to last record"),
    tile("Work", duration(summary.candidates_s), `in candidates on ${plural(summary.workers, "worker")}; ${duration(summary.finals_s)} in full trainings`));
  return [...summary.skipped.map((text) => el("p", { class: "warning" }, text)), el("dl", { class: "tiles" }, tiles)];
}
const sum = (counted) => Object.values(counted).reduce((a, b) => a + b, 0);
const counts = (entries) => entries.map(([status, count]) => `${count.toLocaleString("en")} ${status}`);

/* The unit that long and short runs are drawn in: its seconds and its name. */
const unit = (seconds) => (seconds > 7200 ? [3600, "hours"] : seconds > 300 ? [60, "minutes"] : [1, "seconds"]);

function progress_section({ table, fronts, summary }) {
  const ends_s = column(table, "ended_s") || [], keys = column(table, "key") || [];
  if (!ends_s.length) return [nothing("No candidate has been evaluated yet.")];
  const [unit_s, units] = unit(finiteEnds(ends_s)[1]), times = ends_s.map((end) => end / unit_s);
  const order = times.map((_, i) => i).sort((i, j) => times[i] - times[j]);
  const figures = [], x = { label: `${units} since the start`, name: "time" };
  const best = (values, better) => running(order, times, values, keys, better);
  if (fronts.measure) {
    const found = best(column(table, fronts.measure), fronts.lower ? (a, b) => a < b : (a, b) => a > b);
    figures.push(chart(`Best ${fronts.measure}`, { x, y: { label: fronts.measure, name: fronts.measure }, series: [
      { kind: "dots", tone: 0, label: "a candidate", x: times, y: column(table, fronts.measure), keys },
      { kind: "steps", tone: 1, label: "best so far", ...found }] }));
  }
  const places = best(column(table, "rank") || times.map((_, i) => i + 1), (a, b) => a < b);
  figures.push(chart("Place of the best so far in the final ranking", {
    x, y: { label: `place by ${summary.rank_by}`, name: "rank", log: true },
    series: [{ kind: "steps", tone: 1, label: "best so far", ...places }] }));
  return [el("div", { class: "figures" }, figures)];
}
function running(order, times, values, keys, better) {
  const found = { x: [], y: [], keys: [] };
  let best = null, at = null;
  for (const i of order) {
    if (values[i] != null && (best == null || better(values[i], best))) {
      [best, at] = [values[i], keys[i]];
      found.x.push(times[i]); found.y.push(best); found.keys.push(at);
    }
  }
  if (found.x.length) { found.x.push(times[order[order.length - 1]]); found.y.push(best); found.keys.push(at); }
  return found;
}

function agreement_section({ agreement }) {
  const { count, least, scores, points } = agreement;
  if (!count) return [nothing("No full training has ended well yet, so there is no truth to compare with.")];
  const figures = scores.map(({ name, spearman, low, high }) => {
    const rho = spearman == null ? "" : `: Spearman ${signed(spearman)}`;
    const interval = low == null ? "" : ` (95 % interval ${signed(low)} to ${signed(high)})`;
    return chart(`${name === "rank" ? "place in the ranking" : name}${rho}${interval}, n = ${count}`, {
      x: { label: name === "rank" ? "place (1 is best)" : name, name, log: /^(params|flops)$/.test(name) },
      y: { label: "validation accuracy", name: "accuracy" }, height: 220,
      series: [{ kind: "diamond", tone: 0, x: points.map((p) => p[name]), y: points.map((p) => p.accuracy), keys: points.map((p) => p.key) }],
    });
  });
  const few = count < least
    ? `With ${plural(count, "full training")} a rank correlation says nothing, so none is given.`
    : count < 10 ? `${count} full trainings are too few for an interval: each of these correlations could well be chance.` : "";
  return [el("div", { class: "figures" }, figures), note(el("strong", {}, few), few ? " " : "",
    "Positive means that what the score prefers did better. Full trainings were chosen by the ranking and are no sample of all candidates, among which a score can rank better or worse. ",
    el("code", {}, "gtn-nas validate-proxy"), " measures that.")];
}
const signed = (value) => `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(2)}`;

function fronts_section({ table, fronts }) {
  const { measure, candidates, finals, points } = fronts;
  const keys = column(table, "key") || [];
  const label = { params: "parameters", flops: "FLOPs of an image", latency_ms: "latency in ms" };
  const of_candidates = candidates.map(({ cost, places }) => {
    const costs = column(table, cost) || [], values = column(table, measure) || [];
    const best = [...places].sort((i, j) => costs[i] - costs[j]);
    const pick = (list) => best.map((i) => list[i]);
    return chart(`Candidates: ${measure} against ${label[cost]}`, {
      x: { label: label[cost], name: cost, log: true }, y: { label: measure, name: measure },
      about: `${best.length} of ${keys.length} candidates are on the front.`,
      series: [
        { kind: "dots", tone: 0, label: "a candidate", x: costs, y: values, keys },
        { kind: "steps", tone: 1, x: pick(costs), y: pick(values), keys: pick(keys) },
        { kind: "diamond", tone: 1, label: `on the front (${best.length})`, x: pick(costs), y: pick(values), keys: pick(keys) }],
    });
  });
  const of_finals = finals.map(({ cost, keys: best }) => {
    const front = points.filter((p) => best.includes(p.key)).sort((p, q) => p[cost] - q[cost]);
    const pick = (list, name) => list.map((p) => p[name]);
    return chart(`Full trainings: validation accuracy against ${label[cost]}`, {
      x: { label: label[cost], name: cost, log: true }, y: { label: "validation accuracy", name: "accuracy" },
      series: [
        { kind: "square", tone: 2, label: "a full training", x: pick(points, cost), y: pick(points, "accuracy"), keys: pick(points, "key") },
        { kind: "steps", tone: 1, x: pick(front, cost), y: pick(front, "accuracy"), keys: pick(front, "key") },
        { kind: "diamond", tone: 1, label: `on the front (${front.length})`, x: pick(front, cost), y: pick(front, "accuracy"), keys: pick(front, "key") }],
    });
  });
  if (!of_candidates.length && !of_finals.length) return [nothing("No candidate has an accuracy and a cost yet.")];
  const rows = candidates.flatMap(({ cost, places }) => places.map((i) => [label[cost], el("span", { class: "key" }, keys[i]), shown(measure, column(table, measure)[i]), shown(cost, column(table, cost)[i])]));
  return [el("div", { class: "figures" }, of_candidates), el("div", { class: "figures" }, of_finals), rows.length ? el("details", {}, el("summary", {}, "The candidates on the fronts as a table"),
    headed(["cost", "key", measure, "value"], rows, { numbers: [2, 3], caption: "Candidates on the fronts" })) : null,
  fronts.candidates.some(({ cost }) => cost !== "latency_ms") ? note("Candidates’ parameters and FLOPs are those of the networks that were ranked, at proxy scale; full trainings’ are those at final scale.") : null];
}

function architectures_section({ architectures }) {
  if (architectures.missing) return [nothing(architectures.missing)];
  return architectures.drawn.map((picture, i) => {
    const facts = [`${shown("params", picture.params)} parameters`];
    if (picture.final_params != null && picture.final_params !== picture.params) facts.push(`${shown("params", picture.final_params)} at final scale`);
    if (picture.validation_accuracy != null) facts.push(`validation ${shown("accuracy", picture.validation_accuracy)}`);
    if (picture.test_accuracy != null) facts.push(`test ${shown("accuracy", picture.test_accuracy)}`);
    const body = picture.missing ? [nothing(picture.missing), note(el("span", { class: "key" }, chosen(picture.choices)))] : [
      el("div", { class: "canvas", tabindex: "0", role: "region", "aria-label": `Drawing of ${picture.key}` }, network(picture)),
      note(el("span", { class: "key" }, chosen(picture.choices))),
      el("details", {}, el("summary", {}, "The same as a table"), headed(["box", "layers", "reads", "puts out", "parameters", "module"],
        picture.boxes.map((box, n) => [String(n), box.lines.join(", "), box.inputs.join(", "), box.shape, shown("params", box.params), box.place]),
        { numbers: [4], caption: `Layers of ${picture.key}` }))];
    return el("details", { class: "network", "data-key": picture.key, open: i === 0 },
      el("summary", {}, el("span", { class: "key" }, picture.key), ` – ${facts.join(", ")}`),
      el("div", {}, ...body));
  });
}
function chosen(choices) {
  return Object.entries(choices).map(([name, value]) => `${name}=${value}`).join("  ");
}
function network({ width, height, boxes, lines, key }) {
  const picture = shape("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `Architecture ${key}: ${boxes.length} boxes and ${lines.length} lines; the table below names them.` });
  for (const line of lines) {
    const path = line.map(([x, y], i) => {
      if (i === 0) return `M${x} ${y}`;
      const [a, b] = line[i - 1], middle = (b + y) / 2;
      return `C${a} ${middle} ${x} ${middle} ${x} ${i === line.length - 1 ? y - 5 : y}`;
    });
    const [x, y] = line[line.length - 1];
    picture.append(shape("path", { class: "way", d: path.join("") }), shape("path", { class: "tip", d: `M${x} ${y}l-3.5 -6.5h7z` }));
  }
  for (const box of boxes) {
    const joins = box.inputs.length > 1, weights = box.params > 0;
    const kind = `box${weights ? " weights" : ""}${joins ? " joins" : ""}`;
    const middle = box.x, top = box.y;
    const left = middle - box.width / 2, group = shape("g", {},
      shape("title", {}, box.place || box.lines[0]),
      shape("rect", { class: kind, x: left, y: top, width: box.width, height: box.height, rx: joins ? box.height / 2 : 5 }));
    box.lines.forEach((text, i) => group.append(shape("text", { class: "box-text", x: middle, y: top + 18 + 15 * i }, text)));
    if (!joins) group.append(shape("text", { class: "box-note", x: middle, y: top + 18 + 15 * box.lines.length }, `${box.shape}${weights ? ` · ${box.params.toLocaleString("en")}` : ""}`));
    picture.append(group);
  }
  return picture;
}

function lesson_section({ lesson }) {
  if (lesson.missing) return [nothing(lesson.missing)];
  const steps = lesson.learning_rates.map((_, i) => i + 1);
  const rows = lesson.classes.map(({ name, images }) => el("tr", {}, el("th", { scope: "row" }, name), images.map((image, i) =>
    el("td", {}, image ? el("img", { src: image, alt: `class ${name} at step ${lesson.steps[i]}`, width: lesson.size[1], height: lesson.size[0] }) : "–"))));
  const table = el("table", { class: "lesson" }, el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "step"), lesson.steps.map((step) => el("th", { scope: "col" }, String(step))))), el("tbody", {}, rows));
  const x = { label: "step of the lesson", name: "step" };
  const rates = chart("Learned step sizes", { x, y: { label: "learning rate", name: "rate" }, height: 190, series: [{ kind: "line", tone: 0, x: steps, y: lesson.learning_rates }] });
  const momenta = chart("Learned momenta", { x, y: { label: "momentum", name: "momentum" }, height: 190, series: [{ kind: "line", tone: 3, x: steps, y: lesson.momenta }] });
  const few = lesson.classes.length < lesson.all_classes ? ` ${lesson.classes.length} of ${lesson.all_classes} classes are shown.` : "";
  const accuracy = lesson.accuracy == null ? "" : ` Networks of ${lesson.space} that it had never seen reached ${shown("accuracy", lesson.accuracy)} on real validation images by it.`;
  const shuffled = lesson.curriculum === "full" ? "" : ` Its curriculum is ${lesson.curriculum}; steps are those of one order or draw.`;
  return [el("div", { class: "halves" }, el("div", {}, el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Synthetic images" }, table)), el("div", {}, rates, momenta)),
    note(`${lesson.name}: ${steps.length} steps of ${lesson.batch_size} images of ${lesson.size[1]} × ${lesson.size[0]} pixels.${few}${accuracy}${shuffled}`)];
}

function curves_section({ curves, summary }) {
  if (!curves.length) return [nothing(sum(summary.finals) ? "This run holds no epochs of its full trainings." : "No full training has finished an epoch yet.")];
  const line = (name) => curves.map((one, i) => ({ kind: one.epochs.length > 1 ? "line" : "square", tone: i, dash: i, label: one.key, x: one.epochs, y: one[name], keys: one.epochs.map(() => one.key) }));
  const x = { label: "epoch", name: "epoch" };
  return [el("div", { class: "figures" },
    chart("Validation accuracy", { x, y: { label: "validation accuracy", name: "accuracy" }, series: line("validation_accuracy") }),
    chart("Training loss", { x, y: { label: "training loss, labels smoothed", name: "loss", log: true }, series: line("train_loss") }),
    chart("Validation loss", { x, y: { label: "validation loss", name: "loss", log: true }, series: line("validation_loss") }))];
}

const MATRIX = 20;
function confusion_section({ confusion, summary }) {
  if (!confusion) return [nothing(summary.winner ? "This run did not count what its winner took test images for." : "There is no winner yet.")];
  const { classes, cells, key } = confusion;
  const total = cells.reduce((all, cell) => all + cell[2], 0);
  const right = cells.reduce((all, cell) => all + (cell[0] === cell[1] ? cell[2] : 0), 0);
  const wrong = cells.filter((cell) => cell[0] !== cell[1]).sort((a, b) => b[2] - a[2]);
  const about = note(`Winner ${key} on the test images, counted in the one pass that gave its test accuracy: ${right.toLocaleString("en")} of ${plural(total, "image")} right.`);
  const list = headed(["class", "taken for", "images"], wrong.slice(0, 12).map(([a, b, n]) => [classes[a], classes[b], String(n)]), { numbers: [2], caption: "Confusions" });
  if (classes.length > MATRIX) return [list, about, note(`The most frequent confusions of ${classes.length} classes are shown.`)];
  const counted = new Map(cells.map(([a, b, n]) => [`${a} ${b}`, n]));
  const rows = classes.map((name, a) => {
    const all = classes.reduce((n, _, b) => n + (counted.get(`${a} ${b}`) || 0), 0);
    return el("tr", {}, el("th", { scope: "row" }, name), classes.map((_, b) => {
      const count = counted.get(`${a} ${b}`) || 0;
      const cell = el("td", { class: count ? (a === b ? "right" : "wrong") : "none" }, count ? String(count) : "·");
      cell.style.setProperty("--share", String(all ? Math.round(12 + 38 * count / all) * (count > 0) : 0));
      return cell;
    }));
  });
  const matrix = el("table", { class: "matrix" },
    el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "class \\ taken for"), classes.map((name) => el("th", { scope: "col" }, name)))), el("tbody", {}, rows));
  const scroll = el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Confusion matrix" }, matrix);
  return [el("div", { class: "halves" }, el("div", {}, scroll, about),
    el("div", {}, el("h3", {}, "Most frequent confusions"), wrong.length ? list : nothing("Every test image was recognised.")))];
}

function timeline_section({ timeline }) {
  const { lanes, spans, notices, resumed_s } = timeline;
  if (!spans.length && !notices.length) return [nothing("No worker has recorded anything yet.")];
  const told = notices.map((one) => [duration(one.at_s), one.kind.replace("_", " "), one.about, one.key || "–"]);
  return [spans.length ? gantt(lanes, spans, resumed_s) : null,
    told.length ? el("details", { open: told.length < 12 }, el("summary", {}, `What happened to workers (${told.length})`), headed(["after", "what", "details", "key"], told, { caption: "What happened to workers" })) : note("Nothing was recorded of workers that joined or left."),
    note("A record is written when its work ends; it is drawn from as long before as it took, by the clock of its machine.")];
}
function gantt(lanes, spans, resumed_s) {
  const holder = el("div", {}), high = 20, top = 8, bottom = 38;
  const kinds = [["ok", "ended well", 0], ["bad", "did not", 7]];
  const height = top + bottom + high * lanes.length;
  const entries = [...kinds.map(([, label, tone]) => ({ kind: "square", tone, label })), resumed_s.length ? { kind: "line", tone: 1, dash: 2, label: "run resumed" } : {}];
  const figure = el("figure", {}, el("figcaption", {}, "Busy times"), legend(entries), holder);
  const [, end_s] = finiteEnds(spans.map((span) => span[2])), [unit_s, units] = unit(end_s);
  let drawnAt = 0;
  new ResizeObserver(() => {
    const width = Math.floor(holder.clientWidth);
    if (!width || width === drawnAt) return;
    drawnAt = width;
    const left = Math.min(width * 0.36, 16 + 7 * Math.max(...lanes.map((lane) => lane.length))), inner = width - left - 14;
    const across = axis({ name: "time" }, [0, end_s / unit_s], Math.max(2, Math.floor(inner / 90)));
    const at = (seconds) => left + inner * across.place(seconds / unit_s);
    const picture = shape("svg", { viewBox: `0 0 ${width} ${height}`, height, role: "img", "aria-label": `Busy times of ${plural(lanes.length, "lane")}: ${plural(spans.length, "span")} in ${duration(end_s)}.` });
    lanes.forEach((lane, i) => picture.append(
      shape("path", { class: "grid", d: `M${left} ${top + high * i + high / 2}h${inner}` }),
      shape("text", { x: left - 8, y: top + high * i + 14, "text-anchor": "end" }, fitting(lane, (left - 16) / 7), shape("title", {}, lane))));
    for (const [kind, , tone] of kinds) {
      const some = spans.filter((span) => ["ok", "stopped"].includes(span[3]) === (kind === "ok"));
      const d = some.map(([lane, a, b]) => `M${at(a).toFixed(1)} ${top + high * lane + 4}h${Math.max(0.8, at(b) - at(a) - 0.6).toFixed(1)}v${high - 8}H${at(a).toFixed(1)}z`).join("");
      picture.append(shape("path", { class: `area s${tone}`, d }));
      if (kind === "bad") picture.append(shape("path", { class: `mark s${tone}`, d: some.map(([lane, , b]) => `M${(at(b) - 4).toFixed(1)} ${top + high * lane + 6}l8 8m0 -8l-8 8`).join("") }));
    }
    for (const moment of resumed_s) picture.append(shape("path", { class: "stroke s1 d2", d: `M${at(moment)} ${top}v${height - top - bottom}` }));
    for (const { value, text } of across.ticks) picture.append(shape("text", { x: at(value * unit_s), y: height - 20, "text-anchor": "middle" }, text));
    picture.append(shape("text", { class: "title", x: width - 12, y: height - 4, "text-anchor": "end" }, `${units} since the start`));
    holder.replaceChildren(picture);
  }).observe(holder);
  return figure;
}
const fitting = (text, length) => (text.length > length ? `${text.slice(0, Math.max(1, Math.floor(length) - 1))}…` : text);

function failures_section({ failures, table }) {
  if (!failures.length) return [nothing(table.count ? "Nothing failed." : "Nothing has been evaluated yet.")];
  return [headed(["count", "of", "status", "reason", "first key"], failures.map((one) => [one.count.toLocaleString("en"), one.stage, el("span", { class: "failed" }, one.status), one.error, el("span", { class: "key" }, one.key)]), { numbers: [0], caption: "Failures" })];
}

function reproduction_section({ reproduction }) {
  const table = (entries, caption) => headed(["what", "value"], entries, { caption });
  const versions = Object.entries(reproduction.versions), fingerprints = Object.entries(reproduction.fingerprints);
  return [el("p", {}, "Save the configuration as ", el("code", {}, "config.yaml"), " (it is in the run folder too) and run:"), el("pre", { tabindex: "0" }, reproduction.command),
    el("div", { class: "halves" },
      el("div", {}, el("h3", {}, "Configuration"), el("pre", { tabindex: "0" }, reproduction.config)),
      el("div", {}, el("h3", {}, "Versions"), versions.length ? table(versions, "Versions") : nothing("The run does not say which versions it was made with."),
        reproduction.devices.length ? note(`Candidates were evaluated on ${reproduction.devices.join("; ")}. Scores are equal bit for bit on one kind of device, number of threads and version of torch.`) : null,
        el("h3", {}, "What the scores depend on"), fingerprints.length ? table(fingerprints, "Fingerprints") : nothing("The run holds no fingerprints.")))];
}
