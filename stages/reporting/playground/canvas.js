// What playground.js and reading.js share.
const decode = (text) => Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
const toShares = (bytes) => Float32Array.from(bytes, (value) => value / 255);
const findAll = (place, selector) => [...place.querySelectorAll(selector)];
const indexOfMost = (shares) => shares.indexOf(Math.max(...shares));

// Ink is black; the style inverts it where the page is dark.
function show(canvas, image) {
  const pixels = new ImageData(canvas.width, canvas.height);
  image.forEach((value, index) => { pixels.data[4 * index + 3] = Math.round(255 * value); });
  canvas.getContext("2d").putImageData(pixels, 0, 0);
}
