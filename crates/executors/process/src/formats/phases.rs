//! elizaOS's `train_local.py`, as the service that started it reads it.

use super::Reading;

/// A line that begins a phase, or says where the result is. Upper and lower case are the same.
#[must_use]
pub fn phase_line(line: &str) -> Option<Reading> {
    let lower = line.to_ascii_lowercase();
    let known = |(words, phase, fraction): &(&[&str], &'static str, f64)| {
        let mut rest = lower.as_str();
        let all = words.iter().all(|word| match rest.split_once(word) {
            Some((_, after)) => {
                rest = after;
                true
            }
            None => false,
        });
        all.then(|| Reading { phase: Some(phase), fraction: Some(*fraction), ..Reading::default() })
    };
    PHASES.iter().find_map(known).or_else(|| {
        // Letters of ASCII only have changed, so places are the same in both.
        let at = lower.find(SAVED)? + SAVED.len();
        let path = line[at..].trim();
        let saved = Reading { phase: Some("running"), saved: Some(path.to_owned()), ..Reading::default() };
        (!path.is_empty()).then_some(saved)
    })
}

/// What a line says in this order, the phase that it begins, and the share that is done then.
const PHASES: [(&[&str], &str, f64); 5] = [
    (&["loading real training data"], "loading_data", 0.10),
    (&["converted", "training samples"], "preparing_samples", 0.25),
    (&["training with"], "training", 0.45),
    (&["validating"], "validating", 0.90),
    (&["training complete"], "finalizing", 0.95),
];

const SAVED: &str = "model/adapter saved to:";
