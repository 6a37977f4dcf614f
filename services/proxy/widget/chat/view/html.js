// The server has cleaned the HTML already. This is the second lock: only harmless elements and
// attributes pass, and a <template> runs nothing while they are sorted out.

import { make } from "../../button/dom.js";

const ALLOWED = new Set(
  ("a abbr article aside audio b bdi bdo blockquote br caption cite code col colgroup dd del details dfn div dl " +
    "dt em figcaption figure footer h1 h2 h3 h4 h5 h6 header hr i img ins kbd li mark ol p picture pre q rp rt " +
    "ruby s samp section small source span strike strong sub summary sup table tbody td tfoot th thead time tr " +
    "tt u ul var video wbr").split(" "),
);
const UNWRAPPED = new Set(["acronym", "button", "center", "data", "font", "form", "hgroup", "label", "main", "nav"]);
const ATTRIBUTES = new Set(
  ("alt cite colspan controls datetime dir height href lang open rel rowspan scope span src start target " +
    "title width").split(" "),
);
const SCHEMES = new Set(["http:", "https:", "mailto:", "tel:", "sms:"]);

/** @typedef {{createHTML(html: string): string}} Policy */

/**
 * The HTML as nodes without anything active.
 *
 * @param {unknown} text
 * @param {Policy} policy where it throws, the HTML is shown as text
 * @returns {DocumentFragment | Text}
 */
export function rich(text, policy) {
  const template = document.createElement("template");
  try {
    template.innerHTML = policy.createHTML(String(text ?? ""));
  } catch {
    return document.createTextNode(String(text).replace(/<[^>]*>/g, " "));
  }
  for (const element of template.content.querySelectorAll("*")) {
    const tag = element.localName;
    if (UNWRAPPED.has(tag)) element.replaceWith(...element.childNodes);
    else if (!ALLOWED.has(tag)) element.remove();
    else for (const attribute of [...element.attributes]) {
      if (!harmless(tag, attribute)) element.removeAttributeNode(attribute);
    }
  }
  for (const link of /** @type {NodeListOf<HTMLAnchorElement>} */ (template.content.querySelectorAll("a[href]"))) {
    if (!link.target) link.target = "_blank";
    link.relList.remove("opener");
    link.relList.add("noopener");
  }
  return template.content;
}

/**
 * The same for the inside of a button, where a link cannot be.
 *
 * @param {unknown} text
 * @param {Policy} policy
 */
export function label(text, policy) {
  const content = make("span", {}, rich(text, policy));
  for (const link of content.querySelectorAll("a")) link.replaceWith(...link.childNodes);
  return content;
}

/**
 * @param {string} tag
 * @param {Attr} attribute
 */
function harmless(tag, { name, value }) {
  if (!ATTRIBUTES.has(name)) return false;
  if (name !== "href" && name !== "src" && name !== "cite") return true;
  if (tag === "img" && /^data:image\//i.test(value)) return true;
  try {
    return SCHEMES.has(new URL(value, document.baseURI).protocol);
  } catch {
    return false;
  }
}
