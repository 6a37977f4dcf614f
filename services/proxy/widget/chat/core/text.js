// Small things about texts and ids. Without DOM.

/** Of a visitor's message, in bytes of UTF-8. */
export const MAX_TEXT = 16 * 1024;

/**
 * A text with its `{name}`s filled in.
 *
 * @param {string} text
 * @param {Record<string, string | number>} values
 */
export const fill = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => String(values[name] ?? ""));

/**
 * A name inside a sentence of another script: neither changes the other's direction.
 *
 * @param {string} name
 */
export const isolated = (name) => `\u2068${name}\u2069`;

/**
 * Whether two ids are the same: they are compared as texts.
 *
 * @param {unknown} one
 * @param {unknown} other
 */
export const same = (one, other) => String(one) === String(other);

/** A random UUID; `crypto.randomUUID` is missing on pages that came without TLS. */
export function uuid() {
  if (crypto.randomUUID) return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}

/**
 * What is sent of a text that somebody wrote, and how long it is in bytes. Control characters cannot be typed
 * and would grow sixfold in JSON; half of a pair is no text.
 *
 * @param {string} written
 * @returns {{content: string, bytes: number}}
 */
export function outgoing(written) {
  const bytes = new TextEncoder().encode(written.replace(/[^\P{Cc}\n\t]/gu, "").trim());
  return { content: new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes), bytes: bytes.length };
}

/**
 * The first letters of a name, for a picture of somebody who has none.
 *
 * @param {string} name
 */
export function initials(name) {
  const words = name.trim().split(/\s+/).filter((word) => /^[\p{L}\p{N}]/u.test(word));
  const chosen = words.length > 1 ? [words[0], words[words.length - 1]] : words;
  return chosen.map((word) => [...word][0].toLocaleUpperCase()).join("");
}
