//! How much of a workload fits into a memory.

use super::{Param, ParamError, Params, Workload, int};
use crate::program::Program;

/// The largest batch of `workload` at `params` whose program needs at most `bytes`, counted by `need`; see [`largest`].
pub fn largest_batch(
    workload: &Workload,
    params: &Params,
    bytes: u64,
    need: impl Fn(&Program) -> u64,
) -> Result<Option<u64>, ParamError> {
    // A batch is cut into equal parts.
    largest(workload, params, ("batch", int(params, "parts").max(1) as u64), bytes, need)
}

/// The largest multiple of `step` that `axis` of `workload` may have at `params` so that the program needs at most
/// `bytes`, counted by `need`; none where not even `step` fits. What `params` give for the axis does not matter, and a
/// size that the workload refuses does not fit.
pub fn largest(
    workload: &Workload,
    params: &Params,
    (axis, step): (&str, u64),
    bytes: u64,
    need: impl Fn(&Program) -> u64,
) -> Result<Option<u64>, ParamError> {
    let needed = |count: u64| {
        let mut params = params.clone();
        params.insert(axis.to_string(), Param::Int(count.saturating_mul(step)));
        workload.program(&params).map(|program| need(&program))
    };
    if needed(1)? > bytes {
        return Ok(None);
    }
    // What is beyond the address space does not fit either.
    let fits = |count| needed(count).is_ok_and(|needed| needed <= bytes);
    let mut low = 1;
    while low < 1 << 40 && fits(2 * low) {
        low *= 2;
    }
    let mut high = 2 * low;
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if fits(middle) { low = middle } else { high = middle }
    }
    Ok(Some(low * step))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workloads::find;
    use crate::workloads::tests::params as point;

    fn at_once(program: &Program) -> u64 {
        program.liveness().total()
    }

    fn batch_of(workload: &str, words: &str, bytes: u64) -> Option<u64> {
        largest_batch(find(workload).unwrap(), &point(words), bytes, at_once).unwrap()
    }

    #[test]
    fn one_more_does_not_fit() {
        for words in ["mode=train,hidden=33", "mode=train,hidden=33,parts=3", "mode=infer"] {
            let workload = find("mlp").unwrap();
            let batch = batch_of("mlp", words, 5_000_000).unwrap();
            let needed = |batch: u64| {
                let params = point(&format!("{words},batch={batch}"));
                at_once(&workload.program(&params).unwrap())
            };
            let parts = if words.contains("parts") { 3 } else { 1 };
            assert!(needed(batch) <= 5_000_000 && needed(batch + parts) > 5_000_000, "{words}: {batch}");
        }
        assert_eq!(batch_of("mlp", "mode=train", 100_000), None);
    }

    #[test]
    fn inference_takes_more_than_training_and_recomputing_more_than_keeping() {
        let in_12_gb = |words: &str| batch_of("bert", &format!("size=base,{words}"), 12_000_000_000).unwrap();
        let [long, short] = [512, 64].map(|length| in_12_gb(&format!("mode=train,length={length}")));
        assert!(long >= 6 && short > 7 * long, "{long} {short}");
        assert!(in_12_gb("mode=train,length=512,recompute=yes") > 3 * long);
        assert!(in_12_gb("mode=head,length=512") > 3 * long);
        assert!(in_12_gb("mode=infer,length=512") >= in_12_gb("mode=head,length=512"));
    }

    #[test]
    fn the_deepest_and_the_widest_that_fit_are_found() {
        let find = |axis: (&str, u64)| {
            let point = point("mode=train,batch=1,length=1024");
            largest(find("gpt2").unwrap(), &point, axis, 24_000_000_000, at_once).unwrap().unwrap()
        };
        let (layers, width) = (find(("layers", 1)), find(("width", 64)));
        assert!(layers > 48 && layers < 256 && width > 1600 && width.is_multiple_of(64), "{layers} {width}");
    }

    #[test]
    fn a_point_that_is_wrong_says_so() {
        let error = largest_batch(find("bert").unwrap(), &point("size=tiny,length=513"), 1 << 40, at_once);
        assert!(error.unwrap_err().to_string().contains("512 positions"));
    }
}
