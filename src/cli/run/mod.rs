//! `cutgpu run`: measures.

mod progress;
mod results;

use super::exit;
use super::libraries::Libraries;
use super::look::{self, Seen};
use super::select::Selection;
use super::signals;
use crate::host;
use crate::measure::evidence::Conditions;
use crate::plan::{self, Available, Options, Plan};
use crate::record::{self, Record};
use crate::run::{self, Choices, Context, Finished, Folder, Host, Request, RunError, SuiteText, Summary};
use crate::suite::{self, Effort, Scope, Suite, Sync, Threads};
use anyhow::Context as _;
use progress::Progress;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Arguments of `cutgpu run`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  cutgpu run quick\n  cutgpu run gemm m=512,n=512,k=512 --backend cpu/native,cpu/openblas\n  \
                  cutgpu run suites/mine.toml --minutes 10 --out runs/mine\n  cutgpu run --resume runs/mine"
)]
pub(super) struct Args {
    #[command(flatten)]
    selection: Selection,
    /// What the clock covers, instead of what the suite says.
    #[arg(long, value_delimiter = ',', value_parser = scope)]
    scope: Vec<Scope>,
    /// Wait after each execution or once at the end, instead of what the suite says.
    #[arg(long, value_delimiter = ',', value_parser = sync)]
    sync: Vec<Sync>,
    /// Measure with cold caches too.
    #[arg(long)]
    cold: bool,
    /// Measure one long window of each contender too: 10 s, with --quick 3 s.
    #[arg(long)]
    sustained: bool,
    /// Measure one contender of each group twice, for the floor below which differences mean nothing.
    #[arg(long)]
    twin: bool,
    #[command(flatten)]
    libraries: Libraries,
    /// Folder of the run; a new one under runs/ by default.
    #[arg(long, value_name = "DIR", conflicts_with = "resume")]
    out: Option<PathBuf>,
    /// Go on with an interrupted run, exactly as it was asked for.
    #[arg(long, value_name = "DIR")]
    resume: Option<PathBuf>,
    /// Resume a run that another build of cutgpu began.
    #[arg(long, requires = "resume")]
    mix: bool,
    /// Measure everything so many times; with --resume, add repetitions until there are so many.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    repeat: Option<u32>,
    /// Seed of the inputs and of the order of contenders.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Print the records as JSON lines instead of a table.
    #[arg(long)]
    json: bool,
}

fn scope(text: &str) -> Result<Scope, String> {
    match text {
        "device" => Ok(Scope::Device),
        "resident" => Ok(Scope::Resident),
        "end_to_end" => Ok(Scope::EndToEnd),
        _ => Err("give device, resident or end_to_end".to_string()),
    }
}

fn sync(text: &str) -> Result<Sync, String> {
    match text {
        "each" => Ok(Sync::Each),
        "batch" => Ok(Sync::Batch),
        _ => Err("give each or batch".to_string()),
    }
}

/// Measures.
pub(super) fn main(args: &Args) -> anyhow::Result<u8> {
    let facts = host::facts();
    let build = host::build();
    args.libraries.announce()?;
    let Prepared { mut folder, request, plan, allowed } = match &args.resume {
        Some(path) => resume(args, path, &facts, &build.hash())?,
        None => begin(args, &facts, &build.hash())?,
    };
    let hash = facts.hash();
    let peaks = Seen::kept().map(|seen| seen.peaks).unwrap_or_default();
    if peaks.rows.is_empty() {
        note("no measured peaks are known yet; `cutgpu doctor` measures them, for the roofline");
    }
    folder.write_host(Host {
        hash: hash.clone(),
        facts: facts.clone(),
        peaks,
        builds: BTreeMap::from([(build.hash(), build.clone())]),
    })?;
    let (finished, said) = match args.resume {
        Some(_) => run::sort_out(&mut folder, &plan)?,
        None => (Finished::default(), None),
    };
    said.iter().for_each(|said| note(said));
    let visits = finished.pending(&plan, request.repeat);
    if args.resume.is_some() {
        note(&format!("{} visits to groups are still to be made", visits.len()));
    }
    let folder_path = &folder.path().to_path_buf();
    let progress = Progress::new(&plan, &visits);
    let interrupted = signals::interrupted()?;
    let context = Context {
        program: std::env::current_exe().context("cannot find this program's own file")?,
        environment: Vec::new(),
        build: build.hash(),
        host: hash,
        conditions: Conditions {
            debug_build: !build.is_optimised(),
            cores: facts.cpu.allowed,
            quota: facts.container.cores.value().copied(),
            ..Conditions::default()
        },
        last_level_cache: facts.last_level_bytes().map(|bytes| bytes.0),
        free_memory: &|| host::moment(folder_path).available.value().map(|bytes| bytes.0),
        seed: request.seed,
        repeat: request.repeat,
        allowed,
        interrupted: &interrupted,
        watcher: &progress,
    };
    let begin = Instant::now();
    let summary = run::execute(&plan, &mut folder, &finished, &context);
    progress.finish();
    note(&format!("measuring took {:.1} s", begin.elapsed().as_secs_f64()));
    conclude(args, &folder, &plan, summary?)
}

/// A run that can start.
struct Prepared {
    folder: Folder,
    request: Request,
    plan: Plan,
    /// How long it is meant to take.
    allowed: Option<Duration>,
}

/// The user's minutes, or the budgets of all suites where each has one; for each repetition.
fn allowed(suites: &[Suite], request: &Request) -> Option<Duration> {
    let budgets = || suites.iter().map(|suite| suite.budget).sum::<Option<Duration>>();
    match request.minutes {
        Some(minutes) => Duration::try_from_secs_f64(minutes * 60.0).ok(),
        None => budgets()?.checked_mul(request.repeat),
    }
}

/// A new run in a new folder.
fn begin(args: &Args, facts: &host::Facts, build: &str) -> anyhow::Result<Prepared> {
    let selected = args.selection.suites(&["quick"])?;
    let choices = Choices {
        backends: args.selection.backend.clone(),
        threads: args.selection.threads.iter().map(|count| words(*count)).collect(),
        scopes: args.scope.clone(),
        syncs: args.sync.clone(),
        cold: args.cold,
        sustained: args.sustained,
        twin: args.twin,
        quick: args.selection.quick,
    };
    let suites: Vec<Suite> = selected
        .iter()
        .map(|selected| {
            let mut suite = selected.suite.clone();
            choices.apply(&mut suite);
            suite
        })
        .collect();
    let repeat = args.repeat.unwrap_or(1);
    let available = available();
    look::require(&available)?;
    let mut options = args.selection.options(available, rates());
    options.minutes = options.minutes.map(|minutes| minutes / f64::from(repeat));
    let plan = plan::build(&suites, facts, &options)?;
    say_dropped(&plan);
    let request = Request {
        suites: selected
            .iter()
            .map(|selected| SuiteText {
                name: selected.suite.name.clone(),
                file: file_name(&selected.suite.file),
                text: selected.text.clone(),
            })
            .collect(),
        choices,
        seed: args.seed.unwrap_or(1),
        repeat,
        shard: args.selection.shard,
        minutes: args.selection.minutes,
        libraries: args.libraries.names(),
        build: build.to_string(),
        groups: plan.groups.iter().map(|group| group.id.clone()).collect(),
        dropped: plan.dropped.clone(),
    };
    let folder = match &args.out {
        Some(path) => Folder::create(path, &request)?,
        None => Folder::create_new(&request.names().join("-"), &request)?,
    };
    let allowed = allowed(&suites, &request);
    Ok(Prepared { folder, request, plan, allowed })
}

/// An interrupted run and what is planned in it.
fn resume(args: &Args, path: &Path, facts: &host::Facts, build: &str) -> anyhow::Result<Prepared> {
    let (folder, mut request, said) = Folder::open(path)?;
    said.iter().for_each(|said| note(said));
    if !args.selection.what.is_empty() {
        let wanted = args.selection.suites(&[])?;
        let wanted: Vec<&str> = wanted.iter().map(|selected| selected.suite.name.as_str()).collect();
        if wanted != request.names() {
            let (found, wanted) = (request.names().join(", "), wanted.join(", "));
            return Err(RunError::OtherSuite { path: path.to_path_buf(), found, wanted }.into());
        }
    }
    if request.build != build && !args.mix {
        let (found, this) = (request.build.clone(), build.to_string());
        return Err(RunError::OtherBuild { path: path.to_path_buf(), found, this }.into());
    }
    let given = args.libraries.names();
    if let Some(missing) = request.libraries.iter().find(|name| !given.contains(name)) {
        anyhow::bail!("this run measures the library {missing}; say where it is by --blas PATH again");
    }
    if let Some(repeat) = args.repeat.filter(|repeat| *repeat > request.repeat) {
        request.repeat = repeat;
        folder.write_request(&request)?;
    }
    let plan = planned_before(&request, facts)?;
    Ok(Prepared { folder, request, plan, allowed: None })
}

/// The groups of an earlier plan: what it left out stays out, whatever would fit now.
fn planned_before(request: &Request, facts: &host::Facts) -> anyhow::Result<Plan> {
    let choices = &request.choices;
    let mut suites = Vec::new();
    for SuiteText { file, text, .. } in &request.suites {
        let mut suite = suite::parse(text, file)?;
        choices.apply(&mut suite);
        suite.budget = None;
        suites.push(suite);
    }
    let threads = choices.threads.iter().map(|text| super::select::threads(text));
    let threads = threads.collect::<Result<Vec<_>, _>>().map_err(anyhow::Error::msg)?;
    let options = Options {
        backends: Some(choices.backends.clone()).filter(|names| !names.is_empty()),
        threads: Some(threads).filter(|counts| !counts.is_empty()),
        effort: choices.quick.then_some(Effort::Quick),
        available: available(),
        ..Options::default()
    };
    let mut plan = plan::build(&suites, facts, &options)?;
    plan.groups.retain(|group| request.groups.contains(&group.id));
    plan.dropped.clear();
    Ok(plan)
}

/// Every backend but those that are known not to open.
fn available() -> Available {
    let mut available = Available::look();
    Seen::kept().unwrap_or_default().correct(&mut available);
    available
}

fn rates() -> plan::Rates {
    Seen::kept().unwrap_or_default().rates()
}

fn conclude(args: &Args, folder: &Folder, plan: &Plan, summary: Summary) -> anyhow::Result<u8> {
    results::print(&whole(&summary.records, folder)?, args.json)?;
    let path = folder.path().display();
    if summary.interrupted {
        note(&format!("interrupted; finished cells are kept: go on by `cutgpu run --resume {path}`"));
        return Ok(exit::INTERRUPTED);
    }
    for (group, visits) in &summary.left_out {
        note(&format!(
            "no time was left for {visits} visit(s) to {group}; `cutgpu run --resume {path}` makes them"
        ));
    }
    let failures = summary.failures();
    note(&format!("{} cells were measured or tried; their records are in {path}", summary.records.len()));
    if plan.counts().0 == 0 {
        note("nothing could be measured: every cell was skipped, for the reasons above");
    }
    if failures > 0 {
        note(&format!("{failures} cell(s) failed or gave a wrong answer"));
        return Ok(exit::FAILED);
    }
    Ok(exit::OK)
}

/// The cells of these records with all of their visits, those of an earlier process too.
fn whole(records: &[Record], folder: &Folder) -> anyhow::Result<Vec<Record>> {
    let name = |record: &Record| (record.key.clone(), record.repeat);
    let visited: BTreeSet<_> = records.iter().map(name).collect();
    let all = record::read(folder.path())?.records;
    Ok(all.into_iter().filter(|record| visited.contains(&name(record))).collect())
}

/// A thread count as the command line takes it.
fn words(count: Threads) -> String {
    match count {
        Threads::Count(count) => count.to_string(),
        Threads::All => "all".to_string(),
    }
}

fn say_dropped(plan: &Plan) {
    for (group, reason) in &plan.dropped {
        note(&format!("left out {group}: {reason}"));
    }
}

fn file_name(path: &str) -> String {
    path.rsplit('/').next().unwrap_or(path).to_string()
}

/// A line for a person, inert whatever it holds.
fn note(text: &str) {
    // Whoever reads this may have gone; the run goes on.
    let _ = writeln!(std::io::stderr(), "{}", host::plain(text));
}
