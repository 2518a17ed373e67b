//! What a trainer of indexes is told.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use trainyard_core::Parameters;

/// The parameters of one training, as they lie in its job: versioned JSON.
///
/// ```
/// use trainyard_cyborgdb::TrainParameters;
///
/// let parameters = TrainParameters { n_lists: Some(64), ..TrainParameters::automatic("my index", 10_000) };
/// let bytes = parameters.to_parameters();
/// assert_eq!(TrainParameters::from_bytes(bytes.as_bytes())?, parameters);
/// # Ok::<(), trainyard_cyborgdb::ParametersError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainParameters {
    /// What the index is called. A label: the subject says which index it is.
    pub index_name: String,
    /// Into how many lists; `None` for as many as suit the vectors that are there when the training begins. When
    /// twice as many exceed the vectors there are, there is nothing to do.
    pub n_lists: Option<u64>,
    /// How many vectors one batch of work holds; `None` for the trainer's default.
    pub batch_size: Option<u64>,
    /// How many iterations at most; `None` for the trainer's default.
    pub max_iters: Option<u64>,
    /// The relative gain below which it stops, above 0; `None` for the trainer's default.
    pub tolerance: Option<f64>,
    /// How much memory it may take, in MB of 10^6 bytes; `None` for no limit.
    pub max_memory: Option<u64>,
    /// With fewer vectors there is nothing to do.
    pub min_vectors: u64,
}

/// Bytes that are no parameters of a training.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ParametersError {
    /// They are of a version from the future.
    #[error("parameters of version {0} are not known here")]
    UnknownVersion(u32),
    /// They are something else.
    #[error("the parameters of a training are malformed")]
    Malformed(#[source] serde_json::Error),
}

#[derive(Serialize, Deserialize)]
struct Versioned<T> {
    version: u32,
    #[serde(flatten)]
    parameters: T,
}

#[derive(Deserialize)]
struct Version {
    version: u32,
}

impl TrainParameters {
    /// The version that is written. Every earlier one can be read.
    pub const VERSION: u32 = 1;

    /// Everything automatic, as a retrain rule asks for it.
    #[must_use]
    pub fn automatic(index_name: impl Into<String>, min_vectors: u64) -> Self {
        Self {
            index_name: index_name.into(),
            n_lists: None,
            batch_size: None,
            max_iters: None,
            tolerance: None,
            max_memory: None,
            min_vectors,
        }
    }

    /// As a job holds them.
    ///
    /// # Panics
    /// When the name of the index is longer than [`Parameters::BYTES_MAX`] allows; a [`Settings`](crate::Settings)
    /// bounds names far below.
    #[must_use]
    pub fn to_parameters(&self) -> Parameters {
        let versioned = Versioned { version: Self::VERSION, parameters: self };
        let bytes = serde_json::to_vec(&versioned).expect("numbers and a text have a JSON form");
        Parameters::new(bytes).expect("the name of an index is short")
    }

    /// Reads what [`TrainParameters::to_parameters`] wrote.
    ///
    /// # Errors
    /// [`ParametersError`] when the bytes are something else, or of a later version.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ParametersError> {
        let Version { version } = serde_json::from_slice(bytes).map_err(ParametersError::Malformed)?;
        if version != Self::VERSION {
            return Err(ParametersError::UnknownVersion(version));
        }
        let versioned: Versioned<Self> = serde_json::from_slice(bytes).map_err(ParametersError::Malformed)?;
        Ok(versioned.parameters)
    }

    /// Only what the index is called; quicker, and for any version.
    pub(crate) fn index_name_in(bytes: &[u8]) -> Option<Cow<'_, str>> {
        #[derive(Deserialize)]
        struct Named<'a> {
            #[serde(borrow)]
            index_name: Cow<'a, str>,
        }
        serde_json::from_slice(bytes).ok().map(|named: Named<'_>| named.index_name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_1_is_readable_for_ever() {
        let text = r#"{"version":1,"index_name":"a/ä","n_lists":64,"batch_size":null,"max_iters":20,"tolerance":0.001,"max_memory":null,"min_vectors":10000}"#;
        let parameters = TrainParameters {
            n_lists: Some(64),
            max_iters: Some(20),
            tolerance: Some(0.001),
            ..TrainParameters::automatic("a/ä", 10_000)
        };
        assert_eq!(TrainParameters::from_bytes(text.as_bytes()).unwrap(), parameters);
        assert_eq!(parameters.to_parameters().as_bytes(), text.as_bytes());
        assert_eq!(TrainParameters::index_name_in(text.as_bytes()).as_deref(), Some("a/ä"));
    }

    #[test]
    fn what_is_not_known_is_refused() {
        let error = TrainParameters::from_bytes(br#"{"version":2}"#).unwrap_err();
        assert_eq!(error.to_string(), "parameters of version 2 are not known here");
        for bytes in [&b""[..], b"{}", b"\xff", br#"{"version":1}"#] {
            assert!(matches!(TrainParameters::from_bytes(bytes), Err(ParametersError::Malformed(_))));
        }
    }
}
