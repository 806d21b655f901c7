//! y = x B by the dot products of AVX-512: two bf16 or four bytes of x at a time.
//!
//! B by rows: as many rows as a word holds elements are interleaved in registers, which leaves the sums in an
//! order of their own, in fours; `in_order` mends it once, at the end.

use super::super::gemm::words_x86::{Bf16, Bytes, Dot};
use std::arch::x86_64::*;

/// Columns whose sums stay in the first cache while all rows pass: 8 KiB.
const STRIP: usize = 2048;
/// Columns of B that share the loads of x.
const COLUMNS: usize = 4;
/// Bytes that a column of B is fetched ahead of use.
const AHEAD: usize = 2048;

/// What one call works on.
pub(super) struct Job<'a> {
    /// x in words along the depth, zeros behind its end.
    pub(super) x: &'a [u32],
    /// Elements of depth.
    pub(super) depth: usize,
    /// B from the first column that is wanted, as bytes.
    pub(super) b: &'a [u8],
    /// Bytes between rows of B, or between its columns.
    pub(super) stride: usize,
    /// Columns that are wanted.
    pub(super) columns: usize,
    /// Sums in [`padded`] columns; those beyond `columns` are of no use.
    pub(super) y: &'a mut [u32],
    /// B comes from memory, not from a cache.
    pub(super) is_far: bool,
}

/// `columns` in whole steps of the widest kernel.
pub(super) fn padded(columns: usize) -> usize {
    columns.next_multiple_of(64)
}

/// Computes a job.
///
/// # Safety
/// The processor has the instructions of the kernel.
pub(super) type Kernel = unsafe fn(&mut Job);

/// Kernels for B by rows, and by columns.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kernels {
    pub(super) by_rows: Kernel,
    pub(super) by_columns: Kernel,
    /// What elements of B are taken for more than they are.
    pub(super) raised: i32,
}

/// bf16, sums in f32: needs AVX-512 BF16.
pub(super) const BF16: Kernels = Kernels { by_rows: bf16::<true>, by_columns: bf16::<false>, raised: 0 };
/// u8 of x times i8: needs AVX-512 VNNI.
pub(super) const UNSIGNED: Kernels =
    Kernels { by_rows: bytes::<Bytes, true>, by_columns: bytes::<Bytes, false>, raised: 0 };
/// i8 of x times i8 that are taken as 128 more: needs AVX-512 VNNI.
pub(super) const SIGNED: Kernels =
    Kernels { by_rows: bytes::<Raised, true>, by_columns: bytes::<Raised, false>, raised: 128 };

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")]
unsafe fn bf16<const BY_ROWS: bool>(job: &mut Job) {
    // SAFETY: by the contract of `Kernel`.
    unsafe { if BY_ROWS { by_rows::<Bf16>(job) } else { by_columns::<Bf16>(job) } }
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
unsafe fn bytes<D: Narrow, const BY_ROWS: bool>(job: &mut Job) {
    // SAFETY: by the contract of `Kernel`.
    unsafe { if BY_ROWS { by_rows::<D>(job) } else { by_columns::<D>(job) } }
}

/// Registers of narrow elements.
///
/// # Safety
/// As [`Dot`].
unsafe trait Narrow: Copy {
    /// Elements of a word, 2 or 4.
    const PER_WORD: usize;
    /// Words of `PER_WORD` rows' columns: register q holds columns 4 (`PER_WORD` g + q) to 3 more in its
    /// quarter g.
    unsafe fn interleaved(rows: [__m512i; 4]) -> [__m512i; 4];
    /// sum + x b.
    unsafe fn times(x: __m512i, b: __m512i, sum: __m512i) -> __m512i;
    /// The sum of all lanes of two registers.
    unsafe fn total(a: __m512i, b: __m512i) -> u32;
}

// SAFETY: AVX-512 F, BW and BF16 instructions only.
unsafe impl Narrow for Bf16 {
    const PER_WORD: usize = 2;
    #[inline(always)]
    unsafe fn interleaved([even, odd, ..]: [__m512i; 4]) -> [__m512i; 4] {
        // SAFETY: by the trait's contract.
        unsafe {
            let (low, high) = (_mm512_unpacklo_epi16(even, odd), _mm512_unpackhi_epi16(even, odd));
            [low, high, low, high]
        }
    }
    #[inline(always)]
    unsafe fn times(x: __m512i, b: __m512i, sum: __m512i) -> __m512i {
        // SAFETY: by the trait's contract.
        unsafe { Self::dot(x, b, sum) }
    }
    #[inline(always)]
    unsafe fn total(a: __m512i, b: __m512i) -> u32 {
        // SAFETY: by the trait's contract.
        unsafe {
            let sum = _mm512_add_ps(_mm512_castsi512_ps(a), _mm512_castsi512_ps(b));
            _mm512_reduce_add_ps(sum).to_bits()
        }
    }
}

// SAFETY: AVX-512 F, BW and VNNI instructions only.
unsafe impl Narrow for Bytes {
    const PER_WORD: usize = 4;
    #[inline(always)]
    unsafe fn interleaved([a, b, c, d]: [__m512i; 4]) -> [__m512i; 4] {
        // SAFETY: by the trait's contract.
        unsafe {
            let (ab_low, ab_high) = (_mm512_unpacklo_epi8(a, b), _mm512_unpackhi_epi8(a, b));
            let (cd_low, cd_high) = (_mm512_unpacklo_epi8(c, d), _mm512_unpackhi_epi8(c, d));
            [
                _mm512_unpacklo_epi16(ab_low, cd_low),
                _mm512_unpackhi_epi16(ab_low, cd_low),
                _mm512_unpacklo_epi16(ab_high, cd_high),
                _mm512_unpackhi_epi16(ab_high, cd_high),
            ]
        }
    }
    #[inline(always)]
    unsafe fn times(x: __m512i, b: __m512i, sum: __m512i) -> __m512i {
        // SAFETY: by the trait's contract.
        unsafe { Self::dot(x, b, sum) }
    }
    #[inline(always)]
    unsafe fn total(a: __m512i, b: __m512i) -> u32 {
        // SAFETY: by the trait's contract.
        unsafe { _mm512_reduce_add_epi32(_mm512_add_epi32(a, b)) as u32 }
    }
}

/// Bytes of B as unsigned numbers, 128 more than they are, so that those of x may be signed.
#[derive(Clone, Copy)]
struct Raised;

// SAFETY: as for `Bytes`.
unsafe impl Narrow for Raised {
    const PER_WORD: usize = Bytes::PER_WORD;
    #[inline(always)]
    unsafe fn interleaved(rows: [__m512i; 4]) -> [__m512i; 4] {
        // SAFETY: by the trait's contract.
        unsafe { Bytes::interleaved(rows) }
    }
    #[inline(always)]
    unsafe fn times(x: __m512i, b: __m512i, sum: __m512i) -> __m512i {
        // SAFETY: by the trait's contract.
        unsafe { Bytes::dot(_mm512_xor_si512(b, _mm512_set1_epi8(i8::MIN)), x, sum) }
    }
    #[inline(always)]
    unsafe fn total(a: __m512i, b: __m512i) -> u32 {
        // SAFETY: by the trait's contract.
        unsafe { Bytes::total(a, b) }
    }
}

#[inline(always)]
unsafe fn by_rows<D: Narrow>(job: &mut Job) {
    job.y.fill(0);
    // SAFETY: by the contract of `Kernel`.
    unsafe {
        match (job.is_far, D::PER_WORD) {
            (false, 2) => passes::<D, 2, false>(job),
            (false, _) => passes::<D, 4, false>(job),
            // More streams at a time where they come from memory.
            (true, _) => passes::<D, 4, true>(job),
        }
    }
    in_order(job.y, D::PER_WORD);
}

/// All rows, so many words of x at a time, strip by strip of columns.
#[inline(always)]
unsafe fn passes<D: Narrow, const WORDS: usize, const FAR: bool>(job: &mut Job) {
    for first in (0..job.columns).step_by(STRIP) {
        let columns = STRIP.min(job.columns - first);
        let whole = job.depth / D::PER_WORD / WORDS * WORDS;
        for word in (0..whole).step_by(WORDS) {
            // SAFETY: by the contract of `Kernel`.
            unsafe { pass::<D, WORDS, FAR>(job, word, D::PER_WORD, [first, columns]) };
        }
        for word in whole..job.depth.div_ceil(D::PER_WORD) {
            let rows = D::PER_WORD.min(job.depth - word * D::PER_WORD);
            // SAFETY: by the contract of `Kernel`.
            unsafe { pass::<D, 1, false>(job, word, rows, [first, columns]) };
        }
    }
}

/// `WORDS` words of x from `word` on, of which the last holds `rows` rows, times `columns` from `first` on;
/// with `FAR` it asks for the rows of the next pass.
#[inline(always)]
unsafe fn pass<D: Narrow, const WORDS: usize, const FAR: bool>(
    job: &mut Job,
    word: usize,
    rows: usize,
    [first, columns]: [usize; 2],
) {
    let size = 4 / D::PER_WORD;
    let (start, stride) = (word * D::PER_WORD * job.stride + first * size, job.stride);
    // Every row that is read below lies inside B.
    let last = start + ((WORDS - 1) * D::PER_WORD + rows - 1) * stride + columns * size;
    assert!(last <= job.b.len() && first + columns.next_multiple_of(64) <= job.y.len());
    // SAFETY: x has a word for each of these rows.
    let mut x = unsafe { [_mm512_setzero_si512(); WORDS] };
    for (number, x) in x.iter_mut().enumerate() {
        // SAFETY: as above.
        *x = unsafe { _mm512_set1_epi32(job.x[word + number] as i32) };
    }
    let b = job.b[start..].as_ptr();
    let y = job.y[first..].as_mut_ptr();
    let ahead = WORDS * D::PER_WORD * stride;
    for at in (0..columns).step_by(16 * D::PER_WORD) {
        let left = (columns - at) * size;
        // Bytes of a row that are wanted here.
        let mask = if left >= 64 { u64::MAX } else { (1 << left) - 1 };
        // SAFETY: masks keep to the columns of B, `rows` to its rows; y is padded to whole steps.
        unsafe {
            let mut sums = [_mm512_setzero_si512(); 4];
            for (q, sum) in sums.iter_mut().enumerate().take(D::PER_WORD) {
                *sum = _mm512_loadu_si512(y.add(at + 16 * q).cast());
            }
            for (number, x) in x.iter().enumerate() {
                let from = b.add(number * D::PER_WORD * stride + at * size);
                let mut lines = [_mm512_setzero_si512(); 4];
                for (row, line) in lines.iter_mut().enumerate().take(D::PER_WORD) {
                    if WORDS > 1 || row < rows {
                        let from = from.add(row * stride);
                        if FAR {
                            _mm_prefetch::<_MM_HINT_T1>(from.wrapping_add(ahead).cast());
                        }
                        *line = _mm512_maskz_loadu_epi8(mask, from.cast());
                    }
                }
                let words = D::interleaved(lines);
                for (sum, words) in sums.iter_mut().zip(words).take(D::PER_WORD) {
                    *sum = D::times(*x, words, *sum);
                }
            }
            for (q, sum) in sums.iter().enumerate().take(D::PER_WORD) {
                _mm512_storeu_si512(y.add(at + 16 * q).cast(), *sum);
            }
        }
    }
}

/// Sums by rows of words of `per_word` elements, in the order of their columns.
fn in_order(y: &mut [u32], per_word: usize) {
    let mut ordered = [0; 64];
    for step in y.chunks_exact_mut(16 * per_word) {
        for (number, four) in step.chunks_exact(4).enumerate() {
            let (q, quarter) = (number / 4, number % 4);
            ordered[4 * (per_word * quarter + q)..][..4].copy_from_slice(four);
        }
        step.copy_from_slice(&ordered[..step.len()]);
    }
}

#[inline(always)]
unsafe fn by_columns<D: Narrow>(job: &mut Job) {
    let whole = job.columns / COLUMNS * COLUMNS;
    for column in (0..whole).step_by(COLUMNS) {
        // SAFETY: by the contract of `Kernel`.
        unsafe { dots::<D, COLUMNS>(job, column) };
    }
    for column in whole..job.columns {
        // SAFETY: by the contract of `Kernel`.
        unsafe { dots::<D, 1>(job, column) };
    }
}

/// The dot products of `C` columns, in two chains each.
#[inline(always)]
unsafe fn dots<D: Narrow, const C: usize>(job: &mut Job, column: usize) {
    let (bytes, stride) = (job.depth * 4 / D::PER_WORD, job.stride);
    let b = &job.b[column * stride..][..(C - 1) * stride + bytes];
    assert!(4 * job.x.len() >= bytes && job.y.len() >= column + C);
    let (x, b) = (job.x.as_ptr().cast::<u8>(), b.as_ptr());
    // SAFETY: whole registers below `bytes`, and what is left under a mask, lie inside x and each column.
    unsafe {
        let mut sums = [[_mm512_setzero_si512(); 2]; C];
        let mut at = 0;
        while at + 128 <= bytes {
            let (x0, x1) = (_mm512_loadu_si512(x.add(at).cast()), _mm512_loadu_si512(x.add(at + 64).cast()));
            for (number, sums) in sums.iter_mut().enumerate() {
                let from = b.add(number * stride + at);
                _mm_prefetch::<_MM_HINT_T0>(from.wrapping_add(AHEAD).cast());
                _mm_prefetch::<_MM_HINT_T0>(from.wrapping_add(AHEAD + 64).cast());
                sums[0] = D::times(x0, _mm512_loadu_si512(from.cast()), sums[0]);
                sums[1] = D::times(x1, _mm512_loadu_si512(from.add(64).cast()), sums[1]);
            }
            at += 128;
        }
        while at < bytes {
            let left = bytes - at;
            let mask = if left >= 64 { u64::MAX } else { (1 << left) - 1 };
            let x = _mm512_maskz_loadu_epi8(mask, x.add(at).cast());
            for (number, sums) in sums.iter_mut().enumerate() {
                let line = _mm512_maskz_loadu_epi8(mask, b.add(number * stride + at).cast());
                sums[0] = D::times(x, line, sums[0]);
            }
            at += 64;
        }
        for (number, sums) in sums.into_iter().enumerate() {
            job.y[column + number] = D::total(sums[0], sums[1]);
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::backends::cpu::isa::Isa;
    use half::bf16;

    fn numbers(len: usize, step: usize) -> Vec<i8> {
        (0..len).map(|i| ((i * step % 255) as i16 - 127) as i8).collect()
    }

    fn words(bytes: &[u8]) -> Vec<u32> {
        let word = |four: &[u8]| four.iter().rev().fold(0, |word, byte| word << 8 | u32::from(*byte));
        bytes.chunks(4).map(word).collect()
    }

    /// The sums of both kernels, in the order of the columns.
    fn sums(kernels: Kernels, x: &[u8], b: [&[u8]; 2], [n, k]: [usize; 2], size: usize) -> [Vec<u32>; 2] {
        let (x, mut y) = (words(x), [vec![7; padded(n)], vec![7; padded(n)]]);
        for is_far in [false, true] {
            let [by_rows, by_columns] = &mut y;
            let mut job = Job { x: &x, depth: k, b: b[0], stride: n * size, columns: n, y: by_rows, is_far };
            // SAFETY: the caller has asked the processor.
            unsafe { (kernels.by_rows)(&mut job) };
            let (b, stride) = (b[1], k * size);
            let mut job = Job { x: &x, depth: k, b, stride, columns: n, y: by_columns, is_far };
            // SAFETY: as above.
            unsafe { (kernels.by_columns)(&mut job) };
        }
        y
    }

    const EXTENTS: [[usize; 2]; 8] =
        [[1, 1], [3, 4], [64, 8], [65, 31], [200, 67], [17, 300], [2050, 5], [31, 16]];

    #[test]
    fn bytes_are_exact_for_any_extents() {
        if Isa::here().any(Isa::has_bytes) {
            check_bytes(UNSIGNED, SIGNED);
        }
    }

    /// Holds kernels for u8 and for i8 of x, which this processor can run, against plain sums.
    pub(in super::super) fn check_bytes(unsigned: Kernels, signed: Kernels) {
        for [n, k] in EXTENTS {
            let (x, b) = (numbers(k, 37), numbers(n * k, 91));
            let transposed: Vec<i8> = (0..n * k).map(|i| b[i % k * n + i / k]).collect();
            let bytes = |numbers: &[i8]| numbers.iter().map(|x| *x as u8).collect::<Vec<u8>>();
            let (x_bytes, b_bytes) = (bytes(&x), [bytes(&b), bytes(&transposed)]);
            let b_bytes = b_bytes.each_ref().map(Vec::as_slice);
            let sum_x: i32 = x.iter().map(|x| i32::from(*x)).sum();
            for (kernels, unsigned) in [(unsigned, true), (signed, false)] {
                for got in sums(kernels, &x_bytes, b_bytes, [n, k], 1) {
                    for column in 0..n {
                        let of_x = |i: usize| if unsigned { i32::from(x_bytes[i]) } else { i32::from(x[i]) };
                        let want: i32 = (0..k).map(|i| of_x(i) * i32::from(b[i * n + column])).sum();
                        assert_eq!(
                            got[column] as i32 - kernels.raised * sum_x,
                            want,
                            "{n} {k} {column} {unsigned}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn bfloats_are_exact_where_their_sums_are() {
        if Isa::here().all(|isa| !isa.has_bf16()) {
            return;
        }
        for [n, k] in EXTENTS {
            let narrow = |len, step| numbers(len, step).into_iter().map(|x| f32::from(x % 8)).collect();
            let (x, b): (Vec<f32>, Vec<f32>) = (narrow(k, 37), narrow(n * k, 91));
            let transposed: Vec<f32> = (0..n * k).map(|i| b[i % k * n + i / k]).collect();
            let bytes = |numbers: &[f32]| {
                numbers.iter().flat_map(|x| bf16::from_f32(*x).to_bits().to_le_bytes()).collect::<Vec<u8>>()
            };
            let (b_rows, b_columns) = (bytes(&b), bytes(&transposed));
            for got in sums(BF16, &bytes(&x), [&b_rows, &b_columns], [n, k], 2) {
                for column in 0..n {
                    let want: f32 = (0..k).map(|i| x[i] * b[i * n + column]).sum();
                    assert_eq!(f32::from_bits(got[column]), want, "{n} {k} {column}");
                }
            }
        }
    }
}
