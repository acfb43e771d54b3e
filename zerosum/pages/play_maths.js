// Numbers: random streams, latents, pixels, and files of arrays. Nothing here touches the page.

// mulberry32: a stream of uniform numbers in [0, 1) for each 32-bit seed.
export function uniforms(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

// Numbers of N(0, 1) from that stream, two at a time (Box and Muller).
export function normals(seed, count) {
  const next = uniforms(seed);
  const drawn = new Float32Array(count + (count % 2));
  for (let index = 0; index < drawn.length; index += 2) {
    const radius = Math.sqrt(-2 * Math.log(1 - next()));
    const angle = 2 * Math.PI * next();
    drawn[index] = radius * Math.cos(angle);
    drawn[index + 1] = radius * Math.sin(angle);
  }
  return drawn.subarray(0, count);
}

// The point at `share` of the way from a to b on the great circle through both; the length goes
// evenly from one's to the other's. On a straight line z would become too short.
export function onGreatCircle(a, b, share) {
  const length = (z) => Math.hypot(...z) || 1;
  const [lengthA, lengthB] = [length(a), length(b)];
  let cosine = 0;
  for (let index = 0; index < a.length; index++) cosine += a[index] * b[index];
  const angle = Math.acos(Math.min(1, Math.max(-1, cosine / lengthA / lengthB)));
  const sine = Math.sin(angle);
  const [ofA, ofB] =
    sine < 1e-4 ? [1 - share, share]
    : [Math.sin((1 - share) * angle) / sine, Math.sin(share * angle) / sine];
  const scale = (1 - share) * lengthA + share * lengthB;
  return a.map((value, index) => scale * ((ofA * value) / lengthA + (ofB * b[index]) / lengthB));
}

// z turned by an angle towards another draw: both ends are of N(0, I), and so is all between.
export function turned(z, towards, angle) {
  return z.map((value, index) => Math.cos(angle) * value + Math.sin(angle) * towards[index]);
}

export function bytesOf(base64) {
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let index = 0; index < text.length; index++) bytes[index] = text.charCodeAt(index);
  return bytes;
}

export function floatsOf(base64) {
  return new Float32Array(bytesOf(base64).buffer);
}

// Floats in [-1, 1] -> what zerosum makes of them: rounded to even, as torch rounds.
export function toByte(value) {
  const scaled = Math.min(255, Math.max(0, Math.fround(Math.fround(value * 127.5) + 127.5)));
  const floor = Math.floor(scaled);
  const rest = scaled - floor;
  return rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? floor + 1 : floor;
}

// One image (c, h, w) out of a batch of floats -> RGBA bytes for a canvas.
export function toPixels(data, index, [channels, height, width]) {
  const size = height * width;
  const start = index * channels * size;
  const pixels = new Uint8ClampedArray(4 * size);
  // Two channels are shown as red and green, and the first as blue too; of many the first three.
  const shown = { 1: [0, 0, 0], 2: [0, 1, 0] }[channels] ?? [0, 1, 2];
  for (let pixel = 0; pixel < size; pixel++) {
    for (let color = 0; color < 3; color++) {
      pixels[4 * pixel + color] = toByte(data[start + shown[color] * size + pixel]);
    }
    pixels[4 * pixel + 3] = channels === 4 ? toByte(data[start + 3 * size + pixel]) : 255;
  }
  return pixels;
}

// RGBA bytes -> floats (c, h, w) in [-1, 1]; gray by the weights that Pillow has.
export function fromPixels(pixels, channels) {
  const size = pixels.length / 4;
  const data = new Float32Array(channels * size);
  for (let pixel = 0; pixel < size; pixel++) {
    const [red, green, blue, alpha] = pixels.subarray(4 * pixel, 4 * pixel + 4);
    const gray = (red * 19595 + green * 38470 + blue * 7471 + 32768) >> 16;
    const values = channels === 1 ? [gray] : [red, green, blue, alpha];
    for (let channel = 0; channel < channels; channel++) {
      data[channel * size + pixel] = values[channel] / 127.5 - 1;
    }
  }
  return data;
}

// Maps (c, h, w) -> maps whose sides are multiples: what is missing is their mirror image, edges
// included, as the nets of zerosum pad by themselves.
export function padded(data, [channels, height, width], [tall, wide]) {
  const mirrored = (position, length) => {
    const around = position % (2 * length);
    return around < length ? around : 2 * length - 1 - around;
  };
  const output = new Float32Array(channels * tall * wide);
  for (let channel = 0; channel < channels; channel++) {
    for (let y = 0; y < tall; y++) {
      const row = (channel * height + mirrored(y, height)) * width;
      for (let x = 0; x < wide; x++) {
        output[(channel * tall + y) * wide + x] = data[row + mirrored(x, width)];
      }
    }
  }
  return output;
}

export function cropped(data, [channels, tall, wide], [height, width]) {
  const output = new Float32Array(channels * height * width);
  for (let channel = 0; channel < channels; channel++) {
    for (let y = 0; y < height; y++) {
      const from = (channel * tall + y) * wide;
      output.set(data.subarray(from, from + width), (channel * height + y) * width);
    }
  }
  return output;
}

// A NumPy file of floats (rows, columns), as `zerosum sample --z` reads it.
export function npy(data, rows, columns) {
  const about = `{'descr': '<f4', 'fortran_order': False, 'shape': (${rows}, ${columns}), }`;
  const padding = 64 - ((10 + about.length + 1) % 64);
  const header = new TextEncoder().encode(about + " ".repeat(padding % 64) + "\n");
  const start = new Uint8Array([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, 0, 0]);
  new DataView(start.buffer).setUint16(8, header.length, true);
  return new Blob([start, header, new Float32Array(data)]);
}
