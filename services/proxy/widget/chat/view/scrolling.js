/** Keeps the end of the conversation in view, while somebody looks there. */
export class Scrolling {
  atBottom = true;
  #log;

  /**
   * @param {HTMLElement} log
   * @param {HTMLElement} content
   * @param {() => void} atTop somebody looks back
   */
  constructor(log, content, atTop) {
    this.#log = log;
    const bottom = () => log.scrollHeight - log.clientHeight;
    let settled = 0;
    log.addEventListener("scroll", () => {
      // Lines came or went since: then it may be the browser that scrolled, not the visitor.
      if (bottom() !== settled) return;
      this.atBottom = settled - log.scrollTop < 40;
      if (!this.atBottom && log.scrollTop < 40) atTop();
    });
    const observer = new ResizeObserver(() => {
      settled = bottom();
      if (this.atBottom) log.scrollTop = settled;
    });
    observer.observe(content);
    observer.observe(log);
  }

  toBottom() {
    this.#log.scrollTop = this.#log.scrollHeight;
  }

  /**
   * What somebody reads stays where it is while more comes above it.
   *
   * @param {Element | undefined} seen
   * @param {() => void} change
   */
  hold(seen, change) {
    const place = () => seen?.getBoundingClientRect().top ?? 0;
    const was = place();
    change();
    this.#log.scrollTop += place() - was;
  }
}
