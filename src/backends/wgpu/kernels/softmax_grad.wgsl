// dx = scale y (dy - sum of dy y), over each row. LANES threads have a row.
struct Numbers { rows: u32, vectors: u32, scale: f32 }
@group(0) @binding(0) var<storage, read> dy: array<U>;
@group(0) @binding(1) var<storage, read> y: array<V>;
@group(0) @binding(2) var<storage, read_write> dx: array<V>;
@group(0) @binding(3) var<uniform> numbers: Numbers;

@compute @workgroup_size(GROUP)
fn softmax_grad(thread: Thread) {
  let row = group_number(thread) * (GROUP / LANES) + thread.lane / LANES;
  let lane = thread.lane % LANES;
  let vectors = select(0u, numbers.vectors, row < numbers.rows);
  let start = row * numbers.vectors;
  var sum = F(0.0);
  for (var i = lane; i < vectors; i += LANES) { sum += F(dy[start + i]) * F(y[start + i]); }
  let all = row_sum(total(sum), thread);
  for (var i = lane; i < vectors; i += LANES) {
    dx[start + i] = V(numbers.scale * F(y[start + i]) * (F(dy[start + i]) - all));
  }
}
