// The conversation of one session on the page: events in, nodes out. What is held stands in the order of the
// session's tree; the answer under way always comes last.

import { node } from "./dom.js";
import { Provisional } from "./provisional.js";
import { compactionNode, failureNode, fillStep, messageNode, retryNode, stepNode } from "./steps.js";

const AT_ONCE = 24; // messages that are rendered before the page is seen
const SLICE_MS = 12; // the time for older ones, until the page answers to its reader again

/** `list` holds the messages; `sticky` scrolls it. */
export class Conversation {
  #list;
  #sticky;
  #calls = new Map(); // the tool calls whose result may still come: id -> {step, element}
  #provisional = null;
  #notice = null;
  #readings = 0;

  constructor(list, sticky) {
    this.#list = list;
    this.#sticky = sticky;
  }

  /** Nothing is there to see; `text` says what to do. */
  empty(text) {
    this.#clear();
    this.#list.append(node("p", { class: "empty" }, text));
  }

  /** Show what an event tells. Events without a place in the conversation are passed over. */
  apply(event) {
    if (event.type === "history") return this.#read(event.history);
    if (event.type === "message") this.#message(event.message);
    else if (event.type === "delta") this.#answer().add(event.text, event.kind);
    else if (event.type === "tool") this.#tool(event);
    else if (event.type === "retry") this.#retry(event);
    else if (event.type === "compaction") this.#hold(compactionNode(event));
    else if (event.type === "error") this.#fail(event.error);
    else return;
    this.#sticky.grown();
  }

  // A whole history takes the place of what is seen, the latest messages first.
  #read(history) {
    this.#clear();
    const items = paired(history.messages, new Set(history.session.wanted.map((call) => call.id)));
    if (!items.length && !history.partial) this.empty("Say what you want done.");
    this.#list.append(...items.slice(-AT_ONCE).flatMap((item) => this.#nodes(item)));
    if (history.partial) this.#answer().add(history.partial, "text");
    this.#sticky.toEnd();
    this.#list.setAttribute("aria-busy", "true"); // a history is not read aloud
    this.#fill(items.slice(0, -AT_ONCE), this.#readings);
  }

  // Older messages follow in slices, so that no task is long, whatever the length of the history.
  #fill(items, reading) {
    if (reading !== this.#readings) return;
    if (!items.length) return this.#list.removeAttribute("aria-busy");
    const until = performance.now() + SLICE_MS;
    const nodes = [];
    while (items.length && performance.now() < until) nodes.unshift(...this.#nodes(items.pop()));
    this.#list.prepend(...nodes);
    setTimeout(() => this.#fill(items, reading));
  }

  #clear() {
    this.#readings += 1;
    this.#settle();
    this.#calls.clear();
    this.#list.replaceChildren();
  }

  #message(told) {
    const call = told.role === "tool" ? this.#calls.get(told.call_id) : undefined;
    if (call) return this.#change(call, { output: told.text, is_error: told.is_error, state: "answered" });
    if (told.role === "assistant") this.#settle();
    this.#hold(...this.#nodes(...paired([told], new Set())));
  }

  #nodes({ told, calls }) {
    const elements = calls.map((step) => {
      const element = stepNode(step);
      if (step.state !== "answered") this.#calls.set(step.call_id, { step, element });
      return element;
    });
    return told.role === "tool" ? elements : [messageNode(told), ...elements];
  }

  // The agent's own tools belong to its answer; a call for a client is an answer of its own, and holds already.
  #tool(event) {
    if (event.state === "started" || event.state === "finished") return this.#answer().step(event);
    const call = this.#calls.get(event.call_id);
    if (call) this.#change(call, { state: event.state, is_error: event.is_error });
    else if (event.state === "wanted") this.#hold(...this.#nodes({ told: { role: "tool" }, calls: [event] }));
  }

  #change(call, news) {
    Object.assign(call.step, news);
    fillStep(call.element, call.step);
  }

  #retry(event) {
    this.#settle();
    this.#notice = retryNode(event);
    this.#hold(this.#notice);
  }

  #fail(error) {
    this.#settle();
    this.#hold(failureNode(error));
  }

  // The answer under way; it is made when its first piece comes.
  #answer() {
    if (!this.#provisional) {
      this.#settle();
      this.#provisional = new Provisional(() => this.#sticky.grown());
      this.#list.append(this.#provisional.element);
    }
    return this.#provisional;
  }

  // What was provisional gives way to what holds.
  #settle() {
    this.#provisional?.remove();
    this.#provisional = null;
    this.#notice?.remove();
    this.#notice = null;
  }

  #hold(...nodes) {
    this.#list.querySelector(".empty")?.remove();
    if (this.#provisional) this.#provisional.element.before(...nodes);
    else this.#list.append(...nodes);
  }
}

/**
 * The messages with the tool calls that each makes, and their results at the calls: `[{told, calls}]`.
 * A result whose call is not among them stands as a call of its own.
 */
export function paired(messages, wanted) {
  const items = [];
  const open = new Map();
  for (const told of messages) {
    const result = { output: told.text, is_error: told.is_error, state: "answered" };
    if (told.role === "tool" && open.has(told.call_id)) {
      Object.assign(open.get(told.call_id), result);
    } else {
      const calls = told.role === "tool" ? [{ call_id: told.call_id, tool: "result", ...result }] : asked(told, wanted);
      for (const step of calls) open.set(step.call_id, step);
      items.push({ told, calls });
    }
  }
  return items;
}

function asked(told, wanted) {
  return (told.calls ?? []).map(({ id, name, arguments: input }) => {
    return { call_id: id, tool: name, input, state: wanted.has(id) ? "wanted" : "asked" };
  });
}
