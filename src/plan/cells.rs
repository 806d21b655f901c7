//! The contenders of a point and the fate of each.

use super::size::Size;
use super::{Cell, Contender, Fate, Options};
use crate::backends::{DeviceKind, FAMILIES, Family, Lane, Packing, family_of};
use crate::host::Facts;
use crate::program::{Kind, Program, Step};
use crate::suite::{Case, Threads};
use crate::units::Bytes;
use std::sync::Arc;

/// Families that take part only when they are named: one measures nothing, one takes so long that a suite must ask
/// for it at a size that it can end, one computes nothing but products and is seldom here, and one is a card's.
const BY_NAME_ONLY: [&str; 4] = ["null", "cpu/naive", "cubek", ON_A_CARD];

/// PyTorch on cards: `peer/*` means the libraries of the processor.
const ON_A_CARD: &str = "peer/torch-cuda";

/// The family of libraries whose files the user names: naming one asks for it in every case, and where
/// none is named nobody wants to read that it is missing.
const NAMED_BY_USER: &str = "cpu/blas";

/// A backend, or a family that found no device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backend {
    /// Name: `cpu/native`, `wgpu/<adapter>`.
    pub name: String,
    /// What it is.
    pub kind: DeviceKind,
    /// Why it cannot be used here, in one sentence.
    pub missing: Option<String>,
}

/// Everything that could compute, in the order of reports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Available {
    /// Backends.
    pub backends: Vec<Backend>,
}

impl Available {
    /// Asks every family for its devices; no library is loaded and no process started.
    pub fn look() -> Self {
        Self { backends: FAMILIES.iter().flat_map(|family| backends_of(*family)).collect() }
    }

    /// Backends that one of the patterns names.
    fn named<'a>(&'a self, patterns: &'a [String]) -> Vec<&'a Backend> {
        let named = |backend: &&Backend| patterns.iter().any(|pattern| pattern_names(pattern, backend));
        self.backends.iter().filter(named).collect()
    }

    /// Backends of a case that names none.
    fn usual(&self) -> Vec<&Backend> {
        let by_name = |backend: &Backend| BY_NAME_ONLY.iter().any(|family| matches(family, &backend.name));
        self.backends.iter().filter(|backend| !by_name(backend) && !backend.is_unasked()).collect()
    }

    /// Backends of a case: those of the command line, or the case's own and what the user named by file.
    fn of_case<'a>(&'a self, case: &'a Case, options: &'a Options) -> Vec<&'a Backend> {
        if let Some(patterns) = &options.backends {
            return self.named(patterns);
        }
        let mut backends =
            case.backends.as_ref().map_or_else(|| self.usual(), |patterns| self.named(patterns));
        let by_file = |backend: &&Backend| backend.missing.is_none() && matches(NAMED_BY_USER, &backend.name);
        for backend in self.backends.iter().filter(by_file) {
            if !backends.contains(&backend) {
                backends.push(backend);
            }
        }
        backends
    }
}

fn backends_of(family: &dyn Family) -> Vec<Backend> {
    let found = family.devices();
    if found.is_empty() {
        // Nothing was found, so nothing is loaded: opening only tells what was looked for.
        let lane = Lane { threads: 1, packing: Packing::Plain };
        let reason = family.open(family.id(), &lane).err().map(|reason| reason.0);
        let missing = reason.unwrap_or_else(|| format!("{} found no device here", family.id()));
        let name = family.id().to_string();
        return vec![Backend { name, kind: family.kind(), missing: Some(missing) }];
    }
    found.into_iter().map(|found| Backend { name: found.backend, kind: found.kind, missing: None }).collect()
}

impl Backend {
    /// Whether the user might have named its file and did not.
    fn is_unasked(&self) -> bool {
        self.missing.is_some() && self.name == NAMED_BY_USER
    }
}

fn pattern_names(pattern: &str, backend: &Backend) -> bool {
    let is_wide = pattern.strip_suffix('*').is_some_and(|start| start.len() < ON_A_CARD.len());
    matches(pattern, &backend.name)
        && (pattern == backend.name || !backend.is_unasked())
        && !(is_wide && matches(ON_A_CARD, &backend.name))
}

/// Whether a pattern names a backend: itself, its family, or its start before a `*`.
fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => name.strip_prefix(pattern).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
    }
}

/// Every contender of a case at one point.
pub(super) fn cells(case: &Case, variants: &mut Variants, facts: &Facts, options: &Options) -> Vec<Cell> {
    let mut cells: Vec<Cell> = Vec::new();
    let (program, size) = (variants.whole.program.clone(), variants.whole.size);
    for backend in options.available.of_case(case, options) {
        let Some(family) = family_of(&backend.name) else { continue };
        for lane in lanes(case, backend, family, &size, facts, options) {
            let contender = Contender { backend: backend.name.clone(), lane: lane.clone(), twin: false };
            if cells.iter().all(|cell| cell.contender != contender) {
                let cell = match disguised(backend, &size, options) {
                    Some(reason) => skipped(contender, &program, reason),
                    None => match backend.missing.clone().or_else(|| obstacle(&lane, &size, facts, case)) {
                        Some(reason) => skipped(contender, &program, reason),
                        None => variants.cell(contender, family),
                    },
                };
                cells.push(cell);
            }
        }
    }
    if case.twin && options.twins {
        cells.extend(twin(&cells));
    }
    cells
}

/// A second copy of the first contender that runs, at its largest number of threads.
fn twin(cells: &[Cell]) -> Option<Cell> {
    let first = cells.iter().find(|cell| cell.fate == Fate::Run)?;
    let same = cells.iter().filter(|cell| cell.contender.backend == first.contender.backend);
    let running = same.filter(|cell| cell.fate == Fate::Run);
    let mut twin = running.max_by_key(|cell| cell.contender.lane.threads)?.clone();
    twin.contender.twin = true;
    Some(twin)
}

fn lanes(
    case: &Case,
    backend: &Backend,
    family: &dyn Family,
    size: &Size,
    facts: &Facts,
    options: &Options,
) -> Vec<Lane> {
    let wanted = options.threads.as_deref().unwrap_or(&case.threads);
    let count = |threads: &Threads| match threads {
        Threads::All => facts.usable_cores(),
        Threads::Count(count) => *count,
    };
    // Threads are the host's: a device of its own has one lane.
    let is_host = matches!(backend.kind, DeviceKind::Cpu | DeviceKind::Null);
    let most = if is_host { family.max_threads() } else { 1 };
    let threads: Vec<usize> = wanted.iter().map(|threads| count(threads).min(most)).collect();
    let offered = |packing: &&Packing| {
        **packing == Packing::Plain || (size.packable && family.packings().contains(packing))
    };
    let packings: Vec<Packing> = case.packing.iter().filter(offered).copied().collect();
    let lane = |&threads: &usize| packings.iter().map(move |&packing| Lane { threads, packing });
    threads.iter().flat_map(lane).collect()
}

fn skipped(contender: Contender, program: &Arc<Program>, reason: String) -> Cell {
    Cell { contender, program: program.clone(), expanded: Vec::new(), fate: Fate::Skip(reason) }
}

/// Operations of an execution that a CPU in disguise is asked for, unless it is named: it proves kernels right, at about
/// a thousand million a second.
const MOST_DISGUISED: u64 = 1_000_000_000;

/// Why a graphics interface that a CPU serves is not asked for so much, unless the user names it.
fn disguised(backend: &Backend, size: &Size, options: &Options) -> Option<String> {
    if backend.kind != DeviceKind::SoftwareGpu || options.backends.is_some() {
        return None;
    }
    let flops = size.work.flops;
    (flops > MOST_DISGUISED).then(|| {
        format!(
            "{} is a CPU in disguise, and {flops} operations take it long: --backend {} asks for it all the same",
            backend.name, backend.name
        )
    })
}

/// A program as different contenders run it.
pub(super) struct Variants {
    /// As the workload wrote it.
    pub(super) whole: Variant,
    /// Every expansion so far, with the steps that were refused and the names of their ops: lanes of a backend mostly
    /// refuse the same.
    known: Vec<(Vec<usize>, Variant, Vec<String>)>,
}

/// A program with what is counted of it once, however many contenders run it.
pub(super) struct Variant {
    /// What is computed.
    pub(super) program: Arc<Program>,
    kinds: Vec<Kind>,
    /// What it takes.
    pub(super) size: Size,
}

impl Variant {
    fn new(program: Program) -> Self {
        let kinds = program.kinds();
        let size = Size::of(&program, &kinds);
        Self { program: Arc::new(program), kinds, size }
    }

    /// The first step of each kind that is not supported.
    fn refused<'a>(&'a self, supports: &'a impl Supports) -> impl Iterator<Item = usize> + 'a {
        let firsts = self.kinds.iter().map(|kind| kind.first);
        firsts.filter(move |&number| supports(&self.program.steps[number], &self.program).is_err())
    }
}

impl Variants {
    /// None so far but the program itself.
    pub(super) fn new(program: Program) -> Self {
        Self { whole: Variant::new(program), known: Vec::new() }
    }

    /// What one of the programs takes.
    pub(super) fn size_of(&self, program: &Arc<Program>) -> Size {
        let expanded = self.known.iter().map(|(_, variant, _)| variant);
        let same = expanded.into_iter().find(|variant| Arc::ptr_eq(&variant.program, program));
        same.unwrap_or(&self.whole).size
    }

    /// The program as the contender's family runs it: as it is, where every step of it is supported.
    fn cell(&mut self, contender: Contender, family: &dyn Family) -> Cell {
        let lane = contender.lane.clone();
        let supports =
            |step: &Step, program: &Program| family.supports(&lane, step, program).map_err(|reason| reason.0);
        let whole = &self.whole.program;
        let refused: Vec<usize> = self.whole.refused(&supports).collect();
        if refused.is_empty() {
            return Cell { contender, program: whole.clone(), expanded: Vec::new(), fate: Fate::Run };
        }
        let fits = |variant: &Variant| variant.refused(&supports).next().is_none();
        let same = self.known.iter().find(|(known, variant, _)| *known == refused && fits(variant));
        if let Some((_, variant, names)) = same {
            let (program, expanded) = (variant.program.clone(), names.clone());
            return Cell { contender, program, expanded, fate: Fate::Run };
        }
        match whole.expand_for(supports) {
            Err(error) => skipped(contender, whole, error.to_string()),
            Ok(other) => {
                let (variant, expanded) = (Variant::new(other.program), other.names);
                let program = variant.program.clone();
                self.known.push((refused, variant, expanded.clone()));
                Cell { contender, program, expanded, fate: Fate::Run }
            }
        }
    }
}

/// Whether a step of a program runs, or why not.
trait Supports: Fn(&Step, &Program) -> Result<(), String> {}

impl<T: Fn(&Step, &Program) -> Result<(), String>> Supports for T {}

/// What this machine lacks for a lane, whoever computes.
fn obstacle(lane: &Lane, size: &Size, facts: &Facts, case: &Case) -> Option<String> {
    let cores = facts.usable_cores();
    if lane.threads > cores {
        return Some(format!("{} threads are wanted, and this process may use {cores}", lane.threads));
    }
    let need = Bytes(size.bytes);
    if let Some(limit) = facts.memory_limit().filter(|limit| need > *limit) {
        return Some(format!("needs {need} of memory, and this machine has {limit}"));
    }
    let limit = case.max_memory.filter(|limit| need > *limit)?;
    Some(format!("needs {need} of memory, and the case allows {limit}"))
}
