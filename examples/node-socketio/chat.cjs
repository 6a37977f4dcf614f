// A chat in the terminal that comes back by itself and misses nothing.
//   npm ci && node chat.cjs http://127.0.0.1:9998
const { randomUUID } = require("node:crypto");
const readline = require("node:readline");
const { io } = require("socket.io-client");

// With a cursor, even an empty one, each message tells our place in the conversation.
const socket = io(process.argv[2] ?? "http://127.0.0.1:9998", { auth: { cursor: "" } });
const unsent = new Map(); // what is not acknowledged yet, by id

const send = (id, message) =>
  socket.emit("user_message", { id, message }, (answer) => {
    unsent.delete(id); // stored, or refused for good; the `error` event says why
    if (answer.stored) console.log("(stored)");
  });

socket.on("session_id", ({ session_id, reset }) => {
  socket.auth.session_id = session_id; // the secret that lets us back in
  if (reset) console.log("(the conversation from its beginning)");
});
socket.on("bot_message", ({ message, cursor }) => {
  socket.auth.cursor = cursor;
  console.log(message);
});
socket.on("error", ({ message }) => console.error(`! ${message}`));
socket.on("connect_error", (error) => console.error(`! ${error.message}`));
socket.on("disconnect", (reason) => console.log(`(${reason})`));
socket.on("connect", () => {
  for (const [id, message] of unsent) send(id, message); // the same id: it is stored once
});

const input = readline.createInterface({ input: process.stdin });
input.on("line", (message) => {
  const id = randomUUID();
  unsent.set(id, message);
  if (socket.connected) send(id, message);
});
input.on("close", () => socket.disconnect());
