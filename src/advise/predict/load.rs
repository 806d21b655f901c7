//! What a program asks of a machine, step by step: operations, bytes and how far apart in time the bytes are touched.

use super::kriging::{FEW, Place, ROW};
use super::roofs::Roofs;
use crate::ops::{GemmDims, ImageLayout, Op, Work};
use crate::program::Program;
use crate::tensor::ValueSpec;

/// Seconds that handing an op to several threads takes at least.
const HAND_OUT: f64 = 0.5e-6;

/// Multiply-adds that take as long as fetching and writing one element of a product's answer.
const EDGE: f64 = 32.0;

/// Rows of a product from which on it is one of many: with fewer, reading the matrix takes as long as multiplying.
const MANY: usize = 16;

/// Steps of a program that are alike.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Load {
    /// How many.
    pub count: f64,
    /// Family, op and size; whoever predicts says who computes.
    pub place: Place,
    /// Operations.
    pub flops: f64,
    /// How many times as long as multiply-adds in registers an operation takes at best: see [`cost`].
    pub cost: f64,
    /// The unit that computes them: `f32`, `bf16`, `i8`.
    pub precision: &'static str,
    /// Bytes, each with the bytes that were touched since it was touched last.
    pub traffic: Vec<[f64; 2]>,
    /// A part of the traffic is written.
    pub writes: bool,
}

impl Load {
    /// Least seconds: arithmetic and bytes (Williams, Waterman and Patterson, "Roofline", CACM 2009), added as
    /// squares because near the ridge neither hides the other, each byte at the rate of the memory that holds what was
    /// touched since; and handing the op out to threads. None without a roof.
    pub(super) fn seconds(&self, roofs: &Roofs, threads: usize) -> Option<f64> {
        let arithmetic = match self.flops > 0.0 {
            true => self.flops * self.cost / roofs.operations(self.precision, threads)?,
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
        let seconds = arithmetic.hypot(bytes) + if threads > 1 { HAND_OUT } else { 0.0 };
        (seconds > 0.0).then_some(seconds)
    }

    /// Bytes in both directions.
    pub(super) fn bytes(&self) -> f64 {
        self.traffic.iter().map(|[amount, _]| amount).sum()
    }
}

/// Whether these are of a single op, once.
pub(super) fn is_single(loads: &[Load]) -> bool {
    matches!(loads, [load] if load.count == 1.0)
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
    let kind = Kind::of(op, args, work);
    let place = Place { family: kind.family, op: kind.op, size: kind.size, ..Place::default() };
    let writes = matches!(op, Op::Adamw(_) | Op::SgdMomentum(_) | Op::Copy(_) | Op::Triad(_))
        || work.bytes_written * 4 > work.bytes_read;
    Load {
        count: 1.0,
        place,
        flops: work.flops as f64,
        cost: kind.cost,
        precision: kind.precision,
        traffic,
        writes,
    }
}

/// What kind of kernel computes a step.
struct Kind {
    family: String,
    op: String,
    precision: &'static str,
    size: [f64; 3],
    cost: f64,
}

impl Kind {
    fn of(op: &Op, args: &[ValueSpec], work: Work) -> Self {
        let name = op.operation().name();
        let typed = |detail: &str| format!("{name} {detail} {}", args[0].dtype.name());
        let plain = |family: &str, detail: &str, cost: f64| Self {
            family: family.to_string(),
            op: typed(detail),
            precision: "f32",
            size: by_work(work),
            cost,
        };
        // Operations for each element of the answer, at four bytes each.
        let depth = work.flops as f64 / (work.bytes_written as f64 / 4.0).max(1.0) / 2.0;
        let edge = 1.0 + EDGE / depth.max(1.0);
        let layout = |layout| if layout == ImageLayout::Nhwc { "last" } else { "" };
        let seen = |causal: bool| if causal { "causal" } else { "" };
        match op {
            Op::Gemm(gemm) => {
                let letters = [gemm.trans_a, gemm.trans_b].map(|is| if is { "t" } else { "n" }).concat();
                let types = if gemm.factors.are_exact() { args[0].dtype.name() } else { "tf32" };
                let precision = if matches!(types, "bf16" | "tf32" | "f8e4m3") { types } else { "f32" };
                let op = format!("{name} {letters} {types}");
                Self::product(precision, types, op, gemm.dims(args).ok(), work)
            }
            Op::GemmI8(gemm) => Self::product("i8", "i8", typed(""), gemm.dims(args).ok(), work),
            Op::GemmQ8(gemm) => {
                let detail = if gemm.quantized_a { "q8" } else { "" };
                Self::product("i8", "q8", typed(detail), gemm.dims(args).ok(), work)
            }
            Op::Conv2d(conv) => plain("convolution", layout(conv.layout), edge),
            Op::Conv2dInputGrad(conv) => plain("convolution", layout(conv.layout), edge),
            Op::Conv2dWeightGrad(conv) => plain("convolution", layout(conv.layout), 1.0),
            Op::Attention(attention) => plain("attention", seen(attention.causal), 1.0),
            Op::AttentionGrad(_) => plain("attention", "", 1.0),
            _ => plain("elements", "", cost(name)),
        }
    }

    /// A product of one row reads its matrix once and is another kind of kernel than one that uses it again: it loads
    /// an operand for each multiply-add and widens what is narrow, in the units of f32.
    fn product(precision: &'static str, types: &str, op: String, dims: Option<GemmDims>, work: Work) -> Self {
        let family = format!("product {types}");
        let Some(dims) = dims else { return Self { family, op, precision, size: by_work(work), cost: 1.0 } };
        let log = |extent: usize| (extent.max(1) as f64).ln();
        if dims.m == 1 {
            let cost = match types {
                "i8" => 1.0,
                "f32" | "tf32" => 2.0,
                _ => 3.0,
            };
            let size = [(work.bytes().max(1) as f64).ln() / 1.5, 0.0, 0.0];
            return Self { family: ROW.to_string(), op, precision: "f32", size, cost };
        }
        // Few rows use a matrix again too seldom for libraries to treat it as they treat it for many.
        let family = if dims.m < MANY { format!("{FEW} {types}") } else { family };
        let size = [log(dims.batch.max(1) * dims.m), log(dims.n), log(dims.k)];
        Self { family, op, precision, size, cost: 1.0 + EDGE / dims.k.max(1) as f64 }
    }
}

/// How many times as long an element-wise op's operations take as multiply-adds: nothing is fused, functions such as
/// exp are counted as one, and rows are gone through more than once.
fn cost(op: &str) -> f64 {
    match op {
        "softmax" | "cross_entropy" | "cross_entropy_grad" => 9.0,
        "gelu" | "bias_gelu" | "gelu_grad" | "bias_gelu_grad" | "tanh" => 7.0,
        "layer_norm" | "add_layer_norm" | "layer_norm_grad" | "layer_norm_param_grad" | "softmax_grad" => 3.0,
        _ => 1.0,
    }
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
    fn one_row_and_a_few_are_other_kinds_of_products() {
        let family = |words: &str| loads(&program("gemm", words))[0].place.family.clone();
        assert_eq!(family("m=1,n=64,k=64,dtype=bf16"), ROW);
        assert_eq!(family("m=2,n=64,k=64"), "product few f32");
        assert_eq!(family("m=16,n=64,k=64"), "product f32");
    }
}
