// y = x / (1 - rate) where an element stays, else 0. Whether it stays is drawn by its number (SplitMix64), so that a
// mask is the same on every backend and in the backward pass. 64 bits are two words: low, high.
struct Numbers { count: u32, seed_low: u32, seed_high: u32, threshold: u32, factor: f32 }
@group(0) @binding(0) var<storage, read> x: array<V>;
@group(0) @binding(1) var<storage, read> step: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<V>;
@group(0) @binding(3) var<uniform> numbers: Numbers;

const GAMMA: vec2u = vec2u(0x7F4A7C15u, 0x9E3779B9u);

fn added(a: vec2u, b: vec2u) -> vec2u {
  let low = a.x + b.x;
  return vec2u(low, a.y + b.y + select(0u, 1u, low < a.x));
}

// The upper word of a product of words.
fn upper(a: u32, b: u32) -> u32 {
  let a0 = a & 0xFFFFu;
  let a1 = a >> 16u;
  let b0 = b & 0xFFFFu;
  let b1 = b >> 16u;
  let middle = a1 * b0 + ((a0 * b0) >> 16u);
  let carried = (middle & 0xFFFFu) + a0 * b1;
  return a1 * b1 + (middle >> 16u) + (carried >> 16u);
}

fn multiplied(a: vec2u, b: vec2u) -> vec2u {
  return vec2u(a.x * b.x, upper(a.x, b.x) + a.x * b.y + a.y * b.x);
}

fn shifted(a: vec2u, bits: u32) -> vec2u { return vec2u((a.x >> bits) | (a.y << (32u - bits)), a.y >> bits); }

fn mixed(start: vec2u) -> vec2u {
  var z = multiplied(start ^ shifted(start, 30u), vec2u(0x1CE4E5B9u, 0xBF58476Du));
  z = multiplied(z ^ shifted(z, 27u), vec2u(0x133111EBu, 0x94D049BBu));
  return z ^ shifted(z, 31u);
}

@compute @workgroup_size(GROUP)
fn dropout(thread: Thread) {
  let i = thread_number(thread);
  if (i >= numbers.count) { return; }
  let seed = vec2u(numbers.seed_low, numbers.seed_high);
  let key = mixed(added(seed, multiplied(added(vec2u(step[0], 0u), vec2u(1u, 0u)), GAMMA)));
  let drawn = mixed(added(key, multiplied(added(vec2u(i, 0u), vec2u(1u, 0u)), GAMMA)));
  // The upper 24 bits.
  y[i] = V(select(0.0, f32(x[i]) * numbers.factor, (drawn.y >> 8u) >= numbers.threshold));
}
