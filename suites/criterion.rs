//! The one `cargo bench` target: reads the suites, one group a case, one function a contender.

fn main() {}
