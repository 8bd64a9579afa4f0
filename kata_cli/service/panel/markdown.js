// Markdown as DOM nodes. A reader for what models write, not for all of CommonMark: what it does not know
// stays visible as it was written.

import { button, node } from "./dom.js";
import { inline } from "./inline.js";

const FENCE = /^ {0,12}(`{3,}|~{3,})\s*([^\s`]{0,40})/;
const HEADING = /^ {0,3}(#{1,6})(?:\s|$)/;
const RULE = /^ {0,3}([-*_])(?: *\1){2,} *$/;
const QUOTE = /^ {0,3}>/;
const ITEM = /^( *)(?:[-*+]|(\d{1,9})[.)])(?: {1,4}|$)/;
const TASK = /^\[([ xX])\] /;
const MAX_DEPTH = 8;
const MAX_CHARS = 200_000; // beyond it a text is a dump, and is shown as one

/** The text as a fragment of the page. */
export function markdown(text) {
  const fragment = document.createDocumentFragment();
  if (text.length > MAX_CHARS) fragment.append(node("pre", {}, text));
  else fragment.append(...blocks(text.replace(/\r\n?/g, "\n").split("\n"), 0));
  return fragment;
}

/** How much of a text that still grows is made of blocks that are complete: up to the last blank line outside a fence. */
export function settledLength(text) {
  let settled = 0;
  let fence = "";
  let at = 0;
  for (const line of text.split("\n").slice(0, -1)) {
    at += line.length + 1;
    if (fence) fence = closes(line, fence) ? "" : fence;
    else if (opens(line)) fence = opens(line)[1];
    else if (!line.trim()) settled = at;
  }
  return settled;
}

// Each reader gives [node, the line after it], or null where it sees nothing of its kind.
function blocks(lines, depth) {
  const made = [];
  for (let at = 0; at < lines.length; ) {
    if (!lines[at].trim()) {
      at += 1;
      continue;
    }
    const [block, next] =
      codeBlock(lines, at) ??
      heading(lines, at) ??
      rule(lines, at) ??
      (depth < MAX_DEPTH ? (quote(lines, at, depth) ?? list(lines, at, depth)) : null) ??
      table(lines, at) ??
      paragraph(lines, at, depth);
    made.push(block);
    at = next;
  }
  return made;
}

// Three ticks that close in the same line are code inside a line.
function opens(line) {
  const found = FENCE.exec(line);
  return found && !(found[1][0] === "`" && line.includes("`", found[0].length)) ? found : null;
}

function closes(line, fence) {
  const bare = line.trim();
  return bare.length >= fence.length && bare === fence[0].repeat(bare.length);
}

function codeBlock(lines, at) {
  const opening = opens(lines[at]);
  if (!opening) return null;
  let end = at + 1;
  while (end < lines.length && !closes(lines[end], opening[1])) end += 1;
  const indent = lines[at].search(/\S/);
  const code = lines.slice(at + 1, end).map((line) => dedent(line, indent));
  return [codeNode(code.join("\n"), opening[2]), end + 1];
}

/** A block of code with a button that copies it as it is shown. */
export function codeNode(code, language = "") {
  const content = node("code", {}, code);
  const copy = button({ class: "copy", "aria-label": "Copy the code" }, "Copy", () => copyText(content, copy));
  const pre = node("pre", { tabindex: "0", "aria-label": language ? `Code, ${language}` : "Code" }, content);
  return node("div", { class: "code", dir: "ltr" }, node("span", { class: "language" }, language), copy, pre);
}

async function copyText(content, copy) {
  try {
    await navigator.clipboard.writeText(content.textContent);
    copy.textContent = "Copied";
  } catch {
    // No clipboard without TLS or permission: the selection is one key away from it.
    getSelection().selectAllChildren(content);
    copy.textContent = "Selected";
  }
  setTimeout(() => (copy.textContent = "Copy"), 1500);
}

function heading(lines, at) {
  const found = HEADING.exec(lines[at]);
  if (!found) return null;
  const text = lines[at].slice(found[0].length).trim().replace(/\s#{1,6}$/, "");
  // The page and the session have the first two levels.
  return [node(`h${Math.min(6, found[1].length + 2)}`, {}, ...inline(text)), at + 1];
}

function rule(lines, at) {
  return RULE.test(lines[at]) ? [node("hr"), at + 1] : null;
}

function quote(lines, at, depth) {
  if (!QUOTE.test(lines[at])) return null;
  let end = at;
  while (end < lines.length && QUOTE.test(lines[end])) end += 1;
  const inner = lines.slice(at, end).map((line) => line.replace(/^ {0,3}> ?/, ""));
  return [node("blockquote", {}, ...blocks(inner, depth + 1)), end];
}

function list(lines, at, depth) {
  const first = ITEM.exec(lines[at]);
  if (!first) return null;
  const isOrdered = first[2] !== undefined;
  const items = [];
  let isLoose = false;
  for (let found = first; found; ) {
    const end = itemEnd(lines, at + 1, found[1].length);
    const own = lines.slice(at, end).map((line, index) => (index ? dedent(line, found[0].length) : line));
    own[0] = own[0].slice(found[0].length);
    const next = nextFilled(lines, end);
    items.push(own);
    at = end;
    found = isNextItem(lines[next], isOrdered, first[1].length) ? ITEM.exec(lines[next]) : null;
    if (found && next > end) isLoose = true;
    if (found) at = next;
  }
  const attributes = isOrdered && first[2] !== "1" ? { start: Number(first[2]) } : {};
  const shown = items.map((own) => node("li", {}, ...itemContent(own, isLoose, depth)));
  return [node(isOrdered ? "ol" : "ul", attributes, ...shown), at];
}

function isNextItem(line, isOrdered, indent) {
  const found = line === undefined || RULE.test(line) ? null : ITEM.exec(line);
  return found !== null && (found[2] !== undefined) === isOrdered && Math.abs(found[1].length - indent) < 2;
}

// An item goes on with what is indented below it, and with plain text that follows at once.
function itemEnd(lines, at, indent) {
  while (at < lines.length) {
    const next = nextFilled(lines, at);
    if (next === lines.length) return at;
    const isInside = lines[next].search(/\S/) >= indent + 2;
    if (!isInside && (next > at || startsBlock(lines[next]))) return at;
    at = next + 1;
  }
  return at;
}

function nextFilled(lines, at) {
  while (at < lines.length && !lines[at].trim()) at += 1;
  return at;
}

function itemContent(own, isLoose, depth) {
  const task = TASK.exec(own[0]);
  if (task) own[0] = `${task[1] === " " ? "☐" : "☑"} ${own[0].slice(task[0].length)}`;
  const content = blocks(own, depth + 1);
  return isLoose ? content : content.flatMap((block) => (block.tagName === "P" ? [...block.childNodes] : [block]));
}

function dedent(line, width) {
  return line.slice(Math.min(width, Math.max(line.search(/\S/), 0)));
}

function table(lines, at) {
  if (!lines[at].includes("|") || !isDelimiter(lines[at + 1] ?? "")) return null;
  let end = at + 2;
  while (end < lines.length && lines[end].includes("|") && lines[end].trim()) end += 1;
  const titles = cells(lines[at]);
  const row = (tag, texts) => node("tr", {}, ...titles.map((_, column) => node(tag, {}, ...inline(texts[column] ?? ""))));
  const body = lines.slice(at + 2, end).map((line) => row("td", cells(line)));
  const whole = node("table", {}, node("thead", {}, row("th", titles)), node("tbody", {}, ...body));
  return [node("div", { class: "table", tabindex: "0", role: "group", "aria-label": "Table" }, whole), end];
}

function isDelimiter(line) {
  return line.includes("-") && line.includes("|") && cells(line).every((cell) => /^:?-+:?$/.test(cell));
}

function cells(line) {
  const inner = line.trim().replace(/^\|/, "").replace(/(?<!\\)\|$/, "");
  return inner.split(/(?<!\\)\|/).map((cell) => cell.trim().replaceAll("\\|", "|"));
}

function paragraph(lines, at, depth) {
  let end = at + 1;
  while (end < lines.length && lines[end].trim() && (depth >= MAX_DEPTH || !startsBlock(lines[end]))) end += 1;
  const text = lines.slice(at, end).map((line) => line.trim());
  return [node("p", {}, ...inline(text.join("\n"))), end];
}

function startsBlock(line) {
  return opens(line) !== null || [HEADING, RULE, QUOTE, ITEM].some((pattern) => pattern.test(line));
}
