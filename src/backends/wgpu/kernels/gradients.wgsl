// Gradients that are answered element by element, V at a time: dx = dy slope(x), where x is the forward pass's argument
// or, for relu and tanh, its answer.
struct Numbers { count: u32, columns: u32 }
@group(0) @binding(0) var<storage, read> dy: array<V>;
@group(0) @binding(1) var<storage, read> x: array<V>;
@group(0) @binding(2) var<storage, read> bias: array<V>;
@group(0) @binding(3) var<storage, read_write> dx: array<V>;
@group(0) @binding(4) var<uniform> numbers: Numbers;

@compute @workgroup_size(GROUP)
fn relu_grad(thread: Thread) {
  let i = thread_number(thread);
  if (i < numbers.count) { dx[i] = V(select(F(0.0), F(dy[i]), F(x[i]) > F(0.0))); }
}
@compute @workgroup_size(GROUP)
fn tanh_grad(thread: Thread) {
  let i = thread_number(thread);
  if (i < numbers.count) { dx[i] = V(F(dy[i]) * (1.0 - F(x[i]) * F(x[i]))); }
}
@compute @workgroup_size(GROUP)
fn gelu_grad_of_erf(thread: Thread) {
  let i = thread_number(thread);
  if (i < numbers.count) { dx[i] = V(F(dy[i]) * gelu_erf_slope(F(x[i]))); }
}
@compute @workgroup_size(GROUP)
fn gelu_grad_of_tanh(thread: Thread) {
  let i = thread_number(thread);
  if (i < numbers.count) { dx[i] = V(F(dy[i]) * gelu_tanh_slope(F(x[i]))); }
}
@compute @workgroup_size(GROUP)
fn bias_gelu_grad_of_erf(thread: Thread) {
  let i = thread_number(thread);
  if (i < numbers.count) { dx[i] = V(F(dy[i]) * gelu_erf_slope(F(x[i]) + F(bias[i % numbers.columns]))); }
}
@compute @workgroup_size(GROUP)
fn bias_gelu_grad_of_tanh(thread: Thread) {
  let i = thread_number(thread);
  if (i < numbers.count) { dx[i] = V(F(dy[i]) * gelu_tanh_slope(F(x[i]) + F(bias[i % numbers.columns]))); }
}
