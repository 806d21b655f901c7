// A in blocks as B is: the product of four is an integer.
alias X = u32;
fn product_of(at: u32, weights: vec4i) -> f32 {
  let four = unpack4xI8(a[at]) * weights;
  return f32(four.x + four.y + four.z + four.w);
}
fn scale_of_a(block: u32) -> f32 { return f32(scales_a[block]); }
