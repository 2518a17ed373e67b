//! Brings an adapter to Ollama.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use ureq::http::{StatusCode, Uri};
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};
use ureq::{Agent, Body, SendBody};

use self::adapter::AdapterFile;

mod adapter;
#[cfg(test)]
mod tests;

/// A client of an Ollama on this machine.
///
/// It resolves no name, knows no proxy and follows no redirect, so nobody can send it elsewhere. Each request has a
/// connection of its own.
pub(crate) struct Ollama {
    agent: Agent,
    time: Duration,
}

/// Why a model could not be imported. What was uploaded by then may lie in Ollama; the next try finds it there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum OllamaError {
    /// Nothing was sent.
    #[error(
        "{what} is empty, longer than {VALUE_BYTES_MAX} bytes, or holds a line break or another control character"
    )]
    BadValue {
        /// Which of the values.
        what: &'static str,
    },
    /// Nothing was sent to make a model of it.
    #[error("could not read the adapter {}", path.display())]
    Adapter {
        /// Which file or folder.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// It took longer than it may.
    #[error("ollama did not do it in time")]
    TimedOut,
    /// There is no Ollama, or it broke off.
    #[error("could not talk to ollama")]
    Broken(#[source] Box<ureq::Error>),
    /// It answered by another status than one that says yes.
    #[error("ollama answered {status}: {said}")]
    Refused {
        /// The status.
        status: u16,
        /// The first 400 characters of the rest.
        said: String,
    },
    /// It said yes, and then that it failed.
    #[error("ollama failed: {said}")]
    Failed {
        /// The first 400 characters of why.
        said: String,
    },
    /// Its answer is not what Ollama answers. What has become of the model is not known.
    #[error("the answer of ollama {what}")]
    Odd {
        /// In what way.
        what: &'static str,
    },
}

impl Ollama {
    pub(crate) fn new() -> Self {
        let config = Agent::config_builder()
            .proxy(None)
            .max_redirects(0)
            .http_status_as_error(false)
            .timeout_connect(Some(CONNECT_TIME_MAX))
            .max_idle_connections(0)
            .build();
        Self { agent: Agent::with_parts(config, DefaultConnector::default(), Loopback), time: TIME }
    }

    /// How long one import may take in all. Default: 10 minutes.
    #[cfg(test)]
    #[must_use]
    pub(crate) fn with_timeout(mut self, time: Duration) -> Self {
        self.time = time;
        self
    }

    /// Makes a model of this name, of one that is there and an adapter: a file, or a folder as trainers leave it.
    ///
    /// The URL has no slash at its end. A model that has the name already is replaced.
    ///
    /// # Errors
    /// [`OllamaError`].
    pub(crate) fn import(
        &self,
        url: &str,
        name: &str,
        base: &str,
        adapter: &Path,
    ) -> Result<(), OllamaError> {
        let at = std::path::absolute(adapter)
            .map_err(|source| OllamaError::Adapter { path: adapter.to_owned(), source })?;
        let path = at.to_str().ok_or(OllamaError::BadValue { what: "the path of the adapter" })?;
        for (what, value) in [("the name", name), ("the base model", base), ("the path of the adapter", path)]
        {
            if !is_one_line(value) {
                return Err(OllamaError::BadValue { what });
            }
        }
        let import = Running { agent: &self.agent, url, until: Instant::now() + self.time };
        let mut adapters = serde_json::Map::new();
        for mut file in adapter::files(&at)? {
            let digest = file.digest(|| import.left().map(drop))?;
            import.bring(&mut file, &digest)?;
            adapters.insert(file.name().to_owned(), digest.into());
        }
        import.create(&json!({
            // Today's words, and those of before 0.5.5.
            "model": name,
            "name": name,
            "from": base,
            "adapters": adapters,
            "parameters": { "temperature": TEMPERATURE },
            "modelfile": format!("FROM {base}\nADAPTER {path}\nPARAMETER temperature {TEMPERATURE}\n"),
            "stream": false,
        }))
    }
}

const TIME: Duration = Duration::from_secs(600);
const CONNECT_TIME_MAX: Duration = Duration::from_secs(5);
const TEMPERATURE: f64 = 0.2;
const VALUE_BYTES_MAX: usize = 4096;

/// Whether a Modelfile takes it for one value, and for nothing else.
fn is_one_line(value: &str) -> bool {
    let breaks = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    !value.trim().is_empty() && value.len() <= VALUE_BYTES_MAX && !value.contains(breaks)
}

/// One import, which has to end at some time.
struct Running<'a> {
    agent: &'a Agent,
    url: &'a str,
    until: Instant,
}

impl Running<'_> {
    /// Uploads a file, unless Ollama has it.
    fn bring(&self, file: &mut AdapterFile, digest: &str) -> Result<(), OllamaError> {
        let blob = format!("{}/api/blobs/{digest}", self.url);
        let asked = self.agent.head(&blob).config().timeout_global(Some(self.left()?)).build().call();
        let asked = asked.map_err(broken)?;
        if asked.status().is_success() {
            return Ok(());
        }
        if asked.status() != StatusCode::NOT_FOUND {
            return Err(refused(asked));
        }
        let request = self.agent.post(&blob).config().timeout_global(Some(self.left()?)).build();
        let request = request.content_type("application/octet-stream").header("content-length", file.bytes());
        let mut content = file.content()?;
        let answer = request.send(SendBody::from_reader(&mut content)).map_err(broken)?;
        if answer.status().is_success() { Ok(()) } else { Err(refused(answer)) }
    }

    fn create(&self, what: &Value) -> Result<(), OllamaError> {
        let request = self.agent.post(format!("{}/api/create", self.url));
        let request = request.config().timeout_global(Some(self.left()?)).build();
        let mut answer = request.send_json(what).map_err(broken)?;
        if !answer.status().is_success() {
            return Err(refused(answer));
        }
        understand(&read(answer.body_mut(), ANSWER_BYTES_MAX)?)
    }

    fn left(&self) -> Result<Duration, OllamaError> {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(OllamaError::TimedOut) } else { Ok(left) }
    }
}

/// More than any number of lines about progress.
const ANSWER_BYTES_MAX: u64 = 1024 * 1024;

fn read(body: &mut Body, bytes_max: u64) -> Result<Vec<u8>, OllamaError> {
    let mut text = Vec::new();
    let read = body.as_reader().take(bytes_max + 1).read_to_end(&mut text);
    read.map_err(|error| broken(error.into()))?;
    if text.len() as u64 > bytes_max {
        return Err(OllamaError::Odd { what: "is too long" });
    }
    Ok(text)
}

/// One object, or a line for each step; the last one says that it is done, so that a cut answer is none.
fn understand(answer: &[u8]) -> Result<(), OllamaError> {
    let mut is_done = false;
    for said in serde_json::Deserializer::from_slice(answer).into_iter::<Value>() {
        let said = said.map_err(|_| OllamaError::Odd { what: "is not JSON" })?;
        if let Some(error) = said.get("error") {
            let why = error.as_str().map_or_else(|| error.to_string(), str::to_owned);
            return Err(OllamaError::Failed { said: beginning(&why) });
        }
        is_done = said.get("status").is_some_and(|status| status == "success");
    }
    if is_done { Ok(()) } else { Err(OllamaError::Odd { what: "does not say that it is done" }) }
}

/// What it said counts, even if that broke off.
fn refused(mut answer: ureq::http::Response<Body>) -> OllamaError {
    let mut said = Vec::new();
    let _ = answer.body_mut().as_reader().take(SAID_BYTES_MAX).read_to_end(&mut said);
    OllamaError::Refused {
        status: answer.status().as_u16(),
        said: beginning(String::from_utf8_lossy(&said).trim()),
    }
}

fn beginning(text: &str) -> String {
    text.chars().take(SAID_CHARS_MAX).collect()
}

const SAID_CHARS_MAX: usize = 400;
/// A character has four bytes at most, and some blanks may come first.
const SAID_BYTES_MAX: u64 = 4096;

fn broken(error: ureq::Error) -> OllamaError {
    if matches!(error, ureq::Error::Timeout(_)) {
        OllamaError::TimedOut
    } else {
        OllamaError::Broken(Box::new(error))
    }
}

/// Knows the addresses of this machine by heart, and no others.
#[derive(Debug)]
struct Loopback;

impl Resolver for Loopback {
    fn resolve(
        &self,
        uri: &Uri,
        _: &ureq::config::Config,
        _: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let host = uri.host().ok_or(ureq::Error::HostNotFound)?;
        let standard = if uri.scheme_str() == Some("https") { 443 } else { 80 };
        let port = uri.port_u16().unwrap_or(standard);
        let mut found = self.empty();
        if host.eq_ignore_ascii_case("localhost") {
            found.push((std::net::Ipv4Addr::LOCALHOST, port).into());
            found.push((std::net::Ipv6Addr::LOCALHOST, port).into());
        } else {
            let address = host.trim_start_matches('[').trim_end_matches(']').parse();
            let address: std::net::IpAddr = address.map_err(|_| ureq::Error::HostNotFound)?;
            if !address.to_canonical().is_loopback() {
                return Err(ureq::Error::HostNotFound);
            }
            found.push((address, port).into());
        }
        Ok(found)
    }
}
