// What the dashboard's elements have in common: they are drawn into the page itself, with its one stylesheet.

import { LitElement, html, nothing, svg } from "../vendor/lit.js";

export { html, nothing, svg };

export class DashboardElement extends LitElement {
  createRenderRoot() {
    return this;
  }

  /** Look at something else. @param {Partial<import("./types").Choices>} choices */
  choose(choices) {
    this.dispatchEvent(new CustomEvent("choose", { detail: choices, bubbles: true }));
  }
}
