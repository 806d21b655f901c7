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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::protocol::ProbeKind;
    use crate::record::example;

    #[test]
    fn a_share_is_of_the_probe_beside_each_sample() {
        let mut record = example::measured();
        record.work.flops = 200_000_000;
        let mut series = record.series[0].clone();
        // Half speed of both machine and contender in the second start: the share stays.
        for sample in 0..12 {
            let slow = if series.start[sample] == 1 { 2.0 } else { 1.0 };
            series.ns[sample] = 1e6 * slow;
            series.probe_rate[sample] = 4e11 / slow;
        }
        let fma = share(&record, &series, &Noise::default()).unwrap();
        assert!((fma.centre - 0.5).abs() < 1e-12 && fma.relative_half_width() < 1e-3);
        series.probe = Some(ProbeKind::Triad);
        let triad = share(&record, &series, &Noise::default()).unwrap();
        assert!((triad.centre - record.work.bytes() as f64 * 1e3 / 4e11).abs() < 1e-12);
    }

    #[test]
    fn no_share_without_a_probe_or_without_what_it_counts() {
        let record = example::measured();
        let mut series = record.series[0].clone();
        series.probe_rate.fill(0.0);
        assert!(share(&record, &series, &Noise::default()).is_none());
        series.probe = None;
        assert!(share(&record, &series, &Noise::default()).is_none());
        let mut idle = record.clone();
        idle.work.flops = 0;
        assert!(share(&idle, &record.series[0], &Noise::default()).is_none());
    }

    #[test]
    fn only_a_weak_baseline_is_remarked_on() {
        let at = |centre| Interval { low: centre, centre, high: centre };
        assert_eq!(baseline_remark(&at(0.5)), None);
        assert!(baseline_remark(&at(0.0213)).unwrap().contains("2.1 % of the measured peak"));
    }
}
