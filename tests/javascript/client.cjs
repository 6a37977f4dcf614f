// A Socket.IO client for tests, driven by lines of JSON: it prints what happens, and emits what it reads.
//   node client.cjs MAJOR URL OPTIONS
const { createRequire } = require("node:module");
const path = require("node:path");
const readline = require("node:readline");

const [major, url, options] = process.argv.slice(2);
const home = createRequire(path.join(__dirname, "../../examples/node-socketio/package.json"));
const { io } = home(major === "3" ? "socket.io-client-3" : "socket.io-client");
const say = (event, data) => process.stdout.write(JSON.stringify([event, data]) + "\n");

const socket = io(url, { reconnectionDelay: 50, reconnectionDelayMax: 200, ...JSON.parse(options) });
socket.onAny((event, data) => say(event, data));
socket.on("connect", () => say("connect", null));
socket.on("connect_error", (error) => say("connect_error", error.message));
socket.on("disconnect", (reason) => say("disconnect", reason));

readline.createInterface({ input: process.stdin }).on("line", (line) => {
  const { emit, ack, auth, close } = JSON.parse(line);
  if (auth) socket.auth = auth; // for the next connect
  if (ack) socket.emit(...emit, (answer) => say("ack", answer));
  else if (emit) socket.emit(...emit);
  if (close) {
    socket.disconnect();
    process.exit(0);
  }
});
