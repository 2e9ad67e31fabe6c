// Live parts of the overview: each element with data-live="name" shows the newest figure of that name, as text.
const board = document.querySelector("[data-stream]");
if (board) {
  const state = document.querySelector("[data-live-state]");
  const stream = new EventSource(board.dataset.stream);
  stream.addEventListener("figures", (message) => {
    const figures = JSON.parse(message.data);
    for (const element of board.querySelectorAll("[data-live]")) {
      const text = figures[element.dataset.live];
      if (text !== undefined && element.textContent !== text) element.textContent = text;
    }
    state.textContent = "live";
  });
  stream.addEventListener("away", (message) => { state.textContent = JSON.parse(message.data).said; });
  stream.addEventListener("error", () => { state.textContent = "reconnecting"; });
}
