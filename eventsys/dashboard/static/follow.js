// Following a stream of the server for as long as the page is open.

// Milliseconds until a stream that was refused is asked for again: somebody else may have stopped watching by then.
const AGAIN_MS = 10000;

// Call each listener with the messages of its name, and `say` with what there is to say instead.
export function follow(url, listeners, say) {
  const stream = new EventSource(url);
  for (const [name, hear] of Object.entries(listeners)) stream.addEventListener(name, hear);
  stream.addEventListener("away", (message) => say(JSON.parse(message.data).said));
  stream.addEventListener("error", () => {
    // Where a connection broke a browser opens another by itself; where one was refused it gives up for good.
    if (stream.readyState === EventSource.CLOSED) {
      say("not live: the server refused, and is asked again");
      setTimeout(() => follow(url, listeners, say), AGAIN_MS);
    } else {
      say("reconnecting");
    }
  });
}
