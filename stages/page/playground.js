// The playground: this run's networks read what the visitor draws and seasons with noise.
// Its elements are in playground.html.j2; the networks and samples come from networks.py.

const SIDE = 28; // pixels of an image
const CELL = 16; // pixels of the drawing area for each of the image
const AREA = SIDE * CELL;
const LONG = 20; // pixels of the long side of a digit in MNIST
const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

const section = document.querySelector(".playground");
const find = (selector) => section.querySelector(selector);
const findAll = (place, selector) => [...place.querySelectorAll(selector)];
const column = (index) => index % SIDE;
const row = (index) => Math.floor(index / SIDE);

// ---- Networks; all numbers lie in flat arrays, in Keras's order ----

const activations = {
  linear: (values) => values,
  relu: (values) => values.map((value) => Math.max(value, 0)),
  sigmoid: (values) => values.map((value) => 1 / (1 + Math.exp(-value))),
  softmax(values) {
    const powers = values.map((value) => Math.exp(value - Math.max(...values)));
    return powers.map((power) => power / powers.reduce((sum, other) => sum + other));
  },
};

// Where in the input lies the upper left corner of what an output place sees.
const corner = (place, width, [, inputWidth, channels], step) =>
  step * channels * (Math.floor(place / width) * inputWidth + (place % width));

const layers = {
  Flatten: (input) => input,
  Dropout: (input) => input, // acts in training only
  Dense: (input, layer) => weigh(input, layer, 1, () => [0], input.length),
  Conv2D(input, layer, shape) {
    const [height, width] = layer.shape;
    const lines = (place) => [0, 1, 2].map((line) => corner(place + line * width, width, shape, 1));
    return weigh(input, layer, height * width, lines, 3 * shape[2]);
  },
  MaxPooling2D(input, { shape: [height, width, channels] }, shape) {
    return new Float32Array(height * width * channels).map((_, index) => {
      const first = corner(Math.floor(index / channels), width, shape, 2) + (index % channels);
      const below = first + shape[1] * channels;
      const upper = Math.max(input[first], input[first + channels]);
      return Math.max(upper, input[below], input[below + channels]);
    });
  },
};

// At each of `places`: biases plus kernel times inputs, `count` from each of `starts` on.
function weigh(input, { weights: [kernel, biases] }, places, starts, count) {
  const size = biases.length;
  const output = new Float32Array(places * size);
  for (let place = 0, to = 0; place < places; place += 1, to += size) {
    output.set(biases, to);
    let from = 0;
    for (const start of starts(place)) {
      for (let index = start; index < start + count; index += 1, from += size) {
        const value = input[index];
        if (value === 0) continue; // as many are, after relu
        for (let unit = 0; unit < size; unit += 1) output[to + unit] += value * kernel[from + unit];
      }
    }
  }
  return output;
}

function run(network, image) {
  let [values, shape] = [Float32Array.from(image), [SIDE, SIDE, 1]];
  for (const layer of network.layers) {
    values = activations[layer.activation](layers[layer.kind](values, layer, shape));
    shape = layer.shape;
  }
  return values;
}

const decode = (text) => Uint8Array.from(atob(text), (character) => character.charCodeAt(0));

function unpack(network) {
  const numbers = Float32Array.from(new Float16Array(decode(network.weights).buffer));
  let used = 0;
  for (const layer of network.layers) {
    layer.weights = layer.weights.map((size) => numbers.subarray(used, (used += size)));
  }
}

const data = JSON.parse(document.getElementById("playground-data").textContent);
const networks = { denoiser: data.denoiser, ...data.networks };
Object.values(networks).forEach(unpack);

// ---- From the drawing to an image as in MNIST ----

const sheet = find(".sheet canvas");
const pen = sheet.getContext("2d", { willReadFrequently: true });
pen.lineCap = "round";
pen.lineWidth = 2.4 * CELL;
pen.imageSmoothingEnabled = false;

function readDrawing() {
  const { data: bytes } = pen.getImageData(0, 0, AREA, AREA);
  const ink = (x, y) => bytes[4 * (y * AREA + x) + 3];
  const places = [...Array(AREA).keys()];
  const columns = places.filter((x) => places.some((y) => ink(x, y)));
  if (columns.length === 0 || !find("[type=checkbox]").checked) return average(ink, 0, 0, CELL);
  const rows = places.filter((y) => columns.some((x) => ink(x, y)));
  const long = 1 + Math.max(columns.at(-1) - columns[0], rows.at(-1) - rows[0]);
  return centre(average(ink, columns[0], rows[0], long / LONG));
}

// Each pixel is the mean of step × step of the drawing area's, the first from (left, top) on.
function average(ink, left, top, step) {
  const overlap = (from, place) => Math.min(from + step, place + 1) - Math.max(from, place);
  return new Float32Array(SIDE * SIDE).map((_, index) => {
    const [x, y] = [left + column(index) * step, top + row(index) * step];
    let sum = 0;
    for (let down = Math.floor(y); down < Math.min(y + step, AREA); down += 1) {
      for (let right = Math.floor(x); right < Math.min(x + step, AREA); right += 1) {
        sum += ink(right, down) * overlap(x, right) * overlap(y, down);
      }
    }
    return Math.round(sum / step ** 2) / 255;
  });
}

// Move `image` by whole pixels, so that its centre of mass comes nearest to (14, 14).
function centre(image) {
  const sum = (weight) => image.reduce((part, value, index) => part + value * weight(index), 0);
  const [right, down] = [column, row].map((at) => Math.round(SIDE / 2 - sum(at) / sum(() => 1)));
  return image.map((_, index) => {
    const [x, y] = [column(index) - right, row(index) - down];
    return x >= 0 && x < SIDE ? image[y * SIDE + x] ?? 0 : 0;
  });
}

// ---- What the page shows ----

const slider = find("[type=range]");
let [noise, images, pause] = [];

// For each pixel the level above which it changes, and to what: a higher level only adds.
function drawNoise() {
  noise = Array.from(Array(SIDE * SIDE), () => [Math.random(), Math.round(Math.random())]);
  update();
}

// Show everything anew; return the words for it.
function update() {
  const level = Number(slider.value);
  const drawn = readDrawing();
  const noisy = drawn.map((value, index) => (noise[index][0] < level ? noise[index][1] : value));
  images = { drawn, noisy, denoised: run(networks.denoiser, noisy) };
  const empty = drawn.every((value) => value === 0);
  const first = {};
  const sentences = findAll(section, "figure").map((figure) => {
    const image = images[figure.dataset.image];
    show(figure.querySelector("canvas"), image);
    const readings = findAll(figure, "tbody").map((body) => {
      const { name } = body.dataset;
      const digit = showReading(body, empty ? Array(10).fill(0) : run(networks[name], image));
      body.classList.toggle("changed", digit !== (first[name] ??= digit));
      return `${name} ${digit}`;
    });
    return `${figure.dataset.title}: ${readings.join(", ")}.`;
  });
  const words = empty ? "Nothing is drawn." : sentences.join(" ");
  say(words);
  return words;
}

// Ink is black; the style inverts it where the page is dark.
function show(canvas, image) {
  const pixels = new ImageData(SIDE, SIDE);
  image.forEach((value, index) => { pixels.data[4 * index + 3] = Math.round(255 * value); });
  canvas.getContext("2d").putImageData(pixels, 0, 0);
}

function showReading(body, shares) {
  const digit = shares.indexOf(Math.max(...shares, 0.001));
  const words = Array.from(shares, (share) => `${(100 * share).toFixed(1)} %`);
  body.querySelector("b").textContent = digit < 0 ? "–" : digit;
  body.querySelector("small").textContent = words[digit];
  findAll(body, "td").forEach((cell, index) => {
    cell.style.setProperty("--share", shares[index]);
    cell.classList.toggle("read", index === digit);
    cell.firstChild.textContent = words[index];
  });
  return digit;
}

// Only what stays is said, so that a screen reader can follow.
function say(text) {
  clearTimeout(pause);
  pause = setTimeout(() => { find("[role=status]").textContent = text; }, 700);
}

// ---- What the visitor does ----

let last = null; // where the pen is, while it is down
let sampled = false; // whether a test image lies there, untouched
let cursor = [14, 14]; // column and row

function clear() {
  pen.clearRect(0, 0, AREA, AREA);
  sampled = false;
  drawNoise();
}

function drawTo(place) {
  if (sampled) clear();
  pen.beginPath();
  pen.moveTo(...(last ?? place));
  pen.lineTo(...place);
  pen.stroke();
  last = place;
}

sheet.onpointerdown = (event) => {
  if (event.button !== 0) return;
  sheet.setPointerCapture(event.pointerId);
  last = null;
  sheet.onpointermove(event);
};
sheet.onpointermove = (event) => {
  if (!sheet.hasPointerCapture(event.pointerId)) return;
  const { left, top, width } = sheet.getBoundingClientRect();
  const events = event.getCoalescedEvents?.() ?? []; // what happened since the last event
  for (const { clientX, clientY } of [...events, event]) {
    drawTo([clientX - left, clientY - top].map((length) => (length * AREA) / width));
  }
  update();
};
sheet.onpointerup = sheet.onpointercancel = sheet.onblur = () => { last = null; };

sheet.onkeydown = (event) => {
  const step = STEPS[event.key];
  if (!step && event.key !== " ") return;
  event.preventDefault();
  if (step) cursor = cursor.map((at, axis) => Math.min(Math.max(at + step[axis], 0), SIDE - 1));
  // Arrows draw while the pen is down; Space puts it down or lifts it.
  if (Boolean(step) === Boolean(last)) drawTo(cursor.map((at) => (at + 0.5) * CELL));
  else last = null;
  find(".cursor").style.translate = cursor.map((at) => `${100 * at}%`).join(" ");
  const [right, down] = cursor.map((at) => at + 1);
  say(`Column ${right}, row ${down}, pen ${last ? "down" : "up"}. ${update()}`);
};

const samples = findAll(section, ".samples button");
samples.forEach((button, index) => {
  const bytes = decode(data.samples[index].pixels);
  show(button.firstChild, Array.from(bytes, (value) => value / 255));
  button.onclick = () => {
    clear();
    pen.drawImage(button.firstChild, 0, 0, AREA, AREA);
    sampled = true;
    update();
  };
});
find(".clear").onclick = clear;
find(".again").onclick = drawNoise;
find("[type=checkbox]").onchange = update;

// The page has another slider of the noise level; both follow this event.
slider.oninput = () => {
  const detail = Number(slider.value);
  document.dispatchEvent(new CustomEvent("noiselevel", { detail }));
};
document.addEventListener("noiselevel", ({ detail: level }) => {
  slider.value = level;
  find(".level").textContent = level.toFixed(2);
  update();
});

section.hidden = false;
samples.at(1).click();
// For tests: what is shown, and what a network makes of any image.
window.playground = { images: () => images, run: (name, image) => run(networks[name], image) };
