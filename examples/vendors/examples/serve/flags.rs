//! What `serve` can be told, by arguments or by the environment.

use std::error::Error;
use std::ffi::{OsStr, OsString};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use clap::builder::{BoolishValueParser, PossibleValuesParser, Resettable, TypedValueParser};
use clap::{Command, CommandFactory, FromArgMatches, Parser};
use trainyard_core::{Gain, Score, StallRule, Switch};
use trainyard_cyborgdb::{Rule, Settings};
use trainyard_eliza::{Backend, OllamaUrl};
use trainyard_http::PublicUrl;
use trainyard_http::secret::Secret;
use trainyard_process::AtShutdown;
use trainyard_prompt::{Endpoint, optimizer};
use trainyard_server::{ElizaCommand, JournalChoice, OpenAccess, Presence, ServiceConfig, ValidateCommand};

/// Serves CyborgDB's wire format over real vector indexes, MathFi's over contests of real classifiers, HeyGen's for
/// photo avatars over real models of photos, and elizaOS's for agents: prompts are optimised, and weights trained.
#[derive(Parser)]
#[command(version)]
pub(crate) struct Flags {
    /// Address and port to listen on
    #[arg(long, env = "TRAINYARD_LISTEN", value_name = "ADDR", default_value = "127.0.0.1:8000")]
    listen: SocketAddr,
    /// Folder for everything that is kept; made when it is not there
    #[arg(long, env = "TRAINYARD_DATA", value_name = "DIR", default_value = "./trainyard-data")]
    data: PathBuf,
    /// URL under which clients reach this server, such as https://train.example.com; needed when it listens on all
    /// addresses [default: http:// and the address]
    #[arg(long, env = "TRAINYARD_PUBLIC_URL", value_name = "URL")]
    public_url: Option<PublicUrl>,
    /// Key that every caller must show in X-API-Key; better given by the environment, since other users can see
    /// arguments. Unset: nobody is asked, which is allowed on a loopback address only
    #[arg(long, env = "TRAINYARD_CYBORGDB_ROOT_KEY", value_name = "KEY", hide_env_values = true)]
    cyborgdb_root_key: Option<String>,
    /// Allow other addresses than loopback without a key
    #[arg(long, env = "TRAINYARD_INSECURE", value_parser = BoolishValueParser::new())]
    insecure: bool,
    /// When indexes are retrained: as CyborgDB documents it, or as its service 0.17 and 0.18 does
    #[arg(long, env = "TRAINYARD_CYBORGDB_RULE", value_name = "RULE", default_value = "documented",
        value_parser = PossibleValuesParser::new(["documented", "service"]))]
    cyborgdb_rule: String,
    /// Vectors per list above which an index is retrained; under `service` the vectors in all that a first training
    /// must exceed
    #[arg(long, env = "TRAINYARD_CYBORGDB_RETRAIN_THRESHOLD", value_name = "N", default_value_t = 10_000)]
    cyborgdb_retrain_threshold: u64,
    /// Vectors at which an index is trained for the first time; under `documented`
    #[arg(long, env = "TRAINYARD_CYBORGDB_FIRST_TRAINING", value_name = "N", default_value_t = 10_000)]
    cyborgdb_first_training: u64,
    /// Vectors below which an index is never trained, also not when it is asked for
    #[arg(long, env = "TRAINYARD_CYBORGDB_MIN_VECTORS", value_name = "N", default_value_t = 10_000)]
    cyborgdb_min_vectors: u64,
    /// Whether indexes are trained by themselves
    #[arg(long, env = "TRAINYARD_CYBORGDB_AUTO_TRAIN", value_name = "WHETHER", default_value = "on",
        value_parser = PossibleValuesParser::new(["on", "off"])
            .map(|word| if word == "on" { Switch::On } else { Switch::Off }))]
    cyborgdb_auto_train: Switch,
    /// How many indexes there may be; each is in memory as a whole
    #[arg(long, env = "TRAINYARD_CYBORGDB_INDEXES_MAX", value_name = "N", default_value_t = 1_000)]
    cyborgdb_indexes_max: usize,
    /// Somebody who may log in to MathFi's wire; may be given more than once. Better given by the environment, a line
    /// each, since other users can see arguments. Unset: a user is made, and its password shown once
    #[arg(
        long,
        env = "TRAINYARD_MATHFI_USER",
        value_name = "NAME:PASSWORD",
        value_delimiter = '\n',
        hide_env_values = true
    )]
    mathfi_user: Vec<String>,
    /// Performance that an algorithm must gain within the window, or it is stopped; 0 to 1
    #[arg(long, env = "TRAINYARD_MATHFI_STALL_GAIN", value_name = "GAIN", default_value = "0.02",
        value_parser = gain)]
    mathfi_stall_gain: Score,
    /// How long an algorithm may take to gain so much, such as 300s, 5m or 1h
    #[arg(long, env = "TRAINYARD_MATHFI_STALL_WINDOW", value_name = "TIME", default_value = "5m",
        value_parser = time)]
    mathfi_stall_window: Duration,
    /// How long a contest may take
    #[arg(long, env = "TRAINYARD_MATHFI_TIME_LIMIT", value_name = "TIME", default_value = "1h",
        value_parser = time)]
    mathfi_time_limit: Duration,
    /// How many contests run at once
    #[arg(long, env = "TRAINYARD_MATHFI_RUNNING_MAX", value_name = "N", default_value_t = 2,
        value_parser = clap::value_parser!(u32).range(1..))]
    mathfi_running_max: u32,
    /// Key that callers of HeyGen's wire must show in X-Api-Key; better given by the environment, since other users can
    /// see arguments. Unset: a random one is made for the data folder, and shown once
    #[arg(long, env = "TRAINYARD_HEYGEN_KEY", value_name = "KEY", hide_env_values = true)]
    heygen_key: Option<String>,
    /// How long the training of a photo avatar may take
    #[arg(long, env = "TRAINYARD_HEYGEN_TIME_LIMIT", value_name = "TIME", default_value = "30m",
        value_parser = time)]
    heygen_time_limit: Duration,
    /// How many photo avatars are trained at once
    #[arg(long, env = "TRAINYARD_HEYGEN_RUNNING_MAX", value_name = "N", default_value_t = 1,
        value_parser = clap::value_parser!(u32).range(1..))]
    heygen_running_max: u32,
    /// Token that callers of elizaOS's wire must show as Authorization: Bearer; better given by the environment, since
    /// other users can see arguments. Unset: nobody is asked on a loopback address; on another one a random one is made
    /// for the data folder, and shown once
    #[arg(long, env = "TRAINYARD_ELIZA_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    eliza_token: Option<String>,
    /// File with trajectories of agents, as JSON or JSON lines, that is taken in when the server starts, once for what is
    /// in it; may be given more than once
    #[arg(long, env = "TRAINYARD_ELIZA_TRAJECTORIES", value_name = "FILE")]
    eliza_trajectories: Vec<PathBuf>,
    /// Where Ollama is, on a loopback address, when a request does not say
    #[arg(long, env = "TRAINYARD_ELIZA_OLLAMA", value_name = "URL", default_value = "http://localhost:11434",
        value_parser = OllamaUrl::parse)]
    eliza_ollama: OllamaUrl,
    /// Language model that prompts are optimised against, such as http://localhost:11434; unset: the backend native is
    /// not offered. A key, where it wants one, is given by the environment alone, as TRAINYARD_MODEL_KEY
    #[arg(long, env = "TRAINYARD_MODEL_URL", value_name = "URL")]
    eliza_model_url: Option<String>,
    /// Which words that model takes: those of POST /v1/chat/completions, or Ollama's own
    #[arg(long, env = "TRAINYARD_MODEL_API", value_name = "API", default_value = "ollama",
        value_parser = PossibleValuesParser::new(["openai", "ollama"]))]
    eliza_model_api: String,
    /// What that model is called, when a training does not name another one there
    #[arg(long, env = "TRAINYARD_MODEL_NAME", value_name = "NAME", default_value = "qwen2.5:7b-instruct")]
    eliza_model_name: String,
    /// How prompts are optimised when a training does not say
    #[arg(long, env = "TRAINYARD_ELIZA_OPTIMIZER", value_name = "NAME", default_value = "gepa",
        value_parser = PossibleValuesParser::new(["gepa", "mipro", "instruction-search", "bootstrap-fewshot"]))]
    eliza_optimizer: String,
    /// Folder of the model that adapters are trained beside for the backend cpu: a small llama over bytes, as the example
    /// make_base makes one; unset: one is made in the data folder when it is needed first
    #[arg(long, env = "TRAINYARD_ELIZA_BASE", value_name = "DIR")]
    eliza_base: Option<PathBuf>,
    /// elizaOS's script train_local.py, which is run by python3 for the backends mlx, cuda and cpu
    #[arg(long, env = "TRAINYARD_ELIZA_SCRIPT", value_name = "FILE")]
    eliza_script: Option<PathBuf>,
    /// Program that trains for the backend mlx, with arguments such as {data}, {output} and {iterations}; unset: that of
    /// the script, or else mlx_lm lora
    #[arg(long, env = "TRAINYARD_ELIZA_MLX_COMMAND", value_name = "COMMAND")]
    eliza_mlx_command: Option<ElizaCommand>,
    /// Program that trains for the backend cuda
    #[arg(long, env = "TRAINYARD_ELIZA_CUDA_COMMAND", value_name = "COMMAND")]
    eliza_cuda_command: Option<ElizaCommand>,
    /// Program that trains for the backend cpu, in place of what is built in
    #[arg(long, env = "TRAINYARD_ELIZA_CPU_COMMAND", value_name = "COMMAND")]
    eliza_cpu_command: Option<ElizaCommand>,
    /// Environment variable of this server that programs which train or try models are given, too, such as HF_HOME; may
    /// be given more than once. Others they do not see, but for PATH, HOME and the like
    #[arg(long, env = "TRAINYARD_ELIZA_PASS_ENV", value_name = "NAME")]
    eliza_pass_env: Vec<OsString>,
    /// Offer backends that have a program without looking whether the machine has what they need
    #[arg(long, env = "TRAINYARD_ELIZA_ANY_MACHINE", value_parser = BoolishValueParser::new())]
    eliza_any_machine: bool,
    /// Program that tries a model which a program has trained, whose folder is its last argument, and ends with 0 when it
    /// is good; unset: such models cannot be tried
    #[arg(long, env = "TRAINYARD_ELIZA_VALIDATE_COMMAND", value_name = "COMMAND", value_parser = words)]
    eliza_validate_command: Option<Words>,
    /// What becomes of programs that train when this server stops: they go on, and are found again, or they are stopped,
    /// and begun again
    #[arg(long, env = "TRAINYARD_ELIZA_AT_SHUTDOWN", value_name = "WHAT", default_value = "leave",
        value_parser = PossibleValuesParser::new(["leave", "stop"])
            .map(|word| if word == "stop" { AtShutdown::Stop } else { AtShutdown::LeaveRunning }))]
    eliza_at_shutdown: AtShutdown,
    /// How many agents are trained at once
    #[arg(long, env = "TRAINYARD_ELIZA_RUNNING_MAX", value_name = "N", default_value_t = 1,
        value_parser = clap::value_parser!(u32).range(1..))]
    eliza_running_max: u32,
    /// How much memory contests may take together, in MiB
    #[arg(long, env = "TRAINYARD_MEMORY_MIB", value_name = "MIB", default_value_t = 4_096)]
    memory_mib: u64,
    /// How much memory the bodies of all requests may take together, in MiB; beyond, they are refused with a 503
    /// [default: 1024]
    #[arg(long, env = "TRAINYARD_BODIES_MIB", value_name = "MIB", value_parser = clap::value_parser!(u32).range(1..))]
    bodies_mib: Option<u32>,
    /// How much memory answers may hold that clients have yet to take, in MiB; beyond, a 503 takes their place
    /// [default: 256]
    #[arg(long, env = "TRAINYARD_ANSWERS_MIB", value_name = "MIB", value_parser = clap::value_parser!(u32).range(1..))]
    answers_mib: Option<u32>,
    /// Where jobs are kept: in the data folder, or nowhere, so that they are gone after a restart
    #[arg(long, env = "TRAINYARD_JOURNAL", value_name = "WHERE", default_value = "sqlite",
        value_parser = PossibleValuesParser::new(["sqlite", "memory"])
            .map(|word| if word == "memory" { JournalChoice::Memory } else { JournalChoice::Sqlite }))]
    journal: JournalChoice,
    /// Serve nothing: read all of the data folder's journal, change nothing, say in a line whether it is whole, and end
    /// with exit code 0 or 1. Nobody may have it open meanwhile
    #[arg(long)]
    verify: bool,
}

impl Flags {
    /// What the arguments and the environment say; ends the process when that is not understood.
    pub(crate) fn read() -> Self {
        let matches = command(|variable| std::env::var_os(variable)).get_matches();
        Self::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
    }

    /// The data folder whose journal is to be verified, if that is all that is to be done.
    pub(crate) fn verify(&self) -> Option<&Path> {
        self.verify.then_some(&*self.data)
    }

    pub(crate) fn config(&self) -> Result<ServiceConfig, Box<dyn Error>> {
        let (threshold, first) = (self.cyborgdb_retrain_threshold, self.cyborgdb_first_training);
        let rule = match self.cyborgdb_rule.as_str() {
            "service" => Rule::Service { floor: threshold },
            _ => Rule::Documented { threshold, first },
        };
        let mut settings = Settings::new()
            .with_rule(rule)
            .with_min_vectors(self.cyborgdb_min_vectors)
            .with_auto_train(self.cyborgdb_auto_train);
        if let Some(key) = &self.cyborgdb_root_key {
            settings =
                settings.with_root_key(Secret::new(key).map_err(|error| format!("root key: {error}"))?);
        }
        let stall =
            StallRule { gain: Gain::Performance(self.mathfi_stall_gain), within: self.mathfi_stall_window };
        let mathfi = trainyard_mathfi::Settings::new()
            .with_stall(Some(stall))
            .with_time_limit(Some(self.mathfi_time_limit));
        let mut heygen = trainyard_heygen::Settings::new().with_time_limit(Some(self.heygen_time_limit));
        if let Some(key) = &self.heygen_key {
            heygen = heygen.with_key(Secret::new(key).map_err(|error| format!("HeyGen's key: {error}"))?);
        }
        let mut config = ServiceConfig::new(&self.data)
            .with_listen(self.listen)
            .with_journal(self.journal)
            .with_indexes_max(self.cyborgdb_indexes_max)
            .with_open_access(if self.insecure { OpenAccess::Anywhere } else { OpenAccess::Loopback })
            .with_cyborgdb(settings)
            .with_mathfi(mathfi)
            .with_heygen(heygen)
            .with_heygen_running_max(self.heygen_running_max)
            .with_mathfi_running_max(self.mathfi_running_max)
            .with_memory_mib(self.memory_mib);
        let bytes = |mib: u32| usize::try_from(u64::from(mib) << 20).unwrap_or(usize::MAX);
        if let Some(mib) = self.bodies_mib {
            config = config.with_bodies_bytes(bytes(mib));
        }
        if let Some(mib) = self.answers_mib {
            config = config.with_answers_bytes(bytes(mib));
        }
        config = self.eliza(config)?;
        for User { name, password } in self.users()? {
            config = config.with_mathfi_user(name, password);
        }
        if let Some(url) = &self.public_url {
            config = config.with_public_url(url.clone());
        }
        Ok(config)
    }
}

/// What elizaOS's wire is told.
impl Flags {
    fn eliza(&self, config: ServiceConfig) -> Result<ServiceConfig, String> {
        let mut settings = trainyard_eliza::Settings::new().with_ollama(self.eliza_ollama.clone());
        if let Some(token) = &self.eliza_token {
            let token = Secret::new(token).map_err(|error| format!("elizaOS's token: {error}"))?;
            settings = settings.with_token(token);
        }
        let config = config.with_eliza(settings).with_eliza_running_max(self.eliza_running_max);
        let config = config.with_eliza_at_shutdown(self.eliza_at_shutdown);
        let config = self.built_in(config)?;
        let config = self.eliza_trajectories.iter().fold(config, ServiceConfig::with_eliza_trajectories);
        let of_script = self.eliza_script.as_deref().map(ElizaCommand::train_local);
        let commands = [
            (Backend::Mlx, &self.eliza_mlx_command),
            (Backend::Cuda, &self.eliza_cuda_command),
            (Backend::Cpu, &self.eliza_cpu_command),
        ];
        let passed = || self.eliza_pass_env.iter().filter_map(|name| Some((name, std::env::var_os(name)?)));
        let presence = if self.eliza_any_machine { Presence::Assumed } else { Presence::Probed };
        let config = commands.into_iter().fold(config, |config, (backend, command)| {
            let told = command.clone().or_else(|| of_script.clone());
            match told.or_else(|| config.eliza_command(backend).cloned()) {
                Some(command) => {
                    let command =
                        passed().fold(command, |command, (name, value)| command.with_variable(name, value));
                    config.with_eliza_command(backend, command.with_presence(presence))
                }
                None => config,
            }
        });
        Ok(match &self.eliza_validate_command {
            Some(Words(program, arguments)) => {
                let command = ValidateCommand::new(program, arguments);
                let command =
                    passed().fold(command, |command, (name, value)| command.with_variable(name, value));
                config.with_eliza_benchmark(command)
            }
            None => config,
        })
    }
}

/// What is trained for agents in this process.
impl Flags {
    fn built_in(&self, config: ServiceConfig) -> Result<ServiceConfig, String> {
        let told = |name: &str| match name {
            "TRAINYARD_MODEL_URL" => self.eliza_model_url.clone(),
            "TRAINYARD_MODEL_API" => Some(self.eliza_model_api.clone()),
            "TRAINYARD_MODEL_NAME" => Some(self.eliza_model_name.clone()),
            other => std::env::var(other).ok(),
        };
        let model = Endpoint::from_env(told).map_err(|error| format!("elizaOS's model: {error}"))?;
        let optimizer = optimizer(&self.eliza_optimizer).map_err(|error| error.to_string())?;
        let config = config.with_eliza_optimizer(Arc::from(optimizer));
        let config = model.into_iter().fold(config, ServiceConfig::with_eliza_model);
        Ok(self.eliza_base.iter().fold(config, ServiceConfig::with_eliza_base))
    }
}

/// A program and its arguments.
#[derive(Debug, Clone)]
struct Words(String, Vec<String>);

fn words(text: &str) -> Result<Words, String> {
    let mut words = shlex::split(text).ok_or("a quotation in it has no end")?.into_iter();
    let program = words.next().ok_or("there is no program in it")?;
    Ok(Words(program, words.collect()))
}

impl Flags {
    /// Read here, for a complaint of the parser's would show the password.
    fn users(&self) -> Result<Vec<User>, String> {
        let lines = (1..).zip(&self.mathfi_user).filter(|(_, line)| !line.trim().is_empty());
        lines.map(|(n, line)| line.parse().map_err(|error| format!("MathFi's user {n}: {error}"))).collect()
    }
}

/// A variable that is set to nothing says nothing, as where a list of all of them was filled in by half. Not so the root
/// key: there the door would stand open for a mistake.
fn command(environment: impl Fn(&OsStr) -> Option<OsString>) -> Command {
    Flags::command().mut_args(|arg| {
        let is_empty = arg.get_env().and_then(&environment).is_some_and(|value| value.is_empty());
        if is_empty && arg.get_id() != "cyborgdb_root_key" { arg.env(Resettable::Reset) } else { arg }
    })
}

/// Somebody who may log in.
struct User {
    name: String,
    password: Secret,
}

impl FromStr for User {
    type Err = &'static str;

    /// A name has no colon; a password may.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.strip_suffix('\r').unwrap_or(text);
        let (name, password) = text.split_once(':').ok_or("a colon must stand between name and password")?;
        if name.is_empty() {
            return Err("there is no name before the colon");
        }
        let password = Secret::new(password).map_err(|_| "there is no password after the colon")?;
        Ok(Self { name: name.to_owned(), password })
    }
}

fn gain(text: &str) -> Result<Score, String> {
    let number: f64 = text.parse().map_err(|_| "it is no number".to_owned())?;
    match Score::new(number) {
        Ok(score) if (0.0..=1.0).contains(&number) => Ok(score),
        Ok(_) | Err(_) => Err("it is not within 0 to 1".to_owned()),
    }
}

fn time(text: &str) -> Result<Duration, String> {
    let time = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if time.is_zero() { Err("it is no time at all".to_owned()) } else { Ok(time) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flags_are_sound_and_the_key_is_not_shown() {
        Flags::command().debug_assert();
        let config = |more: &[&str]| Flags::parse_from([&["serve"], more].concat()).config().unwrap();
        let Rule::Documented { threshold: 10_000, first: 10_000 } = config(&[]).cyborgdb().rule() else {
            panic!()
        };
        assert_eq!(config(&["--journal", "memory"]).journal(), JournalChoice::Memory);
        let config = config(&["--cyborgdb-root-key", "s3cret", "--cyborgdb-rule", "service"]);
        assert_eq!(config.cyborgdb().rule(), Rule::Service { floor: 10_000 });
        assert!(!format!("{config:?}").contains("s3cret"));
    }

    #[test]
    fn a_model_is_told_by_its_url() {
        let config = |more: &[&str]| Flags::parse_from([&["serve"], more].concat()).config();
        let url = ["--eliza-model-url", "http://127.0.0.1:9/v1", "--eliza-model-api", "openai"];
        let told = config(&[&url[..], &["--eliza-model-name", "tiny", "--eliza-base", "base"]].concat());
        assert_eq!(
            told.unwrap().eliza_model().map(|model| (model.url(), model.model())),
            Some(("http://127.0.0.1:9", "tiny"))
        );
        assert!(config(&[]).unwrap().eliza_model().is_none());
        let error = config(&["--eliza-model-url", "https://127.0.0.1"]).unwrap_err().to_string();
        assert!(
            error.starts_with("elizaOS's model: the url of a model server begins with http://"),
            "{error}"
        );
        assert!(Flags::try_parse_from(["serve", "--eliza-optimizer", "guesswork"]).is_err());
    }

    #[test]
    fn a_public_url_is_one() {
        let config =
            |url: &str| Flags::try_parse_from(["serve", "--public-url", url]).map(|flags| flags.config());
        let url = config("https://train.example.com/a/").unwrap().unwrap();
        assert_eq!(url.public_url().map(PublicUrl::as_str), Some("https://train.example.com/a"));
        for url in ["", "train.example.com", "https://train.example.com?a=b"] {
            assert!(config(url).is_err(), "{url}");
        }
    }

    #[test]
    fn a_variable_that_is_set_to_nothing_says_nothing() {
        let read = |value: Option<&'static str>, id: &str| {
            let command = command(|_| value.map(OsString::from));
            command.get_arguments().find(|arg| arg.get_id() == id).unwrap().get_env().is_some()
        };
        for id in ["public_url", "listen", "mathfi_time_limit"] {
            assert!(!read(Some(""), id) && read(Some("x"), id) && read(None, id), "{id}");
        }
        assert!(read(Some(""), "cyborgdb_root_key"), "an empty key is a mistake, and is told");
    }

    #[test]
    fn how_much_memory_requests_may_take() {
        let config = |more: &[&str]| {
            let flags = Flags::try_parse_from([&["serve"], more].concat()).unwrap();
            format!("{:?}", flags.config().unwrap())
        };
        let told = config(&["--bodies-mib", "3", "--answers-mib", "2"]);
        let expected = ServiceConfig::new("d").with_bodies_bytes(3 << 20).with_answers_bytes(2 << 20);
        for part in ["bodies_bytes: Some(3145728)", "answers_bytes: Some(2097152)"] {
            assert!(told.contains(part) && format!("{expected:?}").contains(part), "{part}");
        }
        assert!(config(&[]).contains("bodies_bytes: None, answers_bytes: None"));
    }

    #[test]
    fn what_mathfi_is_told() {
        let parsed = |more: &[&str]| Flags::try_parse_from([&["serve"], more].concat());
        let config = |more: &[&str]| parsed(more).unwrap().config().unwrap();
        let limits = config(&[]).mathfi().class().limits;
        assert_eq!(limits, trainyard_mathfi::Settings::new().class().limits, "the defaults are the vendor's");
        assert_eq!((config(&[]).mathfi_running_max(), config(&[]).memory_mib()), (2, 4_096));
        assert_eq!(config(&[]).mathfi_users().count(), 0);

        let window = ["--mathfi-stall-gain", "0.5", "--mathfi-stall-window", "90s"];
        let config = config(&[&window[..], &["--mathfi-time-limit", "1h 30m", "--memory-mib", "7"]].concat());
        let limits = config.mathfi().class().limits;
        let gain = Gain::Performance(Score::new(0.5).unwrap());
        assert_eq!(limits.stall, Some(StallRule { gain, within: Duration::from_secs(90) }));
        assert_eq!(limits.time, Some(Duration::from_secs(5_400)));
        assert_eq!(config.memory_mib(), 7);

        let wrong = [
            ("--mathfi-stall-gain", "1.1"),
            ("--mathfi-stall-gain", "NaN"),
            ("--mathfi-stall-gain", "-0.1"),
            ("--mathfi-stall-window", "0s"),
            ("--mathfi-time-limit", "soon"),
            ("--mathfi-running-max", "0"),
        ];
        for (flag, value) in wrong {
            let flag = format!("{flag}={value}");
            assert!(parsed(&[&flag]).is_err(), "{flag}");
        }
    }

    #[test]
    fn what_heygen_is_told() {
        let config = |more: &[&str]| Flags::parse_from([&["serve"], more].concat()).config().unwrap();
        let limits = config(&[]).heygen().class().limits;
        assert_eq!(limits, trainyard_heygen::Settings::new().class().limits);
        assert_eq!(config(&[]).heygen_running_max(), 1);
        assert!(config(&[]).heygen().key().is_none(), "one is made");
        let config =
            config(&["--heygen-key", "s3cret", "--heygen-time-limit", "90s", "--heygen-running-max", "2"]);
        assert_eq!(config.heygen().key().map(Secret::expose), Some("s3cret"));
        assert_eq!(config.heygen().class().limits.time, Some(Duration::from_secs(90)));
        assert_eq!(config.heygen_running_max(), 2);
        assert!(!format!("{config:?}").contains("s3cret"));
    }

    #[test]
    fn what_elizaos_is_told() {
        let parsed = |more: &[&str]| Flags::try_parse_from([&["serve"], more].concat());
        let config = |more: &[&str]| parsed(more).unwrap().config().unwrap();
        let plain = config(&[]);
        assert!(plain.eliza().token().is_none());
        assert_eq!(plain.eliza().ollama().as_str(), "http://localhost:11434");
        assert_eq!(plain.eliza_running_max(), 1);
        assert_eq!(plain.eliza_at_shutdown(), AtShutdown::LeaveRunning);
        assert_eq!(config(&["--eliza-at-shutdown", "stop"]).eliza_at_shutdown(), AtShutdown::Stop);
        assert_eq!(plain.eliza_command(Backend::Mlx), Some(&ElizaCommand::mlx_lora()));
        assert_eq!(plain.eliza_command(Backend::Cuda), None);
        let told = config(&[
            "--eliza-token",
            "s3cret",
            "--eliza-script",
            "train_local.py",
            "--eliza-cuda-command",
            "sh -c 'train {data} {output}'",
            "--eliza-any-machine",
        ]);
        assert_eq!(told.eliza().token().map(Secret::expose), Some("s3cret"));
        let script = ElizaCommand::train_local("train_local.py".as_ref()).with_presence(Presence::Assumed);
        assert_eq!(told.eliza_command(Backend::Mlx), Some(&script));
        assert_eq!(told.eliza_command(Backend::Cpu), Some(&script));
        assert_eq!(told.eliza_command(Backend::Cuda).unwrap().to_string(), "sh -c train {data} {output}");
        assert!(!format!("{told:?}").contains("s3cret"));
        for (flag, value) in [
            ("--eliza-ollama", "http://ollama.example.com:11434"),
            ("--eliza-mlx-command", "train {home}"),
            ("--eliza-validate-command", "sh '"),
            ("--eliza-running-max", "0"),
        ] {
            let flag = format!("{flag}={value}");
            assert!(parsed(&[&flag]).is_err(), "{flag}");
        }
    }

    #[test]
    fn users_are_told_one_by_one_or_a_line_each() {
        let config = |more: &[&str]| Flags::parse_from([&["serve"], more].concat()).config().unwrap();
        let users = |config: &ServiceConfig| config.mathfi_users().map(str::to_owned).collect::<Vec<_>>();
        let one_by_one = config(&["--mathfi-user", "b@example.com:s3cret", "--mathfi-user", "a:x:y"]);
        assert_eq!(users(&one_by_one), ["a", "b@example.com"]);
        assert!(!format!("{one_by_one:?}").contains("s3cret"));
        assert_eq!(
            users(&config(&["--mathfi-user", "a:1\nb:2\r\nc:3\n"])),
            ["a", "b", "c"],
            "as the environment has it"
        );
        let User { name, password } = "a:x:y".parse().unwrap();
        assert_eq!((name.as_str(), password.expose()), ("a", "x:y"));
    }

    #[test]
    fn a_password_is_in_no_complaint() {
        for user in [":s3cret", "s3cret", "s3cret:"] {
            let flags = Flags::parse_from(["serve", "--mathfi-user", "a:1", "--mathfi-user", user]);
            let error = flags.config().unwrap_err().to_string();
            assert!(error.starts_with("MathFi's user 2: ") && !error.contains("s3cret"), "{error}");
        }
        let help = Flags::command().render_long_help().to_string();
        assert!(help.contains("TRAINYARD_MATHFI_USER") && help.contains("TRAINYARD_MATHFI_STALL_WINDOW"));
    }
}
