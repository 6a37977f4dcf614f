// Where admins see which systems are told what happens, and send again what could not be delivered.

import { api, problem } from "./api.js";
import { ConsoleDialog } from "./dialogs.js";
import { html, nothing } from "./element.js";
import { repeat } from "./vendor/lit.js";
import { t } from "./words.js";

/** @typedef {import("./types").WebhookOverview} WebhookOverview */
/** @typedef {import("./types").WebhookEndpointDetail} Endpoint */
/** @typedef {import("./types").DeadWebhookDetail} Dead */

export class WebhooksDialog extends ConsoleDialog {
  static properties = { found: { state: true }, why: { state: true }, busy: { state: true } };

  constructor() {
    super();
    /** @type {WebhookOverview | null} */
    this.found = null;
    this.why = "";
    this.busy = false;
  }

  async show() {
    this.why = "";
    this.found = null;
    await super.show();
    await this.carry(api.webhooks());
  }

  /** @param {Promise<WebhookOverview>} work */
  async carry(work) {
    this.busy = true;
    const found = await work.catch(problem);
    this.busy = false;
    if (found instanceof Error) {
      this.why = found.message;
      if (found.status === 401) this.emit("refused-me");
      return;
    }
    this.why = "";
    this.found = found;
  }

  render() {
    return html`
      <dialog class="wide" data-role="webhooks-dialog" aria-labelledby="webhooks-title">
        <h2 id="webhooks-title">${t("webhooks")}</h2>
        ${this.why ? html`<p class="notice" role="alert" data-role="webhooks-refused">${this.why}</p>` : nothing}
        <p class="quiet">${t("webhooksHint")}</p>
        ${this.found ? this.list(this.found) : nothing}
        <div class="buttons"><button @click=${this.close}>${t("close")}</button></div>
      </dialog>`;
  }

  /** @param {WebhookOverview} found */
  list({ endpoints, dead, more }) {
    if (!endpoints.length) return html`<p data-role="no-webhooks">${t("noWebhooks")}</p>`;
    return html`
      <ul class="answers webhooks">${repeat(endpoints, ({ id }) => id, (endpoint) => this.endpoint(endpoint, dead))}</ul>
      ${more ? html`<p class="quiet">${t("moreDead", { count: dead.length })}</p>` : nothing}`;
  }

  /** @param {Endpoint} endpoint @param {Dead[]} all */
  endpoint({ id, url, events, words, disabled }, all) {
    const dead = all.filter(({ endpoint }) => endpoint === id);
    return html`
      <li data-role="webhook-endpoint" data-id=${id}>
        <div>
          <strong><bdi>${url}</bdi></strong>
          <span class="line">${events.join(", ")}${words ? ` · ${t("tellsWords")}` : ""}</span>
          ${disabled ? html`<span class="line" data-role="webhook-off">${t("webhookOff", { why: disabled })}</span>` : nothing}
        </div>
        <button data-role="webhook-switch" ?disabled=${this.busy}
          @click=${() => this.carry(api.switchWebhooks(id, !!disabled))}>${disabled ? t("enable") : t("disable")}</button>
        ${dead.length ? html`
          <button data-role="webhook-resend-all" ?disabled=${this.busy || !!disabled}
            @click=${() => this.carry(api.resendWebhooks(id))}>${t("resendAll")}</button>
          <details class="dead">
            <summary data-role="webhook-dead-count">${t("deadWebhooks", { count: dead.length })}</summary>
            <ul>${repeat(dead, (one) => one.id, (one) => html`
              <li data-role="webhook-dead" data-id=${one.id}>
                <span class="line">${new Date(one.since).toLocaleString()} · ${one.event} · ${one.why}</span>
                <button data-role="webhook-resend" ?disabled=${this.busy || !!disabled}
                  @click=${() => this.carry(api.resendWebhooks(id, one.id))}>${t("resend")}</button>
              </li>`)}</ul>
          </details>` : nothing}
      </li>`;
  }
}

customElements.define("webhooks-dialog", WebhooksDialog);
