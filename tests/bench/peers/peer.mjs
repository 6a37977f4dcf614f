// What people start with: a state machine in one Node process that keeps everything in memory.
// It runs the same flow file and sends the same frames, without a log and without a second process.
//
//   node peer.mjs <flow.json>      prints its port
import { readFileSync } from "node:fs";
import { randomBytes } from "node:crypto";
import { WebSocketServer } from "ws";

const states = Object.entries(JSON.parse(readFileSync(process.argv[2])))
  .filter(([name]) => !name.startsWith("$"));
const flow = new Map(states);
const answers = new Map();
for (const [name, { matchResponse: match }] of states) {
  if (match) answers.set(`${match.groupId ?? match.sessionId}/${match.itemId ?? ""}`, name);
}
const conversations = new Map();

function walk(conversation, socket, name) {
  for (;;) {
    const state = flow.get(name);
    if (state.sendRequest) {
      conversation.history.push(state.sendRequest);
      socket.send(JSON.stringify(state.sendRequest));
    }
    conversation.at = name;
    if (!state.next) return;
    name = state.next;
  }
}

const server = new WebSocketServer({ host: "127.0.0.1", port: 0, perMessageDeflate: false });
server.on("headers", (headers, request) => {
  const known = /switchboard=([0-9a-f]{32})/.exec(request.headers.cookie ?? "");
  request.secret = known ? known[1] : randomBytes(16).toString("hex");
  if (!known) headers.push(`Set-Cookie: switchboard=${request.secret}; Path=/; SameSite=Lax; HttpOnly`);
});
server.on("connection", (socket, request) => {
  let conversation = conversations.get(request.secret);
  if (conversation) {
    for (const frame of conversation.history) socket.send(JSON.stringify(frame));
  } else {
    conversation = { at: "", history: [] };
    conversations.set(request.secret, conversation);
    walk(conversation, socket, states[0][0]);
  }
  socket.on("message", (data) => {
    const message = JSON.parse(data);
    const asked = flow.get(conversation.at).sendRequest;
    const group = message.groupId ?? message.sessionId;
    const next = answers.get(`${group}/${message.itemId ?? ""}`);
    if (!asked || String(asked.groupId ?? asked.sessionId) !== String(group) || !next) return;
    conversation.history.push(message);
    walk(conversation, socket, next);
  });
});
server.on("listening", () => console.log(server.address().port));
