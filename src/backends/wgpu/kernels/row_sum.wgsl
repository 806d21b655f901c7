// The sum of each row. LANES threads have one.
struct Numbers { rows: u32, columns: u32 }
@group(0) @binding(0) var<storage, read> x: array<V>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<uniform> numbers: Numbers;

@compute @workgroup_size(GROUP)
fn sum_of_row(thread: Thread) {
  let row = group_number(thread) * (GROUP / LANES) + thread.lane / LANES;
  let here = row < numbers.rows;
  let lane = thread.lane % LANES;
  let columns = select(0u, numbers.columns, here);
  var sum = 0.0;
  for (var i = lane; i < columns; i += LANES) { sum += f32(x[row * numbers.columns + i]); }
  sum = row_sum(sum, thread);
  if (here && lane == 0u) { y[row] = sum; }
}
