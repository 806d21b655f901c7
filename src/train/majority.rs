//! BERT-Tiny on a task made from the seed: which of two kinds of words does a sentence have more of?

use super::checks::right;
use super::{Course, Inputs, Settings, Start, TrainError, Trainer, initial, run};
use crate::program::Program;
use crate::random;
use crate::tensor::HostArray;
use crate::workloads::{self, Param, Params};

/// Sentences of a step.
const BATCH: usize = 32;
/// Tokens of a sentence: one that marks its beginning, and an odd number of words, so that no two kinds are equally many.
const LENGTH: usize = 16;
/// Steps until it is learned, with room.
const STEPS: usize = 300;
/// Fresh sentences that it is asked about.
const TESTED: usize = 1000;
/// The token that begins a sentence: the number of BERT's own.
const BEGINNING: i32 = 101;
/// The first word of either kind, and how many each has.
const KINDS: [i32; 2] = [2000, 3000];
const WORDS: u64 = 32;

/// A sentence and its kind.
struct Sentence {
    tokens: Vec<i32>,
    kind: usize,
}

/// The sentence of this number: each word is of either kind with equal chance.
fn sentence(seed: u64, number: usize) -> Sentence {
    let mut tokens = vec![BEGINNING];
    let mut of_second = 0;
    for place in 1..LENGTH {
        let bits = random::bits(seed, number as u64, place as u64);
        let kind = (bits >> 63) as usize;
        of_second += kind;
        tokens.push(KINDS[kind] + (bits % WORDS) as i32);
    }
    Sentence { tokens, kind: usize::from(2 * of_second > LENGTH - 1) }
}

fn sentences(seed: u64, first: usize, count: usize) -> Vec<Sentence> {
    (first..first + count).map(|number| sentence(seed, number)).collect()
}

/// The ids of sentences, all of one segment.
fn ids(sentences: &[Sentence]) -> Inputs {
    let words: Vec<i32> = sentences.iter().flat_map(|sentence| sentence.tokens.iter().copied()).collect();
    let kinds = HostArray::I32(vec![0; words.len()]);
    Inputs::from([("words".to_string(), HostArray::I32(words)), ("kinds".to_string(), kinds)])
}

fn program(mode: &str, batch: usize) -> Result<Program, TrainError> {
    let params = [
        ("size", Param::Text("tiny".to_string())),
        ("mode", Param::Text(mode.to_string())),
        ("batch", Param::Int(batch as u64)),
        ("length", Param::Int(LENGTH as u64)),
    ];
    let params: Params = params.map(|(axis, value)| (axis.to_string(), value)).into();
    match workloads::find("bert") {
        Some(bert) => Ok(bert.program(&params)?),
        None => Err(TrainError::Absent("this build has no workload called bert".to_string())),
    }
}

/// New sentences each step.
pub(super) fn course(seed: u64) -> Result<Course<'static>, TrainError> {
    let program = program("train", BATCH)?;
    let batch = move |step: usize| {
        let sentences = sentences(seed, TESTED + step * BATCH, BATCH);
        let mut inputs = ids(&sentences);
        let labels = sentences.iter().map(|sentence| sentence.kind as i32).collect();
        inputs.insert("labels".to_string(), HostArray::I32(labels));
        inputs
    };
    let initial = initial(&program, Start::Deviation(0.02), seed);
    Ok(Course { program, initial, batch: Box::new(batch) })
}

/// Share of fresh sentences that BERT-Tiny judges right, after training with AdamW.
pub(super) fn accuracy(settings: &Settings) -> Result<f64, TrainError> {
    let mut learned = run(&course(settings.seed)?, settings, settings.steps.unwrap_or(STEPS))?.trainer;
    let tested = sentences(settings.seed, 0, TESTED);
    let kinds: Vec<usize> = tested.iter().map(|sentence| sentence.kind).collect();
    // In parts, so that what it takes is what a step of training takes.
    const PART: usize = 250;
    let mut asked = Trainer::new(settings, &program("infer", PART)?, false)?;
    asked.take_parameters(&mut learned)?;
    let mut shares = vec![];
    for (sentences, kinds) in tested.chunks_exact(PART).zip(kinds.chunks_exact(PART)) {
        ids(sentences).iter().try_for_each(|(name, elements)| asked.write(name, elements))?;
        asked.execute()?;
        shares.push(right(&asked.read("logits")?, kinds));
    }
    Ok(shares.iter().sum::<f64>() / shares.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_is_of_the_kind_that_it_has_more_words_of() {
        let mut seen = [0, 0];
        for number in 0..200 {
            let Sentence { tokens, kind } = sentence(7, number);
            assert_eq!((tokens.len(), tokens[0]), (LENGTH, BEGINNING));
            let second = tokens[1..].iter().filter(|&&token| token >= KINDS[1]).count();
            assert_eq!(kind, usize::from(second > LENGTH / 2 - 1));
            assert!(
                tokens[1..].iter().all(|token| KINDS.iter().any(|first| (0..32).contains(&(token - first))))
            );
            seen[kind] += 1;
        }
        assert!(seen.iter().all(|&count| count > 60), "{seen:?}");
    }
}
