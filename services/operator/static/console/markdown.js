// The assistant's Markdown as nodes: the chat button and the operators' console have the same file.

const MARKDOWN_SIGN =
  /\\([!-/:-@[-`{-~])|(`{1,20})(?!`)([^]{1,500}?)(?<!`)\2(?!`)|!?\[((?:[^[\]\n]|!?\[[^[\]\n]{0,200}\]){0,400})\]\(\s{0,20}<?([^\s()<>]{1,2000}(?:\([^\s()<>]{0,500}\)[^\s()<>]{0,500}){0,4})>?(?:\s{1,20}["'][^\n]{0,300}?["'])?\s{0,20}\)|<((?:https?:\/\/|mailto:|tel:)[^\s<>]{1,2000})>|(\*{1,3}|_{1,3}|~~)/g;
const MARKDOWN_TABLE = /^[ \t]{0,3}(?=[^\n]*-)(?=[^\n]*\|)[-:| \t]+$/; // the line under its head
const MARKDOWN_UNSPACED = /[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3100-\u312f\u3400-\u9fff\uac00-\ud7a3\uf900-\ufaff\uff66-\uff9d]/;

/** @typedef {{node: HTMLElement, lines: string[]}} Block */
/** @typedef {{indent: number, list: HTMLElement}} List */

/**
 * A model's words are a stranger's: nodes are made of them, never HTML, and no image is fetched.
 * Of a text that is `growing`, signs at its end are not shown before it is certain what they are.
 *
 * @param {string} text
 * @returns {DocumentFragment}
 */
export function drawMarkdown(text, growing = false) {
  const page = document.createDocumentFragment();
  /** The open lists. @type {List[]} */
  let lists = [];
  /** The open paragraph, item or quote. */
  let block = /** @type {Block | null} */ (null);
  /** @param {string} tag @param {Node | null} [parent] */
  const add = (tag, parent) => (parent ?? page).appendChild(document.createElement(tag));
  /** @param {HTMLElement} node @param {string} line */
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
      let last = lists.at(-1);
      while (last && (last.indent > indent || (last.indent === indent && last.list.tagName !== tag))) {
        lists.pop();
        last = lists.at(-1);
      }
      if (!last || (indent > last.indent + 1 && lists.length < 6)) {
        const list = add(tag, last?.list.lastElementChild);
        if (item[2] && item[2] !== "1") list.setAttribute("start", String(Number(item[2])));
        last = { indent, list };
        lists.push(last);
      }
      begin(add("li", last.list), item[3]);
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
      /** @param {string} row */
      const cells = (row) => row.trim().replace(/^\||(?<!\\)\|$/g, "").split(/(?<!\\)\|/);
      const width = cells(line).length;
      /** @param {string} words @param {string} tag */
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

/**
 * @param {HTMLElement} parent
 * @param {string} text
 * @param {boolean} growing
 */
function inlineMarkdown(parent, text, growing, links = true) {
  /** The marks of the elements that are open. @type {string[]} */
  const open = [];
  let node = parent;
  let done = 0;
  /** @param {string} tag */
  const add = (tag) => node.appendChild(document.createElement(tag));
  /** @param {string} sign */
  const word = (sign) => /[\p{L}\p{N}]/u.test(sign) && !MARKDOWN_UNSPACED.test(sign);
  /** @param {string} words */
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
      } else while (open.length > close) {
        open.pop();
        node = /** @type {HTMLElement} */ (node.parentElement ?? node.parentNode);
      }
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
