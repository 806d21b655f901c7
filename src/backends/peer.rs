//! Contenders whose worker is a program of its own: numpy, by a script in Python that speaks the worker
//! protocol. The script is part of this program and handed to Python as an argument, so that nothing has
//! to be found or written at run time.

use super::cpu::blas::settings;
use super::cpu::dylib::stores;
use super::*;
use crate::ops::{GeluForm, Op};
use crate::tensor::DType;
use std::env;
use std::path::{Path, PathBuf};

/// numpy.
pub struct Numpy;

const ID: &str = "peer/numpy";
const SCRIPT: &str = include_str!("../../peers/numpy_peer.py");

impl Family for Numpy {
    fn id(&self) -> &'static str {
        ID
    }

    fn devices(&self) -> Vec<Found> {
        let about = "numpy, by a worker in Python";
        python().map_or_else(|_| Vec::new(), |_| cpu::host(ID, about))
    }

    fn supports(&self, lane: &Lane, step: &Step, program: &Program) -> Result<(), Unsupported> {
        if lane.packing != Packing::Plain {
            return Err(Unsupported(format!("{ID} lays out nothing anew")));
        }
        serves(step, program)
    }

    fn open(&self, _: &str, _: &Lane) -> Result<Box<dyn Device>, Unsupported> {
        python()?;
        Err(Unsupported(format!("{ID} runs in a process of its own")))
    }

    fn environment(&self, lane: &Lane) -> Vec<(String, String)> {
        let mut variables = settings::applied(settings::any(lane.threads));
        if let Some(fetched) = fetched() {
            let own = env::var_os("PYTHONPATH").unwrap_or_default();
            let own = env::split_paths(&own).filter(|path| !path.as_os_str().is_empty());
            let paths = env::join_paths(std::iter::once(fetched).chain(own)).unwrap_or_default();
            variables.push(("PYTHONPATH".to_string(), paths.to_string_lossy().into_owned()));
        }
        variables
    }

    fn external(&self) -> Option<Result<External, Unsupported>> {
        Some(python().map(|python| External {
            command: vec![python.to_string_lossy().into_owned(), "-c".to_string(), SCRIPT.to_string()],
        }))
    }
}

/// Whether the script has an op for the step. A twin of the table OPS in the script.
fn serves(step: &Step, program: &Program) -> Result<(), Unsupported> {
    let refused = |why: &str| Err(Unsupported(format!("{ID} {why}")));
    let specs = program.specs(&[&step.args[..], &step.outs[..step.outs.len().min(3)]].concat());
    match &step.op {
        Op::Copy(_) => return Ok(()),
        Op::Gelu(op) if op.form == GeluForm::Erf => {
            return refused("has no error function, which gelu needs");
        }
        Op::Gemm(op) if op.accumulate != specs[0].dtype => return refused("adds products in their own type"),
        Op::Gemm(_)
        | Op::Triad(_)
        | Op::Add(_)
        | Op::BiasAdd(_)
        | Op::Gelu(_)
        | Op::Softmax(_)
        | Op::LayerNorm(_)
        | Op::Attention(_)
        | Op::Adamw(_) => {}
        other => return refused(&format!("has no {}", other.operation().name())),
    }
    let all = |dtype| specs.iter().all(|spec| spec.dtype == dtype);
    if all(DType::F32) || all(DType::F64) {
        return Ok(());
    }
    refused(&format!("computes {} in f32 and f64 only", step.op.operation().name()))
}

/// The Python that has numpy, as far as can be told without starting it.
fn python() -> Result<PathBuf, Unsupported> {
    if let Some(given) = env::var_os("CUTGPU_PYTHON").filter(|value| !value.is_empty()) {
        return Ok(given.into());
    }
    let absent =
        |what: &str, advice: &str| Unsupported(format!("there is no {ID} on this machine: {what}; {advice}"));
    let searched = env::var_os("PATH").unwrap_or_default();
    let python = env::split_paths(&searched).map(|folder| folder.join("python3")).find(|path| path.is_file());
    let python =
        python.ok_or_else(|| absent("there is no python3", "install it, or name one in CUTGPU_PYTHON"))?;
    let has_numpy =
        fetched().is_some() || libraries(&python).iter().any(|folder| folder.join("numpy").is_dir());
    if !has_numpy {
        return Err(absent("python3 has no numpy", "`make peers` fetches it"));
    }
    Ok(python)
}

/// The folder of fetched Python packages, if numpy is among them.
fn fetched() -> Option<PathBuf> {
    stores().into_iter().map(|store| store.join("python")).find(|folder| folder.join("numpy").is_dir())
}

/// Where packages of `python` usually lie: beside the program as found and as its link resolves, in
/// Debian's folders, and in PYTHONPATH.
fn libraries(python: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = env::split_paths(&env::var_os("PYTHONPATH").unwrap_or_default()).collect();
    let resolved = python.canonicalize().unwrap_or_default();
    for prefix in [python, &resolved].into_iter().filter_map(|program| program.parent()?.parent()) {
        let folders = [prefix.join("lib"), prefix.join("local/lib")];
        let versions = folders.iter().filter_map(|folder| folder.read_dir().ok()).flatten().flatten();
        for version in versions.filter(|entry| entry.file_name().to_string_lossy().starts_with("python3")) {
            found.extend(["site-packages", "dist-packages"].map(|name| version.path().join(name)));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backends::testing::{single, squares};
    use crate::ops::{BiasGelu, Gelu, Gemm, GemmI8, Softmax};
    use crate::random;
    use crate::tensor::ValueSpec;
    use std::process::Command;

    const LANE: Lane = Lane { threads: 1, packing: Packing::Plain };

    fn is_served(op: Op, args: &[ValueSpec]) -> bool {
        let program = single(op, args, &[]);
        Numpy.supports(&LANE, &program.steps[0], &program).is_ok()
    }

    #[test]
    fn the_table_follows_the_script() {
        let rows = [ValueSpec::new(&[4, 4], DType::F32), ValueSpec::new(&[4], DType::F32)];
        let softmax = |output| Op::Softmax(Softmax::plain(output));
        for (op, args, want) in [
            (Op::Gelu(Gelu { form: GeluForm::Tanh }), squares(&[DType::F32]), true),
            (Op::Gelu(Gelu { form: GeluForm::Erf }), squares(&[DType::F32]), false),
            (Op::Gelu(Gelu { form: GeluForm::Tanh }), squares(&[DType::F16]), false),
            (Op::BiasGelu(BiasGelu { form: GeluForm::Tanh }), rows.to_vec(), false),
            (softmax(DType::F32), squares(&[DType::F32]), true),
            (softmax(DType::Bf16), squares(&[DType::F32]), false),
            (Op::Copy(Default::default()), squares(&[DType::Bf16]), true),
            (Op::Gemm(Gemm::plain(DType::F32)), squares(&[DType::F32; 2]), true),
            (Op::Gemm(Gemm::plain(DType::F32)), squares(&[DType::Bf16; 2]), false),
            (Op::GemmI8(GemmI8::default()), squares(&[DType::U8, DType::I8]), false),
        ] {
            assert_eq!(is_served(op.clone(), &args), want, "{op:?}");
            let row = format!("\n    \"{}\": ", op.operation().name());
            assert!(!want || SCRIPT.contains(&row), "the script has no row for {op:?}");
        }
    }

    #[test]
    fn the_scripts_generator_makes_the_same_bits() {
        // As they stand in the script, which checks them when it starts.
        for (seed, value, index, bits) in [
            (0, 0, 0, "0xA706DD2F4D197E6F"),
            (7, 3, 1_000_000, "0x8BD04F52FDFCC383"),
            (u64::MAX, 1 << 32, 12_345_678_901, "0x5736C2D054E5FD25"),
        ] {
            assert_eq!(format!("{:#018X}", random::bits(seed, value, index)).replace('X', "x"), bits);
            assert!(SCRIPT.contains(bits));
        }
    }

    #[test]
    fn a_python_without_numpy_says_so_and_lives() {
        let Ok(python) = Command::new("python3").args(["-c", ""]).status() else {
            return eprintln!("skipped: there is no python3");
        };
        assert!(python.success());
        let hello =
            "{\"ask\":\"hello\",\"protocol\":1,\"backend\":\"peer/numpy\",\"lane\":{\"threads\":1}}\n";
        let folder = tempfile::tempdir().unwrap();
        let asks = folder.path().join("asks");
        std::fs::write(&asks, hello).unwrap();
        // A folder called numpy that holds nothing hides any other.
        std::fs::create_dir(folder.path().join("numpy")).unwrap();
        std::fs::write(folder.path().join("numpy/__init__.py"), "raise ImportError('gone')").unwrap();
        let done = Command::new("python3")
            .args(["-B", "-c", SCRIPT])
            .env("PYTHONPATH", folder.path())
            .stdin(std::fs::File::open(asks).unwrap())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&done.stdout);
        assert!(done.status.success() && said.contains("\"unsupported\""), "{said}");
        assert!(said.contains("make peers"), "{said}");
    }
}
