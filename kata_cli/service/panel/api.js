// The service over HTTP. The token lives in a private field and nowhere else: not in storage, address or cookie.

import { framesOf } from "./sse.js";

const SILENCE_MS = 45_000; // the service pings every 15 s

/** The service said no, or could not be reached (`status` 0). `document` is a `kata.error/v1`. */
export class Refusal extends Error {
  constructor(status, document, retryAfterMs = 0) {
    super(document.message);
    this.status = status;
    this.document = document;
    this.retryAfterMs = retryAfterMs;
  }

  /** Whether the same request may work later. */
  get isPassing() {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

/** One service, and the token that opens it. */
export class Api {
  #token;

  constructor(token) {
    this.#token = token;
  }

  async get(path, signal) {
    return (await this.#ask("GET", path, { signal })).json();
  }

  async post(path, body = {}) {
    return (await this.#ask("POST", path, { body })).json();
  }

  /** The events of a session after the one with the id `after`, each as `[id, event]`, until the stream ends. */
  async events(session, after, signal) {
    return decoded(await this.#ask("GET", `${place(session)}/events`, { signal, after }));
  }

  async #ask(method, path, { body, after, signal }) {
    const headers = { Authorization: `Bearer ${this.#token}` };
    if (body) headers["Content-Type"] = "application/json";
    if (after) headers["Last-Event-ID"] = after;
    const response = await send(path, { method, headers, signal, body: body && JSON.stringify(body) });
    if (!response.ok) throw await refusal(response);
    return response;
  }
}

async function* decoded(response) {
  for await (const frame of framesOf(response, SILENCE_MS)) yield [frame.id, JSON.parse(frame.data)];
}

/** Where a session is found. */
export function place(session) {
  return `/api/sessions/${encodeURIComponent(session)}`;
}

/** Why no session could work now, as an error document; null when one could. Needs no token. */
export async function notReady() {
  const response = await send("/readyz", {});
  return response.ok ? null : (await refusal(response)).document;
}

async function send(path, options) {
  try {
    return await fetch(path, { cache: "no-store", credentials: "omit", redirect: "error", ...options });
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw new Refusal(0, { message: "The service does not answer.", remediation: "see whether kata serve runs" });
  }
}

async function refusal(response) {
  const retryAfterMs = 1000 * Number(response.headers.get("Retry-After") ?? 0);
  const document = await response.json().catch(() => ({}));
  const message = document.message ?? `The service answered ${response.status}.`;
  return new Refusal(response.status, { remediation: "", ...document, message }, retryAfterMs);
}
