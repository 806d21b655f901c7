// Convolution as a product, one of whose factors is never stored whole: what the kernel sees of an image (im2col) is
// gathered where a stage needs it. Depth runs over channels, then over places of the kernel, as the weights lie. Rows and
// columns are chosen so that neighbours in y are written together:
//   channels first: Y = W X   rows are channels of y, columns pixels
//   channels last:  Y = X W   rows are pixels, columns channels of y
struct Numbers {
  m: u32, n: u32, k: u32, batches: u32, parts: u32, slab: u32,
  channels: u32, rows: u32, columns: u32, out: u32, kernel_rows: u32, kernel_columns: u32, out_rows: u32, out_columns: u32,
  stride_rows: u32, stride_columns: u32, padding_rows: u32, padding_columns: u32,
}
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> w: array<f32>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
@group(0) @binding(4) var<uniform> numbers: Numbers;

// What the kernel sees at a pixel of y, at a depth: 0 in the padding.
fn seen(image: u32, pixel: u32, depth: u32) -> f32 {
  let taps = numbers.kernel_rows * numbers.kernel_columns;
  let channel = depth / taps;
  let tap = depth % taps;
  // Below 0 wraps around to beyond the last.
  let row = pixel / numbers.out_columns * numbers.stride_rows + tap / numbers.kernel_columns - numbers.padding_rows;
  let column = pixel % numbers.out_columns * numbers.stride_columns + tap % numbers.kernel_columns - numbers.padding_columns;
  if (row >= numbers.rows || column >= numbers.columns) { return 0.0; }
  if (LAST) { return x[((image * numbers.rows + row) * numbers.columns + column) * numbers.channels + channel]; }
  return x[((image * numbers.channels + channel) * numbers.rows + row) * numbers.columns + column];
}

fn left(image: u32, row: u32, depth: u32) -> f32 {
  if (LAST) { return seen(image, row, depth); }
  return w[row * numbers.k + depth];
}
fn right(image: u32, depth: u32, column: u32) -> f32 {
  if (LAST) { return w[column * numbers.k + depth]; }
  return seen(image, column, depth);
}
fn keep(image: u32, row: u32, column: u32, sum: f32) {
  var value = sum;
  if (BIAS) { value += bias[select(row, column, LAST)]; }
  y[(image * numbers.m + row) * numbers.n + column] = value;
}
