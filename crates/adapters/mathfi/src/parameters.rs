//! What a trainer of classifiers is told.

use serde::{Deserialize, Serialize};
use trainyard_core::Parameters;

/// The parameters of one contest, as they lie in its job and with each of its candidates: versioned JSON.
///
/// ```
/// use trainyard_mathfi::TrainParameters;
///
/// let parameters = TrainParameters { scaling_factor: 19, buckets: 20 };
/// let bytes = parameters.to_parameters();
/// assert_eq!(TrainParameters::from_bytes(bytes.as_bytes())?, parameters);
/// # Ok::<(), trainyard_mathfi::ParametersError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrainParameters {
    /// A knob like a learning rate, 0 to 499.
    pub scaling_factor: u16,
    /// How finely numbers are told apart, 4 to 1000.
    pub buckets: u16,
}

/// Bytes that are no parameters of a contest.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ParametersError {
    /// They are of a version from the future.
    #[error("parameters of version {0} are not known here")]
    UnknownVersion(u32),
    /// They are something else.
    #[error("the parameters of a contest are malformed")]
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

const VERSION: u32 = 1;

impl TrainParameters {
    /// As they lie in a job.
    ///
    /// # Panics
    /// Never: they are short.
    #[must_use]
    pub fn to_parameters(&self) -> Parameters {
        let versioned = Versioned { version: VERSION, parameters: *self };
        let bytes = serde_json::to_vec(&versioned).expect("two numbers have a JSON form");
        Parameters::new(bytes).expect("two numbers are short")
    }

    /// Reads what [`TrainParameters::to_parameters`] wrote.
    ///
    /// # Errors
    /// [`ParametersError`] when the bytes are something else.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ParametersError> {
        let version: Version = serde_json::from_slice(bytes).map_err(ParametersError::Malformed)?;
        if version.version != VERSION {
            return Err(ParametersError::UnknownVersion(version.version));
        }
        let read: Versioned<Self> = serde_json::from_slice(bytes).map_err(ParametersError::Malformed)?;
        Ok(read.parameters)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_1_is_readable_for_ever() {
        let text = r#"{"version":1,"scaling_factor":19,"buckets":20}"#;
        let parameters = TrainParameters { scaling_factor: 19, buckets: 20 };
        assert_eq!(TrainParameters::from_bytes(text.as_bytes()).unwrap(), parameters);
        assert_eq!(parameters.to_parameters().as_bytes(), text.as_bytes());
    }

    #[test]
    fn what_is_not_known_is_refused() {
        let error = TrainParameters::from_bytes(br#"{"version":2}"#).unwrap_err();
        assert_eq!(error.to_string(), "parameters of version 2 are not known here");
        for bytes in [&b""[..], b"{}", b"\xff", br#"{"version":1}"#, br#"{"version":1,"scaling_factor":-1}"#]
        {
            assert!(matches!(TrainParameters::from_bytes(bytes), Err(ParametersError::Malformed(_))));
        }
    }
}
