// One more round of sums down columns: f32 that an earlier round left. As column_sum, whose input is an op's.
struct Numbers { rows: u32, columns: u32 }
@group(0) @binding(0) var<storage, read_write> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<uniform> numbers: Numbers;

@compute @workgroup_size(GROUP)
fn partial_sum(thread: Thread) {
  let i = thread_number(thread);
  let column = i % numbers.columns;
  let slab = i / numbers.columns;
  if (slab * SLAB >= numbers.rows) { return; }
  let end = min((slab + 1u) * SLAB, numbers.rows);
  var sum = 0.0;
  for (var row = slab * SLAB; row < end; row += 1u) { sum += x[row * numbers.columns + column]; }
  y[slab * numbers.columns + column] = sum;
}
