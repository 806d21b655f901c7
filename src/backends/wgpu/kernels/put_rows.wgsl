// Rows `first` on of each matrix of `rows` rows become those of r, which has `fresh` for each, in place; a row is
// `columns` words W.
struct Numbers { count: u32, rows: u32, fresh: u32, columns: u32, first: u32 }
@group(0) @binding(0) var<storage, read> r: array<W>;
@group(0) @binding(1) var<storage, read_write> y: array<W>;
@group(0) @binding(2) var<uniform> numbers: Numbers;

@compute @workgroup_size(GROUP)
fn put_rows(thread: Thread) {
  let i = thread_number(thread);
  if (i >= numbers.count) { return; }
  let row = i / numbers.columns;
  let matrix = row / numbers.fresh;
  let target_row = matrix * numbers.rows + numbers.first + row % numbers.fresh;
  y[target_row * numbers.columns + i % numbers.columns] = r[i];
}
