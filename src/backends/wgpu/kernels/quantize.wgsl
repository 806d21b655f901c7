// q = round(x / scale) + zero, saturated; a thread has four, which are one word. Scales: one that is given, or found
// ones, of which each is that of `group` elements.
struct Numbers { count: u32, group: u32, given: f32, zero: i32, low: i32, high: i32 }
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> scales: array<f32>;
@group(0) @binding(2) var<storage, read_write> q: array<u32>;
@group(0) @binding(3) var<uniform> numbers: Numbers;

@compute @workgroup_size(GROUP)
fn quotients(thread: Thread) {
  let first = thread_number(thread) * 4u;
  if (first >= numbers.count) { return; }
  var word = 0u;
  for (var i = 0u; i < 4u && first + i < numbers.count; i += 1u) {
    var scale = numbers.given;
    if (FOUND) { scale = scales[(first + i) / numbers.group]; }
    var rounded = numbers.zero;
    if (scale != 0.0) {
      let whole = round(x[first + i] / scale) + f32(numbers.zero);
      rounded = i32(clamp(whole, f32(numbers.low), f32(numbers.high)));
    }
    word |= (u32(rounded) & 0xFFu) << (8u * i);
  }
  q[thread_number(thread)] = word;
}
