// y = (s - mean) rstd gain + bias over each row of s, where s is x, or x + r and an output too (ADD). LANES threads have
// a row; a thread comes back to its own columns only.
struct Numbers { rows: u32, vectors: u32, columns: f32, eps: f32 }
@group(0) @binding(0) var<storage, read> x: array<V>;
@group(0) @binding(1) var<storage, read> r: array<V>;
@group(0) @binding(2) var<storage, read> gain: array<V>;
@group(0) @binding(3) var<storage, read> bias: array<V>;
@group(0) @binding(4) var<storage, read_write> y: array<V>;
@group(0) @binding(5) var<storage, read_write> s: array<V>;
@group(0) @binding(6) var<storage, read_write> means: array<f32>;
@group(0) @binding(7) var<storage, read_write> rstds: array<f32>;
@group(0) @binding(8) var<uniform> numbers: Numbers;

// In f32, also where s is narrower.
fn summed(i: u32) -> F {
  if (ADD) { return F(x[i]) + F(r[i]); }
  return F(x[i]);
}

@compute @workgroup_size(GROUP)
fn layer_norm(thread: Thread) {
  let row = group_number(thread) * (GROUP / LANES) + thread.lane / LANES;
  let here = row < numbers.rows;
  let lane = thread.lane % LANES;
  let vectors = select(0u, numbers.vectors, here);
  let start = row * numbers.vectors;

  var sum = F(0.0);
  for (var i = lane; i < vectors; i += LANES) {
    let value = summed(start + i);
    if (ADD) { s[start + i] = V(value); }
    sum += value;
  }
  let mean = row_sum(total(sum), thread) / numbers.columns;

  var squares = F(0.0);
  for (var i = lane; i < vectors; i += LANES) {
    let off = summed(start + i) - mean;
    squares += off * off;
  }
  let rstd = 1.0 / sqrt(row_sum(total(squares), thread) / numbers.columns + numbers.eps);

  for (var i = lane; i < vectors; i += LANES) {
    y[start + i] = V((summed(start + i) - mean) * rstd * F(gain[i]) + F(bias[i]));
  }
  if (here && lane == 0u) {
    means[row] = mean;
    rstds[row] = rstd;
  }
}
