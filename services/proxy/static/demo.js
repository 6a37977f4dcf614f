// The line to copy names the address at which this page was reached.
document.getElementById("origin").textContent = location.origin;
