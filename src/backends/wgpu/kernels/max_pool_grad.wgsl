// dy goes to the first element of a window, row by row, that is as large as y. A thread has an element of x.
struct Numbers {
  count: u32, channels: u32, rows: u32, columns: u32, out_rows: u32, out_columns: u32, window: u32,
}
@group(0) @binding(0) var<storage, read> dy: array<f32>;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> y: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;
@group(0) @binding(4) var<uniform> numbers: Numbers;

@compute @workgroup_size(GROUP)
fn max_pool_grad(thread: Thread) {
  let at = thread_number(thread);
  if (at >= numbers.count) { return; }
  let channel = at % numbers.channels;
  let column = at / numbers.channels % numbers.columns;
  let row = at / numbers.channels / numbers.columns % numbers.rows;
  let plane = at / numbers.channels / numbers.columns / numbers.rows;
  let out_row = row / numbers.window;
  let out_column = column / numbers.window;
  var answer = 0.0;
  if (out_row < numbers.out_rows && out_column < numbers.out_columns) {
    let place = ((plane * numbers.out_rows + out_row) * numbers.out_columns + out_column) * numbers.channels + channel;
    let corner = (plane * numbers.rows + out_row * numbers.window) * numbers.columns + out_column * numbers.window;
    let own = row % numbers.window * numbers.window + column % numbers.window;
    var is_first = x[at] == y[place];
    for (var i = 0u; i < own; i += 1u) {
      let other = corner + i / numbers.window * numbers.columns + i % numbers.window;
      if (x[other * numbers.channels + channel] == y[place]) { is_first = false; }
    }
    if (is_first) { answer = dy[place]; }
  }
  dx[at] = answer;
}
