// The playground: this run's networks read what the visitor draws and seasons with noise.
// Its elements are in playground.html.j2; pack.py packs the networks and samples.

const data = JSON.parse(document.getElementById("playground-data").textContent);
const SIDE = data.side; // pixels of an image
const CELL = 16; // pixels of the sheet for each of the image
const FINE = 8; // pixels, along each side, that the ink of a pixel of the image is the mean of
const LONG = (SIDE * 20) / 28; // pixels of the long side of a digit, as in MNIST
const PEN = (SIDE * 2.6) / 28; // pixels of a stroke's width, as in MNIST
const PATIENCE = 20; // milliseconds of computing, after which the browser may paint
const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

const section = document.querySelector(".playground");
const find = (selector) => section.querySelector(selector);
const column = (index) => index % SIDE;
const row = (index) => Math.floor(index / SIDE);
const inkAt = (image, x, y) => (x >= 0 && x < SIDE && image[y * SIDE + x]) || 0; // none outside
const samples = data.samples.map(({ pixels }) => toShares(decode(pixels)));

// ---- Networks ----

// Returns whether the network is there and computes what it does in Keras; if not, says why.
function isFit(name, network) {
  const fault = network && findFault(network, samples[network.sample]);
  if (fault) find(".left_out").append(`The playground leaves out ${name}: ${fault}.\n`);
  return network && !fault;
}

// In the order of the page.
const networks = findAll(find("figure"), "tbody")
  .map(({ dataset: { name } }) => [name, data.networks[name]])
  .filter((entry) => isFit(...entry));
const names = networks.map(([name]) => name);
for (const body of findAll(section, "tbody")) if (!names.includes(body.dataset.name)) body.remove();

// The images that are made from the noisy one.
const ways = { filtered: filter };
if (isFit("the autoencoder", data.denoiser)) ways.denoised = (image) => run(data.denoiser, image);
for (const figure of findAll(section, "[data-image=denoised]")) if (!ways.denoised) figure.remove();

// The median of each pixel and its eight neighbours.
function filter(image) {
  const near = [-1, 0, 1].flatMap((down) => [-1, 0, 1].map((right) => [right, down]));
  return image.map((_, index) => Float32Array.from(near, ([right, down]) =>
    inkAt(image, column(index) + right, row(index) + down)).sort()[4]);
}

// ---- From strokes to an image as in MNIST; places are in pixels of the image ----

function takePen(canvas, pixels) {
  canvas.width = canvas.height = SIDE * pixels;
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  pen.scale(pixels, pixels);
  pen.lineCap = pen.lineJoin = "round";
  pen.lineWidth = PEN;
  pen.imageSmoothingEnabled = false;
  return pen;
}

function ink(pen, stroke) {
  pen.beginPath();
  pen.moveTo(...stroke[0]);
  for (const [x, y] of stroke) pen.lineTo(x + 0.01, y); // so that a single place is a dot
  pen.stroke();
}

const checkbox = find("[type=checkbox]");
const pen = takePen(find(".sheet canvas"), CELL);
const finePen = takePen(document.createElement("canvas"), FINE);
let strokes = [];
let sample = null; // the test image that lies there instead

function readDrawing() {
  if (sample) return sample;
  const isFitted = strokes.length > 0 && checkbox.checked;
  finePen.clearRect(0, 0, SIDE, SIDE);
  for (const stroke of isFitted ? fit(strokes) : strokes) ink(finePen, stroke);
  const { data: bytes } = finePen.getImageData(0, 0, SIDE * FINE, SIDE * FINE);
  const sums = new Float32Array(SIDE * SIDE);
  for (let at = 0; at < bytes.length / 4; at += 1) {
    const [x, y] = [at % (SIDE * FINE), Math.floor(at / (SIDE * FINE))];
    sums[Math.floor(y / FINE) * SIDE + Math.floor(x / FINE)] += bytes[4 * at + 3];
  }
  const image = sums.map((sum) => Math.round(sum / FINE ** 2) / 255);
  return isFitted ? centre(image) : image;
}

// Scale the strokes, but not their width, to the size of MNIST's digits, from the corner on.
function fit(drawn) {
  const [first, last] = [Math.min, Math.max].map((most) =>
    [0, 1].map((axis) => most(...drawn.map((stroke) => most(...stroke.map((at) => at[axis]))))));
  const length = Math.max(last[0] - first[0], last[1] - first[1]);
  const scale = (LONG - PEN) / Math.max(length, PEN); // a dot stays one
  const move = (at) => at.map((place, axis) => (place - first[axis]) * scale + PEN / 2);
  return drawn.map((stroke) => stroke.map(move));
}

// Move `image` by whole pixels, so that its centre of mass comes nearest to the middle.
function centre(image) {
  const sum = (weight) => image.reduce((part, value, index) => part + value * weight(index), 0);
  const [right, down] = [column, row].map((at) =>
    Math.round((SIDE - 1) / 2 - sum(at) / sum(() => 1)));
  return image.map((_, index) => inkAt(image, column(index) - right, row(index) - down));
}

// ---- What the page shows ----

const slider = find("[type=range]");
const phrases = { noisy: "with noise", filtered: "after the filter", denoised: "after denoising" };
let [noise, images] = [];
let [isWanted, isBusy, since] = [false, false, 0]; // computing began, or went on, at `since`
let [pause, where] = [0, ""]; // a screen reader says first where the cursor is

// For each pixel the level above which it changes, and to what: a higher level only adds.
function drawNoise() {
  noise = Array.from(Array(SIDE * SIDE), () => [Math.random(), Math.round(Math.random())]);
  refresh();
}

// Show everything anew; what changes meanwhile is shown after that.
async function refresh() {
  isWanted = true;
  if (isBusy) return;
  isBusy = true;
  since = performance.now();
  while (isWanted) {
    isWanted = false;
    await update();
  }
  isBusy = false;
}

// Where computing takes long, let the browser paint what has been drawn meanwhile.
async function letPaint() {
  if (performance.now() - since < PATIENCE) return;
  await new Promise((resolve) => { requestAnimationFrame(() => setTimeout(resolve)); });
  since = performance.now();
}

async function update() {
  await letPaint();
  const level = Number(slider.value);
  const drawn = readDrawing();
  const noisy = drawn.map((value, index) => (noise[index][0] < level ? noise[index][1] : value));
  const made = { drawn, noisy };
  for (const [name, way] of Object.entries(ways)) made[name] = way(noisy);
  const isEmpty = drawn.every((value) => value === 0);
  const answers = {}; // shares, by network and image
  for (const [name, network] of networks) {
    answers[name] = {};
    for (const [kind, image] of Object.entries(made)) {
      await letPaint();
      answers[name][kind] = isEmpty ? data.classes.map(() => 0) : run(network, image);
    }
  }
  images = made;
  for (const figure of findAll(section, "[data-image]")) {
    const kind = figure.dataset.image;
    show(figure.querySelector("canvas"), images[kind]);
    for (const body of findAll(figure, "tbody")) {
      const { drawn: clean, [kind]: shares } = answers[body.dataset.name];
      showReading(body, shares, indexOfMost(shares) !== indexOfMost(clean));
    }
  }
  const words = isEmpty ? ["Nothing is drawn."] : names.map((name) => judge(name, answers[name]));
  find(".verdict").textContent = words.join("\n");
  say(words.join(" "));
  if (find("details").open) inside.forEach((look) => look(images.noisy));
}

function showReading(body, shares, isChanged) {
  const read = shares.indexOf(Math.max(...shares, 0.001));
  const words = Array.from(shares, (share) => `${(100 * share).toFixed(1)} %`);
  body.querySelector("b").textContent = data.classes[read] ?? "–";
  body.querySelector("small").textContent = words[read] ?? "";
  body.classList.toggle("changed", isChanged);
  findAll(body, "td").forEach((cell, index) => {
    cell.style.setProperty("--share", shares[index]);
    cell.classList.toggle("read", index === read);
    cell.firstChild.textContent = words[index];
  });
}

const list = (words) => words.join(", ").replace(/, ([^,]*)$/, " and $1");

// Say in which images a network reads what it reads in the clean one, and what in the others.
function judge(name, { drawn, ...others }) {
  const clean = indexOfMost(drawn);
  const [same, changed] = [[], []];
  for (const [kind, shares] of Object.entries(others)) {
    const read = indexOfMost(shares);
    if (read === clean) same.push(phrases[kind]);
    else changed.push(`${data.classes[read]} ${phrases[kind]}`);
  }
  const also = same.length > 0 ? `, also ${list(same)}` : "";
  const but = changed.length > 0 ? `, but ${list(changed)}` : "";
  return `${name} reads ${data.classes[clean]}${also}${but}.`;
}

// Only what stays is said, so that a screen reader can follow.
function say(text) {
  clearTimeout(pause);
  pause = setTimeout(() => {
    find("[role=status]").textContent = `${where}${text}`;
    where = "";
  }, 700);
}

// ---- Inside the networks ----

// A title, a network's steps, and which of them is worth a look.
const views = networks.map(([name, { steps }]) => {
  const isConvolution = ({ does, size: window }) => does === "weigh" && Math.max(...window) > 1;
  return [`${name}: the maps of its first convolution`, steps, steps.findIndex(isConvolution)];
});
if (ways.denoised) {
  const { steps } = data.denoiser;
  const sizes = steps.map(({ output }) => size(output));
  const least = Math.min(...sizes, SIDE ** 2 - 1); // a code is smaller than the image
  views.push(["The autoencoder’s code", steps, sizes.indexOf(least)]);
}

const inside = views.filter(([, , index]) => index >= 0).map(([title, steps, index]) => {
  let end = index + 1;
  while (steps[end] && !steps[end].size) end += 1; // its activation
  const [height, width, channels] = steps[index].output;
  const gap = height * width > 1 ? 1 : 0;
  const across = Math.ceil(Math.sqrt(2 * channels));
  const [canvas, figure] = ["canvas", "figure"].map((kind) => document.createElement(kind));
  canvas.width = across * (width + gap);
  canvas.height = Math.ceil(channels / across) * (height + gap);
  figure.append(canvas, `${title}, ${channels} ${gap ? `of ${height} × ${width}` : "numbers"}`);
  find("details .images").append(figure);
  return (image) => {
    const values = run({ steps: steps.slice(0, end) }, image).map(Math.abs);
    const most = values.reduce((one, other) => Math.max(one, other), 1e-9);
    const tiles = new Float32Array(canvas.width * canvas.height);
    values.forEach((value, at) => {
      const [channel, place] = [at % channels, Math.floor(at / channels)];
      const x = (channel % across) * (width + gap) + (place % width);
      const y = Math.floor(channel / across) * (height + gap) + Math.floor(place / width);
      tiles[y * canvas.width + x] = value / most;
    });
    show(canvas, tiles);
  };
});
find("details").hidden = inside.length === 0;

// ---- What the visitor does ----

const sheet = find(".sheet canvas");
let isDown = false; // whether the pen is
let cursor = [SIDE / 2, SIDE / 2].map(Math.floor); // column and row

// Begin anew, with an empty sheet or a test image on it, and other noise.
function begin(image = null) {
  pen.clearRect(0, 0, SIDE, SIDE);
  strokes = [];
  sample = image;
  isDown = false;
  drawNoise();
}

function drawTo(place) {
  if (sample) begin();
  if (!isDown) strokes.push([]);
  isDown = true;
  const stroke = strokes[strokes.length - 1];
  stroke.push(place);
  ink(pen, stroke.slice(-2));
}

const lift = () => { isDown = false; };

sheet.onpointerdown = (event) => {
  if (event.button !== 0 || !event.isPrimary) return;
  sheet.setPointerCapture(event.pointerId);
  lift();
  sheet.onpointermove(event);
};
sheet.onpointermove = (event) => {
  if (!sheet.hasPointerCapture(event.pointerId)) return;
  const { left, top, width } = sheet.getBoundingClientRect();
  const events = event.getCoalescedEvents?.() ?? []; // what happened since the last event
  for (const { clientX, clientY } of [...events, event]) {
    drawTo([clientX - left, clientY - top].map((length) => (length * SIDE) / width));
  }
  refresh();
};
sheet.onpointerup = sheet.onpointercancel = sheet.onblur = lift;

function showCursor() {
  find(".cursor").style.transform = `translate(${cursor.map((at) => `${100 * at}%`)})`;
}

sheet.onkeydown = (event) => {
  const step = STEPS[event.key];
  if (!step && event.key !== " ") return;
  event.preventDefault();
  if (!step && event.repeat) return;
  if (step) cursor = cursor.map((at, axis) => Math.min(Math.max(at + step[axis], 0), SIDE - 1));
  // Arrows draw while the pen is down; Space puts it down or lifts it.
  if (Boolean(step) === isDown) drawTo(cursor.map((at) => at + 0.5));
  else lift();
  showCursor();
  const [right, down] = cursor.map((at) => at + 1);
  where = `Column ${right}, row ${down}, pen ${isDown ? "down" : "up"}. `;
  refresh();
};

findAll(section, ".samples button").forEach((button, index) => {
  show(button.firstChild, samples[index]);
  button.onclick = () => {
    begin(samples[index]);
    pen.drawImage(button.firstChild, 0, 0, SIDE, SIDE);
  };
});
find(".clear").onclick = () => begin();
find(".again").onclick = drawNoise;
checkbox.onchange = () => {
  // What is scaled has another width in the image than on the sheet: there a thin one shows most.
  pen.lineWidth = checkbox.checked ? PEN / 2 : PEN;
  if (!sample) pen.clearRect(0, 0, SIDE, SIDE);
  for (const stroke of strokes) ink(pen, stroke);
  refresh();
};
find("details").ontoggle = refresh;

// The page has another slider of the noise level; both follow this event.
slider.oninput = () => {
  const detail = Number(slider.value);
  document.dispatchEvent(new CustomEvent("noiselevel", { detail }));
};
document.addEventListener("noiselevel", ({ detail: level }) => {
  slider.value = level;
  find(".level").textContent = level.toFixed(2);
  refresh();
});

section.hidden = false;
document.querySelector(".needs").hidden = true;
checkbox.onchange();
showCursor();
findAll(section, ".samples button")[1 % samples.length].click();

window.playground = {
  // For the reading test: the class that a network reads, undefined where it is left out.
  read(name, image, denoises) {
    if (!names.includes(name) || (denoises && !ways.denoised)) return undefined;
    return indexOfMost(run(data.networks[name], denoises ? ways.denoised(image) : image));
  },
  // For tests: what is shown, whether more is to come, and what a network answers to an image.
  images: () => images,
  isBusy: () => isBusy,
  run: (name, image) => run(data.networks[name] ?? data.denoiser, image),
};
