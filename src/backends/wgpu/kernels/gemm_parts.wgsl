// D = alpha (the sum of the parts of a product) + beta C.
struct Numbers { count: u32, parts: u32, each: u32, alpha: f32, beta: f32 }
@group(0) @binding(0) var<storage, read_write> sums: array<f32>;
@group(0) @binding(1) var<storage, read> c: array<Y>;
@group(0) @binding(2) var<storage, read_write> d: array<Y>;
@group(0) @binding(3) var<uniform> numbers: Numbers;

@compute @workgroup_size(GROUP)
fn gemm_parts(thread: Thread) {
  let i = thread_number(thread);
  if (i >= numbers.count) { return; }
  var sum = 0.0;
  // The parts of a product of a batch lie one behind the other.
  let first = i / numbers.each * numbers.parts * numbers.each + i % numbers.each;
  for (var part = 0u; part < numbers.parts; part += 1u) { sum += sums[first + part * numbers.each]; }
  var value = numbers.alpha * sum;
  if (ADD_C) { value += numbers.beta * f32(c[i]); }
  d[i] = Y(value);
}
