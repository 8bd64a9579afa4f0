// What happens in a session, as one stream: its history, then each event, across lost connections.

import { place, Refusal } from "./api.js";

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 15_000;

/**
 * Yields `{type: "history", history}` first and again after a gap, in between each event of the session once, and
 * `{type: "connection", isLive, waitMs}` when the connection comes and goes. Ends once the session is closed.
 */
export async function* watch(api, session, signal) {
  let after = null; // the last event seen; null where the history has to be read
  for (let failures = 0; ; failures += 1) {
    let refused = null;
    try {
      for await (const [id, event] of connection(api, session, after, signal)) {
        if (event.type === "history" && isClosed(event.history.session)) return yield event;
        after = id;
        if (isNews(event)) failures = -1; // so that the next attempt comes at once
        yield event;
      }
    } catch (error) {
      if (signal.aborted || !mayPass(error)) throw error;
      refused = error;
      failures = Math.max(failures, 0);
    }
    const waitMs = failures < 0 ? 0 : backoff(failures, refused?.retryAfterMs ?? 0);
    yield { type: "connection", isLive: false, waitMs };
    await pause(waitMs, signal);
  }
}

// One connection, as `[id to go on from, event]`.
async function* connection(api, session, after, signal) {
  // Asking for the events of a closed session would take it up, so see first whether it is closed.
  if (after !== null && isClosed(await api.get(place(session), signal))) after = null;
  if (after === null) {
    const history = await api.get(`${place(session)}/history`, signal);
    after = history.last_event_id;
    yield [after, { type: "history", history }];
  }
  const events = await api.events(session, after, signal);
  yield [after, { type: "connection", isLive: true, waitMs: 0 }];
  for await (const [id, event] of events) {
    if (event.type === "reset") return yield [null, event];
    after = event.type === "bye" ? after : id;
    yield [after, event];
  }
}

function isClosed(session) {
  return session.status === "closed";
}

function isNews(event) {
  return event.type !== "history" && event.type !== "connection";
}

function mayPass(error) {
  return error instanceof Refusal ? error.isPassing : error instanceof TypeError || error.name === "NetworkError";
}

/** How long to wait before another attempt: doubled each time, with jitter so that clients do not come all at once. */
export function backoff(failures, atLeastMs = 0, random = Math.random) {
  const longest = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** failures);
  return Math.max(atLeastMs, Math.round(longest * (0.5 + random() / 2)));
}

function pause(ms, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => (clearTimeout(timer), reject(signal.reason)), { once: true });
  });
}
