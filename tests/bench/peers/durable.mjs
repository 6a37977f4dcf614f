// A durable bot as people write one: two Node processes over the same nats-server, with the official
// client. It runs the same flow file, sends the same frames, and keeps every message in a stream.
//
//   node durable.mjs proxy <nats url> [tuned]                prints its port
//   node durable.mjs workflow <nats url> <flow.json> [tuned] prints "ready"
//
// Ordinary: the loops of the client's documentation; every publish is awaited, every message is
// acknowledged by itself once its answers are stored. Tuned: publishes in flight, 5,000 messages ahead.
import { readFileSync } from "node:fs";
import { createHash, randomBytes } from "node:crypto";
import { WebSocketServer } from "ws";
import { connect } from "@nats-io/transport-node";
import { AckPolicy, DeliverPolicy, jetstream, jetstreamManager } from "@nats-io/jetstream";

const [role, url, ...rest] = process.argv.slice(2);
const tuned = rest.at(-1) === "tuned";
const nc = await connect({ servers: new URL(url).host });
const manager = await jetstreamManager(nc);
const js = jetstream(nc);
const STREAM = "PEER";
await manager.streams.add({ name: STREAM, subjects: ["peer.in.*", "peer.out.*"] });
const AHEAD = tuned ? 5000 : 100;

await (role === "proxy" ? proxy() : workflow(rest[0]));

async function proxy() {
  const sockets = new Map(); // conversation: its open sockets
  const outgoing = await manager.consumers.add(STREAM, {
    filter_subject: "peer.out.*",
    deliver_policy: DeliverPolicy.New,
    ack_policy: AckPolicy.None,
    inactive_threshold: 60e9,
    mem_storage: true,
  });
  const messages = await (await js.consumers.get(STREAM, outgoing.name)).consume({ max_messages: AHEAD });
  (async () => {
    for await (const message of messages) {
      const open = sockets.get(message.subject.slice("peer.out.".length));
      if (!open) continue;
      const text = message.string();
      for (const socket of open) socket.send(text);
    }
  })();

  const server = new WebSocketServer({ host: "127.0.0.1", port: 0, perMessageDeflate: false });
  server.on("headers", (headers, request) => {
    const known = /switchboard=([0-9a-f]{32})/.exec(request.headers.cookie ?? "");
    request.known = known !== null;
    request.secret = known ? known[1] : randomBytes(16).toString("hex");
    if (!known) headers.push(`Set-Cookie: switchboard=${request.secret}; Path=/; SameSite=Lax; HttpOnly`);
  });
  server.on("connection", async (socket, request) => {
    const conversation = createHash("blake2s256").update(request.secret).digest("hex").slice(0, 32);
    const open = sockets.get(conversation) ?? new Set();
    sockets.set(conversation, open.add(socket));
    socket.on("close", () => {
      open.delete(socket);
      if (!open.size) sockets.delete(conversation);
    });
    let last = Promise.resolve(); // one after the other, as the visitor sent them
    const publish = (data) => {
      const stored = () => js.publish(`peer.in.${conversation}`, data);
      last = tuned ? stored() : last.then(stored);
      last.catch(() => socket.close(1011));
    };
    socket.on("message", publish);
    if (request.known) await replay(socket, conversation);
    else publish('{"kind":"Started"}');
  });
  server.on("listening", () => console.log(server.address().port));
}

async function replay(socket, conversation) {
  const consumer = await js.consumers.get(STREAM, {
    filter_subjects: [`peer.in.${conversation}`, `peer.out.${conversation}`],
  });
  const { num_pending: count } = await consumer.info();
  if (!count) return;
  let left = count;
  for await (const message of await consumer.consume()) {
    if (!message.string().includes('"Started"')) socket.send(message.string());
    if (--left === 0) break;
  }
}

async function workflow(file) {
  const states = Object.entries(JSON.parse(readFileSync(file))).filter(([name]) => !name.startsWith("$"));
  const flow = new Map(states);
  const answers = new Map();
  for (const [name, { matchResponse: match }] of states) {
    if (match) answers.set(`${match.groupId ?? match.sessionId}/${match.itemId ?? ""}`, name);
  }
  const places = new Map(); // conversation: the state where it stands

  /** The messages that follow, and the state where they lead. */
  function walk(name) {
    const said = [];
    for (;;) {
      const state = flow.get(name);
      if (state.sendRequest) said.push(JSON.stringify(state.sendRequest));
      if (!state.next) return [said, name];
      name = state.next;
    }
  }

  function decide(conversation, message) {
    const at = places.get(conversation);
    if (message.kind === "Started") return at === undefined ? walk(states[0][0]) : [[], at];
    const asked = at !== undefined && flow.get(at).sendRequest;
    const group = message.groupId ?? message.sessionId;
    const next = answers.get(`${group}/${message.itemId ?? ""}`);
    if (!asked || String(asked.groupId ?? asked.sessionId) !== String(group) || !next) return [[], at];
    return walk(next);
  }

  await manager.consumers.add(STREAM, {
    durable_name: "bot",
    filter_subject: "peer.in.*",
    ack_policy: AckPolicy.Explicit,
    ack_wait: 5e9,
    max_ack_pending: 10_000,
  });
  const messages = await (await js.consumers.get(STREAM, "bot")).consume({ max_messages: AHEAD });
  console.log("ready");
  for await (const message of messages) {
    const conversation = message.subject.slice("peer.in.".length);
    const [said, at] = decide(conversation, message.json());
    places.set(conversation, at);
    // The id makes a repeat after a crash harmless.
    const stored = (text, number) =>
      js.publish(`peer.out.${conversation}`, text, { msgID: `${message.seq}.${number}` });
    if (tuned) {
      Promise.all(said.map(stored)).then(() => message.ack(), () => message.nak());
    } else {
      for (const [number, text] of said.entries()) await stored(text, number);
      message.ack();
    }
  }
}
