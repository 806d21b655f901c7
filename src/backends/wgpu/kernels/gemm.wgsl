// D = alpha op(A) op(B) + beta C; a part of the depth goes to a matrix of its own, unscaled (PARTS).
struct Numbers {
  m: u32, n: u32, k: u32, batches: u32, parts: u32, slab: u32, stride_b: u32, alpha: f32, beta: f32,
}
@group(0) @binding(0) var<storage, read> a: array<X>;
@group(0) @binding(1) var<storage, read> b: array<X>;
@group(0) @binding(2) var<storage, read> c: array<Y>;
@group(0) @binding(3) var<storage, read_write> d: array<Y>;
@group(0) @binding(4) var<uniform> numbers: Numbers;

fn left(batch: u32, row: u32, depth: u32) -> f32 {
  let first = batch / numbers.parts * numbers.m * numbers.k;
  if (TRANS_A) { return f32(a[first + depth * numbers.m + row]); }
  return f32(a[first + row * numbers.k + depth]);
}

fn right(batch: u32, depth: u32, column: u32) -> f32 {
  let first = batch / numbers.parts * numbers.stride_b;
  if (TRANS_B) { return f32(b[first + column * numbers.k + depth]); }
  return f32(b[first + depth * numbers.n + column]);
}

fn keep(batch: u32, row: u32, column: u32, sum: f32) {
  let at = (batch * numbers.m + row) * numbers.n + column;
  var value = numbers.alpha * sum;
  if (ADD_C) { value += numbers.beta * f32(c[at]); }
  d[at] = Y(value);
}
