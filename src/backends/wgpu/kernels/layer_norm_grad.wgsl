// dx = rstd (g - mean of g - n (mean of g n)), with g = dy gain and n = (x - mean) rstd, over each row. LANES threads
// have a row.
struct Numbers { rows: u32, vectors: u32, columns: f32 }
@group(0) @binding(0) var<storage, read> dy: array<V>;
@group(0) @binding(1) var<storage, read> x: array<V>;
@group(0) @binding(2) var<storage, read> means: array<f32>;
@group(0) @binding(3) var<storage, read> rstds: array<f32>;
@group(0) @binding(4) var<storage, read> gain: array<V>;
@group(0) @binding(5) var<storage, read_write> dx: array<V>;
@group(0) @binding(6) var<uniform> numbers: Numbers;

@compute @workgroup_size(GROUP)
fn layer_norm_grad(thread: Thread) {
  let row = group_number(thread) * (GROUP / LANES) + thread.lane / LANES;
  let here = row < numbers.rows;
  let lane = thread.lane % LANES;
  let vectors = select(0u, numbers.vectors, here);
  let start = row * numbers.vectors;
  // Any row stands in for one that is not there.
  let known = select(0u, row, here);
  let mean = means[known];
  let rstd = rstds[known];
  var of_g = F(0.0);
  var of_product = F(0.0);
  for (var i = lane; i < vectors; i += LANES) {
    let g = F(dy[start + i]) * F(gain[i]);
    of_g += g;
    of_product += g * ((F(x[start + i]) - mean) * rstd);
  }
  let mean_g = row_sum(total(of_g), thread) / numbers.columns;
  let mean_product = row_sum(total(of_product), thread) / numbers.columns;
  for (var i = lane; i < vectors; i += LANES) {
    let g = F(dy[start + i]) * F(gain[i]);
    let n = (F(x[start + i]) - mean) * rstd;
    dx[start + i] = V(rstd * (g - mean_g - n * mean_product));
  }
}
