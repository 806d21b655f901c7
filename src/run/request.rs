//! What a user asked for: kept in the run's folder, so that a resumed run continues exactly that.

use crate::suite::{Load, Scope, Suite, Sync, Temperature};
use serde::{Deserialize, Serialize};

/// A run as it was asked for. No paths and no names of people: folders are published.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// Suites with the text that they were read from.
    pub suites: Vec<SuiteText>,
    /// What was asked for beside that, in the words of the command line.
    pub choices: Choices,
    /// Seed of inputs and order.
    pub seed: u64,
    /// How often everything is measured.
    pub repeat: u32,
    /// Which part of the groups, from 1, and of how many.
    pub shard: Option<(usize, usize)>,
    /// The longest time that the whole run may take, in minutes.
    pub minutes: Option<f64>,
    /// File names of libraries that the user pointed at.
    pub libraries: Vec<String>,
    /// Hash of the build that began it.
    pub build: String,
    /// Groups that were to be measured, in order.
    pub groups: Vec<String>,
    /// Groups that were left out: id and reason.
    pub dropped: Vec<(String, String)>,
}

/// A suite as it was.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SuiteText {
    /// Its name.
    pub name: String,
    /// Name of its file, without folders.
    pub file: String,
    /// Its text.
    pub text: String,
}

/// What replaces or extends the cases of the suites.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Choices {
    /// Only these backends; those of the cases where empty.
    pub backends: Vec<String>,
    /// Thread counts, `all` among them; those of the cases where empty.
    pub threads: Vec<String>,
    /// Scopes; those of the cases where empty.
    pub scopes: Vec<Scope>,
    /// Syncs; those of the cases where empty.
    pub syncs: Vec<Sync>,
    /// Cold caches too.
    pub cold: bool,
    /// A long window too.
    pub sustained: bool,
    /// One contender of each group twice.
    pub twin: bool,
    /// Short windows.
    pub quick: bool,
}

impl Request {
    /// Names of the suites.
    pub fn names(&self) -> Vec<&str> {
        self.suites.iter().map(|suite| suite.name.as_str()).collect()
    }
}

impl Choices {
    /// Changes the cases of a suite to what was asked for.
    pub fn apply(&self, suite: &mut Suite) {
        for case in &mut suite.cases {
            if !self.scopes.is_empty() {
                case.scopes = self.scopes.clone();
            }
            if !self.syncs.is_empty() {
                case.syncs = self.syncs.clone();
            }
            if self.cold && !case.temperatures.contains(&Temperature::Cold) {
                case.temperatures.push(Temperature::Cold);
            }
            if self.sustained && !case.loads.contains(&Load::Sustained) {
                case.loads.push(Load::Sustained);
            }
            case.twin |= self.twin;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::ad_hoc;

    #[test]
    fn choices_replace_or_extend_what_the_suite_says() {
        let plain = ad_hoc("gemm", "m=4,n=4,k=4").unwrap();
        let mut suite = plain.clone();
        Choices::default().apply(&mut suite);
        assert_eq!(suite, plain);
        let choices = Choices {
            scopes: vec![Scope::EndToEnd],
            syncs: vec![Sync::Each],
            cold: true,
            sustained: true,
            twin: true,
            ..Choices::default()
        };
        choices.apply(&mut suite);
        choices.apply(&mut suite);
        let case = &suite.cases[0];
        assert_eq!((&case.scopes[..], &case.syncs[..]), (&[Scope::EndToEnd][..], &[Sync::Each][..]));
        assert_eq!(case.temperatures, [Temperature::Hot, Temperature::Cold]);
        assert_eq!(case.loads, [Load::Burst, Load::Sustained]);
        assert!(case.twin);
    }
}
