/*
 * The chat button. One script tag puts it on any page:
 *
 *     <script src="http://localhost:9998/widget.js" defer></script>
 *
 * Options, as attributes of the tag: `data-server` (address of the chat, if not next to this script),
 * `data-flow="support"` (the flow of new conversations), `data-lang="de"` (their language, if not the
 * browser's), `data-side="left"`, and any of TEXTS below (`data-title="Ask us"`).
 * `window.switchboard = {texts: {...}}` overrides texts too. Colours and place are CSS custom properties, listed at the top of STYLE.
 *
 * However often the tag runs, and whatever becomes of the page's body, there is one button and one
 * conversation: see `appear` at the end.
 *
 * One classic script on purpose: modules and stylesheets from another origin would need CORS there.
 */
(() => {
  "use strict";

  const before = customElements.get("switchboard-chat");
  if (before) {
    before.appear(); // a page that was replaced without leaving it ran its tag again
    return;
  }

  const script = document.currentScript ?? document.querySelector('script[src*="/widget.js"]');

  const TEXTS = {
    title: "Chat",
    open: "Open the chat",
    openUnread: "Open the chat: new messages",
    close: "Close the chat",
    log: "Messages",
    earlier: "Earlier messages",
    loading: "Loading ...",
    connected: "Connected",
    connecting: "Connecting ...",
    offline: "Offline",
    choose: "Choose an option",
    ask: "Type question here ...",
    write: "Write a message ...",
    reopen: "Write to open it again ...",
    send: "Send",
    tooLong: "This message is too long: {size} KiB. At most 16 KiB can be sent at once.",
    refused: "Not accepted",
    sending: "Sending ...",
    reset: "Start over",
    confirm: "Start over? What was said so far will no longer be shown.",
    cancel: "Cancel",
    resetting: "Starting over ...",
    waiting: "Waiting for a person ...",
    person: "Operator",
    joined: "{name} joined",
    left: "{name} left",
    typing: "{name} is typing",
    assistant: "Assistant",
    interrupted: "Interrupted",
    closed: "This conversation is closed",
    over: "This conversation is over",
    restart: "Start a new conversation",
    rate: "How was it?",
    star: "{score} of 5",
    thanks: "Thank you!",
    notAllowed: "The chat is not available here.",
    away: "The connection was closed.",
    retry: "Try again",
    unkept: "This browser does not keep the chat's cookie: the conversation is lost when you leave this page.",
    lost: "Your earlier conversation could not be found again.",
  };

  const MAX_TEXT = 16 * 1024; // bytes of UTF-8
  const TYPING_SHOWN = 4_000; // this and the following in ms
  const TYPING_EVERY = 2_000;
  const REFUSED_SHOWN = 8_000;
  const REPLAY_MOST = 2_000;
  const WINDOW = 50; // entries of the log that are told at first, and each time somebody looks further back
  const STABLE = 10_000; // a connection that held this long lets the backoff begin anew
  const PATIENCE = 20_000; // for an acknowledgement, before the socket is given up
  const CONNECT_PATIENCE = 10_000; // for a new socket's first frame
  const HEARTBEAT = 15_000; // a visible page asks after so much silence whether the link is alive
  const DOUBT_SHOWN = 1_000; // without an answer to that: "Connecting ..."
  const DOUBT_MOST = 5_000; // and then another socket
  const OVERDUE = 5_000; // a message without its acknowledgement: "Connecting ..."
  const READ_AFTER = 3_000; // what stood in front of somebody for so long is read in the other tabs too
  const BACKOFF_FIRST = 500;
  const BACKOFF_MOST = 30_000;
  const NARROW = "(max-width: 480px), (max-height: 420px)";

  const UNKNOWN = 4001; // no cookie came, or the log has nothing of it: there is nothing to come back to
  const NEWS = new Set(["BotText", "ChoiceRequest", "StartChatSession", "OperatorText"]);

  /** Close codes after which coming back by itself would not help. */
  const STAY_AWAY = new Set([1000, 1001, 1002, 1003, 1007, 1008, 1009]);

  const STYLE = `
    /* The page's rules reach this element alone: it has no box that they could move, hide or paint. For
       important rules the inner ones win over the page's, also over its important ones. */
    :host { all: initial !important; display: contents !important; }
    /* The box: in the top layer, where no transform, filter or overflow of the page counts. What the
       page would pass on by inheritance ends here; only the properties --switchboard-... come through. */
    .frame {
      all: initial;
      --sb-accent: var(--switchboard-accent, #2f5bea);
      --sb-on-accent: var(--switchboard-on-accent, #fff);
      --sb-surface: var(--switchboard-surface, #fff);
      --sb-bubble: var(--switchboard-bubble, #eff2f7);
      --sb-text: var(--switchboard-text, #1b2434);
      --sb-muted: var(--switchboard-muted, #5d6779);
      --sb-line: var(--switchboard-line, #e1e6ee);
      --sb-link: var(--switchboard-link, #2449c4);
      --sb-shadow: 0 1px 3px rgb(16 24 40 / .12), 0 16px 48px rgb(16 24 40 / .2);
      display: block;
      color-scheme: light;
      position: fixed;
      inset: auto var(--switchboard-x, 20px) var(--switchboard-y, 20px) auto;
      z-index: var(--switchboard-layer, 2147483000); /* where there is no top layer */
      width: 58px;
      height: 58px;
      font: 15px/1.45 var(--switchboard-font, system-ui, -apple-system, "Segoe UI", Roboto, sans-serif);
      color: var(--sb-text);
      -webkit-user-select: text;
      user-select: text;
      -webkit-tap-highlight-color: transparent;
    }
    .frame::backdrop { display: none; }
    :host([side="left"]) .frame { right: auto; left: var(--switchboard-x, 20px); }
    @media (prefers-color-scheme: dark) {
      .frame {
        --sb-accent: var(--switchboard-accent, #3f68ee);
        --sb-surface: var(--switchboard-surface, #171a21);
        --sb-bubble: var(--switchboard-bubble, #272c36);
        --sb-text: var(--switchboard-text, #e8ebf1);
        --sb-muted: var(--switchboard-muted, #9ea8b9);
        --sb-line: var(--switchboard-line, #2f3541);
        --sb-link: var(--switchboard-link, #9db4ff);
        --sb-shadow: 0 0 0 1px #2f3541, 0 16px 48px rgb(0 0 0 / .55);
        color-scheme: dark;
      }
    }
    *, *::before, *::after { box-sizing: border-box; }
    [hidden] { display: none !important; }
    button { font: inherit; color: inherit; background: none; border: 0; padding: 0; cursor: pointer; }
    button:disabled { cursor: default; }
    :focus-visible { outline: 2px solid var(--sb-accent); outline-offset: 2px; }
    svg {
      display: block; width: 22px; height: 22px; fill: none; stroke: currentColor;
      stroke-width: 1.8; stroke-linecap: round; stroke-linejoin: round;
    }

    .launcher {
      position: relative; display: grid; place-items: center; width: 58px; height: 58px;
      border-radius: 50%; background: var(--sb-accent); color: var(--sb-on-accent); box-shadow: var(--sb-shadow);
      transition: transform .15s;
    }
    .launcher:hover { transform: scale(1.06); }
    .launcher:active { transform: scale(.97); }
    .launcher svg { width: 28px; height: 28px; }
    .launcher[aria-expanded="true"] .icon-chat, .launcher[aria-expanded="false"] .icon-down { display: none; }
    .unread {
      position: absolute; top: 1px; right: 1px; width: 15px; height: 15px; border-radius: 50%;
      background: #e5484d; border: 2px solid #fff;
    }

    dialog {
      position: absolute; inset: auto 0 calc(100% + 14px) auto; margin: 0; padding: 0; border: 0;
      width: 384px; height: min(640px, 100vh - 120px); height: min(640px, 100dvh - 120px);
      max-width: none; max-height: none; overflow: hidden;
      border-radius: 18px; background: var(--sb-surface); color: inherit; box-shadow: var(--sb-shadow);
    }
    dialog[open] { display: flex; flex-direction: column; animation: rise .18s ease-out; }
    dialog::backdrop { background: none; }
    :host([side="left"]) dialog { inset: auto auto calc(100% + 14px) 0; }
    @media ${NARROW} {
      dialog, :host([side="left"]) dialog {
        position: fixed; inset: 0; width: 100%; height: 100%; height: 100dvh; border-radius: 0;
      }
    }

    header {
      display: flex; align-items: center; gap: 12px; padding-block: 14px; padding-inline: 16px 10px;
      background: var(--sb-accent); color: var(--sb-on-accent);
    }
    .face {
      flex: none; display: grid; place-items: center; width: 38px; height: 38px; border-radius: 50%;
      background: color-mix(in srgb, var(--sb-on-accent) 20%, transparent);
    }
    .heading { flex: 1; min-width: 0; }
    h2 { margin: 0; font-size: 16px; line-height: 1.3; font-weight: 650; }
    .status { display: flex; align-items: center; gap: 6px; font-size: 12.5px; opacity: .95; }
    .status::before { content: ""; width: 8px; height: 8px; border-radius: 50%; background: #ffd166; }
    .status[data-state="connected"]::before { background: #5ee6a0; }
    .status[data-state="connecting"]::before { animation: pulse 1s infinite alternate; }
    .status[data-state="offline"]::before { background: #ff8f8f; }
    .tool { flex: none; display: grid; place-items: center; width: 36px; height: 36px; border-radius: 10px; }
    .tool:hover { background: color-mix(in srgb, var(--sb-on-accent) 16%, transparent); }
    .tool:focus-visible { outline-color: var(--sb-on-accent); outline-offset: -2px; }
    .tool svg { width: 20px; height: 20px; }

    .notice {
      display: flex; flex-wrap: wrap; align-items: center; justify-content: space-between; gap: 8px 12px;
      padding: 10px 16px; font-size: 14px; background: var(--sb-bubble); border-bottom: 1px solid var(--sb-line);
    }
    .notice > span { flex: 1 1 11em; }
    .pill {
      flex: none; padding: 6px 14px; border-radius: 999px; font-size: 14px; font-weight: 550;
      border: 1px solid var(--sb-line); background: var(--sb-surface);
    }
    .pill:hover { border-color: var(--sb-accent); }
    .pill.main { background: var(--sb-accent); border-color: var(--sb-accent); color: var(--sb-on-accent); }

    .log { flex: 1; min-height: 0; overflow-y: auto; overscroll-behavior: contain; padding: 16px; }
    .log:focus-visible { outline-offset: -3px; border-radius: 6px; }
    .row { position: relative; display: flex; flex-direction: column; align-items: flex-start; margin-top: 4px; }
    .bot { padding-inline-start: 38px; padding-inline-end: 24px; }
    .operator { padding-inline-end: 40px; }
    .visitor { align-items: flex-end; padding-inline-start: 56px; }
    .visitor + .bot, .bot + .visitor, .visitor + .operator, .operator + .visitor,
    .bot + .operator, .operator + .bot { margin-top: 14px; }
    .row.fresh { animation: appear .18s ease-out; }
    .bubble {
      max-width: 100%; padding: 9px 14px; border: 1px solid transparent; border-radius: 16px;
      background: var(--sb-bubble); overflow-wrap: anywhere;
    }
    .bot .bubble, .operator .bubble { border-end-start-radius: 5px; }
    .visitor .bubble { background: var(--sb-accent); color: var(--sb-on-accent); border-end-end-radius: 5px; }
    .operator .bubble { background: var(--sb-surface); border-color: var(--sb-line); }
    .plain { white-space: pre-wrap; }
    .drawn > :not(pre) { white-space: pre-line; }
    /* Each paragraph in its own direction, whoever wrote the one before. */
    .bubble, .bubble :is(p, li, h1, h2, h3, h4, h5, h6, blockquote, td, th), textarea,
    h2, .status, .notice, .system, .confirm p, .error, .end span { unicode-bidi: plaintext; }
    .day { display: block; margin: 16px 0 10px; font-size: 12.5px; font-weight: 600; }
    .day::first-letter { text-transform: uppercase; }
    .day:first-child { margin-top: 0; }
    .more { display: block; margin: 0 auto 14px; }
    .more[aria-disabled="true"] { color: var(--sb-muted); cursor: default; }
    .name { margin: 0 2px 3px; font-size: 12.5px; font-weight: 600; color: var(--sb-muted); }
    .note { margin: 3px 2px 0; font-size: 12.5px; color: var(--sb-muted); }
    .visitor[data-pending] .bubble { opacity: .6; }
    .row[data-interrupted] .bubble { background: none; border: 1px dashed var(--sb-line); color: var(--sb-muted); }
    .visitor[data-refused] .bubble { background: none; border: 1px dashed var(--sb-muted); color: var(--sb-muted); }
    .system { align-items: center; margin: 14px 0; font-size: 13px; color: var(--sb-muted); text-align: center; }
    .avatar {
      position: absolute; inset-block-start: 4px; inset-inline-start: 0; display: grid; place-items: center;
      width: 29px; height: 29px; border-radius: 50%; background: var(--sb-accent); color: var(--sb-on-accent);
    }
    .avatar svg { width: 18px; height: 18px; }
    .bubble > :first-child { margin-block-start: 0; }
    .bubble > :last-child { margin-block-end: 0; }
    .bubble :is(p, ul, ol, blockquote, pre, table) { margin-block: .5em; }
    .bubble :is(ul, ol) { padding-inline-start: 1.4em; }
    .bubble :is(h1, h2, h3, h4, h5, h6) { margin-block: .5em .3em; font-size: 1em; font-weight: 650; }
    .bubble :is(img, video) { display: block; max-width: 100%; height: auto; border-radius: 8px; }
    .bubble :is(pre, table) { display: block; overflow-x: auto; }
    .bubble :is(th, td) { padding: 2px 10px 2px 0; text-align: start; vertical-align: top; }
    .bubble blockquote { margin-inline: 0; padding-inline-start: .8em; border-inline-start: 3px solid var(--sb-line); }
    .bubble hr { border: 0; border-top: 1px solid var(--sb-line); }
    .bubble :is(code, kbd, pre, samp) { font-family: ui-monospace, Menlo, Consolas, monospace; font-size: .92em; }
    .bubble a { color: var(--sb-link); }
    .visitor .bubble a { color: inherit; }

    .choices { display: flex; flex-wrap: wrap; gap: 8px; margin-top: 8px; }
    .choice {
      padding: 7px 15px; border-radius: 16px; border: 1.5px solid var(--sb-accent); color: var(--sb-link);
      font-weight: 550; text-align: start; overflow-wrap: anywhere; transition: background .12s, color .12s;
    }
    .choice:enabled:hover { background: var(--sb-accent); color: var(--sb-on-accent); }
    .choice:disabled { border-color: var(--sb-line); color: var(--sb-muted); font-weight: 400; }

    .typing { margin-top: 14px; }
    .dots { display: inline-flex; gap: 4px; padding: 13px 14px; }
    .dots i {
      width: 7px; height: 7px; border-radius: 50%; background: var(--sb-muted);
      animation: pulse .6s infinite alternate;
    }
    .dots i:nth-child(2) { animation-delay: .2s; }
    .dots i:nth-child(3) { animation-delay: .4s; }
    .end {
      display: flex; flex-direction: column; align-items: center; gap: 12px; margin-bottom: 8px;
      font-size: 14px; color: var(--sb-muted);
    }
    .stars { display: flex; align-items: center; gap: 2px; }
    .star { padding: 3px; border-radius: 6px; color: var(--sb-muted); }
    .star svg { width: 24px; height: 24px; stroke-width: 1.4; }
    .star[data-lit] svg,
    .stars:not([data-rated]) .star:is(:hover, :has(~ .star:hover)) svg { fill: #f5b301; stroke: #d89a00; }

    .confirm {
      padding: 14px 16px; border-top: 1px solid var(--sb-line); background: var(--sb-bubble); animation: appear .15s ease-out;
    }
    .confirm p { margin: 0 0 12px; }
    .confirm div { display: flex; justify-content: flex-end; gap: 8px; }

    form { display: flex; align-items: flex-end; gap: 8px; padding: 10px 12px 12px; border-top: 1px solid var(--sb-line); }
    textarea {
      flex: 1; min-width: 0; max-height: 132px; padding: 9px 14px; resize: none; font: inherit; color: inherit;
      background: var(--sb-bubble); border: 1px solid transparent; border-radius: 20px;
    }
    textarea::placeholder { color: var(--sb-muted); opacity: 1; }
    textarea:focus { outline: none; border-color: var(--sb-accent); background: var(--sb-surface); }
    textarea:disabled { cursor: not-allowed; }
    .send {
      flex: none; display: grid; place-items: center; width: 41px; height: 41px; border-radius: 50%;
      background: var(--sb-accent); color: var(--sb-on-accent); transition: opacity .15s;
    }
    .send svg { width: 20px; height: 20px; translate: -1px 1px; }
    .send:disabled { opacity: .35; }
    .frame:dir(rtl) .send svg { transform: scaleX(-1); }
    .error { margin: 0; padding: 8px 16px 0; font-size: 13.5px; color: #d13438; }
    @media (prefers-color-scheme: dark) { .error { color: #ff9a9a; } }
    @media ${NARROW} { textarea { font-size: 16px; } }

    @keyframes rise { from { opacity: 0; transform: translateY(12px); } }
    @keyframes appear { from { opacity: 0; transform: translateY(5px); } }
    @keyframes pulse { from { opacity: 1; } to { opacity: .3; } }
    @media (prefers-reduced-motion: reduce) { *, *::before { animation: none !important; transition: none !important; } }
    @media (forced-colors: active) {
      .launcher, dialog, .send, .face, .avatar { border: 1px solid ButtonBorder; }
      header, .bubble.dots { border-bottom: 1px solid CanvasText; }
      .status::before, .unread, .dots i, .star[data-lit] { forced-color-adjust: none; }
    }
    @media print { .frame { display: none; } }
  `;

  const ICONS = {
    chat: "M20 11.5a7.5 7.5 0 0 1-7.5 7.5c-1.3 0-2.6-.3-3.7-.9L4 19.5l1.4-4.3A7.5 7.5 0 1 1 20 11.5z",
    down: "M6 9.5l6 6 6-6",
    cross: "M6 6l12 12M18 6L6 18",
    reset: "M4 12a8 8 0 1 0 2.6-5.9M6.2 2.4v4h4",
    send: "M20.5 3.5l-9.8 9.8M20.5 3.5l-6 17-3.8-7.2-7.2-3.8z",
    bot: "M12 3.5v3.3M6.8 6.8h10.4A2.8 2.8 0 0 1 20 9.6v6.6a2.8 2.8 0 0 1-2.8 2.8H6.8A2.8 2.8 0 0 1 4 16.2V9.6a2.8 2.8 0 0 1 2.8-2.8zM9 11.5v1M15 11.5v1M9.5 15.6h5",
    star: "M12 3.8l2.5 5.2 5.7.8-4.1 4 1 5.7-5.1-2.7-5.1 2.7 1-5.7-4.1-4 5.7-.8z",
  };

  /** An element with attributes (`true` sets an empty one, `on...` adds a listener) and children. */
  function make(tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
      else if (value !== false) element.setAttribute(name, value === true ? "" : value);
    }
    element.append(...children);
    return element;
  }

  function icon(name) {
    const [svg, path] = ["svg", "path"].map((tag) => document.createElementNS("http://www.w3.org/2000/svg", tag));
    svg.setAttribute("viewBox", "0 0 24 24");
    svg.setAttribute("aria-hidden", "true");
    svg.setAttribute("class", `icon-${name}`);
    path.setAttribute("d", ICONS[name]);
    svg.append(path);
    return svg;
  }

  const fill = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
  /** A name inside a sentence of another script: neither changes the other's direction. */
  const isolated = (name) => `\u2068${name}\u2069`;
  const same = (one, other) => String(one) === String(other);

  /** A random UUID; `crypto.randomUUID` is missing on pages that came without TLS. */
  function uuid() {
    if (crypto.randomUUID) return crypto.randomUUID();
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
    return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
  }

  /** JSON under one key of `localStorage` or `sessionStorage`. Both may throw (blocked, full): then null. */
  class Store {
    constructor(area, key) {
      this.area = area;
      this.key = key;
    }
    read() {
      try {
        return JSON.parse(window[this.area].getItem(this.key));
      } catch {
        return null;
      }
    }
    write(value) {
      try {
        window[this.area].setItem(this.key, JSON.stringify(value));
      } catch {
        // Then it lasts as long as the page does.
      }
    }
    clear() {
      try {
        window[this.area].removeItem(this.key);
      } catch {
        // It was never there.
      }
    }
  }

  // The server has cleaned the HTML already. This is the second lock: only harmless elements and
  // attributes pass, and a <template> runs nothing while they are sorted out.
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

  // Pages that require Trusted Types take HTML only through a policy. Where the page allows no policy
  // of this name either, HTML is shown as text.
  let policy = { createHTML: (text) => text };
  try {
    policy = window.trustedTypes?.createPolicy("switchboard", policy) ?? policy;
  } catch {
    // Not allowed: `rich` falls back.
  }

  /** The HTML as nodes without anything active. */
  function rich(text) {
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
    for (const link of template.content.querySelectorAll("a[href]")) {
      if (!link.target) link.target = "_blank";
      link.relList.remove("opener");
      link.relList.add("noopener");
    }
    return template.content;
  }

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

  // --- the assistant's Markdown as nodes: the same lines in widget.js and in the console's markdown.js ---

  const MARKDOWN_SIGN =
    /\\([!-/:-@[-`{-~])|(`{1,20})(?!`)([^]{1,500}?)(?<!`)\2(?!`)|!?\[((?:[^[\]\n]|!?\[[^[\]\n]{0,200}\]){0,400})\]\(\s{0,20}<?([^\s()<>]{1,2000}(?:\([^\s()<>]{0,500}\)[^\s()<>]{0,500}){0,4})>?(?:\s{1,20}["'][^\n]{0,300}?["'])?\s{0,20}\)|<((?:https?:\/\/|mailto:|tel:)[^\s<>]{1,2000})>|(\*{1,3}|_{1,3}|~~)/g;
  const MARKDOWN_TABLE = /^[ \t]{0,3}(?=[^\n]*-)(?=[^\n]*\|)[-:| \t]+$/; // the line under its head
  const MARKDOWN_UNSPACED = /[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3100-\u312f\u3400-\u9fff\uac00-\ud7a3\uf900-\ufaff\uff66-\uff9d]/;

  /**
   * A model's words are a stranger's: nodes are made of them, never HTML, and no image is fetched.
   * Of a text that is `growing`, signs at its end are not shown before it is certain what they are.
   */
  function drawMarkdown(text, growing = false) {
    const page = document.createDocumentFragment();
    let lists = []; // the open lists: {indent, list}
    let block = null; // the open paragraph, item or quote: {node, lines}
    const add = (tag, parent = page) => parent.appendChild(document.createElement(tag));
    const begin = (node, line) => (block = { node, lines: [line] });
    const end = (last = false) => {
      if (block) inlineMarkdown(block.node, block.lines.join("\n"), growing && last);
      block = null;
    };
    text = text.replace(/\r\n?/g, "\n");
    if (growing) {
      text = text.slice(0, -2500) + text.slice(-2500).replace(/!?\[[^\]\n]{0,400}(?:\](?:\([^)\n]{0,2000})?)?$|(?:\n[ \t]*)?[-*+_~#>|=`!\\ \t]+$/, "");
      const paragraph = text.slice(text.lastIndexOf("\n\n") + 1);
      if (!/^\s*(```|~~~)/m.test(text) && paragraph.split("`").length % 2 === 0) text = text.replace(/`([^`]*)$/, "$1"); // an open span
    }
    const lines = text.split("\n");
    for (let at = 0; at < lines.length; at += 1) {
      const line = lines[at];
      const fence = /^\s*(`{3,}|~{3,})[^`]*$/.exec(line);
      const heading = /^ {0,3}(#{1,6})(?:\s+(.*))?$/.exec(line);
      const item = /^(\s*)(?:[*+-]|(\d{1,9})[.)])\s+(.*)$/.exec(line);
      const quote = /^(?: {0,3}> ?){1,100}/.exec(line);
      if (fence) {
        end();
        const code = [];
        while (++at < lines.length && !(lines[at].trim().startsWith(fence[1]) && /^[\s`~]*$/.test(lines[at]))) code.push(lines[at]);
        add("code", add("pre")).textContent = code.join("\n");
      } else if (!line.trim()) {
        end();
      } else if (/^ {0,3}([-*_])[ \t]*(?:\1[ \t]*){2,}$/.test(line)) {
        end();
        lists = [];
        add("hr");
      } else if (/^ {0,3}={3,}\s*$/.test(line) || (/^[-:|\s]+$/.test(line) && line.includes("|") && line.includes("-"))) {
        // Under a title, or under a table's head: the lines themselves show what it says.
      } else if (heading) {
        end();
        lists = [];
        begin(add(`h${heading[1].length}`), heading[2] ?? "");
        end();
      } else if (item) {
        end();
        const indent = item[1].length;
        const tag = item[2] ? "OL" : "UL";
        while (lists.length && (lists.at(-1).indent > indent || (lists.at(-1).indent === indent && lists.at(-1).list.tagName !== tag))) lists.pop();
        if (!lists.length || (indent > lists.at(-1).indent + 1 && lists.length < 6)) {
          const list = add(tag, lists.at(-1)?.list.lastElementChild);
          if (item[2] && item[2] !== "1") list.start = item[2];
          lists.push({ indent, list });
        }
        begin(add("li", lists.at(-1).list), item[3]);
      } else if (quote) {
        const words = line.slice(quote[0].length);
        if (block?.node.tagName === "BLOCKQUOTE") block.lines.push(words);
        else {
          end();
          lists = [];
          begin(add("blockquote"), words);
        }
      } else if (line.includes("|") && MARKDOWN_TABLE.test(lines[at + 1] ?? "")) {
        end();
        lists = [];
        const table = add("table");
        const cells = (row) => row.trim().replace(/^\||(?<!\\)\|$/g, "").split(/(?<!\\)\|/);
        const width = cells(line).length;
        const row = (words, tag) => {
          const shown = add("tr", table);
          for (const cell of cells(words).slice(0, width)) {
            begin(add(tag, shown), cell.trim());
            end();
          }
        };
        row(line, "th");
        for (at += 1; lines[at + 1]?.includes("|"); at += 1) row(lines[at + 1], "td");
      } else if (block) {
        block.lines.push(line.trim());
      } else {
        if (!/^\s/.test(line)) lists = [];
        begin(add("p", lists.at(-1)?.list.lastElementChild), line.trim());
      }
    }
    end(true);
    return page;
  }

  function inlineMarkdown(parent, text, growing, links = true) {
    const open = []; // the marks of the elements that are open
    let node = parent;
    let done = 0;
    const add = (tag) => node.appendChild(document.createElement(tag));
    const word = (sign) => /[\p{L}\p{N}]/u.test(sign) && !MARKDOWN_UNSPACED.test(sign);
    const say = (words) => node.append(words); // line feeds break lines: white-space is pre-line
    for (const { 0: whole, 1: escaped, 3: code, 4: label, 5: target, 6: address, 7: mark, index } of text.matchAll(MARKDOWN_SIGN)) {
      const next = index + whole.length;
      if (mark) {
        const sign = mark[0];
        const [before, after] = [text[index - 1] ?? "", text[next] ?? ""];
        let opens = /\S/.test(after);
        let closes = /\S/.test(before);
        if (sign === "_") {
          opens &&= !/[\p{L}\p{N}_]/u.test(before);
          closes &&= !/[\p{L}\p{N}]/u.test(after);
        } else if ((mark.length === 1 && word(before) && word(after)) || /^\d\d$/.test(before + after)) continue; // 5*3*2
        if (before === sign || after === sign) continue; // a longer run
        const close = closes ? open.lastIndexOf(mark) : -1;
        if (close < 0) {
          const ended = () => new RegExp(`[^\\s${sign}]${mark.replace(/\*/g, "\\*")}(?!\\${sign})`).test(text.slice(next, next + 500));
          if (!opens || open.length > 7 || !(growing || (mark === "**" && !word(before)) || ended())) continue;
        }
        say(text.slice(done, index));
        if (close < 0) {
          node = add(sign === "~" ? "s" : mark.length === 1 ? "em" : "strong");
          open.push(mark);
        } else while (open.length > close) node = open.pop() && node.parentNode;
      } else {
        say(text.slice(done, index));
        const href = address ?? target;
        if (escaped) say(escaped);
        else if (code) add("code").textContent = code.replace(/^ (.*\S.*) $/, "$1");
        else if (links && /^(?:https?:\/\/|mailto:|tel:)/i.test(href)) {
          const link = Object.assign(add("a"), { href, target: "_blank", rel: "noopener noreferrer" });
          inlineMarkdown(link, label || href, false, false);
        } else inlineMarkdown(node, label ?? href, false, false);
      }
      done = next;
    }
    say(text.slice(done));
  }

  // --- the end of the assistant's Markdown ---

  /** The same for the inside of a button, where a link cannot be. */
  function label(text) {
    const content = make("span", {}, rich(text));
    for (const link of content.querySelectorAll("a")) link.replaceWith(...link.childNodes);
    return content;
  }

  /**
   * The socket and what must survive it: the cursor, and the outbox of messages not yet acknowledged.
   *
   * Calls `on.frame(frame, message)` for each frame that is new (`message` is the outbox's, for those
   * that settle one), `on.status("connected" | "connecting" | "offline")`, `on.away(code)` when it
   * will not come back by itself, and `on.lost(cookie)` when there is no conversation to come back to
   * (`cookie` false: because the browser sent no cookie).
   */
  class Connection {
    #address;
    #wishes; // what a new conversation shall be like: {flow, lang}
    #on;
    #store;
    #socket = null;
    #live = false; // the server has said Resumed on this socket
    #fresh = true; // this socket began without a cursor
    #cursor = null;
    #seen = new Set(); // the cursors of all facts shown: an old Ack may set #cursor back
    #sent = new Set(); // ids sent on this socket
    #attempts = 0;
    #retry = 0;
    #told = false; // the server named the time to come back
    #stable = 0;
    #patience = 0;
    #known; // there is a conversation: connecting must not begin another
    brought = false; // the browser brought the cookie back: there was something to come back to
    #heard = 0; // when the server last said anything
    #pulse = 0;
    #doubt = 0; // the timer of an unanswered Ping
    #doubted = false; // it was not answered soon
    #overdue = 0; // the timer of a message that is not acknowledged
    #late = false; // it ran out
    #said = ""; // the state that was told last
    #pings = 0; // frames sent that older servers do not know, until the first answer to one
    #mute = false; // an older server, which takes a Ping or an Earlier for an error

    constructor(address, wishes, known, on) {
      this.#address = address;
      this.#wishes = wishes;
      this.#on = on;
      this.#store = new Store("sessionStorage", `switchboard:outbox:${address}`);
      const kept = this.#store.read();
      // What an earlier page left may or may not have been sent.
      this.outbox = (Array.isArray(kept) ? kept : []).map((frame) => ({ frame, tries: 1, reset: false }));
      this.#known = known || this.outbox.length > 0;
    }

    /** Has the page tell when its link may have changed. Repeating it does no harm. */
    watch() {
      for (const name of ["online", "offline", "pageshow", "focus"]) window.addEventListener(name, this.#stirred);
      for (const name of ["visibilitychange", "resume"]) document.addEventListener(name, this.#stirred);
    }

    /** The network came or went, or somebody looks at the page again: what was true may not be any more. */
    #stirred = ({ type }) => {
      const network = type === "online" || type === "offline";
      if (document.hidden && !network) return;
      if (this.#retry) this.hurry();
      else if (this.#live) this.#ask();
      else if (this.#socket && type === "online") this.#drop(0); // it began on the old network
    };

    /** Connects without waiting any longer, unless the server has named the time. */
    hurry() {
      if (!this.#retry || !this.#told) this.connect();
    }

    /** Connects, unless it is connected or connecting already. */
    connect() {
      clearTimeout(this.#retry);
      this.#retry = 0;
      if (this.#socket) return;
      const url = new URL(this.#address);
      for (const [name, wish] of Object.entries(this.#wishes)) if (wish) url.searchParams.set(name, wish);
      if (this.#cursor) url.searchParams.set("cursor", this.#cursor);
      const back = this.#known;
      if (back) url.searchParams.set("begin", "no");
      url.searchParams.set("window", WINDOW);
      this.#fresh = !this.#cursor;
      this.#tell();
      let socket;
      try {
        socket = new WebSocket(url, "switchboard.v1");
      } catch {
        this.#say("offline"); // mixed content, or the page's policy forbids the address
        this.#on.away(1008);
        return;
      }
      socket.onmessage = (event) => {
        this.brought ||= back;
        this.#received(event.data);
      };
      socket.onclose = (event) => this.#closed(event.code, event.reason);
      this.#socket = socket;
      this.#wait(CONNECT_PATIENCE);
    }

    /** Asks on a second socket whether the browser brings the cookie back; null where that stays open. */
    keeps() {
      return new Promise((tell) => {
        const url = new URL(this.#address);
        url.searchParams.set("begin", "no");
        if (this.#cursor) url.searchParams.set("cursor", this.#cursor);
        const socket = new WebSocket(url, "switchboard.v1");
        const done = (answer) => {
          socket.onmessage = socket.onclose = null;
          socket.close(1000);
          tell(answer);
        };
        socket.onmessage = () => done(true);
        socket.onclose = ({ code }) => done(code === UNKNOWN ? false : null);
      });
    }

    /** Closes for good: the element left the page. */
    leave() {
      clearTimeout(this.#retry);
      this.#retry = 0;
      this.#forget()?.close(1000);
    }

    /** Sends a message, again on each new socket, until the server has settled it. */
    send(frame) {
      this.outbox.push({ frame, tries: 0, reset: false });
      this.#save();
      this.#flush();
    }

    /** Asks for what was before that cursor. False: this server tells no such thing. */
    look(before) {
      if (this.#live && !this.#mute) {
        this.#pings += 1;
        this.whisper({ kind: "Earlier", before });
        this.#ask(); // somebody waits
      }
      return !this.#mute;
    }

    /** Sends what may be lost. */
    whisper(frame) {
      if (this.#live) this.#socket.send(JSON.stringify(frame));
    }

    #flush() {
      if (!this.#live) return;
      for (const message of this.outbox) {
        if (this.#sent.has(message.frame.id)) continue;
        this.#sent.add(message.frame.id);
        message.tries += 1;
        this.#socket.send(JSON.stringify(message.frame));
      }
      if (this.outbox.length && !this.#patience) this.#wait(PATIENCE);
      if (this.outbox.length && !this.#overdue) {
        this.#overdue = setTimeout(() => {
          this.#late = true;
          this.#tell();
          this.#ask();
        }, OVERDUE);
      }
    }

    #settle(id) {
      const index = this.outbox.findIndex((message) => same(message.frame.id, id));
      if (index < 0) return undefined;
      const [message] = this.outbox.splice(index, 1);
      this.#save();
      this.#calm();
      this.#flush(); // the next one's time begins
      this.#tell();
      return message;
    }

    #save() {
      this.#store.write(this.outbox.map((message) => message.frame));
    }

    /** Forgets the messages that are on their way; their frames. */
    abandon() {
      const frames = this.outbox.splice(0).map(({ frame }) => frame);
      this.#save();
      return frames;
    }

    #received(data) {
      this.#alive();
      let frame;
      try {
        frame = JSON.parse(data);
      } catch {
        return;
      }
      if (typeof frame?.kind !== "string") return;
      let message;
      if (frame.kind === "Resumed") {
        frame.reset ||= this.#fresh && !this.#live;
        this.#resumed(frame);
      } else if (frame.kind === "Ack" || frame.kind === "Refused") {
        message = this.#settle(frame.id);
        if (frame.cursor) this.#cursor = frame.cursor;
      } else if (frame.kind === "Pong" || frame.kind === "Earlier") {
        this.#pings = 0;
      } else if (frame.cursor) {
        this.#known = true;
        if (this.#seen.has(frame.cursor)) return;
        this.#seen.add(frame.cursor);
        this.#cursor = frame.cursor;
        if (frame.id !== undefined) message = this.#settle(frame.id);
      }
      this.#on.frame(frame, message?.frame);
      if (frame.kind === "Resumed") this.#flush();
      if (frame.kind === "Ack" && message?.frame.kind === "ResetSession") this.#anew(message);
    }

    #resumed(frame) {
      if (!this.#live) {
        this.#live = true;
        this.#calm();
        this.#stable = setTimeout(() => (this.#attempts = 0), STABLE);
        this.#tell();
        this.#beat();
      }
      if (!frame.reset) return;
      this.#cursor = null; // until the first fact: a replay may be cut off in its middle
      this.#seen.clear();
      for (const message of this.outbox) message.reset = this.#sent.has(message.frame.id);
    }

    /** This tab's own reset is stored: what follows is the new conversation. */
    #anew(message) {
      if (message.reset) return; // the server has said so itself
      if (message.tries > 1) {
        // An earlier copy may have been the one that counted, and what is shown may be new already.
        this.#cursor = null;
        this.#drop(0);
      } else {
        this.#seen.clear();
        this.#on.frame({ kind: "Resumed", reset: true });
      }
    }

    #wait(patience) {
      this.#calm();
      this.#patience = setTimeout(() => this.#drop(this.#backoff()), patience);
    }

    #calm() {
      clearTimeout(this.#patience);
      clearTimeout(this.#overdue);
      this.#patience = this.#overdue = 0;
      this.#late = false;
    }

    // A peer that is gone without a word is noticed by its silence only.

    /** The server said something. */
    #alive() {
      this.#heard = Date.now();
      if (!this.#doubt) return;
      clearTimeout(this.#doubt);
      this.#doubt = 0;
      this.#doubted = false;
      this.#tell();
      this.#beat();
    }

    /** Waits for silence. A page that nobody sees does not ask: it does when it is seen again. */
    #beat() {
      clearTimeout(this.#pulse);
      const rest = this.#heard + HEARTBEAT - Date.now();
      if (rest <= 0 && !document.hidden) this.#ask();
      else this.#pulse = setTimeout(() => this.#beat(), rest > 0 ? Math.min(rest, HEARTBEAT) : HEARTBEAT);
    }

    #ask() {
      if (this.#doubt || this.#mute || !this.#live) return;
      this.#pings += 1;
      this.#socket.send('{"kind":"Ping"}');
      this.#doubt = setTimeout(() => {
        this.#doubted = true;
        this.#tell();
        this.#doubt = setTimeout(() => this.#drop(Math.random() * 500), DOUBT_MOST - DOUBT_SHOWN);
      }, DOUBT_SHOWN);
    }

    #tell() {
      const state = this.#live && !this.#doubted && !this.#late ? "connected"
        : !this.#live && this.#attempts > 2 ? "offline" : "connecting";
      this.#say(state);
    }

    #say(state) {
      if (state === this.#said) return;
      this.#said = state;
      this.#on.status(state);
    }

    #drop(delay) {
      this.#forget()?.close(1000);
      this.#later(delay);
    }

    #forget() {
      const socket = this.#socket;
      if (socket) socket.onmessage = socket.onclose = null;
      this.#calm();
      for (const timer of [this.#stable, this.#pulse, this.#doubt]) clearTimeout(timer);
      this.#doubt = 0;
      this.#doubted = false;
      this.#sent.clear();
      this.#socket = null;
      this.#live = false;
      return socket;
    }

    #closed(code, reason) {
      const wasLive = this.#live;
      this.#forget();
      this.#told = false;
      if (code === 1007 && this.#pings) {
        this.#mute = true;
        this.#pings = 0;
        this.#later(Math.random() * 1000);
        return;
      }
      if (code === UNKNOWN) {
        this.#known = false;
        this.#cursor = null;
        this.#say("offline");
        this.#on.lost(!/cookie/.test(reason));
        return;
      }
      if (STAY_AWAY.has(code)) {
        this.#say("offline");
        this.#on.away(code);
        return;
      }
      const seconds = /\d+(\.\d+)?/.exec(reason);
      if (code === 4000 && this.#cursor) {
        this.#cursor = null;
        this.#later(Math.random() * 1000);
      } else if (code === 1012 && wasLive) {
        this.#later(Math.random() * 1000);
      } else if (code === 4029 && seconds) {
        this.#told = true;
        this.#later((Number(seconds[0]) + Math.random() * 0.5) * 1000);
      } else {
        this.#later(this.#backoff());
      }
    }

    /** Exponential with full jitter, so that a thousand clients do not come back in one instant. */
    #backoff() {
      const most = Math.min(BACKOFF_MOST, BACKOFF_FIRST * 2 ** this.#attempts);
      this.#attempts += 1;
      return Math.random() * most;
    }

    #later(delay) {
      this.#tell();
      this.#retry = setTimeout(() => this.connect(), delay);
    }
  }

  // Dates as the visitor's browser writes them.
  const moment = (time, options) => new Date(time).toLocaleString(navigator.languages, options);

  /** "Today", "yesterday", or the date. */
  function dayName(time) {
    const then = new Date(time);
    const now = new Date();
    const midnight = (date) => Date.UTC(date.getFullYear(), date.getMonth(), date.getDate());
    const days = (midnight(then) - midnight(now)) / 86_400_000;
    if (days === 0 || days === -1) {
      return new Intl.RelativeTimeFormat(navigator.languages, { numeric: "auto" }).format(days, "day");
    }
    const year = then.getFullYear() === now.getFullYear() ? {} : { year: "numeric" };
    return moment(time, { weekday: "long", day: "numeric", month: "long", ...year });
  }

  /** The chat's address: `data-server`, or next to this script. */
  function serverAddress(given) {
    const url = given ? new URL(given, document.baseURI) : new URL("ws", script?.src || document.baseURI);
    if (given && url.pathname === "/") url.pathname = "/ws";
    url.protocol = url.protocol.replace("http", "ws");
    url.hash = "";
    return url.href;
  }

  class SwitchboardChat extends HTMLElement {
    #texts;
    #connection;
    #store;
    #memory; // what is kept in localStorage: {read: cursor, rated: bool}, null before the first fact
    #address;
    #unsent; // what is typed and not sent, kept over page views
    #kept = null; // whether the browser brings the visitor's cookie back, null for not known
    #lost = false; // the conversation that is shown cannot be gone on with
    #narrow = matchMedia(NARROW);
    #ui = {};

    #owner = "bot";
    #status = "open";
    #waiting = null;
    #session = null; // the flow's open editor: {id, prompt}
    #group = null; // the newest choices: {frame, buttons, answered}
    #own = new Map(); // rows of the visitor's messages, by id
    #draft = null; // the assistant's words so far: {turn, attempt, length, text, row, drawing}
    #operator = "";
    #order = new Map(); // the places of all facts, by their cursors
    #news = -1; // the place of the newest that somebody said
    #newest = null; // the cursor of the newest fact, and of the newest that was shown to somebody
    #lastRead = null;
    #telling = 0; // a timer, until other tabs are told what was read
    #day = 0; // of the newest line: its midnight
    #top = 0; // and of the first
    #before = null; // the cursor before which there is more; null where all is shown
    #looking = null; // what has come of it since it was asked for: frames
    #past = false; // it is being shown
    #orphans = new Set(); // groups that were answered here and asked before
    #atBottom = true;
    #replaying = 0; // a timer, in case the replay's end is not told
    #typingShown = 0;
    #typingSent = 0;

    static appear = appear;

    connectedCallback() {
      if (chat !== this) {
        if (chat) return; // one is enough
        chat = this; // written into the page by hand
        queueMicrotask(appear);
      }
      if (!this.#connection) this.#begin();
      this.#connection.watch();
      window.addEventListener("pagehide", this.#leaving);
      window.addEventListener("storage", this.#elsewhere);
      window.addEventListener("resize", this.#unzoom);
      document.addEventListener("visibilitychange", this.#looked);
      const { frame, dialog } = this.#ui;
      if (frame.showPopover && !frame.matches(":popover-open")) frame.showPopover();
      if (dialog.open && this.#narrow.matches && !dialog.matches(":modal")) this.#reopen();
      this.#unzoom();
      if (this.#memory || this.#connection.outbox.length) this.#connection.connect();
    }

    disconnectedCallback() {
      // It may only be on its way to another place in the page.
      setTimeout(() => {
        if (!this.isConnected) this.#connection?.leave();
      });
    }

    /**
     * `document.open` takes every listener away, also from what is inside this element: then another
     * has to take its place. Whether this one's dialog was open, or null where it works.
     */
    retired() {
      const { frame, dialog } = this.#ui;
      if (!frame || !frame.dispatchEvent(new Event("switchboard-alive", { cancelable: true }))) return null;
      this.#connection.leave();
      this.remove();
      return dialog.open;
    }

    #begin() {
      const given = { ...window.switchboard?.texts, ...script?.dataset };
      this.#texts = Object.fromEntries(Object.entries(TEXTS).map(([name, text]) => [name, given[name] ?? text]));
      const side = script?.dataset.side;
      if (side && !this.hasAttribute("side")) this.setAttribute("side", side);
      this.#build();

      this.#address = serverAddress(this.dataset.server ?? script?.dataset.server);
      this.#store = new Store("localStorage", `switchboard:${this.#address}`);
      this.#memory = this.#store.read();
      this.#lastRead = this.#memory?.read ?? null;
      this.#unsent = new Store("sessionStorage", `switchboard:unsent:${this.#address}`);
      this.#ui.editor.value = this.#unsent.read() ?? "";
      const { flow, lang } = { ...script?.dataset, ...this.dataset };
      this.#connection = new Connection(this.#address, { flow, lang }, this.#memory !== null, {
        frame: (frame, message) => this.#frame(frame, message),
        status: (state) => this.#connectionStatus(state),
        away: (code) => this.#away(code),
        lost: (cookie) => this.#gone(cookie),
      });
      for (const { frame } of this.#connection.outbox) this.#showPending(frame);
      this.#arrange();
    }

    // Each of these is added again whenever the element comes into the page: `document.open` takes
    // all listeners away. Adding one twice has no effect.
    #leaving = () => this.#remember();
    #looked = () => this.#look();
    #elsewhere = ({ key, newValue }) => {
      if (key !== this.#store.key || !newValue || !this.#memory) return;
      this.#memory = this.#store.read() ?? this.#memory;
      this.#lastRead = this.#memory.read ?? this.#lastRead;
      this.#look();
      this.#arrange();
    };

    /** The root element's zoom is the one thing that reaches into the top layer. */
    #unzoom = () => {
      const zoom = document.documentElement.currentCSSZoom ?? 1;
      this.#ui.zoom.replaceSync(zoom === 1 ? "" : `.frame { zoom: ${1 / zoom}; }`);
    };

    open() {
      const { dialog, launcher } = this.#ui;
      if (dialog.open) return;
      if (this.#narrow.matches) dialog.showModal();
      else dialog.show();
      launcher.setAttribute("aria-expanded", "true");
      launcher.setAttribute("aria-label", this.#texts.close);
      this.#unzoom();
      this.#look();
      if (!this.#lost) this.#connection.hurry();
      this.#edited(false);
      this.#ui.log.scrollTop = this.#ui.log.scrollHeight;
      this.#focusBest();
    }

    close() {
      this.#ui.dialog.close();
    }

    #reopen() {
      this.#ui.dialog.close();
      this.open();
    }

    #build() {
      const texts = this.#texts;
      const ui = this.#ui;
      const button = (role, className, name, ...children) =>
        make("button", { type: "button", class: className, part: role, "data-role": role, ...name }, ...children);
      const line = (role, text) => make("div", { class: "row system", "data-role": role }, text);

      ui.unread = make("span", { class: "unread", "data-role": "unread", hidden: true });
      ui.launcher = button("launcher", "launcher",
        { "aria-label": texts.open, "aria-haspopup": "dialog", "aria-expanded": "false",
          onclick: () => (ui.dialog.open ? this.close() : this.open()) },
        icon("chat"), icon("down"), ui.unread);

      ui.status = make("div", { class: "status", role: "status", "data-role": "status", "data-state": "offline" });
      ui.header = make("header", { part: "header" },
        make("span", { class: "face" }, icon("bot")),
        make("div", { class: "heading" }, make("h2", { id: "title" }, texts.title), ui.status),
        button("reset", "tool", { "aria-label": texts.reset, title: texts.reset, onclick: () => this.#ask(true) },
          icon("reset")),
        button("close", "tool", { "aria-label": texts.close, title: texts.close, onclick: () => this.close() },
          icon("cross")));

      ui.noticeText = make("span");
      ui.retry = button("retry", "pill", { onclick: () => this.#retried() }, texts.retry);
      ui.notice = make("div", { class: "notice", role: "alert", "data-role": "notice", hidden: true },
        ui.noticeText,
        ui.retry);
      ui.identity = make("div", { class: "notice", role: "status", "data-role": "identity", hidden: true });

      ui.avatar = make("span", { class: "avatar", part: "avatar", "data-role": "avatar" }, icon("bot"));
      ui.more = make("button",
        { type: "button", class: "pill more", part: "earlier", "data-role": "earlier", hidden: true,
          onclick: () => this.#lookBack() },
        texts.earlier);
      // Not announced: who asked for it goes there and reads.
      ui.earlier = make("div", { class: "earlier", "aria-live": "off" });
      ui.messages = make("div", { class: "messages" });
      // Announced when they are stored and move up.
      ui.pending = make("div", { "aria-live": "off" });
      // Announced when they are committed, once.
      ui.drafts = make("div", { "aria-live": "off" });
      ui.queue = line("waiting", texts.waiting);
      ui.typing = make("div", { class: "row operator typing", "data-role": "typing", hidden: true },
        make("span", { class: "bubble dots" }, make("i"), make("i"), make("i")));
      ui.rating = make("span", {}, texts.rate);
      ui.stars = make("div",
        { class: "stars", role: "group", part: "stars", "data-role": "stars", "aria-label": texts.rate },
        ...[1, 2, 3, 4, 5].map((score) =>
          button("star", "star", { "data-score": score, "aria-label": fill(texts.star, { score }),
            onclick: () => this.#rate(score) }, icon("star"))));
      ui.closed = line("closed", texts.closed);
      ui.end = make("div", { class: "end" },
        ui.closed, ui.rating, ui.stars,
        button("restart", "pill", { onclick: () => this.#reset() }, texts.restart));
      ui.content = make("div", {}, ui.more, ui.earlier, ui.messages, ui.drafts, ui.pending, ui.queue, ui.typing, ui.end);
      ui.log = make("div",
        { class: "log", part: "log", role: "log", tabindex: "0", "aria-live": "polite", "aria-label": texts.log,
          "data-role": "log" },
        ui.content);

      ui.confirm = make("div",
        { class: "confirm", role: "alertdialog", "aria-label": texts.reset, "aria-describedby": "question",
          "data-role": "confirm", hidden: true },
        make("p", { id: "question" }, texts.confirm),
        make("div", {},
          button("cancel-reset", "pill", { onclick: () => this.#ask(false) }, texts.cancel),
          button("confirm-reset", "pill main", { onclick: () => this.#reset() }, texts.reset)));

      ui.error = make("p", { class: "error", role: "alert", "data-role": "error", hidden: true });
      ui.editor = make("textarea",
        { part: "editor", "data-role": "editor", rows: "1", dir: "auto", enterkeyhint: "send", autocomplete: "off",
          oninput: () => this.#edited(), onkeydown: (event) => this.#editorKey(event) });
      ui.send = make("button",
        { type: "submit", class: "send", part: "send", "data-role": "send", "aria-label": texts.send, title: texts.send },
        icon("send"));
      const form = make("form", { onsubmit: (event) => { event.preventDefault(); this.#submit(); } }, ui.editor, ui.send);

      ui.dialog = make("dialog",
        { role: "dialog", part: "dialog", "data-role": "dialog", "aria-labelledby": "title",
          onkeydown: (event) => this.#dialogKey(event), onkeyup: (event) => event.stopPropagation(), onclose: () => this.#dialogClosed() },
        ui.header, ui.notice, ui.identity, ui.log, ui.confirm, ui.error, form);

      const root = this.attachShadow({ mode: "open" });
      const sheet = new CSSStyleSheet();
      // A page may register a name (@property) so that nothing inherits it: ours cannot be guessed.
      sheet.replaceSync(STYLE.replaceAll("--sb-", `--sb-${Math.random().toString(36).slice(2)}-`));
      ui.zoom = new CSSStyleSheet();
      root.adoptedStyleSheets = [sheet, ui.zoom];
      // The page's direction, as its markup says; what a stylesheet says does not count.
      const dir = (document.body?.dir || document.documentElement.dir) === "rtl" ? "rtl" : "ltr";
      ui.frame = make("div",
        { class: "frame", popover: "manual", dir, "onswitchboard-alive": (event) => event.preventDefault() },
        ui.dialog, ui.launcher);
      root.append(ui.frame);

      const bottom = () => ui.log.scrollHeight - ui.log.clientHeight;
      let settled = 0;
      ui.log.addEventListener("scroll", () => {
        // Lines came or went since: then it may be the browser that scrolled, not the visitor.
        if (bottom() !== settled) return;
        this.#atBottom = settled - ui.log.scrollTop < 40;
        if (!this.#atBottom && ui.log.scrollTop < 40) this.#lookBack();
      });
      const observer = new ResizeObserver(() => {
        settled = bottom();
        if (this.#atBottom) ui.log.scrollTop = settled;
      });
      observer.observe(ui.content);
      observer.observe(ui.log);
      this.#narrow.addEventListener("change", () => {
        if (ui.dialog.open) this.#reopen();
      });
      this.#connectionStatus("offline");
    }

    // What the server says

    #frame(frame, message) {
      switch (frame.kind) {
        case "Resumed":
          this.#dropDraft(); // if it goes on, all of it comes again
          this.#replay(true);
          if (frame.reset) this.#clear(frame.earlier);
          else if (this.#looking) this.#lookBack(true);
          break;
        case "Earlier":
          this.#lookedBack(frame);
          return;
        case "State":
          this.#owner = frame.owner;
          this.#status = frame.status;
          this.#waiting = frame.waiting;
          this.#replay(false);
          this.#look();
          if (!this.#over() && this.#memory?.rated) this.#remember({ rated: false });
          break;
        case "Ack":
          if (message?.kind === "ResetSession") this.#own.get(message.id)?.remove();
          else this.#stored(frame.id);
          break;
        case "Refused":
          this.#refused(frame.id);
          break;
        case "Draft":
          this.#drafted(frame);
          return;
        case "Typing":
          if (frame.who !== "visitor") this.#showTyping(true, frame.who);
          return;
        default:
          if (!this.#tell(frame)) return; // a newer server's
      }
      if (frame.cursor && frame.kind !== "Ack" && frame.kind !== "Refused") this.#noticed(frame);
      this.#arrange();
    }

    /** What happened, at its place in the conversation. False for what is unknown here. */
    #tell(frame) {
      switch (frame.kind) {
        case "BotText":
          this.#botText(frame);
          break;
        case "ChoiceRequest":
          this.#choices(frame);
          break;
        case "StartChatSession":
          this.#session = { id: frame.sessionId, prompt: frame.chatPrompt };
          this.#waiting = "text";
          if (frame.chatText) this.#bubble("bot", rich(frame.chatText), frame);
          break;
        case "EndChatSession":
          if (this.#session && same(this.#session.id, frame.sessionId)) this.#session = null;
          break;
        case "ChoiceResponse":
        case "UserText":
          this.#visitorFact(frame);
          break;
        case "OperatorJoined":
          this.#operator = frame.name || this.#texts.person;
          this.#line(this.#texts.joined, this.#operator, frame);
          break;
        case "OperatorText":
          this.#operatorText(frame);
          break;
        case "OperatorLeft":
          this.#line(this.#texts.left, this.#operator || this.#texts.person, frame);
          this.#showTyping(false);
          break;
        default:
          return false;
      }
      return true;
    }

    // What was before the newest part, when somebody looks back

    #lookBack(again = false) {
      if (this.#before === null || (this.#looking && !again)) return;
      this.#looking = []; // without a link it is asked for when there is one
      if (!this.#connection.look(this.#before)) this.#before = this.#looking = null;
      this.#offerMore();
    }

    #lookedBack({ before, frames, earlier }) {
      if (!this.#looking || before !== this.#before) return;
      this.#looking.push(...frames);
      if (earlier === undefined) return; // more of it follows
      const { log } = this.#ui;
      const shown = [this.#ui.earlier, this.#ui.messages].flatMap(({ children }) => [...children]);
      const seen = shown.find((row) => !row.matches(".day"));
      const place = () => seen?.getBoundingClientRect().top ?? 0;
      const was = place();
      this.#before = earlier;
      const told = this.#looking;
      this.#looking = null;
      this.#tellEarlier(told, shown[0]);
      this.#offerMore();
      log.scrollTop += place() - was; // what somebody reads stays where it is
    }

    /**
     * Above all that is shown, and without an effect on anything else: what is asked, who speaks, what
     * is read and which day it is are of the newest part.
     */
    #tellEarlier(frames, first) {
      const { messages, avatar } = this.#ui;
      const kept = [this.#group, this.#session, this.#waiting, this.#operator];
      const [day, top, home, orphans] = [this.#day, this.#top, avatar.parentNode, this.#orphans];
      const page = (this.#ui.messages = make("div"));
      this.#past = true;
      this.#group = null;
      this.#day = 0;
      this.#orphans = new Set();
      for (const frame of frames) {
        this.#tell(frame);
        if (this.#group) this.#group.buttons.hidden = this.#group.answered !== null;
      }
      this.#retireChoices();
      for (const group of orphans) {
        if (!this.#group) this.#orphans.add(group);
        else if (same(group, this.#group.frame.groupId)) this.#group.buttons.hidden = true;
      }
      const line = first?.matches(".day");
      if (line && this.#day === top) first.remove();
      else if (!line && top && this.#day && this.#day !== top) page.append(this.#dayLine(top));
      const name = page.lastChild?.dataset.name;
      if (name && first?.dataset.name === name) first.querySelector(".name")?.remove();
      [this.#group, this.#session, this.#waiting, this.#operator] = kept;
      this.#day = day || this.#day;
      this.#ui.messages = messages;
      this.#past = false;
      home?.prepend(avatar);
      this.#ui.earlier.prepend(...page.childNodes);
    }

    #offerMore() {
      const { more, log } = this.#ui;
      if (this.#before === null && this.shadowRoot.activeElement === more) log.focus({ preventScroll: true });
      more.hidden = this.#before === null;
      more.textContent = this.#looking ? this.#texts.loading : this.#texts.earlier;
      more.setAttribute("aria-disabled", String(this.#looking !== null));
    }

    /** While a conversation is replayed nothing moves, and screen readers do not read it all out. */
    #replay(on) {
      clearTimeout(this.#replaying);
      this.#replaying = on ? setTimeout(() => this.#replay(false), REPLAY_MOST) : 0;
      this.#ui.log.setAttribute("aria-busy", String(on));
    }

    #clear(before = null) {
      this.#ui.messages.replaceChildren();
      this.#ui.earlier.replaceChildren();
      this.#orphans.clear();
      this.#before = before;
      this.#looking = null;
      this.#offerMore();
      for (const [id, row] of this.#own) {
        if (!row.isConnected) this.#own.delete(id);
      }
      this.#group = this.#session = this.#waiting = null;
      this.#owner = "bot";
      this.#status = "open";
      this.#operator = "";
      this.#atBottom = true;
      this.#order.clear();
      this.#news = -1;
      this.#newest = null;
      this.#day = this.#top = 0;
      this.#showTyping(false);
      this.#unread(false);
    }

    /** A fact arrived, the newest so far. */
    #noticed({ kind, cursor }) {
      if (!this.#memory) this.#remember({});
      if (NEWS.has(kind)) this.#news = this.#order.size;
      this.#order.set(cursor, this.#order.size);
      this.#newest = cursor;
      if (this.#order.size === 1) this.#proveIdentity();
      if (!this.#replaying) this.#look();
    }

    /** What is in front of somebody is read; in a hidden tab, or behind a closed dialog, it is not. */
    #look() {
      if (!this.#ui.dialog.open || document.hidden) {
        this.#unread(this.#news > this.#place(this.#lastRead));
        return;
      }
      this.#unread(false);
      if (this.#newest === null || this.#lastRead === this.#newest) return;
      this.#lastRead = this.#newest;
      this.#telling ||= setTimeout(() => this.#remember(), READ_AFTER);
    }

    #place(cursor) {
      return this.#order.get(cursor) ?? -1;
    }

    #unread(unread) {
      this.#ui.unread.hidden = !unread;
      if (!this.#ui.dialog.open) {
        this.#ui.launcher.setAttribute("aria-label", unread ? this.#texts.openUnread : this.#texts.open);
      }
    }

    #remember(changes) {
      clearTimeout(this.#telling);
      this.#telling = 0;
      if (!changes && !this.#memory) return;
      // Another tab may have shown more.
      const read = this.#memory && this.#store.read()?.read;
      if (this.#place(read) > this.#place(this.#lastRead)) this.#lastRead = read;
      this.#memory = { ...this.#memory, read: this.#lastRead, ...changes };
      if (this.#kept !== false) this.#store.write(this.#memory);
    }

    // Who the visitor is: the server knows it by a cookie, which the browser may not keep

    /** Between two sites a cookie depends on settings: whether it came to stay is asked at once. */
    async #proveIdentity() {
      const server = new URL(this.#address);
      const alike = server.protocol.replace("ws", "http") === location.protocol;
      if (this.#kept !== null || this.#connection.brought) return;
      if (alike && server.hostname === location.hostname) return;
      this.#kept = await this.#connection.keeps();
      if (this.#kept === false) {
        this.#store.clear(); // the next page has nothing to come back to
        this.#warn(this.#texts.unkept);
        this.#explain();
      }
    }

    /** There is no conversation to come back to. One that is shown stays to be read. */
    #gone(cookie) {
      this.#memory = null;
      this.#store.clear();
      for (const { id, kind, content } of this.#connection.abandon()) {
        this.#refused(id);
        if (kind === "UserText") this.#ui.editor.value ||= content; // not to be written once more
      }
      if (!cookie) this.#explain();
      if (this.#order.size) {
        this.#lost = true;
        this.#notify(UNKNOWN, this.#texts.lost, this.#texts.restart);
      } else {
        this.#warn(this.#texts.lost);
        if (this.#ui.dialog.open) this.#connection.connect();
      }
    }

    #warn(text) {
      this.#ui.identity.textContent = text;
      this.#ui.identity.hidden = false;
    }

    /** To the page's author, who can mend it. */
    #explain() {
      console.warn(
        `Switchboard: the browser did not send the visitor's cookie to ${this.#address}, so a conversation ` +
        "ends with the page. If this page is of another site than the chat, serve both over HTTPS and set " +
        "SWITCHBOARD_COOKIE_SAMESITE=none and SWITCHBOARD_COOKIE_PARTITIONED=yes on the proxy.");
    }

    #bubble(from, content, { time } = {}, plain = false) {
      const bubble = make("div", { class: plain ? "bubble plain" : "bubble", part: "bubble", dir: "auto" }, content);
      if (time) bubble.title = moment(time, { dateStyle: "full", timeStyle: "short" });
      this.#dated(time);
      const row = make("div", { class: `row ${from}`, "data-role": "message", "data-from": from }, bubble);
      if (!this.#replaying && !this.#past) row.classList.add("fresh");
      if (from === "bot") row.prepend(this.#ui.avatar); // there is one: it moves to the last message
      this.#ui.messages.append(row);
      return row;
    }

    /** What happened to somebody. The sentence has a direction of its own, whatever script the name is in. */
    #line(text, name, { time } = {}) {
      this.#dated(time);
      const [before, after] = text.split("{name}");
      this.#ui.messages.append(
        make("div", { class: "row system", "data-role": "message", "data-from": "system" },
          make("span", { dir: "auto" }, before, make("bdi", {}, name), after ?? "")));
    }

    /** The day, above the first line of each. Of a conversation of today nobody needs to be told. */
    #dated(time) {
      if (!time) return;
      const day = new Date(time).setHours(0, 0, 0, 0);
      if (day <= this.#day) return; // an earlier one can only come of a clock that is wrong
      if (this.#day || day !== new Date().setHours(0, 0, 0, 0)) this.#ui.messages.append(this.#dayLine(day));
      if (!this.#day) this.#top = day;
      this.#day = day;
    }

    #dayLine(day) {
      return make("div", { class: "row system day", "data-role": "day", dir: "auto" }, dayName(day));
    }

    #botText(frame) {
      const drafted = frame.turn !== undefined && this.#draft?.turn === frame.turn;
      if (drafted) this.#dropDraft();
      if (frame.turn !== undefined) this.#showTyping(false);
      const row = this.#bubble("bot", rich(frame.content), frame);
      if (drafted) row.classList.remove("fresh"); // the words stand there already
    }

    /** The assistant's words while it makes them: below what is stored. */
    #drafted(frame) {
      let draft = this.#draft;
      if (frame.end) {
        if (draft?.turn === frame.turn) this.#interruptDraft();
        this.#showTyping(false);
        return;
      }
      if (!draft || draft.turn !== frame.turn || frame.offset === 0) {
        if (frame.offset !== 0) return; // its beginning was not for us
        if (draft?.turn !== frame.turn) {
          this.#dropDraft();
          const row = this.#bubble("bot", "");
          row.dataset.role = "draft";
          this.#ui.drafts.append(row);
          draft = { turn: frame.turn, row };
        }
        this.#draft = Object.assign(draft, { attempt: frame.attempt, length: 0, text: "" });
        this.#showTyping(false);
      }
      if (frame.attempt !== draft.attempt || frame.offset !== draft.length) return;
      draft.text += frame.text;
      draft.length += [...frame.text].length; // offsets count characters, not UTF-16
      draft.drawing ||= requestAnimationFrame(() => this.#drawDraft(draft)); // many pieces are drawn once
    }

    #drawDraft(draft, growing = true) {
      cancelAnimationFrame(draft.drawing);
      draft.drawing = 0;
      const bubble = draft.row.querySelector(".bubble");
      bubble.classList.add("drawn");
      bubble.replaceChildren(drawMarkdown(draft.text, growing));
    }

    #dropDraft() {
      if (!this.#draft) return;
      this.#draft.row.remove();
      this.#draft = null;
      [...this.#ui.messages.querySelectorAll(".bot")].at(-1)?.prepend(this.#ui.avatar);
    }

    /** What was read stays to be read; it never was a message, so the next page does not show it. */
    #interruptDraft() {
      const { row } = this.#draft;
      this.#drawDraft(this.#draft, false);
      this.#draft = null;
      row.setAttribute("data-interrupted", "true");
      row.setAttribute("aria-live", "off");
      row.append(make("span", { class: "note" }, this.#texts.interrupted));
      this.#ui.messages.append(row);
    }

    #operatorText(frame) {
      const previous = this.#ui.messages.lastElementChild;
      const name = this.#operator = frame.name || this.#operator || this.#texts.person;
      const row = this.#bubble("operator", String(frame.content), frame, true);
      row.dataset.name = name;
      if (previous?.dataset.name !== name) row.prepend(make("bdi", { class: "name" }, name));
      this.#showTyping(false);
    }

    #showTyping(shown, who = "operator") {
      if (this.#past) return;
      clearTimeout(this.#typingShown);
      const { typing } = this.#ui;
      typing.hidden = !shown;
      const name = who === "assistant" ? this.#texts.assistant : this.#operator || this.#texts.person;
      typing.setAttribute("aria-label", fill(this.#texts.typing, { name: isolated(name) }));
      if (shown) this.#typingShown = setTimeout(() => (typing.hidden = true), TYPING_SHOWN);
    }

    #choices(frame) {
      this.#retireChoices();
      const pending = this.#connection.outbox.findLast(
        (message) => message.frame.kind === "ChoiceResponse" && same(message.frame.groupId, frame.groupId));
      const group = { frame, answered: pending?.frame.id ?? null };
      group.buttons = make("div", { class: "choices", role: "group" },
        ...frame.choices.map((choice) =>
          make("button",
            { type: "button", class: "choice", part: "choice", dir: "auto", "data-role": "choice",
              "data-group": frame.groupId, "data-item": choice.itemId, onclick: () => this.#pick(choice) },
            label(choice.content))));
      this.#bubble("bot", rich(frame.question), frame).append(group.buttons);
      this.#group = group;
      this.#waiting = "choice";
    }

    /** Older choices that nobody answered stay to be read, not to be clicked. */
    #retireChoices() {
      for (const button of this.#group?.buttons.children ?? []) button.disabled = true;
    }

    #visitorFact(frame) {
      const group = this.#group;
      const answers = frame.kind === "ChoiceResponse" && group && same(group.frame.groupId, frame.groupId);
      if (answers) group.answered = frame.id;
      else if (frame.kind === "ChoiceResponse") this.#orphans.add(String(frame.groupId));
      if (this.#own.has(String(frame.id))) {
        this.#stored(frame.id);
        return;
      }
      const choice = answers && group.frame.choices.find((one) => same(one.itemId, frame.itemId));
      const row = frame.kind === "UserText"
        ? this.#bubble("visitor", String(frame.content), frame, true)
        : this.#bubble("visitor", rich(frame.content ?? choice?.content ?? ""), frame);
      if (frame.id !== undefined) this.#own.set(String(frame.id), row);
    }

    // What the visitor does

    #post(frame) {
      this.#showPending(frame);
      this.#atBottom = true;
      this.#connection.send(frame);
      this.#arrange();
    }

    /** The visitor's message at once; below the stored ones until its place in their order is known. */
    #showPending(frame) {
      if (frame.kind === "Rate") return;
      let row;
      if (frame.kind === "ResetSession") {
        row = make("div", { class: "row system", "data-role": "message", "data-from": "system" }, this.#texts.resetting);
      } else if (frame.kind === "UserText") {
        row = this.#bubble("visitor", frame.content, {}, true);
      } else {
        row = this.#bubble("visitor", rich(frame.content));
      }
      row.setAttribute("data-pending", "true");
      row.title = this.#texts.sending;
      this.#ui.pending.append(row);
      this.#own.set(frame.id, row);
    }

    #stored(id) {
      const row = this.#own.get(String(id));
      if (!row?.hasAttribute("data-pending")) return;
      row.removeAttribute("data-pending");
      row.removeAttribute("title");
      row.classList.remove("fresh");
      this.#dated(Date.now());
      this.#ui.messages.append(row);
    }

    #refused(id) {
      const row = this.#own.get(String(id));
      if (!row) return;
      this.#stored(id);
      this.#own.delete(String(id));
      if (this.#group && same(this.#group.answered, id)) this.#group.answered = null; // still to be answered
      if (row.dataset.from === "system") {
        row.remove();
        return;
      }
      row.setAttribute("data-refused", "true");
      row.append(make("span", { class: "note", "data-role": "refused" }, this.#texts.refused));
      setTimeout(() => row.remove(), REFUSED_SHOWN);
    }

    #pick(choice) {
      const group = this.#group;
      const id = uuid();
      group.answered = id;
      if (this.#holdsFocus()) this.#ui.log.focus(); // the button is about to go
      this.#post({
        kind: "ChoiceResponse", id, groupId: group.frame.groupId, itemId: choice.itemId, content: choice.content,
      });
    }

    #submit() {
      const { editor, error } = this.#ui;
      const session = this.#openSession();
      // Control characters cannot be typed and would grow sixfold in JSON; half of a pair is no text.
      const bytes = new TextEncoder().encode(editor.value.replace(/[^\P{Cc}\n\t]/gu, "").trim());
      if (!session || !bytes.length) return;
      if (bytes.length > MAX_TEXT) {
        error.textContent = fill(this.#texts.tooLong, { size: Math.ceil(bytes.length / 102.4) / 10 });
        error.hidden = false;
        return;
      }
      const content = new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
      editor.value = "";
      this.#post({ kind: "UserText", id: uuid(), sessionId: session.id, content });
      this.#edited(false);
    }

    #reset() {
      this.#ui.confirm.hidden = true;
      this.#ui.log.focus(); // the button is about to go
      if (this.#connection.outbox.some(({ frame }) => frame.kind === "ResetSession")) return;
      this.#post({ kind: "ResetSession", id: uuid() });
    }

    #rate(score) {
      if (this.#memory?.rated) return;
      this.#connection.send({ kind: "Rate", id: uuid(), score });
      this.#remember({ rated: score });
      this.#arrange();
    }

    #ask(shown) {
      const { confirm, header } = this.#ui;
      if (confirm.hidden !== shown) return;
      confirm.hidden = !shown;
      (shown ? confirm : header).querySelector(shown ? "[data-role=cancel-reset]" : "[data-role=reset]").focus();
    }

    #edited(byHand = true) {
      const { editor, error } = this.#ui;
      error.hidden = true;
      if (byHand || !editor.value) this.#unsent.write(editor.value);
      editor.style.height = "auto";
      editor.style.height = `${editor.scrollHeight + 2}px`;
      this.#ui.send.disabled = editor.disabled || !editor.value.trim();
      if (byHand && this.#owner === "operator" && Date.now() - this.#typingSent >= TYPING_EVERY) {
        this.#typingSent = Date.now();
        this.#connection.whisper({ kind: "Typing" });
      }
    }

    #editorKey(event) {
      // While an input method composes, Enter picks a candidate.
      if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
      event.preventDefault();
      this.#submit();
    }

    #dialogKey(event) {
      event.stopPropagation(); // the page's own shortcuts are not meant
      if (event.key !== "Escape" || event.isComposing) return;
      event.preventDefault();
      if (this.#ui.confirm.hidden) this.close();
      else this.#ask(false);
    }

    #dialogClosed() {
      const { dialog, launcher } = this.#ui;
      if (dialog.open) return; // reopened at another width
      launcher.setAttribute("aria-expanded", "false");
      launcher.setAttribute("aria-label", this.#texts.open);
      this.#ui.confirm.hidden = true;
      this.#remember();
      launcher.focus();
    }

    // What is shown of the state

    /**
     * The editor that is open now: the flow's, or the operator's while a person owns or is awaited, and
     * after a person closed the conversation: a text opens it again.
     */
    #openSession() {
      if (this.#status === "resolved") return { id: "operator", prompt: this.#texts.reopen };
      return this.#owner === "bot" ? this.#session : { id: "operator", prompt: this.#texts.write };
    }

    /** Nothing follows: a person closed the conversation, or the flow is at its end. */
    #over() {
      return this.#status === "resolved" || (this.#owner === "bot" && this.#waiting === "end");
    }

    #arrange() {
      const { editor, queue, end, closed, rating, stars } = this.#ui;
      const texts = this.#texts;
      const resolved = this.#status === "resolved";

      const session = this.#openSession();
      const opens = session !== null && editor.disabled;
      const hadFocus = this.#holdsFocus();
      editor.disabled = session === null;
      editor.placeholder = session ? session.prompt || texts.ask : texts.choose;
      editor.setAttribute("aria-label", editor.placeholder);
      this.#ui.send.disabled = editor.disabled || !editor.value.trim();

      const group = this.#group;
      if (group) {
        const active = this.#owner === "bot" && !resolved && this.#waiting === "choice";
        for (const button of group.buttons.children) button.disabled = !active;
        group.buttons.hidden = group.answered !== null;
      }

      queue.hidden = this.#owner !== "queue" || resolved;
      end.hidden = !this.#over();
      closed.textContent = resolved ? texts.closed : texts.over;
      const rated = this.#memory?.rated || 0;
      stars.toggleAttribute("data-rated", rated > 0);
      rating.textContent = rated ? texts.thanks : texts.rate;
      for (const star of stars.children) {
        star.disabled = rated > 0;
        star.toggleAttribute("data-lit", Number(star.dataset.score) <= rated);
      }

      if (opens && hadFocus && this.#ui.confirm.hidden) this.#focusBest();
    }

    #holdsFocus() {
      return this.shadowRoot.activeElement !== null && this.#ui.dialog.contains(this.shadowRoot.activeElement);
    }

    /** The editor, where that does not raise a touch screen's keyboard; else the conversation. */
    #focusBest() {
      const { editor, log } = this.#ui;
      (!editor.disabled && matchMedia("(hover: hover)").matches ? editor : log).focus({ preventScroll: true });
    }

    #connectionStatus(state) {
      const { status, notice } = this.#ui;
      status.dataset.state = state;
      status.textContent = this.#texts[state];
      if (state !== "offline") notice.hidden = true;
    }

    #away(code) {
      this.#notify(code, code === 1008 ? this.#texts.notAllowed : this.#texts.away, this.#texts.retry);
    }

    #notify(code, text, remedy) {
      const { notice, noticeText, retry } = this.#ui;
      noticeText.textContent = text;
      retry.textContent = remedy;
      notice.dataset.code = code;
      notice.hidden = false;
    }

    #retried() {
      this.#lost = false;
      this.#connection.connect();
    }
  }

  // One button for a page, for as long as the page lasts. It stands beside the body, not in it: routers
  // replace bodies (Turbo, single-page applications), and a hidden body hides what is in it.

  let chat = null;
  let root = null; // the document's element when the button came into it
  let missed = 0; // how often somebody took the button away, and nothing else

  const keeper = new MutationObserver((changes) => {
    if (!chat || chat.isConnected) return;
    const gone = changes.flatMap(({ removedNodes }) => [...removedNodes]);
    const replaced = root !== document.documentElement || gone.some((node) => /^(body|html)$/.test(node.localName));
    // Clean-up scripts take what they do not know; the second time it is meant.
    if (replaced || missed++ === 0) settle();
  });

  function settle() {
    if (!document.documentElement) return; // `document.open`: the keeper sees the next one
    root = document.documentElement;
    chat ??= document.querySelector("switchboard-chat") ?? document.createElement("switchboard-chat");
    const shown = chat.retired();
    if (shown !== null) chat = document.createElement("switchboard-chat");
    if (chat.parentNode !== root) root.append(chat);
    if (shown) chat.open();
    for (const other of document.querySelectorAll("switchboard-chat")) if (other !== chat) other.remove();
    keeper.disconnect();
    keeper.observe(document, { childList: true });
    keeper.observe(root, { childList: true });
  }

  /** The tag ran, once more or for the first time. */
  function appear() {
    missed = 0;
    if (document.readyState !== "loading") settle();
    else document.addEventListener("DOMContentLoaded", settle, { once: true });
  }

  customElements.define("switchboard-chat", SwitchboardChat);
  appear();
})();
