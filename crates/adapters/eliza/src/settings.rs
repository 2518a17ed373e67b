//! What the embedding service decides once.

use std::collections::BTreeSet;
use std::time::Duration;

use trainyard_core::{Class, Kind, Metric, Promotion, QueueName, Registry, Score, Switch};
use trainyard_http::secret::Secret;

use crate::host::Backend;
use crate::ollama::{self, OllamaUrl};

/// How the adapter behaves; everything has a default.
///
/// ```
/// use trainyard_eliza::{Backend, Settings};
/// use trainyard_http::secret::Secret;
///
/// let settings = Settings::new().with_token(Secret::new("what clients send along")?);
/// assert_eq!(settings.class(Backend::Native).kind.as_str(), "eliza/native");
/// # Ok::<(), trainyard_http::secret::EmptySecret>(())
/// ```
#[derive(Debug, Clone)]
pub struct Settings {
    token: Option<Secret>,
    query_token: Switch,
    origins: Origins,
    hosts: BTreeSet<String>,
    classes: [Class; Backend::ALL.len()],
    task_promotion: Promotion,
    restart: Switch,
    ollama: OllamaUrl,
    patience: Duration,
    limits: Limits,
}

/// From which pages a browser may ask. What sends no `Origin` is no page, and may ask.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origins {
    /// From those that this machine serves: `http` or `https`, `localhost` or a loopback address, any port.
    Loopback,
    /// From those too, and from these: as browsers write them, such as `https://agent.example.com`.
    LoopbackAnd(BTreeSet<String>),
    /// From any. Without a [token](Settings::with_token), any page that is open in a browser on this machine can then
    /// read and train.
    Any,
}

/// Bounds on what one request may ask for. What is beyond a bound is refused with a 4xx and changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The longest JSON body, in bytes, also for [`Mount::with_body_limit`](trainyard_http::Mount::with_body_limit) at
    /// `/api/training`. Default: 1 MiB, as the original.
    pub json_bytes: usize,
    /// The longest body with trajectories, in bytes, also for the body limit at `/api/training/trajectories`. Default:
    /// 16 MiB.
    pub ingest_bytes: usize,
    /// How many bodies with trajectories may come in at once, 1 to a million; more are answered with 503, before they are
    /// read. Default: 16.
    pub ingests: usize,
    /// How many jobs a list shows, the newest. Default: 500.
    pub jobs_listed: usize,
    /// How many models a list shows, the newest. Default: 500.
    pub models_listed: usize,
    /// How many lines of a job's log are shown, the newest. Default: 600, as the original.
    pub log_lines: usize,
    /// How many lines of logs a list of jobs shows in all; those of the newest jobs go first. Default: 6,000.
    pub log_lines_listed: usize,
    /// How many imports and benchmarks may be under way at once; more are answered with 503. Default: 4.
    pub errands: usize,
    /// How many event streams may be open at once, 1 to a million; more are answered with 503. Default: 64.
    pub streams: usize,
    /// How many more may be open that have yet to say the token, 1 to a million. Default: 16.
    pub strangers: usize,
    /// How long the first message of an event stream may take, when it has to hold the token. Default: 10 seconds.
    pub auth_time: Duration,
}

impl Settings {
    /// The defaults: no token, pages of this machine, jobs in one queue.
    #[must_use]
    pub fn new() -> Self {
        Self {
            token: None,
            query_token: Switch::Off,
            origins: Origins::Loopback,
            hosts: BTreeSet::new(),
            classes: Backend::ALL.map(class),
            task_promotion: gated(),
            restart: Switch::On,
            ollama: OllamaUrl::default(),
            patience: Duration::from_secs(8),
            limits: Limits::default(),
        }
    }

    /// Asks every caller for this. Default: nobody is asked, so that a service without a token belongs on a loopback
    /// address; whether it may listen elsewhere is for the embedding service to say.
    #[must_use]
    pub fn with_token(mut self, token: Secret) -> Self {
        self.token = Some(token);
        self
    }

    /// Whether an event stream may carry its token as `?token=…`. Paths end up in logs, so: off by default.
    #[must_use]
    pub fn with_query_token(mut self, switch: Switch) -> Self {
        self.query_token = switch;
        self
    }

    /// From which pages a browser may ask. Default: [`Origins::Loopback`]. A page that the service itself is reached
    /// under counts like any other.
    #[must_use]
    pub fn with_origins(mut self, origins: Origins) -> Self {
        self.origins = origins;
        self
    }

    /// Under which names the service may be asked for while there is no token, such as `trainyard`. Default: none, only
    /// addresses and `localhost`: a page whose name somebody has pointed at this machine gets nothing.
    #[must_use]
    pub fn with_hosts(mut self, hosts: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.hosts = hosts.into_iter().map(|host| host.into().to_ascii_lowercase()).collect();
        self
    }

    /// One more of them.
    #[must_use]
    pub fn with_host(mut self, host: impl Into<String>) -> Self {
        self.hosts.insert(host.into().to_ascii_lowercase());
        self
    }

    /// What the jobs of a backend have in common: kind, queue, limits, retries, registry, promotion, what they need of
    /// a node. Default: kind `eliza/<backend>` in queue `eliza`, no limits, no retries, registry `eliza`, and somebody
    /// activates a model. Trainings that nobody asked for use it too, but for the registry, which is their task's own,
    /// and the [promotion](Settings::with_task_promotion).
    #[must_use]
    pub fn with_class(mut self, backend: Backend, class: Class) -> Self {
        self.classes[place(backend)] = class;
        self
    }

    /// Which prompt of a task becomes the active one when another was found. Default: the new one, when its trainer has
    /// held it against the one in use and gives the figure `promoted` as 1.
    #[must_use]
    pub fn with_task_promotion(mut self, promotion: Promotion) -> Self {
        self.task_promotion = promotion;
        self
    }

    /// Whether clients are told that the agent needs a restart after a model was activated. Default: on, as the
    /// original; an agent that asks for its model each time needs none.
    #[must_use]
    pub fn with_restart(mut self, switch: Switch) -> Self {
        self.restart = switch;
        self
    }

    /// Where Ollama is when a request does not say. Default: `http://localhost:11434`.
    #[must_use]
    pub fn with_ollama(mut self, url: OllamaUrl) -> Self {
        self.ollama = url;
        self
    }

    /// How long a request waits for an import or a benchmark before it is answered with 202; the work goes on. Default:
    /// 8 seconds, since clients give up after 10.
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Other bounds.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// What callers have to show, if anything.
    #[must_use]
    pub fn token(&self) -> Option<&Secret> {
        self.token.as_ref()
    }

    /// Whether an event stream may carry its token in the query.
    #[must_use]
    pub fn query_token(&self) -> Switch {
        self.query_token
    }

    /// From which pages a browser may ask.
    #[must_use]
    pub fn origins(&self) -> &Origins {
        &self.origins
    }

    /// What the jobs of a backend have in common.
    #[must_use]
    pub fn class(&self, backend: Backend) -> &Class {
        &self.classes[place(backend)]
    }

    /// What trainings of a task that nobody asked for have in common.
    #[must_use]
    pub fn task_class(&self, backend: Backend) -> Class {
        let promotion = self.task_promotion.clone();
        Class { registry: None, promotion, ..self.class(backend).clone() }
    }

    /// Whether clients are told that the agent needs a restart.
    #[must_use]
    pub fn restart(&self) -> Switch {
        self.restart
    }

    /// Where Ollama is when a request does not say.
    #[must_use]
    pub fn ollama(&self) -> &OllamaUrl {
        &self.ollama
    }

    /// How long a request waits for an import or a benchmark.
    #[must_use]
    pub fn patience(&self) -> Duration {
        self.patience
    }

    /// The bounds of a request.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Whether a service without a token may be asked for under this name, with or without a port.
    pub(crate) fn knows_host(&self, authority: &str) -> bool {
        let name = authority.rsplit_once(':').map_or(authority, |(name, _)| name);
        ollama::is_literal(authority) || self.hosts.contains(&name.to_ascii_lowercase())
    }

    /// Whether models of a registry may be ours by a class that names it.
    pub(crate) fn names_registry(&self, registry: &Registry) -> bool {
        self.classes.iter().any(|class| class.registry.as_ref() == Some(registry))
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self::new()
    }
}

impl Origins {
    /// Whether a page of this origin may ask.
    #[must_use]
    pub fn allow(&self, origin: &str) -> bool {
        match self {
            Self::Loopback => is_of_this_machine(origin),
            Self::LoopbackAnd(more) => is_of_this_machine(origin) || more.contains(origin),
            Self::Any => true,
        }
    }
}

fn is_of_this_machine(origin: &str) -> bool {
    let rest = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
    rest.is_some_and(ollama::is_loopback)
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            json_bytes: 1 << 20,
            ingest_bytes: 16 << 20,
            ingests: 16,
            jobs_listed: 500,
            models_listed: 500,
            log_lines: 600,
            log_lines_listed: 6_000,
            errands: 4,
            streams: 64,
            strangers: 16,
            auth_time: Duration::from_secs(10),
        }
    }
}

fn class(backend: Backend) -> Class {
    let kind = Kind::new(format!("eliza/{backend}")).expect("a short word is a kind");
    let queue = QueueName::new("eliza").expect("a short word is a queue name");
    let registry = Registry::new("eliza").expect("a short word is a registry");
    Class { registry: Some(registry), promotion: Promotion::Manual, ..Class::new(kind, queue) }
}

fn gated() -> Promotion {
    let promoted = Metric::new("promoted").expect("a short word is a metric");
    Promotion::AtLeast(promoted, Score::new(1.0).expect("1 is a number"))
}

const fn place(backend: Backend) -> usize {
    match backend {
        Backend::Native => 0,
        Backend::Mlx => 1,
        Backend::Cuda => 2,
        Backend::Cpu => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_backend_has_a_class_of_its_own() {
        for backend in Backend::ALL {
            assert_eq!(Backend::ALL[place(backend)], backend);
            let other = Settings::new().class(backend).clone();
            assert_eq!(other.kind.as_str(), format!("eliza/{backend}"));
            let slow = Class { queue: QueueName::new("slow").unwrap(), ..other };
            let settings = Settings::new().with_class(backend, slow);
            for each in Backend::ALL {
                let queue = if each == backend { "slow" } else { "eliza" };
                assert_eq!(settings.class(each).queue.as_str(), queue);
                assert_eq!(settings.task_class(each).registry, None);
            }
        }
    }

    #[test]
    fn pages_of_this_machine_may_ask() {
        for origin in [
            "http://localhost",
            "http://localhost:31337",
            "https://127.0.0.1:2138",
            "http://[::1]:8080",
            "http://127.9.9.9",
        ] {
            assert!(Origins::Loopback.allow(origin), "{origin}");
        }
        for origin in [
            "null",
            "",
            "http://localhost.evil.example",
            "http://127.0.0.1.evil.example",
            "http://evil.example:80",
            "file://",
            "ftp://localhost",
            "http://[::2]",
            "http://0.0.0.0",
            "http://localhost@evil.example",
        ] {
            assert!(!Origins::Loopback.allow(origin), "{origin}");
            assert!(Origins::Any.allow(origin));
        }
        let more = Origins::LoopbackAnd(["https://agent.example.com".to_owned()].into());
        assert!(more.allow("https://agent.example.com") && more.allow("http://localhost"));
        assert!(!more.allow("https://agent.example.com:444"));
    }

    #[test]
    fn a_host_is_an_address_or_a_name_that_was_told() {
        let settings = Settings::new().with_hosts(["Trainyard"]).with_host("Train.example.com");
        for host in [
            "localhost",
            "localhost:31337",
            "127.0.0.1",
            "127.0.0.1:1",
            "192.168.1.7",
            "[::1]",
            "[::1]:31337",
            "[fe80::1]:80",
            "TRAINYARD:9",
            "train.example.com",
            "train.example.com:8443",
        ] {
            assert!(settings.knows_host(host), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "localhost.evil.example:80",
            "127.0.0.1.evil.example",
            "trainyard.x",
            "example.com",
            "train.example.com@evil.example",
            "evil.example:train.example.com",
        ] {
            assert!(!settings.knows_host(host), "{host}");
        }
    }

    #[test]
    fn the_token_is_never_shown() {
        let settings = Settings::new().with_token(Secret::new("kept to itself").unwrap());
        assert!(!format!("{settings:?}").contains("kept"));
    }
}
