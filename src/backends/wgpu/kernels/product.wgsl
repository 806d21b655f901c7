// A product by multiply-adds in f32. A workgroup makes TILE_ROWS x TILE_COLUMNS elements, a thread ROWS x COLUMNS of them
// in registers. Depth is brought in stages of DEPTH, and zeros stand in for what is not there. What is multiplied and
// kept stands in another file:
//   left(batch, row, depth) and right(batch, depth, column), 0 outside their factors, and keep(batch, row, column, sum);
//   `numbers.m` rows, `numbers.n` columns; a workgroup of number `part` of `numbers.parts` takes the depths
//   part numbers.slab .. (part + 1) numbers.slab, at most numbers.k.
// LEFT_ALONG, RIGHT_ALONG: neighbours in memory are neighbours in depth, so that neighbouring threads take them.

var<workgroup> stage_left: array<f32, DEPTH * TILE_ROWS>;
var<workgroup> stage_right: array<f32, DEPTH * TILE_COLUMNS>;

const FOURS: u32 = COLUMNS / 4u;

@compute @workgroup_size(GROUP)
fn product(thread: Thread) {
  let across = (numbers.n + TILE_COLUMNS - 1u) / TILE_COLUMNS;
  let down = (numbers.m + TILE_ROWS - 1u) / TILE_ROWS;
  let tile = group_number(thread);
  let column0 = tile % across * TILE_COLUMNS;
  let row0 = tile / across % down * TILE_ROWS;
  // A surplus workgroup has a batch beyond the last, and keeps nothing.
  let batch = tile / across / down;
  if (batch >= numbers.batches) { return; }
  let depth0 = batch % numbers.parts * numbers.slab;
  let end = min(depth0 + numbers.slab, numbers.k);
  let tx = thread.lane % (TILE_COLUMNS / COLUMNS) * 4u;
  let ty = thread.lane / (TILE_COLUMNS / COLUMNS) * ROWS;

  var sums: array<vec4f, ROWS * FOURS>;
  for (var depth = depth0; depth < end; depth += DEPTH) {
    for (var i = thread.lane; i < DEPTH * TILE_ROWS; i += GROUP) {
      let d = select(i / TILE_ROWS, i % DEPTH, LEFT_ALONG);
      let line = select(i % TILE_ROWS, i / DEPTH, LEFT_ALONG);
      var value = 0.0;
      if (depth + d < end && row0 + line < numbers.m) { value = left(batch, row0 + line, depth + d); }
      stage_left[d * TILE_ROWS + line] = value;
    }
    for (var i = thread.lane; i < DEPTH * TILE_COLUMNS; i += GROUP) {
      let d = select(i / TILE_COLUMNS, i % DEPTH, RIGHT_ALONG);
      let line = select(i % TILE_COLUMNS, i / DEPTH, RIGHT_ALONG);
      var value = 0.0;
      if (depth + d < end && column0 + line < numbers.n) { value = right(batch, depth + d, column0 + line); }
      stage_right[d * TILE_COLUMNS + line] = value;
    }
    workgroupBarrier();
    for (var d = 0u; d < DEPTH; d += 1u) {
      var y: array<vec4f, FOURS>;
      for (var j = 0u; j < FOURS; j += 1u) {
        // A thread's columns are groups of four, so that neighbours read neighbours.
        let at = d * TILE_COLUMNS + j * (TILE_COLUMNS / FOURS) + tx;
        y[j] = vec4f(stage_right[at], stage_right[at + 1u], stage_right[at + 2u], stage_right[at + 3u]);
      }
      for (var i = 0u; i < ROWS; i += 1u) {
        let x = vec4f(stage_left[d * TILE_ROWS + ty + i]);
        for (var j = 0u; j < FOURS; j += 1u) { sums[i * FOURS + j] = fma(x, y[j], sums[i * FOURS + j]); }
      }
    }
    workgroupBarrier();
  }
  for (var i = 0u; i < ROWS; i += 1u) {
    for (var j = 0u; j < FOURS; j += 1u) {
      let row = row0 + ty + i;
      let column = column0 + j * (TILE_COLUMNS / FOURS) + tx;
      let four = sums[i * FOURS + j];
      if (row < numbers.m && column < numbers.n) { keep(batch, row, column, four.x); }
      if (row < numbers.m && column + 1u < numbers.n) { keep(batch, row, column + 1u, four.y); }
      if (row < numbers.m && column + 2u < numbers.n) { keep(batch, row, column + 2u, four.z); }
      if (row < numbers.m && column + 3u < numbers.n) { keep(batch, row, column + 3u, four.w); }
    }
  }
}
