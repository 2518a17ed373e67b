//! What a trainer is told.

use serde::{Deserialize, Serialize};
use trainyard_core::Parameters;

use crate::host::{Backend, DatasetId, Task};

/// The parameters of one training, as they lie in its job: versioned JSON.
///
/// ```
/// use trainyard_eliza::{Backend, DatasetId, Source, TrainParameters};
///
/// let dataset = DatasetId::new("dataset-1").ok_or("no id")?;
/// let parameters = TrainParameters::new(Source::Dataset(dataset), Backend::Native);
/// let bytes = parameters.to_parameters();
/// assert_eq!(TrainParameters::from_bytes(bytes.as_bytes())?, parameters);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct TrainParameters {
    /// What is trained on.
    pub source: Source,
    /// Where it runs.
    pub backend: Backend,
    /// The model to start from; the trainer's own choice without a word. At most [`TrainParameters::WORD_BYTES_MAX`].
    pub model: Option<String>,
    /// Of the source, only the newest so many trajectories; at least 1.
    pub trajectories_max: Option<u64>,
    /// How many iterations; the trainer's own choice without a word; at least 1.
    pub iterations: Option<u64>,
    /// How many examples a step; at least 1.
    pub batch_size: Option<u64>,
    /// The learning rate; above 0, finite.
    pub learning_rate: Option<f64>,
    /// Which optimiser of prompts, for [`Backend::Native`]. At most [`TrainParameters::WORD_BYTES_MAX`].
    pub optimizer: Option<String>,
}

/// What is trained on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A dataset.
    Dataset(DatasetId),
    /// The rows of a task, of the newest trajectories there are when it runs.
    Task(Task),
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
    /// A value in them is beyond its bounds.
    #[error("the parameters of a training have no fit {0}")]
    Unfit(&'static str),
}

#[derive(Serialize, Deserialize)]
struct Versioned {
    version: u32,
    source: VersionedSource,
    backend: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trajectories_max: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    iterations: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    batch_size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    /// As a text: a number would come back a little different.
    learning_rate: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    optimizer: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum VersionedSource {
    Dataset(String),
    Task(String),
}

#[derive(Deserialize)]
struct Version {
    version: u32,
}

const VERSION: u32 = 1;

impl TrainParameters {
    /// The longest word in them, in bytes; what is longer is cut when it is written.
    pub const WORD_BYTES_MAX: usize = 1_024;

    /// A training in which everything else is the trainer's own choice.
    #[must_use]
    pub const fn new(source: Source, backend: Backend) -> Self {
        Self {
            source,
            backend,
            model: None,
            trajectories_max: None,
            iterations: None,
            batch_size: None,
            learning_rate: None,
            optimizer: None,
        }
    }

    /// As they lie in a job.
    ///
    /// # Panics
    /// Never: they are bounded.
    #[must_use]
    pub fn to_parameters(&self) -> Parameters {
        let word = |word: &Option<String>| {
            word.as_ref().map(|word| word[..word.floor_char_boundary(Self::WORD_BYTES_MAX)].to_owned())
        };
        let source = match &self.source {
            Source::Dataset(id) => VersionedSource::Dataset(id.to_string()),
            Source::Task(task) => VersionedSource::Task(task.to_string()),
        };
        let versioned = Versioned {
            version: VERSION,
            source,
            backend: self.backend.to_string(),
            model: word(&self.model),
            trajectories_max: self.trajectories_max,
            iterations: self.iterations,
            batch_size: self.batch_size,
            learning_rate: self.learning_rate.map(|rate| format!("{rate:?}")),
            optimizer: word(&self.optimizer),
        };
        let bytes = serde_json::to_vec(&versioned).expect("words and numbers have a JSON form");
        Parameters::new(bytes).expect("a few short words are short")
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
        let source = match read.source {
            VersionedSource::Dataset(id) => DatasetId::new(id).map(Source::Dataset),
            VersionedSource::Task(task) => Task::new(task).map(Source::Task),
        };
        let counted = |name, number: Option<u64>| match number {
            Some(0) => Err(ParametersError::Unfit(name)),
            Some(_) | None => Ok(number),
        };
        let rate = |text: String| {
            let rate = text.parse().ok().filter(|rate: &f64| rate.is_finite() && *rate > 0.0);
            rate.ok_or(ParametersError::Unfit("learning rate"))
        };
        Ok(Self {
            source: source.ok_or(ParametersError::Unfit("source"))?,
            backend: Backend::of(&read.backend).ok_or(ParametersError::Unfit("backend"))?,
            model: read.model,
            trajectories_max: counted("number of trajectories", read.trajectories_max)?,
            iterations: counted("number of iterations", read.iterations)?,
            batch_size: counted("batch size", read.batch_size)?,
            learning_rate: read.learning_rate.map(rate).transpose()?,
            optimizer: read.optimizer,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn dataset(id: &str) -> Source {
        Source::Dataset(DatasetId::new(id).unwrap())
    }

    #[test]
    fn version_1_is_readable_for_ever() {
        let text = r#"{"version":1,"source":{"dataset":"dataset-1"},"backend":"mlx","model":"eliza-1-2b","trajectories_max":7,"iterations":100,"batch_size":4,"learning_rate":"1e-5","optimizer":"gepa"}"#;
        let parameters = TrainParameters {
            model: Some("eliza-1-2b".to_owned()),
            trajectories_max: Some(7),
            iterations: Some(100),
            batch_size: Some(4),
            learning_rate: Some(1e-5),
            optimizer: Some("gepa".to_owned()),
            ..TrainParameters::new(dataset("dataset-1"), Backend::Mlx)
        };
        assert_eq!(TrainParameters::from_bytes(text.as_bytes()).unwrap(), parameters);
        assert_eq!(parameters.to_parameters().as_bytes(), text.as_bytes());
        let text = r#"{"version":1,"source":{"task":"should_respond"},"backend":"native"}"#;
        let task = Source::Task(Task::new("should_respond").unwrap());
        let parameters = TrainParameters::new(task, Backend::Native);
        assert_eq!(TrainParameters::from_bytes(text.as_bytes()).unwrap(), parameters);
        assert_eq!(parameters.to_parameters().as_bytes(), text.as_bytes());
    }

    #[test]
    fn what_is_not_known_is_refused() {
        let error = TrainParameters::from_bytes(br#"{"version":2}"#).unwrap_err();
        assert_eq!(error.to_string(), "parameters of version 2 are not known here");
        for bytes in [&b""[..], b"{}", b"\xff", br#"{"version":1}"#, br#"{"version":1,"source":7}"#] {
            assert!(matches!(TrainParameters::from_bytes(bytes), Err(ParametersError::Malformed(_))));
        }
        let with = |source: &str, backend: &str, rest: &str| {
            let text =
                format!(r#"{{"version":1,"source":{{{source}}},"backend":"{backend}"{rest}}}"#).into_bytes();
            TrainParameters::from_bytes(&text).unwrap_err().to_string()
        };
        let id = r#""dataset":"d""#;
        assert_eq!(with(r#""dataset":"../x""#, "cpu", ""), "the parameters of a training have no fit source");
        assert_eq!(with(r#""task":"A""#, "cpu", ""), "the parameters of a training have no fit source");
        assert_eq!(with(id, "tpu", ""), "the parameters of a training have no fit backend");
        for (rest, what) in [
            (r#","iterations":0"#, "number of iterations"),
            (r#","batch_size":0"#, "batch size"),
            (r#","trajectories_max":0"#, "number of trajectories"),
            (r#","learning_rate":"0.0""#, "learning rate"),
            (r#","learning_rate":"-1""#, "learning rate"),
            (r#","learning_rate":"NaN""#, "learning rate"),
            (r#","learning_rate":"inf""#, "learning rate"),
            (r#","learning_rate":"much""#, "learning rate"),
        ] {
            assert_eq!(with(id, "cpu", rest), format!("the parameters of a training have no fit {what}"));
        }
    }

    #[test]
    fn words_are_bounded() {
        let long = format!("{}é", "x".repeat(TrainParameters::WORD_BYTES_MAX - 1));
        let parameters =
            TrainParameters { model: Some(long), ..TrainParameters::new(dataset("d"), Backend::Cpu) };
        let read = TrainParameters::from_bytes(parameters.to_parameters().as_bytes()).unwrap();
        assert_eq!(read.model.unwrap().len(), TrainParameters::WORD_BYTES_MAX - 1);
    }

    prop_compose! {
        fn parameters()(
            is_task in any::<bool>(),
            id in "[a-z0-9_]{1,64}",
            backend in prop::sample::select(Backend::ALL.to_vec()),
            model in prop::option::of(".{0,40}"),
            trajectories_max in prop::option::of(1_u64..),
            iterations in prop::option::of(1_u64..),
            batch_size in prop::option::of(1_u64..),
            learning_rate in prop::option::of(1e-12..10.0_f64),
            optimizer in prop::option::of("[a-z-]{1,20}"),
        ) -> TrainParameters {
            let source = if is_task {
                Source::Task(Task::new(id).unwrap())
            } else {
                Source::Dataset(DatasetId::new(id).unwrap())
            };
            TrainParameters { source, backend, model, trajectories_max, iterations, batch_size, learning_rate, optimizer }
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(parameters in parameters()) {
            let bytes = parameters.to_parameters();
            prop_assert_eq!(TrainParameters::from_bytes(bytes.as_bytes()).unwrap(), parameters);
        }
    }
}
