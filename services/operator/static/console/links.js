// Addresses in plain text become links; all else stays the text that it is.

import { html } from "./element.js";

const ADDRESS = /\bhttps?:\/\/[^\s<>"']{1,2000}/gi;
// What ends a sentence is no part of an address.
const AFTER = /[.,;:!?)\]}»”’]+$/;

/** @param {string} text */
export function linked(text) {
  const parts = [];
  let at = 0;
  for (const found of text.matchAll(ADDRESS)) {
    let address = found[0];
    const after = AFTER.exec(address.slice(-20));
    if (after) address = address.slice(0, address.length - after[0].length);
    if (!URL.canParse(address)) continue;
    parts.push(text.slice(at, found.index));
    parts.push(html`<a href=${address} target="_blank" rel="noopener noreferrer nofollow">${address}</a>`);
    at = found.index + address.length;
  }
  parts.push(text.slice(at));
  return parts;
}
