//! What a trainer of portraits is told.

use serde::{Deserialize, Serialize};
use trainyard_core::Parameters;

use crate::host::LookId;
use crate::wire::hex;

/// The parameters of one training, as they lie in its job: versioned JSON.
///
/// They name the looks that were there, and completed, when the training was asked for. So a training that goes on
/// after a crash is about the same photos, whatever was added meanwhile. A look that was deleted meanwhile is not
/// there any more.
///
/// ```
/// use trainyard_heygen::{LookId, TrainParameters};
/// # use uuid::Uuid;
///
/// let parameters = TrainParameters::new([LookId::new(Uuid::from_u128(7))]);
/// let bytes = parameters.to_parameters();
/// assert_eq!(TrainParameters::from_bytes(bytes.as_bytes())?, parameters);
/// # Ok::<(), trainyard_heygen::ParametersError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrainParameters {
    looks: Vec<LookId>,
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
    /// They name something that is no look.
    #[error("the parameters of a training name a look that is none")]
    NoLook,
    /// They name more looks than one training is about.
    #[error("the parameters of a training name {looks} looks, more than {max}", max = TrainParameters::LOOKS_MAX)]
    TooMany {
        /// How many.
        looks: usize,
    },
}

#[derive(Serialize, Deserialize)]
struct Versioned {
    version: u32,
    looks: Vec<String>,
}

#[derive(Deserialize)]
struct Version {
    version: u32,
}

const VERSION: u32 = 1;

impl TrainParameters {
    /// How many looks one training is about at most. A group with more completed looks is not trained: a 400 says so.
    /// A [`Host`](crate::Host) that lets fewer into a group never gets there.
    pub const LOOKS_MAX: usize = 1_000;

    /// A training of these looks; of more than [`TrainParameters::LOOKS_MAX`] the first ones count.
    #[must_use]
    pub fn new(looks: impl IntoIterator<Item = LookId>) -> Self {
        Self { looks: looks.into_iter().take(Self::LOOKS_MAX).collect() }
    }

    /// The looks, in the order in which they were added to their group.
    #[must_use]
    pub fn looks(&self) -> &[LookId] {
        &self.looks
    }

    /// As they lie in a job.
    ///
    /// # Panics
    /// Never: they are bounded.
    #[must_use]
    pub fn to_parameters(&self) -> Parameters {
        let looks = self.looks.iter().map(ToString::to_string).collect();
        let bytes =
            serde_json::to_vec(&Versioned { version: VERSION, looks }).expect("words have a JSON form");
        Parameters::new(bytes).expect("a thousand ids are short")
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
        let read: Versioned = serde_json::from_slice(bytes).map_err(ParametersError::Malformed)?;
        if read.looks.len() > Self::LOOKS_MAX {
            return Err(ParametersError::TooMany { looks: read.looks.len() });
        }
        let look = |text: &String| hex(text).map(LookId::new).ok_or(ParametersError::NoLook);
        Ok(Self { looks: read.looks.iter().map(look).collect::<Result<_, _>>()? })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    fn look(number: u128) -> LookId {
        LookId::new(Uuid::from_u128(number))
    }

    #[test]
    fn version_1_is_readable_for_ever() {
        let text = r#"{"version":1,"looks":["0000000000000000000000000000000a","ffffffffffffffffffffffffffffffff"]}"#;
        let parameters = TrainParameters::new([look(10), look(u128::MAX)]);
        assert_eq!(TrainParameters::from_bytes(text.as_bytes()).unwrap(), parameters);
        assert_eq!(parameters.to_parameters().as_bytes(), text.as_bytes());
    }

    #[test]
    fn what_is_not_known_is_refused() {
        let error = TrainParameters::from_bytes(br#"{"version":2}"#).unwrap_err();
        assert_eq!(error.to_string(), "parameters of version 2 are not known here");
        for bytes in [&b""[..], b"{}", b"\xff", br#"{"version":1}"#, br#"{"version":1,"looks":[7]}"#] {
            assert!(matches!(TrainParameters::from_bytes(bytes), Err(ParametersError::Malformed(_))));
        }
        let error = TrainParameters::from_bytes(br#"{"version":1,"looks":["x"]}"#).unwrap_err();
        assert_eq!(error.to_string(), "the parameters of a training name a look that is none");
    }

    #[test]
    fn they_are_bounded_on_both_ways() {
        let many = TrainParameters::new((0..2_000).map(look));
        assert_eq!(many.looks().len(), 1_000);
        let bytes = many.to_parameters();
        assert_eq!(TrainParameters::from_bytes(bytes.as_bytes()).unwrap(), many);
        let more = String::from_utf8(bytes.as_bytes().to_vec()).unwrap();
        let more = more.replacen('[', &format!("[\"{}\",", look(7)), 1);
        let error = TrainParameters::from_bytes(more.as_bytes()).unwrap_err();
        assert_eq!(error.to_string(), "the parameters of a training name 1001 looks, more than 1000");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(looks in prop::collection::vec(any::<u128>(), 0..20)) {
            let parameters = TrainParameters::new(looks.into_iter().map(look));
            let bytes = parameters.to_parameters();
            prop_assert_eq!(TrainParameters::from_bytes(bytes.as_bytes()).unwrap(), parameters);
        }
    }
}
