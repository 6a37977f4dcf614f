// The console's page: the door, or the desk with its lists, the open conversation, the keys and the questions.

import "./conversation-lists.js";
import "./conversation-view.js";
import "./dialogs.js";
import "./history-dialog.js";
import "./login-form.js";
import "./account-dialog.js";
import "./accounts-dialog.js";
import "./answers-dialog.js";
import "./overview-dialog.js";
import "./second-factor.js";
import "./sessions-dialog.js";
import "./views-dialog.js";
import "./webhooks-dialog.js";
import { showCount } from "./attention.js";
import { ConsoleElement, html, nothing } from "./element.js";
import { KEYS, keyOf } from "./keys.js";
import { AVAILABLE, VIEWS } from "./model.js";
import { DeskSession } from "./session.js";
import { live, repeat } from "./vendor/lit.js";
import { leadsBack } from "./way-back.js";
import { t } from "./words.js";

/** @typedef {import("./types").Me} Me */
/** @typedef {import("./types").DeskDetail} DeskDetail */

export class SwitchboardConsole extends ConsoleElement {
  static properties = { version: { state: true } };

  constructor() {
    super();
    this.version = 0; // grows with each change of the session
    this.drawing = false;
    this.session = new DeskSession();
    this.session.renew = (now) => this.renew(now);
    this.leaving = false; // led back to the dashboard
    this.pressed = (/** @type {KeyboardEvent} */ event) => this.press(event);
  }

  connectedCallback() {
    super.connectedCallback();
    document.addEventListener("keydown", this.pressed);
    this.session.start();
  }

  /** Many events in one frame are drawn once; a page that nobody sees has no frames. @param {boolean} [now] before anything else happens */
  renew(now = false) {
    if (now) this.version += 1;
    if (now || this.drawing) return;
    this.drawing = true;
    const draw = () => {
      this.drawing = false;
      this.version += 1;
    };
    if (document.hidden) window.setTimeout(draw, 100);
    else requestAnimationFrame(draw);
  }

  /** @param {KeyboardEvent} event */
  press(event) {
    if (event.key === "Escape" && document.activeElement instanceof HTMLElement && !document.querySelector("dialog[open]")) {
      document.activeElement.blur(); // from here on letters are keys
    }
    const key = this.session.me ? keyOf(event) : "";
    if (!key) return;
    const lists = /** @type {import("./conversation-lists.js").ConversationLists} */ (this.child("conversation-lists"));
    const view = /** @type {import("./conversation-view.js").ConversationView} */ (this.child("conversation-view"));
    const press = (/** @type {string} */ name) => () => view.press(name);
    const move = (/** @type {1 | -1} */ step) => () => {
      const id = lists.neighbour(step);
      if (id) this.session.choose(id);
    };
    /** @type {Record<string, () => void>} */
    const does = {
      ...Object.fromEntries(VIEWS.map((name, at) => [String(at + 1), () => lists.show(name)])),
      j: move(1),
      k: move(-1),
      c: press("claim"),
      r: () => view.editor?.write("reply"),
      n: () => view.editor?.write("note"),
      e: press("resolve"),
      a: press("ask-address"),
      v: press("ask-rating"),
      h: press("handback"),
      q: press("release"),
      t: press("transfer"),
      s: press("snooze"),
      l: () => view.find("label-text")?.focus(),
      p: () => view.find("priority")?.focus(),
      u: () => this.session.toasts.undo(),
      f: () => lists.find("search")?.focus(),
      w: press("history"),
      g: press("suggest"),
      m: press("summarize"),
      "?": () => this.ask("help"),
    };
    if (!(key in does)) return;
    event.preventDefault();
    does[key]();
  }

  /** What the operator has chosen to be. @param {Me} me */
  availability(me) {
    const { team } = this.session;
    const chosen = team.colleagues.find((each) => each.name === me.name)?.availability ?? me.availability;
    return html`
      <select class="availability ${chosen}" data-role="availability" aria-label=${t("availability")} .value=${live(chosen)}
        @change=${(/** @type {Event} */ event) =>
          team.choose(/** @type {import("./types").Availability} */ (/** @type {HTMLSelectElement} */ (event.target).value))}>
        ${/** @type {const} */ (["online", "busy", "away"]).map((each) => html`<option value=${each} ?selected=${each === chosen}>${t(AVAILABLE[each])}</option>`)}
      </select>`;
  }

  /**
   * @param {"help" | "overview" | "transfer" | "snooze" | "answers" | "history" | "account" | "accounts" | "webhooks" | "sessions" | "second-factor" | "views"} question
   * @param {string} [conversation] about which, or whose account @param {number} [position] where in it
   */
  ask(question, conversation = "", position) {
    this.session.team.readColleagues(true);
    if (question === "answers" || question === "views") this.session.team.readAnswers();
    /** @type {import("./dialogs.js").ConsoleDialog} */ (this.child(`${question}-dialog`)).show(conversation, position);
  }

  logout() {
    const { left } = this.session;
    if (left.length) /** @type {import("./dialogs.js").LeaveDialog} */ (this.child("leave-dialog")).ask(left);
    else this.session.logout();
  }

  /** @param {string} tag */
  child(tag) {
    return /** @type {unknown} */ (this.querySelector(tag));
  }

  // --- what is shown ---

  render() {
    const { session } = this;
    if (!session.known) return nothing;
    if (session.me) this.leaving ||= leadsBack();
    if (this.leaving) return nothing;
    if (session.me) return this.desk(session.me);
    showCount(0);
    if (session.enrolling) return html`
      <enrol-page .me=${session.enrolling.name} @leave=${() => session.logout()} @refused-me=${() => session.start()}
        @second-factor=${() => session.start()}></enrol-page>`;
    return html`
      <login-form .why=${session.why} @entered=${(/** @type {CustomEvent<Me>} */ { detail }) => session.enter(detail)}></login-form>`;
  }

  /** @param {Me} me */
  desk(me) {
    const { session } = this;
    const { model, talk, finder, team } = session;
    const toast = session.toasts.shown;
    const now = Date.now();
    const counts = model.counts(now);
    showCount(counts.queue + counts.unread);
    const queues = model.known((row) => [row.queue]);
    return html`
      <div class=${session.reading ? "desk reading" : "desk"} data-role="desk"
        @act=${(/** @type {CustomEvent<{act: string, value: unknown, conversation?: string}>} */ { detail }) =>
          session.act(detail.conversation ?? talk.id, detail.act, detail.value)}
        @choose=${(/** @type {CustomEvent<string>} */ { detail }) => session.choose(detail)}
        @ask=${(/** @type {CustomEvent<{question: "transfer" | "accounts" | "webhooks" | "sessions" | "second-factor" | "views", conversation?: string, position?: number}>} */ { detail }) =>
          this.ask(detail.question, detail.conversation, detail.position)}
        @noted=${(/** @type {CustomEvent<import("./types").DeskDetail>} */ { detail }) => session.noted(detail)}
        @refused=${(/** @type {CustomEvent<{problem: import("./api.js").Problem, conversation: string}>} */ { detail }) =>
          session.refusedIn(detail.conversation, detail.problem)}>
        <header>
          <img src="/console/icon.svg" alt="" width="24" height="24">
          <strong>Switchboard</strong>
          <span class="connection" data-role="connection" role="status">${session.connection}</span>
          <button class="me" data-role="me" title=${t("yourAccount")} @click=${() => this.ask("account")}><bdi>${me.display}</bdi></button>
          ${this.availability(me)}
          ${me.role === "operator" ? nothing
            : html`<button data-role="overview" @click=${() => this.ask("overview")}>${t("overview")}</button>`}
          <a data-role="numbers" href="/dashboard" target="_blank" rel="noopener">${t("numbers")}</a>
          <button data-role="help" aria-label="${t("keys")}, ${t("settings")}" @click=${() => this.ask("help")}>?</button>
          <button data-role="logout" @click=${this.logout}>${t("logout")}</button>
        </header>
        <conversation-lists .model=${model} .version=${this.version} .current=${talk.id}
          .wanted=${finder.wanted} .found=${finder.found} .why=${finder.why} .colleagues=${team.colleagues} .views=${team.views}
          @look=${(/** @type {CustomEvent<import("./types").SearchFor | null>} */ { detail }) => finder.look(detail)}
          @more-found=${() => finder.more()} @more=${(/** @type {CustomEvent<import("./types").View>} */ { detail }) => session.more(detail)}></conversation-lists>
        <conversation-view .talk=${talk} .version=${this.version} .me=${me} .acting=${session.acting}
          .colleagues=${team.colleagues} .queues=${queues} .labels=${model.known((row) => row.labels)}
          .answers=${team.answers} .next=${model.list("queue", now)[0]} @back=${() => session.back()}></conversation-view>
        <transfer-dialog .me=${me.name} .colleagues=${team.colleagues} .queues=${queues}></transfer-dialog>
        <snooze-dialog></snooze-dialog>
        <answers-dialog .answers=${team.answers}
          @answers=${(/** @type {CustomEvent<import("./types").Answers>} */ { detail }) => team.answered(detail)}></answers-dialog>
        <history-dialog .current=${talk.id} .me=${me.name}></history-dialog>
        <overview-dialog @refusal=${(/** @type {CustomEvent<import("./api.js").Problem>} */ { detail }) => session.refused(detail)}></overview-dialog>
        <account-dialog .me=${me}></account-dialog>
        ${me.role === "admin" ? html`<accounts-dialog .me=${me.name} @refused-me=${() => session.start()}></accounts-dialog>
          <webhooks-dialog @refused-me=${() => session.start()}></webhooks-dialog>` : nothing}
        <views-dialog .views=${team.views} .wanted=${finder.wanted} .sharing=${me.role !== "operator"}
          @views=${(/** @type {CustomEvent<import("./types").Views>} */ { detail }) => team.viewed(detail)}></views-dialog>
        <second-factor-dialog .me=${me.name} @second-factor=${() => session.start()} @refused-me=${() => session.start()}></second-factor-dialog>
        <sessions-dialog .me=${me.name} @refused-me=${() => session.start()}></sessions-dialog>
        <help-dialog .keys=${KEYS}></help-dialog>
        <leave-dialog @leave=${() => session.logout()}></leave-dialog>
        <p class="toast" data-role="toast" role="status" ?hidden=${!toast}>
          ${toast?.text} ${toast?.undo ? html`<button data-role="undo" @click=${() => session.toasts.undo()}>${t("undo")}</button>` : nothing}
        </p>
        <p class="heard" role="log" aria-live="polite" data-role="announced">
          ${repeat([session.announced], (said) => said.number, (said) => html`<span>${said.text}</span>`)}</p>
      </div>`;
  }
}

customElements.define("switchboard-console", SwitchboardConsole);
