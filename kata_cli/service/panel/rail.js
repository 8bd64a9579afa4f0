// The list of sessions: switch to one, stop one.

import { age, button, node, write } from "./dom.js";

/** `onOpen` and `onStop` are given the session of a row. */
export class Rail {
  #list;
  #rows = new Map();
  #onOpen;
  #onStop;

  constructor(list, { onOpen, onStop }) {
    this.#list = list;
    this.#onOpen = onOpen;
    this.#onStop = onStop;
    list.addEventListener("keydown", (event) => this.#onKey(event));
  }

  get sessions() {
    return [...this.#rows.values()].map((row) => row.session);
  }

  /** Show these sessions, in this order, with the one that is open marked. */
  show(sessions, openId) {
    const gone = new Set(this.#rows.keys());
    const rows = sessions.map((session) => {
      gone.delete(session.id);
      return this.#rows.get(session.id) ?? this.#row();
    });
    for (const id of gone) this.#rows.get(id).element.remove();
    this.#rows = new Map(sessions.map((session, at) => [session.id, rows[at]]));
    sessions.forEach((session, at) => this.#fill(rows[at], session, session.id === openId));
    const isInOrder = rows.every((row, at) => this.#list.children[at] === row.element);
    if (!isInOrder) this.#reorder(rows);
  }

  /** Show a session as it stands now; a new one comes first. */
  update(session, openId) {
    const sessions = this.sessions;
    const at = sessions.findIndex((known) => known.id === session.id);
    if (at < 0) sessions.unshift(session);
    else sessions[at] = session;
    this.show(sessions, openId);
  }

  // Moving a node takes the focus from it.
  #reorder(rows) {
    const focused = document.activeElement;
    this.#list.append(...rows.map((row) => row.element));
    if (this.#list.contains(focused)) focused.focus();
  }

  #row() {
    const row = { session: null };
    row.dot = node("span", { class: "dot", "aria-hidden": "true" });
    row.title = node("span", { class: "name" });
    row.age = node("time", {});
    row.open = button({ class: "session" }, "", () => this.#onOpen(row.session));
    row.open.append(row.dot, row.title, row.age);
    row.stop = button({ class: "plain stop" }, "×", () => this.#onStop(row.session));
    row.element = node("li", {}, row.open, row.stop);
    return row;
  }

  #fill(row, session, isOpen) {
    const title = session.title || "New session";
    row.session = session;
    row.dot.className = `dot ${session.status}`;
    write(row.title, title);
    write(row.age, age(session.updated_at));
    row.open.title = `${row.title.textContent}: ${session.status}`;
    row.open.setAttribute("aria-label", `${row.title.textContent}, ${session.status}, ${row.age.textContent}`);
    if (isOpen) row.open.setAttribute("aria-current", "true");
    else row.open.removeAttribute("aria-current");
    row.stop.hidden = session.status === "closed";
    row.stop.title = "Stop the session; it stays on disk and can be taken up again";
    row.stop.setAttribute("aria-label", `Stop ${row.title.textContent}`);
  }

  #onKey(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const rows = [...this.#rows.values()];
    const at = rows.findIndex((row) => row.element.contains(document.activeElement));
    if (!step || at < 0) return;
    event.preventDefault();
    rows[Math.min(rows.length - 1, Math.max(0, at + step))].open.focus();
  }
}
