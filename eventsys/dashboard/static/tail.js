// Events as they come. Everything is put in as text, so nothing in it can become a tag.
import { follow } from "./follow.js";

const MOST_ROWS = 300;
const rows = document.querySelector("[data-tail]");
const state = document.querySelector("[data-tail-state]");
const count = document.querySelector("[data-tail-count]");
const pause = document.querySelector("[data-tail-pause]");
const empty = document.querySelector("[data-tail-empty]");
const kept = [];
let seen = 0;

// Letters that hide or reorder text are shown as escapes, as on the pages made by the server.
function visible(text) {
  return text.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, (one) => `\\u{${one.codePointAt(0).toString(16)}}`);
}

function cell(text, kind) {
  const made = document.createElement("td");
  made.textContent = visible(text);
  if (kind) made.className = kind;
  return made;
}

function rowOf(event) {
  const row = document.createElement("tr");
  const link = document.createElement("a");
  link.href = rows.dataset.event + encodeURIComponent(event.id);
  link.textContent = visible(event.type);
  const type = cell("");
  type.append(link);
  const time = event.time.replace("T", " ").slice(0, 23).replace(/[+Z].*$/, "");
  row.append(cell(time, "nowrap"), type, cell(event.source, "wide"), cell(event.priority, "wide"), cell(event.id, "wide"));
  return row;
}

function show(events) {
  rows.prepend(...events.map(rowOf).reverse());
  while (rows.rows.length > MOST_ROWS) rows.deleteRow(-1);
  empty.hidden = rows.rows.length > 0;
}

function isPaused() {
  return pause.getAttribute("aria-pressed") === "true";
}

function say(text) {
  state.textContent = text;
  state.parentElement.classList.toggle("on", text.startsWith("live"));
}

function take(message) {
  const { events, left_out: leftOut } = JSON.parse(message.data);
  seen += events.length + leftOut;
  count.textContent = seen.toLocaleString("en");
  say(leftOut ? `live; ${leftOut.toLocaleString("en")} came too fast to be shown` : "live");
  if (isPaused()) kept.push(...events.slice(-MOST_ROWS));
  else show(events);
}

follow(rows.dataset.tail, { following: () => say("live"), events: take }, say);

pause.addEventListener("click", () => {
  pause.setAttribute("aria-pressed", String(!isPaused()));
  pause.textContent = isPaused() ? "Go on" : "Pause";
  if (!isPaused()) show(kept.splice(0).slice(-MOST_ROWS));
});
document.querySelector("[data-tail-clear]").addEventListener("click", () => {
  rows.replaceChildren();
  empty.hidden = false;
});
