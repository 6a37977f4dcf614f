// What an operator asks of a visitor by a button: an e-mail address, and how it was.

import { html } from "./element.js";
import { t } from "./words.js";

/**
 * @param {import("./types").Row} row
 * @param {{mine: boolean, mails: boolean, off: boolean, act: (name: string) => void}} how `mails`: e-mail goes out
 */
export function asking({ feedback, status }, { mine, mails, off, act }) {
  const word = feedback === "asked" ? "askedRating" : feedback === "given" ? "gaveRating" : "askRating"; // once for each matter
  return html`
    <button data-role="ask-address" class="quiet-button" title=${t("askAddressWhy")} ?hidden=${!mine || !mails} ?disabled=${off}
      @click=${() => act("askAddress")}>${t("askAddress")}</button>
    <button data-role="ask-rating" class="quiet-button" ?hidden=${!mine && status !== "resolved"} ?disabled=${off || feedback !== ""}
      @click=${() => act("askRating")}>${t(word)}</button>`;
}
