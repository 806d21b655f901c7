// dgain = sum of dy (x - mean) rstd, dbias = sum of dy, down columns, by slabs of rows as column_sum has them.
struct Numbers { rows: u32, columns: u32 }
@group(0) @binding(0) var<storage, read> dy: array<V>;
@group(0) @binding(1) var<storage, read> x: array<V>;
@group(0) @binding(2) var<storage, read> means: array<f32>;
@group(0) @binding(3) var<storage, read> rstds: array<f32>;
@group(0) @binding(4) var<storage, read_write> dgain: array<f32>;
@group(0) @binding(5) var<storage, read_write> dbias: array<f32>;
@group(0) @binding(6) var<uniform> numbers: Numbers;

var<workgroup> sums: array<vec2f, GROUP>;

@compute @workgroup_size(GROUP)
fn layer_norm_param_grad(thread: Thread) {
  let blocks = (numbers.columns + ACROSS - 1u) / ACROSS;
  let slab = group_number(thread) / blocks;
  let column = group_number(thread) % blocks * ACROSS + thread.lane % ACROSS;
  let end = min((slab + 1u) * SLAB, numbers.rows);
  var sum = vec2f(0.0);
  if (column < numbers.columns) {
    for (var row = slab * SLAB + thread.lane / ACROSS; row < end; row += GROUP / ACROSS) {
      let g = f32(dy[row * numbers.columns + column]);
      sum += vec2f(g * ((f32(x[row * numbers.columns + column]) - means[row]) * rstds[row]), g);
    }
  }
  sums[thread.lane] = sum;
  workgroupBarrier();
  if (thread.lane >= ACROSS || column >= numbers.columns || slab * SLAB >= numbers.rows) { return; }
  var all = vec2f(0.0);
  for (var i = thread.lane; i < GROUP; i += ACROSS) { all += sums[i]; }
  dgain[slab * numbers.columns + column] = all.x;
  dbias[slab * numbers.columns + column] = all.y;
}
