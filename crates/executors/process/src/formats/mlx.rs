//! mlx-lm, in both of its styles.

use super::{Reading, finite, whole};

/// A line of mlx-lm 0.21: `Iter 10: Train loss 2.345, Learning Rate 1.000e-05, …`, `Iter 25: Val loss 2.1, …`, and
/// `Starting training..., iters: 100`.
#[must_use]
pub fn mlx_line(line: &str) -> Option<Reading> {
    let line = line.trim();
    if let Some(iters) = line.strip_prefix("Starting training..., iters:") {
        return Some(Reading { total: Some(whole(iters)?), ..Reading::default() });
    }
    let (iter, rest) = line.strip_prefix("Iter ")?.split_once(':')?;
    let mut reading = Reading { step: Some(whole(iter)?), ..Reading::default() };
    for part in rest.split(',').map(str::trim) {
        if let Some(loss) = part.strip_prefix("Train loss ") {
            reading.loss = finite(loss);
        } else if let Some(loss) = part.strip_prefix("Val loss ") {
            reading.val_loss = finite(loss);
        } else if let Some(rate) = part.strip_prefix("Learning Rate ") {
            reading.learning_rate = finite(rate);
        }
    }
    (reading.loss.is_some() || reading.val_loss.is_some()).then_some(reading)
}

/// A row of mlx-lm 0.32's table: iteration, loss with ▲ or ▼, tokens per second, thousands of tokens; or iteration,
/// `val`, loss, seconds; or the line of its header that names batch size and iterations.
#[must_use]
pub fn mlx_table(line: &str) -> Option<Reading> {
    let parts: Vec<&str> = line.split_whitespace().take(CELLS_MAX + 1).collect();
    match parts[..] {
        [step, loss, "▲" | "▼", _, tokens] if tokens.ends_with('k') => {
            Some(Reading { step: Some(whole(step)?), loss: Some(finite(loss)?), ..Reading::default() })
        }
        [step, "val", loss, took] if took.ends_with('s') => {
            Some(Reading { step: Some(whole(step)?), val_loss: Some(finite(loss)?), ..Reading::default() })
        }
        ["│", "batch", "·", "iters", _, "·", iters, "│"] => {
            Some(Reading { total: Some(whole(iters)?), ..Reading::default() })
        }
        _ => None,
    }
}

/// How many words the longest of the known rows has.
const CELLS_MAX: usize = 8;
