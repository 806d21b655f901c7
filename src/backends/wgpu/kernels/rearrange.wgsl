// The same elements in another order, bit for bit, a word W at a time: what one argument gives to one output. Runs of
// `len` words stay together; the axes of the answer, in runs, have extents e and strides s.
struct Numbers {
  count: u32, first_y: u32, first_x: u32, each_x: u32, len: u32,
  e0: u32, e1: u32, e2: u32, e3: u32, e4: u32, e5: u32, s0: u32, s1: u32, s2: u32, s3: u32, s4: u32, s5: u32,
}
@group(0) @binding(0) var<storage, read> x: array<W>;
@group(0) @binding(1) var<storage, read_write> y: array<W>;
@group(0) @binding(2) var<uniform> numbers: Numbers;

@compute @workgroup_size(GROUP)
fn rearrange(thread: Thread) {
  let i = thread_number(thread);
  if (i >= numbers.count) { return; }
  let at = numbers.first_y + i;
  var run = at / numbers.len;
  var source = run % numbers.e5 * numbers.s5;
  run /= numbers.e5;
  source += run % numbers.e4 * numbers.s4;
  run /= numbers.e4;
  source += run % numbers.e3 * numbers.s3;
  run /= numbers.e3;
  source += run % numbers.e2 * numbers.s2;
  run /= numbers.e2;
  source += run % numbers.e1 * numbers.s1;
  run /= numbers.e1;
  source += run % numbers.e0 * numbers.s0;
  let source_at = source * numbers.len + at % numbers.len;
  if (source_at >= numbers.first_x && source_at - numbers.first_x < numbers.each_x) { y[i] = x[source_at - numbers.first_x]; }
}
