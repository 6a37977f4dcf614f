// The conversation as a text to keep. Without DOM.

/** @typedef {{from: string, name: string, text: string, time?: string}} Line */

/**
 * One paragraph for each message: when, who, and the words.
 *
 * @param {string} title
 * @param {readonly Line[]} lines in order; without a name for what happened
 * @param {(time: string) => string} moment
 */
export function transcript(title, lines, moment) {
  const paragraphs = lines.map(({ name, text, time }) => {
    const head = [time && `[${moment(time)}]`, name && `${name}:`].filter(Boolean).join(" ");
    return head ? `${head}\n${text}` : text;
  });
  return `${[title, ...paragraphs].join("\n\n")}\n`;
}
