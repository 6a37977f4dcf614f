// The script of the page's tag. However often it runs, and whatever becomes of the page's body, there is one
// button and one conversation.

import { offer } from "./api.js";
import { SwitchboardChat } from "./element.js";
import { appear } from "./keeper.js";

const before = /** @type {{appear?: () => void} | undefined} */ (
  /** @type {unknown} */ (customElements.get("switchboard-chat")));
if (before) {
  before.appear?.(); // a page that was replaced without leaving it ran its tag again
} else {
  customElements.define("switchboard-chat", SwitchboardChat);
  appear();
  offer();
}
