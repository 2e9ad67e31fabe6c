// How long what waits still has: each element with data-due (ms since 1970) counts down from the server's time, data-now.
const UNITS = [["d", 86400], ["h", 3600], ["m", 60], ["s", 1]];
const elements = [...document.querySelectorAll("[data-due]")];
const began = performance.now();

function left(seconds) {
  if (seconds <= 0) return "no time: due now";
  const parts = [];
  let rest = Math.ceil(seconds);
  for (const [unit, size] of UNITS) {
    const number = Math.floor(rest / size);
    rest -= number * size;
    if (number || parts.length) parts.push(`${number} ${unit}`);
  }
  return parts.slice(0, 2).filter((part) => !part.startsWith("0 ")).join(" ");
}

function tick() {
  for (const element of elements) {
    const now = Number(element.dataset.now) + performance.now() - began;
    const text = left((Number(element.dataset.due) - now) / 1000);
    if (element.textContent !== text) element.textContent = text;
  }
}

if (elements.length) setInterval(tick, 1000);
