// What the console's elements have in common: they are drawn into the page itself, with its one stylesheet.

import { LitElement, html, nothing } from "./vendor/lit.js";

export { html, nothing };

export class ConsoleElement extends LitElement {
  createRenderRoot() {
    return this;
  }

  /**
   * A part of this element by its role.
   *
   * @template {HTMLElement} [T=HTMLElement]
   * @param {string} role
   * @returns {T}
   */
  find(role) {
    return /** @type {T} */ (this.querySelector(`[data-role=${role}]`));
  }

  /** Tell whoever has this element. @param {string} name @param {unknown} [detail] */
  emit(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail, bubbles: true }));
  }
}
