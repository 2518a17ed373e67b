//! A model that is reached over HTTP.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use sha2::{Digest, Sha256};
use ureq::config::Config;
use ureq::http::{Response, header};
use ureq::{Agent, Body, Error};

use crate::model::patience::GLANCE;
use crate::model::{Completion, Endpoint, LanguageModel, ModelError, Request, wire};

/// A model behind a URL.
///
/// No redirect is followed and no proxy of the environment is asked, so what is sent goes where it was told and nowhere
/// else. A call that fails in a way that may pass (no connection, no answer in time, half an answer, garbage, a 408, 429
/// or 5xx) is made again, as [`Patience`](crate::Patience) says.
///
/// When it is time to stop, waits end, and a call that is in flight is cut off: its connection is closed, so that the
/// server need not go on either. Only looking up a name and connecting are let end, which have the connect timeout each.
#[derive(Debug)]
pub struct HttpModel {
    endpoint: Endpoint,
    name: String,
    config: Config,
}

impl HttpModel {
    /// The model there. It is not asked anything yet.
    #[must_use]
    pub fn new(endpoint: Endpoint) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(None)
            .max_idle_connections(0)
            .timeout_resolve(Some(endpoint.connect_timeout))
            .timeout_connect(Some(endpoint.connect_timeout))
            .timeout_global(Some(endpoint.call_timeout))
            .user_agent("trainyard")
            .build();
        let name = format!("{} at {}", endpoint.model, endpoint.url);
        Self { endpoint, name, config }
    }

    /// One call, which is cut off when it is time to stop.
    fn call(
        &self,
        body: &[u8],
        request: &Request,
        stop: &dyn Fn() -> bool,
    ) -> Result<Completion, ModelError> {
        // An agent for each call, since it is the agent that is shut down.
        let agent = &self.config.new_agent();
        let (tell, told) = mpsc::sync_channel(1);
        thread::scope(|scope| {
            let calling = move || {
                let _ = tell.send(self.call_on(agent, body, request)); // it is listened to until the end
            };
            thread::Builder::new().spawn_scoped(scope, calling).map_err(|error| {
                ModelError::transient("there is no thread for a call of the model").with_source(error)
            })?;
            loop {
                match told.recv_timeout(GLANCE) {
                    Ok(answer) => return answer,
                    Err(RecvTimeoutError::Timeout) if stop() => break,
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => unreachable!("it tells before it ends"),
                }
            }
            agent.clone().shutdown();
            // An answer that was quicker is paid for.
            told.recv().ok().and_then(Result::ok).ok_or_else(ModelError::stopped)
        })
    }

    /// One call, to its end.
    fn call_on(&self, agent: &Agent, body: &[u8], request: &Request) -> Result<Completion, ModelError> {
        let Endpoint { api, url, key, .. } = &self.endpoint;
        let mut call = agent.post(format!("{url}{}", api.path()));
        call =
            call.header(header::CONTENT_TYPE, "application/json").header(header::ACCEPT, "application/json");
        if let Some(key) = key {
            call = call.header(header::AUTHORIZATION, format!("Bearer {}", key.expose()));
        }
        let mut answer = call.send(body).map_err(|error| self.unanswered(error))?;
        let status = answer.status();
        let retry_after = retry_after(&answer);
        let limit = self.endpoint.answer_bytes_max;
        let bytes = answer.body_mut().with_config().limit(limit).read_to_vec();
        if status.is_success() {
            let bytes = bytes.map_err(|error| self.unanswered(error))?;
            return wire::answer(*api, request, &bytes)
                .map_err(|what| ModelError::transient(format!("the model server at {url} answered {what}")));
        }
        if status.is_redirection() {
            let what =
                format!("the model server at {url} wants to redirect, which is not followed ({status})");
            return Err(ModelError::refused(what));
        }
        let words = bytes.ok().map(|bytes| self.shown(&bytes)).unwrap_or_default();
        let told = if words.is_empty() { words } else { format!(": {words}") };
        let what = format!("the model server at {url} answered {status}{told}");
        let is_transient = matches!(status.as_u16(), 408 | 425 | 429) || status.is_server_error();
        let error = if is_transient { ModelError::transient(what) } else { ModelError::refused(what) };
        Err(match retry_after {
            Some(wait) if is_transient => error.with_retry_after(wait),
            Some(_) | None => error,
        })
    }

    /// There was no answer, or not a whole one.
    fn unanswered(&self, error: Error) -> ModelError {
        let url = &self.endpoint.url;
        if let Error::BodyExceedsLimit(limit) = error {
            return ModelError::refused(format!(
                "the model server at {url} answered more than {limit} bytes"
            ));
        }
        let what = if let Error::Timeout(ureq::Timeout::Resolve | ureq::Timeout::Connect) = error {
            format!("the model server at {url} could not be reached in time")
        } else if let Error::Timeout(_) = error {
            let seconds = self.endpoint.call_timeout.as_secs_f32();
            format!("the model server at {url} did not answer within {seconds} s")
        } else {
            format!("the model server at {url} could not be reached, or broke off")
        };
        ModelError::transient(what).with_source(error)
    }

    /// What a server says when it refuses, short enough to be shown, without the key.
    fn shown(&self, body: &[u8]) -> String {
        let text = wire::complaint(body).unwrap_or_else(|| String::from_utf8_lossy(body).into_owned());
        let text = match &self.endpoint.key {
            Some(key) => text.replace(key.expose(), "<key>"),
            None => text,
        };
        let text = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
        let mut text = text.collect::<Vec<_>>().join(" ");
        text.truncate(text.floor_char_boundary(SHOWN_BYTES_MAX));
        text
    }
}

impl LanguageModel for HttpModel {
    /// The name of the model and the URL: what one server calls by a name another may not.
    fn name(&self) -> &str {
        &self.name
    }

    fn complete(&self, request: &Request, stop: &dyn Fn() -> bool) -> Result<Completion, ModelError> {
        let body = wire::question(self.endpoint.api, &self.endpoint.model, request).to_string();
        let digest: [u8; 32] = Sha256::digest(&body).into();
        let question = digest.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte));
        self.endpoint.patience.insist(question, stop, || self.call(body.as_bytes(), request, stop))
    }
}

/// How many seconds a server asks to be left alone. A date is not read: clocks differ.
fn retry_after(answer: &Response<Body>) -> Option<Duration> {
    let value = answer.headers().get(header::RETRY_AFTER)?.to_str().ok()?;
    value.trim().parse().ok().map(Duration::from_secs)
}

const SHOWN_BYTES_MAX: usize = 400;
