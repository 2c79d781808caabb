// Networks that compute in the browser what they compute in Keras; pack.py packs them.
// All numbers lie in flat arrays, in Keras's order: rows, columns, channels.

// How far an answer may be from Keras's; for numbers above 1, as a share of them.
// Weights and answer are rounded to float16, by 1 in 2048 at most.
const TOLERANCE = 0.01;

// The error function, by formula 7.1.26 of Abramowitz and Stegun: right to 1.5e-7.
function erf(value) {
  const t = 1 / (1 + 0.3275911 * Math.abs(value));
  const factors = [1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592];
  const sum = factors.reduce((part, factor) => (part + factor) * t, 0);
  return Math.sign(value) * (1 - sum * Math.exp(-value * value));
}

const sigmoid = (value) => 1 / (1 + Math.exp(-value));
const size = ([height, width, channels]) => height * width * channels;

// Each kind of step makes new values from values; pack.py translates layers into steps.
const kinds = {
  relu: (values, { slope }) => values.map((value) => (value < 0 ? slope * value : value)),
  elu: (values) => values.map((value) => (value < 0 ? Math.expm1(value) : value)),
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
function slide({ size: [tall, wide], strides, before }, seen, made, visit) {
  for (let to = 0; to < made[0] * made[1]; to += 1) {
    const top = Math.floor(to / made[1]) * strides[0] - before[0];
    const left = (to % made[1]) * strides[1] - before[1];
    for (let cell = 0; cell < tall * wide; cell += 1) {
      const y = top + Math.floor(cell / wide);
      const x = left + (cell % wide);
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

// Half precision by hand, since browsers before 2025 have no Float16Array. Exponent and fraction are
// moved to where a float32 has them; its exponents mean 2 ** 112 less.
function halves(text) {
  const words = Uint32Array.from(new Uint16Array(decode(text).buffer), (bits) =>
    ((bits & 0x8000) << 16) | ((bits & 0x7fff) << 13));
  return new Float32Array(words.buffer).map((value) => value * 2 ** 112);
}

function unpack(network) {
  const numbers = halves(network.weights);
  let used = 0;
  for (const step of network.steps) {
    step.weights = step.weights.map((length) => numbers.subarray(used, (used += length)));
  }
}

// Unpack a network and compare its answer to the image `sample` with Keras's.
// Returns what is wrong, or nothing.
function findFault(network, sample) {
  try {
    unpack(network);
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
