// Scales of blocks in f16, as they are kept.
struct Numbers { count: u32 }
@group(0) @binding(0) var<storage, read_write> scales: array<f32>;
@group(0) @binding(1) var<storage, read_write> kept: array<f16>;
@group(0) @binding(2) var<uniform> numbers: Numbers;

@compute @workgroup_size(GROUP)
fn narrow_scales(thread: Thread) {
  let i = thread_number(thread);
  if (i < numbers.count) { kept[i] = f16(scales[i]); }
}
