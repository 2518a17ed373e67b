//! Small sums in plain arithmetic: the same bits on every machine.

/// eˣ, to about 7 digits; from e⁻⁸⁰ to e⁸⁰, what is beyond counts as that.
#[must_use]
pub fn exp(x: f32) -> f32 {
    /// 1.5 · 2²³: adding it rounds to a whole number, which then stands in the lowest bits.
    const ROUND: f32 = 12_582_912.0;
    /// ln 2 in two parts, the first with few digits, so that its multiples are exact.
    const LN_2: (f32, f32) = (0.693_359_4, -2.121_944_4e-4);

    let x = x.clamp(-80.0, 80.0);
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let whole = shifted - ROUND;
    let rest = (x - whole * LN_2.0) - whole * LN_2.1;
    // Taylor's series; |rest| is at most ln 2 / 2.
    let series = [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0];
    let fraction = series.iter().fold(0.0_f32, |sum, term| sum * rest + term);
    let exponent = shifted.to_bits().wrapping_sub(ROUND.to_bits()).wrapping_add(127);
    fraction * f32::from_bits(exponent << 23)
}

/// Turns scores into probabilities, in rows of so many classes.
///
/// # Panics
/// When there are no classes.
pub fn softmax(scores: &mut [f32], classes: usize) {
    for row in scores.chunks_exact_mut(classes) {
        let top = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        row.iter_mut().for_each(|score| *score = exp(*score - top));
        let sum: f32 = row.iter().sum();
        row.iter_mut().for_each(|score| *score /= sum);
    }
}

/// A count as a number.
#[expect(clippy::cast_precision_loss, reason = "memory holds fewer than 2^52 things")]
#[must_use]
pub fn real(count: usize) -> f64 {
    count as f64
}

/// The nearest `f32`; the largest of them for what is beyond.
#[expect(clippy::cast_possible_truncation, reason = "rounding to the nearest f32 is the purpose")]
#[must_use]
pub fn narrow(x: f64) -> f32 {
    (x as f32).clamp(f32::MIN, f32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_that_of_the_library_to_seven_digits() {
        for n in -8_000_i16..=8_000 {
            let x = f32::from(n) / 100.0;
            let exact = f64::from(x).exp();
            assert!((f64::from(exp(x)) - exact).abs() <= 4e-7 * exact, "{x}: {} {exact}", exp(x));
        }
        assert_eq!(exp(0.0), 1.0);
        assert_eq!((exp(1e30), exp(-1e30)), (exp(80.0), exp(-80.0)));
    }

    #[test]
    fn softmax_adds_up_to_one_whatever_it_is_given() {
        let mut scores = [1e30, -1e30, 0.0, 3.0, 3.0, 3.0, -500.0, 1.0, 2.0];
        softmax(&mut scores, 3);
        for row in scores.chunks(3) {
            assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-6, "{row:?}");
        }
    }
}
