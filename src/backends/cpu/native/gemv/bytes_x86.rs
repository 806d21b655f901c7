//! y = x B in bytes for processors without dot products of bytes: products of 16 bits in pairs, which AVX2 adds up in 32.
//!
//! The pairs of bytes that older instructions multiply are added in 16 bits, and 255 x 127 twice does not fit.

use super::words_x86::{Job, Kernels};
use std::arch::x86_64::*;

/// Columns whose sums stay in the first cache while all rows pass: 8 KiB.
const STRIP: usize = 2048;
/// Columns of a step.
const STEP: usize = 32;
/// Rows that pass together: two words of x.
const ROWS: usize = 8;

/// u8 of x times i8: needs AVX2.
pub(super) const UNSIGNED: Kernels =
    Kernels { by_rows: by_rows::<false>, by_columns: by_columns::<false>, raised: 0 };
/// i8 of x times i8: needs AVX2.
pub(super) const SIGNED: Kernels =
    Kernels { by_rows: by_rows::<true>, by_columns: by_columns::<true>, raised: 0 };

/// Element `number` of x.
fn lane<const SIGNED: bool>(x: &[u32], number: usize) -> i16 {
    let byte = x[number / 4].to_le_bytes()[number % 4];
    if SIGNED { i16::from(byte as i8) } else { i16::from(byte) }
}

#[target_feature(enable = "avx2")]
unsafe fn by_rows<const SIGNED: bool>(job: &mut Job) {
    let steps = job.columns / STEP * STEP;
    job.y.fill(0);
    for first in (0..steps).step_by(STRIP) {
        let columns = STRIP.min(steps - first);
        for row in (0..job.depth).step_by(ROWS) {
            // SAFETY: by the contract of `Kernel`.
            unsafe {
                match (job.depth - row >= ROWS, job.is_far) {
                    (true, false) => pass::<SIGNED, true, false>(job, row, [first, columns]),
                    (true, true) => pass::<SIGNED, true, true>(job, row, [first, columns]),
                    (false, _) => pass::<SIGNED, false, false>(job, row, [first, columns]),
                }
            }
        }
    }
    in_order(&mut job.y[..steps]);
    for row in 0..job.depth {
        let x = i32::from(lane::<SIGNED>(job.x, row));
        let b = &job.b[row * job.stride..][..job.columns];
        for (y, b) in job.y[steps..job.columns].iter_mut().zip(&b[steps..]) {
            *y = y.wrapping_add((x * i32::from(*b as i8)) as u32);
        }
    }
}

/// [`ROWS`] rows from `row` on, or those that are left where not `WHOLE`, times whole steps of columns; with `FAR` it asks
/// for the rows of the next pass.
#[inline(always)]
unsafe fn pass<const SIGNED: bool, const WHOLE: bool, const FAR: bool>(
    job: &mut Job,
    row: usize,
    [first, columns]: [usize; 2],
) {
    let rows = ROWS.min(job.depth - row);
    let (start, stride) = (row * job.stride + first, job.stride);
    assert!(start + (rows - 1) * stride + columns <= job.b.len() && first + columns <= job.y.len());
    assert!(columns.is_multiple_of(STEP) && (rows == ROWS || !WHOLE));
    let pair = |number: usize| {
        let of = |row: usize| if row < job.depth { lane::<SIGNED>(job.x, row) } else { 0 };
        let (even, odd) = (of(row + 2 * number) as u16, of(row + 2 * number + 1) as u16);
        (u32::from(even) | u32::from(odd) << 16) as i32
    };
    let pairs: [i32; ROWS / 2] = std::array::from_fn(pair);
    let (b, y) = (job.b[start..].as_ptr(), job.y[first..].as_mut_ptr().cast::<__m256i>());
    // SAFETY: steps keep to the columns of B and of y, `rows` to the rows of B.
    unsafe {
        let x = pairs.map(|pair| _mm256_set1_epi32(pair));
        let line = |row: usize, at: usize| match WHOLE || row < rows {
            true => _mm256_cvtepi8_epi16(_mm_loadu_si128(b.add(row * stride + at).cast())),
            false => _mm256_setzero_si256(),
        };
        for at in (0..columns).step_by(STEP) {
            let sums = y.add(at / 8);
            let mut sum = [0, 1, 2, 3].map(|number| _mm256_loadu_si256(sums.add(number)));
            for (number, x) in x.iter().enumerate() {
                for half in 0..2 {
                    let (even, odd) =
                        (line(2 * number, at + 16 * half), line(2 * number + 1, at + 16 * half));
                    let (low, high) = (_mm256_unpacklo_epi16(even, odd), _mm256_unpackhi_epi16(even, odd));
                    sum[2 * half] = _mm256_add_epi32(sum[2 * half], _mm256_madd_epi16(low, *x));
                    sum[2 * half + 1] = _mm256_add_epi32(sum[2 * half + 1], _mm256_madd_epi16(high, *x));
                }
                if FAR {
                    for row in [2 * number, 2 * number + 1] {
                        _mm_prefetch::<_MM_HINT_T1>(b.wrapping_add((ROWS + row) * stride + at).cast());
                    }
                }
            }
            for (number, sum) in sum.into_iter().enumerate() {
                _mm256_storeu_si256(sums.add(number), sum);
            }
        }
    }
}

/// Interleaving leaves the sums of 16 columns as fours 0, 2, 1, 3: here they are in their order.
fn in_order(y: &mut [u32]) {
    for step in y.chunks_exact_mut(16) {
        let (low, high) = step.split_at_mut(8);
        low[4..].swap_with_slice(&mut high[..4]);
    }
}

#[target_feature(enable = "avx2")]
unsafe fn by_columns<const SIGNED: bool>(job: &mut Job) {
    let whole = job.depth / 16 * 16;
    assert!(4 * job.x.len() >= job.depth);
    for column in 0..job.columns {
        let b = &job.b[column * job.stride..][..job.depth];
        let x = job.x.as_ptr().cast::<u8>();
        // SAFETY: whole steps below `depth` lie inside x and the column.
        let mut sum = unsafe {
            let mut sums = _mm256_setzero_si256();
            for at in (0..whole).step_by(16) {
                let x = _mm_loadu_si128(x.add(at).cast());
                let x = if SIGNED { _mm256_cvtepi8_epi16(x) } else { _mm256_cvtepu8_epi16(x) };
                let b = _mm256_cvtepi8_epi16(_mm_loadu_si128(b.as_ptr().add(at).cast()));
                sums = _mm256_add_epi32(sums, _mm256_madd_epi16(x, b));
            }
            total(sums)
        };
        for (number, b) in b.iter().enumerate().skip(whole) {
            sum = sum.wrapping_add(i32::from(lane::<SIGNED>(job.x, number)) * i32::from(*b as i8));
        }
        job.y[column] = sum as u32;
    }
}

/// The sum of all lanes.
#[target_feature(enable = "avx2")]
fn total(sums: __m256i) -> i32 {
    let four = _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256::<1>(sums));
    let two = _mm_add_epi32(four, _mm_unpackhi_epi64(four, four));
    _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32::<1>(two)))
}

#[cfg(test)]
mod tests {
    use super::super::words_x86::tests::check_bytes;
    use super::*;
    use crate::backends::cpu::isa::{Isa, Level};

    #[test]
    fn bytes_are_exact_without_dot_products_of_bytes() {
        if Isa::best().level() > Level::Portable {
            check_bytes(UNSIGNED, SIGNED);
        }
    }
}
