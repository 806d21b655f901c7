// The smallest scale at which nothing of a row saturates: the larger of max / above and -min / below. LANES threads have
// a row; a block of 32, a row and a whole value are rows here, the last in two rounds.
struct Numbers { rows: u32, columns: u32, end: u32, below: f32, above: f32 }
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> scales: array<f32>;
@group(0) @binding(2) var<uniform> numbers: Numbers;

@compute @workgroup_size(GROUP)
fn scales_of_rows(thread: Thread) {
  let row = group_number(thread) * (GROUP / LANES) + thread.lane / LANES;
  let here = row < numbers.rows;
  let lane = thread.lane % LANES;
  let start = row * numbers.columns;
  let end = select(start, min(start + numbers.columns, numbers.end), here);
  var below = 0.0;
  var above = 0.0;
  for (var i = start + lane; i < end; i += LANES) {
    below = max(below, -x[i]);
    above = max(above, x[i]);
  }
  below = row_most(below, thread);
  above = row_most(above, thread);
  var scale = 0.0;
  if (numbers.below > 0.0) { scale = below / numbers.below; }
  if (numbers.above > 0.0) { scale = max(scale, above / numbers.above); }
  if (here && lane == 0u) { scales[row] = scale; }
}
