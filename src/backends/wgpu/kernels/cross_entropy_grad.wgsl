// dx = scale (exp(x - lse) - (1 at the label)), 0 where the label is -1.
struct Numbers { count: u32, columns: u32, scale: f32 }
@group(0) @binding(0) var<storage, read> x: array<V>;
@group(0) @binding(1) var<storage, read> labels: array<i32>;
@group(0) @binding(2) var<storage, read> log_sum_exps: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<V>;
@group(0) @binding(4) var<uniform> numbers: Numbers;

@compute @workgroup_size(GROUP)
fn cross_entropy_grad(thread: Thread) {
  let i = thread_number(thread);
  if (i >= numbers.count) { return; }
  let row = i / numbers.columns;
  let label = labels[row];
  let p = exp(f32(x[i]) - log_sum_exps[row]);
  let slope = select(p, p - 1.0, i32(i % numbers.columns) == label);
  dx[i] = V(select(0.0, numbers.scale * slope, label >= 0));
}
