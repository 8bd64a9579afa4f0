// Where messages are written: sends, steers, follows up, aborts; chooses model and thinking.

import { node, write } from "./dom.js";

const LEVELS = ["off", "minimal", "low", "medium", "high", "xhigh", "max"];

/** `onSay(how, text)` gives whether the text was taken, `how` is send, steer or follow-up; `onChoose` gets a `Choose`. */
export class Composer {
  #page;
  #session = null;
  #drafts = new Map(); // what was written and not sent, by session
  #models = [];
  #onSay;

  constructor(page, { onSay, onAbort, onChoose }) {
    this.#page = page;
    this.#onSay = onSay;
    page.message.addEventListener("keydown", (event) => this.#onKey(event));
    page.message.addEventListener("input", () => this.#showButtons());
    page.send.addEventListener("click", () => this.#say(this.#isRunning ? "steer" : "send"));
    page.follow.addEventListener("click", () => this.#say("follow-up"));
    page.abort.addEventListener("click", onAbort);
    page.model.addEventListener("change", () => onChoose({ model: page.model.value }));
    page.thinking.addEventListener("change", () => onChoose({ thinking: page.thinking.value }));
  }

  get #isRunning() {
    return this.#session?.status === "running";
  }

  set models(models) {
    this.#models = models;
    if (this.#session) this.#showChoices();
  }

  /** Belong to this session as it stands; null where none is open. */
  show(session) {
    const page = this.#page;
    if (session?.id !== this.#session?.id) {
      if (this.#session) this.#drafts.set(this.#session.id, page.message.value);
      page.message.value = this.#drafts.get(session?.id) ?? "";
    }
    this.#session = session;
    for (const part of [page.message, page.model, page.thinking]) part.disabled = !session;
    page.message.placeholder = !session ? "" : this.#isRunning ? "Steer now, or follow up with Alt+Enter…" : "Message…";
    write(page.keys, this.#isRunning ? "Enter steers" : "Enter sends · Shift+Enter new line");
    this.#showButtons();
    this.#showQueue();
    if (session) this.#showChoices();
  }

  focus() {
    this.#page.message.focus();
  }

  #showButtons() {
    const { abort, follow, message, send } = this.#page;
    abort.hidden = follow.hidden = !this.#isRunning;
    send.disabled = follow.disabled = !this.#session || !message.value.trim();
    write(send, this.#isRunning ? "Steer" : "Send");
  }

  #showQueue() {
    const { steering = [], follow_up = [] } = this.#session?.queue ?? {};
    const rows = [...steering.map((text) => ["steering", text]), ...follow_up.map((text) => ["follow-up", text])];
    this.#page.queue.replaceChildren(
      ...rows.map(([kind, text]) => node("li", {}, node("span", { class: "kind" }, kind), " ", text)),
    );
  }

  #showChoices() {
    const { model, thinking } = this.#session;
    fillSelect(this.#page.model, model, this.#models.map(({ id, name }) => [id, name || id]));
    const levels = this.#models.find(({ id }) => id === model)?.thinking ?? LEVELS;
    const labelled = levels.map((level) => [level, `thinking: ${level}`]);
    fillSelect(this.#page.thinking, thinking, [["", "thinking: default"], ...labelled]);
  }

  #onKey(event) {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    this.#say(this.#isRunning ? (event.altKey ? "follow-up" : "steer") : "send");
  }

  // What was written stays until the service has taken it.
  async #say(how) {
    const { message } = this.#page;
    const { id } = this.#session ?? {};
    const text = message.value;
    if (!id || !text.trim() || message.readOnly) return;
    message.readOnly = true;
    try {
      const isTaken = await this.#onSay(how, text);
      if (isTaken && this.#session?.id === id) message.value = "";
      else if (isTaken) this.#drafts.delete(id);
    } finally {
      message.readOnly = false;
      this.#showButtons();
    }
  }
}

// The value that holds is always among the options, known or not.
function fillSelect(select, value, known) {
  const rows = known.some(([id]) => id === value) ? known : [[value, value || "default model"], ...known];
  const key = JSON.stringify(rows);
  if (select.dataset.rows !== key) {
    select.replaceChildren(...rows.map(([id, label]) => node("option", { value: id }, label)));
    select.dataset.rows = key;
  }
  select.value = value;
}
