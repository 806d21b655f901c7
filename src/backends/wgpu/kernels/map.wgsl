// Ops that answer element by element, V at a time: z = f(x, y), or f(x + the bias of its column), which y then holds.
struct Numbers { count: u32, columns: u32, factor: f32 }
@group(0) @binding(0) var<storage, read> x: array<V>;
@group(0) @binding(1) var<storage, read> y: array<V>;
@group(0) @binding(2) var<storage, read_write> z: array<V>;
@group(0) @binding(3) var<uniform> numbers: Numbers;

@compute @workgroup_size(GROUP)
fn add(thread: Thread) {
  let i = thread_number(thread);
  if (i < numbers.count) { z[i] = V(F(x[i]) + F(y[i])); }
}
@compute @workgroup_size(GROUP)
fn triad(thread: Thread) {
  let i = thread_number(thread);
  if (i < numbers.count) { z[i] = V(fma(F(numbers.factor), F(y[i]), F(x[i]))); }
}
@compute @workgroup_size(GROUP)
fn scale(thread: Thread) {
  let i = thread_number(thread);
  if (i < numbers.count) { z[i] = V(numbers.factor * F(x[i])); }
}
@compute @workgroup_size(GROUP)
fn relu(thread: Thread) {
  let i = thread_number(thread);
  if (i < numbers.count) { z[i] = V(max(F(x[i]), F(0.0))); }
}
@compute @workgroup_size(GROUP)
fn tanh_of(thread: Thread) {
  let i = thread_number(thread);
  if (i < numbers.count) { z[i] = V(tangent(F(x[i]))); }
}
@compute @workgroup_size(GROUP)
fn gelu_of_erf(thread: Thread) {
  let i = thread_number(thread);
  if (i < numbers.count) { z[i] = V(gelu_erf(F(x[i]))); }
}
@compute @workgroup_size(GROUP)
fn gelu_of_tanh(thread: Thread) {
  let i = thread_number(thread);
  if (i < numbers.count) { z[i] = V(gelu_tanh(F(x[i]))); }
}

fn biased(i: u32) -> F { return F(x[i]) + F(y[i % numbers.columns]); }

@compute @workgroup_size(GROUP)
fn bias_add(thread: Thread) {
  let i = thread_number(thread);
  if (i < numbers.count) { z[i] = V(biased(i)); }
}
@compute @workgroup_size(GROUP)
fn bias_relu(thread: Thread) {
  let i = thread_number(thread);
  if (i < numbers.count) { z[i] = V(max(biased(i), F(0.0))); }
}
@compute @workgroup_size(GROUP)
fn bias_gelu_of_erf(thread: Thread) {
  let i = thread_number(thread);
  if (i < numbers.count) { z[i] = V(gelu_erf(biased(i))); }
}
@compute @workgroup_size(GROUP)
fn bias_gelu_of_tanh(thread: Thread) {
  let i = thread_number(thread);
  if (i < numbers.count) { z[i] = V(gelu_tanh(biased(i))); }
}
