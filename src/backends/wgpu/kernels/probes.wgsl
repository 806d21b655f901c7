// What an adapter can do at best: multiply-adds in registers, four chains of four a thread, so that none waits for the
// one before.
struct Numbers { rounds: u32, factor: f32, addend: f32 }
@group(0) @binding(0) var<storage, read_write> sums: array<f32>;
@group(0) @binding(1) var<uniform> numbers: Numbers;

@compute @workgroup_size(GROUP)
fn multiply_add(thread: Thread) {
  let x = vec4f(numbers.factor);
  let y = vec4f(numbers.addend);
  var a = vec4f(f32(thread.lane));
  var b = a + 1.0;
  var c = a + 2.0;
  var d = a + 3.0;
  for (var round = 0u; round < numbers.rounds; round += 1u) {
    a = fma(a, x, y);
    b = fma(b, x, y);
    c = fma(c, x, y);
    d = fma(d, x, y);
  }
  let all = a + b + c + d;
  // Every group leaves one number, so that none is left out.
  if (thread.lane == 0u) { sums[group_number(thread) % SLOTS] = all.x + all.y + all.z + all.w; }
}
