// The page as a whole: the token first, then the rail, one open session and its composer.

import { Api, notReady, place, Refusal } from "./api.js";
import { Composer } from "./composer.js";
import { Conversation } from "./conversation.js";
import { neutral, write } from "./dom.js";
import { Rail } from "./rail.js";
import { Sticky } from "./scroll.js";
import { watch } from "./session.js";

const REFRESH_MS = 10_000;
const NARROW = matchMedia("(max-width: 700px)");
const STATES = { idle: "ready", running: "working…", closed: "closed" };
const page = Object.fromEntries([...document.querySelectorAll("[id]")].map((element) => [element.id, element]));

class Panel {
  #api = null;
  #session = null; // the open one, as last told
  #watching = new AbortController();
  #conversation = new Conversation(page.messages, new Sticky(page.log, page.messages, page.newer));
  #rail = new Rail(page.sessions, {
    onOpen: (session) => this.#open(session),
    onStop: (session) => this.#do(async () => this.#changed(await this.#api.post(`${place(session.id)}/stop`))),
  });
  #composer = new Composer(page, {
    onSay: (how, text) => this.#say(how, text),
    onAbort: () => this.#abort(),
    onChoose: (choice) => this.#choose(choice),
  });

  start() {
    page.unlock.addEventListener("submit", (event) => (event.preventDefault(), this.#unlock()));
    page.create.addEventListener("click", () => this.#create());
    page.title.addEventListener("change", () => this.#choose({ title: page.title.value }));
    page.toggle.addEventListener("click", () => this.#showRail(page.rail.hidden));
    page.shade.addEventListener("click", () => this.#showRail(false));
    page.alert.querySelector("button").addEventListener("click", () => (page.alert.hidden = true));
    document.addEventListener("keydown", (event) => this.#onKey(event));
    NARROW.addEventListener("change", () => this.#showRail(!NARROW.matches));
    setInterval(() => document.hidden || this.#refresh(), REFRESH_MS);
    this.#showRail(!NARROW.matches);
    this.#showSession(null);
  }

  async #unlock() {
    const api = new Api(page.token.value.trim());
    write(page["unlock-error"], "");
    try {
      const [service, { sessions }] = await Promise.all([api.get("/api/capabilities"), api.get("/api/sessions")]);
      this.#api = api;
      this.#begin(service, sessions);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      write(page["unlock-error"], error.status === 401 ? "This is not the token of this service." : error.message);
    }
  }

  #begin({ version, runtime_mode: mode, workspace }, sessions) {
    write(page.service, `kata ${version} · ${mode}\n${workspace}`);
    page.token.value = "";
    page.unlock.hidden = true;
    page.app.inert = false;
    const wanted = this.#session?.id ?? location.hash.slice(1);
    const session = sessions.find(({ id }) => id === wanted) ?? sessions[0];
    this.#rail.show(sessions, session?.id);
    if (session) this.#open(session);
    else this.#conversation.empty("No session yet. Alt+N begins one.");
    this.#do(() => this.#learnModels());
  }

  async #learnModels() {
    const reason = await notReady();
    if (reason) this.#alert(reason);
    else this.#composer.models = (await this.#api.get("/api/models")).models;
  }

  // The token is asked for again; what is on the page stays, and what was written too.
  #lock() {
    this.#watching.abort();
    this.#api = null;
    page.app.inert = true;
    page.unlock.hidden = false;
    write(page["unlock-error"], "The service does not take this token any more.");
    page.token.focus();
  }

  // What others do with the sessions is seen too; that the service is gone is told where something was asked of it.
  async #refresh() {
    if (!this.#api) return;
    const { sessions } = await this.#api.get("/api/sessions").catch((error) => {
      if (error.status === 401) this.#lock();
      return { sessions: this.#rail.sessions };
    });
    this.#rail.show(sessions, this.#session?.id);
    const open = sessions.find(({ id }) => id === this.#session?.id);
    if (open && open.status !== "closed" && this.#session.status === "closed") this.#follow(open);
  }

  #create() {
    this.#do(async () => this.#open(await this.#api.post("/api/sessions/create")));
  }

  // The address names the open session, so that a reload comes back to it.
  #open(session) {
    history.replaceState(null, "", `#${session.id}`);
    if (session.id !== this.#session?.id) this.#conversation.empty("");
    if (NARROW.matches) this.#showRail(false);
    this.#follow(session);
    this.#composer.focus();
  }

  // Show what happens in a session until another one is followed.
  async #follow(session) {
    this.#watching.abort();
    const { signal } = (this.#watching = new AbortController());
    this.#showSession(session);
    try {
      for await (const event of watch(this.#api, session.id, signal)) this.#show(event);
    } catch (error) {
      if (!signal.aborted) this.#refused(error);
    }
  }

  #show(event) {
    if (event.type === "connection") this.#showConnection(event);
    if (event.type === "session") this.#changed(event.session);
    if (event.type === "history") this.#showSession(event.history.session);
    this.#conversation.apply(event);
  }

  #showConnection({ isLive, waitMs }) {
    if (isLive) this.#showStatus();
    else if (waitMs) write(page.status, `connection lost, trying again in ${Math.ceil(waitMs / 1000)} s`);
  }

  #changed(session) {
    if (session.id === this.#session?.id) this.#showSession(session);
    else this.#rail.update(session, this.#session?.id);
  }

  #showSession(session) {
    this.#session = session;
    page.title.disabled = !session;
    page.title.placeholder = session ? "New session" : "No session";
    const title = neutral(session?.title ?? "");
    if (document.activeElement !== page.title) page.title.value = title;
    write(page.mode, session?.runtime_mode ?? "");
    document.title = title ? `${title} · kata` : "kata";
    this.#composer.show(session);
    if (session) this.#rail.update(session, session.id);
    this.#showStatus();
  }

  #showStatus() {
    const status = this.#session?.status;
    page.log.dataset.status = page.status.dataset.status = status ?? "";
    write(page.status, STATES[status] ?? "");
  }

  async #say(how, text) {
    const session = this.#session;
    const isTaken = await this.#do(() => this.#api.post(`${place(session.id)}/${how}`, { message: text }));
    if (isTaken) this.#takenUp(session);
    return isTaken;
  }

  #abort() {
    this.#do(() => this.#api.post(`${place(this.#session.id)}/abort`));
  }

  async #choose(choice) {
    const session = this.#session;
    const isChosen = await this.#do(() => this.#api.post(`${place(session.id)}/choose`, choice));
    if (isChosen) this.#takenUp(session);
    else this.#showSession(this.#session); // what was asked for is not what holds
  }

  // A closed session has no events; one that was used is live again, and can be followed.
  #takenUp(session) {
    if (session.status === "closed" && this.#session?.id === session.id) this.#follow(session);
  }

  /** Do something that the service may refuse; whether it did not. */
  async #do(action) {
    try {
      await action();
      return true;
    } catch (error) {
      this.#refused(error);
      return false;
    }
  }

  #refused(error) {
    if (!(error instanceof Refusal)) throw error;
    if (error.status === 401) this.#lock();
    else this.#alert(error.document);
  }

  #alert({ message, remediation }) {
    write(page.alert.querySelector("p"), remediation ? `${message}\n${remediation}` : message);
    page.alert.hidden = false;
  }

  #showRail(isShown) {
    page.rail.hidden = !isShown;
    page.shade.hidden = !(isShown && NARROW.matches);
    page.toggle.setAttribute("aria-expanded", String(isShown));
  }

  #onKey(event) {
    if (!this.#api || event.defaultPrevented) return;
    const isCommand = event.ctrlKey || event.metaKey;
    if (event.key === "Escape" && !page.shade.hidden) this.#showRail(false);
    else if (event.key === "Escape" && this.#session?.status === "running") this.#abort();
    else if (isCommand && !event.altKey && event.code === "KeyB") this.#showRail(page.rail.hidden);
    else if (event.altKey && !isCommand && event.code === "KeyN") this.#create();
    else return;
    event.preventDefault();
  }
}

new Panel().start();
