// The line to copy names the address at which this page was reached.
document.getElementById("origin").textContent = location.origin;

// The same line, with the flow and the language that this page's address asks for (?flow=shop&lang=de).
const button = document.createElement("script");
button.src = "/widget.js";
const asked = new URLSearchParams(location.search);
for (const name of ["flow", "lang"]) if (asked.get(name)) button.dataset[name] = asked.get(name);
button.dataset.share = "page referrer browser"; // so that the console shows what it can
document.head.append(button);
