// y = exp(scale x - max) / sum, over each row, and where it is wanted the logarithm of the sum. LANES threads have a
// row; `columns` counts elements, which a thread takes WIDTH at a time.
struct Numbers { rows: u32, columns: u32, matrix_rows: u32, scale: f32 }
@group(0) @binding(0) var<storage, read> x: array<V>;
@group(0) @binding(1) var<storage, read_write> y: array<U>;
@group(0) @binding(2) var<storage, read_write> log_sum_exp: array<f32>;
@group(0) @binding(3) var<uniform> numbers: Numbers;

@compute @workgroup_size(GROUP)
fn softmax(thread: Thread) {
  let row = group_number(thread) * (GROUP / LANES) + thread.lane / LANES;
  let here = row < numbers.rows;
  let lane = thread.lane % LANES;
  let vectors = select(0u, numbers.columns / WIDTH, here);
  let start = row * (numbers.columns / WIDTH);
  // Rows of `matrix_rows` form a matrix under a causal mask; 0: no mask.
  var visible = numbers.columns;
  if (numbers.matrix_rows > 0u) { visible = row % numbers.matrix_rows + 1u + numbers.columns - numbers.matrix_rows; }

  var most = F(LOWEST);
  for (var i = lane; i < vectors; i += LANES) {
    most = max(most, select(F(LOWEST), numbers.scale * F(x[start + i]), counted(i * WIDTH) < I(visible)));
  }
  let row_greatest = row_most(greatest(most), thread);

  var sum = F(0.0);
  for (var i = lane; i < vectors; i += LANES) {
    sum += select(F(0.0), exp(numbers.scale * F(x[start + i]) - row_greatest), counted(i * WIDTH) < I(visible));
  }
  let row_total = row_sum(total(sum), thread);

  for (var i = lane; i < vectors; i += LANES) {
    let e = select(F(0.0), exp(numbers.scale * F(x[start + i]) - row_greatest), counted(i * WIDTH) < I(visible));
    y[start + i] = U(e / row_total);
  }
  if (LOG && here && lane == 0u) { log_sum_exp[row] = row_greatest + log(row_total); }
}
