// The nearest number of another type, V of X and U of Y at a time.
struct Numbers { count: u32 }
@group(0) @binding(0) var<storage, read> x: array<V>;
@group(0) @binding(1) var<storage, read_write> y: array<U>;
@group(0) @binding(2) var<uniform> numbers: Numbers;

@compute @workgroup_size(GROUP)
fn cast_each(thread: Thread) {
  let i = thread_number(thread);
  if (i < numbers.count) { y[i] = U(F(x[i])); }
}
