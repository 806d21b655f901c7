//! The strings of a sweep: `64..4096*2`, `8..64+8`, `=m`, `0.5*L2`, `64KiB`; and durations and sizes.

use super::sweep::{CacheLevel, Footprint, MAX_POINTS, Term};
use crate::workloads::Param;
use std::time::Duration;

/// Largest extent: no machine holds more elements in a row.
pub const MAX_EXTENT: u64 = 1 << 40;

/// The values that a string stands for. `is_name` tells whether the parameter takes names.
pub(super) fn terms(text: &str, is_name: bool) -> Result<Vec<Term>, String> {
    let text = text.trim();
    if is_name {
        return Ok(vec![Term::Value(Param::Text(text.to_string()))]);
    }
    if let Some(tied) = text.strip_prefix('=') {
        return tie(tied).map(|tie| vec![tie]);
    }
    if let Some((first, rest)) = text.split_once("..") {
        let values = range(text, first, rest)?;
        return Ok(values.into_iter().map(|value| Term::Value(Param::Int(value))).collect());
    }
    if let Some(size) = cache(text)? {
        return Ok(vec![Term::Footprint(size)]);
    }
    if text.ends_with('B') {
        return Ok(vec![Term::Footprint(Footprint::Bytes(bytes(text)?))]);
    }
    Ok(vec![Term::Value(Param::Int(extent(text)?))])
}

/// A whole number that may be an extent.
pub(super) fn extent(text: &str) -> Result<u64, String> {
    let forms = "a whole number, `64..4096*2`, `8..64+8`, `=m`, `0.5*L2` or `64KiB`";
    let value: u64 = text.trim().parse().map_err(|_| format!("`{text}` is not {forms}"))?;
    check_extent(value).map(|()| value)
}

/// Refuses what is too large to be an extent.
pub(super) fn check_extent(value: u64) -> Result<(), String> {
    if value <= MAX_EXTENT {
        return Ok(());
    }
    Err(format!("{value} is too large: an extent may be at most {MAX_EXTENT}"))
}

fn tie(text: &str) -> Result<Term, String> {
    let (factor, axis) = text.split_once('*').unwrap_or(("1", text));
    let factor = extent(factor)?;
    let axis = axis.trim().to_string();
    if axis.is_empty() || factor == 0 {
        return Err(format!("`={text}` ties to nothing: write `=m` or `=4*m`"));
    }
    Ok(Term::Tie { axis, factor })
}

/// `first..last*factor` or `first..last+step`, ends included. Counted before it is made.
fn range(text: &str, first: &str, rest: &str) -> Result<Vec<u64>, String> {
    let Some(at) = rest.find(['*', '+']) else {
        return Err(format!("`{text}` has no step: write `{text}*2` to multiply or `{text}+8` to add"));
    };
    let multiply = rest[at..].starts_with('*');
    let (first, last, step) = (extent(first)?, extent(&rest[..at])?, extent(&rest[at + 1..])?);
    if first > last {
        return Err(format!("`{text}` is empty: {first} is larger than {last}"));
    }
    if step == 0 || (multiply && (step == 1 || first == 0)) {
        return Err(format!("`{text}` never ends: its step changes nothing"));
    }
    let count = if multiply { 64 } else { (last - first) / step + 1 };
    if count > MAX_POINTS {
        return Err(format!("`{text}` has {count} values, and at most {MAX_POINTS} are allowed"));
    }
    let next = |&value: &u64| if multiply { value.checked_mul(step) } else { value.checked_add(step) };
    Ok(std::iter::successors(Some(first), next).take_while(|&value| value <= last).collect())
}

/// `0.5*L2` or `L2`; none for what names no cache.
fn cache(text: &str) -> Result<Option<Footprint>, String> {
    let (factor, name) = text.split_once('*').unwrap_or(("1", text));
    let Some((_, level)) = CacheLevel::ALL.into_iter().find(|(known, _)| *known == name.trim()) else {
        return Ok(None);
    };
    let factor: f64 = factor.trim().parse().map_err(|_| format!("`{factor}` is no number"))?;
    if !(factor.is_finite() && factor > 0.0 && factor <= 1024.0) {
        return Err(format!("`{text}`: the multiple of a cache must be above 0 and at most 1024"));
    }
    Ok(Some(Footprint::Cache { level, factor }))
}

/// A size: `64KiB`, `1.5GB`. Decimal and binary prefixes are told apart.
pub fn bytes(text: &str) -> Result<u64, String> {
    const UNITS: [(&str, f64); 9] = [
        ("KiB", 1024.0),
        ("MiB", 1048576.0),
        ("GiB", 1073741824.0),
        ("TiB", 1099511627776.0),
        ("kB", 1e3),
        ("MB", 1e6),
        ("GB", 1e9),
        ("TB", 1e12),
        ("B", 1.0),
    ];
    let wanted = || format!("`{text}` is no size: write 64KiB, 256MiB, 2GiB or 2GB");
    let (unit, scale) = UNITS.into_iter().find(|(unit, _)| text.ends_with(unit)).ok_or_else(wanted)?;
    let value = positive(&text[..text.len() - unit.len()]).ok_or_else(wanted)? * scale;
    if value < 1.0 || value > 2f64.powi(50) {
        return Err(format!("`{text}` is no size that a machine has"));
    }
    Ok(value.round() as u64)
}

/// A duration: `500ms`, `180s`, `4m`, `1h`.
pub fn duration(text: &str) -> Result<Duration, String> {
    const UNITS: [(&str, f64); 4] = [("ms", 1e-3), ("s", 1.0), ("m", 60.0), ("h", 3600.0)];
    let wanted = || format!("`{text}` is no duration: write 500ms, 180s, 4m or 1h");
    let (unit, scale) = UNITS.into_iter().find(|(unit, _)| text.ends_with(unit)).ok_or_else(wanted)?;
    let seconds = positive(&text[..text.len() - unit.len()]).ok_or_else(wanted)? * scale;
    if !(1e-3..=1e7).contains(&seconds) {
        return Err(format!("`{text}` is out of range: from 1ms to 2777h"));
    }
    Ok(Duration::from_secs_f64(seconds))
}

fn positive(text: &str) -> Option<f64> {
    text.trim().parse::<f64>().ok().filter(|value| value.is_finite() && *value > 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ints(text: &str) -> Result<Vec<u64>, String> {
        let value = |term| match term {
            Term::Value(Param::Int(value)) => value,
            other => panic!("{other:?}"),
        };
        terms(text, false).map(|terms| terms.into_iter().map(value).collect())
    }

    #[test]
    fn ranges_include_their_ends() {
        for (text, values) in [
            ("64..512*2", vec![64, 128, 256, 512]),
            ("64..500*2", vec![64, 128, 256]),
            ("8..32+8", vec![8, 16, 24, 32]),
            ("0..2+1", vec![0, 1, 2]),
            ("7..7*2", vec![7]),
            (" 512 ", vec![512]),
        ] {
            assert_eq!(ints(text).unwrap(), values, "{text}");
        }
    }

    #[test]
    fn footprints_ties_and_names() {
        let half = Footprint::Cache { level: CacheLevel::L2, factor: 0.5 };
        assert_eq!(terms("0.5*L2", false).unwrap(), [Term::Footprint(half)]);
        let whole = Footprint::Cache { level: CacheLevel::Last, factor: 1.0 };
        assert_eq!(terms("LLC", false).unwrap(), [Term::Footprint(whole)]);
        assert_eq!(terms("64KiB", false).unwrap(), [Term::Footprint(Footprint::Bytes(65536))]);
        assert_eq!(terms("=m", false).unwrap(), [Term::Tie { axis: "m".into(), factor: 1 }]);
        assert_eq!(terms("=4*m", false).unwrap(), [Term::Tie { axis: "m".into(), factor: 4 }]);
        assert_eq!(terms("bf16", true).unwrap(), [Term::Value(Param::Text("bf16".into()))]);
    }

    #[test]
    fn what_is_no_term_is_refused_with_the_reason() {
        for (text, says) in [
            ("64..512", "has no step"),
            ("512..64*2", "is empty"),
            ("64..512*1", "never ends"),
            ("0..512*2", "never ends"),
            ("1..8+0", "never ends"),
            ("1..1000000000+1", "1000000000 values"),
            ("1..99999999999999999999*2", "is not"),
            ("1..9999999999999*2", "too large"),
            ("-5", "is not"),
            ("nan", "is not"),
            ("inf*L2", "above 0"),
            ("nan*L2", "above 0"),
            ("-1*L2", "above 0"),
            ("0*LLC", "above 0"),
            ("many", "is not"),
            ("=", "ties to nothing"),
            ("=0*m", "ties to nothing"),
            ("infB", "no size"),
            ("-1KiB", "no size"),
            ("1e30GiB", "no size that"),
            ("", "is not"),
        ] {
            let message = terms(text, false).unwrap_err();
            assert!(message.contains(says), "{text}: {message}");
        }
    }

    #[test]
    fn durations_and_sizes_have_units() {
        assert_eq!(duration("180s").unwrap(), Duration::from_secs(180));
        assert_eq!(duration("1.5m").unwrap(), Duration::from_secs(90));
        assert_eq!(duration("250ms").unwrap(), Duration::from_millis(250));
        assert_eq!(bytes("1GB").unwrap(), 1_000_000_000);
        assert_eq!(bytes("1GiB").unwrap(), 1 << 30);
        for text in ["180", "s", "nans", "infs", "-1s", "0s", "1e300h", "é"] {
            assert!(duration(text).is_err(), "{text}");
            assert!(bytes(text).is_err(), "{text}");
        }
    }
}
