//! What callers of every op rely on.

use super::*;

#[test]
fn the_tag_in_json_is_the_name() {
    let mut seen = vec![];
    for case in cases() {
        let json = serde_json::to_value(&case.op).unwrap();
        assert_eq!(json["op"], case.op.operation().name());
        assert_eq!(serde_json::from_value::<Op>(json).unwrap(), case.op);
        seen.push(case.op.operation().name());
    }
    seen.dedup();
    assert_eq!(seen, Op::NAMES, "NAMES has every op, in the order of the cases");
}

#[test]
fn units_write_every_output_once_and_in_order() {
    for case in cases() {
        let op = case.op.operation();
        let outputs = op.outputs(&case.specs).unwrap();
        let mut next = vec![0; outputs.len()];
        for unit in 0..op.units(&case.specs) {
            for (next, range) in next.iter_mut().zip(op.writes(&case.specs, unit)) {
                assert_eq!(*next, range.start, "{:?} unit {unit}", case.op);
                *next = range.end;
            }
        }
        let elements: Vec<_> = outputs.iter().map(ValueSpec::elements).collect();
        assert_eq!(next, elements, "{:?}", case.op);
        let lengths: Vec<_> = case.answer().iter().map(Vec::len).collect();
        assert_eq!(lengths, elements, "{:?}", case.op);
    }
}

#[test]
fn what_a_unit_reads_is_all_it_needs() {
    for case in cases() {
        let op = case.op.operation();
        let whole: Vec<Arg> =
            case.specs.iter().zip(&case.data).map(|(spec, data)| Arg::whole(spec, data)).collect();
        for unit in 0..op.units(&case.specs) {
            let reads = op.reads(&case.specs, unit);
            assert_eq!(reads.len(), case.specs.len());
            let parts: Vec<Arg> = case
                .specs
                .iter()
                .zip(reads.iter().zip(&case.data))
                .map(|(spec, (range, data))| Arg::from(spec, range.start, &data[range.clone()]))
                .collect();
            assert_eq!(op.reference(&parts, unit), op.reference(&whole, unit), "{:?}", case.op);
        }
    }
}

#[test]
fn bounds_are_positive_but_small_and_scales_not_below_the_answer() {
    for case in cases() {
        let outputs = case.op.operation().outputs(&case.specs).unwrap();
        for (spec, output) in outputs.iter().zip(case.answer()) {
            for Expected { value, allow, scale } in output {
                if matches!(case.op, Op::Quantize(_)) && !spec.dtype.is_float() {
                    assert!(allow == 0.0 || allow == 1.0, "{:?}: {allow}", case.op);
                    continue;
                }
                let exact = !spec.dtype.is_float() || is_exact(&case);
                assert!(if exact { allow == 0.0 } else { allow > 0.0 || value == 0.0 }, "{:?}", case.op);
                let widest = 4096.0 * spec.dtype.roundoff() * scale.max(value.abs()) + spec.dtype.tiny();
                assert!(allow <= widest, "{:?}: {allow} of {scale}", case.op);
            }
        }
    }
}

/// Whether every answer is one of the numbers that went in.
fn is_exact(case: &Case) -> bool {
    match case.op {
        Op::Copy(_)
        | Op::Rearrange(_)
        | Op::PutRows(_)
        | Op::Embedding(_)
        | Op::Relu(_)
        | Op::ReluGrad(_) => true,
        Op::MaxPool(_) | Op::MaxPoolGrad(_) => true,
        Op::Cast(Cast { output }) => output.size() >= case.specs[0].dtype.size(),
        _ => false,
    }
}

#[test]
fn expansions_have_the_outputs_of_the_fused_op() {
    let mut expanded = 0;
    for case in cases() {
        let op = case.op.operation();
        let Some(Expansion { steps, outputs }) = op.expand(&case.specs) else { continue };
        let mut specs = case.specs.clone();
        for (op, args) in steps {
            let args: Vec<_> = args.iter().map(|&number| specs[number].clone()).collect();
            specs.extend(op.operation().outputs(&args).unwrap());
        }
        let made: Vec<_> = outputs.iter().map(|&number| specs[number].clone()).collect();
        assert_eq!(made, op.outputs(&case.specs).unwrap(), "{:?}", case.op);
        expanded += 1;
    }
    assert!(expanded >= 3);
}

#[test]
fn arguments_that_do_not_fit_are_refused_with_a_sentence() {
    use DType::{Bf16, F16, F32, I8, I32, U8};
    let spec = |shape: &[usize], dtype| ValueSpec::new(shape, dtype);
    let f = |shape: &[usize]| spec(shape, F32);
    let gemm = Op::Gemm(Gemm::plain(F32));
    let i8 = |zero_a| Op::GemmI8(GemmI8 { zero_a, ..GemmI8::default() });
    let causal = Op::Softmax(Softmax { causal: true, ..Softmax::plain(F32) });
    let attention = Op::Attention(Attention { scale: 1.0, causal: true, log_sum_exp: true });
    let adamw = |change: fn(&mut Adamw)| {
        let mut op = Adamw::default();
        change(&mut op);
        Op::Adamw(op)
    };
    let four = || vec![f(&[4]); 4];
    let sgd = |momentum| Op::SgdMomentum(SgdMomentum { momentum, ..SgdMomentum::default() });
    let q8 = |quantized_a| Op::GemmQ8(GemmQ8 { quantized_a });
    let blocks = |k: usize, scales| vec![f(&[2, k]), spec(&[5, k], I8), spec(&[5, scales], F16)];
    let conv = |stride| {
        let padding = [1, 1];
        Op::Conv2d(Conv2d { layout: ImageLayout::Nchw, stride: [1, stride], padding, bias: true })
    };
    let by = Quantize::dynamic;
    let fixed = |scale| Op::Quantize(Quantize { scale: Some(scale), ..by(Granularity::Tensor) });
    let with_zero = |zero, output| Op::Quantize(Quantize { zero, output, ..by(Granularity::Tensor) });
    let dequantize = Op::Dequantize(Dequantize { bias: true });
    let sums = |scale_a: &[usize], scale_b: &[usize], bias: &[usize]| {
        vec![spec(&[2, 3], I32), f(scale_a), f(scale_b), f(bias)]
    };
    let norm_of_sum = Op::AddLayerNorm(AddLayerNorm { eps: 1e-5 });
    for (op, args, sentence) in [
        (gemm.clone(), vec![f(&[2, 3])], "takes 2 arguments"),
        (gemm.clone(), vec![f(&[2, 3]), f(&[2, 3])], "A has 3 columns and B has 2 rows"),
        (gemm.clone(), vec![f(&[3]), f(&[3, 1])], "two axes"),
        (gemm.clone(), vec![f(&[2, 2, 3]), f(&[4, 3, 1])], "leading axes"),
        (gemm.clone(), vec![f(&[2, 0]), f(&[0, 3])], "extent of zero"),
        (gemm.clone(), vec![f(&[2, 3]), spec(&[3, 2], Bf16)], "one type"),
        (gemm.clone(), vec![spec(&[2, 3], I8), spec(&[3, 2], I8)], "floating-point"),
        (gemm, vec![f(&[1 << 31, 1]), f(&[1, 1 << 31])], "larger than the address space"),
        (
            Op::Gemm(Gemm { beta: 1.0, ..Gemm::plain(F32) }),
            vec![f(&[2, 3]), f(&[3, 2]), f(&[3, 2])],
            "shape and the type of D",
        ),
        (Op::Gemm(Gemm { alpha: f64::NAN, ..Gemm::plain(F32) }), vec![f(&[2, 3]), f(&[3, 2])], "finite"),
        (
            Op::Gemm(Gemm { factors: Factors::Tf32, ..Gemm::plain(F32) }),
            vec![spec(&[2, 3], Bf16), spec(&[3, 2], Bf16)],
            "only factors in f32",
        ),
        (Op::Gemm(Gemm::plain(I8)), vec![f(&[2, 3]), f(&[3, 2])], "answers in floating-point"),
        (i8(0), vec![spec(&[2, 3], U8), spec(&[3, 2], U8)], "A must be u8 or i8, and B i8"),
        (i8(256), vec![spec(&[2, 3], U8), spec(&[3, 2], I8)], "zero point"),
        (i8(0), vec![spec(&[1, 65794], U8), spec(&[65794, 1], I8)], "leave 32 bits"),
        (q8(false), blocks(48, 2), "multiple of 32"),
        (q8(false), blocks(64, 1), "one scale for each block"),
        (q8(true), blocks(64, 2), "takes 4 arguments"),
        (q8(false), vec![f(&[2, 32]), spec(&[5, 32], I8), f(&[5, 1])], "its scales f16"),
        (q8(false), vec![spec(&[2, 32], Bf16), spec(&[5, 32], I8), spec(&[5, 1], F16)], "A must be f32"),
        (
            q8(false),
            vec![f(&[2, 64]), spec(&[5, 32], I8), spec(&[5, 1], F16)],
            "A has 64 columns and B has 32",
        ),
        (conv(1), vec![f(&[1, 2, 5, 5]), f(&[3, 4, 3, 3]), f(&[3])], "x has 2 channels and the weights 4"),
        (conv(1), vec![f(&[1, 2, 5, 5]), f(&[3, 2, 3, 3]), f(&[2])], "one number a channel"),
        (conv(1), vec![f(&[1, 2, 5, 5]), f(&[3, 2, 8, 3]), f(&[3])], "fit into the padded image"),
        (conv(0), vec![f(&[1, 2, 5, 5]), f(&[3, 2, 3, 3]), f(&[3])], "stride of zero"),
        (conv(1), vec![f(&[2, 5, 5]), f(&[3, 2, 3, 3]), f(&[3])], "four axes"),
        (fixed(0.0), vec![f(&[2, 3])], "positive"),
        (fixed(1e-60), vec![f(&[2, 3])], "positive"),
        (with_zero(1, I8), vec![f(&[2, 3])], "must be 0 in i8"),
        (with_zero(256, U8), vec![f(&[2, 3])], "from 0 to 255"),
        (with_zero(0, I32), vec![f(&[2, 3])], "i8 or u8"),
        (with_zero(0, I8), vec![spec(&[2, 3], Bf16)], "takes f32"),
        (Op::Quantize(by(Granularity::Block)), vec![f(&[2, 33])], "blocks of 32 must fill the rows"),
        (
            Op::Quantize(Quantize { scale: Some(0.5), ..by(Granularity::Row) }),
            vec![f(&[2, 3])],
            "one for all elements",
        ),
        (dequantize.clone(), sums(&[3], &[3], &[3]), "one for each row"),
        (dequantize.clone(), sums(&[2], &[2], &[3]), "one for each column"),
        (dequantize.clone(), sums(&[], &[], &[2]), "the bias"),
        (dequantize, vec![f(&[2, 3]), f(&[]), f(&[]), f(&[3])], "rows of i32"),
        (Op::Add(Add {}), vec![f(&[2]), f(&[3])], "one shape and one type"),
        (Op::BiasAdd(BiasAdd {}), vec![f(&[2, 3]), f(&[2])], "columns of the first"),
        (Op::Softmax(Softmax::plain(F32)), vec![f(&[])], "not a scalar"),
        (causal, vec![f(&[5, 3])], "as many columns as rows"),
        (Op::LayerNorm(LayerNorm { eps: 0.0 }), vec![f(&[2, 3]), f(&[3]), f(&[3])], "positive"),
        (Op::LayerNorm(LayerNorm { eps: 1e-5 }), vec![f(&[2, 3]), f(&[3]), f(&[2])], "gain and bias"),
        (norm_of_sum.clone(), vec![f(&[2, 3]), f(&[3, 2]), f(&[3]), f(&[3])], "the shape and the type of x"),
        (norm_of_sum, vec![f(&[2, 3]), f(&[2, 3]), f(&[2]), f(&[3])], "gain and bias"),
        (attention.clone(), vec![f(&[5, 3]), f(&[4, 3]), f(&[4, 3])], "as many keys as queries"),
        (attention.clone(), vec![f(&[2, 4, 3]), f(&[4, 3]), f(&[4, 3])], "same leading"),
        (attention.clone(), vec![f(&[4, 3]), f(&[4, 2]), f(&[4, 3])], "same last extent"),
        (attention, vec![f(&[4, 3]), f(&[4, 3]), f(&[5, 3])], "as many rows"),
        (adamw(|op| op.step = 0), four(), "counted from 1"),
        (adamw(|op| op.beta1 = 1.0), four(), "in [0, 1)"),
        (adamw(|op| op.eps = -1.0), four(), "positive"),
        (adamw(|_| ()), vec![spec(&[4], Bf16); 4], "f32 or f64"),
        (adamw(|_| ()), vec![f(&[4]), f(&[4]), f(&[4]), f(&[5])], "one shape"),
        (sgd(1.0), vec![f(&[4]); 3], "in [0, 1)"),
        (sgd(0.9), vec![spec(&[4], Bf16); 3], "f32 or f64"),
        (sgd(0.9), vec![f(&[4]), f(&[5]), f(&[4])], "one shape"),
    ] {
        let error = op.operation().outputs(&args).unwrap_err().to_string();
        assert!(error.contains(sentence), "{error} should say: {sentence}");
        assert!(error.starts_with(op.operation().name()), "{error}");
    }
}
