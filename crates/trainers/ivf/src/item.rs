use serde_json::{Map, Value};

use crate::{
    CONTENTS_BYTES_MAX, DIMENSION_MAX, ID_BYTES_MAX, METADATA_BYTES_MAX, METADATA_DEPTH_MAX, Refusal,
};

/// A vector with what belongs to it.
///
/// ```
/// use trainyard_ivf::Item;
///
/// let item = Item::new("a", vec![1.0, 2.0]).with_contents("a text");
/// assert!(item.metadata.is_empty());
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// Its name: 1 to [`ID_BYTES_MAX`] bytes, unique within an index.
    pub id: String,
    /// Its numbers: all finite, as many as the dimension of the index.
    pub vector: Vec<f32>,
    /// Whatever the user wants to keep with it, at most [`CONTENTS_BYTES_MAX`] bytes. Never looked into.
    pub contents: String,
    /// What queries can filter by: at most [`METADATA_BYTES_MAX`] bytes as JSON, nested at most
    /// [`METADATA_DEPTH_MAX`] deep.
    pub metadata: Map<String, Value>,
}

impl Item {
    /// An item without contents and metadata.
    #[must_use]
    pub fn new(id: impl Into<String>, vector: Vec<f32>) -> Self {
        Self { id: id.into(), vector, contents: String::new(), metadata: Map::new() }
    }

    /// With these contents.
    #[must_use]
    pub fn with_contents(mut self, contents: impl Into<String>) -> Self {
        self.contents = contents.into();
        self
    }

    /// With these metadata.
    #[must_use]
    pub fn with_metadata(mut self, metadata: Map<String, Value>) -> Self {
        self.metadata = metadata;
        self
    }

    /// Its metadata as JSON, when all about it is within bounds but perhaps the length of its vector.
    pub(crate) fn check(&self, position: usize) -> Result<String, Refusal> {
        let bytes = self.id.len();
        if bytes == 0 || bytes > ID_BYTES_MAX {
            return Err(Refusal::IdLength { position, bytes });
        }
        let bytes = self.contents.len();
        if bytes > CONTENTS_BYTES_MAX {
            return Err(Refusal::ContentsTooLong { position, bytes });
        }
        if !self.metadata.values().all(|value| shallower(value, METADATA_DEPTH_MAX)) {
            return Err(Refusal::MetadataTooDeep { position });
        }
        let metadata = serde_json::to_string(&self.metadata).expect("a map of strings to values is JSON");
        let bytes = metadata.len();
        if bytes > METADATA_BYTES_MAX {
            return Err(Refusal::MetadataTooLong { position, bytes });
        }
        Ok(metadata)
    }
}

/// Checks the vectors of a request.
pub(crate) fn check_vectors<'v>(
    expected: usize,
    vectors: impl Iterator<Item = &'v [f32]>,
) -> Result<(), Refusal> {
    for (position, vector) in vectors.enumerate() {
        let got = vector.len();
        if got != expected {
            return Err(Refusal::WrongDimension { position, expected, got });
        }
        if let Some(component) = vector.iter().position(|x| !x.is_finite()) {
            return Err(Refusal::NotFinite { position, component });
        }
    }
    Ok(())
}

pub(crate) fn check_dimension(got: usize) -> Result<(), Refusal> {
    if (1..=DIMENSION_MAX).contains(&got) { Ok(()) } else { Err(Refusal::DimensionOutOfBounds { got }) }
}

/// Looks no deeper than it allows.
fn shallower(value: &Value, depth: usize) -> bool {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
        Value::Array(inner) => depth > 1 && inner.iter().all(|value| shallower(value, depth - 1)),
        Value::Object(inner) => depth > 1 && inner.values().all(|value| shallower(value, depth - 1)),
    }
}
