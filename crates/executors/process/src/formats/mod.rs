//! What known programs print while they train, so that their stock command lines can be followed as they are.
//!
//! The parsers are pure: a line in, what it says out. Lines are to be free of escape sequences. [`Reader`] puts them
//! together and knows what only several lines say.
//!
//! ```
//! use trainyard_process::formats::{Format, Reader};
//!
//! let mut reader = Reader::new([Format::Mlx]);
//! reader.line("Starting training..., iters: 100");
//! let reading = reader.line("Iter 10: Train loss 2.345, Learning Rate 1.000e-05, It/sec 4.2").expect("it is known");
//! assert_eq!((reading.step, reading.total, reading.loss), (Some(10), Some(100), Some(2.345)));
//! ```

mod mlx;
mod phases;
mod transformers;

use serde::{Deserialize, Serialize};

pub use self::mlx::{mlx_line, mlx_table};
pub use self::phases::phase_line;
pub use self::transformers::{transformers_bar, transformers_log};

/// A way to print how a training goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Format {
    /// The lines of mlx-lm 0.21 (`Iter 10: Train loss 2.345, …`) and the table rows of 0.32.
    Mlx,
    /// The dict that the `Trainer` of transformers 4 and 5 prints per logging step, and the steps of its progress bar.
    Transformers,
    /// The phase lines of elizaOS's `train_local.py`.
    Phases,
}

/// What a line says. Numbers are finite.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Reading {
    /// Steps done.
    pub step: Option<u64>,
    /// Steps there will be.
    pub total: Option<u64>,
    /// The loss on what is trained on.
    pub loss: Option<f64>,
    /// The loss on what is not.
    pub val_loss: Option<f64>,
    /// How far each step goes.
    pub learning_rate: Option<f64>,
    /// Times through the data.
    pub epoch: Option<f64>,
    /// What is being done.
    pub phase: Option<&'static str>,
    /// The share that is done, 0 to 1.
    pub fraction: Option<f64>,
    /// Where the result is.
    pub saved: Option<String>,
}

/// Reads the lines of one training in their order.
#[derive(Debug, Clone)]
pub struct Reader {
    formats: Vec<Format>,
    total: Option<u64>,
    fraction: f64,
}

impl Reader {
    /// Knows these formats.
    pub fn new(formats: impl IntoIterator<Item = Format>) -> Self {
        Self { formats: formats.into_iter().collect(), total: None, fraction: 0.0 }
    }

    /// What a line says, if it is known.
    pub fn line(&mut self, line: &str) -> Option<Reading> {
        let mut all: Option<Reading> = None;
        for format in self.formats.clone() {
            let reading = match format {
                Format::Mlx => mlx_line(line).or_else(|| mlx_table(line)),
                Format::Transformers => transformers_log(line),
                Format::Phases => Some(self.phase(line)),
            };
            if let Some(reading) = reading {
                all = Some(all.unwrap_or_default().and(reading));
            }
        }
        let mut all = all?;
        self.total = all.total.or(self.total);
        if all.step.is_some() {
            all.total = self.total;
        }
        Some(all)
    }

    /// The same for what the program has written over.
    ///
    /// Of several bars the first that is not named is that of the training; another total is another bar.
    pub fn redrawn(&mut self, text: &str) -> Option<Reading> {
        let reading =
            if self.formats.contains(&Format::Transformers) { transformers_bar(text) } else { None }?;
        let total = *self.total.get_or_insert(reading.total?);
        (reading.total == Some(total)).then_some(reading)
    }

    /// Any other line says at least that it runs; the share that is done never falls.
    fn phase(&mut self, line: &str) -> Reading {
        let mut reading =
            phase_line(line).unwrap_or_else(|| Reading { phase: Some("running"), ..Reading::default() });
        self.fraction = reading.fraction.map_or(self.fraction, |fraction| fraction.max(self.fraction));
        reading.fraction = Some(self.fraction);
        reading
    }
}

impl Reading {
    /// What both say; where they differ, the first.
    fn and(self, other: Self) -> Self {
        Self {
            step: self.step.or(other.step),
            total: self.total.or(other.total),
            loss: self.loss.or(other.loss),
            val_loss: self.val_loss.or(other.val_loss),
            learning_rate: self.learning_rate.or(other.learning_rate),
            epoch: self.epoch.or(other.epoch),
            phase: self.phase.or(other.phase),
            fraction: self.fraction.or(other.fraction),
            saved: self.saved.or(other.saved),
        }
    }
}

/// A number that can be shown.
fn finite(text: &str) -> Option<f64> {
    text.trim().parse::<f64>().ok().filter(|number| number.is_finite())
}

/// A whole number, perhaps with commas between its thousands.
fn whole(text: &str) -> Option<u64> {
    text.trim().replace(',', "").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lines::{Lines, Piece, plain};
    use proptest::prelude::*;

    /// Everything that a program's output says, in its order.
    fn read(format: Format, output: &[u8]) -> Vec<Reading> {
        let (mut reader, mut lines, mut all) = (Reader::new([format]), Lines::default(), Vec::new());
        lines.push(output, |piece| {
            all.extend(match piece {
                Piece::Line { text, .. } => reader.line(&plain(text)),
                Piece::Redrawn(text) => reader.redrawn(&plain(text)),
            });
        });
        all
    }

    fn losses(readings: &[Reading]) -> Vec<(Option<u64>, f64)> {
        readings.iter().filter_map(|reading| Some((reading.step, reading.loss?))).collect()
    }

    #[test]
    fn mlx_lm_0_21_is_read() {
        let all = read(Format::Mlx, include_bytes!("../../tests/fixtures/mlx_lm_0_21.txt"));
        assert_eq!(losses(&all), [(Some(10), 2.533), (Some(20), 2.07), (Some(30), 1.691)]);
        assert!(all.iter().filter(|reading| reading.step.is_some()).all(|reading| reading.total == Some(30)));
        let tests: Vec<_> =
            all.iter().filter_map(|reading| Some((reading.step?, reading.val_loss?))).collect();
        assert_eq!(tests, [(1, 3.2), (25, 2.009), (30, 1.826)]);
        assert_eq!(all[2].learning_rate, Some(1e-5));
    }

    #[test]
    fn mlx_lm_0_32_is_read() {
        let all = read(Format::Mlx, include_bytes!("../../tests/fixtures/mlx_lm_0_32.txt"));
        let losses = losses(&all);
        assert_eq!(losses.len(), 10);
        assert_eq!(
            (losses[0], losses[3], losses[9]),
            ((Some(10), 2.894), (Some(40), 2.595), (Some(100), 1.721))
        );
        assert!(
            all.iter().filter(|reading| reading.step.is_some()).all(|reading| reading.total == Some(100))
        );
        let tests: Vec<_> =
            all.iter().filter_map(|reading| Some((reading.step?, reading.val_loss?))).collect();
        assert_eq!(tests, [(1, 3.25), (25, 2.564), (50, 2.42), (75, 1.894), (100, 1.788)]);
    }

    #[test]
    fn transformers_is_read() {
        let outputs = [
            &include_bytes!("../../tests/fixtures/transformers_4.txt")[..],
            include_bytes!("../../tests/fixtures/transformers_5.txt"),
        ];
        for output in outputs {
            let all = read(Format::Transformers, output);
            let losses: Vec<_> =
                all.iter().filter_map(|reading| Some((reading.loss? * 100.0).round() / 100.0)).collect();
            assert_eq!(losses, [2.62, 1.37, 0.96, 1.46]);
            let epochs: Vec<_> = all.iter().filter_map(|reading| reading.epoch).collect();
            assert_eq!(epochs, [1.0, 2.0, 2.0, 3.0, 3.0]);
            assert_eq!(all.iter().filter_map(|reading| reading.val_loss).count(), 1);
            let steps: Vec<_> =
                all.iter().filter_map(|reading| Some((reading.step?, reading.total?))).collect();
            assert_eq!((steps.first(), steps.last()), (Some(&(0, 30)), Some(&(30, 30))));
        }
    }

    #[test]
    fn the_phases_of_train_local_are_read_and_never_fall() {
        let output = include_bytes!("../../tests/fixtures/train_local.txt");
        let all = read(Format::Phases, output);
        let told: Vec<_> =
            all.iter().map(|reading| (reading.phase.unwrap(), reading.fraction.unwrap())).collect();
        assert_eq!(
            told,
            [
                ("loading_data", 0.10),
                ("running", 0.10),
                ("preparing_samples", 0.25),
                ("training", 0.45),
                ("running", 0.45),
                ("running", 0.45),
                ("preparing_samples", 0.45),
                ("validating", 0.90),
                ("finalizing", 0.95),
                ("running", 0.95),
            ]
        );
        assert_eq!(all.last().unwrap().saved.as_deref(), Some("out/adapters"));
        let mut both = Reader::new([Format::Mlx, Format::Phases]);
        let reading = both.line("Iter 10: Train loss 2.533, Learning Rate 1.000e-05").unwrap();
        assert_eq!((reading.step, reading.loss, reading.phase), (Some(10), Some(2.533), Some("running")));
    }

    #[test]
    fn another_bar_is_not_that_of_the_training() {
        let mut reader = Reader::new([Format::Transformers]);
        assert_eq!(reader.redrawn("Map: 100%|████| 250/250 [00:00<00:00, 9.5 examples/s]"), None);
        let step = reader.redrawn("  7%|▋   | 2/30 [00:00<00:03,  9.1it/s]").unwrap();
        assert_eq!((step.step, step.total), (Some(2), Some(30)));
        assert_eq!(reader.redrawn(" 50%|█████     | 6/12 [00:00<00:00, 30.0it/s]"), None, "that of a test");
    }

    #[test]
    fn other_lines_say_nothing() {
        let mut reader = Reader::new([Format::Mlx, Format::Transformers]);
        for line in [
            "",
            "Iter",
            "Iter x: Train loss 1.0",
            "Iter 10: Train loss nan",
            "10 20 30",
            "{'loss': nan}",
            "{'lossy': 1.0}",
            "{}",
            "{'a': {'loss': 1.0}}",
            "loss 0.3",
            "  10    2.894 ▼    1,234",
            "iter   train_loss     tok/s     tokens",
        ] {
            assert_eq!(reader.line(line), None, "{line}");
        }
    }

    proptest! {
        #[test]
        fn nothing_makes_a_parser_panic(line in "\\PC{0,60}") {
            let mut reader = Reader::new([Format::Mlx, Format::Transformers, Format::Phases]);
            let _ = (reader.line(&line), reader.redrawn(&line));
        }
    }
}
