// Networks that compute in the browser what they compute in Keras; pack.py packs them.
// All numbers lie in flat arrays, in Keras's order: rows, columns, channels.

// How far an answer may be from Keras's; for numbers above 1, as a share of them.
// Weights and answer are rounded to float16, by 1 in 2048 at most.
const TOLERANCE = 0.01;

const sigmoid = (value) => 1 / (1 + Math.exp(-value));
const size = ([height, width, channels]) => height * width * channels;

// Each kind of step makes new values from values; pack.py translates layers into steps.
const kinds = {
  relu: (values, { slope }) => values.map((value) => (value < 0 ? slope * value : value)),
  elu: (values) => values.map((value) => (value < 0 ? Math.expm1(value) : value)),
  silu: (values) => values.map((value) => value * sigmoid(value)),
  tanh: (values) => values.map(Math.tanh),
  sigmoid: (values) => values.map(sigmoid),
  softmax: (values, { output: [, , classes] }) => values.map((value, index) => {
    const start = index - (index % classes);
    const others = values.subarray(start, start + classes);
    return 1 / others.reduce((sum, other) => sum + Math.exp(other - value), 0);
  }),
  scale: (values, { weights: [factors, summands] }) => values.map((value, index) =>
    value * factors[index % factors.length] + summands[index % factors.length]),
  weigh(values, step) {
    const output = startWith(step);
    slide(step, (from, to, cell) => addWeighed(step, cell, values, from, output, to));
    return output;
  },
  copy: (values, step) => pool(values, step, 0, (_, value) => value),
  largest: (values, step) => pool(values, step, -Infinity, Math.max),
  mean(values, step) {
    const add = (sum, value) => sum + value;
    const counts = pool(values.map(() => 1), step, 0, add); // less than the window at an edge
    return pool(values, step, 0, add).map((sum, index) => sum / counts[index]);
  },
};

// Slide the window of `step` over the input, once for each place of the output, or the other way
// round. `visit` gets places of both and of the window, as indices of places, without channels.
function slide({ size: [tall, wide], strides, before, input, output, over }, visit) {
  const [seen, made] = over === "output" ? [output, input] : [input, output];
  for (let place = 0; place < made[0] * made[1]; place += 1) {
    const top = Math.floor(place / made[1]) * strides[0] - before[0];
    const left = (place % made[1]) * strides[1] - before[1];
    for (let cell = 0; cell < tall * wide; cell += 1) {
      const y = top + Math.floor(cell / wide);
      const x = left + (cell % wide);
      const under = y * seen[1] + x;
      if (y < 0 || y >= seen[0] || x < 0 || x >= seen[1]) continue;
      if (over === "output") visit(place, under, cell);
      else visit(under, place, cell);
    }
  }
}

// In each channel, combine what the window sees, beginning with `start`.
function pool(values, step, start, combine) {
  const result = new Float32Array(size(step.output)).fill(start);
  const channels = step.input[2];
  slide(step, (from, to) => {
    for (let channel = 0; channel < channels; channel += 1) {
      const at = to * channels + channel;
      result[at] = combine(result[at], values[from * channels + channel]);
    }
  });
  return result;
}

// An output in which each place has the biases, if there are any.
function startWith({ output, weights: [, biases] }) {
  const values = new Float32Array(size(output));
  for (let at = 0; biases && at < values.length; at += biases.length) values.set(biases, at);
  return values;
}

// Add to the place `to` of the output what a cell of the kernel makes of the values' place `from`.
function addWeighed(step, cell, values, from, output, to) {
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

// Half precision by hand, since browsers before 2025 have no Float16Array. Exponent and fraction are
// moved to where a float32 has them; its exponents mean 2 ** 112 less.
function halves(text) {
  const words = Uint32Array.from(new Uint16Array(decode(text).buffer), (bits) =>
    ((bits & 0x8000) << 16) | ((bits & 0x7fff) << 13));
  return new Float32Array(words.buffer).map((value) => value * 2 ** 112);
}

// Unpack a network and compare its answer to the image `sample` with Keras's.
// Returns what is wrong, or nothing.
function findFault(network, sample) {
  try {
    for (const step of network.steps) step.weights = step.weights.map(halves);
    const answer = run(network, sample);
    const expected = halves(network.answer);
    const isNear = (value, index) =>
      Math.abs(value - expected[index]) < TOLERANCE * Math.max(1, Math.abs(expected[index]));
    const agrees = answer.length === expected.length && answer.every(isNear);
    return agrees ? "" : "its answer in this browser differs from Keras’s";
  } catch (error) {
    return `it fails in this browser (${error.message})`;
  }
}
