// A in f32, four at a time.
alias X = vec4f;
alias S = f32;
fn product_of(at: u32, weights: vec4i) -> f32 { return dot(a[at], vec4f(weights)); }
fn scale_of_a(block: u32) -> f32 { return 1.0; }
