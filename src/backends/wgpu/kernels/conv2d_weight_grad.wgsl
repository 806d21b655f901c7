// The gradient of a convolution by its weights as a product: rows are channels of y, columns channels of x and places of
// the kernel, as the weights lie; depth runs over images, then over pixels of y, in parts whose sums are added
// afterwards.
struct Numbers {
  m: u32, n: u32, k: u32, batches: u32, parts: u32, slab: u32,
  channels: u32, rows: u32, columns: u32, out: u32, kernel_rows: u32, kernel_columns: u32, out_rows: u32, out_columns: u32,
  stride_rows: u32, stride_columns: u32, padding_rows: u32, padding_columns: u32,
}
@group(0) @binding(0) var<storage, read> dy: array<f32>;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> dw: array<f32>;
@group(0) @binding(3) var<uniform> numbers: Numbers;

fn left(part: u32, out: u32, depth: u32) -> f32 {
  let pixels = numbers.out_rows * numbers.out_columns;
  if (LAST) { return dy[depth * numbers.out + out]; }
  return dy[(depth / pixels * numbers.out + out) * pixels + depth % pixels];
}
fn right(part: u32, depth: u32, column: u32) -> f32 {
  let taps = numbers.kernel_rows * numbers.kernel_columns;
  let pixels = numbers.out_rows * numbers.out_columns;
  let image = depth / pixels;
  let pixel = depth % pixels;
  let channel = column / taps;
  let tap = column % taps;
  // Below 0 wraps around to beyond the last.
  let row = pixel / numbers.out_columns * numbers.stride_rows + tap / numbers.kernel_columns - numbers.padding_rows;
  let at = pixel % numbers.out_columns * numbers.stride_columns + tap % numbers.kernel_columns - numbers.padding_columns;
  if (row >= numbers.rows || at >= numbers.columns) { return 0.0; }
  if (LAST) { return x[((image * numbers.rows + row) * numbers.columns + at) * numbers.channels + channel]; }
  return x[((image * numbers.channels + channel) * numbers.rows + row) * numbers.columns + at];
}
fn keep(part: u32, row: u32, column: u32, sum: f32) { dw[(part * numbers.m + row) * numbers.n + column] = sum; }
