//! The accuracy that 8 bits cost on real digits. Where they have not been fetched, that is said and proves nothing;
//! `REQUIRE_DATA=digits` makes their absence a failure.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where it cannot go on")]

use cutgpu::accuracy::{Scheme, Training, fetched, of_schemes, split};

#[test]
fn int8_answers_as_f32_on_real_digits() {
    let digits = match fetched() {
        Ok(digits) => digits,
        Err(missing) => {
            let required = std::env::var("REQUIRE_DATA").unwrap_or_default();
            assert!(!required.split(',').any(|name| name == "digits"), "{missing}");
            return println!("not tried: {missing}");
        }
    };
    let [training, tested] = split(&digits, 1);
    assert_eq!((training.len(), tested.len()), (4000, 1000));
    let rows = of_schemes(&training, &tested, &Training::default());
    for row in &rows {
        println!(
            "{:14?} {:5.1} % right, {:5.1} % as f32, {} bytes of weights",
            row.scheme,
            100.0 * row.correct as f64 / row.tested as f64,
            100.0 * row.agreed as f64 / row.tested as f64,
            row.weight_bytes
        );
    }
    assert_eq!(rows[0].scheme, Scheme::F32);
    assert!(rows[0].correct >= 920, "two layers reach 94 % on as few images: {:?}", rows[0]);
    for row in &rows[1..] {
        assert!(row.correct + 10 >= rows[0].correct, "8 bits cost more than 1 %: {row:?}");
    }
}
