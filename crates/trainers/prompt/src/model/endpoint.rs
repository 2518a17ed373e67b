//! Where a model is, and how it is spoken to.

use std::fmt;
use std::num::NonZeroU64;
use std::time::Duration;

use ureq::http::Uri;

use crate::model::Patience;

/// A model behind a URL, with every bound that is kept when it is asked.
///
/// ```
/// use std::time::Duration;
/// use trainyard_prompt::{Api, Endpoint};
///
/// let endpoint = Endpoint::new(Api::Ollama, "http://127.0.0.1:11434/", "qwen2.5:7b-instruct")?
///     .with_call_timeout(Duration::from_secs(30));
/// assert_eq!(endpoint.url(), "http://127.0.0.1:11434");
/// assert!(Endpoint::new(Api::OpenAi, "https://127.0.0.1", "a model").is_err()); // no TLS is built in
/// # Ok::<(), trainyard_prompt::BadEndpoint>(())
/// ```
#[derive(Debug, Clone)]
pub struct Endpoint {
    pub(super) api: Api,
    pub(super) url: String,
    pub(super) model: String,
    pub(super) key: Option<ApiKey>,
    pub(super) connect_timeout: Duration,
    pub(super) call_timeout: Duration,
    pub(super) answer_bytes_max: u64,
    pub(super) patience: Patience,
}

impl Endpoint {
    /// A model of this name below this URL: `http`, no user, no query; a slash at its end, and for [`Api::OpenAi`] a last
    /// part `/v1`, make no difference. 5 seconds to connect, 2 minutes for a whole call, answers of at most 1 MiB, the
    /// usual [`Patience`], no key.
    ///
    /// There is no TLS here: what is farther away than this machine or its own network belongs behind a proxy on it.
    ///
    /// # Errors
    /// [`BadEndpoint`] when the URL is not like that, or the name is empty, longer than 256 bytes, or has a control
    /// character.
    pub fn new(api: Api, url: &str, model: &str) -> Result<Self, BadEndpoint> {
        Ok(Self {
            api,
            url: base(api, url)?,
            model: name(model)?,
            key: None,
            connect_timeout: Duration::from_secs(5),
            call_timeout: Duration::from_secs(120),
            answer_bytes_max: 1 << 20,
            patience: Patience::default(),
        })
    }

    /// The one that the environment names, or `None` where it names no URL: `TRAINYARD_MODEL_URL`,
    /// `TRAINYARD_MODEL_API` (`openai` or `ollama`, which is the default), `TRAINYARD_MODEL_NAME` (default
    /// `qwen2.5:7b-instruct`) and `TRAINYARD_MODEL_KEY` (default none). `look_up` is [`std::env::var`], or stands in for
    /// it; a variable that is empty counts as not set.
    ///
    /// ```
    /// use trainyard_prompt::Endpoint;
    ///
    /// assert!(Endpoint::from_env(|_| None)?.is_none());
    /// let url = |name: &str| (name == "TRAINYARD_MODEL_URL").then(|| "http://localhost:11434".into());
    /// assert_eq!(Endpoint::from_env(url)?.map(|it| it.model().to_owned()), Some("qwen2.5:7b-instruct".into()));
    /// # Ok::<(), trainyard_prompt::BadEndpoint>(())
    /// ```
    ///
    /// # Errors
    /// [`BadEndpoint`] when one of them cannot be used.
    pub fn from_env(look_up: impl Fn(&str) -> Option<String>) -> Result<Option<Self>, BadEndpoint> {
        let value = |name| look_up(name).filter(|value| !value.is_empty());
        let Some(url) = value("TRAINYARD_MODEL_URL") else {
            return Ok(None);
        };
        let api = match value("TRAINYARD_MODEL_API") {
            None => Api::Ollama,
            Some(word) => Api::of(&word).ok_or(BadEndpoint("an api is either openai or ollama"))?,
        };
        let model = value("TRAINYARD_MODEL_NAME").unwrap_or_else(|| MODEL.to_owned());
        let endpoint = Self::new(api, &url, &model)?;
        match value("TRAINYARD_MODEL_KEY") {
            None => Ok(Some(endpoint)),
            Some(key) => Ok(Some(endpoint.with_key(ApiKey::new(key)?))),
        }
    }

    /// The same place, and another model there.
    ///
    /// # Errors
    /// [`BadEndpoint`] when the name is empty, longer than 256 bytes, or has a control character.
    pub fn with_model(mut self, model: &str) -> Result<Self, BadEndpoint> {
        self.model = name(model)?;
        Ok(self)
    }

    /// With a key, which is sent as a bearer token. Default: none.
    #[must_use]
    pub fn with_key(mut self, key: ApiKey) -> Self {
        self.key = Some(key);
        self
    }

    /// The time to look up the host, and again to connect, 1 ms to 10 seconds: as long may a cancel go unheeded. Default: 5
    /// seconds.
    #[must_use]
    pub fn with_connect_timeout(mut self, time: Duration) -> Self {
        self.connect_timeout = time.clamp(Duration::from_millis(1), Duration::from_secs(10));
        self
    }

    /// The time for one call, from the first byte sent to the last one read, 1 ms to 1 hour. Default: 2 minutes.
    #[must_use]
    pub fn with_call_timeout(mut self, time: Duration) -> Self {
        self.call_timeout = time.clamp(Duration::from_millis(1), Duration::from_secs(3_600));
        self
    }

    /// The longest body of an answer, in bytes, 64 MiB at most; a longer one is no answer. Default: 1 MiB.
    #[must_use]
    pub fn with_answer_bytes(mut self, bytes: NonZeroU64) -> Self {
        self.answer_bytes_max = bytes.get().min(ANSWER_BYTES_MAX);
        self
    }

    /// How often and how long it is asked again. Default: [`Patience::default`].
    #[must_use]
    pub fn with_patience(mut self, patience: Patience) -> Self {
        self.patience = patience;
        self
    }

    /// Where it is, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The name of the model.
    #[must_use]
    pub fn model(&self) -> &str {
        &self.model
    }
}

fn name(model: &str) -> Result<String, BadEndpoint> {
    if model.is_empty() || model.len() > MODEL_BYTES_MAX || model.chars().any(char::is_control) {
        return Err(BadEndpoint("the name of a model has 1 to 256 bytes and no control character"));
    }
    Ok(model.to_owned())
}

/// The URL without what makes no difference.
fn base(api: Api, url: &str) -> Result<String, BadEndpoint> {
    if url.len() > URL_BYTES_MAX {
        return Err(BadEndpoint("the url of a model server has at most 2048 bytes"));
    }
    let parsed: Uri = url.parse().map_err(|_| BadEndpoint("the url of a model server is not a url"))?;
    if parsed.scheme_str() != Some("http") {
        return Err(BadEndpoint("the url of a model server begins with http://, there is no tls here"));
    }
    let authority = parsed.authority().ok_or(BadEndpoint("the url of a model server has no host"))?;
    if authority.host().is_empty() || authority.as_str().contains('@') || url.contains(['?', '#']) {
        return Err(BadEndpoint("the url of a model server has a host, and no user, query or fragment"));
    }
    let trimmed = url.trim_end_matches('/');
    Ok(match api {
        Api::OpenAi => trimmed.strip_suffix("/v1").unwrap_or(trimmed).trim_end_matches('/').to_owned(),
        Api::Ollama => trimmed.to_owned(),
    })
}

/// Which words a model server takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Api {
    /// `POST /v1/chat/completions`, which most servers know.
    OpenAi,
    /// Ollama's own, `POST /api/chat`.
    Ollama,
}

impl Api {
    /// The API of a word: `openai` or `ollama`.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        match word {
            "openai" => Some(Self::OpenAi),
            "ollama" => Some(Self::Ollama),
            _ => None,
        }
    }

    pub(super) const fn path(self) -> &'static str {
        match self {
            Self::OpenAi => "/v1/chat/completions",
            Self::Ollama => "/api/chat",
        }
    }
}

/// What a model server knows a caller by. It is never shown: `Debug` is redacted, and errors leave it out even where the
/// server repeats it.
#[derive(Clone)]
pub struct ApiKey(String);

impl ApiKey {
    /// Takes the key over.
    ///
    /// # Errors
    /// [`BadEndpoint`] when it is empty, longer than 4,096 bytes, or cannot stand in a header.
    pub fn new(text: impl Into<String>) -> Result<Self, BadEndpoint> {
        let text = text.into();
        if text.is_empty() || text.len() > KEY_BYTES_MAX || !text.bytes().all(|byte| byte.is_ascii_graphic())
        {
            return Err(BadEndpoint("a key has 1 to 4096 visible ascii characters"));
        }
        Ok(Self(text))
    }

    pub(super) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(..)")
    }
}

/// A model cannot be reached by that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadEndpoint(&'static str);

const MODEL: &str = "qwen2.5:7b-instruct";
const MODEL_BYTES_MAX: usize = 256;
const URL_BYTES_MAX: usize = 2_048;
const KEY_BYTES_MAX: usize = 4_096;
const ANSWER_BYTES_MAX: u64 = 64 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_taken_in_one_spelling() {
        let url = |api, url| Endpoint::new(api, url, "m").map(|endpoint| endpoint.url);
        for given in ["http://localhost:8000", "http://localhost:8000/", "http://localhost:8000/v1/"] {
            assert_eq!(url(Api::OpenAi, given).unwrap(), "http://localhost:8000", "{given}");
        }
        assert_eq!(url(Api::OpenAi, "http://[::1]:1/api/v1").unwrap(), "http://[::1]:1/api");
        assert_eq!(url(Api::Ollama, "http://h/v1").unwrap(), "http://h/v1");
        for bad in
            ["", "localhost", "ftp://h", "https://h", "http://", "http://u:p@h", "http://h?q", "http://h#f"]
        {
            url(Api::Ollama, bad).expect_err(bad);
        }
    }

    #[test]
    fn names_and_keys_have_bounds() {
        for bad in ["", "a\nb", &"x".repeat(257)] {
            assert!(Endpoint::new(Api::Ollama, "http://h", bad).is_err(), "{bad:?}");
            assert!(Endpoint::new(Api::Ollama, "http://h", "a").unwrap().with_model(bad).is_err(), "{bad:?}");
        }
        for bad in ["", "a b", "a\r\nb", "ü"] {
            assert!(ApiKey::new(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_environment_is_read_and_never_shown() {
        let all = |name: &str| {
            let value = match name {
                "TRAINYARD_MODEL_URL" => "http://127.0.0.1:9/v1",
                "TRAINYARD_MODEL_API" => "openai",
                "TRAINYARD_MODEL_NAME" => "tiny",
                "TRAINYARD_MODEL_KEY" => "hush-hush",
                other => panic!("nobody asked for {other}"),
            };
            Some(value.to_owned())
        };
        let endpoint = Endpoint::from_env(all).unwrap().unwrap();
        assert_eq!((endpoint.url(), endpoint.model()), ("http://127.0.0.1:9", "tiny"));
        let shown = format!("{endpoint:?}");
        assert!(shown.contains("ApiKey(..)") && !shown.contains("hush"), "{shown}");
        let odd = |name: &str| if name.ends_with("API") { Some("soap".to_owned()) } else { all(name) };
        assert_eq!(Endpoint::from_env(odd).unwrap_err().to_string(), "an api is either openai or ollama");
        assert!(Endpoint::from_env(|_| Some(String::new())).unwrap().is_none(), "empty is not set");
    }
}
