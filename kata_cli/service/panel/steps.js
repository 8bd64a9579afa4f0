// The pieces of a conversation, each a function from data to a node.

import { node, write } from "./dom.js";
import { codeNode, markdown } from "./markdown.js";

const STOPS = {
  length: "cut off at the limit of tokens",
  refusal: "the model refused to go on",
};

/** A message of the conversation. */
export function messageNode(told) {
  if (told.role === "summary") return summaryNode(told.text);
  const isAnswer = told.role === "assistant";
  const made = node("article", { class: `message ${told.role}`, "aria-label": isAnswer ? "Answer" : "You" });
  made.append(...(told.steps ?? []).map((step) => stepNode({ ...step, state: "finished" })));
  made.append(isAnswer ? markdown(told.text) : node("p", { class: "said" }, told.text));
  if (isAnswer) made.append(...remarks(told));
  return made;
}

function remarks(told) {
  const made = [];
  const broken = told.is_error ? "broken off" : STOPS[told.stop];
  if (broken) made.push(node("p", { class: "broken" }, broken));
  if (told.usage) made.push(node("p", { class: "meta" }, [told.model, ...counted(told.usage)].filter(Boolean).join(" · ")));
  return made;
}

function counted(usage) {
  const { input = 0, output = 0, cache_read = 0, cache_write = 0, cost_usd: cost } = usage;
  const read = input + cache_read + cache_write;
  const tokens = read + output ? [`${short(read)} in`, `${short(output)} out`] : [];
  return cost ? [...tokens, `$${cost.toFixed(cost < 0.1 ? 4 : 2)}`] : tokens;
}

/** A count in three digits: 999, 1.2k, 34k, 1.2M. */
export function short(count) {
  if (count < 1000) return String(count);
  const [value, unit] = count < 999_500 ? [count / 1000, "k"] : [count / 1e6, "M"];
  return `${value < 10 ? value.toFixed(1) : Math.round(value)}${unit}`;
}

const MAX_GIST_CHARS = 300;
const STATES = {
  started: "running",
  asked: "",
  wanted: "waiting for a client",
  finished: "",
  answered: "",
};

/** A tool call, folded: `{tool, input, output, state, is_error}`. */
export function stepNode(step) {
  const made = node(
    "details",
    { class: "step" },
    node("summary", {}, part("tool", step.tool), part("gist"), part("state")),
    node("div", { class: "parts" }),
  );
  fillStep(made, step);
  return made;
}

function part(name, text = "") {
  return node("span", { class: name }, text);
}

/** Show what has become of a tool call. */
export function fillStep(made, step) {
  const isOpenEnded = step.state === "started" || step.state === "wanted";
  made.classList.toggle("running", isOpenEnded);
  made.classList.toggle("failed", Boolean(step.is_error));
  const given = fields(step.input ?? "");
  write(made.querySelector(".gist"), given.join(" ").slice(0, MAX_GIST_CHARS).replace(/\s+/g, " "));
  write(made.querySelector(".state"), step.is_error ? "failed" : STATES[step.state]);
  const parts = [["Input", given.join("\n")], ["Output", step.output ?? ""]].filter(([, text]) => text);
  made.querySelector(".parts").replaceChildren(
    ...parts.flatMap(([name, text]) => [node("p", { class: "part" }, name), codeNode(text)]),
  );
}

// What a call is given, as a line for each argument; text that is no JSON, or nested too deeply, stays as it is.
function fields(input) {
  try {
    const given = JSON.parse(input);
    if (typeof given !== "object" || given === null || Array.isArray(given)) return [input];
    return Object.entries(given).map(([name, value]) => `${name}: ${typeof value === "string" ? value : JSON.stringify(value)}`);
  } catch {
    return [input];
  }
}

function summaryNode(text) {
  const made = node("details", { class: "marker" }, node("summary", {}, "Earlier messages are summarised"));
  made.append(markdown(text));
  return made;
}

/** What compaction did; sizes in tokens. */
export function compactionNode(event) {
  const made = summaryNode(event.summary);
  write(made.firstChild, `Compacted: ${short(event.tokens_before)} → ${short(event.tokens_after)} tokens (estimated)`);
  return made;
}

/** An attempt that failed and is made again. */
export function retryNode(event) {
  const told = `${event.error.message} Trying again in ${Math.ceil(event.delay_s)} s.`;
  return node("p", { class: "notice", role: "status" }, told);
}

/** Why a turn ended without an answer, and what to do. An abort is no failure. */
export function failureNode(error) {
  if (error.code === "interrupted") return node("p", { class: "notice" }, "Stopped.");
  const made = node("div", { class: "failure", role: "alert" }, node("p", {}, error.message));
  if (error.remediation) made.append(node("p", { class: "hint" }, error.remediation));
  return made;
}
