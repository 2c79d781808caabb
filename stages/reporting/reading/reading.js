// The reading test: the visitor and the networks read the same noisy images.
// Its elements are in reading.html.j2; pack.py packs the images and curves.

const data = JSON.parse(document.getElementById("reading-data").textContent);
const ANSWERS = 30; // about as many in a series
const LEVELS = data.readers[0].curve.map(([level]) => level);
const YOU = "You";
const CHANCE = 1 / data.classes.length;
const CHART = { left: 46, top: 10, width: 300, height: 180 };

const section = document.querySelector(".reading");
const find = (selector) => section.querySelector(selector);
const percent = (share) => `${Math.round(100 * share)}\u00a0%`;

const pixels = toShares(decode(data.images));
const images = data.labels.map((label, index) =>
  ({ label, values: pixels.subarray(index * data.side ** 2, (index + 1) * data.side ** 2) }));

// ---- The series: the same images with the same noise for everybody ----

// Shares in [0, 1) by Marsaglia's xorshift.
let state = 0x9e3779b1;
function random() {
  state ^= state << 13;
  state ^= state >>> 17;
  state ^= state << 5;
  return (state >>> 0) / 2 ** 32;
}

const shuffle = (items) => items.map((item) => [random(), item])
  .sort(([one], [other]) => one - other).map(([, item]) => item);

// Deals all `items` in a random order, then all in another one, and so on.
function* deal(items) {
  while (true) yield* shuffle(items);
}

const labels = deal([...new Set(data.labels)]);
const decks = data.classes.map((_, label) => deal(images.filter((image) => image.label === label)));

// How often each level comes in a series: once, and the rest where the networks' rates fall most.
const counts = LEVELS.map(() => 1);
const falls = LEVELS.map((_, index) => data.readers.reduce((sum, { curve }) => {
  const [before, after] = [curve[index - 1] ?? curve[index], curve[index + 1] ?? curve[index]];
  return sum + Math.max(before[1] - after[1], 0);
}, 0.1)); // as if they fell a little everywhere
for (let left = ANSWERS - LEVELS.length; left > 0; left -= 1) {
  counts[indexOfMost(falls.map((fall, index) => fall / counts[index]))] += 1;
}

// Salt and pepper: each pixel becomes 0 or 1 with probability `level`.
const season = (values, level) =>
  values.map((value) => (random() < level ? Math.round(random()) : value));

function makeSeries() {
  const levels = LEVELS.flatMap((level, index) => Array(counts[index]).fill(level));
  return shuffle(levels).map((level) => {
    const { label, values } = decks[labels.next().value].next().value;
    return { level, label, values: season(values, level), answers: {} };
  });
}

// ---- What the answers say ----

// What each reader answers to the image of a trial: the visitor and the networks, by name.
// A network that the playground has left out does not answer.
function answersTo(trial) {
  for (const { name, network, denoises } of data.readers) {
    trial.answers[name] ??= window.playground?.read(network, trial.values, denoises);
  }
  return trial.answers;
}

const countRead = (trials, name) =>
  trials.filter((trial) => answersTo(trial)[name] === trial.label).length;

// At each level that came: the images, and how many of them were read.
const countByLevel = (trials, name) => LEVELS.flatMap((level) => {
  const there = trials.filter((trial) => trial.level === level);
  return there.length > 0 ? [{ level, all: there.length, read: countRead(there, name) }] : [];
});

// The nearest curve that never rises: where it would, neighbours share their mean.
function levelOut(counts) {
  const isBelow = (one, other) => one && one.read / one.all < other.read / other.all;
  const blocks = [];
  for (const { level, all, read } of counts) {
    let block = { levels: [level], all, read };
    while (isBelow(blocks[blocks.length - 1], block)) {
      const { levels, all: before, read: right } = blocks.pop();
      block = { levels: [...levels, ...block.levels], all: before + block.all, read: right + block.read };
    }
    blocks.push(block);
  }
  return blocks.flatMap(({ levels, all, read }) => levels.map((level) => [level, read / all]));
}

// Where a curve first falls below one half, between its levels on a straight line.
function describeHalf(curve) {
  const next = curve.findIndex(([, rate]) => rate < 0.5);
  if (next < 0) return "at every level";
  if (next === 0) return "at no level";
  const [[from, high], [to, low]] = [curve[next - 1], curve[next]];
  return `up to level ${(from + ((high - 0.5) / (high - low)) * (to - from)).toFixed(2)}`;
}

// ---- The test ----

let done = []; // the trials of all series that have been answered
let [trials, current] = [[], 0];

function start() {
  trials = makeSeries();
  current = 0;
  find(".start").hidden = find(".result").hidden = true;
  find(".test").hidden = false;
  showTrial();
  find(".test").focus();
}

function showTrial() {
  show(find("canvas"), trials[current].values);
  find(".count").textContent = `Image ${current + 1} of ${trials.length}`;
  find(".stop").disabled = done.length === 0;
}

// `answer` is the index of a class, or null for "can't tell".
function take(answer) {
  const trial = trials[current];
  trial.answers[YOU] = answer;
  done.push(trial);
  current += 1;
  if (current < trials.length) showTrial();
  else showResult();
  setTimeout(() => answersTo(trial)); // once the next image is there
}

function showResult() {
  const readers = Object.entries(answersTo(done[0])).filter(([, answer]) => answer !== undefined);
  const scores = readers.map(([name]) => `${name} ${countRead(done, name)}`);
  const counted = countByLevel(done, YOU);
  const curve = levelOut(counted);
  find(".test").hidden = true;
  find(".result").hidden = false;
  find(".score").textContent = `Of the same ${done.length} images: ${scores.join(", ")}.`;
  find(".half").textContent = `You read at least half of them ${describeHalf(curve)}.`;
  [curve, ...data.readers.map((reader) => reader.curve)].forEach((points, index) => {
    findAll(section, ".legend span")[index].textContent = `: at least half ${describeHalf(points)}`;
  });
  draw(counted, curve);
  fillTable();
  showMissed(trials.slice(0, current).filter(({ label, answers }) => answers[YOU] !== label));
  find(".result").focus();
}

function add(kind, attributes, text = "") {
  const element = document.createElementNS("http://www.w3.org/2000/svg", kind);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.textContent = text;
  find(".chart").append(element);
}

function draw(counted, curve) {
  find(".chart").replaceChildren();
  const { left, top, width, height } = CHART;
  const range = LEVELS[LEVELS.length - 1] - LEVELS[0] || 1;
  const x = (level) => left + (width * (level - LEVELS[0])) / range;
  const y = (rate) => top + height * (1 - rate);
  for (const rate of [0, 0.25, 0.5, 0.75, 1]) {
    add("path", { d: `M${left} ${y(rate)}h${width}`, class: "grid" });
    add("text", { x: left - 6, y: y(rate) + 4, "text-anchor": "end" }, percent(rate));
  }
  LEVELS.filter((_, index) => index % Math.ceil(LEVELS.length / 6) === 0).forEach((level) => {
    add("text", { x: x(level), y: top + height + 16, "text-anchor": "middle" }, level.toFixed(1));
  });
  add("text", { x: left + width / 2, y: 226, "text-anchor": "middle" }, "noise level");
  const line = (points) => `M${points.map(([level, rate]) => `${x(level)} ${y(rate)}`).join("L")}`;
  add("path", { d: `M${left} ${y(CHANCE)}h${width}`, class: "chance" });
  data.readers.forEach((reader, index) => {
    add("path", { d: line(reader.curve), class: `network${index + 1}` });
  });
  add("path", { d: line(curve), class: "you" });
  for (const { level, all, read } of counted) add("circle", { cx: x(level), cy: y(read / all), r: 4 });
}

// How many of the images each reader read; in brackets, the networks' rates on all test images.
function fillTable() {
  find("tbody").replaceChildren(...LEVELS.map((level) => {
    const there = done.filter((trial) => trial.level === level);
    const row = document.createElement("tr");
    row.innerHTML = `<th scope="row">${level}</th>`;
    for (const number of [there.length, countRead(there, YOU)]) row.insertCell().textContent = number;
    for (const { name, curve } of data.readers) {
      const [, rate] = curve.find(([other]) => other === level);
      row.insertCell().textContent = `${countRead(there, name)} (${percent(rate)})`;
    }
    return row;
  }));
}

// The images of this series that the visitor did not read, and what each reader took them for.
function showMissed(missed) {
  find(".missed").replaceChildren(...missed.map((trial) => {
    const figure = document.createElement("figure");
    const canvas = find(".test canvas").cloneNode();
    show(canvas, trial.values);
    const lines = [`${data.classes[trial.label]} at level ${trial.level}`];
    for (const [name, answer] of Object.entries(answersTo(trial))) {
      if (answer !== undefined) lines.push(`${name}: ${data.classes[answer] ?? "–"}`);
    }
    figure.className = "lines";
    figure.append(canvas, lines.join("\n"));
    return figure;
  }));
  if (missed.length === 0) find(".missed").textContent = "Nothing.";
}

// Keys act only while the focus is in the test.
find(".test").onkeydown = (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  const key = event.key.toLowerCase(); // Caps Lock may be on
  const answer = key === "x" ? null : "0123456789".indexOf(key);
  if (key.length !== 1 || answer === -1 || answer >= data.classes.length) return;
  event.preventDefault();
  take(answer);
};
findAll(find(".answers"), "button").forEach((button, index) => {
  button.onclick = () => take(index);
});
find(".pass").onclick = () => take(null);
find(".stop").onclick = showResult;
find(".start").onclick = find(".again").onclick = start;

section.hidden = false;
window.reading = { trials: () => trials }; // for tests
