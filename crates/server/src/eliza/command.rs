//! Programs that train for a backend, as they are configured.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use trainyard_eliza::{Backend, TrainParameters};

/// A program that trains for a backend of elizaOS's wire, and with which arguments.
///
/// In the arguments stand, in braces, what is different for each training:
///
/// | | |
/// |---|---|
/// | `{data}` | a folder with `train.jsonl` and `valid.jsonl`, an example a line |
/// | `{jsonl}` | a file with all examples, one a line |
/// | `{trajectories}` | a folder with a file for each trajectory |
/// | `{output}` | the folder for what is trained; what is in it at the end is the model |
/// | `{backend}` | `mlx`, `cuda` or `cpu` |
/// | `{model}` | the model to start from, if the request or [`ElizaCommand::with_model`] names one |
/// | `{iterations}`, `{batch_size}`, `{learning_rate}` | if the request says so |
///
/// An argument with something in braces that was not said is left out, together with the flag before it. There is no
/// shell: nothing else in them means anything.
///
/// ```
/// use trainyard_server::ElizaCommand;
///
/// let command: ElizaCommand = "python3 train.py --out {output} --iters {iterations} '{data}'".parse()?;
/// assert_eq!(command.program().to_str(), Some("python3"));
/// assert!("python3 {everything}".parse::<ElizaCommand>().is_err());
/// # Ok::<(), trainyard_server::BadElizaCommand>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct ElizaCommand {
    program: PathBuf,
    arguments: Vec<String>,
    folder: Option<PathBuf>,
    variables: BTreeMap<OsString, OsString>,
    model: Option<String>,
    presence: Presence,
}

/// Whether the machine has what a program of a backend needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Presence {
    /// That is found out now and then: `mlx` needs a `python3` that has `mlx_lm`, `cuda` an `nvidia-smi` that runs; `cpu`
    /// needs nothing.
    #[default]
    Probed,
    /// It has.
    Assumed,
}

/// Why an argument is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadElizaCommand {
    /// There is not even a program.
    #[error("there is no program in it")]
    Empty,
    /// A quotation is not ended.
    #[error("a quotation in it has no end")]
    Unquoted,
    /// Nobody knows what is to stand there.
    #[error(
        "{{{0}}} stands for nothing; known are {{data}}, {{jsonl}}, {{trajectories}}, {{output}}, {{backend}}, {{model}}, {{iterations}}, {{batch_size}} and {{learning_rate}}"
    )]
    Unknown(String),
}

impl ElizaCommand {
    /// A program, looked for as the system does, with these arguments.
    ///
    /// # Errors
    /// [`BadElizaCommand`] when something in braces is not known.
    pub fn new(
        program: impl Into<PathBuf>,
        arguments: impl IntoIterator<Item = impl Into<String>>,
    ) -> Result<Self, BadElizaCommand> {
        let program = program.into();
        if program.as_os_str().is_empty() {
            return Err(BadElizaCommand::Empty);
        }
        let arguments: Vec<String> = arguments.into_iter().map(Into::into).collect();
        for argument in &arguments {
            if let Some(name) = names(argument).find(|name| !NAMES.contains(name)) {
                return Err(BadElizaCommand::Unknown(name.to_owned()));
            }
        }
        let variables = BTreeMap::new();
        Ok(Self { program, arguments, folder: None, variables, model: None, presence: Presence::default() })
    }

    /// elizaOS's own script for training weights, run by `python3`. `--validate` is left out, for the script takes no
    /// value there.
    ///
    /// # Panics
    /// Never: the arguments are known.
    #[must_use]
    pub fn train_local(script: &Path) -> Self {
        let script = script.to_string_lossy().replace('{', "{{");
        let words = "--source-dir {trajectories} --output {output} --backend {backend} --model {model} \
            --iters {iterations} --batch-size {batch_size} --lr {learning_rate}";
        let arguments = [script.as_str()].into_iter().chain(words.split_whitespace());
        Self::new("python3", arguments).expect("they are known")
    }

    /// `mlx_lm lora` as it comes, starting from a small model where a request names none.
    ///
    /// # Panics
    /// Never: the arguments are known.
    #[must_use]
    pub fn mlx_lora() -> Self {
        let words = "-m mlx_lm lora --model {model} --train --data {data} --adapter-path {output} \
            --batch-size {batch_size} --iters {iterations} --learning-rate {learning_rate} --steps-per-report 10 \
            --steps-per-eval 25 --val-batches 5 --max-seq-length 1024 --num-layers 8 --mask-prompt";
        let command = Self::new("python3", words.split_whitespace()).expect("they are known");
        command.with_model("mlx-community/Qwen2.5-1.5B-Instruct-4bit")
    }

    /// Runs in this folder. Default: the run's own.
    #[must_use]
    pub fn with_folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = Some(folder.into());
        self
    }

    /// Gives it an environment variable, besides the few that every program is given, see
    /// [`Launch::PASSED`](trainyard_process::Launch::PASSED): such as `HF_HOME`, or `HF_TOKEN`.
    #[must_use]
    pub fn with_variable(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.variables.insert(name.into(), value.into());
        self
    }

    /// Starts from this model when a request names none. Default: the program chooses.
    #[must_use]
    pub fn with_model(mut self, model: impl Into<String>) -> Self {
        self.model = Some(model.into());
        self
    }

    /// Whether the machine has what it needs. Default: [`Presence::Probed`].
    #[must_use]
    pub fn with_presence(mut self, presence: Presence) -> Self {
        self.presence = presence;
        self
    }

    /// The program.
    #[must_use]
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// Whether the machine has what it needs.
    #[must_use]
    pub fn presence(&self) -> Presence {
        self.presence
    }

    /// The folder it runs in, if it was said.
    pub(crate) fn folder(&self) -> Option<&Path> {
        self.folder.as_deref()
    }

    /// The environment variables that it is given.
    pub(crate) fn variables(&self) -> impl Iterator<Item = (&OsString, &OsString)> {
        self.variables.iter()
    }

    /// The model that a training starts from, as far as it is known.
    pub(crate) fn model_of(&self, parameters: &TrainParameters) -> Option<String> {
        parameters.model.clone().or_else(|| self.model.clone())
    }

    /// The program that is worth showing: the script of an interpreter, where there is one.
    pub(crate) fn shown(&self) -> PathBuf {
        let script = self.arguments.first().filter(|first| first.contains('.') && !first.starts_with('-'));
        script.map_or_else(|| self.program.clone(), |script| script.replace("{{", "{").into())
    }

    /// The arguments of one training.
    pub(crate) fn arguments_for(
        &self,
        backend: Backend,
        places: &Places,
        of: &TrainParameters,
    ) -> Vec<OsString> {
        let path = |path: &Path| Some(path.as_os_str().to_owned());
        let number = |number: Option<u64>| number.map(|number| number.to_string().into());
        let value = |name: &str| -> Option<OsString> {
            match name {
                "data" => path(&places.data),
                "jsonl" => path(&places.jsonl),
                "trajectories" => path(&places.trajectories),
                "output" => path(&places.output),
                "backend" => Some(backend.as_str().into()),
                "model" => self.model_of(of).map(Into::into),
                "iterations" => number(of.iterations),
                "batch_size" => number(of.batch_size),
                "learning_rate" => of.learning_rate.map(|rate| format!("{rate:e}").into()),
                _ => None,
            }
        };
        let mut filled: Vec<OsString> = Vec::with_capacity(self.arguments.len());
        let mut after_flag = false;
        for argument in &self.arguments {
            match fill(argument, value) {
                Some(argument) => filled.push(argument),
                None if after_flag => drop(filled.pop()),
                None => {}
            }
            after_flag = argument.starts_with('-') && names(argument).next().is_none();
        }
        filled
    }
}

/// Where things of one training lie.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    pub(crate) data: PathBuf,
    pub(crate) jsonl: PathBuf,
    pub(crate) trajectories: PathBuf,
    pub(crate) output: PathBuf,
}

impl FromStr for ElizaCommand {
    type Err = BadElizaCommand;

    /// Splits it as a shell would: at white space, but not within quotations.
    fn from_str(text: &str) -> Result<Self, BadElizaCommand> {
        let words = shlex::split(text).ok_or(BadElizaCommand::Unquoted)?;
        let mut words = words.into_iter();
        let program = words.next().ok_or(BadElizaCommand::Empty)?;
        Self::new(program, words)
    }
}

impl fmt::Debug for ElizaCommand {
    /// Without the values of variables, which may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ElizaCommand")
            .field("command", &self.to_string())
            .field("folder", &self.folder)
            .field("variables", &self.variables.keys())
            .field("model", &self.model)
            .field("presence", &self.presence)
            .finish()
    }
}

impl fmt::Display for ElizaCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.program.display())?;
        self.arguments.iter().try_for_each(|argument| write!(f, " {argument}"))
    }
}

const NAMES: [&str; 9] = [
    "data",
    "jsonl",
    "trajectories",
    "output",
    "backend",
    "model",
    "iterations",
    "batch_size",
    "learning_rate",
];

/// The parts of an argument: text, and what stands in braces. Two opening braces are one of the text.
fn parts(argument: &str) -> impl Iterator<Item = Part<'_>> {
    let mut rest = argument;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        if let Some(after) = rest.strip_prefix("{{") {
            rest = after;
            return Some(Part::Text("{"));
        }
        if let Some(after) = rest.strip_prefix('{')
            && let Some((name, after)) = after.split_once('}')
        {
            rest = after;
            return Some(Part::Name(name));
        }
        let end = rest.char_indices().skip(1).find(|(_, c)| *c == '{').map_or(rest.len(), |(at, _)| at);
        let (text, after) = rest.split_at(end);
        rest = after;
        Some(Part::Text(text))
    })
}

enum Part<'a> {
    Text(&'a str),
    Name(&'a str),
}

fn names(argument: &str) -> impl Iterator<Item = &str> {
    parts(argument).filter_map(|part| match part {
        Part::Name(name) => Some(name),
        Part::Text(_) => None,
    })
}

/// An argument with everything in it that was said; `None` when something was not.
fn fill(argument: &str, value: impl Fn(&str) -> Option<OsString>) -> Option<OsString> {
    parts(argument).try_fold(OsString::new(), |mut filled, part| {
        match part {
            Part::Text(text) => filled.push(text),
            Part::Name(name) => filled.push(value(name)?),
        }
        Some(filled)
    })
}

#[cfg(test)]
mod tests {
    use trainyard_eliza::{DatasetId, Source};

    use super::*;

    fn places() -> Places {
        let [data, jsonl, trajectories, output] = ["d", "j", "t", "o"].map(PathBuf::from);
        Places { data, jsonl, trajectories, output }
    }

    fn bare(backend: Backend) -> TrainParameters {
        TrainParameters::new(Source::Dataset(DatasetId::new("d").unwrap()), backend)
    }

    fn line(command: &ElizaCommand, of: &TrainParameters) -> String {
        let arguments = command.arguments_for(of.backend, &places(), of);
        arguments.iter().map(|one| one.to_str().unwrap()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn what_was_not_said_is_left_out_with_its_flag() {
        let command = ElizaCommand::train_local(Path::new("a b{/train_local.py"));
        let cuda = bare(Backend::Cuda);
        assert_eq!(line(&command, &cuda), "a b{/train_local.py --source-dir t --output o --backend cuda");
        let all = TrainParameters {
            model: Some("small".to_owned()),
            iterations: Some(7),
            batch_size: Some(2),
            learning_rate: Some(1e-5),
            ..cuda
        };
        assert_eq!(
            line(&command, &all),
            "a b{/train_local.py --source-dir t --output o --backend cuda --model small --iters 7 --batch-size 2 --lr 1e-5"
        );
        assert_eq!(command.shown(), Path::new("a b{/train_local.py"));
        let lora = line(&ElizaCommand::mlx_lora(), &bare(Backend::Mlx));
        assert!(lora.contains("--model mlx-community/Qwen2.5-1.5B-Instruct-4bit --train --data d"), "{lora}");
        assert!(!lora.contains("--iters") && lora.ends_with("--num-layers 8 --mask-prompt"), "{lora}");
        assert_eq!(ElizaCommand::mlx_lora().shown(), Path::new("python3"));
    }

    #[test]
    fn a_line_is_split_and_checked() {
        let read = |text: &str| text.parse::<ElizaCommand>();
        let command =
            read("sh -c 'echo {backend} x=\"{iterations}\" ' {{data} --n={batch_size} -- {output}").unwrap();
        let of = TrainParameters { iterations: Some(3), ..bare(Backend::Cpu) };
        assert_eq!(line(&command, &of), "-c echo cpu x=\"3\"  {data} -- o");
        assert_eq!(line(&command, &bare(Backend::Cpu)), "{data} -- o", "the flag before it went with it");
        let secret = command.clone().with_variable("HF_TOKEN", "s3cret");
        assert!(format!("{secret:?}").contains("HF_TOKEN") && !format!("{secret:?}").contains("s3cret"));
        assert_eq!(read("sh 'x"), Err(BadElizaCommand::Unquoted));
        assert_eq!(read("  "), Err(BadElizaCommand::Empty));
        assert_eq!(read("sh {home}"), Err(BadElizaCommand::Unknown("home".to_owned())));
        assert_eq!(read("sh {"), ElizaCommand::new("sh", ["{"]));
    }
}
