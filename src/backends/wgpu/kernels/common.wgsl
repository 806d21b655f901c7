// What kernels share.

// Stands in for minus infinity, which WGSL may not be asked for.
const LOWEST: f32 = -3.4028235e38;

// Number of this workgroup: a launch of more than fit along x is folded into y.
fn group_number(thread: Thread) -> u32 { return thread.group.x + thread.group.y * thread.groups.x; }

// Number of this thread among all of the launch.
fn thread_number(thread: Thread) -> u32 { return group_number(thread) * GROUP + thread.lane; }
