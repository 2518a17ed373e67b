//! Small sums that all learners need, in plain arithmetic: the same bits on every machine.

/// eˣ, to about 7 digits; from e⁻⁸⁰ to e⁸⁰, what is beyond counts as that.
pub(crate) fn exp(x: f32) -> f32 {
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

/// Turns scores into probabilities, row by row.
pub(crate) fn softmax(scores: &mut [f32], classes: usize) {
    for row in scores.chunks_exact_mut(classes) {
        let top = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        row.iter_mut().for_each(|score| *score = exp(*score - top));
        let sum: f32 = row.iter().sum();
        row.iter_mut().for_each(|score| *score /= sum);
    }
}

/// The place of the highest number of each row, the first of equals.
pub(crate) fn highest(numbers: &[f32], classes: usize) -> Vec<u16> {
    let place = |row: &[f32]| {
        let mut best = (0_u16, f32::NEG_INFINITY);
        for (class, &number) in (0_u16..).zip(row) {
            if number > best.1 {
                best = (class, number);
            }
        }
        best.0
    };
    numbers.chunks_exact(classes).map(place).collect()
}

/// How much a row of each class counts, so that all classes count alike and a row counts 1 in the mean.
pub(crate) fn class_weights(of: &[u16], classes: usize) -> Vec<f64> {
    let mut counts = vec![0_usize; classes];
    of.iter().for_each(|&class| counts[usize::from(class)] += 1);
    let there = counts.iter().filter(|&&count| count > 0).count();
    let weight = |&count: &usize| match count {
        0 => 0.0,
        count => real(of.len()) / (real(there) * real(count)),
    };
    counts.iter().map(weight).collect()
}

/// The mean squared distance between what was said and what is, all classes counting alike: 0 is perfect, 2 is the
/// worst.
pub(crate) fn error_of(probabilities: &[f32], of: &[u16], weights: &[f64]) -> f64 {
    let (mut sum, mut total) = (0.0, 0.0);
    for (row, &class) in probabilities.chunks_exact(weights.len()).zip(of) {
        let weight = weights[usize::from(class)];
        let expected = |place: u16| if place == class { 1.0 } else { 0.0 };
        let apart = (0_u16..).zip(row).map(|(place, &said)| (f64::from(said) - expected(place)).powi(2));
        sum += weight * apart.sum::<f64>();
        total += weight;
    }
    if total > 0.0 { sum / total } else { 0.0 }
}

/// A count as a number.
#[expect(clippy::cast_precision_loss, reason = "memory holds fewer than 2^52 things")]
pub(crate) fn real(count: usize) -> f64 {
    count as f64
}

/// The nearest `f32`; the largest of them for what is beyond.
#[expect(clippy::cast_possible_truncation, reason = "rounding to the nearest f32 is the purpose")]
pub(crate) fn narrow(x: f64) -> f32 {
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
        assert_eq!(highest(&scores, 3), [0, 0, 2]);
    }

    #[test]
    fn classes_count_alike() {
        let of = [0, 0, 0, 1, 2, 2];
        let weights = class_weights(&of, 4);
        let counted =
            |class: u16| of.iter().filter(|&&c| c == class).map(|&c| weights[usize::from(c)]).sum::<f64>();
        for class in 0..3 {
            assert!((counted(class) - 2.0).abs() < 1e-12);
        }
        assert_eq!(weights[3], 0.0);
    }

    #[test]
    fn the_error_is_naught_for_the_truth_and_two_for_its_contrary() {
        let weights = class_weights(&[0, 1, 1], 2);
        assert_eq!(error_of(&[1.0, 0.0, 0.0, 1.0, 0.0, 1.0], &[0, 1, 1], &weights), 0.0);
        assert_eq!(error_of(&[0.0, 1.0, 1.0, 0.0, 1.0, 0.0], &[0, 1, 1], &weights), 2.0);
        assert!((error_of(&[0.5; 6], &[0, 1, 1], &weights) - 0.5).abs() < 1e-12);
    }
}
