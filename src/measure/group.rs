//! Measures all contenders at one point: starts, phases, rounds.

use super::evidence::{Evidence, Outcome, Reading};
use super::memory;
use super::peer::Hire;
use super::probe::Prober;
use super::rounds::{self, Position};
use super::schedule;
use super::settings::Settings;
use super::trial::{Phase, Tools, Trial, is_on_a_card};
use super::verify::Verifier;
use crate::backends::cuda_card;
use crate::plan::{Fate, Group};
use crate::suite::{Load, Temperature};
use crate::units::Nanos;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// The user wants to stop: nothing of the group is worth keeping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("interrupted")]
pub struct Interrupted;

/// What a group is measured with.
pub struct Bench<'a> {
    /// Lengths, counts and limits.
    pub settings: Settings,
    /// Whoever starts workers.
    pub hire: &'a dyn Hire,
    /// Bytes of the last-level cache; none where unknown.
    pub last_level_cache: Option<u64>,
    /// Bytes of memory that are free now; none where unknown.
    pub free_memory: Option<u64>,
    /// Set when the user wants to stop.
    pub interrupted: &'a AtomicBool,
    /// Told where the group stands, in a few words.
    pub progress: &'a dyn Fn(&str),
}

impl Bench<'_> {
    pub(super) fn check(&self) -> Result<(), Interrupted> {
        if self.interrupted.load(Ordering::Relaxed) { Err(Interrupted) } else { Ok(()) }
    }
}

/// Measures every cell of `group`, one piece of evidence each, in the group's order.
pub fn measure(group: &Group, bench: &Bench) -> Result<Vec<Evidence>, Interrupted> {
    let phases = phases(group, bench);
    let widest = phases.iter().map(|phase| phase.sets).max().unwrap_or(1) as u64;
    let running = group.cells.iter().filter(|cell| cell.fate == Fate::Run);
    let sizes = running.map(|cell| memory::bytes(&cell.program).saturating_mul(widest));
    let mut together = memory::fit_together(sizes, bench.free_memory);
    let mut trials = trials(group, &phases, together, bench)?;
    // A card that takes one process at a time, or whose memory another contender fills: one by one they may find room.
    let on_cards = trials.iter().filter(|trial| trial.is_on_a_card()).count();
    if together && on_cards > 1 && trials.iter().any(Trial::found_no_room_on_its_card) {
        together = false;
        trials = self::trials(group, &phases, together, bench)?;
    }
    let interleaved = together && trials.len() > 1;
    let mut evidence = trials.into_iter().map(|trial| trial.finish(interleaved));
    let cells = group.cells.iter().map(|cell| match &cell.fate {
        Fate::Skip(reason) => Some(Evidence::of(Outcome::Skipped { reason: reason.clone() })),
        Fate::Run => evidence.next(),
    });
    let mut cells: Vec<Evidence> = cells.flatten().collect();
    if interleaved {
        share_conditions(group, &mut cells);
    }
    for (cell, evidence) in group.cells.iter().zip(&mut cells) {
        bench.check()?;
        if evidence.outcome == Outcome::Measured && bench.settings.memory_peak {
            (bench.progress)(&format!("memory of {}", cell.contender));
            let limit = bench.settings.time_limit;
            evidence.memory = memory::peak(bench.hire, cell, bench.settings.seed, limit);
            bench.check()?;
            (bench.progress)(&format!("phases of {}", cell.contender));
            evidence.phases = super::phases::times(bench.hire, cell, bench.settings.seed);
        } else if evidence.outcome != Outcome::Measured {
            evidence.memory = Reading::Absent("the cell was not measured".to_string());
        }
    }
    Ok(cells)
}

/// A worker without telemetry of its own was on its card in the same rounds as others, which told of it.
fn share_conditions(group: &Group, cells: &mut [Evidence]) {
    let card = |number: usize| cuda_card(&group.cells[number].contender.backend);
    for number in 0..cells.len() {
        if card(number).is_none() || cells[number].device.is_some() {
            continue;
        }
        let beside = (0..cells.len()).filter(|&other| card(other) == card(number));
        cells[number].device = beside.into_iter().find_map(|other| cells[other].device.clone());
    }
}

/// Every cell that runs, measured; all of them loaded at the same time, or one after another.
fn trials<'a>(
    group: &'a Group,
    phases: &[Phase],
    together: bool,
    bench: &'a Bench,
) -> Result<Vec<Trial<'a>>, Interrupted> {
    let runs = group.cells.iter().filter(|cell| cell.fate == Fate::Run);
    let mut trials: Vec<Trial> = runs.map(|cell| Trial::new(cell, &group.series, &bench.settings)).collect();
    let mut tools = tools(bench);
    // A contender so slow that it has one round a visit has odd and even ones over several visits.
    let mut position = Position { start: 0, round: bench.settings.visit };
    for start in 0..bench.settings.starts {
        position.start = start;
        let batch = if together { trials.len().max(1) } else { 1 };
        for trials in trials.chunks_mut(batch) {
            session(&mut trials.iter_mut().collect::<Vec<_>>(), phases, &mut position, &mut tools, bench)?;
        }
    }
    Ok(trials)
}

/// Checks the answer of every cell of `group` and times nothing.
pub fn check(group: &Group, bench: &Bench) -> Result<Vec<Evidence>, Interrupted> {
    let mut tools = tools(bench);
    let mut cells = Vec::new();
    for cell in &group.cells {
        bench.check()?;
        if let Fate::Skip(reason) = &cell.fate {
            cells.push(Evidence::of(Outcome::Skipped { reason: reason.clone() }));
            continue;
        }
        (bench.progress)(&cell.contender.to_string());
        let mut trial = Trial::new(cell, &[], &bench.settings);
        trial.attempt(|trial| trial.prove(&mut tools));
        cells.push(trial.finish(false));
    }
    Ok(cells)
}

fn tools<'a>(bench: &Bench<'a>) -> Tools<'a> {
    Tools {
        hire: bench.hire,
        prober: Prober::new(bench.hire),
        last_level_cache: last_level_cache(bench),
        verifier: Verifier::new(bench.settings.seed, bench.settings.reference),
    }
}

/// The layouts that the group's series need, hot before cold.
fn phases(group: &Group, bench: &Bench) -> Vec<Phase> {
    let wants = |temperature| group.series.iter().any(|kind| kind.temperature == temperature);
    let of_cards = if on_a_card(group) { OF_CARDS } else { 0 };
    let cache = last_level_cache(bench).max(of_cards);
    [(Temperature::Hot, 1), (Temperature::Cold, memory::cold_sets(&group.program, cache))]
        .into_iter()
        .filter(|(temperature, _)| wants(*temperature))
        .map(|(temperature, sets)| Phase { temperature, sets })
        .collect()
}

/// Larger than most last-level caches: for machines that do not tell.
const DEFAULT_CACHE: u64 = 128 << 20;

/// The largest second-level cache of a graphics card, NVIDIA's B200: its own size is known once it is open.
const OF_CARDS: u64 = 126 << 20;

/// Whether a contender has a cache that is not the host's.
fn on_a_card(group: &Group) -> bool {
    group.cells.iter().any(|cell| cell.fate == Fate::Run && is_on_a_card(&cell.contender.backend))
}

fn last_level_cache(bench: &Bench) -> u64 {
    bench.last_level_cache.unwrap_or(DEFAULT_CACHE)
}

/// One start of these contenders, all loaded at the same time.
fn session(
    trials: &mut [&mut Trial],
    phases: &[Phase],
    position: &mut Position,
    tools: &mut Tools,
    bench: &Bench,
) -> Result<(), Interrupted> {
    let order =
        schedule::order(trials.len(), bench.settings.order().wrapping_add(1), u64::from(position.start));
    for &phase in phases {
        let begin = Instant::now();
        for &number in &order {
            bench.check()?;
            (bench.progress)(&format!("start {}: {}", position.start + 1, trials[number].cell.contender));
            trials[number].attempt(|trial| trial.prepare(phase, position.start, tools));
        }
        let preparation = Nanos(begin.elapsed().as_nanos() as f64 / trials.len().max(1) as f64);
        trials.iter_mut().for_each(|trial| trial.stop = bench.settings.stop.after(preparation));
        (bench.progress)(&format!("start {}: rounds", position.start + 1));
        let kinds = rounds::kinds(trials, phase.temperature, Load::Burst);
        rounds::run(trials, &kinds, position, &mut tools.prober, bench)?;
        for trial in trials.iter_mut() {
            bench.check()?;
            trial.attempt(|trial| trial.sustain(phase, position, &mut tools.prober, bench));
            trial.attempt(|trial| trial.conclude(phase));
        }
    }
    for trial in trials.iter_mut() {
        trial.dismiss();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::crash::CrashKind;
    use super::super::scripted::{BATCH, Company, Part};
    use super::super::stop::Stop;
    use super::*;
    use crate::backends::null::Behaviour;
    use crate::backends::{DeviceKind, FAMILIES};
    use crate::plan::SeriesKind;
    use crate::suite::{Effort, Scope, Sync};
    use std::time::Duration;

    fn settings() -> Settings {
        let stop = Stop { min_rounds: 6, max_rounds: 8, half_width: 0.01, budget: Nanos(1e12) };
        Settings { starts: 3, stop, ..Settings::of(Effort::Quick, 7) }
    }

    fn steady(ns: f64) -> Part {
        Part { behaviour: Behaviour { ns, ..Behaviour::default() }, ..Part::default() }
    }

    #[test]
    fn contenders_take_turns_in_shuffled_rounds_and_each_starts_afresh() {
        let company =
            Company::of(&[("null/a", steady(1e4)), ("null/b", steady(2e4)), ("null/c", steady(4e4))]);
        let evidence = company.measure(settings(), &[BATCH]);
        for (evidence, ns) in evidence.iter().zip([1e4, 2e4, 4e4]) {
            let series = &evidence.series[0];
            assert_eq!(evidence.outcome, Outcome::Measured);
            assert_eq!((series.ns.len(), series.iters.len(), series.stop.as_str()), (18, 3, "settled"));
            assert!(series.ns.iter().all(|each| (each - ns).abs() < 1.0), "{:?}", series.ns);
            assert_eq!(series.start, [[0; 6], [1; 6], [2; 6]].concat());
            assert_eq!(series.round, (0..18).collect::<Vec<_>>());
            assert!(evidence.interleaved);
        }
        assert_eq!(company.said("hire").len(), 9);
        // Each round asks every contender once before it asks one again.
        let turns = company.said("pause");
        let rounds: Vec<Vec<&str>> =
            turns.chunks(3).map(|round| round.iter().map(String::as_str).collect()).collect();
        assert!(
            rounds.iter().all(|round| round.iter().collect::<std::collections::BTreeSet<_>>().len() == 3)
        );
        let orders: std::collections::BTreeSet<_> = rounds.iter().collect();
        assert!(orders.len() > 3, "{orders:?}");
    }

    #[test]
    fn trouble_in_any_phase_costs_one_cell() {
        let phases = ["hire", "load", "verify", "calibrate", "sample", "pause", "resume", "read"];
        for phase in phases {
            for number in [0, 1] {
                let broken = Part { crash: Some((phase, number, CrashKind::Segfault)), ..steady(1e4) };
                let company =
                    Company::of(&[("null/a", steady(1e4)), ("null/b", broken), ("null/c", steady(2e4))]);
                let evidence = company.measure(settings(), &[BATCH]);
                let failed =
                    Outcome::Failed { kind: "segfault".to_string(), message: "as scripted".to_string() };
                let outcomes: Vec<_> = evidence.iter().map(|evidence| evidence.outcome.clone()).collect();
                assert_eq!(outcomes, [Outcome::Measured, failed, Outcome::Measured], "{phase} {number}");
                assert!(evidence[1].series.is_empty());
                assert_eq!(evidence[2].series[0].ns.len(), 18, "{phase} {number}");
            }
        }
    }

    #[test]
    fn a_sample_that_waited_is_taken_again_and_the_quietest_is_kept() {
        // Samples 0 to 3 are warm-up; then each turn has one to wake up and one that counts.
        let company = Company::of(&[("null/a", Part { waits: vec![1_000_000; 40], ..steady(1e4) })]);
        let evidence = company.measure(settings(), &[BATCH]);
        let series = &evidence[0].series[0];
        assert!(series.discarded > 0 && series.noisy > 0);
        assert!(series.noisy < series.ns.len() as u32);
        assert_eq!(series.run_delay_ns.iter().filter(|waited| **waited > 0).count(), series.noisy as usize);
    }

    #[test]
    fn a_disturbance_while_calibrating_makes_no_short_samples() {
        let company = Company::of(&[("null/a", Part { disturbed: true, ..steady(1e4) })]);
        let evidence = company.measure(settings(), &[BATCH, SeriesKind { sync: Sync::Each, ..BATCH }]);
        for series in &evidence[0].series {
            // 5 ms of 10 µs each.
            assert_eq!(series.iters, [500; 3]);
        }
    }

    #[test]
    fn what_does_not_fit_together_takes_turns() {
        let company = Company::of(&[("null/a", steady(1e4)), ("null/b", steady(2e4))]);
        let group = super::super::scripted::group(["null/a", "null/b"].into_iter(), &[BATCH]);
        let none = AtomicBool::new(false);
        let bench = Bench {
            settings: settings(),
            hire: &company,
            last_level_cache: None,
            free_memory: Some(1000),
            interrupted: &none,
            progress: &|_| {},
        };
        let evidence = measure(&group, &bench).unwrap();
        assert!(evidence.iter().all(|evidence| !evidence.interleaved && evidence.series[0].ns.len() == 18));
        let hires = company.log.borrow();
        let of_b = hires.iter().position(|entry| entry == "null/b hire").unwrap();
        assert!(hires[..of_b].iter().filter(|entry| entry.ends_with("pause")).count() > 6);
    }

    #[test]
    fn contenders_that_find_no_room_on_a_card_take_turns() {
        let Some(family) = FAMILIES.iter().find(|family| family.kind() == DeviceKind::Gpu) else {
            return assert!(!is_on_a_card("cpu/native"), "this build knows no cards");
        };
        let [first, second] = [0, 1].map(|number| format!("{}/{number}", family.id()));
        // Its memory holds one program.
        let greedy = || Part { wants_all: true, ..steady(1e4) };
        for (parts, turns) in [
            ([(&*first, greedy()), (&*second, greedy())], true),
            ([(&*first, greedy()), ("null/a", greedy())], false),
            ([("null/a", greedy()), ("null/b", greedy())], false),
        ] {
            let company = Company::of(&parts);
            let evidence = company.measure(settings(), &[BATCH]);
            let measured = evidence.iter().filter(|evidence| evidence.outcome == Outcome::Measured).count();
            // Where they are not given turns, one is left.
            assert_eq!(measured, if turns { 2 } else { 1 }, "{:?}", parts.each_ref().map(|part| part.0));
            assert!(!turns || evidence.iter().all(|evidence| !evidence.interleaved));
        }
    }

    #[test]
    fn who_shares_a_card_shares_what_is_known_of_it() {
        let backends = ["cuda/native/0", "cuda/cublas/0", "cuda/cublas/1", "null/a"];
        let group = super::super::scripted::group(backends.into_iter(), &[BATCH]);
        let mut cells = vec![Evidence::of(Outcome::Measured); 4];
        let told = super::super::evidence::DeviceConditions {
            foreign: Reading::Value(0),
            throttled: Reading::Value(2),
            power_capped: Reading::Value(false),
        };
        cells[0].device = Some(told.clone());
        share_conditions(&group, &mut cells);
        let known: Vec<bool> = cells.iter().map(|cell| cell.device == Some(told.clone())).collect();
        // A build without CUDA knows no card.
        let shared = cuda_card("cuda/native/0").is_some();
        assert_eq!(known, [true, shared, false, false]);
        assert_eq!(cuda_card("cuda/native/0/pageable"), cuda_card("cuda/cublas/0"));
        assert_eq!(cuda_card("wgpu/0"), None);
    }

    #[test]
    fn end_to_end_on_a_hosts_memory_is_resident_and_recorded_once() {
        let kinds = [
            BATCH,
            SeriesKind { scope: Scope::EndToEnd, ..BATCH },
            SeriesKind { scope: Scope::Device, ..BATCH },
        ];
        let away = Part {
            behaviour: Behaviour {
                upload_ns: 5e3,
                download_ns: 5e3,
                device_share: Some(0.5),
                ..steady(1e4).behaviour
            },
            ..Part::default()
        };
        let company = Company::of(&[("null/a", steady(1e4)), ("null/b", away)]);
        let evidence = company.measure(settings(), &kinds);
        assert_eq!((evidence[0].host_memory, evidence[0].series.len()), (Some(true), 1));
        assert_eq!((evidence[1].host_memory, evidence[1].series.len()), (Some(false), 3));
        assert!((evidence[1].series[1].ns[0] - 2e4).abs() < 1.0);
        assert!((evidence[1].series[2].ns[0] - 5e3).abs() < 1.0);
    }

    #[test]
    fn every_kind_of_series_is_there() {
        let kinds = [
            BATCH,
            SeriesKind { sync: Sync::Each, ..BATCH },
            SeriesKind { temperature: Temperature::Cold, ..BATCH },
            SeriesKind { load: Load::Sustained, ..BATCH },
        ];
        let company = Company::of(&[("null/a", steady(1e5))]);
        let evidence = company.measure(Settings { sustained: Nanos(1e9), ..settings() }, &kinds);
        let series = &evidence[0].series;
        assert_eq!(series.iter().map(|series| series.kind).collect::<Vec<_>>(), kinds);
        assert_eq!(series[1].latency_ns, Some([1e5; 3]));
        let window: f64 = series[3].ns.iter().sum::<f64>() * series[3].iters[0] as f64;
        assert!(window >= 1e9 && series[3].start.iter().all(|start| *start == 0));
        // Cold needs copies that exceed twice the cache of 64 KiB: 768 bytes each.
        assert_eq!(
            phases(&super::super::scripted::group(["null/a"].into_iter(), &kinds), &bench_of(&company))[1]
                .sets,
            171
        );
    }

    #[test]
    fn what_is_cold_on_a_card_exceeds_a_cards_cache() {
        let cold = SeriesKind { temperature: Temperature::Cold, ..BATCH };
        let company = Company::of(&[("null/a", steady(1e5))]);
        let sets = |backend: &str| {
            let group = super::super::scripted::group([backend].into_iter(), &[cold]);
            phases(&group, &bench_of(&company))[0].sets
        };
        for family in FAMILIES {
            let backend = format!("{}/0", family.id());
            let want = if family.kind() == DeviceKind::Gpu { 2 * (126 << 20) / 768 + 1 } else { 171 };
            assert_eq!(sets(&backend), want, "{backend}");
        }
    }

    #[test]
    fn a_slow_contender_ends_alone_when_its_time_is_up() {
        let mut settings = settings();
        settings.stop.budget = Nanos(1e9);
        let noisy =
            Part { behaviour: Behaviour { ns: 1e4, noise: 0.5, ..Behaviour::default() }, ..Part::default() };
        let company = Company::of(&[("null/fast", noisy), ("null/slow", steady(1.5e9))]);
        let evidence = company.measure(settings, &[BATCH]);
        let counts: Vec<_> = evidence.iter().map(|evidence| evidence.series[0].ns.len()).collect();
        // Two budgets are used up after two samples of 1.5 s each.
        assert_eq!(counts[1], 6);
        assert!(counts[0] >= 18);
        assert_eq!(evidence[1].series[0].stop, "budget");
    }

    #[test]
    fn what_takes_long_to_load_is_sampled_more_than_once() {
        let stop = Stop { budget: Nanos(1.0), ..settings().stop };
        let settings = Settings { starts: 1, stop, ..settings() };
        let samples = |ns, loads_for| {
            let company = Company::of(&[("null/a", Part { loads_for, ..steady(ns) })]);
            company.measure(settings.clone(), &[BATCH])[0].series[0].ns.len()
        };
        assert_eq!(samples(1e9, Duration::ZERO), 1);
        // An eighth of it is five samples.
        assert!(samples(1e7, Duration::from_millis(400)) > 1);
    }

    #[test]
    fn an_interrupt_leaves_nothing() {
        let company = Company::of(&[("null/a", steady(1e4))]);
        assert_eq!(company.try_measure(settings(), &[BATCH], &AtomicBool::new(true)), Err(Interrupted));
        assert!(company.log.borrow().is_empty());
    }

    #[test]
    fn the_memory_of_a_fresh_process_is_asked_for_last() {
        let company = Company::of(&[("null/a", steady(1e4))]);
        let evidence = company.measure(Settings { memory_peak: true, ..settings() }, &[BATCH]);
        let Reading::Value(peak) = &evidence[0].memory else { panic!("{:?}", evidence[0].memory) };
        assert!(peak.baseline > 0 && !peak.held.is_empty());
        assert_eq!(company.said("hire").len(), 4);
    }

    fn bench_of(company: &Company) -> Bench<'_> {
        static NEVER: AtomicBool = AtomicBool::new(false);
        Bench {
            settings: settings(),
            hire: company,
            last_level_cache: Some(1 << 16),
            free_memory: None,
            interrupted: &NEVER,
            progress: &|_| {},
        }
    }
}
