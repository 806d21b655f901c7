//! Workloads that a suite may name: a function from parameters to a program. Adding one from existing
//! ops is its function and its row in [`WORKLOADS`].

mod matmul;

use crate::ops::ShapeError;
use crate::program::Program;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// One setting of one parameter.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Param {
    /// An extent or a count.
    Int(u64),
    /// A name: an element type, a state, a mode.
    Text(String),
}

impl fmt::Display for Param {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Int(value) => value.fmt(f),
            Self::Text(value) => value.fmt(f),
        }
    }
}

/// One point of a sweep, e.g. `{m: 64, n: 64, k: 64}`.
pub type Params = BTreeMap<String, Param>;

/// A parameter of a workload.
#[derive(Clone, Copy, Debug)]
pub struct Axis {
    /// Name used in suites.
    pub name: &'static str,
    /// What it means, with its unit.
    pub about: &'static str,
    /// Value where a suite gives none; an axis without one must be given.
    pub default: Option<Default>,
}

/// A default or an allowed value of an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Default {
    /// An integer.
    Int(u64),
    /// A name, first of those allowed.
    OneOf(&'static [&'static str]),
}

/// What one execution is good for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Yield {
    /// Singular name: `token`, `image`, `step`, `PFLOP`, `GB`.
    pub unit: String,
    /// How many of them one execution makes.
    pub amount: f64,
}

/// Why parameters do not make a program.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParamError {
    /// A required axis is absent.
    #[error("workload {workload} needs the parameter `{axis}` ({about})")]
    Missing {
        /// The workload.
        workload: &'static str,
        /// The absent axis.
        axis: &'static str,
        /// What the axis means.
        about: &'static str,
    },
    /// A parameter has a value that the workload cannot use.
    #[error("parameter `{axis}` is {value}: {why}")]
    Unusable {
        /// The axis.
        axis: String,
        /// What was given.
        value: String,
        /// What would be right.
        why: String,
    },
    /// The shapes do not fit together.
    #[error(transparent)]
    Shape(#[from] ShapeError),
}

/// A named family of programs.
#[derive(Clone, Copy)]
pub struct Workload {
    /// Name used in suites and records.
    pub name: &'static str,
    /// One sentence for `cutgpu list`.
    pub about: &'static str,
    /// Parameters, in the order that names of points show them.
    pub axes: &'static [Axis],
    /// Builds the program at one point; every axis is present.
    pub build: fn(&Params) -> Result<Program, ParamError>,
    /// What one execution yields at this point.
    pub yields: fn(&Params, &Program) -> Yield,
}

/// Every workload, in the order reports show them.
pub const WORKLOADS: &[Workload] = &[matmul::GEMM];

/// The workload called `name`.
pub fn find(name: &str) -> Option<&'static Workload> {
    WORKLOADS.iter().find(|workload| workload.name == name)
}

impl Workload {
    /// `params` with defaults for what is absent, or what is missing or unusable.
    pub fn complete(&self, params: &Params) -> Result<Params, ParamError> {
        let mut complete = Params::new();
        for axis in self.axes {
            let value = match (params.get(axis.name), axis.default) {
                (Some(value), _) => value.clone(),
                (None, Some(Default::Int(value))) => Param::Int(value),
                (None, Some(Default::OneOf(names))) => Param::Text(names[0].to_string()),
                (None, None) => {
                    return Err(ParamError::Missing {
                        workload: self.name,
                        axis: axis.name,
                        about: axis.about,
                    });
                }
            };
            axis.check(&value)?;
            complete.insert(axis.name.to_string(), value);
        }
        Ok(complete)
    }

    /// The program at `params`, completed first.
    pub fn program(&self, params: &Params) -> Result<Program, ParamError> {
        (self.build)(&self.complete(params)?)
    }
}

impl Axis {
    fn check(&self, value: &Param) -> Result<(), ParamError> {
        let unusable = |why: String| {
            Err(ParamError::Unusable { axis: self.name.to_string(), value: value.to_string(), why })
        };
        match (value, self.default) {
            (Param::Text(name), Some(Default::OneOf(names))) if !names.contains(&name.as_str()) => {
                unusable(format!("one of {} is wanted", names.join(", ")))
            }
            (Param::Int(_), Some(Default::OneOf(names))) => {
                unusable(format!("one of {} is wanted", names.join(", ")))
            }
            (Param::Text(_), None | Some(Default::Int(_))) => {
                unusable("a whole number is wanted".to_string())
            }
            _ => Ok(()),
        }
    }
}

/// The integer at `axis`; 0 where it is absent, which no workload accepts.
pub(crate) fn int(params: &Params, axis: &str) -> usize {
    match params.get(axis) {
        Some(Param::Int(value)) => usize::try_from(*value).unwrap_or(usize::MAX),
        _ => 0,
    }
}

/// The name at `axis`; empty where it is absent.
pub(crate) fn text<'a>(params: &'a Params, axis: &str) -> &'a str {
    match params.get(axis) {
        Some(Param::Text(value)) => value,
        _ => "",
    }
}
