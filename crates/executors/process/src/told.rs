//! What a trainer is told, in the file that `TRAINYARD_CONTEXT` names.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::Value;
use trainyard_core::Parameters;
use trainyard_runtime::{Context, JobToTrain, TrainError};

use crate::Launch;
use crate::record::name;

/// Where things are in the folder of an attempt.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    pub(crate) folder: PathBuf,
    pub(crate) context: PathBuf,
    pub(crate) events: PathBuf,
    pub(crate) log: PathBuf,
    pub(crate) checkpoints: PathBuf,
}

impl Places {
    pub(crate) fn within(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            context: folder.join("context.json"),
            events: folder.join("events.jsonl"),
            log: folder.join("output.log"),
            checkpoints: folder.join("checkpoints"),
        }
    }
}

#[derive(Serialize)]
struct Told<'a> {
    v: u32,
    run: String,
    job: String,
    attempt: u32,
    kind: &'a str,
    subject: &'a str,
    params: Value,
    candidate: Option<Candidate<'a>>,
    data: &'a BTreeMap<String, String>,
    resume_from: Option<ResumeFrom<'a>>,
    folder: &'a Path,
    checkpoint_dir: &'a Path,
    /// In milliseconds since 1970.
    deadline: Option<i64>,
    seed: u64,
    threads: usize,
}

#[derive(Serialize)]
struct Candidate<'a> {
    id: String,
    label: &'a str,
    params: Value,
    target: f64,
}

#[derive(Serialize)]
struct ResumeFrom<'a> {
    step: u64,
    uri: &'a str,
}

/// Writes the file.
pub(crate) fn tell(
    cx: &Context,
    job: &JobToTrain,
    launch: &Launch,
    places: &Places,
) -> Result<(), TrainError> {
    let resume = cx.resume().map(|checkpoint| {
        let path = cx.resume_path();
        let uri = path.as_ref().and_then(|path| path.to_str()).map(str::to_owned);
        // What is elsewhere by name has no path.
        let uri = uri.or_else(|| {
            let text = checkpoint.reference.as_str();
            text.contains("://").then(|| text.to_owned())
        });
        (checkpoint.step, uri)
    });
    let resume_from = resume.as_ref().and_then(|(step, uri)| {
        let uri = uri.as_deref()?;
        Some(ResumeFrom { step: *step, uri })
    });
    let params = match &launch.parameters {
        Some(parameters) => parameters.clone(),
        None => value(&job.parameters)?,
    };
    let candidate = job.candidate.as_ref().map(|candidate| {
        Ok::<_, TrainError>(Candidate {
            id: candidate.id.to_string(),
            label: candidate.label.as_str(),
            params: value(&candidate.parameters)?,
            target: candidate.target.get(),
        })
    });
    let told = Told {
        v: 1,
        run: name(job.run),
        job: job.id.to_string(),
        attempt: job.attempt.get(),
        kind: job.kind.as_str(),
        subject: job.subject.as_str(),
        params,
        candidate: candidate.transpose()?,
        data: &launch.data,
        resume_from,
        folder: &places.folder,
        checkpoint_dir: &places.checkpoints,
        deadline: launch.deadline.map(|deadline| deadline.as_millis()),
        seed: cx.seed(),
        threads: cx.threads().get(),
    };
    let mut bytes = serde_json::to_vec_pretty(&told).map_err(io::Error::from)?;
    bytes.push(b'\n');
    fs::create_dir_all(&places.checkpoints)?;
    let mut file = File::create(&places.context)?;
    file.write_all(&bytes)?;
    Ok(())
}

/// Parameters as JSON if they are, else as a text.
fn value(parameters: &Parameters) -> Result<Value, TrainError> {
    let bytes = parameters.as_bytes();
    if bytes.is_empty() {
        return Ok(Value::Null);
    }
    if let Ok(value) = serde_json::from_slice(bytes) {
        return Ok(value);
    }
    let text = std::str::from_utf8(bytes).map_err(|_| TrainError::failed("its parameters are no text"))?;
    Ok(Value::String(text.to_owned()))
}
