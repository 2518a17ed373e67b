//! The `Trainer` of transformers.

use super::{Reading, finite, whole};

/// The dict of a logging step: `{'loss': 1.23, 'grad_norm': 0.9, 'learning_rate': 4e-05, 'epoch': 0.5}`. Since version
/// 5 the numbers are in quotes.
#[must_use]
pub fn transformers_log(line: &str) -> Option<Reading> {
    let inner = line.trim().strip_prefix('{')?.strip_suffix('}')?;
    let mut reading = Reading::default();
    for pair in inner.split(',') {
        let (key, value) = pair.split_once(':')?;
        let value = finite(value.trim().trim_matches(['\'', '"']));
        match key.trim().trim_matches(['\'', '"']) {
            "loss" | "train_loss" => reading.loss = value,
            "eval_loss" => reading.val_loss = value,
            "learning_rate" => reading.learning_rate = value,
            "epoch" => reading.epoch = value,
            _ => {}
        }
    }
    (reading.loss.is_some() || reading.val_loss.is_some()).then_some(reading)
}

/// A state of a progress bar without a name: ` 33%|███▎      | 10/30 [00:01<00:02,  9.80it/s]`.
#[must_use]
pub fn transformers_bar(text: &str) -> Option<Reading> {
    let (percent, rest) = text.trim().split_once("%|")?;
    whole(percent)?;
    let (count, _) = rest.split_once("| ")?.1.split_once(" [")?;
    let (step, total) = count.split_once('/')?;
    Some(Reading { step: Some(whole(step)?), total: Some(whole(total)?), ..Reading::default() })
}
