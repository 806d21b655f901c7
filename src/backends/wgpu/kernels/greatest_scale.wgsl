// The largest of some scales. One workgroup.
struct Numbers { count: u32 }
@group(0) @binding(0) var<storage, read_write> scales: array<f32>;
@group(0) @binding(1) var<storage, read_write> scale: array<f32>;
@group(0) @binding(2) var<uniform> numbers: Numbers;

@compute @workgroup_size(GROUP)
fn greatest_scale(thread: Thread) {
  var most = 0.0;
  for (var i = thread.lane; i < numbers.count; i += GROUP) { most = max(most, scales[i]); }
  most = row_most(most, thread);
  if (thread.lane == 0u && group_number(thread) == 0u) { scale[0] = most; }
}
