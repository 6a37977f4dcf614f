// The panel as a window: open, modal on small screens, its menu and its question, and where the focus is.

/** A screen that the panel fills, as chat.css has it. */
const NARROW = "(max-width: 480px), (max-height: 420px)";

export class Window {
  #host;
  #panel;
  #floats;
  #narrow = matchMedia(NARROW);

  /**
   * @param {import("../../types").Host} host
   * @param {import("./panel.js").Panel} panel
   * @param {boolean} floats it can be closed
   */
  constructor(host, panel, floats) {
    this.#host = host;
    this.#floats = floats;
    this.#panel = panel;
    this.#narrow.addEventListener("change", () => {
      if (this.#floats && panel.dialog.open) this.#again();
    });
    panel.more.addEventListener("click", () => this.toggleMenu(panel.menu.hidden === true));
    panel.dialog.addEventListener("focusout", ({ relatedTarget }) => {
      const to = /** @type {Node | null} */ (relatedTarget);
      if (to && !panel.menu.contains(to) && !panel.more.contains(to)) this.toggleMenu(false);
    });
  }

  /** The panel covers the whole page. */
  get fills() {
    return this.#narrow.matches;
  }

  /** It has come into the page, where a modal dialog is none any more. */
  enter() {
    const { dialog } = this.#panel;
    // The keyboard of a touch screen covers the page, which does not become smaller by it.
    window.visualViewport?.addEventListener("resize", this.#fit);
    window.visualViewport?.addEventListener("scroll", this.#fit);
    if (this.#floats && dialog.open && this.#narrow.matches && !dialog.matches(":modal")) this.#again();
  }

  /** @param {boolean} focus false: the focus stays where it is in the page */
  open(focus) {
    const { dialog } = this.#panel;
    if (!this.#floats || !focus) dialog.setAttribute("open", "");
    else if (this.#narrow.matches) dialog.showModal();
    else dialog.show();
    this.#host.launcher.setAttribute("aria-expanded", "true");
    this.#fit();
  }

  close() {
    if (this.#floats) this.#panel.dialog.close();
  }

  #again() {
    this.#panel.dialog.close();
    this.open(true);
    this.focusBest();
  }

  /** The dialog was closed: by a button, a key or the browser. @returns {boolean} false: it is open again */
  closed() {
    const { dialog, confirm } = this.#panel;
    if (dialog.open) return false; // reopened at another width
    this.#host.launcher.setAttribute("aria-expanded", "false");
    confirm.hidden = true;
    this.toggleMenu(false);
    this.#host.launcher.focus();
    return true;
  }

  /** The chat's element that has the focus. */
  get focused() {
    return /** @type {ShadowRoot} */ (this.#host.element.shadowRoot).activeElement;
  }

  get holdsFocus() {
    return this.focused !== null && this.#panel.dialog.contains(this.focused);
  }

  /** The editor, where that does not raise a touch screen's keyboard; else the conversation. */
  focusBest() {
    const { editor, log } = this.#panel;
    (!editor.disabled && matchMedia("(hover: hover)").matches ? editor : log).focus({ preventScroll: true });
  }

  /** @param {boolean} shown */
  toggleMenu(shown) {
    const { menu, more } = this.#panel;
    if (menu.hidden === !shown) return;
    const held = menu.contains(this.focused);
    menu.hidden = !shown;
    more.setAttribute("aria-expanded", String(shown));
    if (shown) menu.querySelector("button")?.focus();
    else if (held) more.focus();
  }

  /** @param {boolean} on */
  showSound(on) {
    this.#panel.sound.setAttribute("aria-pressed", String(on));
  }

  /** Whether the conversation shall begin anew. @param {boolean} shown */
  ask(shown) {
    const { confirm, more } = this.#panel;
    if (confirm.hidden !== shown) return;
    this.toggleMenu(false);
    confirm.hidden = !shown;
    if (shown) /** @type {HTMLElement | null} */ (confirm.querySelector("[data-role=cancel-reset]"))?.focus();
    else more.focus();
  }

  /** Closes what lies above the conversation. @returns {boolean} whether there was something */
  escape() {
    const { menu, confirm } = this.#panel;
    if (!menu.hidden) this.toggleMenu(false);
    else if (!confirm.hidden) this.ask(false);
    else return false;
    return true;
  }

  /** On a small screen the panel ends above the keyboard. */
  #fit = () => {
    const view = window.visualViewport;
    const { style } = this.#panel.dialog;
    const covered = view && this.#floats && this.#narrow.matches && view.scale === 1
      && window.innerHeight - view.height > 1;
    style.height = covered ? `${view.height}px` : "";
    style.top = covered ? `${view.offsetTop}px` : "";
  };
}
