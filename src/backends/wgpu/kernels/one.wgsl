// A thread takes one element at a time.
const WIDTH: u32 = 1u;
alias F = f32;
alias I = u32;

fn total(x: F) -> f32 { return x; }
fn greatest(x: F) -> f32 { return x; }
// Numbers of the elements from `first` on.
fn counted(first: u32) -> I { return first; }
