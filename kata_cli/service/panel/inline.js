// Markdown inside a line: code, links, bold, italic, struck out.

import { node } from "./dom.js";

// Each part has bounded runs, so that no text, however hostile, takes more than linear time.
const PARTS = [
  /\\(?<escaped>[!-/:-@[-`{-~])/,
  /(?<!`)(?<ticks>`{1,4})(?!`)(?<code>[^]{1,800}?)(?<!`)\k<ticks>(?!`)/,
  /!?\[(?<label>[^[\]]{0,300})\]\(\s{0,3}(?<target>[^\s()]{1,2000}(?:\([^\s()]{0,200}\)[^\s()]{0,200})?)(?:\s{1,3}"[^"]{0,200}")?\s{0,3}\)/,
  /<?(?<bare>https?:\/\/[^\s<>"'`]{1,2000})>?/,
  /\*\*(?!\s)(?<strong>[^]{1,400}?)(?<!\s)\*\*(?!\*)/,
  /(?<![\p{L}\p{N}_])__(?!\s)(?<strong2>[^]{1,400}?)(?<!\s)__(?![\p{L}\p{N}_])/,
  /\*(?![\s*])(?<em>(?:[^*]|\*\*[^*]{1,200}\*\*){1,400}?)(?<!\s)\*(?!\*)/,
  /(?<![\p{L}\p{N}_])_(?![\s_])(?<em2>[^_]{1,400}?)(?<!\s)_(?![\p{L}\p{N}_])/,
  /~~(?!\s)(?<struck>[^~]{1,400}?)(?<!\s)~~/,
];
const INLINE = new RegExp(PARTS.map((part) => part.source).join("|"), "gu");

const MAX_DEPTH = 4;
const MAX_CHARS = 10_000; // a longer paragraph is no prose; it is shown as it is

/** The nodes of a text. */
export function inline(text, depth = 0) {
  if (depth > MAX_DEPTH || text.length > MAX_CHARS) return [text];
  const nodes = [];
  let at = 0;
  for (const found of text.matchAll(INLINE)) {
    nodes.push(text.slice(at, found.index), ...shown(found, depth + 1));
    at = found.index + found[0].length;
  }
  nodes.push(text.slice(at));
  return nodes;
}

function shown(found, depth) {
  const part = found.groups;
  if (part.escaped) return [part.escaped];
  if (part.code !== undefined) return [node("code", { dir: "ltr" }, unpadded(part.code))];
  if (part.target) return link(part.target, part.label, found[0]);
  if (part.bare) return bareLink(part.bare, found[0]);
  const strong = part.strong ?? part.strong2;
  if (strong) return [node("strong", {}, ...inline(strong, depth))];
  const em = part.em ?? part.em2;
  if (em) return [node("em", {}, ...inline(em, depth))];
  return [node("s", {}, ...inline(part.struck, depth))];
}

function unpadded(code) {
  return code.startsWith(" ") && code.endsWith(" ") && code.trim() ? code.slice(1, -1) : code;
}

/** The address that a link may lead to: only http and https; else null. */
export function address(target) {
  let url;
  try {
    url = new URL(target);
  } catch {
    return null;
  }
  return url.protocol === "http:" || url.protocol === "https:" ? url : null;
}

// A label can claim anything, so the host that a link really leads to stands beside it.
function link(target, label, source) {
  const url = address(target);
  if (!url) return [source];
  const made = anchor(url, label || url.host);
  return label.includes(url.host) && !label.includes("@") && address(label)?.host === url.host
    ? [made]
    : [made, node("span", { class: "host" }, ` (${url.host})`)];
}

function bareLink(bare, source) {
  const trimmed = bare.replace(/[.,;:!?)\]}]{1,9}$/, "");
  const url = address(trimmed);
  if (!url) return [source];
  const rest = source.slice(source.indexOf(bare) + trimmed.length);
  return [anchor(url, trimmed), rest === ">" ? "" : rest];
}

function anchor(url, label) {
  return node("a", { href: url.href, title: url.href, target: "_blank", rel: "noopener noreferrer nofollow" }, label);
}
