//! Whether a new prompt takes the place of the one in use.

use serde::{Deserialize, Serialize};

use crate::score::mean;

/// What the gate says to a new prompt, and by which numbers.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Verdict {
    /// Whether it takes the place of the one in use.
    pub promoted: bool,
    /// What the new prompt scored.
    pub candidate: f64,
    /// The mean of what the one in use scored.
    pub incumbent: f64,
    /// By how much its scores differ: their standard deviation, as of all there are.
    pub deviation: f64,
}

/// Judges a new prompt by its score and by those of the one in use, which was measured several times on the same rows.
///
/// It is promoted only when it gains more than 1.5 standard deviations, so that noise does not promote; where nothing
/// was measured, or no number came of it, it never is.
///
/// ```
/// use trainyard_prompt::judge;
///
/// assert!(judge(0.8, &[0.6, 0.7, 0.65]).promoted);
/// assert!(!judge(0.7, &[0.6, 0.7, 0.65]).promoted); // no more than noise
/// assert!(!judge(1.0, &[]).promoted);
/// ```
#[must_use]
pub fn judge(candidate: f64, incumbent: &[f64]) -> Verdict {
    let average = mean(incumbent);
    let squares: Vec<f64> = incumbent.iter().map(|score| (score - average) * (score - average)).collect();
    let deviation = mean(&squares).sqrt();
    let promoted = !incumbent.is_empty() && candidate - average > DEVIATIONS * deviation;
    Verdict { promoted, candidate, incumbent: average, deviation }
}

/// So often the prompt in use is measured.
pub(crate) const MEASURED: u32 = 3;
const DEVIATIONS: f64 = 1.5;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_more_than_noise_promotes() {
        for (candidate, incumbent, promoted) in [
            (0.5, &[0.5, 0.5, 0.5][..], false),
            (0.500_001, &[0.5, 0.5, 0.5], true),
            (0.4, &[0.5, 0.5, 0.5], false),
            (0.62, &[0.4, 0.5, 0.6], false), // the deviation is 0.0816…
            (0.63, &[0.4, 0.5, 0.6], true),
            (1.0, &[], false),
            (f64::NAN, &[0.1], false),
            (1.0, &[f64::NAN, 0.1], false),
        ] {
            let verdict = judge(candidate, incumbent);
            assert_eq!(verdict.promoted, promoted, "{candidate} {incumbent:?}: {verdict:?}");
        }
        let verdict = judge(0.9, &[0.4, 0.6]);
        assert_eq!((verdict.candidate, verdict.incumbent), (0.9, 0.5));
        assert!((verdict.deviation - 0.1).abs() < 1e-12);
    }

    proptest! {
        #![proptest_config(ProptestConfig { rng_seed: proptest::test_runner::RngSeed::Fixed(32), ..ProptestConfig::default() })]

        #[test]
        fn who_is_promoted_gains_and_whoever_is_better_is_promoted_too(
            candidate in 0.0..=1.0_f64,
            more in 0.0..=1.0_f64,
            mut incumbent in prop::collection::vec(0.0..=1.0_f64, 0..5),
        ) {
            let verdict = judge(candidate, &incumbent);
            if verdict.promoted {
                prop_assert!(candidate > verdict.incumbent);
                prop_assert!(judge(candidate + more, &incumbent).promoted);
            }
            if let Some(worst) = incumbent.iter().copied().reduce(f64::min) {
                prop_assert!(!judge(worst, &incumbent).promoted);
            }
            incumbent.reverse();
            let again = judge(candidate, &incumbent);
            prop_assert!((again.deviation - verdict.deviation).abs() < 1e-9);
        }
    }
}
