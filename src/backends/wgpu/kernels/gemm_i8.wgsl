// D = (A - za)(B - zb) in integers, exact: dot products of four bytes, which are one word. A word of the stages holds
// four neighbouring depths of a line; A in u8 is taken as A - 128 in i8. With a and b as they lie, and za less 128 too:
//   D = sum a b - za sum b - zb sum a + k za zb
// WORDS_A, WORDS_B: words lie in memory as the stages want them.
struct Numbers { m: u32, n: u32, k: u32, batches: u32, stride_b: u32, zero_a: i32, zero_b: i32 }
@group(0) @binding(0) var<storage, read> a: array<u32>;
@group(0) @binding(1) var<storage, read> b: array<u32>;
@group(0) @binding(2) var<storage, read_write> d: array<i32>;
@group(0) @binding(3) var<uniform> numbers: Numbers;

const ONES: u32 = 0x01010101u;
var<workgroup> stage_a: array<u32, DEPTH * TILE_ROWS>;
var<workgroup> stage_b: array<u32, DEPTH * TILE_COLUMNS>;

fn byte_of_a(at: u32) -> u32 { return (a[at / 4u] >> (8u * (at % 4u))) & 0xFFu; }
fn byte_of_b(at: u32) -> u32 { return (b[at / 4u] >> (8u * (at % 4u))) & 0xFFu; }

// Depths `depth..depth + 4` of a row of A in i8; 0 beyond the last.
fn word_of_a(first: u32, row: u32, depth: u32) -> u32 {
  if (WORDS_A) { return a[(first + row * numbers.k + depth) / 4u] ^ FLIP; }
  var word = 0u;
  for (var i = 0u; i < 4u && depth + i < numbers.k; i += 1u) {
    let at = select(row * numbers.k + depth + i, (depth + i) * numbers.m + row, TRANS_A);
    word |= (byte_of_a(first + at) ^ (FLIP & 0xFFu)) << (8u * i);
  }
  return word;
}

fn word_of_b(first: u32, depth: u32, column: u32) -> u32 {
  if (WORDS_B) { return b[(first + column * numbers.k + depth) / 4u]; }
  var word = 0u;
  for (var i = 0u; i < 4u && depth + i < numbers.k; i += 1u) {
    let at = select((depth + i) * numbers.n + column, column * numbers.k + depth + i, TRANS_B);
    word |= byte_of_b(first + at) << (8u * i);
  }
  return word;
}

@compute @workgroup_size(GROUP)
fn gemm_i8(thread: Thread) {
  let across = (numbers.n + TILE_COLUMNS - 1u) / TILE_COLUMNS;
  let down = (numbers.m + TILE_ROWS - 1u) / TILE_ROWS;
  let tile = group_number(thread);
  let batch = tile / across / down;
  if (batch >= numbers.batches) { return; }
  let row0 = tile / across % down * TILE_ROWS;
  let column0 = tile % across * TILE_COLUMNS;
  let first_a = batch * numbers.m * numbers.k;
  let first_b = batch * numbers.stride_b;
  let tx = thread.lane % (TILE_COLUMNS / COLUMNS);
  let ty = thread.lane / (TILE_COLUMNS / COLUMNS);

  var sums: array<i32, ROWS * COLUMNS>;
  var sums_a: array<i32, ROWS>;
  var sums_b: array<i32, COLUMNS>;
  for (var depth = 0u; depth < numbers.k; depth += 4u * DEPTH) {
    for (var i = thread.lane; i < DEPTH * TILE_ROWS; i += GROUP) {
      let at = depth + 4u * (i % DEPTH);
      let row = row0 + i / DEPTH;
      var word = 0u;
      if (at < numbers.k && row < numbers.m) { word = word_of_a(first_a, row, at); }
      stage_a[i % DEPTH * TILE_ROWS + i / DEPTH] = word;
    }
    for (var i = thread.lane; i < DEPTH * TILE_COLUMNS; i += GROUP) {
      let d = select(i / TILE_COLUMNS, i % DEPTH, TRANS_B);
      let line = select(i % TILE_COLUMNS, i / DEPTH, TRANS_B);
      let at = depth + 4u * d;
      var word = 0u;
      if (at < numbers.k && column0 + line < numbers.n) { word = word_of_b(first_b, at, column0 + line); }
      stage_b[d * TILE_COLUMNS + line] = word;
    }
    workgroupBarrier();
    for (var d = 0u; d < DEPTH; d += 1u) {
      var y: array<u32, COLUMNS>;
      for (var j = 0u; j < COLUMNS; j += 1u) {
        y[j] = stage_b[d * TILE_COLUMNS + tx + j * (TILE_COLUMNS / COLUMNS)];
        sums_b[j] += dot4I8Packed(y[j], ONES);
      }
      for (var i = 0u; i < ROWS; i += 1u) {
        let x = stage_a[d * TILE_ROWS + ty * ROWS + i];
        sums_a[i] += dot4I8Packed(x, ONES);
        for (var j = 0u; j < COLUMNS; j += 1u) { sums[i * COLUMNS + j] += dot4I8Packed(x, y[j]); }
      }
    }
    workgroupBarrier();
  }
  for (var i = 0u; i < ROWS; i += 1u) {
    for (var j = 0u; j < COLUMNS; j += 1u) {
      let row = row0 + ty * ROWS + i;
      let column = column0 + tx + j * (TILE_COLUMNS / COLUMNS);
      if (row < numbers.m && column < numbers.n) {
        let all = sums[i * COLUMNS + j] - numbers.zero_a * sums_b[j] - numbers.zero_b * sums_a[i]
          + i32(numbers.k) * numbers.zero_a * numbers.zero_b;
        d[(batch * numbers.m + row) * numbers.n + column] = all;
      }
    }
  }
}
