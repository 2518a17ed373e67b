//! Predictions for the rows of a CSV.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;

use csv::StringRecord;

use super::{Model, PredictError};
use crate::data::{Coding, Records, Trouble, beginning, io_error};
use crate::{Limits, Refusal, Rows};

impl Model {
    /// Predicts the class of every row of a CSV, and writes the CSV again with two more columns: `prediction`, the
    /// class as it was spelled in the training file, and `probability`, that class's, from 0 to 1.
    ///
    /// The columns must be those of the training file without the last one, called the same, in the same order. A
    /// text that was not in the training file is taken for one of the rare ones that share a place, if the rows learned
    /// from had some; otherwise it says nothing of its row. Fields, their order and the order of rows stay; quotes and
    /// line ends are written anew. Ids need not differ.
    ///
    /// Some thousand rows at most are in memory, and `over` is asked between them whether to stop. Of `limits`,
    /// [`Limits::cells`] does not count here. Returns how many rows there were, at least 1.
    ///
    /// # Errors
    /// [`PredictError`]; then `out` may have got some of the rows. [`PredictError::Refused`] says what is wrong with
    /// the CSV.
    pub fn predict_csv(
        &self,
        csv: &Path,
        out: &mut dyn Write,
        limits: &Limits,
        over: &dyn Fn() -> bool,
    ) -> Result<u64, PredictError> {
        let file = File::open(csv).map_err(PredictError::io("open the csv"))?;
        self.predict_from(file, out, limits, over)
    }

    /// The same, from whatever can be read.
    fn predict_from<R: Read>(
        &self,
        source: R,
        out: &mut dyn Write,
        limits: &Limits,
        over: &dyn Fn() -> bool,
    ) -> Result<u64, PredictError> {
        let mut records = Records::open(source, limits, over)?;
        self.check_header(records.names())?;
        let mut out = csv::Writer::from_writer(out);
        let names = records.names().iter().map(String::as_str);
        out.write_record(names.chain(["prediction", "probability"])).map_err(not_written)?;
        let mut block = Block::new(self);
        loop {
            let more = records.advance()?;
            if more {
                block.push(&records)?;
            }
            if block.is_full() || !more {
                if over() {
                    return Err(PredictError::Stopped);
                }
                block.predict(self, &mut out)?;
            }
            if !more {
                break;
            }
        }
        out.flush().map_err(PredictError::io("write the predictions"))?;
        match records.rows() {
            0 => Err(Refusal::NoRows.into()),
            rows => Ok(rows),
        }
    }

    fn check_header(&self, names: &[String]) -> Result<(), Refusal> {
        let asked = self.schema.asked();
        let (columns, expected) = (names.len(), asked.len());
        for (column, (found, expected)) in names.iter().zip(asked).enumerate() {
            if found != expected {
                let (found, expected) = (beginning(found), beginning(expected));
                return Err(Refusal::OtherColumn { column: column + 1, found, expected });
            }
        }
        if columns == expected { Ok(()) } else { Err(Refusal::OtherColumns { columns, expected }) }
    }
}

/// Rows that are predicted for together.
struct Block {
    codings: Vec<Coding>,
    columns: Vec<Vec<f32>>,
    records: Vec<StringRecord>,
    bytes: usize,
    rows_max: usize,
}

impl Block {
    fn new(model: &Model) -> Self {
        let features = model.schema.features();
        Self {
            codings: features.iter().map(Coding::of).collect(),
            columns: vec![Vec::new(); features.len()],
            records: Vec::new(),
            bytes: 0,
            rows_max: Rows::block(&model.encoding, features.len()),
        }
    }

    fn is_full(&self) -> bool {
        self.records.len() >= self.rows_max || self.bytes >= BYTES_MAX
    }

    fn push<R: Read>(&mut self, records: &Records<'_, R>) -> Result<(), Refusal> {
        let record = records.record();
        for (nth, (coding, column)) in self.codings.iter().zip(&mut self.columns).enumerate() {
            let field = &record[nth + 1];
            let number = coding.code(field);
            column.push(number.ok_or_else(|| Refusal::NotANumber {
                place: records.place(nth + 1),
                found: beginning(field),
            })?);
        }
        self.bytes += record.as_slice().len();
        self.records.push(record.clone());
        Ok(())
    }

    /// Writes its rows, with predictions, and is empty again.
    fn predict(&mut self, model: &Model, out: &mut csv::Writer<&mut dyn Write>) -> Result<(), PredictError> {
        let classes = model.schema.classes();
        let columns = self.columns.iter_mut().map(std::mem::take).collect();
        let rows = Rows::new(self.records.len(), columns, Arc::clone(&model.encoding));
        if rows.is_empty() {
            return Ok(());
        }
        let probabilities = model.predictor.predict(&rows);
        let (got, expected) = (probabilities.len(), rows.len() * classes.len());
        if got != expected {
            return Err(PredictError::Probabilities { got, expected });
        }
        for (record, probabilities) in self.records.drain(..).zip(probabilities.chunks_exact(classes.len())) {
            let (class, probability) = best(probabilities);
            let probability = format!("{:.6}", probability.min(1.0));
            let fields = record.iter().chain([&*classes[class], &*probability]);
            out.write_record(fields).map_err(not_written)?;
        }
        self.bytes = 0;
        Ok(())
    }
}

/// The most probable class, the first of equally probable ones; what is no number is as good as 0.
fn best(probabilities: &[f32]) -> (usize, f32) {
    let mut best = (0, 0.0);
    for (class, &probability) in probabilities.iter().enumerate() {
        if probability > best.1 {
            best = (class, probability);
        }
    }
    best
}

fn not_written(error: csv::Error) -> PredictError {
    PredictError::io("write the predictions")(io_error(error))
}

impl From<Trouble> for PredictError {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Refused(refusal) => Self::Refused(refusal),
            Trouble::Stopped => Self::Stopped,
            Trouble::Io(error) => Self::io("read the csv")(error),
        }
    }
}

/// How many bytes of text rows have that are predicted for at once, about.
const BYTES_MAX: usize = 8 << 20;

#[cfg(test)]
mod tests {
    use super::best;

    #[test]
    fn the_first_of_the_most_probable_is_best() {
        assert_eq!(best(&[0.2, 0.4, 0.4]), (1, 0.4));
        assert_eq!(best(&[f32::NAN, 0.0, 0.1]), (2, 0.1));
        assert_eq!(best(&[f32::NAN, f32::NAN]), (0, 0.0));
    }
}
