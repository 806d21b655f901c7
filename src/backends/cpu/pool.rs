//! Threads that wait for work by spinning: a call costs well under a microsecond, where waking a
//! sleeping thread costs tens. After a few idle milliseconds they sleep all the same, because a
//! spinning thread takes half a core from whatever runs next.

use crate::host::topology;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use std::cell::{Cell, UnsafeCell};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::*};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long an idle thread spins before it sleeps.
const IDLE: Duration = Duration::from_millis(2);

type Job = dyn Fn(&Member) + Sync;

/// A team of threads; the one that calls [`Pool::run`] is number 0.
pub struct Pool {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    /// Where the members stay, by number; empty where they go where they like.
    cores: Vec<usize>,
    /// The caller's own mask, to be restored.
    mask: Option<CpuSet>,
    // Also keeps the pool from being shared: two callers at once would overwrite each other's job.
    busy: Cell<bool>,
}

struct Shared {
    members: usize,
    job: UnsafeCell<Option<&'static Job>>,
    /// One more whenever a new job is there.
    epoch: AtomicUsize,
    done: AtomicUsize,
    asleep: AtomicUsize,
    failed: AtomicBool,
    quit: AtomicBool,
    arrived: AtomicUsize,
    round: AtomicUsize,
}

// SAFETY: `job` is written only by the caller while every worker waits for the epoch to move, and
// read only between that move and the worker's `done`, for which the caller waits.
unsafe impl Sync for Shared {}

/// One thread's place in a team, inside a job.
pub struct Member<'a> {
    /// Number of this thread, from 0.
    pub id: usize,
    /// Threads in the team.
    pub count: usize,
    shared: &'a Shared,
}

/// Part `id` of `len` things, cut into `count` nearly equal runs of whole multiples of `grain`.
pub fn share(len: usize, grain: usize, id: usize, count: usize) -> Range<usize> {
    let grains = len.div_ceil(grain);
    let at = |id: usize| (grains * id / count * grain).min(len);
    at(id)..at(id + 1)
}

impl Member<'_> {
    /// This thread's [`share`] of `len` things.
    pub fn share(&self, len: usize, grain: usize) -> Range<usize> {
        share(len, grain, self.id, self.count)
    }

    /// Waits until every thread of the team is here.
    pub fn barrier(&self) {
        let Shared { arrived, round, .. } = self.shared;
        let before = round.load(Acquire);
        if arrived.fetch_add(1, AcqRel) + 1 == self.count {
            arrived.store(0, Relaxed);
            round.fetch_add(1, Release);
        } else {
            spin_until(|| round.load(Acquire) != before);
        }
    }
}

impl Pool {
    /// A team of `threads`, the caller included. Each stays on a processor of its own ([`topology::in_order`])
    /// where the process may use that many: a worker that wakes on its caller's core would wait there while the caller spins
    /// for it. A team of one starts nothing and pins nothing.
    pub fn new(threads: usize) -> std::io::Result<Self> {
        let members = threads.max(1);
        let mut pool = Self::empty(members);
        let mask = sched_getaffinity(None).ok();
        let cores: Vec<usize> =
            mask.iter().flat_map(|mask| (0..CpuSet::MAX_CPU).filter(|&core| mask.is_set(core))).collect();
        let cores = topology::in_order(&cores);
        let core_of = |id: usize| if cores.len() >= members { cores.get(id).copied() } else { None };
        for id in 1..members {
            let (shared, core) = (pool.shared.clone(), core_of(id));
            let body = move || {
                stay_on(core);
                serve(&shared, id);
            };
            pool.threads.push(std::thread::Builder::new().name(format!("pool {id}")).spawn(body)?);
        }
        if members > 1 {
            stay_on(core_of(0));
            pool.mask = mask;
            pool.cores = (0..members).filter_map(core_of).collect();
        }
        Ok(pool)
    }

    /// A team of the caller alone.
    pub fn alone() -> Self {
        Self::empty(1)
    }

    fn empty(members: usize) -> Self {
        let shared = Arc::new(Shared {
            members,
            job: UnsafeCell::new(None),
            epoch: AtomicUsize::new(0),
            done: AtomicUsize::new(0),
            asleep: AtomicUsize::new(0),
            failed: AtomicBool::new(false),
            quit: AtomicBool::new(false),
            arrived: AtomicUsize::new(0),
            round: AtomicUsize::new(0),
        });
        Self { shared, threads: Vec::new(), cores: Vec::new(), mask: None, busy: Cell::new(false) }
    }

    /// Threads in the team.
    pub fn threads(&self) -> usize {
        self.shared.members
    }

    /// The processor of each member; empty where they go where they like.
    pub fn cores(&self) -> &[usize] {
        &self.cores
    }

    /// Runs `job` once on every thread and returns when all are back.
    ///
    /// # Panics
    /// When the job panicked on any thread, or when called from inside a job.
    pub fn run(&self, job: &(dyn Fn(&Member) + Sync)) {
        let me = Member { id: 0, count: self.shared.members, shared: &self.shared };
        if self.threads.is_empty() {
            return job(&me);
        }
        assert!(!self.busy.replace(true), "a job started another on the same pool");
        // Also when the job panics here: the others still use it.
        let _team = Gathering(self);
        // SAFETY: only the lifetime changes; `Gathering` lets nobody return before every worker is
        // done with the job.
        let job: &'static Job = unsafe { std::mem::transmute(job) };
        // SAFETY: every worker waits for the epoch, so nobody reads the job now.
        unsafe { *self.shared.job.get() = Some(job) };
        self.shared.done.store(0, Relaxed);
        self.shared.epoch.fetch_add(1, SeqCst);
        if self.shared.asleep.load(SeqCst) > 0 {
            self.threads.iter().for_each(|thread| thread.thread().unpark());
        }
        job(&me);
    }
}

/// Waits for the team when it is dropped.
struct Gathering<'a>(&'a Pool);

impl Drop for Gathering<'_> {
    fn drop(&mut self) {
        let Pool { shared, threads, busy, .. } = self.0;
        spin_until(|| shared.done.load(Acquire) == threads.len());
        busy.set(false);
        let failed = shared.failed.swap(false, Relaxed);
        assert!(!failed || std::thread::panicking(), "a job panicked on another thread");
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.quit.store(true, SeqCst);
        for thread in self.threads.drain(..) {
            thread.thread().unpark();
            // A worker cannot panic outside a job, and a job's panic has been told.
            let _ = thread.join();
        }
        if let Some(mask) = self.mask {
            let _ = sched_setaffinity(None, &mask);
        }
    }
}

/// Keeps the calling thread on `core`; a refusal changes nothing.
fn stay_on(core: Option<usize>) {
    let Some(core) = core else { return };
    let mut only = CpuSet::new();
    only.set(core);
    let _ = sched_setaffinity(None, &only);
}

/// Spins, then gives the core away: on a busy machine the thread waited for may need this very core.
fn spin_until(ready: impl Fn() -> bool) {
    const SPINS: u32 = 20_000;
    let mut spins = 0;
    while !ready() {
        spins += 1;
        if spins < SPINS { std::hint::spin_loop() } else { std::thread::yield_now() }
    }
}

fn serve(shared: &Shared, id: usize) {
    for epoch in 1.. {
        let is_called = || shared.epoch.load(SeqCst) >= epoch || shared.quit.load(SeqCst);
        doze(shared, is_called);
        if shared.quit.load(SeqCst) {
            return;
        }
        // SAFETY: the epoch has moved, so the job is there, and it stays until `done` is counted.
        if let Some(job) = unsafe { *shared.job.get() } {
            let me = Member { id, count: shared.members, shared };
            let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| job(&me)));
            if outcome.is_err() {
                shared.failed.store(true, Relaxed);
            }
        }
        shared.done.fetch_add(1, Release);
    }
}

/// Spins until called, and sleeps when that takes long.
fn doze(shared: &Shared, is_called: impl Fn() -> bool) {
    // The clock is read seldom, the call looked for after every pause: a pause is 20 to 60 ns.
    const PAUSES: u32 = 256;
    let since = Instant::now();
    let mut pauses = 0u32;
    while !is_called() && (!pauses.is_multiple_of(PAUSES) || since.elapsed() < IDLE) {
        pauses = pauses.wrapping_add(1);
        std::hint::spin_loop();
    }
    if !is_called() {
        // From here on the caller unparks; a token given before the parking is kept.
        shared.asleep.fetch_add(1, SeqCst);
        while !is_called() {
            std::thread::park();
        }
        shared.asleep.fetch_sub(1, SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_member_works_once_a_call() {
        for threads in [1, 2, 3, 5] {
            let pool = Pool::new(threads).unwrap();
            let counts: Vec<AtomicUsize> = (0..threads).map(|_| AtomicUsize::new(0)).collect();
            for call in 1..=200 {
                pool.run(&|me| {
                    counts[me.id].fetch_add(1, Relaxed);
                    me.barrier();
                    let all_here = counts.iter().all(|count| count.load(Relaxed) == call);
                    me.barrier();
                    assert!(all_here);
                });
            }
            // Long enough for the others to fall asleep.
            std::thread::sleep(2 * IDLE);
            pool.run(&|me| {
                counts[me.id].fetch_add(1, Relaxed);
            });
            assert!(counts.iter().all(|count| count.load(Relaxed) == 201));
        }
    }

    #[test]
    fn shares_cover_everything_once() {
        for (len, count, grain) in [(0, 3, 16), (1, 3, 16), (100, 3, 16), (48, 3, 16), (7, 7, 1), (5, 8, 1)] {
            let part = |id| share(len, grain, id, count);
            let all: Vec<usize> = (0..count).flat_map(part).collect();
            assert_eq!(all, (0..len).collect::<Vec<_>>());
            assert!((0..count).all(|id| part(id).start % grain == 0 || part(id).is_empty()));
        }
    }

    #[test]
    fn a_panic_on_any_thread_reaches_the_caller_and_the_pool_lives_on() {
        for guilty in [0, 1] {
            let pool = Pool::new(2).unwrap();
            let job = || pool.run(&|me| assert_ne!(me.id, guilty));
            assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(job)).is_err());
            pool.run(&|_| {});
        }
    }

    #[test]
    fn members_stay_on_processors_of_their_own_where_there_are_as_many() {
        let allowed = sched_getaffinity(None).unwrap().count() as usize;
        let mut cores = Pool::new(allowed).unwrap().cores().to_vec();
        cores.sort_unstable();
        cores.dedup();
        assert_eq!(cores.len(), if allowed > 1 { allowed } else { 0 });
        assert!(Pool::new(allowed + 1).unwrap().cores().is_empty());
    }

    #[test]
    fn the_callers_mask_comes_back() {
        let before = sched_getaffinity(None).unwrap();
        drop(Pool::new(2).unwrap());
        assert!(sched_getaffinity(None).unwrap() == before);
    }
}
