//! What comes of an optimisation: a file with the prompt, and how it came about.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};
use trainyard_trainkit::{at_most, write_beside};

use crate::gate::Verdict;
use crate::prompt::Demo;

/// A prompt that was optimised, and how it came about: JSON, in the words of elizaOS, and a few more.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Artifact {
    /// The task.
    pub task: String,
    /// The name of the optimiser.
    pub optimizer: String,
    /// The prompt that it began with.
    pub baseline: String,
    /// The best prompt, as a model is to be given it: its examples are in it.
    pub prompt: String,
    /// Its score on the examples that were held back, 0 to 1. It is the best of all that were scored there, so of many
    /// candidates and few such examples it flatters a little.
    pub score: f64,
    /// The same of the baseline.
    pub baseline_score: f64,
    /// What it was learned from.
    pub dataset_id: String,
    /// How many examples that has which can be used.
    pub dataset_size: u64,
    /// When, in milliseconds since the epoch.
    pub generated_at: i64,
    /// All that were scored, in order; the first is the baseline.
    #[serde(deserialize_with = "at_most::<LINEAGE_MAX, _, _>")]
    pub lineage: Vec<Ancestor>,
    /// The examples in the prompt.
    #[serde(deserialize_with = "at_most::<DEMOS_MAX, _, _>")]
    pub few_shot_examples: Vec<Demo>,
    /// Whether it takes the place of the prompt in use, and by which numbers.
    pub gate: Verdict,
    /// How many examples were held back.
    pub held_out_size: u64,
    /// About how many tokens the optimisation took.
    pub tokens_spent: u64,
    /// Why it ended before the optimiser had had enough; `None` when it did not.
    pub ended: Option<String>,
}

/// One prompt that was scored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ancestor {
    /// In which round; 0 for the baseline.
    pub round: u32,
    /// Which of its round.
    pub variant: u32,
    /// Its score on the examples that were held back.
    pub score: f64,
    /// How it came up.
    pub note: String,
}

impl Artifact {
    /// Reads one.
    ///
    /// # Errors
    /// [`ArtifactError`] when it cannot be read, has more than 16 MiB, or is none.
    pub fn open(path: &Path) -> Result<Self, ArtifactError> {
        let fail = |what| move |source: io::Error| ArtifactError { what, source: source.into() };
        let mut bytes = Vec::new();
        let file = File::open(path).map_err(fail("could not open the prompt's file"))?;
        file.take(BYTES_MAX + 1).read_to_end(&mut bytes).map_err(fail("could not read the prompt's file"))?;
        if bytes.len() as u64 > BYTES_MAX {
            let source = format!("it has more than {BYTES_MAX} bytes").into();
            return Err(ArtifactError { what: "the file holds no optimised prompt", source });
        }
        serde_json::from_slice(&bytes).map_err(|source| ArtifactError {
            what: "the file holds no optimised prompt",
            source: source.into(),
        })
    }

    /// Writes it: all of it, or nothing, which is so when it has more than can be read again.
    pub(crate) fn save(&self, path: &Path) -> io::Result<()> {
        let mut json = serde_json::to_vec_pretty(self).map_err(io::Error::other)?;
        json.push(b'\n');
        if json.len() as u64 > BYTES_MAX {
            return Err(io::Error::other(format!("an optimised prompt takes more than {BYTES_MAX} bytes")));
        }
        write_beside(path, |to| to.write_all(&json))
    }
}

/// There is no artifact to be read.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct ArtifactError {
    what: &'static str,
    source: Box<dyn std::error::Error + Send + Sync>,
}

/// More candidates than these are never scored.
pub(crate) const LINEAGE_MAX: usize = 20_000;
pub(crate) const DEMOS_MAX: usize = 1_000;
const BYTES_MAX: u64 = 16 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn artifact() -> Artifact {
        let ancestor = |round, score| Ancestor { round, variant: 1, score, note: "rewrite".into() };
        Artifact {
            task: "should_respond".into(),
            optimizer: "gepa".into(),
            baseline: "Decide.".into(),
            prompt: "Decide well.".into(),
            score: 0.1 + 0.2,
            baseline_score: 1.0 / 3.0,
            dataset_id: "dataset-1".into(),
            dataset_size: 12,
            generated_at: 1_718_000_000_000,
            lineage: vec![ancestor(0, 0.25), ancestor(1, 0.5)],
            few_shot_examples: vec![Demo { input: "hi".into(), output: "RESPOND".into() }],
            gate: Verdict { promoted: true, candidate: 0.5, incumbent: 0.25, deviation: 0.0 },
            held_out_size: 3,
            tokens_spent: 1_234,
            ended: None,
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("prompt.json");
        artifact().save(&path).unwrap();
        assert_eq!(Artifact::open(&path).unwrap(), artifact());
        let json: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let names = [
            "task",
            "optimizer",
            "baseline",
            "prompt",
            "score",
            "baselineScore",
            "datasetId",
            "datasetSize",
            "generatedAt",
            "lineage",
            "fewShotExamples",
        ];
        assert!(names.iter().all(|name| json.get(name).is_some()), "{json}");
        assert_eq!(
            json["lineage"][1],
            serde_json::json!({"round": 1, "variant": 1, "score": 0.5, "note": "rewrite"})
        );
    }

    #[test]
    fn what_is_no_artifact_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("prompt.json");
        assert_eq!(Artifact::open(&path).unwrap_err().to_string(), "could not open the prompt's file");
        let mut long = artifact();
        long.dataset_id = "x".repeat(usize::try_from(BYTES_MAX).unwrap());
        long.save(&path).unwrap_err();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        long.dataset_id.clear();
        long.lineage = vec![long.lineage[0].clone(); LINEAGE_MAX + 1];
        long.save(&path).unwrap();
        Artifact::open(&path).unwrap_err();
        let json = serde_json::to_vec(&artifact()).unwrap();
        for bytes in
            [&json[..json.len() - 1], b"", b"[]", &vec![b' '; usize::try_from(BYTES_MAX).unwrap() + 1]]
        {
            std::fs::write(&path, bytes).unwrap();
            assert_eq!(Artifact::open(&path).unwrap_err().to_string(), "the file holds no optimised prompt");
        }
    }
}
