// Who a thread is, and sums and maxima over the LANES threads that share a row.
struct Thread {
  @builtin(local_invocation_index) lane: u32,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
}

var<workgroup> parts: array<f32, GROUP>;

fn row_sum(value: f32, thread: Thread) -> f32 {
  // Everybody is done with the parts of the last sum.
  workgroupBarrier();
  parts[thread.lane] = value;
  for (var half = LANES / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (thread.lane % LANES < half) { parts[thread.lane] += parts[thread.lane + half]; }
  }
  workgroupBarrier();
  return parts[thread.lane / LANES * LANES];
}

fn row_most(value: f32, thread: Thread) -> f32 {
  workgroupBarrier();
  parts[thread.lane] = value;
  for (var half = LANES / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (thread.lane % LANES < half) { parts[thread.lane] = max(parts[thread.lane], parts[thread.lane + half]); }
  }
  workgroupBarrier();
  return parts[thread.lane / LANES * LANES];
}
