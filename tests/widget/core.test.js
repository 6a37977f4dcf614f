import assert from "node:assert/strict";
import { test } from "node:test";
import { clock, dayName } from "../../services/proxy/widget/chat/core/days.js";
import { Dialogue } from "../../services/proxy/widget/chat/core/dialogue.js";
import { Draft } from "../../services/proxy/widget/chat/core/draft.js";
import { Reading } from "../../services/proxy/widget/chat/core/reading.js";
import { fill, initials, MAX_TEXT, outgoing, same, uuid } from "../../services/proxy/widget/chat/core/text.js";
import { transcript } from "../../services/proxy/widget/chat/core/transcript.js";

const TEXTS = { reopen: "again", write: "write", ask: "ask" };
const MENU = { kind: "ChoiceRequest", groupId: 7, question: "Which?", choices: [{ itemId: 1, content: "One" }] };

/** @param {...import("../../services/proxy/widget/types").Frame} frames */
function heard(...frames) {
  const dialogue = new Dialogue();
  for (const frame of frames) {
    if (frame.kind === "State") dialogue.state(frame);
    else dialogue.hear(frame);
  }
  return dialogue;
}

test("a choice that is asked can be picked until it is answered", () => {
  const dialogue = heard(MENU);
  assert.equal(dialogue.choosing, true);
  assert.equal(dialogue.editor(TEXTS), null);
  dialogue.hear({ kind: "ChoiceResponse", id: "a", groupId: "7", itemId: "1" }); // ids compare as texts
  assert.equal(dialogue.group?.answered, "a");
});

test("an answer to another question leaves this one open", () => {
  const dialogue = heard(MENU, { kind: "ChoiceResponse", id: "a", groupId: 8, itemId: 1 });
  assert.equal(dialogue.group?.answered, null);
});

test("the flow's editor is open from its beginning to its end", () => {
  const dialogue = heard({ kind: "StartChatSession", sessionId: 3, chatPrompt: "Say it" });
  assert.deepEqual(dialogue.editor(TEXTS), { id: 3, prompt: "Say it" });
  dialogue.hear({ kind: "EndChatSession", sessionId: 4 });
  assert.notEqual(dialogue.editor(TEXTS), null);
  dialogue.hear({ kind: "EndChatSession", sessionId: "3" });
  assert.equal(dialogue.editor(TEXTS), null);
});

test("an editor without a prompt has the chat's own", () => {
  assert.equal(heard({ kind: "StartChatSession", sessionId: 3 }).editor(TEXTS)?.prompt, "ask");
});

test("with a person the editor is the person's, and no choice can be picked", () => {
  const dialogue = heard(MENU, { kind: "State", owner: "queue", status: "open", waiting: "person" });
  assert.deepEqual(dialogue.editor(TEXTS), { id: "operator", prompt: "write" });
  assert.equal(dialogue.choosing, false);
});

test("a conversation that a person closed is over, and opens again by a text", () => {
  const dialogue = heard(MENU, { kind: "State", owner: "bot", status: "resolved", waiting: "choice" });
  assert.equal(dialogue.over, true);
  assert.equal(dialogue.choosing, false);
  assert.deepEqual(dialogue.editor(TEXTS), { id: "operator", prompt: "again" });
});

test("a flow at its end is over", () => {
  assert.equal(heard({ kind: "State", owner: "bot", status: "open", waiting: "end" }).over, true);
  assert.equal(heard({ kind: "State", owner: "operator", status: "open", waiting: "end" }).over, false);
});

test("who speaks: the bot, an assistant, nobody yet, a person by name, and the bot again", () => {
  const dialogue = heard({ kind: "BotText", content: "Hi" });
  assert.deepEqual(dialogue.speaker, { kind: "bot" });
  dialogue.hear({ kind: "BotText", content: "It depends", turn: "9" });
  assert.deepEqual(dialogue.speaker, { kind: "assistant" });
  dialogue.state({ kind: "State", owner: "queue", status: "open", waiting: "person" });
  assert.deepEqual(dialogue.speaker, { kind: "queue" });
  dialogue.hear({ kind: "OperatorJoined", name: "Ada" });
  dialogue.state({ kind: "State", owner: "operator", status: "open", waiting: "person" });
  assert.deepEqual(dialogue.speaker, { kind: "operator", name: "Ada" });
  dialogue.hear({ kind: "OperatorLeft" });
  dialogue.state({ kind: "State", owner: "bot", status: "open", waiting: "choice" });
  dialogue.hear(MENU);
  assert.deepEqual(dialogue.speaker, { kind: "bot" });
});

test("a kind that a newer server tells is not known", () => {
  assert.equal(new Dialogue().hear({ kind: "Weather" }), false);
});

test("unread is what was said since somebody looked", () => {
  const reading = new Reading();
  reading.noticed("1", true);
  reading.noticed("2", false); // the visitor's own
  reading.noticed("3", true);
  assert.equal(reading.unread, 2);
  assert.equal(reading.readAll(), true);
  assert.equal(reading.readAll(), false);
  assert.equal(reading.unread, 0);
  reading.noticed("4", true);
  assert.equal(reading.unread, 1);
});

test("what another tab has read is read here, and what it has not yet stays read", () => {
  const reading = new Reading();
  for (const cursor of ["1", "2", "3"]) reading.noticed(cursor, true);
  reading.readElsewhere("2");
  assert.equal(reading.unread, 1);
  reading.readElsewhere("1");
  assert.equal(reading.unread, 1);
  reading.readElsewhere("unknown");
  assert.equal(reading.unread, 1);
});

test("a draft takes what fits, counted in characters, and begins anew at 0", () => {
  const draft = new Draft({ kind: "Draft", turn: "1", attempt: 1 });
  /** @param {number} offset @param {string} text */
  const add = (offset, text, attempt = 1) => draft.add({ kind: "Draft", turn: "1", attempt, offset, text });
  assert.equal(add(0, "👍 "), true);
  assert.equal(add(2, "yes"), true);
  assert.equal(add(4, "twice"), false);
  assert.equal(draft.text, "👍 yes");
  assert.equal(add(0, "No", 2), true);
  assert.equal(add(5, "late", 1), false);
  assert.equal(draft.text, "No");
});

test("what is sent has no control characters and no half pairs, and its length is in bytes", () => {
  assert.deepEqual(outgoing("  a\u0000b\tc\n "), { content: "ab\tc", bytes: 4 });
  assert.equal(outgoing("\ud800x").content, "\ufffdx");
  assert.equal(outgoing("é".repeat(MAX_TEXT / 2)).bytes, MAX_TEXT);
});

test("small things of texts", () => {
  assert.equal(fill("{name} of {all}", { name: "3", all: 5 }), "3 of 5");
  assert.equal(same(1, "1"), true);
  assert.match(uuid(), /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  assert.equal(initials("Ada King Lovelace"), "AL");
  assert.equal(initials("  אבי (3)"), "א");
  assert.equal(initials(""), "");
});

test("days are told by name, and others by their date", () => {
  const today = new Date(2026, 10, 26, 9).getTime();
  const at = (/** @type {number} */ month, /** @type {number} */ day, year = 2026) => new Date(year, month, day).getTime();
  assert.equal(dayName(at(10, 26), "en", today), "today");
  assert.equal(dayName(at(10, 25), "en", today), "yesterday");
  assert.equal(dayName(at(10, 20), "en", today), "Friday, November 20");
  assert.equal(dayName(at(10, 20, 2025), "en", today), "Thursday, November 20, 2025");
  assert.match(clock(today, "en-GB"), /^0?9:00$/);
});

test("a transcript has the words of each in order, and what happened", () => {
  const lines = [
    { from: "bot", name: "Bot", text: "Hi\nthere", time: "t1" },
    { from: "system", name: "", text: "Ada joined" },
    { from: "operator", name: "Ada", text: "Hello", time: "t2" },
  ];
  assert.equal(transcript("Chat", lines, (time) => time.toUpperCase()),
    "Chat\n\n[T1] Bot:\nHi\nthere\n\nAda joined\n\n[T2] Ada:\nHello\n");
});
