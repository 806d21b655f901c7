// A thread takes four elements at a time.
const WIDTH: u32 = 4u;
alias F = vec4f;
alias I = vec4u;

fn total(x: F) -> f32 { return x.x + x.y + x.z + x.w; }
fn greatest(x: F) -> f32 { return max(max(x.x, x.y), max(x.z, x.w)); }
// Numbers of the elements from `first` on.
fn counted(first: u32) -> I { return vec4u(first, first + 1u, first + 2u, first + 3u); }
