//! Numbers of 8 bits: sign, 4 bits of exponent, 3 of significand.

/// E4M3 of "OCP 8-bit Floating Point Specification (OFP8)", revision 1.0, 2023, §5: bias 7, subnormals, no infinity,
/// and NaN where all but the sign are ones. Its largest number is 448.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct F8e4m3(u8);

/// Value of every pattern of bits.
static VALUES: [f32; 256] = values();

const fn values() -> [f32; 256] {
    let mut values = [0.0; 256];
    let mut bits = 0;
    while bits < values.len() {
        let (exponent, significand) = (bits >> 3 & 15, bits & 7);
        let size = match (exponent, significand) {
            (15, 7) => f32::NAN,
            (0, _) => significand as f32 / 512.0,
            _ => (8 + significand) as f32 * (1u32 << exponent) as f32 / 1024.0,
        };
        values[bits] = if bits < 128 { size } else { -size };
        bits += 1;
    }
    values
}

impl F8e4m3 {
    /// All ones.
    pub const NAN: Self = Self(0xFF);
    /// The largest number.
    pub const MAX: Self = Self(0x7E);

    /// The number with these bits.
    #[must_use]
    pub fn from_bits(bits: u8) -> Self {
        Self(bits)
    }

    /// Its bits.
    #[must_use]
    pub fn to_bits(self) -> u8 {
        self.0
    }

    /// Its value, exactly.
    #[inline(always)]
    #[must_use]
    pub fn to_f32(self) -> f32 {
        VALUES[usize::from(self.0)]
    }

    /// To nearest, ties to even; what is beyond the largest number becomes that, as in conversions of NVIDIA's cards
    /// (PTX ISA, `cvt.satfinite`).
    #[must_use]
    pub fn from_f32(value: f32) -> Self {
        let sign = if value.is_sign_negative() { 0x80 } else { 0 };
        if value.is_nan() {
            return Self::NAN;
        }
        // Numbers below 2^-6, the smallest normal one, are as far apart as those just above it.
        let exponent = ((value.to_bits() >> 23 & 0xFF) as i32 - 127).clamp(-6, 9);
        let steps = (value.abs() / 2f32.powi(exponent - 3)).min(16.0).round_ties_even() as u8;
        // Subnormal numbers have the exponent's field one below, and no leading one to take off: 8 either way.
        let bits = ((exponent + 7) as u8 * 8 + steps - 8).min(Self::MAX.0);
        Self(sign | bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_those_of_the_specification() {
        // Table 2 of the specification: the largest, the smallest normal, the largest subnormal, the smallest.
        for (bits, value) in [
            (0x7E, 448.0),
            (0x08, 0.015_625),
            (0x07, 0.875 / 64.0),
            (0x01, 1.0 / 512.0),
            (0x38, 1.0),
            (0x00, 0.0),
        ] {
            assert_eq!(F8e4m3::from_bits(bits).to_f32(), value, "{bits:#x}");
            assert_eq!(F8e4m3::from_bits(bits | 0x80).to_f32(), -value, "{bits:#x}");
        }
        assert!([0x7F, 0xFF].iter().all(|&bits| F8e4m3::from_bits(bits).to_f32().is_nan()));
    }

    #[test]
    fn every_number_is_nearest_to_itself_and_halves_go_to_even() {
        for bits in 0..=255 {
            let number = F8e4m3::from_bits(bits);
            assert!(number.to_f32().is_nan() || F8e4m3::from_f32(number.to_f32()) == number, "{bits:#x}");
        }
        for bits in 0..0x7E {
            let [low, high] = [bits, bits + 1].map(|bits| F8e4m3::from_bits(bits).to_f32());
            let half = (low + high) / 2.0;
            let even = bits + bits % 2;
            for (value, want) in [(half, even), (half * 0.999, bits), (half * 1.001, bits + 1)] {
                assert_eq!(F8e4m3::from_f32(value).to_bits(), want, "{value}");
                assert_eq!(F8e4m3::from_f32(-value).to_bits(), want | 0x80, "-{value}");
            }
        }
        for (value, want) in
            [(449.0, 0x7E), (1e30, 0x7E), (f32::NEG_INFINITY, 0xFE), (f32::NAN, 0xFF), (1e-30, 0)]
        {
            assert_eq!(F8e4m3::from_f32(value).to_bits(), want, "{value}");
        }
    }
}
