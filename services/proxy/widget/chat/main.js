// The second step of the chat button, loaded by the first.

import { Chat } from "./chat.js";
import { loadWords } from "./words.js";

/** @type {import("../types").CreateChat} */
export const createChat = async (host) => new Chat(host, await loadWords(host));
