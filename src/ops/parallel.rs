//! Independent units on all cores.

use std::sync::Mutex;

/// `answer` of each unit, in order, computed on as many threads as there are cores. For checking only:
/// nothing is timed while it runs.
pub fn in_parallel<T: Send>(units: &[usize], answer: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let threads = std::thread::available_parallelism().map_or(1, |cores| cores.get()).min(units.len());
    let mut answers: Vec<Option<T>> = units.iter().map(|_| None).collect();
    // Units cost differently (a causal mask), so each thread takes the next one when it is free.
    let tasks = Mutex::new(units.iter().zip(&mut answers));
    let next = || tasks.lock().ok()?.next();
    let work = || {
        while let Some((&unit, place)) = next() {
            *place = Some(answer(unit));
        }
    };
    std::thread::scope(|scope| {
        (1..threads).for_each(|_| drop(scope.spawn(work)));
        work();
    });
    answers.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_come_in_order_whatever_the_count() {
        for count in [0, 1, 2, 1000] {
            let units: Vec<usize> = (0..count).rev().collect();
            assert_eq!(in_parallel(&units, |unit| unit * 2), units.iter().map(|x| x * 2).collect::<Vec<_>>());
        }
    }
}
