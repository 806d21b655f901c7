// The gradient of a table: zeros, then the first row of dy with an id adds up all that have it, upwards, so that an
// answer never changes. A workgroup has a row of dy.
struct Numbers { count: u32, rows: u32, columns: u32 }
@group(0) @binding(0) var<storage, read> dy: array<V>;
@group(0) @binding(1) var<storage, read> ids: array<u32>;
@group(0) @binding(2) var<storage, read_write> dtable: array<f32>;
@group(0) @binding(3) var<uniform> numbers: Numbers;

@compute @workgroup_size(GROUP)
fn zeros(thread: Thread) {
  let i = thread_number(thread);
  if (i < numbers.count) { dtable[i] = 0.0; }
}

@compute @workgroup_size(GROUP)
fn embedding_grad(thread: Thread) {
  let row = group_number(thread);
  if (row >= numbers.rows) { return; }
  let id = ids[row];
  for (var other = 0u; other < row; other += 1u) {
    if (ids[other] == id) { return; }
  }
  for (var column = thread.lane; column < numbers.columns; column += GROUP) {
    var sum = 0.0;
    for (var other = row; other < numbers.rows; other += 1u) {
      if (ids[other] == id) { sum += f32(dy[other * numbers.columns + column]); }
    }
    dtable[id * numbers.columns + column] = sum;
  }
}
