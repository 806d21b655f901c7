//! What the answers of a linear layer lose where its numbers have fewer bits: the whole way from numbers of many
//! digits, which no backend's verification sees, because there the inputs already are what they are.

use super::tensor::{Tensor, apply};
use crate::ops::{Dequantize, Gemm, GemmI8, GemmQ8, Granularity, Op, Quantize};
use crate::random::{Fill, fill};
use crate::tensor::DType;
use crate::workloads::{Param, Params};

/// Rows and columns of the sample.
const ROWS: usize = 16;
const COLUMNS: usize = 32;

/// Root of the mean square of (answer - truth) over that of the truth, for the layer or product of this name at
/// this point; none where the point has no `k` or the workload is no such thing.
///
/// The truth is x W in f64; x is uniform on [-1, 1), a column of W on a bound of its own between half and one
/// and a half times the usual one, so that scales by channel have something to gain. Answers are the ops'
/// references with every factor and result rounded as the workload rounds it: what any backend computes whose
/// answers were verified, up to the order of its sums.
pub fn layer_error(workload: &str, point: &Params) -> Option<f64> {
    let Some(Param::Int(k)) = point.get("k") else { return None };
    let sample = Sample::new(usize::try_from(*k).ok()?)?;
    let is = |axis: &str, value: &str| matches!(point.get(axis), Some(Param::Text(text)) if text == value);
    let answer = match workload {
        "gemm" | "linear" => {
            let [input, output] = match point.get("dtype") {
                Some(Param::Text(dtype)) => match dtype.as_str() {
                    "bf16" => [DType::Bf16; 2],
                    "f16" => [DType::F16; 2],
                    "f8e4m3" => [DType::F8e4m3, if is("out", "f32") { DType::F32 } else { DType::Bf16 }],
                    // Whether factors were rounded is the backend's choice.
                    "tf32" => return None,
                    _ => [DType::F32; 2],
                },
                _ => [DType::F32; 2],
            };
            sample.in_floats(input, output)
        }
        "linear_i8" => {
            let activations = Quantize {
                scale: is("mode", "static").then_some(1.0 / 127.0),
                ..Quantize::dynamic(if is("per", "row") { Granularity::Row } else { Granularity::Tensor })
            };
            let weights = if is("weights", "channel") { Granularity::Row } else { Granularity::Tensor };
            sample.in_bytes(activations, weights)
        }
        "gemm_q8" | "linear_q8" => sample.in_blocks(is("activations", "q8"))?,
        _ => return None,
    };
    Some(relative(&answer, &sample.truth()))
}

/// Rows of x and columns of W, in f64.
struct Sample {
    k: usize,
    x: Vec<f64>,
    /// By columns of W.
    w: Vec<f64>,
}

impl Sample {
    fn new(k: usize) -> Option<Self> {
        const SEED: u64 = 1;
        let numbers =
            |value: u64, count: usize| fill(Fill::UNIT, SEED, value, DType::F64, 0..count).to_f64(0..count);
        let size = |column: usize| 0.5 + column as f64 / COLUMNS as f64;
        let w = numbers(1, COLUMNS * k).iter().enumerate().map(|(at, w)| size(at / k) * w).collect();
        (k > 0).then(|| Self { k, x: numbers(0, ROWS * k), w })
    }

    fn x(&self, dtype: DType) -> Tensor {
        Tensor::new(&[ROWS, self.k], dtype, self.x.iter().copied())
    }

    fn w(&self, dtype: DType) -> Tensor {
        Tensor::new(&[COLUMNS, self.k], dtype, self.w.iter().copied())
    }

    fn truth(&self) -> Vec<f64> {
        let dot = |x: &[f64], w: &[f64]| x.iter().zip(w).map(|(x, w)| x * w).sum();
        let columns = || self.w.chunks_exact(self.k);
        self.x.chunks_exact(self.k).flat_map(|x| columns().map(move |w| dot(x, w))).collect()
    }

    fn in_floats(&self, input: DType, output: DType) -> Vec<f64> {
        let gemm = Gemm { trans_b: true, ..Gemm::plain(output) };
        apply(Op::Gemm(gemm), &[&self.x(input), &self.w(input)]).remove(0).data
    }

    fn in_bytes(&self, activations: Quantize, weights: Granularity) -> Vec<f64> {
        let given = activations.scale.map(|scale| Tensor::new(&[], DType::F32, [scale]));
        let x = apply(Op::Quantize(activations), &[&self.x(DType::F32)]);
        let w = apply(Op::Quantize(Quantize::dynamic(weights)), &[&self.w(DType::F32)]);
        let product = GemmI8 { trans_b: true, ..GemmI8::default() };
        let sums = apply(Op::GemmI8(product), &[&x[0], &w[0]]);
        let scale = given.as_ref().unwrap_or_else(|| &x[1]);
        apply(Op::Dequantize(Dequantize { bias: false }), &[&sums[0], scale, &w[1]]).remove(0).data
    }

    /// None where blocks do not fill the depth.
    fn in_blocks(&self, quantized_a: bool) -> Option<Vec<f64>> {
        if !self.k.is_multiple_of(crate::ops::BLOCK) {
            return None;
        }
        let blocks = |x: Tensor| apply(Op::Quantize(Quantize::dynamic(Granularity::Block)), &[&x]);
        let (x, w) = (self.x(DType::F32), blocks(self.w(DType::F32)));
        let mut args = if quantized_a { blocks(x) } else { vec![x] };
        args.extend(w);
        let args: Vec<&Tensor> = args.iter().collect();
        Some(apply(Op::GemmQ8(GemmQ8 { quantized_a }), &args).remove(0).data)
    }
}

fn relative(answer: &[f64], truth: &[f64]) -> f64 {
    let square = |values: &mut dyn Iterator<Item = f64>| values.map(|x| x * x).sum::<f64>();
    let error = square(&mut answer.iter().zip(truth).map(|(a, t)| a - t));
    (error / square(&mut truth.iter().copied())).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(workload: &str, words: &[(&str, &str)]) -> f64 {
        let mut point: Params = [("k".to_string(), Param::Int(768))].into_iter().collect();
        point.extend(words.iter().map(|(axis, text)| (axis.to_string(), Param::Text(text.to_string()))));
        layer_error(workload, &point).unwrap()
    }

    #[test]
    fn fewer_bits_cost_what_their_steps_say() {
        // Rounding to steps of s has a mean square of s^2 / 12; numbers on [-b, b) one of b^2 / 3, so 127 steps a
        // side cost 0.5 / 127 of each factor; both together a root of two more. bf16 rounds to 2^-9 at most.
        let step = 0.5 / 127.0;
        for (workload, words, least, most) in [
            ("linear", vec![("dtype", "f32")], 1e-9, 1e-6),
            ("linear", vec![("dtype", "bf16")], 0.5 / 512.0, 2.0 / 512.0),
            ("gemm", vec![("dtype", "f8e4m3")], 0.5 / 16.0, 2.0 / 16.0),
            ("linear_i8", vec![("mode", "static"), ("weights", "channel")], 1.1 * step, 1.7 * step),
            (
                "linear_i8",
                vec![("mode", "dynamic"), ("per", "row"), ("weights", "channel")],
                1.1 * step,
                1.7 * step,
            ),
            ("linear_q8", vec![("activations", "f32")], 0.6 * step, 1.2 * step),
            ("gemm_q8", vec![("activations", "q8")], 0.9 * step, 1.6 * step),
        ] {
            let error = error(workload, &words);
            assert!((least..most).contains(&error), "{workload} {words:?}: {error}, {step}");
        }
        let of = |weights| error("linear_i8", &[("mode", "dynamic"), ("weights", weights)]);
        assert!(of("tensor") > 1.1 * of("channel"), "{} {}", of("tensor"), of("channel"));
        assert!(layer_error("attention", &Params::new()).is_none());
    }
}
