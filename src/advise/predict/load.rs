//! What a program asks of a machine, step by step: operations, bytes and how far apart in time the bytes are touched.

use super::kriging::Place;
use super::roofs::Roofs;
use crate::ops::{GemmDims, Op, Work};
use crate::program::Program;
use crate::tensor::ValueSpec;

/// Steps of a program that are alike.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Load {
    /// How many.
    pub count: f64,
    /// Family, op and size; whoever predicts says who computes.
    pub place: Place,
    /// Operations.
    pub flops: f64,
    /// The unit that computes them: `f32`, `bf16`, `i8`.
    pub precision: &'static str,
    /// Bytes, each with the bytes that were touched since it was touched last.
    pub traffic: Vec<[f64; 2]>,
    /// A part of the traffic is written.
    pub writes: bool,
}

impl Load {
    /// Least seconds: arithmetic or bytes, whichever takes longer (Williams, Waterman and Patterson, "Roofline", CACM
    /// 2009), each byte at the rate of the memory that holds what was touched since. None without a roof.
    pub(super) fn seconds(&self, roofs: &Roofs, threads: usize) -> Option<f64> {
        let arithmetic = match self.flops > 0.0 {
            true => self.flops / roofs.operations(self.precision, threads)?,
            false => 0.0,
        };
        let mut bytes = 0.0;
        for [amount, touched] in &self.traffic {
            match roofs.bytes(self.writes, threads, *touched) {
                Some(rate) => bytes += amount / rate,
                None if self.flops == 0.0 => return None,
                None => {}
            }
        }
        let seconds = f64::max(arithmetic, bytes);
        (seconds > 0.0).then_some(seconds)
    }

    /// Bytes in both directions.
    pub(super) fn bytes(&self) -> f64 {
        self.traffic.iter().map(|[amount, _]| amount).sum()
    }
}

/// Loads of a program, alike ones once, in the order of the first of each.
pub(super) fn loads(program: &Program) -> Vec<Load> {
    let mut found: Vec<Load> = Vec::new();
    let mut reuse = Reuse::of(program);
    for step in &program.steps {
        let args = program.specs(&step.args);
        let work = step.op.operation().work(&args);
        let traffic = reuse.step(program, &step.args, &step.outs, work);
        let next = load(&step.op, &args, work, traffic);
        match found.iter_mut().find(|load| load.is_like(&next)) {
            Some(load) => load.count += 1.0,
            None => found.push(next),
        }
    }
    found
}

impl Load {
    fn is_like(&self, other: &Self) -> bool {
        let near = |(a, b): (&[f64; 2], &[f64; 2])| a[0] == b[0] && (a[1] / b[1]).ln().abs() < 0.5;
        self.place == other.place
            && self.flops == other.flops
            && self.traffic.len() == other.traffic.len()
            && self.traffic.iter().zip(&other.traffic).all(near)
    }
}

/// Bytes touched since each value was touched last, one execution following another.
struct Reuse {
    now: f64,
    last: Vec<Option<f64>>,
    whole: f64,
}

impl Reuse {
    fn of(program: &Program) -> Self {
        let mut reuse = Self { now: 0.0, last: vec![None; program.values.len()], whole: 0.0 };
        for step in &program.steps {
            let work = step.op.operation().work(&program.specs(&step.args));
            reuse.step(program, &step.args, &step.outs, work);
        }
        reuse.whole = reuse.now;
        // As the execution before left them: what was touched last is the nearest.
        reuse.last.iter_mut().flatten().for_each(|last| *last -= reuse.whole);
        reuse.now = 0.0;
        reuse
    }

    /// Traffic of a step, scaled to its compulsory bytes: a table of which a few rows are read is not read whole.
    fn step(&mut self, program: &Program, args: &[usize], outs: &[usize], work: Work) -> Vec<[f64; 2]> {
        let size = |id: usize| program.values[id].spec.bytes() as f64;
        let read: f64 = args.iter().map(|&id| size(id)).sum();
        let written: f64 = outs.iter().map(|&id| size(id)).sum();
        let scale = |part: u64, whole: f64| if whole > 0.0 { (part as f64 / whole).min(1.0) } else { 0.0 };
        let (reads, writes) = (scale(work.bytes_read, read), scale(work.bytes_written, written));
        let own = read * reads + written * writes;
        let mut traffic = Vec::new();
        for (&id, scale) in args.iter().map(|id| (id, reads)).chain(outs.iter().map(|id| (id, writes))) {
            let since = self.last[id].map_or(own, |last| self.now - last);
            if size(id) * scale > 0.0 {
                traffic.push([size(id) * scale, since.max(own)]);
            }
        }
        self.now += own;
        args.iter().chain(outs).for_each(|&id| self.last[id] = Some(self.now));
        traffic
    }
}

fn load(op: &Op, args: &[ValueSpec], work: Work, traffic: Vec<[f64; 2]>) -> Load {
    let (family, op_name, precision, size) = kind(op, args, work);
    let place = Place { family, op: op_name, size, ..Place::default() };
    let writes = matches!(op, Op::Adamw(_) | Op::SgdMomentum(_) | Op::Copy(_) | Op::Triad(_))
        || work.bytes_written * 4 > work.bytes_read;
    Load { count: 1.0, place, flops: work.flops as f64, precision, traffic, writes }
}

/// Family, op, precision and size.
fn kind(op: &Op, args: &[ValueSpec], work: Work) -> (String, String, &'static str, [f64; 3]) {
    let name = op.operation().name();
    let typed = |letters: &str| format!("{name} {letters} {}", args[0].dtype.name());
    match op {
        Op::Gemm(gemm) => {
            let precision = match args[0].dtype.name() {
                "bf16" => "bf16",
                _ => "f32",
            };
            let letters = [gemm.trans_a, gemm.trans_b].map(|is| if is { "t" } else { "n" }).concat();
            product(precision, args[0].dtype.name(), typed(&letters), gemm.dims(args).ok(), work)
        }
        Op::GemmI8(gemm) => product("i8", "i8", typed(""), gemm.dims(args).ok(), work),
        Op::GemmQ8(gemm) => product("i8", "q8", typed(""), gemm.dims(args).ok(), work),
        Op::Conv2d(_) | Op::Conv2dInputGrad(_) | Op::Conv2dWeightGrad(_) => {
            ("convolution".to_string(), typed(""), "f32", by_work(work))
        }
        Op::Attention(_) | Op::AttentionGrad(_) => ("attention".to_string(), typed(""), "f32", by_work(work)),
        Op::Softmax(_)
        | Op::SoftmaxGrad(_)
        | Op::LayerNorm(_)
        | Op::AddLayerNorm(_)
        | Op::LayerNormGrad(_)
        | Op::LayerNormParamGrad(_)
        | Op::CrossEntropy(_)
        | Op::CrossEntropyGrad(_) => ("rows".to_string(), typed(""), "f32", by_work(work)),
        _ => ("stream".to_string(), typed(""), "f32", by_work(work)),
    }
}

/// A product of one row reads its matrix once and is another kind of kernel than one that uses it again.
fn product(
    precision: &'static str,
    types: &str,
    op: String,
    dims: Option<GemmDims>,
    work: Work,
) -> (String, String, &'static str, [f64; 3]) {
    let Some(dims) = dims else { return (format!("product {types}"), op, precision, by_work(work)) };
    let family = if dims.m == 1 { "row product" } else { "product" };
    let log = |extent: usize| (extent.max(1) as f64).ln();
    (format!("{family} {types}"), op, precision, [log(dims.batch.max(1) * dims.m), log(dims.n), log(dims.k)])
}

/// Size by operations and bytes, each counted half: an op that grows fourfold moves as far as an extent that does.
fn by_work(work: Work) -> [f64; 3] {
    let log = |amount: u64| (amount.max(1) as f64).ln() / 2.0;
    [log(work.flops), log(work.bytes()), 0.0]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workloads::{Param, Params, find};

    fn program(workload: &str, words: &str) -> Program {
        let pair = |word: &str| {
            let (axis, value) = word.split_once('=').unwrap();
            (axis.to_string(), value.parse().map_or_else(|_| Param::Text(value.to_string()), Param::Int))
        };
        let params: Params = words.split(',').map(pair).collect();
        find(workload).unwrap().program(&params).unwrap()
    }

    #[test]
    fn a_step_alone_touches_all_of_itself_between_two_executions() {
        let loads = loads(&program("gemm", "m=64,n=32,k=16"));
        let [load] = loads.as_slice() else { panic!("{loads:?}") };
        let bytes = 4.0 * f64::from(64 * 16 + 16 * 32 + 64 * 32);
        assert_eq!((load.flops, load.bytes(), load.count), (2.0 * 64.0 * 32.0 * 16.0, bytes, 1.0));
        assert!(load.traffic.iter().all(|[_, touched]| *touched == bytes), "{:?}", load.traffic);
        assert_eq!((load.place.family.as_str(), load.place.op.as_str()), ("product f32", "gemm nn f32"));
    }

    #[test]
    fn layers_are_alike_and_their_parameters_come_from_afar() {
        let program = program("bert", "size=base,batch=1,length=128");
        let loads = loads(&program);
        let steps: f64 = loads.iter().map(|load| load.count).sum();
        assert_eq!(steps as usize, program.steps.len());
        assert!(loads.len() * 3 < program.steps.len(), "{}", loads.len());
        let flops: f64 = loads.iter().map(|load| load.count * load.flops).sum();
        assert!((flops / program.work().flops as f64 - 1.0).abs() < 1e-12);
        // A weight is touched once an execution, an activation again at once.
        let wide =
            loads.iter().find(|load| load.place.family == "product f32" && load.count >= 12.0).unwrap();
        let touched: Vec<f64> = wide.traffic.iter().map(|[_, touched]| *touched).collect();
        assert!(
            touched.iter().any(|far| *far > 3e8) && touched.iter().any(|near| *near < 3e7),
            "{touched:?}"
        );
    }

    #[test]
    fn one_row_is_another_kind_of_product() {
        let family = |words: &str| loads(&program("gemm", words))[0].place.family.clone();
        assert_eq!(family("m=1,n=64,k=64,dtype=bf16"), "row product bf16");
        assert_eq!(family("m=2,n=64,k=64"), "product f32");
    }
}
