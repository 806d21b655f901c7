//! Regression on places of which some are near each other: a Gaussian process (Rasmussen and Williams, "Gaussian
//! Processes for Machine Learning", 2006, chapter 2).
//!
//! What is predicted is the logarithm of a ratio, so that an error of 0.1 is one of 10 %. The covariance is a sum of
//! parts that cells share: a family of ops has a level, an op one of its own, a library another; each has a part that
//! changes with size. What was never measured falls back on what it shares, and the variance says so.

/// Where a cell stands: who computed what, how large.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Place {
    /// Ops that one kind of kernel computes: `product f32`, `rows`.
    pub family: String,
    /// The op, with its types and layout.
    pub op: String,
    /// The library.
    pub backend: String,
    /// Layout of parameters.
    pub packed: bool,
    /// Threads.
    pub threads: usize,
    /// The machine.
    pub machine: String,
    /// Size, as logarithms.
    pub size: [f64; 3],
}

/// The family of products of one row, whose time is that of reading a matrix whatever its type.
pub(super) const ROW: &str = "row product";
/// How families of products of a few rows begin.
pub(super) const FEW: &str = "product few";
/// The family of programs of several loads.
pub(super) const PROGRAM: &str = "program";

/// A part of a logarithm that places share who have these things in common: its variance where size does not matter, and
/// where it changes with size.
struct Part {
    common: u8,
    level: f64,
    near: f64,
}

const OP: u8 = 1;
const BACKEND: u8 = 2;
const MACHINE: u8 = 4;
const THREADS: u8 = 8;
const PACKED: u8 = 16;

const fn part(common: u8, level: f64, near: f64) -> Part {
    Part { common, level, near }
}

/// What a family's cells share. Constants for all machines, found by a search for those with which the recorded runs tell
/// their own left-out sizes and workloads best (Rasmussen and Williams, section 5.3): no split is blind to them.
struct Parts {
    parts: &'static [Part],
    /// Distance of sizes, as logarithms, over which parts change.
    near: f64,
    /// Variance of one measurement, from visit to visit on a shared machine.
    noise: f64,
}

/// Products of a few rows change more with size than others: their matrix is read through every level of memory, in rows
/// whose distance matters.
const FEW_ROWS: Parts = Parts { near: 0.7, noise: 0.04, ..CELLS };

const CELLS: Parts = Parts {
    parts: &[
        part(0, 0.054, 0.09),
        part(BACKEND, 0.11, 0.0),
        part(MACHINE, 0.027, 0.0),
        part(OP, 0.0, 0.12),
        part(BACKEND | MACHINE, 0.018, 0.0087),
        part(OP | MACHINE, 0.0, 0.021),
        part(OP | BACKEND, 0.13, 0.0),
        part(OP | BACKEND | PACKED, 0.25, 0.036),
        part(OP | BACKEND | THREADS, 0.0028, 0.0081),
        part(OP | BACKEND | MACHINE | THREADS | PACKED, 0.0029, 0.0041),
    ],
    near: 1.3,
    noise: 0.015,
};

/// What a size does to reading a matrix it does for every type and library.
const ROWS: Parts = Parts {
    parts: &[
        part(0, 0.0, 0.005),
        part(BACKEND, 0.67, 0.0087),
        part(MACHINE, 0.0, 0.043),
        part(OP, 0.0, 0.029),
        part(BACKEND | MACHINE, 0.0, 0.021),
        part(OP | MACHINE, 0.0, 0.024),
        part(OP | BACKEND | PACKED, 0.78, 0.025),
        part(OP | BACKEND | THREADS, 0.031, 0.011),
        part(OP | BACKEND | MACHINE | THREADS | PACKED, 0.03, 0.012),
    ],
    near: 0.96,
    noise: 0.012,
};

/// What programs take beyond their loads is near nothing.
const PROGRAMS: Parts = Parts {
    parts: &[
        part(0, 0.012, 0.01),
        part(BACKEND, 0.011, 0.019),
        part(MACHINE, 0.096, 0.0024),
        part(OP, 0.049, 0.0066),
        part(BACKEND | THREADS, 0.0, 0.0018),
        part(BACKEND | MACHINE, 0.0017, 0.0),
        part(OP | BACKEND, 0.093, 0.23),
        part(BACKEND | MACHINE | THREADS, 0.0, 0.0097),
        part(OP | BACKEND | THREADS, 0.0021, 0.00076),
    ],
    near: 1.5,
    noise: 0.095,
};

impl Parts {
    fn of(family: &str) -> &'static Self {
        match family {
            ROW => &ROWS,
            PROGRAM => &PROGRAMS,
            _ if family.starts_with(FEW) => &FEW_ROWS,
            _ => &CELLS,
        }
    }

    /// Covariance of two places of the family.
    fn covariance(&self, a: &Place, b: &Place) -> f64 {
        let distance: f64 = a.size.iter().zip(&b.size).map(|(a, b)| (a - b).powi(2)).sum();
        let near = (-distance / (2.0 * self.near * self.near)).exp();
        let bit = |is: bool, bit: u8| if is { bit } else { 0 };
        let common = bit(a.op == b.op, OP)
            | bit(a.backend == b.backend, BACKEND)
            | bit(a.machine == b.machine, MACHINE)
            | bit(a.threads == b.threads, THREADS)
            | bit(a.packed == b.packed, PACKED);
        let shared = self.parts.iter().filter(|part| part.common & !common == 0);
        shared.map(|part| part.level + part.near * near).sum()
    }
}

/// Covariance of two places.
fn covariance(a: &Place, b: &Place) -> f64 {
    if a.family == b.family { Parts::of(&a.family).covariance(a, b) } else { 0.0 }
}

/// Variance of one measurement in a family.
pub(super) fn noise(family: &str) -> f64 {
    Parts::of(family).noise
}

/// Measured places, and what they say of others.
#[derive(Clone, Debug)]
pub(super) struct Kriging {
    places: Vec<Place>,
    values: Vec<f64>,
    /// K^-1 y.
    weights: Vec<f64>,
    /// K^-1, row by row.
    inverse: Vec<f64>,
}

/// A value with its variance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Guess {
    pub mean: f64,
    pub variance: f64,
}

impl Kriging {
    /// From measured places; none where their values are not finite.
    pub(super) fn fit(places: Vec<Place>, values: Vec<f64>) -> Option<Self> {
        let count = places.len();
        let mut matrix = vec![0.0; count * count];
        for (row, a) in places.iter().enumerate() {
            for (column, b) in places.iter().enumerate().take(row + 1) {
                let value = covariance(a, b) + if row == column { noise(&a.family) } else { 0.0 };
                (matrix[row * count + column], matrix[column * count + row]) = (value, value);
            }
        }
        let inverse = inverse(matrix, count)?;
        let row = |row: usize| dot(&inverse[row * count..][..count], &values);
        let weights = (0..count).map(row).collect::<Vec<f64>>();
        weights.iter().all(|weight| weight.is_finite()).then_some(Self { places, values, weights, inverse })
    }

    /// The mean of [`Self::guess`] alone, whose work grows with the number of places and not with its square.
    pub(super) fn mean(&self, place: &Place) -> f64 {
        let parts = self.places.iter().zip(&self.weights);
        parts.map(|(known, weight)| covariance(known, place) * weight).sum()
    }

    /// What the measured places say of another.
    pub(super) fn guess(&self, place: &Place) -> Guess {
        let shared: Vec<f64> = self.places.iter().map(|known| covariance(known, place)).collect();
        let count = shared.len();
        let known: f64 =
            (0..count).map(|row| shared[row] * dot(&self.inverse[row * count..][..count], &shared)).sum();
        let variance = (covariance(place, place) - known).max(0.0);
        Guess { mean: dot(&shared, &self.weights), variance }
    }

    /// What the other places say of these: y_S - ([K^-1]_SS)^-1 (K^-1 y)_S, the prediction of a model that has never
    /// seen them (Sundararajan and Keerthi, "Predictive approaches for choosing hyperparameters in Gaussian
    /// processes", Neural Computation 13, 2001, for several places at once). It does not depend on y_S. The variances are
    /// those of a measurement there: the diagonal of ([K^-1]_SS)^-1.
    pub(super) fn held_out(&self, left_out: &[usize]) -> Option<Vec<Guess>> {
        self.held_out_of(&self.values, left_out)
    }

    /// The same where other values, one for each place, had been measured.
    pub(super) fn held_out_of(&self, values: &[f64], left_out: &[usize]) -> Option<Vec<Guess>> {
        let (count, size) = (self.places.len(), left_out.len());
        let mut block = vec![0.0; size * size];
        for (row, &a) in left_out.iter().enumerate() {
            for (column, &b) in left_out.iter().enumerate() {
                block[row * size + column] = self.inverse[a * count + b];
            }
        }
        let block = inverse(block, size)?;
        let weight = |&place: &usize| dot(&self.inverse[place * count..][..count], values);
        let weights: Vec<f64> = left_out.iter().map(weight).collect();
        let guess = |(row, &place): (usize, &usize)| {
            let error = dot(&block[row * size..][..size], &weights);
            Guess { mean: values[place] - error, variance: block[row * size + row] }
        };
        Some(left_out.iter().enumerate().map(guess).collect())
    }
}

/// In eight sums side by side, so that an addition need not wait for the one before it.
pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    let ((a, last_a), (b, last_b)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    let mut sums = [0.0; 8];
    for (a, b) in a.iter().zip(b) {
        for lane in 0..8 {
            sums[lane] += a[lane] * b[lane];
        }
    }
    let last: f64 = last_a.iter().zip(last_b).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f64>() + last
}

/// The inverse of a symmetric positive definite matrix by L L^T, then L^-1, then L^-T L^-1; none of another.
pub(super) fn inverse(mut matrix: Vec<f64>, count: usize) -> Option<Vec<f64>> {
    for row in 0..count {
        for column in 0..=row {
            let (above, here) = matrix.split_at(row * count);
            let other = if column == row { here } else { &above[column * count..] };
            let rest = matrix[row * count + column] - dot(&here[..column], &other[..column]);
            matrix[row * count + column] = match column == row {
                true if rest > 0.0 => rest.sqrt(),
                true => return None,
                false => rest / matrix[column * count + column],
            };
        }
    }
    // Row by row of the transpose of L^-1, so that every sum runs over neighbours in memory.
    let mut upper = vec![0.0; count * count];
    for column in 0..count {
        upper[column * count + column] = 1.0 / matrix[column * count + column];
        for row in column + 1..count {
            let sum = dot(
                &matrix[row * count + column..row * count + row],
                &upper[column * count + column..][..row - column],
            );
            upper[column * count + row] = -sum / matrix[row * count + row];
        }
    }
    let mut inverse = vec![0.0; count * count];
    for row in 0..count {
        for column in 0..=row {
            let value = dot(
                &upper[row * count + row..][..count - row],
                &upper[column * count + row..][..count - row],
            );
            (inverse[row * count + column], inverse[column * count + row]) = (value, value);
        }
    }
    Some(inverse)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(op: &str, backend: &str, size: f64) -> Place {
        Place {
            family: "f".into(),
            op: op.into(),
            backend: backend.into(),
            size: [size, 0.0, 0.0],
            ..Place::default()
        }
    }

    fn known() -> Kriging {
        let places = vec![
            place("a", "x", 0.0),
            place("a", "x", 1.0),
            place("a", "x", 3.0),
            place("b", "x", 1.0),
            place("a", "y", 1.0),
        ];
        Kriging::fit(places, vec![0.5, 0.4, 0.1, 1.0, 0.7]).unwrap()
    }

    #[test]
    fn an_inverse_times_its_matrix_is_one() {
        let matrix = vec![4.0, 1.0, 0.5, 1.0, 3.0, 0.2, 0.5, 0.2, 2.0];
        let inverse = inverse(matrix.clone(), 3).unwrap();
        for row in 0..3 {
            for column in 0..3 {
                let sum: f64 = (0..3).map(|k| matrix[row * 3 + k] * inverse[k * 3 + column]).sum();
                assert!((sum - if row == column { 1.0 } else { 0.0 }).abs() < 1e-12, "{row} {column}: {sum}");
            }
        }
        assert_eq!(super::inverse(vec![1.0, 2.0, 2.0, 1.0], 2), None);
    }

    #[test]
    fn what_was_measured_is_said_again_and_what_is_near_lies_between() {
        let known = known();
        assert!((known.guess(&place("a", "x", 1.0)).mean - 0.4).abs() < 0.03);
        let between = known.guess(&place("a", "x", 0.5)).mean;
        assert!(between > 0.38 && between < 0.52, "{between}");
    }

    #[test]
    fn what_is_far_is_less_sure_and_falls_back_on_its_kind() {
        let known = known();
        let near = known.guess(&place("a", "x", 1.1));
        let far = known.guess(&place("a", "x", 30.0));
        let other = known.guess(&place("c", "z", 30.0));
        assert!(near.variance < far.variance && far.variance < other.variance);
        assert!(far.mean > 0.1 && far.mean < 1.0, "{far:?}");
        // Of another family nothing is known but what is known of all.
        let stranger = Place { family: "g".into(), ..Place::default() };
        let unknown = known.guess(&stranger);
        assert_eq!((unknown.mean, unknown.variance), (0.0, covariance(&stranger, &stranger)));
        assert!(unknown.variance > other.variance);
    }

    #[test]
    fn held_out_places_are_guessed_as_by_a_model_that_never_saw_them() {
        let known = known();
        let kept = [0, 2, 3];
        let fewer = Kriging::fit(
            kept.iter().map(|&place| known.places[place].clone()).collect(),
            kept.iter().map(|&place| known.values[place]).collect(),
        );
        let fewer = fewer.unwrap();
        let held = known.held_out(&[1, 4]).unwrap();
        let mut others = known.values.clone();
        (others[1], others[4]) = (-3.0, 7.0);
        let of_others = known.held_out_of(&others, &[1, 4]).unwrap();
        for ((value, other), place) in held.iter().zip(of_others).zip([1, 4]) {
            let wanted = fewer.guess(&known.places[place]);
            assert!((value.mean - wanted.mean).abs() < 1e-9 && (other.mean - wanted.mean).abs() < 1e-9);
            assert!((value.variance - wanted.variance - noise("f")).abs() < 1e-9);
            assert!((fewer.mean(&known.places[place]) - wanted.mean).abs() < 1e-12);
        }
    }
}
