// Sums down columns, by slabs of rows: a slab's sums are rows of the next round, until one slab is left. No sum depends
// on the order of workgroups. A workgroup has ACROSS columns, and GROUP / ACROSS rows at a time.
struct Numbers { rows: u32, columns: u32 }
@group(0) @binding(0) var<storage, read> x: array<V>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<uniform> numbers: Numbers;

var<workgroup> sums: array<f32, GROUP>;

@compute @workgroup_size(GROUP)
fn column_sum(thread: Thread) {
  let blocks = (numbers.columns + ACROSS - 1u) / ACROSS;
  let slab = group_number(thread) / blocks;
  let column = group_number(thread) % blocks * ACROSS + thread.lane % ACROSS;
  let end = min((slab + 1u) * SLAB, numbers.rows);
  var sum = 0.0;
  if (column < numbers.columns) {
    for (var row = slab * SLAB + thread.lane / ACROSS; row < end; row += GROUP / ACROSS) {
      sum += f32(x[row * numbers.columns + column]);
    }
  }
  sums[thread.lane] = sum;
  workgroupBarrier();
  if (thread.lane >= ACROSS || column >= numbers.columns || slab * SLAB >= numbers.rows) { return; }
  var all = 0.0;
  for (var i = thread.lane; i < GROUP; i += ACROSS) { all += sums[i]; }
  y[slab * numbers.columns + column] = all;
}
