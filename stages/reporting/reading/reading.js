// The reading test: the visitor reads noisy test images, and sees a curve beside the networks'.
// Its elements are in reading.html.j2; images and curves come from browser.py.

const data = JSON.parse(document.getElementById("reading-data").textContent);
const ANSWERS = 30; // about as many, the same number at each level
const LEVELS = Object.values(data.curves)[0].map(([level]) => level);
const CHANCE = 1 / data.classes.length;
const CHART = { left: 46, top: 10, width: 300, height: 180 };

const section = document.querySelector(".reading");
const find = (selector) => section.querySelector(selector);
const percent = (share) => `${Math.round(100 * share)}\u00a0%`;

const bytes = decode(data.images);
const pixels = data.side ** 2;
const images = data.labels.map((label, index) => ({
  label,
  values: toShares(bytes.subarray(index * pixels, (index + 1) * pixels)),
}));

// ---- The series: the same images with the same noise for everybody ----

// Shares in [0, 1) by Marsaglia's xorshift; the seed is a positive integer.
function generator(seed) {
  let state = Math.imul(seed, 0x9e3779b1); // so that small seeds differ in all bits
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}

function shuffle(items, random) {
  const shuffled = [...items];
  for (let last = shuffled.length - 1; last > 0; last -= 1) {
    const other = Math.floor(random() * (last + 1));
    [shuffled[last], shuffled[other]] = [shuffled[other], shuffled[last]];
  }
  return shuffled;
}

// Salt and pepper: each pixel becomes 0 or 1 with probability `level`.
const season = (values, level, random) =>
  values.map((value) => (random() < level ? Math.round(random()) : value));

function makeSeries(number) {
  const random = generator(number);
  const rounds = Math.max(1, Math.round(ANSWERS / LEVELS.length));
  const levels = shuffle(Array(rounds).fill(LEVELS).flat(), random);
  const order = shuffle(images, random);
  return levels.map((level, index) => {
    const { label, values } = order[index % order.length];
    return { level, label, values: season(values, level, random) };
  });
}

// ---- What the answers say ----

// The nearest curve that never rises: where it would, neighbours are averaged until it does not.
function levelOut(points) {
  const blocks = [];
  for (const [level, rate] of points) {
    let block = { levels: [level], sum: rate };
    const mean = ({ levels, sum }) => sum / levels.length;
    while (blocks.length > 0 && mean(blocks.at(-1)) < mean(block)) {
      const { levels, sum } = blocks.pop();
      block = { levels: [...levels, ...block.levels], sum: sum + block.sum };
    }
    blocks.push(block);
  }
  return blocks.flatMap(({ levels, sum }) => levels.map((level) => [level, sum / levels.length]));
}

// Where a curve first falls below one half, between its levels on a straight line.
function describeHalf(curve) {
  const next = curve.findIndex(([, rate]) => rate < 0.5);
  if (next < 0) return "at every level";
  if (next === 0) return "at no level";
  const [[from, high], [to, low]] = [curve[next - 1], curve[next]];
  return `up to level ${(from + ((high - 0.5) / (high - low)) * (to - from)).toFixed(2)}`;
}

function evaluate() {
  const rates = LEVELS.map((level) => {
    const there = trials.filter((trial) => trial.level === level);
    return [level, there.filter(({ right }) => right).length / there.length];
  });
  return { right: trials.filter(({ right }) => right).length, rates, curve: levelOut(rates) };
}

// ---- The test ----

let [series, trials, current] = [0];

function start() {
  series += 1;
  trials = makeSeries(series);
  current = 0;
  find(".start").hidden = find(".result").hidden = true;
  find(".test").hidden = false;
  showTrial();
  find(".test").focus();
}

function showTrial() {
  show(find("canvas"), trials[current].values);
  find(".count").textContent = `Image ${current + 1} of ${trials.length}`;
}

// `answer` is the index of a class, or null for "can't tell".
function take(answer) {
  trials[current].right = answer === trials[current].label;
  current += 1;
  if (current < trials.length) showTrial();
  else showResult();
}

function showResult() {
  const { right, rates, curve } = evaluate();
  find(".test").hidden = true;
  find(".result").hidden = false;
  find(".score").textContent = `Series ${series}: you read ${right} of ${trials.length}.`;
  find(".half").textContent = `You read at least half of them ${describeHalf(curve)}.`;
  [curve, ...Object.values(data.curves)].forEach((points, index) => {
    findAll(section, ".legend span")[index].textContent = `: at least half ${describeHalf(points)}`;
  });
  draw(rates, curve);
  fillTable(rates);
  find(".result").focus();
}

function add(kind, attributes, text = "") {
  const element = document.createElementNS("http://www.w3.org/2000/svg", kind);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.textContent = text;
  find(".chart").append(element);
}

function draw(rates, curve) {
  find(".chart").replaceChildren();
  const { left, top, width, height } = CHART;
  const [lowest, highest] = [LEVELS[0], Math.max(LEVELS.at(-1), LEVELS[0] + 0.01)];
  const x = (level) => left + (width * (level - lowest)) / (highest - lowest);
  const y = (rate) => top + height * (1 - rate);
  for (const rate of [0, 0.25, 0.5, 0.75, 1]) {
    add("path", { d: `M${left} ${y(rate)}h${width}`, class: "grid" });
    add("text", { x: left - 6, y: y(rate) + 4, "text-anchor": "end" }, percent(rate));
  }
  LEVELS.filter((_, index) => index % Math.ceil(LEVELS.length / 6) === 0).forEach((level) => {
    add("text", { x: x(level), y: top + height + 16, "text-anchor": "middle" }, level.toFixed(1));
  });
  const middle = left + width / 2;
  add("text", { x: middle, y: top + height + 34, "text-anchor": "middle" }, "noise level");
  const line = (points) => `M${points.map(([level, rate]) => `${x(level)} ${y(rate)}`).join("L")}`;
  add("path", { d: `M${left} ${y(CHANCE)}h${width}`, class: "chance" });
  Object.values(data.curves).forEach((points, index) => {
    add("path", { d: line(points), class: `network${index + 1}` });
  });
  add("path", { d: line(curve), class: "you" });
  for (const [level, rate] of rates) add("circle", { cx: x(level), cy: y(rate), r: 4 });
}

function fillTable(rates) {
  find("tbody").replaceChildren(...rates.map(([level, own]) => {
    const row = document.createElement("tr");
    row.innerHTML = `<th scope="row">${level}</th>`;
    const networks = Object.values(data.curves).map((points) => new Map(points).get(level));
    for (const share of [own, ...networks]) {
      row.insertCell().textContent = share === undefined ? "–" : percent(share);
    }
    return row;
  }));
}

// Keys act only while the focus is in the test.
find(".test").onkeydown = (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  const answer = event.key === "x" ? null : "0123456789".indexOf(event.key);
  if (event.key.length !== 1 || answer === -1 || answer >= data.classes.length) return;
  event.preventDefault();
  take(answer);
};
findAll(section, ".answers button").forEach((button, index) => {
  button.onclick = () => take(index < data.classes.length ? index : null);
});
find(".start").onclick = find(".again").onclick = start;

section.hidden = false;
window.reading = { trials: () => trials }; // for tests
