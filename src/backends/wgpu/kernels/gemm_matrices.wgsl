// D = A B in f32 from f16 by cooperative matrices of 16 x 16, extents multiples of 16. A subgroup makes one.
struct Numbers { m: u32, n: u32, k: u32, batches: u32, stride_b: u32 }
@group(0) @binding(0) var<storage, read> a: array<f16>;
@group(0) @binding(1) var<storage, read> b: array<f16>;
@group(0) @binding(2) var<storage, read_write> d: array<f32>;
@group(0) @binding(3) var<uniform> numbers: Numbers;

@compute @workgroup_size(GROUP)
fn gemm_matrices(thread: Thread) {
  let across = numbers.n / 16u;
  let down = numbers.m / 16u;
  let tile = group_number(thread);
  let batch = tile / across / down;
  if (batch >= numbers.batches) { return; }
  let row = tile / across % down * 16u;
  let column = tile % across * 16u;
  let width = numbers.n;
  let depth = numbers.k;
  let first_a = batch * numbers.m * depth + row * depth;
  let first_b = batch * numbers.stride_b + column;
  var sum = coop_mat16x16<f32, C>();
  for (var k = 0u; k < depth; k += 16u) {
    let x = coopLoadT<coop_mat16x16<f16, A>>(&a[first_a + k], depth);
    let y = coopLoadT<coop_mat16x16<f16, B>>(&b[first_b + k * width], width);
    sum = coopMultiplyAdd(x, y, sum);
  }
  // naga wants what it stores to have names.
  let answer = sum;
  let at = (batch * numbers.m + row) * width + column;
  coopStoreT(answer, &d[at], width);
}
