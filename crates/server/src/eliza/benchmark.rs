//! How a model is measured.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use trainyard_core::{ModelId, Score};
use trainyard_eliza::{Backend, Refused, Scores};

use super::bounded::{self, End};

/// Measures models of elizaOS's wire.
///
/// Called where it may block. Clients give up after 10 seconds, and are told to ask again then.
pub trait ElizaBenchmark: Send + Sync + 'static {
    /// Measures a model. Once `goes_on` says no, nobody waits for it any more and the service is about to end: then it
    /// is to return soon, whatever it returns.
    ///
    /// # Errors
    /// [`Refused::NoAdapter`] when there is nothing to measure, [`Refused::Unfit`] with what whoever asked should know,
    /// [`Refused::Failed`] with what is only for the log.
    fn measure(
        &self,
        model: &ElizaModel,
        goes_on: &(dyn Fn() -> bool + Sync),
    ) -> Result<ElizaFigures, Refused>;
}

/// A model that is to be measured.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ElizaModel {
    /// Its id.
    pub id: ModelId,
    /// What it is called.
    pub name: String,
    /// What trained it.
    pub backend: Backend,
    /// The model it started from, if it is known.
    pub source_model: Option<String>,
    /// Where it is.
    pub path: PathBuf,
    /// Where its adapter is, if it has one.
    pub adapter: Option<PathBuf>,
}

/// What measuring a model has given.
#[derive(Debug, Clone, PartialEq)]
pub struct ElizaFigures {
    /// Whether it is good enough.
    pub is_passed: bool,
    /// The figures, each 0 to 1, if there are any.
    pub scores: Option<Scores>,
    /// What is worth reading about it.
    pub output: String,
}

/// Runs a program with the adapter's folder as its last argument. One that ends with exit code 0 has passed it.
///
/// A last line of the form `{"coherence":0.9,"consistency":0.8,"helpfulness":0.7}` gives figures.
#[derive(Clone, PartialEq, Eq)]
pub struct ValidateCommand {
    program: PathBuf,
    arguments: Vec<String>,
    variables: BTreeMap<OsString, OsString>,
    time: Duration,
}

impl ValidateCommand {
    /// A program with these arguments; the adapter's folder comes after them. It may take 10 minutes.
    #[must_use]
    pub fn new(program: impl Into<PathBuf>, arguments: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let arguments = arguments.into_iter().map(Into::into).collect();
        let (variables, time) = (BTreeMap::new(), Duration::from_secs(600));
        Self { program: program.into(), arguments, variables, time }
    }

    /// elizaOS's own script for trying a model, run by `python3`.
    #[must_use]
    pub fn test_trained_model(script: impl Into<String>) -> Self {
        Self::new("python3", [script.into(), "--validate".to_owned(), "--adapter-path".to_owned()])
    }

    /// Gives it an environment variable, besides the few that every program is given, see
    /// [`Launch::PASSED`](trainyard_process::Launch::PASSED).
    #[must_use]
    pub fn with_variable(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.variables.insert(name.into(), value.into());
        self
    }

    /// How long it may take; after that it is killed, and the model has not passed.
    #[must_use]
    pub fn with_time(mut self, time: Duration) -> Self {
        self.time = time;
        self
    }
}

impl ElizaBenchmark for ValidateCommand {
    fn measure(
        &self,
        model: &ElizaModel,
        goes_on: &(dyn Fn() -> bool + Sync),
    ) -> Result<ElizaFigures, Refused> {
        let adapter = model.adapter.as_ref().ok_or(Refused::NoAdapter)?;
        let mut command = bounded::program(&self.program);
        command.envs(&self.variables).args(&self.arguments).arg(adapter);
        let answer = bounded::ask(&mut command, self.time, OUTPUT_MAX, goes_on).map_err(|error| {
            tracing::warn!(program = %self.program.display(), %error, "a benchmark could not be started");
            Refused::Unfit(format!("the benchmark could not be started: {}", error.kind()))
        })?;
        let mut output = answer.output;
        match answer.end {
            End::Exited(Some(_)) => {}
            End::Exited(None) => output.push_str("\n(it was killed)"),
            End::TooLong => output.push_str(&format!("\n(it took longer than {:?})", self.time)),
            End::Unwanted => {
                return Err(Refused::Upstream(
                    "the service is stopping: ask when it is there again".to_owned(),
                ));
            }
        }
        Ok(ElizaFigures { is_passed: answer.end.is_success(), scores: figures(&output), output })
    }
}

impl fmt::Debug for ValidateCommand {
    /// Without the values of variables, which may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ValidateCommand")
            .field("program", &self.program)
            .field("arguments", &self.arguments)
            .field("variables", &self.variables.keys())
            .field("time", &self.time)
            .finish()
    }
}

/// Of what a benchmark says so much is kept, in bytes, the end of it.
const OUTPUT_MAX: usize = 16 << 10;

/// The figures in the last line, if it has all of them, each 0 to 1.
fn figures(output: &str) -> Option<Scores> {
    let line = output.lines().rev().find(|line| !line.trim().is_empty())?;
    let json: serde_json::Value = serde_json::from_str(line.trim()).ok()?;
    let figure = |name: &str| {
        let number = json.get(name)?.as_f64().filter(|number| (0.0..=1.0).contains(number))?;
        Score::new(number).ok()
    };
    Some(Scores {
        coherence: figure("coherence")?,
        consistency: figure("consistency")?,
        helpfulness: figure("helpfulness")?,
    })
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn model() -> ElizaModel {
        ElizaModel {
            id: ModelId::from_u128(1),
            name: "eliza-v1".to_owned(),
            backend: Backend::Mlx,
            source_model: None,
            path: "out".into(),
            adapter: Some("out/adapter".into()),
        }
    }

    fn measure(script: &str) -> ElizaFigures {
        let command = ValidateCommand::new("sh", ["-c", script]).with_variable("WORD", "s3cret");
        assert!(!format!("{command:?}").contains("s3cret"));
        command.measure(&model(), &|| true).expect("it can be measured")
    }

    #[test]
    fn exit_code_zero_is_passed_and_the_last_line_may_have_figures() {
        let passed =
            measure(r#"echo "$0"; echo '{"coherence":0.5,"consistency":0.25,"helpfulness":1,"x":0}'; echo"#);
        assert!(passed.is_passed && passed.output.starts_with("out/adapter\n"), "{passed:?}");
        let scores = passed.scores.unwrap();
        assert_eq!(
            [scores.coherence, scores.consistency, scores.helpfulness].map(Score::get),
            [0.5, 0.25, 1.0]
        );
        for none in ["{\"coherence\":0.5}", "fine", "{\"coherence\":2,\"consistency\":0,\"helpfulness\":0}"] {
            let measured = measure(&format!("echo '{none}'"));
            assert_eq!((measured.is_passed, measured.scores), (true, None), "{none}");
        }
        assert!(!measure("echo no; exit 1").is_passed);
        assert_eq!(measure("echo $WORD").output, "s3cret\n");
    }

    #[test]
    fn what_cannot_be_measured_is_refused() {
        let bare = ElizaModel { adapter: None, ..model() };
        let command = ValidateCommand::new("sh", ["-c", "exit 0"]);
        assert!(matches!(command.measure(&bare, &|| true), Err(Refused::NoAdapter)));
        let missing = ValidateCommand::test_trained_model("x");
        assert_eq!(missing.arguments, ["x", "--validate", "--adapter-path"]);
        let gone = ValidateCommand { program: "no-such-program-anywhere".into(), ..missing };
        let Err(Refused::Unfit(why)) = gone.measure(&model(), &|| true) else { panic!("it is not there") };
        assert!(why.contains("could not be started"), "{why}");
        let slow = ValidateCommand::new("sh", ["-c", "sleep 1000"]).with_time(Duration::from_millis(200));
        let measured = slow.measure(&model(), &|| true).unwrap();
        assert!(!measured.is_passed && measured.output.contains("it took longer"), "{measured:?}");
        let unwanted = ValidateCommand::new("sh", ["-c", "sleep 1000"]).measure(&model(), &|| false);
        assert!(matches!(unwanted, Err(Refused::Upstream(_))), "{unwanted:?}");
    }
}
