// The panel's elements, without what they do.

import { CROSS, icon, make } from "../../button/dom.js";
import { fill } from "../core/text.js";
import { ICONS } from "./icons.js";

/**
 * What the visitor asks for by a button or a key.
 *
 * @typedef {object} Actions
 * @property {() => void} close
 * @property {() => void} sound
 * @property {() => void} download
 * @property {(shown: boolean) => void} ask whether it shall begin anew
 * @property {() => void} reset
 * @property {() => void} retry
 * @property {() => void} lookBack
 * @property {(score: number) => void} rate
 * @property {() => void} typed
 * @property {(event: KeyboardEvent) => void} editorKey
 * @property {() => void} submit
 * @property {(event: KeyboardEvent) => void} dialogKey
 * @property {() => void} closed
 */

/** @typedef {ReturnType<typeof buildPanel>} Panel */

/**
 * @param {import("../../types").Texts} texts
 * @param {Actions} on
 * @param {boolean} floating it can be closed
 * @param {HTMLElement[]} lines the conversation's elements
 */
export function buildPanel(texts, on, floating, lines) {
  /**
   * @param {string} role
   * @param {string} className
   * @param {Record<string, any>} attributes
   * @param {...(Node | string)} children
   */
  const button = (role, className, attributes, ...children) =>
    make("button", { type: "button", class: className, part: role, "data-role": role, ...attributes }, ...children);
  /** @param {string} role @param {string} text */
  const line = (role, text) => make("div", { class: "row system", "data-role": role }, text);
  /** @param {string} role @param {keyof typeof ICONS} drawing @param {string} text @param {() => void} onclick */
  const entry = (role, drawing, text, onclick) =>
    button(role, "entry", { onclick }, icon(drawing, ICONS[drawing]), make("span", {}, text));

  const face = make("span", { class: "face", "aria-hidden": "true" });
  const title = make("h2", { dir: "auto" });
  const status = make("div", { class: "status", role: "status", "data-role": "status", "data-state": "offline" });
  const sound = entry("sound", "sound", texts.sound, on.sound);
  const menu = make("div", { class: "menu", part: "menu", "data-role": "menu", hidden: true },
    sound,
    entry("download", "download", texts.download, on.download),
    entry("reset", "reset", texts.reset, () => on.ask(true)));
  const more = button("more", "tool",
    { "aria-label": texts.menu, title: texts.menu, "aria-expanded": "false" }, icon("more", ICONS.more));
  const close = button("close", "tool",
    { "aria-label": texts.close, title: texts.close, hidden: !floating, onclick: on.close }, icon("cross", CROSS));
  const header = make("header", { part: "header" },
    face, make("div", { class: "heading" }, title, status), more, close);

  const noticeText = make("span");
  const retry = button("retry", "pill", { onclick: on.retry }, texts.retry);
  const notice = make("div", { class: "notice", role: "alert", "data-role": "notice", hidden: true }, noticeText, retry);
  const identity = make("div", { class: "notice", role: "status", "data-role": "identity", hidden: true });

  const earlier = make("button",
    { type: "button", class: "pill more", part: "earlier", "data-role": "earlier", hidden: true, onclick: on.lookBack },
    texts.earlier);
  const queue = line("waiting", texts.waiting);
  const typing = make("div", { class: "row operator typing", "data-role": "typing", role: "img", hidden: true },
    make("span", { class: "bubble dots" }, make("i"), make("i"), make("i")));
  const rating = make("span", {}, texts.rate);
  const stars = make("div",
    { class: "stars", role: "group", part: "stars", "data-role": "stars", "aria-label": texts.rate },
    ...[1, 2, 3, 4, 5].map((score) =>
      button("star", "star",
        { "data-score": score, "aria-label": fill(texts.star, { score }), onclick: () => on.rate(score) },
        icon("star", ICONS.star))));
  const closed = line("closed", texts.closed);
  const restart = button("restart", "pill", { onclick: on.reset }, texts.restart);
  const end = make("div", { class: "end" }, closed, rating, stars, restart);
  const content = make("div", {}, earlier, ...lines, queue, typing, end);
  const log = make("div",
    { class: "log", part: "log", role: "log", tabindex: "0", "aria-live": "polite", "aria-label": texts.log,
      "data-role": "log" },
    content);

  const confirm = make("div",
    { class: "confirm", role: "alertdialog", "aria-label": texts.reset, "aria-describedby": "question",
      "data-role": "confirm", hidden: true },
    make("p", { id: "question" }, texts.confirm),
    make("div", {},
      button("cancel-reset", "pill", { onclick: () => on.ask(false) }, texts.cancel),
      button("confirm-reset", "pill main", { onclick: on.reset }, texts.reset)));

  const error = make("p", { class: "error", role: "alert", "data-role": "error", hidden: true });
  const limit = make("p", { class: "limit", "data-role": "limit", hidden: true });
  const editor = make("textarea",
    { part: "editor", "data-role": "editor", rows: "1", dir: "auto", enterkeyhint: "send", autocomplete: "off",
      oninput: on.typed, onkeydown: on.editorKey });
  const send = make("button",
    { type: "submit", class: "send", part: "send", "data-role": "send", "aria-label": texts.send, title: texts.send },
    icon("send", ICONS.send));
  const form = make("form",
    { onsubmit: (/** @type {Event} */ event) => {
      event.preventDefault();
      on.submit();
    } },
    editor, send);

  const dialog = make("dialog",
    { role: floating ? "dialog" : "region", part: "dialog", "data-role": "dialog", "aria-label": texts.title,
      onkeydown: on.dialogKey, onkeyup: (/** @type {Event} */ event) => event.stopPropagation(), onclose: on.closed },
    header, menu, notice, identity, log, confirm, error, limit, form);

  return {
    dialog, header, face, title, status, more, menu, sound, notice, noticeText, retry, identity, log, content, earlier,
    queue, typing, rating, stars, restart, closed, end, confirm, error, limit, editor, send,
  };
}
