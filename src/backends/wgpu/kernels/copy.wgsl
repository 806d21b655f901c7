// Words as they are, W at a time.
struct Numbers { count: u32 }
@group(0) @binding(0) var<storage, read> x: array<W>;
@group(0) @binding(1) var<storage, read_write> y: array<W>;
@group(0) @binding(2) var<uniform> numbers: Numbers;

@compute @workgroup_size(GROUP)
fn copy(thread: Thread) {
  let i = thread_number(thread);
  if (i < numbers.count) { y[i] = x[i]; }
}
