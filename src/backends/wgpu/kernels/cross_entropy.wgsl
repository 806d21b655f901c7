// loss = log sum exp(x) - x(label) over each row. LANES threads have a row; rows whose label is -1 are not counted.
struct Numbers { rows: u32, columns: u32 }
@group(0) @binding(0) var<storage, read> x: array<V>;
@group(0) @binding(1) var<storage, read> labels: array<i32>;
@group(0) @binding(2) var<storage, read_write> losses: array<f32>;
@group(0) @binding(3) var<storage, read_write> log_sum_exps: array<f32>;
@group(0) @binding(4) var<uniform> numbers: Numbers;

@compute @workgroup_size(GROUP)
fn cross_entropy(thread: Thread) {
  let row = group_number(thread) * (GROUP / LANES) + thread.lane / LANES;
  let here = row < numbers.rows;
  let lane = thread.lane % LANES;
  let columns = select(0u, numbers.columns, here);
  let start = row * numbers.columns;
  var most = LOWEST;
  for (var i = lane; i < columns; i += LANES) { most = max(most, f32(x[start + i])); }
  most = row_most(most, thread);
  var sum = 0.0;
  for (var i = lane; i < columns; i += LANES) { sum += exp(f32(x[start + i]) - most); }
  sum = row_sum(sum, thread);
  if (here && lane == 0u) {
    let log_sum_exp = most + log(sum);
    let label = labels[row];
    var loss = 0.0;
    if (label >= 0) { loss = log_sum_exp - f32(x[start + u32(label)]); }
    losses[row] = loss;
    log_sum_exps[row] = log_sum_exp;
  }
}
