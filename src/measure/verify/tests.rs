use super::*;
use crate::ops::{Factors, Op};
use crate::program::Phase;
use crate::random::Fill;
use crate::tensor::ValueSpec;
use crate::workloads::{Param, Params, find};
use half::bf16;

const SEED: u64 = 11;

fn program(workload: &str, sizes: &[(&str, u64)]) -> Program {
    let params: Params = sizes.iter().map(|&(axis, size)| (axis.to_string(), Param::Int(size))).collect();
    find(workload).unwrap().program(&params).unwrap()
}

fn gemm(m: u64, n: u64, k: u64) -> Program {
    program("gemm", &[("m", m), ("n", n), ("k", k)])
}

/// Values after an execution that somebody else made, and how many elements were read of them.
#[derive(Clone)]
struct Stored {
    values: Vec<Vec<f64>>,
    types: Vec<DType>,
    read: usize,
}

impl Stored {
    /// The f64 reference, rounded to each value's type.
    fn honest(program: &Program, seed: u64) -> Self {
        let types = program.values.iter().map(|value| value.spec.dtype).collect();
        Self { values: program.interpret(seed), types, read: 0 }
    }
}

impl Values for Stored {
    type Error = String;
    fn read(&mut self, value: ValueId, _: usize, range: Range<usize>) -> Result<HostArray, String> {
        self.read += range.len();
        Ok(HostArray::from_f64(self.types[value], self.values[value][range].iter().copied()))
    }
}

fn check(program: &Program, limit: u64, stored: &mut Stored) -> Result<Verification, Wrong> {
    Verifier::new(SEED, limit).check_steps(program, 0, stored).map_err(|failure| match failure {
        Failure::Wrong(wrong) => *wrong,
        Failure::Unreadable(why) => panic!("{why}"),
    })
}

/// D of a plain product in f32: factors rounded by `round`, added up in runs of `run` and then run by run.
fn gemm_f32(program: &Program, dims: [usize; 3], run: usize, round: fn(f32) -> f32) -> Vec<f64> {
    sums(program, dims, run, round, |x| x)
}

/// The same, where each sum within a run goes through `add`.
fn sums(
    program: &Program,
    [m, n, k]: [usize; 3],
    run: usize,
    round: fn(f32) -> f32,
    add: fn(f32) -> f32,
) -> Vec<f64> {
    let input = |id| {
        let data = program.input_data(id, SEED, 0);
        data.to_f64(0..data.len()).into_iter().map(|x| round(x as f32)).collect::<Vec<f32>>()
    };
    let (a, b) = (input(0), input(1));
    let element = |index: usize| {
        let (i, j) = (index / n, index % n);
        let runs: Vec<usize> = (0..k).step_by(run).collect();
        let sum_of = |start: &usize| {
            (*start..(start + run).min(k)).fold(0f32, |sum, p| add(sum + a[i * k + p] * b[p * n + j]))
        };
        f64::from(runs.iter().map(sum_of).fold(0f32, |sum, part| sum + part))
    };
    (0..m * n).map(element).collect()
}

fn tf32(x: f32) -> f32 {
    // Ten bits of significand, to nearest.
    f32::from_bits((x.to_bits() + 0x1000) & !0x1FFF)
}

fn bf16_of(x: f32) -> f32 {
    bf16::from_f32(x).to_f32()
}

#[test]
fn a_right_answer_passes_in_every_order_of_summation() {
    for dims @ [m, n, k] in [[1, 1, 1], [17, 5, 3], [7, 9, 1000], [3, 5, 16384]] {
        let program = gemm(m as u64, n as u64, k as u64);
        for run in [1, 8, 128, 100_000] {
            let mut stored = Stored::honest(&program, SEED);
            stored.values[2] = gemm_f32(&program, dims, run, |x| x);
            let verification = check(&program, COMPLETE, &mut stored).unwrap();
            assert_eq!(verification.elements, (m * n) as u64);
            assert!(verification.complete && !verification.fell_back_precision && !verification.mistrusted);
            assert!(verification.worst < 1.0 && verification.median_relative < 1e-6, "{verification:?}");
        }
    }
}

#[test]
fn every_workload_passes_with_its_own_reference() {
    for (workload, sizes) in [
        ("gemm_i8", &[("m", 5), ("n", 7), ("k", 33)][..]),
        ("copy", &[("bytes", 100_000)]),
        ("triad", &[("bytes", 100_000)]),
        ("adamw", &[("bytes", 100_000)]),
        ("softmax", &[("rows", 17), ("columns", 33)]),
        ("layer_norm", &[("rows", 17), ("columns", 33)]),
        ("attention", &[("queries", 17), ("depth", 5), ("heads", 3)]),
        ("mlp_block", &[("tokens", 7), ("width", 17)]),
        ("update_step", &[("layers", 2), ("width", 33)]),
    ] {
        let program = program(workload, sizes);
        for limit in [COMPLETE, 0] {
            let verification = check(&program, limit, &mut Stored::honest(&program, SEED)).unwrap();
            assert!(
                !verification.fell_back_precision && !verification.mistrusted,
                "{workload}: {verification:?}"
            );
        }
    }
}

#[test]
fn one_wrong_element_is_found_wherever_it_is() {
    let program = gemm(17, 9, 40);
    let honest = Stored::honest(&program, SEED);
    for index in 0..17 * 9 {
        let mut stored = honest.clone();
        stored.values[2][index] += 1e-4;
        let wrong = check(&program, COMPLETE, &mut stored).unwrap_err();
        assert_eq!((wrong.value.as_str(), wrong.index, wrong.wrong), ("gemm0.0", index, 1));
    }
}

#[test]
fn a_lower_precision_is_found_and_named() {
    for dims @ [m, n, k] in [[9, 9, 1], [17, 17, 64], [9, 9, 1024], [5, 5, 16384]] {
        let program = gemm(m as u64, n as u64, k as u64);
        for round in [tf32, bf16_of] {
            let mut stored = Stored::honest(&program, SEED);
            stored.values[2] = gemm_f32(&program, dims, 8, round);
            let wrong = check(&program, COMPLETE, &mut stored).unwrap_err();
            // With k the error of the sum falls behind its scale: 2^-11 / sqrt(k).
            assert!(wrong.fell_back_precision || k > 1024, "{wrong}");
        }
    }
}

#[test]
fn a_product_that_may_be_in_tf32_may_be_in_nothing_less() {
    let cut = |x: f32| f32::from_bits(x.to_bits() & !0x1FFF);
    for dims @ [m, n, k] in [[13, 9, 1], [13, 9, 64], [13, 9, 1024], [3, 25, 16384]] {
        let mut program = gemm(m as u64, n as u64, k as u64);
        let Op::Gemm(op) = &mut program.steps[0].op else { panic!("a product") };
        op.factors = Factors::Tf32;
        for (round, is_less) in
            [(tf32 as fn(f32) -> f32, false), (cut, false), (|x| x, false), (bf16_of, true)]
        {
            let mut stored = Stored::honest(&program, SEED);
            stored.values[2] = gemm_f32(&program, dims, 64, round);
            let fell_back = match check(&program, COMPLETE, &mut stored) {
                Ok(verification) => verification.fell_back_precision,
                Err(wrong) => {
                    assert!(is_less, "{wrong}");
                    wrong.fell_back_precision
                }
            };
            assert_eq!(fell_back, is_less, "k = {k}");
        }
    }
}

#[test]
fn sums_of_8_bit_factors_may_have_14_bits() {
    // What is added in runs of 32 loses all but 14 bits, and the runs are added in f32.
    let cut = |x: f32| f32::from_bits(x.to_bits() & !0x3FF);
    for dims @ [m, n, k] in [[13, 9, 32], [13, 9, 1024], [3, 25, 16384]] {
        let sizes =
            [("m", m), ("n", n), ("k", k)].map(|(axis, size)| (axis.to_string(), Param::Int(size as u64)));
        let words = [("dtype", "f8e4m3"), ("out", "f32")]
            .map(|(axis, word)| (axis.to_string(), Param::Text(word.to_string())));
        let params: Params = sizes.into_iter().chain(words).collect();
        let program = find("gemm").unwrap().program(&params).unwrap();
        for add in [cut as fn(f32) -> f32, |x| x] {
            let mut stored = Stored::honest(&program, SEED);
            stored.values[2] = sums(&program, dims, 32, |x| x, add);
            let verification = check(&program, COMPLETE, &mut stored).unwrap();
            assert!(!verification.fell_back_precision && verification.worst < 1.0, "{verification:?}");
        }
    }
}

#[test]
fn what_is_not_written_is_found() {
    type Plant = fn(&mut Vec<f64>, &[f64]);
    let cases: &[(&str, &str, Plant)] = &[
        ("the last row has the sentinel", "nothing was written", |d, _| d[240..].fill(f64::NAN)),
        ("the last row has zeros", "are wrong", |d, _| d[240..].fill(0.0)),
        ("the last row is stale", "are wrong", |d, old| d[240..].copy_from_slice(&old[240..])),
        ("all is stale", "are wrong", |d, old| d.copy_from_slice(old)),
        ("one NaN", "nothing was written", |d, _| d[100] = f64::NAN),
        ("infinite", "are wrong", |d, _| d[0] = f64::INFINITY),
        ("all zeros", "all zeros", |d, _| d.fill(0.0)),
        ("all NaN", "nothing was written", |d, _| d.fill(f64::NAN)),
    ];
    let program = gemm(17, 15, 40);
    let stale = Stored::honest(&program, SEED + 1).values.remove(2);
    for (fault, sentence, plant) in cases {
        // Complete, and sampled at 16 units, of which the last row is one.
        for limit in [COMPLETE, 0] {
            let mut stored = Stored::honest(&program, SEED);
            plant(&mut stored.values[2], &stale);
            let wrong = check(&program, limit, &mut stored).unwrap_err().to_string();
            assert!(wrong.contains(sentence), "{fault}: {wrong}");
        }
    }
}

#[test]
fn integers_must_be_exact_and_their_sentinel_is_known() {
    let program = program("gemm_i8", &[("m", 5), ("n", 7), ("k", 33)]);
    let mut off_by_one = Stored::honest(&program, SEED);
    off_by_one.values[2][17] += 1.0;
    assert_eq!(check(&program, COMPLETE, &mut off_by_one).unwrap_err().index, 17);
    let mut unwritten = Stored::honest(&program, SEED);
    unwritten.values[2][34] = f64::from(i32::MIN);
    let wrong = check(&program, COMPLETE, &mut unwritten).unwrap_err().to_string();
    assert!(wrong.contains("nothing was written"), "{wrong}");
}

#[test]
fn a_fault_in_the_middle_of_a_program_is_found_in_its_own_step() {
    let program = program("mlp_block", &[("tokens", 7), ("width", 17)]);
    let honest = Stored::honest(&program, SEED);
    for (number, step) in program.steps.iter().enumerate() {
        let mut stored = honest.clone();
        let out = step.outs[0];
        *stored.values[out].last_mut().unwrap() += 0.01;
        let wrong = check(&program, COMPLETE, &mut stored).unwrap_err();
        assert_eq!(wrong.value, program.values[out].name, "step {number}");
    }
}

#[test]
fn every_output_of_a_step_is_checked() {
    for (workload, sizes) in [
        ("layer_norm", &[("rows", 5), ("columns", 33)][..]),
        ("attention", &[("queries", 9), ("depth", 4)]),
        ("adamw", &[("bytes", 1600)]),
    ] {
        let program = program(workload, sizes);
        for &out in &program.steps[0].outs {
            let mut stored = Stored::honest(&program, SEED);
            *stored.values[out].last_mut().unwrap() *= 1.001;
            let wrong = check(&program, COMPLETE, &mut stored).unwrap_err();
            assert_eq!(wrong.value, program.values[out].name);
        }
    }
}

#[test]
fn a_large_program_is_sampled_at_both_ends_without_reading_it_all() {
    let program = program("copy", &[("bytes", 8 * 4096 * 300)]);
    let mut stored = Stored::honest(&program, SEED);
    let verification = check(&program, 0, &mut stored).unwrap();
    assert!(!verification.complete && verification.elements == 4096 * 18, "{verification:?}");
    assert_eq!(stored.read, 4096 * 18);
    for index in [0, 4096 * 300 - 1] {
        let mut stored = Stored::honest(&program, SEED);
        stored.values[1][index] = f64::NAN;
        assert_eq!(check(&program, 0, &mut stored).unwrap_err().index, index);
    }
}

#[test]
fn stretches_hold_both_ends_and_are_the_same_every_time() {
    for (units, count) in [(1, 1), (1, 16), (2, 16), (100, 16), (1_000_000, 1024)] {
        let pick = || stretches(units, count, |stretch| random::bits(1, 2, stretch));
        let picked = pick();
        assert_eq!(picked, pick());
        assert!(picked[0] == 0 && picked[picked.len() - 1] == units - 1);
        assert!(picked.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(picked.len() >= count.min(units) && picked.len() <= count + 2);
    }
}

#[test]
fn a_sample_of_a_table_holds_rows_that_ids_name() {
    use crate::ops::{EmbeddingGrad, Op};
    let (rows, ids, columns) = (50_000, 40, 8);
    let mut program = Program::default();
    let state = crate::program::State::Batch;
    let dy = program.input("dy", ValueSpec::new(&[ids, columns], DType::F32), state, Fill::UNIT);
    let named = Fill::Integers { low: 0, high: rows as i64 - 1 };
    let numbers = program.input("ids", ValueSpec::new(&[ids], DType::I32), state, named);
    let op = Op::EmbeddingGrad(EmbeddingGrad { rows });
    program.outputs =
        program.push(op, &[dy, numbers], Phase::Backward, crate::program::State::Gradient).unwrap();
    let honest = Stored::honest(&program, SEED);
    let verification = check(&program, 0, &mut honest.clone()).unwrap();
    assert!(!verification.complete && !verification.mistrusted, "{verification:?}");
    let mut forgetful = honest;
    forgetful.values[2].fill(0.0);
    assert!(check(&program, 0, &mut forgetful).is_err());
}

#[test]
fn a_second_contender_is_judged_by_the_remembered_reference() {
    let program = gemm(33, 17, 20);
    let mut verifier = Verifier::new(SEED, COMPLETE);
    let mut stored = Stored::honest(&program, SEED);
    let first = verifier.check_steps(&program, 0, &mut stored).unwrap();
    assert_eq!(verifier.known.len(), 1);
    assert_eq!(verifier.check_steps(&program, 0, &mut stored).unwrap(), first);
    stored.values[2][100] += 1.0;
    let Err(Failure::Wrong(wrong)) = verifier.check_steps(&program, 0, &mut stored) else { panic!() };
    assert_eq!(wrong.index, 100);
    // Another input set has other inputs, and so another reference.
    assert!(verifier.check_steps(&program, 1, &mut Stored::honest(&program, SEED)).is_err());
}

#[test]
fn an_answer_that_is_nearly_all_zeros_is_mistrusted() {
    let mut program = Program::default();
    let spec = ValueSpec::new(&[100], DType::I8);
    let zeros = Fill::Integers { low: 0, high: 0 };
    let x = program.input("x", spec, crate::program::State::Batch, zeros);
    let op = crate::ops::Op::Copy(crate::ops::Copied {});
    program.outputs = program.push(op, &[x], Phase::Forward, crate::program::State::Activation).unwrap();
    let verification = check(&program, COMPLETE, &mut Stored::honest(&program, SEED)).unwrap();
    assert!(verification.mistrusted);
}

#[test]
fn the_timed_load_must_answer_as_the_checked_one() {
    let program = program("mlp_block", &[("tokens", 9), ("width", 17)]);
    assert!(!is_direct(&program));
    let y = program.outputs[0];
    let honest = Stored::honest(&program, SEED);
    let answer = Answer::of(&program, 0, &mut honest.clone()).unwrap();
    answer.check(&program, &mut honest.clone()).unwrap();
    // Another order of summation moves the last digits.
    let mut near = honest.clone();
    near.values[y].iter_mut().for_each(|x| *x += 4e-7);
    answer.check(&program, &mut near).unwrap();
    type Plant = fn(&mut Vec<f64>);
    let faults: &[Plant] = &[
        |y| y[0] += 1e-3,
        |y| y[9 * 17 - 1] = f64::NAN,
        |y| y.fill(0.0),
        |y| y.rotate_left(17),
        |y| y.iter_mut().for_each(|x| *x = f64::from(tf32(*x as f32))),
    ];
    for plant in faults {
        let mut stored = honest.clone();
        plant(&mut stored.values[y]);
        assert!(matches!(answer.check(&program, &mut stored), Err(Failure::Wrong(_))));
    }
}

#[test]
fn state_that_timing_left_must_be_finite() {
    let program = program("update_step", &[("layers", 1), ("width", 9)]);
    assert!(is_direct(&program));
    let honest = Stored::honest(&program, SEED);
    check_finite(&program, 0, &mut honest.clone()).unwrap();
    for id in program.kept() {
        let mut stored = honest.clone();
        *stored.values[id].last_mut().unwrap() = f64::INFINITY;
        let Err(Failure::Wrong(wrong)) = check_finite(&program, 0, &mut stored) else { panic!() };
        assert!(wrong.to_string().contains("a finite number was wanted"), "{wrong}");
    }
}

#[test]
fn a_worker_that_returns_too_few_elements_is_wrong_not_fatal() {
    struct Short(Stored);
    impl Values for Short {
        type Error = String;
        fn read(&mut self, value: ValueId, set: usize, range: Range<usize>) -> Result<HostArray, String> {
            self.0.read(value, set, range.start..range.end - 1)
        }
    }
    let program = program("mlp_block", &[("tokens", 9), ("width", 17)]);
    let mut short = Short(Stored::honest(&program, SEED));
    assert!(matches!(
        Verifier::new(SEED, COMPLETE).check_steps(&program, 0, &mut short),
        Err(Failure::Wrong(_))
    ));
    let whole = Answer::of(&program, 0, &mut short.0.clone()).unwrap();
    assert!(matches!(whole.check(&program, &mut short), Err(Failure::Wrong(_))));
    struct Gone;
    impl Values for Gone {
        type Error = String;
        fn read(&mut self, _: ValueId, _: usize, _: Range<usize>) -> Result<HostArray, String> {
            Err("gone".to_string())
        }
    }
    let failure = Verifier::new(SEED, COMPLETE).check_steps(&program, 0, &mut Gone).unwrap_err();
    assert_eq!(failure, Failure::Unreadable("gone".to_string()));
}

#[test]
fn zeros_that_are_due_prove_little_only_where_there_is_nothing_else() {
    let due = Expected::exact(0.0);
    let sum = Expected { value: 0.0, allow: 1e-6, scale: 1.0 };
    let other = Expected { value: 0.5, allow: 1e-6, scale: 1.0 };
    for (wanted, mistrusted) in [
        (vec![due; 40], true),
        ([vec![due; 40], vec![other]].concat(), false),
        (vec![sum; 40], true),
        ([vec![sum; 40], vec![other]].concat(), true),
        ([vec![sum; 4], vec![other; 4]].concat(), false),
    ] {
        let got: Vec<f64> = wanted.iter().map(|wanted| wanted.value).collect();
        let mut tally = Tally::default();
        tally.compare(0, &got, &wanted);
        let mut verification = Verification {
            elements: 0,
            complete: true,
            worst: 0.0,
            median_relative: 0.0,
            fell_back_precision: false,
            mistrusted: false,
        };
        tally.add_to(&mut verification, DType::F32);
        assert_eq!(verification.mistrusted, mistrusted, "{wanted:?}");
    }
}
