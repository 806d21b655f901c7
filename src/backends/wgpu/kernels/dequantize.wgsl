// y = scale_a scale_b x + bias. `by_row` and `by_column`: 1 where there is a scale for each, 0 where there is one for all.
struct Numbers { count: u32, columns: u32, by_row: u32, by_column: u32 }
@group(0) @binding(0) var<storage, read> x: array<i32>;
@group(0) @binding(1) var<storage, read> scale_a: array<f32>;
@group(0) @binding(2) var<storage, read> scale_b: array<f32>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;
@group(0) @binding(5) var<uniform> numbers: Numbers;

@compute @workgroup_size(GROUP)
fn dequantize(thread: Thread) {
  let i = thread_number(thread);
  if (i >= numbers.count) { return; }
  let column = i % numbers.columns;
  let scale = scale_a[numbers.by_row * (i / numbers.columns)] * scale_b[numbers.by_column * column];
  var answer = scale * f32(x[i]);
  if (BIAS) { answer += bias[column]; }
  y[i] = answer;
}
