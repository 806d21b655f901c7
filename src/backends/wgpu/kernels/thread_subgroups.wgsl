// Who a thread is, and sums and maxima over a workgroup, which has one row: subgroups add up their threads, and the
// workgroup its subgroups.
struct Thread {
  @builtin(local_invocation_index) lane: u32,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(subgroup_invocation_id) place: u32,
  @builtin(subgroup_id) subgroup: u32,
  @builtin(num_subgroups) subgroups: u32,
}

// As many as there are where a subgroup is one thread.
var<workgroup> parts: array<f32, GROUP>;

fn row_sum(value: f32, thread: Thread) -> f32 {
  let own = subgroupAdd(value);
  // Everybody is done with the parts of the last sum.
  workgroupBarrier();
  if (thread.place == 0u) { parts[thread.subgroup] = own; }
  workgroupBarrier();
  var sum = parts[0];
  for (var other = 1u; other < thread.subgroups; other += 1u) { sum += parts[other]; }
  return sum;
}

fn row_most(value: f32, thread: Thread) -> f32 {
  let own = subgroupMax(value);
  workgroupBarrier();
  if (thread.place == 0u) { parts[thread.subgroup] = own; }
  workgroupBarrier();
  var most = parts[0];
  for (var other = 1u; other < thread.subgroups; other += 1u) { most = max(most, parts[other]); }
  return most;
}
