// Rows of a table by their ids, V at a time.
struct Numbers { count: u32, vectors: u32 }
@group(0) @binding(0) var<storage, read> table: array<V>;
@group(0) @binding(1) var<storage, read> ids: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<V>;
@group(0) @binding(3) var<uniform> numbers: Numbers;

@compute @workgroup_size(GROUP)
fn embedding(thread: Thread) {
  let i = thread_number(thread);
  if (i < numbers.count) { y[i] = table[ids[i / numbers.vectors] * numbers.vectors + i % numbers.vectors]; }
}
