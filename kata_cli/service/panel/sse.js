// Server-sent events over fetch: an EventSource can carry no token in a header.

/** The frames of a text that comes in pieces, wherever it was cut. A comment is no frame. */
export class Frames {
  #rest = "";

  feed(text) {
    const parts = (this.#rest + text).split(/\r?\n\r?\n/);
    this.#rest = parts.pop();
    return parts.map(frame).filter((found) => found.data !== undefined);
  }
}

function frame(text) {
  const found = { id: undefined, event: "message", data: undefined };
  for (const line of text.split(/\r?\n/)) {
    const colon = line.indexOf(":");
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (name === "data") found.data = found.data === undefined ? value : `${found.data}\n${value}`;
    else if (name === "id" || name === "event") found[name] = value;
  }
  return found;
}

/** The frames of a response. A stream that is silent for `silenceMs`, pings too, is dead: it ends with an error. */
export async function* framesOf(response, silenceMs) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  const frames = new Frames();
  try {
    while (true) {
      const { value, done } = await within(silenceMs, reader.read());
      if (done) return;
      yield* frames.feed(value);
    }
  } finally {
    reader.cancel().catch(() => {}); // it may have broken already, which is why we are here
  }
}

function within(ms, promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new TypeError("the stream is silent")), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}
