// Where a mail's link leads: nothing happens before the button is pressed.

const WORDS = {
  en: {
    go: ["Go on with the chat?", "This link leads to a chat that we answered by e-mail. If you do not expect it, close this page: whatever you write there is read by whoever began it.", "Go on with the chat"],
    stop: ["No more e-mails?", "You will get no more e-mails of this chat. Our answers stay in the chat.", "No more e-mails"],
    stopped: "Done: you get no more e-mails of this chat.",
    gone: "This link does not hold any more. Please begin a new chat.",
    later: "That did not work. Please try again.",
  },
  de: {
    go: ["Im Chat weitermachen?", "Dieser Link führt zu einem Chat, auf den wir per E-Mail geantwortet haben. Wenn Sie ihn nicht erwarten, schließen Sie diese Seite: Was Sie dort schreiben, liest auch, wer ihn begonnen hat.", "Im Chat weitermachen"],
    stop: ["Keine E-Mails mehr?", "Sie bekommen keine E-Mails mehr zu diesem Chat. Unsere Antworten stehen weiter im Chat.", "Keine E-Mails mehr"],
    stopped: "Erledigt: Sie bekommen keine E-Mails mehr zu diesem Chat.",
    gone: "Dieser Link gilt nicht mehr. Bitte beginnen Sie einen neuen Chat.",
    later: "Das hat nicht geklappt. Bitte versuchen Sie es noch einmal.",
  },
  fr: {
    go: ["Reprendre la discussion ?", "Ce lien mène à une discussion à laquelle nous avons répondu par e-mail. Si vous ne l’attendez pas, fermez cette page : ce que vous y écrivez est lu par la personne qui l’a commencée.", "Reprendre la discussion"],
    stop: ["Plus d’e-mails ?", "Vous ne recevrez plus d’e-mails de cette discussion. Nos réponses y restent.", "Plus d’e-mails"],
    stopped: "C’est fait : vous ne recevrez plus d’e-mails de cette discussion.",
    gone: "Ce lien n’est plus valable. Commencez une nouvelle discussion, s’il vous plaît.",
    later: "Cela n’a pas marché. Réessayez, s’il vous plaît.",
  },
  es: {
    go: ["¿Seguir con el chat?", "Este enlace lleva a un chat que contestamos por correo. Si no lo espera, cierre esta página: lo que escriba allí lo lee quien lo empezó.", "Seguir con el chat"],
    stop: ["¿No más correos?", "No recibirá más correos de este chat. Nuestras respuestas quedan en el chat.", "No más correos"],
    stopped: "Hecho: no recibirá más correos de este chat.",
    gone: "Este enlace ya no vale. Por favor, empiece un chat nuevo.",
    later: "No ha funcionado. Inténtelo de nuevo, por favor.",
  },
};

const language = navigator.languages.map((tag) => tag.split("-")[0]).find((tag) => tag in WORDS) ?? "en";
const words = WORDS[language];
document.documentElement.lang = language;
const [, purpose, token] = /^#(go|stop)=([\w.-]+)$/.exec(location.hash) ?? [];
history.replaceState(null, "", location.pathname); // it shall stand in no history
const [title, told, go, problem] = ["title", "told", "go", "problem"].map((id) => document.getElementById(id));

/** @param {string} text */
function tell(text) {
  told.textContent = text;
  go.hidden = true;
}

async function follow() {
  go.disabled = true;
  problem.textContent = "";
  const answer = await fetch(`/resume/${purpose === "go" ? "open" : "stop"}`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ token }),
  }).catch(() => null);
  if (answer?.status === 410 || answer?.status === 404) return tell(words.gone);
  if (!answer?.ok) {
    problem.textContent = words.later;
    go.disabled = false;
    return undefined;
  }
  if (purpose === "stop") return tell(words.stopped);
  const { page } = await answer.json();
  if (page) return location.replace(page);
  const script = document.createElement("script");
  script.src = "/widget.js";
  script.dataset.fullPage = "";
  return document.head.append(script);
}

if (purpose) {
  [title.textContent, told.textContent, go.textContent] = words[purpose];
  go.hidden = false;
  go.addEventListener("click", follow);
} else {
  title.textContent = words.go[0];
  tell(words.gone);
}
