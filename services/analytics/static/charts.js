// Two kinds of bar chart as inline SVG. Colours come from the style sheet.

const SVG = "http://www.w3.org/2000/svg";

function node(name, attributes, text) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

function picture(width, height, label) {
  return node("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label });
}

// The smallest of 1, 2, 5, 10, 20, 50, ... that is not below `most`: the scale's upper end.
function ceiling(most) {
  const power = 10 ** Math.floor(Math.log10(Math.max(most, 1)));
  return [1, 2, 5, 10].map((step) => step * power).find((end) => end >= most);
}

// Standing bars over time: [{label, value, title}].
export function columns(items, label) {
  const [width, height, left, foot, top] = [1100, 220, 34, 22, 10];
  const svg = picture(width, height, label);
  const end = ceiling(Math.max(...items.map(({ value }) => value)));
  const y = (value) => top + (1 - value / end) * (height - foot - top);
  for (const value of end > 1 ? [0, end / 2, end] : [0, end]) {
    svg.append(node("line", { class: "rule", x1: left, x2: width, y1: y(value), y2: y(value) }));
    svg.append(node("text", { x: left - 8, y: y(value) + 4, "text-anchor": "end" }, value));
  }
  const step = (width - left) / items.length;
  items.forEach((item, index) => {
    const x = left + index * step;
    const bar = node("rect", { class: "bar", x: x + step * 0.14, y: y(item.value), width: step * 0.72,
      height: y(0) - y(item.value), rx: 3 });
    bar.append(node("title", {}, item.title));
    svg.append(bar);
    if ((items.length - 1 - index) % 3 === 0) {
      svg.append(node("text", { x: x + step / 2, y: height - 4, "text-anchor": "middle" }, item.label));
    }
  });
  return svg;
}

// Lying bars with their words: [{label, value, shown}].
export function rows(items, label) {
  if (items.length === 0) {
    const none = document.createElement("p");
    none.textContent = "None.";
    return none;
  }
  const [width, high, words, shown] = [520, 30, 150, 70];
  const svg = picture(width, items.length * high, label);
  const most = Math.max(...items.map(({ value }) => value));
  const room = width - words - shown;
  items.forEach((item, index) => {
    const y = index * high;
    const text = item.label.length > 22 ? `${item.label.slice(0, 21)}…` : item.label;
    const name = node("text", { x: 0, y: y + 19 }, text);
    name.append(node("title", {}, item.label));
    svg.append(name);
    svg.append(node("rect", { class: "track", x: words, y: y + 8, width: room, height: 14, rx: 4 }));
    const length = most > 0 ? (item.value / most) * room : 0;
    svg.append(node("rect", { class: "bar", x: words, y: y + 8, width: length, height: 14, rx: 4 }));
    svg.append(node("text", { class: "value", x: width, y: y + 20, "text-anchor": "end" }, item.shown));
  });
  return svg;
}
