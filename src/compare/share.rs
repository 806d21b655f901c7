//! Shares of a measured ceiling.

use super::estimate::{Centres, Interval, by_start};
use super::within::Noise;
use crate::record::{Record, Series};

/// The median over samples of rate over the adjacent probe's rate, with its interval: the share that was
/// used of what the machine gave then. `work` is of one execution. None where no probe ran or it does
/// not bound the work: a probe of arithmetic counts operations, one of memory counts bytes.
pub fn share(record: &Record, series: &Series, noise: &Noise) -> Option<Interval> {
    use crate::measure::protocol::ProbeKind as P;
    let amount = match series.probe? {
        P::Fma | P::Vnni | P::Bf16 => record.work.flops,
        P::Read | P::Copy | P::Triad | P::Adam => record.work.bytes(),
    };
    let rate = |sample: usize| amount as f64 * 1e9 / series.ns[sample];
    let shares = by_start(series, |sample| rate(sample) / series.probe_rate[sample]);
    Some(Centres::of(shares.values())?.interval(&noise.times))
}

/// A share of the measured peak below this makes a weak baseline.
pub const WEAK_SHARE: f64 = 0.10;

/// What must stand beside a speed-up over a baseline that used this share of the measured peak.
pub fn baseline_remark(share: &Interval) -> Option<String> {
    let percent = crate::units::significant(share.centre * 100.0, 2);
    (share.centre < WEAK_SHARE)
        .then(|| format!("the baseline was slow: it reached {percent} % of the measured peak"))
}
