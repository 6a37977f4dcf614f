// A line of a conversation, as it is drawn wherever it is read.

import { html, nothing } from "./element.js";
import { linked } from "./links.js";
import { drawMarkdown } from "./markdown.js";
import { exactly, t, timeOf } from "./words.js";

/** @typedef {import("./types").Line} Line */

/**
 * @param {Line} line
 * @param {boolean} [seen] nothing after it was seen by the visitor
 * @param {unknown} [aside] what stands behind its time
 */
export function drawLine(line, seen = false, aside = nothing) {
  if (line.from === "system") {
    return html`
      <li data-role="line" data-from="system" data-position=${line.position}>
        <p dir="auto">${line.text}</p> <small title=${exactly(line.time)}>${timeOf(line.time)}</small>
      </li>`;
  }
  return html`
    <li data-role="line" data-from=${line.from} data-position=${line.position}>
      <small title=${exactly(line.time)}><bdi>${line.name || t(line.from === "operator" ? "colleagues" : line.from)}</bdi>, ${timeOf(line.time)} ${aside}</small>
      ${line.from === "assistant" ? drawn(line) : html`<p dir="auto">${linked(line.text)}</p>`}
      ${seen ? html`<small data-role="seen">${t("seen")}</small>` : nothing}
    </li>`;
}

/** What the assistant says until it has said it. @param {string} text */
export function drawDraft(text) {
  return html`<li data-role="draft" data-from="assistant"><small>${t("assistantWrites")}</small>${drawing(text)}</li>`;
}

/** What is drawn stays, and with it what somebody has selected of it. @type {WeakMap<Line, HTMLElement>} */
const drawings = new WeakMap();

/** @param {Line} line */
function drawn(line) {
  const before = drawings.get(line) ?? drawing(line.text);
  drawings.set(line, before);
  return before;
}

/** @param {string} text */
function drawing(text) {
  const element = document.createElement("div");
  element.className = "markdown";
  element.dir = "auto";
  element.append(drawMarkdown(text));
  return element;
}
