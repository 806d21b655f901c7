//! From suites to cells on a machine that is made up.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where it cannot go on")]

use cutgpu::backends::{DeviceKind, FAMILIES, Lane, Packing};
use cutgpu::host::{self, Cache, Facts};
use cutgpu::measure::settings::Settings;
use cutgpu::plan::{self, Available, Backend, Cell, Fate, Options, Pace, Plan, PlanError};
use cutgpu::suite::{self, Effort, Load, Scope, Suite, Threads};
use cutgpu::units::{Bytes, Reading};
use cutgpu::workloads::Param;
use std::sync::Arc;

const GIB: u64 = 1 << 30;

/// Four cores, 48 KiB + 1 MiB each, two third-level caches of 8 MiB, 8 GiB.
fn machine() -> Facts {
    let mut facts = host::facts();
    (facts.cpu.allowed, facts.cpu.logical) = (4, 4);
    let cache =
        |level, bytes, shared_by| Cache { level, bytes: Bytes(bytes), shared_by, instances: 4 / shared_by };
    facts.caches = vec![cache(1, 48 << 10, 1), cache(2, 1 << 20, 1), cache(3, 8 << 20, 2)];
    facts.memory.total = Reading::Value(Bytes(8 * GIB));
    facts.container.cores = Reading::absent("no limit is set");
    facts.container.memory = Reading::absent("no limit is set");
    facts
}

/// Plain loops, a scripted backend, and one that is not here.
fn options() -> Options {
    let backend = |name: &str, kind, missing: Option<&str>| Backend {
        name: name.to_string(),
        kind,
        missing: missing.map(str::to_string),
    };
    let backends = vec![
        backend("null", DeviceKind::Null, None),
        backend("cpu/naive", DeviceKind::Cpu, None),
        backend("cpu/mkl", DeviceKind::Cpu, Some("there is no MKL")),
    ];
    Options { available: Available { backends }, ..Options::default() }
}

fn parse(case: &str) -> Suite {
    let text = format!(
        "schema = 1\nname = \"s\"\nabout = \"x\"\n[[case]]\nname = \"c\"\nwhy = \"x\"\n\
         backends = [\"null\", \"cpu/naive\", \"cpu/mkl\"]\n{case}\n"
    );
    suite::parse(&text, "s.toml").unwrap_or_else(|error| panic!("{error}"))
}

fn plan(case: &str) -> Plan {
    plan::build(&[parse(case)], &machine(), &options()).unwrap_or_else(|error| panic!("{error}"))
}

fn ids(plan: &Plan) -> Vec<&str> {
    plan.groups.iter().map(|group| group.id.as_str()).collect()
}

fn int(plan: &Plan, group: usize, axis: &str) -> u64 {
    match &plan.groups[group].point[axis] {
        Param::Int(value) => *value,
        Param::Text(text) => panic!("{axis} is {text}"),
    }
}

#[test]
fn points_are_named_by_what_differs_from_the_usual() {
    let plan = plan(
        "workload = \"gemm\"\nsweep = { m = \"16..64*2\", n = \"=2*m\", k = [8], dtype = [\"f32\", \"bf16\"] }\n\
         where = [\"m * n < 8192\"]",
    );
    assert_eq!(
        ids(&plan),
        [
            "s/c/m=16,n=32,k=8",
            "s/c/m=16,n=32,k=8,dtype=bf16",
            "s/c/m=32,n=64,k=8",
            "s/c/m=32,n=64,k=8,dtype=bf16",
        ]
    );
    assert_eq!(plan.groups[0].point["trans"], Param::Text("nn".to_string()));
}

#[test]
fn points_that_meet_are_one_group() {
    let plan = plan("workload = \"gemm\"\nsweep = { m = [16, \"8..32*2\"], n = 8, k = 8 }");
    assert_eq!(ids(&plan), ["s/c/m=16,n=8,k=8", "s/c/m=8,n=8,k=8", "s/c/m=32,n=8,k=8"]);
}

#[test]
fn footprints_follow_the_caches() {
    let plan =
        plan("workload = \"copy\"\nsweep = { bytes = [\"0.5*L1\", \"0.5*L2\", \"4*LLC\", \"96KiB\"] }");
    let sizes: Vec<_> = (0..4).map(|group| int(&plan, group, "bytes")).collect();
    // Four times both third-level caches together.
    assert_eq!(sizes, [24 << 10, 512 << 10, 64 << 20, 96 << 10]);
    assert_eq!(plan.groups[2].label, "4*LLC");
    for (group, size) in plan.groups.iter().zip(sizes) {
        let held: u64 = group.program.bytes_by_state().values().sum();
        assert!(held <= size && held * 10 > size * 9, "{}: {held} for {size}", group.id);
    }
}

#[test]
fn a_footprint_may_decide_any_parameter() {
    let plan = plan("workload = \"gemm\"\nsweep = { m = \"0.5*L2\", n = \"=m\", k = \"=m\" }");
    // 3 m^2 f32 in 512 KiB: m = 209, in whole steps of 64.
    assert_eq!((int(&plan, 0, "m"), int(&plan, 0, "k")), (192, 192));
}

#[test]
fn a_cache_that_is_not_there_drops_the_point_and_says_so() {
    let mut facts = machine();
    facts.caches.truncate(2);
    let suite = parse("workload = \"copy\"\nsweep = { bytes = [\"0.5*L3\", \"0.5*L2\"] }");
    let plan = plan::build(&[suite], &facts, &options()).unwrap();
    assert_eq!(ids(&plan), ["s/c/bytes=524288"]);
    assert_eq!(plan.dropped.len(), 1);
    assert!(plan.dropped[0].1.contains("does not tell the size of its L3"), "{:?}", plan.dropped);
}

#[test]
fn every_cell_runs_or_says_why_not() {
    let plan = plan("workload = \"softmax\"\nsweep = { rows = 4, columns = 8 }\nthreads = [1, \"all\", 9]");
    let fates: Vec<_> = plan.groups[0]
        .cells
        .iter()
        .map(|cell| {
            let fate = match &cell.fate {
                Fate::Run => "run",
                Fate::Skip(reason) => reason,
            };
            (cell.contender.to_string(), fate.to_string())
        })
        .collect();
    let fate = |contender: &str| &fates.iter().find(|(name, _)| name == contender).unwrap().1;
    assert_eq!(fate("null:t1"), "run");
    assert_eq!(fate("null:t4"), "run");
    assert_eq!(fate("null:t9"), "9 threads are wanted, and this process may use 4");
    assert_eq!(fate("cpu/mkl:t1"), "there is no MKL");
    // One thread is all that plain loops have, so three counts are one lane.
    assert_eq!(fates.iter().filter(|(name, _)| name.starts_with("cpu/naive")).count(), 1);
}

#[test]
fn a_cpu_in_disguise_is_spared_long_work_unless_it_is_named() {
    if cutgpu::backends::family_of("wgpu").is_none() {
        return println!("left out: this build has no wgpu");
    }
    let name = "wgpu/llvmpipe".to_string();
    let disguised = Backend { name: name.clone(), kind: DeviceKind::SoftwareGpu, missing: None };
    let suite = parse("workload = \"gemm\"\nsweep = { m = [64, 1024], n = \"=m\", k = \"=m\" }")
        .cases
        .into_iter()
        .map(|case| suite::Case { backends: Some(vec!["wgpu".to_string()]), ..case });
    let suite =
        Suite { cases: suite.collect(), ..parse("workload = \"gemm\"\nsweep = { m = 1, n = 1, k = 1 }") };
    let mut options = Options { available: Available { backends: vec![disguised] }, ..options() };
    let fates = |options: &Options| -> Vec<bool> {
        let plan = plan::build(std::slice::from_ref(&suite), &machine(), options).unwrap();
        plan.groups.iter().map(|group| group.cells[0].fate == Fate::Run).collect()
    };
    assert_eq!(fates(&options), [true, false]);
    options.backends = Some(vec![name]);
    assert_eq!(fates(&options), [true, true]);
}

#[test]
fn a_quota_lowers_what_all_means() {
    let mut facts = machine();
    for (quota, all) in [(2.5, 2), (0.5, 1), (16.0, 4)] {
        facts.container.cores = Reading::Value(quota);
        let suite = parse("workload = \"copy\"\nsweep = { bytes = 4096 }");
        let plan = plan::build(&[suite], &facts, &options()).unwrap();
        assert_eq!(plan.groups[0].cells[0].contender.lane.threads, all, "{quota}");
    }
    facts.container.cores = Reading::absent("no limit is set");
    facts.cpu.allowed = 1;
    let suite = parse("workload = \"copy\"\nsweep = { bytes = 4096 }\nthreads = [1, \"all\"]");
    let plan = plan::build(&[suite], &facts, &options()).unwrap();
    assert_eq!(plan.groups[0].cells.iter().filter(|cell| cell.contender.backend == "null").count(), 1);
}

#[test]
fn only_parameters_are_packed_and_only_where_the_family_can() {
    let packed = |case: &str| {
        let plan =
            plan(&format!("workload = \"gemm\"\npacking = [\"plain\", \"packed\"]\nsweep = {{ {case} }}"));
        let lanes = plan.groups[0].cells.iter().map(|cell| cell.contender.lane.packing);
        lanes.filter(|packing| *packing == Packing::Packed).count()
    };
    let offered = cutgpu::backends::family_of("null").unwrap().packings().contains(&Packing::Packed);
    assert_eq!(packed("m = 8, n = 8, k = 8"), 0);
    assert_eq!(packed("m = 8, n = 8, k = 8, b = \"parameter\""), usize::from(offered));
}

#[test]
fn lanes_of_a_library_share_what_is_expanded_for_it() {
    let mut options = options();
    let library = Backend { name: "peer/torch".to_string(), kind: DeviceKind::Cpu, missing: None };
    options.available.backends.push(library);
    options.backends = Some(vec!["peer/torch".to_string(), "null".to_string()]);
    let case = "workload = \"add_layer_norm\"\nsweep = { rows = 4, columns = 8 }\nthreads = [1, \"all\"]";
    let plan = plan::build(&[parse(case)], &machine(), &options).unwrap();
    let of = |name| plan.groups[0].cells.iter().filter(move |cell| cell.contender.backend == name);
    let [one, all] = of("peer/torch").collect::<Vec<_>>()[..] else { panic!("two lanes") };
    assert_eq!(one.expanded, ["add_layer_norm"]);
    assert_eq!((&one.expanded, &one.fate), (&all.expanded, &all.fate));
    assert!(Arc::ptr_eq(&one.program, &all.program) && one.program.steps.len() > 1);
    assert!(of("null").all(|cell| cell.expanded.is_empty() && cell.program.steps.len() == 1));
}

#[test]
fn a_step_of_each_kind_answers_for_all_of_them() {
    let suites: Vec<Suite> =
        suite::names().map(|name| suite::parse(suite::embedded(name).unwrap(), name).unwrap()).collect();
    let plan = plan::build(&suites, &machine(), &options()).unwrap();
    let mut most = 1;
    for group in &plan.groups {
        let (program, kinds) = (&group.program, group.program.kinds());
        assert_eq!(kinds.iter().map(|kind| kind.count).sum::<u64>(), program.steps.len() as u64);
        most = kinds.iter().map(|kind| kind.count).max().unwrap_or(0).max(most);
        assert_eq!(group.work, program.work(), "{}", group.id);
        for family in FAMILIES {
            for packing in [Packing::Plain, Packing::Packed] {
                let lane = Lane { threads: 1, packing };
                let all = program.steps.iter().all(|step| family.supports(&lane, step, program).is_ok());
                let firsts = kinds.iter().map(|kind| &program.steps[kind.first]);
                let first = firsts.into_iter().all(|step| family.supports(&lane, step, program).is_ok());
                assert_eq!(first, all, "{} on {}", group.id, family.id());
            }
        }
    }
    assert!(most > 20, "models repeat their layers");
}

#[test]
fn an_outline_is_the_plan_without_its_programs() {
    let case = "workload = \"gemm\"\nsweep = { m = [8, \"16..64*2\"], n = 8, k = 8 }\nthreads = [1, \"all\"]";
    let suites = [parse(case)];
    let plan = plan::build(&suites, &machine(), &options()).unwrap();
    let outline = plan::outline(&suites, &machine(), &options()).unwrap();
    assert_eq!(outline.estimate(), plan.estimate());
    assert_eq!(outline.groups.len(), plan.groups.len());
    for (one, other) in outline.groups.iter().zip(&plan.groups) {
        assert_eq!((&one.id, &one.point, one.work), (&other.id, &other.point, other.work));
        let (ours, theirs) = (fates(&one.cells), fates(&other.cells));
        assert!(ours == theirs && !ours.is_empty(), "{ours:?}");
    }
}

fn fates<P>(cells: &[Cell<P>]) -> Vec<(String, Fate)> {
    cells.iter().map(|cell| (cell.contender.to_string(), cell.fate.clone())).collect()
}

#[test]
fn a_twin_is_one_more_start_of_the_first_that_runs() {
    let case = "workload = \"gemm\"\nsweep = { m = 8, n = 8, k = 8 }\nthreads = [1, \"all\"]\ntwin = true";
    let twins = |plan: &Plan| -> Vec<String> {
        let cells = plan.groups[0].cells.iter().filter(|cell| cell.contender.twin);
        cells.map(|cell| cell.contender.to_string()).collect()
    };
    assert_eq!(twins(&plan(case)), ["null:t4#twin"]);
    let without = Options { twins: false, ..options() };
    let plan = plan::build(&[parse(case)], &machine(), &without).unwrap();
    assert!(twins(&plan).is_empty());
}

#[test]
fn a_request_replaces_backends_threads_and_effort() {
    let suite = parse("workload = \"copy\"\nsweep = { bytes = 4096 }");
    let asked = Options {
        backends: Some(vec!["cpu/*".to_string()]),
        threads: Some(vec![Threads::Count(1)]),
        effort: Some(Effort::Quick),
        ..options()
    };
    let plan = plan::build(std::slice::from_ref(&suite), &machine(), &asked).unwrap();
    let contenders: Vec<_> = plan.groups[0].cells.iter().map(|cell| cell.contender.to_string()).collect();
    assert_eq!(contenders, ["cpu/naive:t1", "cpu/mkl:t1"]);
    assert_eq!(plan.groups[0].effort, Effort::Quick);
    let unknown = Options { backends: Some(vec!["cpu/nativ".to_string()]), ..options() };
    let error = plan::build(&[suite], &machine(), &unknown).unwrap_err();
    assert!(error.to_string().contains("no backend is called `cpu/nativ`"), "{error}");
}

#[test]
fn a_sustained_load_has_one_window() {
    let plan = plan(
        "workload = \"copy\"\nsweep = { bytes = 4096 }\nload = [\"burst\", \"sustained\"]\n\
         sync = [\"batch\", \"each\"]\ntemperature = [\"hot\", \"cold\"]",
    );
    let series = &plan.groups[0].series;
    assert_eq!(series.iter().filter(|kind| kind.load == Load::Burst).count(), 2 * 2 * 2);
    let windows: Vec<_> = series.iter().filter(|kind| kind.load == Load::Sustained).collect();
    assert_eq!((windows.len(), windows[0].scope), (1, Scope::Resident));
}

#[test]
fn what_does_not_fit_is_skipped_and_a_plan_of_nothing_else_refused() {
    let case = |sizes: &str| format!("workload = \"copy\"\nsweep = {{ bytes = {sizes} }}");
    let plan = plan(&case("[\"1GiB\", \"16GiB\"]"));
    let skipped = |group: usize| match &plan.groups[group].cells[0].fate {
        Fate::Run => None,
        Fate::Skip(reason) => Some(reason.as_str()),
    };
    assert_eq!(skipped(0), None);
    assert_eq!(skipped(1), Some("needs 17.2 GB of memory, and this machine has 8.59 GB"));
    let error = plan::build(&[parse(&case("\"16GiB\""))], &machine(), &options()).unwrap_err();
    assert!(
        matches!(error, PlanError::TooMuchMemory { need: Bytes(need), .. } if need > 16 * GIB - 64),
        "{error}"
    );
    let mut contained = machine();
    contained.container.memory = Reading::Value(Bytes(GIB / 2));
    assert!(plan::build(&[parse(&case("\"1GiB\""))], &contained, &options()).is_err());
    let limited = parse(&format!("max_memory = \"1MiB\"\n{}", case("\"2MiB\"")));
    let plan = plan::build(&[limited], &machine(), &options()).unwrap();
    assert!(
        matches!(&plan.groups[0].cells[0].fate, Fate::Skip(reason) if reason.contains("the case allows"))
    );
}

#[test]
fn a_million_cells_are_refused_by_number() {
    let suite =
        parse("workload = \"gemm\"\nsweep = { m = \"1..90000+1\", n = 1, k = 1 }\nthreads = [1, 2, 3, 4]");
    let error = plan::build(&[suite], &machine(), &options()).unwrap_err();
    assert!(error.to_string().contains("1080000 cells"), "{error}");
}

#[test]
fn shards_are_the_plan_and_share_nothing() {
    let suite = parse("workload = \"gemm\"\nsweep = { m = \"1..7+1\", n = 1, k = 1 }");
    let build = |shard| {
        let options = Options { shard, ..options() };
        plan::build(std::slice::from_ref(&suite), &machine(), &options)
    };
    let part =
        |part| build(Some((part, 3))).unwrap().groups.into_iter().map(|group| group.id).collect::<Vec<_>>();
    let mut together = [part(1), part(2), part(3)].concat();
    let whole = build(None).unwrap();
    let mut ids: Vec<_> = whole.groups.iter().map(|group| group.id.clone()).collect();
    together.sort();
    ids.sort();
    assert_eq!(together, ids);
    for shard in [(0, 3), (4, 3), (1, 0)] {
        assert!(build(Some(shard)).is_err(), "{shard:?}");
    }
}

#[test]
fn only_keeps_groups_by_their_name() {
    let suite = parse("workload = \"gemm\"\nsweep = { m = [1, 2, 12], n = 1, k = 1 }");
    let build = |only: &str| {
        let options = Options { only: vec![only.to_string()], ..options() };
        plan::build(std::slice::from_ref(&suite), &machine(), &options)
    };
    assert_eq!(ids(&build("m=1").unwrap()), ["s/c/m=1,n=1,k=1", "s/c/m=12,n=1,k=1"]);
    let error = build("m=3").unwrap_err().to_string();
    assert!(error.contains("no group has `m=3`") && error.contains("s/c/m=1,n=1,k=1"), "{error}");
}

#[test]
fn a_short_time_keeps_what_matters_most() {
    let case = |name: &str, priority: i64, m: u64| {
        format!(
            "[[case]]\nname = \"{name}\"\nwhy = \"x\"\nworkload = \"gemm\"\nbackends = [\"null\"]\n\
             priority = {priority}\nsweep = {{ m = {m}, n = 8, k = 8 }}\n"
        )
    };
    let head = "schema = 1\nname = \"s\"\nabout = \"x\"\n";
    let cases = [case("low", 1, 8), case("high", 9, 8), case("low-too", 1, 16)].concat();
    let build = |budget: &str, minutes| {
        let suite = suite::parse(&format!("{head}{budget}{cases}"), "s.toml").unwrap();
        plan::build(&[suite], &machine(), &Options { minutes, ..options() }).unwrap()
    };
    let all = build("", None);
    assert_eq!((all.groups.len(), all.dropped.len()), (3, 0));
    let one = all.groups[1].estimate.as_secs_f64();
    let short = build("", Some(1.5 * one / 60.0));
    assert_eq!(short.groups.iter().map(|group| group.case.as_str()).collect::<Vec<_>>(), ["high"]);
    assert_eq!(short.dropped.len(), 2);
    assert!(short.dropped[0].1.contains("lowest priority, 1"), "{:?}", short.dropped);
    // The suite's own budget does the same; a request in minutes stands above it.
    let budget = format!("budget = \"{}ms\"\n", (2.5 * one * 1000.0) as u64);
    assert_eq!(build(&budget, None).groups.len(), 2);
    assert_eq!(build(&budget, Some(60.0)).groups.len(), 3);
    for minutes in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let suite = suite::parse(&format!("{head}{cases}"), "s.toml").unwrap();
        let options = Options { minutes: Some(minutes), ..options() };
        assert!(plan::build(&[suite], &machine(), &options).is_err(), "{minutes}");
    }
}

#[test]
fn estimates_assume_the_pace_that_measuring_keeps() {
    for effort in [Effort::Quick, Effort::Full] {
        let (pace, settings) = (Pace::of(effort), Settings::of(effort, 0));
        assert_eq!(pace.starts, settings.starts);
        assert!(pace.visits > 0 && settings.visit == 0);
        assert_eq!(pace.rounds, settings.stop.min_rounds as f64);
        for (assumed, kept) in [
            (pace.warm_up, settings.warm_up),
            (pace.slice, settings.slice),
            (pace.probe, settings.probe),
            (pace.budget, settings.stop.budget),
            (pace.sustained, settings.sustained),
        ] {
            assert!((assumed - kept.seconds()).abs() < 1e-9, "{effort:?}: {assumed} and {kept}");
        }
    }
}

#[test]
fn the_command_line_needs_no_file() {
    let suite = plan::ad_hoc("gemm", "m=64..256*2,n==m,k=64|128").unwrap();
    let plan =
        plan::build(&[suite], &machine(), &Options { backends: Some(vec!["null".to_string()]), ..options() });
    let plan = plan.unwrap();
    assert_eq!(plan.groups.len(), 6);
    assert_eq!(plan.groups[0].id, "adhoc/gemm/m=64,n=64,k=64");
    for (workload, point, says) in [
        ("gem", "m=1", "did you mean `gemm`?"),
        ("quik", "", "did you mean `quick`?"),
        ("gemm", "m", "sets nothing"),
        ("gemm", "m=1,n=1", "needs the parameter `k`"),
        ("gemm", "m=1,n=1,k=0", "a size of zero"),
        ("gemm", "m=1,n=1,k=nan", "is not a whole number"),
        ("gemm", "m=1,m=2,n=1,k=1", "set twice"),
        ("gemm", "m=1\",n=1,k=1", "is not a whole number"),
        ("gemm\"", "m=1", "is no suite"),
    ] {
        let error = plan::ad_hoc(workload, point).unwrap_err().to_string();
        assert!(error.contains(says), "{workload} {point}: {error}");
    }
}

#[test]
fn every_suite_that_is_carried_can_be_planned() {
    for name in suite::names() {
        let suite =
            suite::parse(suite::embedded(name).unwrap(), name).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(suite.name, name);
        let plan = plan::build(&[suite], &machine(), &options()).unwrap();
        assert!(plan.dropped.is_empty(), "{:?}", plan.dropped);
        assert!(!plan.groups.is_empty());
    }
}
