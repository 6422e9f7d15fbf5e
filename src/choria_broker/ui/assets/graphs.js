// Takes over the graphs that the server has drawn: they go on by themselves, and tell the values at a moment.

const HOUR = 3600;
const SECOND_DASH = [5, 3];

const style = getComputedStyle(document.documentElement);
const scheme = matchMedia("(prefers-color-scheme: dark)");
const probe = document.createElement("i");
probe.hidden = true;
document.body.append(probe);

// What light-dark() means at this moment has to be asked of an element.
function colour(name) {
  probe.className = name;
  return getComputedStyle(probe).color;
}

// --- Numbers, written as the server writes them.

function number(value) {
  if (value === 0 || value >= 1000 || Number.isInteger(value)) return Math.round(value).toLocaleString("en").replaceAll(",", "\u202f");
  if (value >= 10) return value.toFixed(1);
  return value < 1 ? String(Number(value.toPrecision(2))) : value.toFixed(2);
}

function bytes(value) {
  for (const unit of ["B", "KiB", "MiB", "GiB"]) {
    if (value < 1024) return unit === "B" ? `${value.toFixed(0)} B` : `${value.toFixed(1)} ${unit}`;
    value /= 1024;
  }
  return `${value.toFixed(1)} TiB`;
}

// Marks of an axis: as short as they can be.
function mark(value, unit) {
  return figure(value, unit).replace(/(\.\d*?)0+(?=\D|$)/, "$1").replace(/\.(?=\D|$)/, "");
}

// Steps between the marks of time, in seconds: none below the time between two points, and none more than twice the one
// before, so that there is always one short enough to have a mark on the narrowest graph.
const TIME_STEPS = [10, 20, 30, 60, 120, 180, 300, 600, 900, 1200, 1800, 3600];

// With seconds where steps are shorter than a minute, so that no two marks are the same.
function clock(time, step) {
  const parts = {hour: "2-digit", minute: "2-digit", hourCycle: "h23"};
  return new Date(time * 1000).toLocaleTimeString([], step < 60 ? {...parts, second: "2-digit"} : parts);
}

// Steps between the marks of bytes: 1, 2, 4 and so on, of which each unit has a whole number.
const BINARY_STEPS = Array.from({length: 44}, (_, power) => 2 ** power);

function figure(value, unit) {
  if (value === null || value === undefined) return "–";
  switch (unit) {
    case "bytes": return bytes(value);
    case "bytes per second": return `${bytes(value)}/s`;
    case "% of a core": return `${number(value)} %`;
    case "ms": return `${number(value)} ms`;
    case "per second": return `${number(value)}/s`;
    case "per minute": return `${number(value)}/min`;
    default: return number(value);
  }
}

// --- The points: asked for once, and then only those that are new, and the few that may have become known since.

const UNSURE = 3;

let known = {step: 0, times: [], series: new Map()};

async function ask(after) {
  const answer = await fetch(`history.json${after ? `?after=${after}` : ""}`, {cache: "no-store", signal: AbortSignal.timeout(10000)});
  if (!answer.ok) throw new Error(answer.statusText);
  return answer.json();
}

function take(told, after) {
  if (told.step !== known.step) known = {step: told.step, times: [], series: new Map()};
  const kept = known.times.filter((time) => time <= after).length;
  known.times.splice(kept, Infinity, ...told.times);
  const old = known.times.findIndex((time) => time > known.times.at(-1) - 360 * known.step);
  known.times.splice(0, Math.max(old, 0));
  for (const {name, values} of told.series) {
    const points = known.series.get(name) ?? [];
    points.splice(kept, Infinity, ...values);
    points.splice(0, points.length - known.times.length);
    known.series.set(name, points);
  }
}

// --- Drawing.

const drawn = new Map();

function dataOf(place) {
  const names = place.dataset.series.split(" ");
  return [known.times, ...names.map((name) => known.series.get(name) ?? [])];
}

function legendOf(place) {
  return [...place.closest("figure").querySelectorAll(".key b")];
}

function tell(place, at) {
  const data = dataOf(place);
  legendOf(place).forEach((each, index) => {
    const points = data[index + 1] ?? [];
    const value = at === undefined || at === null ? points.slice(-UNSURE).findLast((point) => point !== null) : points[at];
    const text = figure(value, place.dataset.unit);
    if (each.textContent !== text) each.textContent = text;
  });
}

function options(place) {
  const names = place.dataset.series.split(" ");
  const axis = {stroke: () => colour("axis"), grid: {stroke: () => colour("grid"), width: 1}, ticks: {show: false}, font: `11px ${style.fontFamily}`};
  return {
    width: place.clientWidth,
    height: place.clientHeight,
    padding: [8, 26, 0, 0],
    legend: {show: false},
    cursor: {sync: {key: "hour"}, y: false, drag: {x: true, y: false}, points: {size: 5}},
    scales: {y: {range: (_, low, high) => [0, high > 0 ? high * 1.08 : 1]}},
    axes: [
      {...axis, size: 26, gap: 9, space: 54, incrs: TIME_STEPS, values: (_, ticks, __, ___, step) => ticks.map((time) => clock(time, step))},
      {...axis, size: 62, space: 36, incrs: place.dataset.unit.startsWith("bytes") ? BINARY_STEPS : undefined, values: (_, ticks) => ticks.map((value) => mark(value, place.dataset.unit))},
    ],
    series: [{}, ...names.map((_, index) => ({
      stroke: () => colour(`stroke-${index + 1}`), width: 1.5, dash: index ? SECOND_DASH : undefined, points: {show: false},
    }))],
    hooks: {setCursor: [(graph) => tell(place, graph.cursor.idx)]},
  };
}

function draw(place) {
  place.replaceChildren();
  const graph = new uPlot(options(place), dataOf(place), place);
  new ResizeObserver(() => graph.setSize({width: place.clientWidth, height: place.clientHeight})).observe(place);
  drawn.set(place, graph);
  shown.set(graph, [known.times[0], known.times.at(-1)]);
}

// A reader who looks closer goes on doing so.
const shown = new WeakMap();

function renew(graph, data) {
  const [first, last] = shown.get(graph) ?? [Infinity, -Infinity];
  const {min, max} = graph.scales.x;
  const whole = min <= first && max >= last;
  graph.setData(data, whole);
  if (!whole) graph.redraw();
  shown.set(graph, [data[0][0], data[0].at(-1)]);
}

function refresh() {
  for (const place of document.querySelectorAll("[data-series]")) {
    const graph = drawn.get(place);
    if (!graph) draw(place);
    else renew(graph, dataOf(place));
    tell(place, drawn.get(place).cursor.idx);
  }
}

let asking = false;

async function look() {
  const latest = known.times.at(-1) ?? 0;
  const after = known.times.at(-UNSURE - 1) ?? 0;
  if (!window.uPlot || asking || Date.now() / 1000 - latest < known.step) return;
  asking = true;
  try {
    take(await ask(after), after);
    if (known.times.length) refresh();
  } catch {
    // What the server has drawn stays; the page itself says when the broker does not answer.
  } finally {
    asking = false;
  }
}

scheme.addEventListener("change", () => drawn.forEach((graph) => graph.redraw()));
document.addEventListener("choria:looked", look);
look();
