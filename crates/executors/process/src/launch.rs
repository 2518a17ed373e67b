//! What to run.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use trainyard_core::Timestamp;
use trainyard_runtime::TrainError;

use crate::formats::Format;

/// A program with everything it is given: no shell is between, so nothing in its arguments is special.
///
/// ```
/// use std::time::Duration;
/// use trainyard_process::Launch;
///
/// let launch = Launch::new("python3")
///     .with_args(["train.py", "--iters", "100"])
///     .with_env("HF_HUB_OFFLINE", "1")
///     .with_grace(Duration::from_secs(60));
/// assert_eq!(launch.grace(), Duration::from_secs(60));
/// ```
#[derive(Clone)]
#[must_use = "a launch does nothing by itself"]
pub struct Launch {
    pub(crate) program: OsString,
    pub(crate) args: Vec<OsString>,
    pub(crate) env: BTreeMap<OsString, OsString>,
    pub(crate) inherits: bool,
    pub(crate) working_dir: Option<PathBuf>,
    pub(crate) grace: Duration,
    pub(crate) log_bytes_max: u64,
    pub(crate) formats: Vec<Format>,
    pub(crate) result: Option<PathBuf>,
    pub(crate) parameters: Option<Value>,
    pub(crate) data: BTreeMap<String, String>,
    pub(crate) deadline: Option<Timestamp>,
}

impl Launch {
    /// How many arguments there may be.
    pub const ARGS_MAX: usize = 1_024;

    /// How long program and arguments may be together, and how long the variables, in bytes.
    pub const BYTES_MAX: usize = 64 << 10;

    /// How much of what a process prints is kept, unless it is said otherwise: 64 MiB.
    pub const LOG_BYTES: u64 = 64 << 20;

    /// The longest grace: a day.
    pub const GRACE_MAX: Duration = Duration::from_secs(24 * 60 * 60);

    /// The variables that a process gets from this one, where they are set. Whatever else is in this process's
    /// environment, such as keys, it does not see.
    pub const PASSED: [&'static str; 14] = [
        "PATH",
        "HOME",
        "USER",
        "LOGNAME",
        "LANG",
        "LANGUAGE",
        "LC_ALL",
        "LC_CTYPE",
        "TZ",
        "TMPDIR",
        "VIRTUAL_ENV",
        "LD_LIBRARY_PATH",
        "CUDA_VISIBLE_DEVICES",
        "SSL_CERT_FILE",
    ];

    /// A program, found on the `PATH` that the process gets unless there is a `/` in it.
    pub fn new(program: impl Into<OsString>) -> Self {
        Self {
            program: program.into(),
            args: Vec::new(),
            env: BTreeMap::new(),
            inherits: false,
            working_dir: None,
            grace: Duration::from_secs(30),
            log_bytes_max: Self::LOG_BYTES,
            formats: vec![Format::Mlx, Format::Transformers],
            result: None,
            parameters: None,
            data: BTreeMap::new(),
            deadline: None,
        }
    }

    /// With one more argument.
    pub fn with_arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// With more arguments. At most [`Launch::ARGS_MAX`] in all.
    pub fn with_args(mut self, args: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// With a variable, in place of one of that name that would be passed on.
    pub fn with_env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.env.insert(name.into(), value.into());
        self
    }

    /// With the whole environment of this process, and not only what [`Launch::PASSED`] names. Mind what secrets are in
    /// there; trainyard's own, and whatever else has a name that begins with `TRAINYARD_`, are never passed on.
    pub const fn with_inherited_env(mut self) -> Self {
        self.inherits = true;
        self
    }

    /// In this folder. Default: the attempt's own.
    pub fn with_working_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.working_dir = Some(folder.into());
        self
    }

    /// How long it has between SIGTERM and SIGKILL. Default: 30 seconds; zero for none; at most [`Launch::GRACE_MAX`]. Where the grace of the job's own
    /// [limits](trainyard_core::Limits) is shorter, the run is given up after that, and killed.
    pub const fn with_grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// How much of what it prints stays on disk, in bytes from the start; what comes after is kept for its last lines
    /// only. Default: [`Launch::LOG_BYTES`].
    pub const fn with_log_bytes_max(mut self, bytes: u64) -> Self {
        self.log_bytes_max = bytes;
        self
    }

    /// Which formats its lines may have. Default: [`Format::Mlx`] and [`Format::Transformers`].
    pub fn with_formats(mut self, formats: impl IntoIterator<Item = Format>) -> Self {
        self.formats = formats.into_iter().collect();
        self
    }

    /// What it leaves when it succeeds without naming an artifact: a file or folder, relative to the attempt's folder.
    /// Nothing there is a failure. Default: such a job completes without a model.
    pub fn with_result(mut self, path: impl Into<PathBuf>) -> Self {
        self.result = Some(path.into());
        self
    }

    /// What it is told as `params`. Default: the job's parameters if they are JSON, else their text.
    pub fn with_parameters(mut self, parameters: Value) -> Self {
        self.parameters = Some(parameters);
        self
    }

    /// Where some of its data is, under a name, in `data`.
    pub fn with_data(mut self, name: impl Into<String>, uri: impl Into<String>) -> Self {
        self.data.insert(name.into(), uri.into());
        self
    }

    /// When it should be done, in `deadline`. It is only told: what ends it is the job's time limit.
    pub const fn with_deadline(mut self, deadline: Timestamp) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// How long it has between SIGTERM and SIGKILL.
    #[must_use]
    pub const fn grace(&self) -> Duration {
        self.grace
    }

    /// Where it works, when its attempt's folder is this.
    pub(crate) fn folder<'a>(&'a self, attempt: &'a Path) -> &'a Path {
        self.working_dir.as_deref().unwrap_or(attempt)
    }

    /// Checks what has a bound.
    pub(crate) fn check(&self) -> Result<(), TrainError> {
        let bytes = |part: &OsStr| part.len() + 1;
        let args: usize = self.args.iter().map(|arg| bytes(arg)).sum();
        if self.args.len() > Self::ARGS_MAX || args + bytes(&self.program) > Self::BYTES_MAX {
            let (count, max) = (Self::ARGS_MAX, Self::BYTES_MAX);
            let text = format!("a program may have {count} arguments and {max} bytes of them");
            return Err(TrainError::failed(text));
        }
        let env: usize = self.env.iter().map(|(name, value)| bytes(name) + bytes(value)).sum();
        if env > Self::BYTES_MAX {
            return Err(TrainError::failed(format!("its variables are over {} bytes", Self::BYTES_MAX)));
        }
        if self.grace > Self::GRACE_MAX {
            let max = Self::GRACE_MAX.as_secs();
            return Err(TrainError::failed(format!("its grace is over {max} seconds")));
        }
        Ok(())
    }

    /// The variables it gets, but for those of the protocol.
    pub(crate) fn environment(&self) -> BTreeMap<OsString, OsString> {
        let mut all: BTreeMap<OsString, OsString> = match self.inherits {
            true => std::env::vars_os().filter(|(name, _)| !is_ours(name)).collect(),
            false => Self::PASSED
                .iter()
                .filter_map(|name| Some((OsString::from(name), std::env::var_os(name)?)))
                .collect(),
        };
        // Its output is a file, and Python would keep lines back for long.
        all.entry("PYTHONUNBUFFERED".into()).or_insert_with(|| "1".into());
        all.extend(self.env.clone());
        all
    }
}

/// Whether a variable is one of trainyard's: keys among them, and what an outer yard has told this process.
fn is_ours(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b"TRAINYARD_")
}

impl std::fmt::Debug for Launch {
    /// Without arguments and variables, which may hold what no log should.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Launch").field("program", &self.program).finish_non_exhaustive()
    }
}
