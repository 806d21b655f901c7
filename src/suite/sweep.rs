//! Sweeps: which values each parameter of a workload takes, and the points that they make together.

use super::filter::Filter;
use crate::workloads::{Axis, Default, Param, Params};
use std::collections::BTreeMap;
use std::fmt;

/// Most points that one case may have before its filters.
pub const MAX_POINTS: u64 = 100_000;

/// What a parameter is set to.
#[derive(Clone, Debug, PartialEq)]
pub enum Term {
    /// A number or a name.
    Value(Param),
    /// A multiple of another parameter's value: `"=m"`, `"=4*m"`.
    Tie {
        /// The other parameter.
        axis: String,
        /// The multiple.
        factor: u64,
    },
    /// The value at which the program's values together have this size: `"0.5*L2"`, `"64KiB"`.
    Footprint(Footprint),
}

/// A size in bytes, perhaps relative to a cache of the machine that runs it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Footprint {
    /// Bytes.
    Bytes(u64),
    /// A multiple of a cache.
    Cache {
        /// Which cache.
        level: CacheLevel,
        /// The multiple.
        factor: f64,
    },
}

/// A cache that a footprint may be relative to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheLevel {
    /// First-level data cache of one core.
    L1,
    /// Second-level cache of one core.
    L2,
    /// One third-level cache.
    L3,
    /// All caches of the last level together.
    Last,
}

impl CacheLevel {
    /// Every level with its name in suites.
    pub const ALL: [(&'static str, Self); 4] =
        [("L1", Self::L1), ("L2", Self::L2), ("L3", Self::L3), ("LLC", Self::Last)];

    /// Name in suites.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, level)| *level == self).map_or("", |(name, _)| name)
    }
}

impl fmt::Display for Footprint {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Bytes(bytes) => write!(f, "{bytes}B"),
            Self::Cache { level, factor } => write!(f, "{factor}*{}", level.name()),
        }
    }
}

/// One row of a case's `points`.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// What a reader calls it: `bert-base ffn1`.
    pub label: Option<String>,
    /// Parameters that it sets.
    pub terms: BTreeMap<String, Term>,
}

/// All points of a case: every row of `points` with every combination of the axes, less what the
/// filters refuse.
#[derive(Clone, Debug, PartialEq)]
pub struct Sweep {
    /// Values of each parameter, in the order of the workload's axes; the first changes slowest.
    pub axes: Vec<(String, Vec<Term>)>,
    /// Rows; one that sets nothing where the case lists none.
    pub rows: Vec<Row>,
    /// Conditions that a point must meet.
    pub filters: Vec<Filter>,
}

/// One point with ties resolved and footprints not yet, since they depend on the machine.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// What a reader calls it.
    pub label: Option<String>,
    /// Parameters that are known.
    pub params: Params,
    /// The parameter that a footprint decides, and parameters tied to it.
    pub footprint: Option<(String, Footprint)>,
    /// Ties to the parameter that a footprint decides.
    pub ties: Vec<(String, String, u64)>,
}

impl Sweep {
    /// Number of points before filters; saturates.
    pub fn count(&self) -> u64 {
        let rows = self.rows.len() as u64;
        self.axes.iter().fold(rows, |product, (_, terms)| product.saturating_mul(terms.len() as u64))
    }

    /// Every point that the filters let through. Points whose footprint is still open pass filters that
    /// need it; [`Self::admits`] asks again once it is known.
    pub fn points(&self) -> Vec<Point> {
        let mut points = Vec::new();
        for row in &self.rows {
            let mut settings = vec![row.terms.clone()];
            for (axis, terms) in &self.axes {
                settings = extend(&settings, axis, terms);
            }
            points.extend(settings.into_iter().map(|terms| resolve(row.label.clone(), &terms)));
        }
        points.retain(|point| self.admits(&point.params));
        points
    }

    /// Whether every filter whose parameters are known lets the point through.
    pub fn admits(&self, params: &Params) -> bool {
        self.filters.iter().all(|filter| filter.holds(params).unwrap_or(true))
    }
}

type Settings = BTreeMap<String, Term>;

/// Each of `settings` with each of `terms` at `axis`.
fn extend(settings: &[Settings], axis: &str, terms: &[Term]) -> Vec<Settings> {
    let with = |settings: &Settings, term: &Term| {
        let mut longer = settings.clone();
        longer.insert(axis.to_string(), term.clone());
        longer
    };
    settings.iter().flat_map(|settings| terms.iter().map(move |term| with(settings, term))).collect()
}

fn resolve(label: Option<String>, terms: &Settings) -> Point {
    let mut point = Point { label, params: Params::new(), footprint: None, ties: Vec::new() };
    for (axis, term) in terms {
        match term {
            Term::Value(value) => drop(point.params.insert(axis.clone(), value.clone())),
            Term::Footprint(size) => point.footprint = Some((axis.clone(), *size)),
            Term::Tie { .. } => {}
        }
    }
    for (axis, term) in terms {
        let Term::Tie { axis: other, factor } = term else { continue };
        match point.params.get(other) {
            Some(Param::Int(value)) => {
                let value = Param::Int(value.saturating_mul(*factor));
                point.params.insert(axis.clone(), value);
            }
            _ => point.ties.push((axis.clone(), other.clone(), *factor)),
        }
    }
    point
}

impl Point {
    /// The parameters once the footprint's parameter is known to be `value`.
    pub fn with_footprint(&self, value: u64) -> Params {
        let mut params = self.params.clone();
        if let Some((axis, _)) = &self.footprint {
            params.insert(axis.clone(), Param::Int(value));
        }
        for (axis, _, factor) in &self.ties {
            params.insert(axis.clone(), Param::Int(value.saturating_mul(*factor)));
        }
        params
    }
}

/// `m=512,n=512,k=512`: parameters that differ from their defaults, in the workload's order.
pub fn point_name(axes: &[Axis], params: &Params) -> String {
    let usual = |axis: &Axis| match axis.default? {
        Default::Int(value) => Some(Param::Int(value)),
        Default::OneOf(names) => names.first().map(|name| Param::Text(name.to_string())),
        Default::Like(other) => params.get(other).cloned(),
    };
    let part = |axis: &Axis| {
        let value = params.get(axis.name)?;
        (usual(axis).as_ref() != Some(value)).then(|| format!("{}={value}", axis.name))
    };
    axes.iter().filter_map(part).collect::<Vec<_>>().join(",")
}
