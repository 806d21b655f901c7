// The gradient of a convolution by its images as a product. Channels first: rows are channels of x, columns its pixels;
// channels last: the other way round; depth runs over channels of y, then over places of the kernel.
struct Numbers {
  m: u32, n: u32, k: u32, batches: u32, parts: u32, slab: u32,
  channels: u32, rows: u32, columns: u32, out: u32, kernel_rows: u32, kernel_columns: u32, out_rows: u32, out_columns: u32,
  stride_rows: u32, stride_columns: u32, padding_rows: u32, padding_columns: u32,
}
@group(0) @binding(0) var<storage, read> dy: array<f32>;
@group(0) @binding(1) var<storage, read> w: array<f32>;
@group(0) @binding(2) var<storage, read_write> dx: array<f32>;
@group(0) @binding(3) var<uniform> numbers: Numbers;

// dy at the place of y that sees a pixel through a place of the kernel.
fn seen(image: u32, pixel: u32, depth: u32) -> f32 {
  let taps = numbers.kernel_rows * numbers.kernel_columns;
  let out = depth / taps;
  let tap = depth % taps;
  let row = i32(pixel / numbers.columns + numbers.padding_rows) - i32(tap / numbers.kernel_columns);
  let column = i32(pixel % numbers.columns + numbers.padding_columns) - i32(tap % numbers.kernel_columns);
  if (row < 0 || column < 0) { return 0.0; }
  let out_row = u32(row) / numbers.stride_rows;
  let out_column = u32(column) / numbers.stride_columns;
  if (u32(row) % numbers.stride_rows > 0u || u32(column) % numbers.stride_columns > 0u) { return 0.0; }
  if (out_row >= numbers.out_rows || out_column >= numbers.out_columns) { return 0.0; }
  if (LAST) { return dy[((image * numbers.out_rows + out_row) * numbers.out_columns + out_column) * numbers.out + out]; }
  return dy[((image * numbers.out + out) * numbers.out_rows + out_row) * numbers.out_columns + out_column];
}
fn weight(channel: u32, depth: u32) -> f32 {
  let taps = numbers.kernel_rows * numbers.kernel_columns;
  return w[(depth / taps * numbers.channels + channel) * taps + depth % taps];
}

fn left(image: u32, row: u32, depth: u32) -> f32 {
  if (LAST) { return seen(image, row, depth); }
  return weight(row, depth);
}
fn right(image: u32, depth: u32, column: u32) -> f32 {
  if (LAST) { return weight(column, depth); }
  return seen(image, column, depth);
}
fn keep(image: u32, row: u32, column: u32, sum: f32) { dx[(image * numbers.m + row) * numbers.n + column] = sum; }
