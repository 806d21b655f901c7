//! What shall be done: a workload, how much of it, for how long.

use super::Demand;
use crate::nearest::hint;
use crate::program::Program;
use crate::suite;
use crate::workloads::{self, Param, ParamError, Params, WORKLOADS, Workload};

/// A name that people use, the workload that it means, and its parameters.
type Known = (&'static str, &'static str, &'static [(&'static str, &'static str)]);

/// Names that people use.
const NAMES: &[Known] = &[
    ("bert-tiny", "bert", &[("size", "tiny")]),
    ("bert-mini", "bert", &[("size", "mini")]),
    ("bert-small", "bert", &[("size", "small")]),
    ("bert-medium", "bert", &[("size", "medium")]),
    ("bert-base", "bert", &[("size", "base")]),
    ("bert-large", "bert", &[("size", "large")]),
    ("gpt2-small", "gpt2", &[("layers", "12"), ("width", "768")]),
    ("gpt2-medium", "gpt2", &[("layers", "24"), ("width", "1024")]),
    ("gpt2-large", "gpt2", &[("layers", "36"), ("width", "1280")]),
    ("gpt2-xl", "gpt2", &[("layers", "48"), ("width", "1600")]),
    ("vgg-16", "vgg16", &[]),
    ("vit-b", "vit", &[]),
    ("vit-base", "vit", &[]),
    ("vit-b-16", "vit", &[]),
];

/// Extents that a job has where none are given; every answer says so.
const USUAL: &[(&str, &str, u64)] = &[("bert", "length", 128), ("gpt2", "length", 1024)];

/// What a batch of a model holds, by the word that people use.
const EXAMPLES: &[&str] =
    &["example", "sentence", "sequence", "sample", "text", "prompt", "document", "request", "query"];

/// Why there is no such job.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum JobError {
    /// Nothing is called so.
    #[error(
        "no workload, model or case is called `{name}`{hint}; `cutgpu list` shows cases, and models are {models}"
    )]
    Unknown {
        /// What was asked for.
        name: String,
        /// The nearest name, or nothing.
        hint: String,
        /// Names of models.
        models: String,
    },
    /// The parameters make no program.
    #[error(transparent)]
    Params(#[from] ParamError),
    /// The case has no point of its own.
    #[error("the case `{0}` has sizes that depend on the machine: name its workload and a point instead")]
    Sizes(String),
    /// The volume counts what the workload does not yield.
    #[error("`{workload}` yields no `{unit}`{hint}: count {known}")]
    Unit {
        /// The workload.
        workload: String,
        /// What was asked for.
        unit: String,
        /// The nearest name, or nothing.
        hint: String,
        /// What it yields.
        known: String,
    },
    /// Not a number of months.
    #[error("{0} is no number of months: give one above 0 and up to 1200")]
    Months(f64),
    /// Not a latency.
    #[error("{0} s is no latency: give a time above 0")]
    Latency(f64),
}

/// What a unit of a job is.
#[derive(Clone, Debug, PartialEq)]
pub enum Unit {
    /// An example of a batch, by the word for it.
    Example(String),
    /// What the workload yields.
    Yielded(String),
}

impl Unit {
    /// Its name, singular.
    pub fn name(&self) -> &str {
        match self {
            Self::Example(name) | Self::Yielded(name) => name,
        }
    }
}

/// A workload at a point, how much of it, for how long.
#[derive(Clone)]
pub struct Job {
    /// As it was asked for.
    pub name: String,
    /// What is computed.
    pub workload: &'static Workload,
    /// Every parameter; that of the batch is 1 where none was asked for.
    pub params: Params,
    /// The batch that was asked for; none for each device's best.
    pub batch: Option<u64>,
    /// How much.
    pub demand: Demand,
    /// What is counted.
    pub unit: Unit,
    /// For how many months.
    pub months: f64,
    /// Most seconds of an execution.
    pub latency: Option<f64>,
    /// Most that may be paid in all, in the currency of the assumptions.
    pub budget: Option<f64>,
    /// Devices by id; all of the catalogue, and this machine, where there are none.
    pub devices: Vec<String>,
    /// What was taken for granted, each a sentence.
    pub assumed: Vec<String>,
}

impl Job {
    /// The job called `name` with `given` parameters over those that the name means.
    pub fn new(name: &str, given: &Params, demand: Demand, months: f64) -> Result<Self, JobError> {
        if !(months > 0.0 && months <= 1200.0) {
            return Err(JobError::Months(months));
        }
        let (workload, mut params) = named(name)?;
        params.extend(given.clone());
        let has = |axis: &str| workload.axes.iter().any(|known| known.name == axis);
        let mut assumed = Vec::new();
        for (_, axis, extent) in USUAL.iter().filter(|(usual, ..)| *usual == workload.name) {
            if !params.contains_key(*axis) {
                params.insert(axis.to_string(), Param::Int(*extent));
                assumed.push(format!("{axis} is {extent}, since none was given"));
            }
        }
        // A model: of an op the type is part of the question.
        if has("mode") && has("dtype") && !params.contains_key("dtype") {
            assumed.push(
                "dtype is f32, since none was given; in bf16 a card with units for it may cost far less"
                    .to_string(),
            );
        }
        let batch = match params.get("batch") {
            Some(Param::Int(batch)) => Some(*batch),
            _ if !has("batch")
                || workload.axes.iter().any(|axis| axis.name == "batch" && axis.default.is_some()) =>
            {
                Some(1)
            }
            _ => None,
        };
        if has("batch") && !params.contains_key("batch") {
            // A batch is cut into equal parts.
            let least = params.get("parts").cloned().unwrap_or(Param::Int(1));
            params.insert("batch".to_string(), least);
        }
        let params = workload.complete(&params)?;
        let program = (workload.build)(&params)?;
        let unit = unit(workload, &params, &program, demand.unit.as_deref(), has("batch"))?;
        let name = name.to_string();
        Ok(Self {
            name,
            workload,
            params,
            batch,
            demand,
            unit,
            months,
            latency: None,
            budget: None,
            devices: vec![],
            assumed,
        })
    }

    /// The parameters at another batch.
    pub fn at(&self, batch: u64) -> Params {
        let mut params = self.params.clone();
        if let Some(value) = params.get_mut("batch") {
            *value = Param::Int(batch);
        }
        params
    }

    /// Units that an execution at a batch gives.
    pub fn units(&self, batch: u64, program: &Program) -> f64 {
        match &self.unit {
            Unit::Example(_) => batch as f64,
            Unit::Yielded(_) => (self.workload.yields)(&self.at(batch), program).amount,
        }
    }
}

/// Every name that a job may have.
fn names() -> impl Iterator<Item = &'static str> {
    NAMES.iter().map(|(name, ..)| *name).chain(WORKLOADS.iter().map(|workload| workload.name))
}

/// The workload that a name means, with its parameters.
fn named(name: &str) -> Result<(&'static Workload, Params), JobError> {
    let lower = name.trim().to_lowercase();
    if let Some((_, workload, params)) = NAMES.iter().find(|(known, ..)| *known == lower) {
        let value = |value: &str| value.parse().map_or_else(|_| Param::Text(value.to_string()), Param::Int);
        let params = params.iter().map(|(axis, text)| (axis.to_string(), value(text))).collect();
        if let Some(workload) = workloads::find(workload) {
            return Ok((workload, params));
        }
    }
    if let Some(workload) = workloads::find(&lower) {
        return Ok((workload, Params::new()));
    }
    case(name)?.ok_or_else(|| JobError::Unknown {
        name: name.to_string(),
        hint: hint(&lower, names()),
        models: NAMES.iter().map(|(name, ..)| *name).collect::<Vec<_>>().join(", "),
    })
}

/// `train/bert-base-step`: a case of a suite at its first point.
fn case(name: &str) -> Result<Option<(&'static Workload, Params)>, JobError> {
    let Some((suite, case)) = name.split_once('/') else { return Ok(None) };
    let parsed = suite::embedded(suite).and_then(|text| suite::parse(text, suite).ok());
    let Some(found) = parsed.and_then(|suite| suite.cases.into_iter().find(|known| known.name == case))
    else {
        return Ok(None);
    };
    let point = found.sweep.points().into_iter().next().filter(|point| point.footprint.is_none());
    let point = point.ok_or_else(|| JobError::Sizes(name.to_string()))?;
    Ok(workloads::find(&found.workload).map(|workload| (workload, point.params)))
}

/// What is counted: what was asked for, an example where there are batches, else what an execution yields.
fn unit(
    workload: &Workload,
    params: &Params,
    program: &Program,
    asked: Option<&str>,
    batched: bool,
) -> Result<Unit, JobError> {
    let yielded = (workload.yields)(params, program).unit;
    match asked {
        None if batched && yielded == "image" => Ok(Unit::Example(yielded)),
        None if batched && !["PFLOP", "GB"].contains(&yielded.as_str()) => {
            Ok(Unit::Example("example".to_string()))
        }
        None => Ok(Unit::Yielded(yielded)),
        Some(unit) if unit.eq_ignore_ascii_case(&yielded) => Ok(Unit::Yielded(yielded)),
        Some(unit) if batched && EXAMPLES.contains(&unit) => Ok(Unit::Example(unit.to_string())),
        Some(unit) => Err(JobError::Unit {
            workload: workload.name.to_string(),
            unit: unit.to_string(),
            hint: hint(unit, EXAMPLES.iter().copied().chain([yielded.as_str()])),
            known: if batched { format!("{yielded}s or examples") } else { format!("{yielded}s") },
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite::point_name;

    fn job(name: &str, given: &[(&str, Param)], volume: &str) -> Result<Job, JobError> {
        let given = given.iter().map(|(axis, value)| (axis.to_string(), value.clone())).collect();
        Job::new(name, &given, Demand::parse(volume).unwrap(), 24.0)
    }

    #[test]
    fn names_of_models_and_cases_are_understood() {
        for (name, point, unit, batch) in [
            ("bert-base", "batch=1,length=128", "example", None),
            ("BERT-Large", "size=large,batch=1,length=128", "example", None),
            ("gpt2-xl", "batch=1,length=1024,layers=48,width=1600", "example", None),
            ("vit-base", "batch=1", "image", None),
            ("train/bert-large-step", "size=large,mode=train,batch=1,length=512", "example", Some(1)),
            ("quick/bert-ffn", "m=128,n=3072,k=768,b=parameter", "PFLOP", Some(1)),
        ] {
            let job = job(name, &[], "10/day").unwrap();
            assert_eq!(point_name(job.workload.axes, &job.params), point, "{name}");
            assert_eq!((job.unit.name(), job.batch), (unit, batch), "{name}");
        }
    }

    #[test]
    fn what_was_not_given_is_said() {
        let bf16 = ("dtype", Param::Text("bf16".into()));
        for (name, given, said) in [
            ("bert-base", vec![], vec!["length is", "dtype is f32"]),
            ("bert-base", vec![bf16], vec!["length is"]),
            ("quick/bert-ffn", vec![], vec![]),
        ] {
            let assumed = job(name, &given, "10/day").unwrap().assumed;
            assert_eq!(assumed.len(), said.len(), "{assumed:?}");
            assert!(assumed.iter().zip(said).all(|(is, begins)| is.starts_with(begins)), "{assumed:?}");
        }
    }

    #[test]
    fn units_are_of_the_batch_or_of_what_is_yielded() {
        let per = |volume: &str| {
            let job = job("bert-base", &[], volume).unwrap();
            job.units(4, &job.workload.program(&job.at(4)).unwrap())
        };
        assert_eq!((per("1 sentence/day"), per("1 token/day"), per("1/day")), (4.0, 512.0, 4.0));
    }

    #[test]
    fn what_makes_no_job_says_what_would() {
        let said = |name: &str, given: &[(&str, Param)], volume: &str| {
            job(name, given, volume).err().unwrap().to_string()
        };
        assert!(said("bert-bsae", &[], "1/day").contains("did you mean `bert-base`?"));
        assert!(said("quick/nothing", &[], "1/day").contains("`cutgpu list` shows cases"));
        assert!(said("bert-base", &[], "1 imag a day").contains("count tokens or examples"));
        assert!(said("bert-base", &[("mode", Param::Text("trian".into()))], "1/day").contains("train"));
        assert!(said("bert-base", &[("length", Param::Int(513))], "1/day").contains("512 positions"));
        assert!(said("quick/copy", &[], "1/day").contains("depend on the machine"));
        let demand = Demand::parse("1/day").unwrap();
        for months in [0.0, -1.0, f64::NAN, 1e9] {
            assert!(Job::new("bert-base", &Params::new(), demand.clone(), months).is_err());
        }
    }
}
