// Elements, numbers and charts. Text is only ever set as text: nothing that a packet or a peer
// says is read as markup.

const SVG = "http://www.w3.org/2000/svg";

/** An element with properties and children; `class`, `on…` and attributes by their names. */
export function el(tag, properties = {}, ...children) {
  return fill(document.createElement(tag), properties, children);
}

function svg(tag, properties = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), properties, children);
}

function fill(element, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  for (const child of children.flat(Infinity)) {
    if (child !== null && child !== undefined) element.append(child);
  }
  return element;
}

/**
 * Shows items as elements that stay the same ones as long as their keys do, so that neither a
 * click nor the focus is lost when numbers change. `make` gets the item; the element has it as
 * `item`. With `fixed` one that is there is as it should be.
 */
export function renew(container, items, keyOf, make, fixed = false) {
  const old = new Map([...container.children].map((element) => [element.dataset.key, element]));
  container.replaceChildren(...items.map((item) => {
    const key = String(keyOf(item));
    const there = old.get(key);
    if (there && fixed) return there;
    const made = make(item);
    if (!there) {
      made.dataset.key = key;
      made.item = item;
      return made;
    }
    there.className = made.className;
    there.item = item;
    if (there.innerHTML !== made.innerHTML) there.replaceChildren(...made.childNodes);
    return there;
  }));
}

const COUNT = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

export const count = (number) => COUNT.format(number ?? 0);

/** 1234567 as "1.23 M" with a unit: powers of 1000. */
export function si(number, unit) {
  const steps = ["", "k", "M", "G", "T", "P"];
  let step = 0;
  let value = Math.abs(number ?? 0);
  while (value >= 999.5 && step < steps.length - 1) {
    value /= 1000;
    step += 1;
  }
  const digits = step === 0 || value >= 100 ? 0 : value >= 10 ? 1 : 2;
  return `${value.toFixed(digits)} ${steps[step]}${unit}`;
}

/** Seconds as people say them. */
export function span(seconds) {
  if (seconds === undefined || seconds === null) return "–";
  if (seconds < 0.001) return `${(seconds * 1e6).toFixed(0)} µs`;
  if (seconds < 1) return `${(seconds * 1e3).toFixed(seconds < 0.01 ? 1 : 0)} ms`;
  if (seconds < 90) return `${seconds.toFixed(seconds < 10 ? 1 : 0)} s`;
  if (seconds < 5400) return `${(seconds / 60).toFixed(0)} min`;
  if (seconds < 172800) return `${(seconds / 3600).toFixed(1)} h`;
  return `${(seconds / 86400).toFixed(1)} d`;
}

/** Dollars, as a range where both ends differ. */
export function dollars([low, high] = [0, 0]) {
  const one = (value) => `$${value.toFixed(Math.abs(value) < 1 ? 4 : 2)}`;
  return one(low) === one(high) ? one(low) : `${one(low)}–${one(high)}`;
}

/** Time of day of µs since 1970, in UTC; with the date if it is another day. */
export function clock(micros) {
  const text = new Date(micros / 1000).toISOString();
  const today = new Date().toISOString().slice(0, 10);
  return text.startsWith(today) ? text.slice(11, 19) : `${text.slice(0, 10)} ${text.slice(11, 19)}`;
}

/** A small area chart; `top` is what the full height stands for. */
export function spark(points, top, label) {
  const [width, height] = [240, 46];
  const values = points.length > 1 ? points : [0, ...points, 0].slice(0, 2);
  const most = top || Math.max(...values, 1);
  const x = (place) => ((place * width) / (values.length - 1)).toFixed(1);
  const y = (value) => (height - 2 - (Math.min(value / most, 1) * (height - 6))).toFixed(1);
  const line = values.map((value, place) => `${x(place)},${y(value)}`).join(" ");
  return svg("svg", { class: "spark", viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", role: "img", "aria-label": label },
    svg("polygon", { class: "area", points: `0,${height} ${line} ${width},${height}` }),
    svg("polyline", { class: "line", points: line }));
}

/** Decisions as dots on a line of time: one row for each kind. */
export function timeline(decisions, open) {
  const rows = [["lower", "lowered"], ["raise", "raised"], ["keep", "kept full"], ["refused", "refused"]];
  const [width, left, row] = [1000, 80, 24];
  const height = rows.length * row + 26;
  const times = decisions.map((one) => one.at);
  const end = Math.max(...times);
  const begin = Math.min(...times, end - 10e6);
  const x = (at) => left + 12 + ((at - begin) / (end - begin || 1)) * (width - left - 30);
  const marks = [0, 0.25, 0.5, 0.75, 1].map((share) => begin + share * (end - begin));
  const parts = rows.map(([, name], place) => [
    svg("text", { x: 0, y: place * row + 18 }, name),
    svg("line", { class: "axis", x1: left, x2: width, y1: place * row + 14, y2: place * row + 14 }),
  ]);
  parts.push(marks.map((at, place) =>
    svg("text", { x: x(at), y: height - 4, "text-anchor": place === 4 ? "end" : "middle" }, clock(at).slice(-8))));
  parts.push(decisions.map((one) => {
    const kind = one.outcome === "refused" ? "refused" : one.action;
    const place = Math.max(rows.findIndex(([name]) => name === kind), 0);
    return svg("circle", { class: `dot ${kind}`, cx: x(one.at).toFixed(1), cy: place * row + 14, r: 5, onclick: () => open(one) },
      svg("title", {}, `${clock(one.at)} ${one.interface}: ${one.sentence}`));
  }));
  return svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": "Decisions over time" }, parts.flat());
}

/** A named bar with a value; `most` is its full length. */
export function bar(name, value, most, text, kind = "", open = null) {
  const late = most > 0 && value > most;
  return el(open ? "button" : "div", { class: `bar ${kind}`, onclick: open, title: `${name}: ${text}` },
    el("span", { class: "label" }, name),
    el("progress", { max: most || 1, value: Math.min(value, most || 1), class: late ? "late" : "" }),
    el("span", { class: "value" }, text));
}
