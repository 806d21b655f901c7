//! What 8 bits cost in right answers, beside what they gain in time: a network of two layers is trained here
//! on handwritten digits, quantised, and asked about digits that it has not seen.
//!
//! Everything is computed by the ops' own references, so that it holds for every backend whose answers
//! are verified against them. No data, no claim: without the digits there is a reason, never a number.

mod digits;
mod layer;
mod network;
mod tensor;
mod train;

pub use digits::{Digits, Missing, fetched, split};
pub use layer::layer_error;
pub use network::{Network, Scheme};
pub use train::{Training, train};

use serde::Serialize;

/// How often one scheme answered right.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Accuracy {
    /// How the layers were computed.
    pub scheme: Scheme,
    /// Images that the network had not seen.
    pub tested: usize,
    /// Those that it named right.
    pub correct: usize,
    /// Those to which it gave the answer of the f32 network, right or wrong.
    pub agreed: usize,
    /// Bytes of the weights and their scales.
    pub weight_bytes: u64,
}

/// Training images that fix the scales of [`Scheme::Static`]: none of them is tested.
const CALIBRATION: usize = 256;

/// Trains on one part, tests every scheme on the other. About two seconds for 4,000 images.
pub fn of_schemes(training: &Digits, tested: &Digits, settings: &Training) -> Vec<Accuracy> {
    let network = train(training, settings);
    let scales = network.calibrate(&training.first(CALIBRATION));
    let rows = Scheme::ALL.map(|scheme| (scheme, network.answers(scheme, scales, tested)));
    let in_f32 = rows[0].1.clone();
    let same =
        |answers: &[usize], wanted: &[usize]| answers.iter().zip(wanted).filter(|(a, b)| a == b).count();
    let row = |(scheme, answers): (Scheme, Vec<usize>)| Accuracy {
        scheme,
        tested: tested.len(),
        correct: same(&answers, &tested.labels),
        agreed: same(&answers, &in_f32),
        weight_bytes: network.weight_bytes(scheme),
    };
    rows.map(row).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Images of noise with a bright stripe that stands where the digit says.
    fn stripes(count: usize) -> Digits {
        let mut digits = Digits::default();
        for image in 0..count {
            let label = image % 10;
            let pixel = |at: usize| {
                let noise =
                    (crate::random::bits(9, image as u64, at as u64) >> 40) as f32 / (1u64 << 24) as f32;
                if at / 28 / 2 == label { 0.6 + 0.4 * noise } else { 0.6 * noise }
            };
            digits.pixels.extend((0..28 * 28).map(pixel));
            digits.labels.push(label);
        }
        digits
    }

    #[test]
    fn a_network_learns_and_8_bits_hardly_forget() {
        let [training, tested] = split(&stripes(400), 1);
        let settings = Training { epochs: 6, ..Training::default() };
        let rows = of_schemes(&training, &tested, &settings);
        assert_eq!(rows.len(), Scheme::ALL.len());
        for row in &rows {
            assert_eq!(row.tested, 80);
            assert!(row.correct >= 76 && row.agreed >= 76, "{row:?}");
        }
        assert_eq!((rows[0].agreed, rows[0].weight_bytes), (80, 4 * (784 * 128 + 128 * 10)));
        assert_eq!(rows[2].weight_bytes, 784 * 128 + 128 * 10 + 4 * 138);
        assert_eq!(of_schemes(&training, &tested, &settings), rows, "the same seed, the same network");
        let untrained = of_schemes(&training, &tested, &Training { epochs: 0, ..settings });
        assert!(untrained[0].correct < 40, "{untrained:?}");
    }
}
