// An answer as it comes. Blocks that are complete are rendered once; only the last one is rendered again.

import { neutral, node } from "./dom.js";
import { markdown, settledLength } from "./markdown.js";
import { fillStep, stepNode } from "./steps.js";

const FRAME_MS = 16;
const CHARS_PER_MS = 100; // a long last block is drawn less often, so that drawing stays a small part of the time

/** Provisional: the message that follows is what holds. `onDrawn` hears of each change to what is seen. */
export class Provisional {
  #waiting = "";
  #last = "";
  #timer = null;
  #steps = new Map();
  #settled = node("div", { class: "settled" });
  #tail = node("div", { class: "tail" });
  #thought = null;
  #onDrawn;

  constructor(onDrawn) {
    this.#onDrawn = onDrawn;
    this.element = node("article", { class: "message assistant provisional", "aria-label": "Answer", "aria-busy": "true" });
    this.element.append(this.#settled, this.#tail);
  }

  /** Text of the answer, or of what the model thinks. */
  add(text, kind) {
    if (kind === "thinking") this.#think(text);
    else this.#waiting += text;
    this.#timer ??= setTimeout(() => this.#draw(), FRAME_MS + this.#last.length / CHARS_PER_MS);
  }

  /** A tool that the agent uses on the way to its answer. */
  step(event) {
    const known = this.#steps.get(event.call_id);
    const step = { ...known?.step, ...event, input: event.input || known?.step.input };
    if (known) fillStep(known.element, step);
    const element = known?.element ?? stepNode(step);
    if (!known) this.element.insertBefore(element, this.#settled);
    this.#steps.set(event.call_id, { step, element });
    this.#onDrawn();
  }

  /** It does not count any more. */
  remove() {
    clearTimeout(this.#timer);
    this.element.remove();
  }

  #think(text) {
    if (!this.#thought) {
      this.#thought = node("p", { class: "said" });
      this.element.prepend(node("details", { class: "thinking" }, node("summary", {}, "Thinking"), this.#thought));
    }
    this.#thought.append(neutral(text));
  }

  #draw() {
    this.#timer = null;
    this.#last += this.#waiting;
    this.#waiting = "";
    const settled = settledLength(this.#last);
    if (settled) this.#settled.append(markdown(this.#last.slice(0, settled)));
    this.#last = this.#last.slice(settled);
    this.#tail.replaceChildren(markdown(this.#last));
    this.#onDrawn();
  }
}
