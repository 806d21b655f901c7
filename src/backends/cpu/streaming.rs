//! Stores that go past the caches: they spare memory the reading of lines that are overwritten whole,
//! and lose where the target would have stayed in a cache.

use super::isa::{Isa, Level};
use std::arch::x86_64::*;

/// a = b, element by element; all of one length.
pub fn copy(isa: Isa, a: &mut [f32], b: &[f32]) {
    stream(isa, a, b, b, 0.0);
}

/// a = b + scale c, element by element; all of one length.
pub fn triad(isa: Isa, a: &mut [f32], b: &[f32], c: &[f32], scale: f32) {
    stream(isa, a, b, c, scale);
}

/// A cache line.
#[repr(align(64))]
struct Line([f32; 16]);

fn stream(isa: Isa, a: &mut [f32], b: &[f32], c: &[f32], scale: f32) {
    assert!(a.len() == b.len() && b.len() == c.len(), "streams of one length are wanted");
    // SAFETY: a line is 16 floats.
    let (head, lines, tail) = unsafe { a.align_to_mut::<Line>() };
    let (first, last) = (head.len(), head.len() + 16 * lines.len());
    for (ends, from) in [(head, 0), (tail, last)] {
        for (a, (b, c)) in ends.iter_mut().zip(b[from..].iter().zip(&c[from..])) {
            *a = b + scale * c;
        }
    }
    let (b, c) = (&b[first..last], &c[first..last]);
    match isa.level() {
        // SAFETY: holding the level proves that the processor has AVX-512.
        Level::Avx512 => unsafe { lines_512(lines, b, c, scale) },
        Level::Avx2 | Level::Portable => lines_128(lines, b, c, scale),
    }
}

#[target_feature(enable = "avx512f")]
fn lines_512(a: &mut [Line], b: &[f32], c: &[f32], scale: f32) {
    let factor = _mm512_set1_ps(scale);
    let (b, c) = (b.as_chunks::<16>().0, c.as_chunks::<16>().0);
    for ((Line(a), b), c) in a.iter_mut().zip(b).zip(c) {
        // SAFETY: all three point to 16 floats, and a line is aligned.
        unsafe {
            let mut x = _mm512_loadu_ps(b.as_ptr());
            if scale != 0.0 {
                x = _mm512_fmadd_ps(_mm512_loadu_ps(c.as_ptr()), factor, x);
            }
            _mm512_stream_ps(a.as_mut_ptr(), x);
        }
    }
    // Orders these stores before all that follow.
    _mm_sfence();
}

/// With what every x86-64 has.
fn lines_128(a: &mut [Line], b: &[f32], c: &[f32], scale: f32) {
    let a = a.iter_mut().flat_map(|line| line.0.as_chunks_mut::<4>().0);
    let (b, c) = (b.as_chunks::<4>().0, c.as_chunks::<4>().0);
    for ((a, b), c) in a.zip(b).zip(c) {
        // SAFETY: all three point to 4 floats, quarters of a line are aligned, every x86-64 has SSE.
        unsafe {
            let mut x = _mm_loadu_ps(b.as_ptr());
            if scale != 0.0 {
                x = _mm_add_ps(_mm_mul_ps(_mm_loadu_ps(c.as_ptr()), _mm_set1_ps(scale)), x);
            }
            _mm_stream_ps(a.as_mut_ptr(), x);
        }
    }
    // SAFETY: every x86-64 has SSE.
    unsafe { _mm_sfence() };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_start_and_length_is_written_whole_and_nothing_else() {
        let b: Vec<f32> = (0..200).map(|i| i as f32).collect();
        for isa in Isa::here() {
            for (start, len) in [(0, 0), (1, 1), (3, 15), (5, 64), (16, 100), (7, 150)] {
                let mut a = vec![-1.0; 200];
                triad(isa, &mut a[start..start + len], &b[..len], &b[10..10 + len], 2.0);
                for (at, got) in a.iter().enumerate() {
                    let inside = (start..start + len).contains(&at);
                    let want = if inside { b[at - start] + 2.0 * b[10 + at - start] } else { -1.0 };
                    assert_eq!(*got, want, "{start} {len} {at}");
                }
                copy(isa, &mut a[start..start + len], &b[..len]);
                assert_eq!(a[start..start + len], b[..len]);
            }
        }
    }
}
