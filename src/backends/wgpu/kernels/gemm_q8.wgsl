// D = A B^T, B in blocks of 32 numbers of 8 bits that share a scale in f16 (ggml's Q8_0). LANES threads make ROWS rows of
// one column, so that a weight is read once for all of them; a thread takes four neighbouring weights, which are one
// word, at a time. Made for few rows, where reading the weights sets the pace.
struct Numbers { m: u32, n: u32, k: u32 }
@group(0) @binding(0) var<storage, read> a: array<X>;
@group(0) @binding(1) var<storage, read> scales_a: array<S>;
@group(0) @binding(2) var<storage, read> b: array<u32>;
@group(0) @binding(3) var<storage, read> scales_b: array<f16>;
@group(0) @binding(4) var<storage, read_write> d: array<f32>;
@group(0) @binding(5) var<uniform> numbers: Numbers;

@compute @workgroup_size(GROUP)
fn gemm_q8(thread: Thread) {
  let across = (numbers.n + GROUP / LANES - 1u) / (GROUP / LANES);
  let column = group_number(thread) % across * (GROUP / LANES) + thread.lane / LANES;
  let row0 = group_number(thread) / across * ROWS;
  let lane = thread.lane % LANES;
  let words = select(0u, numbers.k / 4u, column < numbers.n);
  var sums: array<f32, ROWS>;
  for (var word = lane; word < words; word += LANES) {
    let weights = unpack4xI8(b[column * (numbers.k / 4u) + word]);
    let scale = f32(scales_b[column * (numbers.k / 32u) + word / 8u]);
    for (var r = 0u; r < ROWS; r += 1u) {
      let row = row0 + r;
      if (row < numbers.m) {
        let at = row * (numbers.k / 4u) + word;
        sums[r] += product_of(at, weights) * scale * scale_of_a(at / 8u);
      }
    }
  }
  for (var r = 0u; r < ROWS; r += 1u) {
    let sum = row_sum(sums[r], thread);
    if (lane == 0u && row0 + r < numbers.m && column < numbers.n) { d[(row0 + r) * numbers.n + column] = sum; }
  }
}
