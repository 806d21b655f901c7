// The largest of each window of pixels, and the gradient. Windows do not overlap; a thread has an element of the answer.
// Planes of `rows` by `columns` pixels of `channels` numbers.
struct Numbers {
  count: u32, channels: u32, rows: u32, columns: u32, out_rows: u32, out_columns: u32, window: u32,
}
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<uniform> numbers: Numbers;

@compute @workgroup_size(GROUP)
fn max_pool(thread: Thread) {
  let at = thread_number(thread);
  if (at >= numbers.count) { return; }
  let channel = at % numbers.channels;
  let column = at / numbers.channels % numbers.out_columns * numbers.window;
  let row = at / numbers.channels / numbers.out_columns % numbers.out_rows * numbers.window;
  let plane = at / numbers.channels / numbers.out_columns / numbers.out_rows;
  let corner = (plane * numbers.rows + row) * numbers.columns + column;
  var most = x[corner * numbers.channels + channel];
  for (var i = 0u; i < numbers.window; i += 1u) {
    for (var j = 0u; j < numbers.window; j += 1u) {
      most = max(most, x[(corner + i * numbers.columns + j) * numbers.channels + channel]);
    }
  }
  y[at] = most;
}
