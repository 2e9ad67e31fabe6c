// The overview as it changes: each element with data-live="name" shows the newest figure of that name, as text, and each
// chart the newest bars.
import { follow } from "./follow.js";

const board = document.querySelector("[data-stream]");
const state = document.querySelector("[data-live-state]");

function draw(figure, chart) {
  figure.querySelector("[data-chart-most]").textContent = chart.most;
  figure.querySelectorAll("g").forEach((group, part) => {
    group.querySelectorAll("rect").forEach((bar, minute) => {
      const [top, high] = chart.bars[part][minute];
      bar.setAttribute("y", top + 3);
      bar.setAttribute("height", high);
      bar.firstElementChild.textContent = chart.said[minute];
    });
  });
}

function show(message) {
  const figures = JSON.parse(message.data);
  for (const element of board.querySelectorAll("[data-live]")) {
    const text = figures[element.dataset.live];
    if (text !== undefined && element.textContent !== text) element.textContent = text;
  }
  for (const figure of document.querySelectorAll("[data-chart]")) {
    const chart = figures.charts[figure.dataset.chart];
    if (chart) draw(figure, chart);
  }
  say("live");
}

if (board) follow(board.dataset.stream, { figures: show }, say);

function say(text) {
  state.textContent = text;
  state.parentElement.classList.toggle("on", text === "live");
}
