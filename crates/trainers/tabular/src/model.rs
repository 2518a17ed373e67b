//! What a contest hands over: an algorithm's learning, with all that is needed to predict by it elsewhere.

mod error;
mod predict;

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use self::error::{ModelError, PredictError};
use crate::lineup::Predictor;
use crate::{Dataset, Encoding, Lineup, Schema};
use trainyard_trainkit::{unseal, write_sealed};

/// What was learned, ready to predict: also in another process, and after a restart.
#[derive(Debug)]
pub struct Model {
    algorithm: String,
    schema: Schema,
    encoding: Arc<Encoding>,
    predictor: Predictor,
}

/// What is in the file.
#[derive(Debug, Serialize, Deserialize)]
struct Stored<A, S, E, L> {
    algorithm: A,
    schema: S,
    encoding: E,
    learned: L,
}

impl Model {
    /// Writes a model file: all of it, durable at return, or nothing.
    ///
    /// # Errors
    /// [`ModelError`] when the disk does not do its part.
    pub(crate) fn save(
        path: &Path,
        algorithm: &str,
        data: &Dataset,
        learned: &[u8],
    ) -> Result<(), ModelError> {
        let failed = ModelError::io("write the model");
        let stored = Stored { algorithm, schema: data.schema(), encoding: &**data.encoding(), learned };
        let written = write_sealed(path, MAGIC, FORMAT, |to| {
            postcard::to_io(&stored, to).map(|_| ()).map_err(io::Error::other)
        });
        written.map_err(failed)
    }

    /// Reads a model that a contest has handed over.
    ///
    /// # Errors
    /// [`ModelError`] when it cannot be read, is not as it was written, or its algorithm is not in `lineup`.
    pub fn open(path: &Path, lineup: &Lineup) -> Result<Self, ModelError> {
        let mut bytes = Vec::new();
        let file = File::open(path).map_err(ModelError::io("open the model"))?;
        file.take(BYTES_MAX + 1).read_to_end(&mut bytes).map_err(ModelError::io("read the model"))?;
        if bytes.len() as u64 > BYTES_MAX {
            return Err(ModelError::Damaged { what: "its length" });
        }
        let content = match unseal(MAGIC, FORMAT, &bytes) {
            Some(Ok(content)) => content,
            Some(Err(format)) => return Err(ModelError::UnknownFormat { format }),
            None => return Err(ModelError::Damaged { what: "its checksum" }),
        };
        let Ok((stored, [])) = postcard::take_from_bytes::<Stored<String, Schema, Encoding, &[u8]>>(content)
        else {
            return Err(ModelError::Damaged { what: "its content" });
        };
        let Stored { algorithm, schema, encoding, learned } = stored;
        let fields = schema.features().iter().map(|feature| feature.fields());
        if !schema.is_sound() || !encoding.is_sound(fields) {
            return Err(ModelError::Damaged { what: "its columns" });
        }
        let Some(found) = lineup.find(&algorithm) else {
            return Err(ModelError::UnknownAlgorithm { name: algorithm });
        };
        let predictor = found.recall(learned).map_err(ModelError::Learned)?;
        Ok(Self { algorithm, schema, encoding: Arc::new(encoding), predictor })
    }

    /// The name of the algorithm that has learned it.
    #[must_use]
    pub fn algorithm(&self) -> &str {
        &self.algorithm
    }

    /// What the columns were that it was learned from.
    #[must_use]
    pub const fn schema(&self) -> &Schema {
        &self.schema
    }
}

#[cfg(test)]
mod golden;
#[cfg(test)]
mod tests;

const MAGIC: &[u8; 8] = b"TYARDCLS";
const FORMAT: u32 = 2;
/// The longest model file that is read: 1 GiB.
const BYTES_MAX: u64 = 1 << 30;
