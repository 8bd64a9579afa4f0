// The one door to the page: elements are made here, and all text passes `neutral` on its way in.
// Nothing in the panel parses HTML, so text of a model can become text and nothing else.

// As in kata_cli/core/text.py: what moves a cursor, reorders or hides text.
const UNSAFE = new RegExp(
  "\\r\\n|[\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f\\u061c\\u180e\\u200b\\u200e\\u200f\\u2028-\\u202e" +
    "\\u2060-\\u206f\\ufeff\\ufff9-\\ufffb\\u{d800}-\\u{dfff}\\u{e0000}-\\u{e007f}]",
  "gu",
);

/** Text with every control character shown as a visible escape: `^[` for C0, else `\u{9b}`. */
export function neutral(text) {
  return String(text).replace(UNSAFE, (found) => {
    if (found === "\r\n") return "\n";
    const code = found.codePointAt(0);
    return code < 0x80 ? `^${String.fromCharCode(code ^ 0x40)}` : `\\u{${code.toString(16)}}`;
  });
}

/** A new element; strings among its children become text. Attributes that are undefined or false are left out. */
export function node(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== false) made.setAttribute(name, neutral(value));
  }
  made.append(...children.map((child) => (typeof child === "string" ? neutral(child) : child)));
  return made;
}

/** A button with something to do. */
export function button(attributes, label, onClick) {
  const made = node("button", { type: "button", ...attributes }, label);
  made.addEventListener("click", onClick);
  return made;
}

/** Replace the content of an element by text, if it is another one. */
export function write(element, text) {
  const shown = neutral(text);
  if (element.textContent !== shown) element.textContent = shown;
}

/** How long ago a moment was, in one word and a unit; `now` is in milliseconds. */
export function age(timestamp, now = Date.now()) {
  const seconds = Math.max(0, (now - Date.parse(timestamp)) / 1000);
  if (!Number.isFinite(seconds)) return "";
  if (seconds < 60) return "now";
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86400)} d`;
}
