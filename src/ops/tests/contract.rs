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
                let exact = !spec.dtype.is_float() || matches!(case.op, Op::Copy(_));
                assert!(if exact { allow == 0.0 } else { allow > 0.0 || value == 0.0 }, "{:?}", case.op);
                let widest = 4096.0 * spec.dtype.roundoff() * scale.max(value.abs()) + spec.dtype.tiny();
                assert!(allow <= widest, "{:?}: {allow} of {scale}", case.op);
            }
        }
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
    use DType::{Bf16, F32, I8, U8};
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
        (Op::Gemm(Gemm::plain(I8)), vec![f(&[2, 3]), f(&[3, 2])], "answers in floating-point"),
        (i8(0), vec![spec(&[2, 3], U8), spec(&[3, 2], U8)], "A must be u8 or i8, and B i8"),
        (i8(256), vec![spec(&[2, 3], U8), spec(&[3, 2], I8)], "zero point"),
        (i8(0), vec![spec(&[1, 65794], U8), spec(&[65794, 1], I8)], "leave 32 bits"),
        (Op::Add(Add {}), vec![f(&[2]), f(&[3])], "one shape and one type"),
        (Op::BiasAdd(BiasAdd {}), vec![f(&[2, 3]), f(&[2])], "columns of the first"),
        (Op::Softmax(Softmax::plain(F32)), vec![f(&[])], "not a scalar"),
        (causal, vec![f(&[5, 3])], "as many columns as rows"),
        (Op::LayerNorm(LayerNorm { eps: 0.0 }), vec![f(&[2, 3]), f(&[3]), f(&[3])], "positive"),
        (Op::LayerNorm(LayerNorm { eps: 1e-5 }), vec![f(&[2, 3]), f(&[3]), f(&[2])], "gain and bias"),
        (attention.clone(), vec![f(&[5, 3]), f(&[4, 3]), f(&[4, 3])], "as many keys as queries"),
        (attention.clone(), vec![f(&[2, 4, 3]), f(&[4, 3]), f(&[4, 3])], "same leading"),
        (attention.clone(), vec![f(&[4, 3]), f(&[4, 2]), f(&[4, 3])], "same last extent"),
        (attention, vec![f(&[4, 3]), f(&[4, 3]), f(&[5, 3])], "as many rows"),
        (adamw(|op| op.step = 0), four(), "counted from 1"),
        (adamw(|op| op.beta1 = 1.0), four(), "in [0, 1)"),
        (adamw(|op| op.eps = -1.0), four(), "positive"),
        (adamw(|_| ()), vec![spec(&[4], Bf16); 4], "f32 or f64"),
        (adamw(|_| ()), vec![f(&[4]), f(&[4]), f(&[4]), f(&[5])], "one shape"),
    ] {
        let error = op.operation().outputs(&args).unwrap_err().to_string();
        assert!(error.contains(sentence), "{error} should say: {sentence}");
        assert!(error.starts_with(op.operation().name()), "{error}");
    }
}
