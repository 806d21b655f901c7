//! The tables here are twins of the scripts', and the scripts start.

use super::*;
use crate::backends::testing::{single, squares};
use crate::ops::*;
use crate::random;
use std::process::{Command, Stdio};

const LIBRARIES: [&Python; 5] = [&NUMPY, &TORCH, &TORCH_COMPILED, &ORT, &ORT_TUNED];

fn lane(packing: Packing) -> Lane {
    Lane { threads: 1, packing }
}

fn is_served(library: &Python, op: &Op, args: &[ValueSpec]) -> bool {
    let program = single(op.clone(), args, &[]);
    library.supports(&lane(Packing::Plain), &program.steps[0], &program).is_ok()
}

/// An op and whether numpy, PyTorch and ONNX Runtime serve it.
#[test]
fn the_tables_follow_the_scripts() {
    use DType::{Bf16, F8e4m3, F16, F32, F64, I8, U8};
    let rows = |dtype| vec![ValueSpec::new(&[4, 4], dtype), ValueSpec::new(&[4], dtype)];
    let normal = |dtype| [rows(dtype), rows(dtype)[1..].to_vec()].concat();
    let cube = |dtype| vec![ValueSpec::new(&[2, 4, 4], dtype); 3];
    let softmax = |output| Op::Softmax(Softmax::plain(output));
    let gelu = |form| Op::Gelu(Gelu { form });
    let bias_gelu = Op::BiasGelu(BiasGelu { form: GeluForm::Tanh });
    let gemm = |output| Op::Gemm(Gemm::plain(output));
    let exact = crate::host::cpuid::adds_bytes_exactly();
    let i8 = |zero_a| Op::GemmI8(GemmI8 { zero_a, ..GemmI8::default() });
    let attention = |log_sum_exp| Op::Attention(Attention { scale: 1.0, causal: true, log_sum_exp });
    let one = |dtype| ValueSpec::new(&[], dtype);
    let sums = vec![ValueSpec::new(&[4, 4], DType::I32), one(F32), one(F32)];
    let layer_norm = Op::LayerNorm(LayerNorm { eps: 1e-5 });
    let conv = |layout| Op::Conv2d(Conv2d { layout, stride: [1, 1], padding: [0, 0], bias: false });
    let images = vec![ValueSpec::new(&[4; 4], F32); 2];
    for (op, args, want) in [
        (gelu(GeluForm::Tanh), squares(&[F32]), [true, true, true]),
        (gelu(GeluForm::Erf), squares(&[F32]), [false, true, true]),
        (gelu(GeluForm::Tanh), squares(&[F16]), [false, true, false]),
        (bias_gelu.clone(), rows(F32), [false, true, true]),
        (bias_gelu, rows(Bf16), [false, false, false]),
        (softmax(F32), squares(&[F32]), [true, true, true]),
        (softmax(Bf16), squares(&[F32]), [false, true, false]),
        (softmax(F64), squares(&[F64]), [true, true, false]),
        (layer_norm.clone(), normal(F32), [true, true, true]),
        (layer_norm, normal(F16), [false, true, false]),
        (Op::Copy(Default::default()), squares(&[Bf16]), [true, true, false]),
        (Op::Copy(Default::default()), squares(&[U8]), [true, true, true]),
        (gemm(F32), squares(&[F32; 2]), [true, true, true]),
        (gemm(Bf16), squares(&[Bf16; 2]), [false, true, false]),
        (gemm(F32), squares(&[Bf16; 2]), [false, false, false]),
        (gemm(F32), squares(&[F8e4m3; 2]), [false, false, false]),
        (Op::Copy(Default::default()), squares(&[F8e4m3]), [false, false, false]),
        (i8(0), squares(&[U8, I8]), [false, true, exact]),
        (i8(3), squares(&[U8, I8]), [false, false, exact]),
        (attention(false), cube(F32), [true, true, true]),
        (attention(true), cube(F32), [true, true, false]),
        (attention(false), squares(&[F32; 3]), [true, true, false]),
        (Op::Adamw(Adamw::default()), squares(&[F32; 4]), [true, true, false]),
        (Op::SgdMomentum(SgdMomentum::default()), squares(&[F32; 3]), [false, true, false]),
        (Op::SgdMomentum(SgdMomentum::default()), squares(&[F32, F16, F32]), [false, false, false]),
        (Op::Quantize(Quantize::dynamic(Granularity::Tensor)), squares(&[F32]), [false, true, true]),
        (Op::Quantize(Quantize::dynamic(Granularity::Row)), squares(&[F32]), [false, true, false]),
        (Op::Dequantize(Dequantize::default()), sums, [false, true, true]),
        (conv(ImageLayout::Nchw), images.clone(), [false, true, true]),
        (conv(ImageLayout::Nhwc), images, [false, true, false]),
    ] {
        for (library, want) in LIBRARIES.into_iter().zip([want[0], want[1], want[1], want[2], want[2]]) {
            assert_eq!(is_served(library, &op, &args), want, "{} {op:?} of {args:?}", library.id);
            let row = format!("    \"{}\": ", op.operation().name());
            let has_row = library.modules.iter().any(|(_, text)| text.contains(&row));
            assert!(!want || has_row, "{} has no row for {op:?}", library.id);
        }
    }
}

#[test]
fn on_a_card_torch_is_asked_for_less() {
    let rows = |dtype| ValueSpec::new(&[4, 4], dtype);
    let bytes = Op::GemmI8(GemmI8::default());
    let attention = |log_sum_exp| Op::Attention(Attention { scale: 1.0, causal: true, log_sum_exp });
    let cube = vec![ValueSpec::new(&[2, 4, 4], DType::F32); 3];
    for (op, args, want) in [
        (Op::Gemm(Gemm::plain(DType::Bf16)), squares(&[DType::Bf16; 2]), true),
        (Op::Adamw(Adamw::default()), squares(&[DType::F32; 4]), true),
        (Op::Cast(Cast { output: DType::Bf16 }), vec![rows(DType::F32)], true),
        (attention(false), cube.clone(), true),
        (attention(true), cube, false),
        (Op::ReluGrad(ReluGrad {}), squares(&[DType::F32; 2]), false),
        (bytes, vec![rows(DType::U8), rows(DType::I8)], false),
    ] {
        assert_eq!(is_served(&super::torch_cuda::PYTHON, &op, &args), want, "{op:?}");
        assert!(!want || is_served(&TORCH, &op, &args), "{op:?}");
    }
    assert_eq!(TORCH_CUDA.kind(), DeviceKind::Gpu);
}

#[test]
fn only_a_product_with_a_parameter_makes_a_packed_lane() {
    let gemm = Op::Gemm(Gemm::plain(DType::F32));
    let turned = Op::Gemm(Gemm { trans_a: true, ..Gemm::plain(DType::F32) });
    let rows = [ValueSpec::new(&[4, 4], DType::F32), ValueSpec::new(&[4], DType::F32)];
    let norm = Op::LayerNorm(LayerNorm { eps: 1e-5 });
    let normal = [rows[0].clone(), rows[1].clone(), rows[1].clone()];
    let matrices = squares(&[DType::F32; 2]);
    for (op, args, state, want) in [
        (&gemm, &matrices[..], State::Parameter, [false, true, true]),
        (&turned, &matrices[..], State::Parameter, [false, false, true]),
        (&gemm, &matrices[..], State::Batch, [false, false, false]),
        (&norm, &normal[..], State::Parameter, [false, false, false]),
    ] {
        let program = single(op.clone(), args, &[State::Batch, state, state]);
        for (library, want) in LIBRARIES.into_iter().zip([want[0], want[1], false, want[2], want[2]]) {
            let packed = library.supports(&lane(Packing::Packed), &program.steps[0], &program);
            assert_eq!(packed.is_ok(), want, "{} {op:?}", library.id);
        }
    }
}

#[test]
fn the_scripts_generator_makes_the_same_bits() {
    let script = include_str!("../../../peers/worker/inputs.py");
    // As they stand in the script, which checks them when it starts.
    for (seed, value, index, bits) in [
        (0, 0, 0, "0xA706DD2F4D197E6F"),
        (7, 3, 1_000_000, "0x8BD04F52FDFCC383"),
        (u64::MAX, 1 << 32, 12_345_678_901, "0x5736C2D054E5FD25"),
    ] {
        assert_eq!(format!("{:#018X}", random::bits(seed, value, index)).replace('X', "x"), bits);
        assert!(script.contains(bits));
    }
}

#[test]
fn a_python_without_the_library_says_so_and_lives() {
    let Ok(python) = Command::new("python3").args(["-c", ""]).status() else {
        return eprintln!("skipped: there is no python3");
    };
    assert!(python.success());
    let folder = tempfile::tempdir().unwrap();
    for library in LIBRARIES {
        let asks = folder.path().join("asks");
        let lane = "{\"threads\":1}";
        let hello =
            format!("{{\"ask\":\"hello\",\"protocol\":1,\"backend\":\"{}\",\"lane\":{lane}}}\n", library.id);
        std::fs::write(&asks, hello).unwrap();
        for package in library.packages {
            // A folder of that name that holds nothing hides any other.
            let hiding = folder.path().join(package);
            std::fs::create_dir_all(&hiding).unwrap();
            std::fs::write(hiding.join("__init__.py"), "print('chatter')\nraise ImportError('gone')")
                .unwrap();
        }
        let done = Command::new("python3")
            .arg("-B")
            .args(library.arguments())
            .env("PYTHONPATH", folder.path())
            .stdin(std::fs::File::open(asks).unwrap())
            .stderr(Stdio::null())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&done.stdout);
        assert!(done.status.success() && said.contains("\"unsupported\""), "{}: {said}", library.id);
        assert!(said.contains("make peers") && said.contains("(gone)"), "{said}");
        assert!(!said.contains("chatter"), "{said}");
    }
}
