"use strict";
/* Shows the data; a live page fetches newer ones and replaces only what changed. */

const SECTIONS = {
  headline: { parts: ["summary"], make: headline },
  summary: { parts: ["summary"], make: summary_section },
  progress: { parts: ["table", "fronts", "summary"], make: progress_section },
  agreement: { parts: ["agreement"], make: agreement_section },
  fronts: { parts: ["table", "fronts"], make: fronts_section },
  architectures: { parts: ["architectures"], make: architectures_section },
  lesson: { parts: ["lesson"], make: lesson_section },
  curves: { parts: ["curves", "summary"], make: curves_section },
  confusion: { parts: ["confusion", "summary"], make: confusion_section },
  timeline: { parts: ["timeline"], make: timeline_section },
  failures: { parts: ["failures", "table"], make: failures_section },
  reproduction: { parts: ["reproduction"], make: reproduction_section },
};
const PAUSE_MS = 2000;
const before = {};
let candidates = null;

const bodyOf = (id) => document.querySelector(`#${id} > .body`) || document.getElementById(id);

/* What a reader opened or closed stays so. */
function nameOf(details) {
  const around = details.closest("[data-key]");
  return `${around ? around.dataset.key : ""} ${details.querySelector("summary").textContent.replace(/[\d.,]+/g, "")}`;
}
function replace(body, elements) {
  const were = new Map([...body.querySelectorAll("details")].map((one) => [nameOf(one), one.open]));
  body.replaceChildren(...elements);
  for (const details of body.querySelectorAll("details")) {
    if (were.has(nameOf(details))) details.open = were.get(nameOf(details));
  }
}

function show(data) {
  for (const [id, { parts, make }] of Object.entries(SECTIONS)) {
    const text = JSON.stringify(parts.map((part) => data[part]));
    if (before[id] !== text) {
      before[id] = text;
      replace(bodyOf(id), make(data).flat().filter(Boolean));
    }
  }
  const table = JSON.stringify(data.table);
  if (before.table === table) return;
  before.table = table;
  if (!data.table.count) {
    bodyOf("candidates").replaceChildren(nothing("No candidate has been evaluated yet."));
    return;
  }
  if (!candidates) {
    bodyOf("candidates").replaceChildren();
    candidates = new Candidates(bodyOf("candidates"));
  }
  candidates.show(data.table);
}

function connected(is) {
  const told = is ? "live" : "no answer; what is shown may be old, trying again";
  const status = document.getElementById("connection");
  if (status.textContent !== told) status.textContent = told;
}

async function follow(url, tag) {
  let next = tag;
  try {
    const answer = await fetch(url, { headers: next ? { "If-None-Match": next } : {}, cache: "no-store" });
    if (answer.status === 401) { location.reload(); return; }
    if (answer.ok) {
      show(await answer.json());
      next = answer.headers.get("ETag");
    }
    connected(answer.ok || answer.status === 304);
  } catch (error) {
    connected(false);  // the server ended, or the network did
  }
  setTimeout(() => follow(url, next), PAUSE_MS);
}

show(JSON.parse(document.getElementById("data").textContent));
document.documentElement.dataset.ready = "yes";
if (document.documentElement.dataset.live) follow(document.documentElement.dataset.live, null);
