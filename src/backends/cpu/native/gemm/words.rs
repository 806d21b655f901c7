//! Registers of 32-bit words: what the register tile of every product is written over.
//!
//! A word is one f32, two bf16, two i16 or four bytes that are neighbours along the depth of a product.
//! The instructions for all of them take 32-bit lanes of A and B and add into a 32-bit lane of the sum,
//! so packing, blocking and edges exist once, and the types differ in one instruction.

/// Kinds of words, by what their lanes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Arithmetic {
    /// One f32: f32 and what widens to it; sums in f32.
    F32,
    /// Two bf16, multiplied exactly; sums in f32.
    Bf16,
    /// u8 of A times i8 of B, four of each; sums in i32.
    Bytes,
    /// Two i16, which hold bytes less their zero point; sums in i32.
    Pairs,
}

impl Arithmetic {
    /// Elements of a word.
    pub(in super::super) const fn per_word(self) -> usize {
        match self {
            Self::F32 => 1,
            Self::Bf16 | Self::Pairs => 2,
            Self::Bytes => 4,
        }
    }
}

/// What becomes of a sum.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in super::super) enum Finish {
    /// D = sum.
    Store,
    /// D = sum + init.
    Add,
    /// D = alpha sum + row + beta init; of an integer, sum + row + init.
    General { alpha: f32, beta: f32 },
}

/// Where a register of sums finds what it is added to, and where it goes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) row: *const u32,
    pub(super) init: *const u32,
    pub(super) d: *mut u32,
    /// Sums that are wanted, more than a register's where that many are left.
    pub(super) columns: usize,
}

/// A register of words and its arithmetic.
///
/// # Safety
/// Every method may run only in code that is compiled for, and on a processor that has, the instruction
/// set of the type. Pointers head a register's words (`splat`: one word; those of a
/// [`Place`] that [`Finish`] uses: `columns` words, or a register's where that is less), aligned to words.
pub(super) unsafe trait Words: Copy {
    /// Words in a register.
    const LANES: usize;
    /// Most rows of a tile: with two columns of registers, its sums, a row of B and a broadcast word of A
    /// fill the registers.
    const MOST_ROWS: usize;
    /// A register of sums.
    type Sum: Copy;

    /// Zeros.
    unsafe fn zero() -> Self::Sum;
    /// A register of sums that were written before.
    #[inline(always)]
    unsafe fn sum(from: *const u32) -> Self::Sum {
        // SAFETY: by the trait's contract; a register of sums is as many words of plain bits.
        unsafe { from.cast::<Self::Sum>().read_unaligned() }
    }
    /// A register's words.
    unsafe fn load(from: *const u32) -> Self;
    /// Writes a register's words.
    unsafe fn store(self, to: *mut u32);
    /// One word in every lane.
    unsafe fn splat(from: *const u32) -> Self;
    /// sum + self b, lane by lane.
    unsafe fn dot(self, b: Self, sum: Self::Sum) -> Self::Sum;
    /// a + b, lane by lane.
    unsafe fn add(a: Self::Sum, b: Self::Sum) -> Self::Sum;
    /// Writes the sums that are wanted.
    unsafe fn finish(sum: Self::Sum, how: Finish, place: Place);
}

/// Lanes of the portable registers: what the compiler turns into the registers that every processor of
/// the kind has.
const PORTABLE: usize = 4;

/// f32 on any processor; no fused multiply-add.
#[derive(Clone, Copy)]
pub(super) struct PortableF32([f32; PORTABLE]);

/// Pairs of i16 on any processor.
#[derive(Clone, Copy)]
pub(super) struct PortablePairs([u32; PORTABLE]);

// SAFETY: plain code; the pointers are the caller's contract.
unsafe impl Words for PortableF32 {
    const LANES: usize = PORTABLE;
    const MOST_ROWS: usize = 6;
    type Sum = [f32; PORTABLE];

    #[inline(always)]
    unsafe fn zero() -> Self::Sum {
        [0.0; PORTABLE]
    }
    #[inline(always)]
    unsafe fn load(from: *const u32) -> Self {
        // SAFETY: by the trait's contract.
        Self(unsafe { from.cast::<[f32; PORTABLE]>().read_unaligned() })
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut u32) {
        // SAFETY: by the trait's contract.
        unsafe { to.cast::<[f32; PORTABLE]>().write_unaligned(self.0) }
    }
    #[inline(always)]
    unsafe fn splat(from: *const u32) -> Self {
        // SAFETY: by the trait's contract.
        Self([unsafe { from.cast::<f32>().read() }; PORTABLE])
    }
    #[inline(always)]
    unsafe fn dot(self, b: Self, mut sum: Self::Sum) -> Self::Sum {
        for ((sum, a), b) in sum.iter_mut().zip(self.0).zip(b.0) {
            *sum += a * b;
        }
        sum
    }
    #[inline(always)]
    unsafe fn add(mut a: Self::Sum, b: Self::Sum) -> Self::Sum {
        for (a, b) in a.iter_mut().zip(b) {
            *a += b;
        }
        a
    }
    #[inline(always)]
    unsafe fn finish(sum: Self::Sum, how: Finish, place: Place) {
        for (lane, sum) in sum.into_iter().enumerate().take(place.columns) {
            // SAFETY: by the trait's contract.
            let (row, init) =
                unsafe { (place.row.cast::<f32>().add(lane), place.init.cast::<f32>().add(lane)) };
            // SAFETY: as above.
            unsafe {
                let value = match how {
                    Finish::Store => sum,
                    Finish::Add => sum + init.read(),
                    Finish::General { alpha, beta } => alpha * sum + (beta * init.read() + row.read()),
                };
                place.d.cast::<f32>().add(lane).write(value);
            }
        }
    }
}

// SAFETY: plain code; the pointers are the caller's contract.
unsafe impl Words for PortablePairs {
    const LANES: usize = PORTABLE;
    const MOST_ROWS: usize = 6;
    type Sum = [i32; PORTABLE];

    #[inline(always)]
    unsafe fn zero() -> Self::Sum {
        [0; PORTABLE]
    }
    #[inline(always)]
    unsafe fn load(from: *const u32) -> Self {
        // SAFETY: by the trait's contract.
        Self(unsafe { from.cast::<[u32; PORTABLE]>().read_unaligned() })
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut u32) {
        // SAFETY: by the trait's contract.
        unsafe { to.cast::<[u32; PORTABLE]>().write_unaligned(self.0) }
    }
    #[inline(always)]
    unsafe fn splat(from: *const u32) -> Self {
        // SAFETY: by the trait's contract.
        Self([unsafe { from.read() }; PORTABLE])
    }
    #[inline(always)]
    unsafe fn dot(self, b: Self, mut sum: Self::Sum) -> Self::Sum {
        let halves = |word: u32| (i32::from(word as u16 as i16), word as i32 >> 16);
        for ((sum, a), b) in sum.iter_mut().zip(self.0).zip(b.0) {
            let ((a0, a1), (b0, b1)) = (halves(a), halves(b));
            *sum = sum.wrapping_add(a0 * b0 + a1 * b1);
        }
        sum
    }
    #[inline(always)]
    unsafe fn add(mut a: Self::Sum, b: Self::Sum) -> Self::Sum {
        for (a, b) in a.iter_mut().zip(b) {
            *a = a.wrapping_add(b);
        }
        a
    }
    #[inline(always)]
    unsafe fn finish(sum: Self::Sum, how: Finish, place: Place) {
        for (lane, sum) in sum.into_iter().enumerate().take(place.columns) {
            // SAFETY: by the trait's contract.
            unsafe {
                let (row, init) = (place.row.add(lane), place.init.add(lane));
                let value = match how {
                    Finish::Store => sum as u32,
                    Finish::Add => (sum as u32).wrapping_add(init.read()),
                    Finish::General { .. } => (sum as u32).wrapping_add(row.read()).wrapping_add(init.read()),
                };
                place.d.add(lane).write(value);
            }
        }
    }
}
