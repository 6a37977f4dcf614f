// Reads /api/summary every few seconds and draws it.
import { columns, rows } from "./charts.js";

const EVERY = 3000; // milliseconds
const MOST_STATES = 25;

const byId = (id) => document.getElementById(id);
const number = new Intl.NumberFormat("en");
const percent = (share) => (share === null ? "–" : `${Number((share * 100).toFixed(share < 0.1 ? 1 : 0))} %`);

function duration(seconds) {
  if (seconds === null) return "–";
  if (seconds < 1) return `${Number((seconds * 1000).toPrecision(2))} ms`;
  if (seconds < 90) return `${Number(seconds.toPrecision(2))} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return seconds < 129600 ? `${(seconds / 3600).toFixed(1)} h` : `${(seconds / 86400).toFixed(1)} days`;
}

function element(name, text, className = "") {
  const made = document.createElement(name);
  made.textContent = text;
  made.className = className;
  return made;
}

function tile(title, value, note) {
  const made = element("article", "", "tile");
  made.append(element("h2", title), element("p", value, value === "–" ? "none" : ""), element("small", note));
  return made;
}

function assistantNote({ tokens_in, tokens_out, cost, failures }) {
  const failed = Object.values(failures).reduce((sum, count) => sum + count, 0);
  const price = cost ? `, cost ${cost.toFixed(2)}` : "";
  return `answers, ${number.format(tokens_in + tokens_out)} tokens${price}, ${number.format(failed)} failed`;
}

function tiles(summary) {
  const { conversations, handoffs, ratings } = summary;
  const refused = Object.values(summary.refusals).reduce((sum, count) => sum + count, 0);
  return [
    tile("Conversations", number.format(conversations.started), "started, ever"),
    tile("Open now", number.format(conversations.open), `${number.format(conversations.resolved)} resolved`),
    tile("Turns", number.format(summary.turns), "answered by the bot"),
    tile("Handoff rate", percent(handoffs.rate), `${number.format(handoffs.total)} handoffs`),
    tile("Claims", number.format(handoffs.claims), `median wait ${duration(handoffs.waiting_seconds)}`),
    tile("First response", duration(handoffs.first_response_seconds), "of operators, median"),
    tile("Resolution", duration(handoffs.resolution_seconds), "by operators, median"),
    tile("Rating", ratings.mean === null ? "–" : `${ratings.mean.toFixed(1)} / 5`, `${number.format(ratings.count)} ratings`),
    tile("Refused", number.format(refused), "inputs out of turn"),
    tile("Assistant", number.format(summary.assistant.answers), assistantNote(summary.assistant)),
    tile("Failures", number.format(summary.failures), "no answer could be made"),
  ];
}

function hours(summary) {
  return summary.hours.map(({ begins, started }) => {
    const begin = new Date(begins);
    const label = begin.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
    return { label, value: started, title: `${begin.toLocaleString()}: ${started}` };
  });
}

const counts = (of) =>
  Object.entries(of).map(([label, value]) => ({ label, value, shown: number.format(value) }));
const largest = (items) => items.filter(({ value }) => value > 0).sort((a, b) => b.value - a.value);

function drawFlow(summary) {
  const flow = summary.flows[0];
  byId("flow").textContent = flow ? `${flow.flow} ${flow.version.slice(0, 8)}, ${number.format(flow.started)} started` : "";
  const states = flow ? [...flow.states].sort((a, b) => b.stopped - a.stopped).slice(0, MOST_STATES) : [];
  const lines = states.map(({ state, reached, stopped, drop_off }) => {
    const line = document.createElement("tr");
    const cells = [state, number.format(reached), number.format(stopped), percent(drop_off)];
    line.append(...cells.map((text) => element("td", text)));
    return line;
  });
  byId("states").replaceChildren(...lines);
}

function draw(summary) {
  const { bot_answer_seconds: answers, handoffs, conversations } = summary;
  byId("tiles").replaceChildren(...tiles(summary));
  byId("hours").replaceChildren(columns(hours(summary), "Conversations started in each hour"));
  const quantiles = ["p50", "p95", "p99"].map((name) => ({
    label: { p50: "half within", p95: "95 % within", p99: "99 % within" }[name],
    value: answers[name] ?? 0,
    shown: duration(answers[name]),
  }));
  byId("answers").replaceChildren(rows(answers.count ? quantiles : [], "Answer times of the bot"));
  byId("owners").replaceChildren(rows(counts(conversations.open_by_owner), "Open conversations by owner"));
  byId("queues").replaceChildren(rows(largest(counts(handoffs.waiting_by_queue)), "Waiting conversations by queue"));
  const refusals = counts(summary.refusals).map((item) => ({ ...item, label: item.label.replaceAll("_", " ") }));
  byId("refusals").replaceChildren(rows(largest(refusals), "Refused inputs by reason"));
  drawFlow(summary);
}

function say(state, text) {
  byId("status").dataset.state = state;
  byId("status").textContent = text;
  byId("numbers").classList.toggle("old", state !== "live");
}

async function refresh() {
  try {
    const answer = await fetch("/api/summary", { signal: AbortSignal.timeout(10000) });
    const body = await answer.json();
    if (answer.status === 503) {
      const reasons = Object.values(body.reasons).join("; ");
      say("waiting", `Reading the log, at ${number.format(body.position)}${reasons && `: ${reasons}`}`);
    } else if (answer.ok) {
      draw(body);
      byId("numbers").hidden = false;
      if (body.lag === null) say("lost", `The log cannot be reached; numbers up to position ${number.format(body.position)}`);
      else say("live", `Position ${number.format(body.position)}, ${body.lag ? `${number.format(body.lag)} behind` : "up to date"}`);
    } else {
      say("lost", `The service answers ${answer.status}`);
    }
  } catch {
    say("lost", "The service cannot be reached");
  }
  setTimeout(refresh, EVERY);
}

refresh();
