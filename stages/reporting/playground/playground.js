// The playground: this run's networks read what the visitor draws and seasons with noise.
// Its elements are in playground.html.j2; the networks and samples come from browser.py.

const data = JSON.parse(document.getElementById("playground-data").textContent);
const SIDE = data.side; // pixels of an image
const CELL = 16; // pixels of the drawing area for each of the image
const AREA = SIDE * CELL;
const LONG = Math.round((SIDE * 20) / 28); // pixels of the long side of a digit, as in MNIST
const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

// How far an answer may be from Keras's; for numbers above 1, as a share of them.
// Weights and answer are rounded to float16, by 1 in 2048 at most.
const TOLERANCE = 0.01;

const section = document.querySelector(".playground");
const find = (selector) => section.querySelector(selector);
const column = (index) => index % SIDE;
const row = (index) => Math.floor(index / SIDE);

// ---- Networks; all numbers lie in flat arrays, in Keras's order: rows, columns, channels ----

// The error function, by formula 7.1.26 of Abramowitz and Stegun: right to 1.5e-7.
function erf(value) {
  const t = 1 / (1 + 0.3275911 * Math.abs(value));
  const factors = [1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592];
  const sum = factors.reduce((part, factor) => (part + factor) * t, 0);
  return Math.sign(value) * (1 - sum * Math.exp(-value * value));
}

const sigmoid = (value) => 1 / (1 + Math.exp(-value));
const size = ([height, width, channels]) => height * width * channels;

// Each kind of step makes new values from values; browser.py translates layers into steps.
const kinds = {
  relu: (values, { slope, top }) =>
    values.map((value) => (value < 0 ? slope * value : Math.min(value, top ?? Infinity))),
  elu: (values, { alpha }) =>
    values.map((value) => (value < 0 ? alpha * Math.expm1(value) : value)),
  gelu: (values) => values.map((value) => (value / 2) * (1 + erf(value * Math.SQRT1_2))),
  silu: (values) => values.map((value) => value * sigmoid(value)),
  tanh: (values) => values.map(Math.tanh),
  sigmoid: (values) => values.map(sigmoid),
  softmax(values, { input }) {
    const output = new Float32Array(values.length);
    for (let start = 0; start < values.length; start += input[2]) {
      const part = values.subarray(start, start + input[2]);
      const most = Math.max(...part);
      const powers = part.map((value) => Math.exp(value - most));
      const sum = powers.reduce((total, power) => total + power);
      output.set(powers.map((power) => power / sum), start);
    }
    return output;
  },
  scale(values, { weights: [factors, summands] }) {
    return values.map((value, index) => {
      const channel = index % factors.length;
      return value * factors[channel] + summands[channel];
    });
  },
  convolve(values, step) {
    const output = startWith(step);
    slide(step, step.input, step.output, (from, to, cell) => {
      weigh(step, cell, values, from, output, to);
    });
    return output;
  },
  // The window of these two slides over the output.
  spread(values, step) {
    const output = startWith(step);
    slide(step, step.output, step.input, (to, from, cell) => {
      weigh(step, cell, values, from, output, to);
    });
    return output;
  },
  copy(values, step) {
    const output = new Float32Array(size(step.output));
    const channels = step.input[2];
    slide(step, step.output, step.input, (to, from) => {
      output.set(values.subarray(from * channels, (from + 1) * channels), to * channels);
    });
    return output;
  },
  largest(values, step) {
    const output = new Float32Array(size(step.output)).fill(-Infinity);
    const channels = step.input[2];
    slide(step, step.input, step.output, (from, to) => {
      for (let channel = 0; channel < channels; channel += 1) {
        const value = values[from * channels + channel];
        if (value > output[to * channels + channel]) output[to * channels + channel] = value;
      }
    });
    return output;
  },
  mean(values, step) {
    const output = new Float32Array(size(step.output));
    const channels = step.input[2];
    const counts = new Uint32Array(output.length / channels); // less than the window at an edge
    slide(step, step.input, step.output, (from, to) => {
      counts[to] += 1;
      for (let channel = 0; channel < channels; channel += 1) {
        output[to * channels + channel] += values[from * channels + channel];
      }
    });
    return output.map((sum, index) => sum / counts[Math.floor(index / channels)]);
  },
};

// Slide the window of `step` over an image of shape `seen`, once for each place of shape `made`.
// `visit` gets the two places and the window's own, as indices of places, without channels.
function slide({ size: [tall, wide], strides, dilation, before }, seen, made, visit) {
  for (let to = 0; to < made[0] * made[1]; to += 1) {
    const top = Math.floor(to / made[1]) * strides[0] - before[0];
    const left = (to % made[1]) * strides[1] - before[1];
    for (let cell = 0; cell < tall * wide; cell += 1) {
      const y = top + Math.floor(cell / wide) * dilation[0];
      const x = left + (cell % wide) * dilation[1];
      if (y >= 0 && y < seen[0] && x >= 0 && x < seen[1]) visit(y * seen[1] + x, to, cell);
    }
  }
}

// An output in which each place has the biases, if there are any.
function startWith({ output, weights: [, biases] }) {
  const values = new Float32Array(size(output));
  for (let at = 0; biases && at < values.length; at += biases.length) values.set(biases, at);
  return values;
}

// Add to the place `to` of the output what a cell of the kernel makes of the values' place `from`.
function weigh(step, cell, values, from, output, to) {
  const kernel = step.weights[0];
  const inputs = step.input[2];
  const units = step.output[2];
  const place = to * units;
  let at = cell * inputs * units;
  for (let index = from * inputs; index < (from + 1) * inputs; index += 1, at += units) {
    const value = values[index];
    if (value === 0) continue; // as many are, after relu
    for (let unit = 0; unit < units; unit += 1) output[place + unit] += value * kernel[at + unit];
  }
}

const run = ({ steps }, image) =>
  steps.reduce((values, step) => kinds[step.does](values, step), Float32Array.from(image));

const halves = (text) => Float32Array.from(new Float16Array(decode(text).buffer));

function unpack(network) {
  const numbers = halves(network.weights);
  let used = 0;
  for (const step of network.steps) {
    step.weights = step.weights.map((length) => numbers.subarray(used, (used += length)));
  }
}

const samples = data.samples.map(({ pixels }) => toShares(decode(pixels)));

// Whether a network computes here what it computed in Keras.
function agrees(network) {
  try {
    unpack(network);
    const answer = run(network, samples[network.sample]);
    const expected = halves(network.answer);
    const isNear = (value, index) =>
      Math.abs(value - expected[index]) < TOLERANCE * Math.max(1, Math.abs(expected[index]));
    return answer.length === expected.length && answer.every(isNear);
  } catch {
    return false;
  }
}

function leaveOut(name) {
  const line = document.createElement("p");
  const reason = "its answer in this browser differs from Keras’s";
  line.textContent = `The playground leaves out ${name}: ${reason}.`;
  find(".left_out").append(line);
}

const networks = {};
for (const [name, network] of Object.entries(data.networks)) {
  if (agrees(network)) networks[name] = network;
  else leaveOut(name);
}
for (const body of findAll(section, "tbody")) if (!(body.dataset.name in networks)) body.remove();

// The images that are made from the noisy one.
const ways = { filtered: filter };
if (data.denoiser && agrees(data.denoiser)) {
  ways.denoised = (image) => run(data.denoiser, image);
} else if (data.denoiser) {
  leaveOut("the autoencoder");
  find("[data-image=denoised]").remove();
}

// The median of each pixel and its eight neighbours; outside the image all is black.
function filter(image) {
  const near = new Float32Array(9);
  return image.map((_, index) => {
    for (let cell = 0; cell < 9; cell += 1) {
      const [x, y] = [column(index) + (cell % 3) - 1, row(index) + Math.floor(cell / 3) - 1];
      near[cell] = x >= 0 && x < SIDE ? image[y * SIDE + x] ?? 0 : 0;
    }
    return near.sort()[4];
  });
}

// ---- From the drawing to an image as in MNIST ----

const sheet = find(".sheet canvas");
const pen = sheet.getContext("2d", { willReadFrequently: true });
pen.lineCap = "round";
pen.lineWidth = (2.4 * AREA) / 28;
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

// Move `image` by whole pixels, so that its centre of mass comes nearest to the middle.
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
  images = { drawn, noisy };
  for (const [name, way] of Object.entries(ways)) images[name] = way(noisy);
  const empty = drawn.every((value) => value === 0);
  const first = {};
  const sentences = findAll(section, "figure").map((figure) => {
    const image = images[figure.dataset.image];
    show(figure.querySelector("canvas"), image);
    const readings = findAll(figure, "tbody").map((body) => {
      const { name } = body.dataset;
      const shares = empty ? data.classes.map(() => 0) : run(networks[name], image);
      const read = showReading(body, shares);
      body.classList.toggle("changed", read !== (first[name] ??= read));
      return `${name} ${data.classes[read]}`;
    });
    return `${figure.dataset.title}: ${readings.join(", ")}.`;
  });
  const words = empty ? "Nothing is drawn." : sentences.join(" ");
  say(words);
  return words;
}

function showReading(body, shares) {
  const read = shares.indexOf(Math.max(...shares, 0.001));
  const words = Array.from(shares, (share) => `${(100 * share).toFixed(1)} %`);
  body.querySelector("b").textContent = data.classes[read] ?? "–";
  body.querySelector("small").textContent = words[read];
  findAll(body, "td").forEach((cell, index) => {
    cell.style.setProperty("--share", shares[index]);
    cell.classList.toggle("read", index === read);
    cell.firstChild.textContent = words[index];
  });
  return read;
}

// Only what stays is said, so that a screen reader can follow.
function say(text) {
  clearTimeout(pause);
  pause = setTimeout(() => { find("[role=status]").textContent = text; }, 700);
}

// ---- What the visitor does ----

let last = null; // where the pen is, while it is down
let sampled = false; // whether a test image lies there, untouched
let cursor = [SIDE / 2, SIDE / 2].map(Math.floor); // column and row

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

function showCursor() {
  find(".cursor").style.translate = cursor.map((at) => `${100 * at}%`).join(" ");
}

sheet.onkeydown = (event) => {
  const step = STEPS[event.key];
  if (!step && event.key !== " ") return;
  event.preventDefault();
  if (step) cursor = cursor.map((at, axis) => Math.min(Math.max(at + step[axis], 0), SIDE - 1));
  // Arrows draw while the pen is down; Space puts it down or lifts it.
  if (Boolean(step) === Boolean(last)) drawTo(cursor.map((at) => (at + 0.5) * CELL));
  else last = null;
  showCursor();
  const [right, down] = cursor.map((at) => at + 1);
  say(`Column ${right}, row ${down}, pen ${last ? "down" : "up"}. ${update()}`);
};

findAll(section, ".samples button").forEach((button, index) => {
  show(button.firstChild, samples[index]);
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
showCursor();
findAll(section, ".samples button").at(1 % samples.length).click();
// For tests: what is shown, and what a network makes of any image.
window.playground = {
  images: () => images,
  run: (name, image) => run(data.networks[name] ?? data.denoiser, image),
};
