//! Small sums that all learners need, in plain arithmetic: the same bits on every machine.

use trainyard_trainkit::real;

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
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Error {
    sum: f64,
    total: f64,
}

impl Error {
    /// Counts some rows more.
    pub(crate) fn add(&mut self, probabilities: &[f32], of: &[u16], weights: &[f64]) {
        for (row, &class) in probabilities.chunks_exact(weights.len()).zip(of) {
            let weight = weights[usize::from(class)];
            let expected = |place: u16| if place == class { 1.0 } else { 0.0 };
            let apart = (0_u16..).zip(row).map(|(place, &said)| f64::from(said) - expected(place));
            self.sum += weight * apart.map(|apart| apart * apart).sum::<f64>();
            self.total += weight;
        }
    }

    /// That of all rows so far.
    pub(crate) fn mean(self) -> f64 {
        if self.total > 0.0 { self.sum / self.total } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let error_of = |probabilities: &[f32], of: &[u16], weights: &[f64]| {
            let mut error = Error::default();
            let (first, rest) = probabilities.split_at(weights.len());
            error.add(first, &of[..1], weights);
            error.add(rest, &of[1..], weights);
            error.mean()
        };
        assert_eq!(error_of(&[1.0, 0.0, 0.0, 1.0, 0.0, 1.0], &[0, 1, 1], &weights), 0.0);
        assert_eq!(error_of(&[0.0, 1.0, 1.0, 0.0, 1.0, 0.0], &[0, 1, 1], &weights), 2.0);
        assert!((error_of(&[0.5; 6], &[0, 1, 1], &weights) - 0.5).abs() < 1e-12);
    }
}
