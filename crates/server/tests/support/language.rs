//! A language model on loopback that answers by a script, notes what it was asked, and can fall silent.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde_json::{Value, json};
use trainyard_prompt::{Api, Endpoint, Patience};

use super::LONG;

/// Answers like Ollama, one request a connection.
pub(crate) struct Speaker {
    address: SocketAddr,
    shared: Arc<Shared>,
    listening: Option<JoinHandle<()>>,
}

struct Shared {
    script: fn(&Said<'_>) -> String,
    state: Mutex<State>,
    changed: Condvar,
}

/// What it is asked.
pub(crate) struct Said<'a> {
    pub(crate) system: &'a str,
    pub(crate) user: &'a str,
    pub(crate) seed: u64,
}

#[derive(Default)]
pub(crate) struct State {
    /// All that was asked, in order.
    pub(crate) asked: Vec<Value>,
    answered: BTreeSet<String>,
    /// What was asked though it was answered before.
    pub(crate) again: Vec<Value>,
    silent_from: Option<usize>,
    /// How many wait for an answer that does not come.
    pub(crate) waiting: usize,
    /// How many have done so, and hung up.
    pub(crate) hung_up: usize,
    is_closed: bool,
}

impl Speaker {
    pub(crate) fn start(script: fn(&Said<'_>) -> String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("there is a port");
        let address = listener.local_addr().expect("it has an address");
        let shared = Arc::new(Shared { script, state: Mutex::default(), changed: Condvar::new() });
        let serving = Arc::clone(&shared);
        let listening = thread::spawn(move || {
            for stream in listener.incoming() {
                if serving.lock().is_closed {
                    break;
                }
                let (stream, serving) = (stream.expect("somebody calls"), Arc::clone(&serving));
                thread::spawn(move || serving.serve(stream));
            }
        });
        Self { address, shared, listening: Some(listening) }
    }

    /// As a service is told of it: it is asked once, and no more when it does not answer.
    pub(crate) fn endpoint(&self) -> Endpoint {
        let endpoint = Endpoint::new(Api::Ollama, &format!("http://{}", self.address), "small");
        let once = Patience::default().with_tries(1.try_into().expect("1 is not 0"));
        endpoint.expect("it is a url").with_patience(once).with_call_timeout(LONG)
    }

    /// Answers no call from this one on, of all that come; the first is 1.
    pub(crate) fn fall_silent(&self, from: usize) {
        self.shared.lock().silent_from = Some(from);
    }

    /// Answers again whatever is asked from now on.
    pub(crate) fn speak(&self) {
        self.shared.lock().silent_from = None;
    }

    /// Waits until it is so, and not for ever.
    pub(crate) fn until(&self, what: &str, is_so: impl Fn(&State) -> bool) {
        let state = self.shared.lock();
        let waited = self.shared.changed.wait_timeout_while(state, LONG, |state| !is_so(state));
        assert!(
            !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out(),
            "waited too long until {what}"
        );
    }

    pub(crate) fn look<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.shared.lock())
    }
}

impl Drop for Speaker {
    fn drop(&mut self) {
        self.shared.lock().is_closed = true;
        // So that it looks.
        let _ = TcpStream::connect_timeout(&self.address, Duration::from_secs(10));
        let ended = self.listening.take().expect("it is dropped once").join();
        assert!(ended.is_ok() || thread::panicking(), "the model broke");
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, stream: TcpStream) {
        let mut reader = BufReader::new(stream);
        let Some(body) = request(&mut reader) else { return };
        let mut state = self.lock();
        state.asked.push(body.clone());
        if state.answered.contains(&body.to_string()) {
            state.again.push(body.clone());
        }
        let is_silent = state.silent_from.is_some_and(|from| state.asked.len() >= from);
        if is_silent {
            state.waiting += 1;
            drop(state);
            self.changed.notify_all();
            // It ends when whoever asked hangs up, or with an error.
            let _ = reader.read(&mut [0]);
            let mut state = self.lock();
            (state.waiting, state.hung_up) = (state.waiting - 1, state.hung_up + 1);
        } else {
            state.answered.insert(body.to_string());
            drop(state);
            let text = |place: usize| body["messages"][place]["content"].as_str().expect("a text");
            let seed = body["options"]["seed"].as_u64().expect("a number");
            let said = (self.script)(&Said { system: text(0), user: text(1), seed });
            let answer = json!({
                "message": { "role": "assistant", "content": said }, "done": true,
                "prompt_eval_count": 10, "eval_count": 5,
            })
            .to_string();
            let head =
                format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", answer.len());
            // Who has hung up misses it.
            let _ = reader.get_mut().write_all(format!("{head}{answer}").as_bytes());
        }
        self.changed.notify_all();
    }
}

/// The body of a request; `None` when nobody is there any more.
fn request(reader: &mut BufReader<TcpStream>) -> Option<Value> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return None;
        }
        let line = line.trim_end().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length: ") {
            length = value.parse().expect("a number");
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    serde_json::from_slice(&body).ok()
}

const RULE: &str = "Answer STOP when you are asked to be quiet, and IGNORE what is for others.";
const STOP: [&str; 9] =
    ["stop", "quiet", "silent", "no more", "hush", "enough", "unsubscribe", "don't write", "leave this"];

/// Answers everybody, until its prompt has a rule; as a writer of prompts it adds the rule.
pub(crate) fn learns_a_rule(said: &Said<'_>) -> String {
    if let Some(prompt) = rewritten(said) {
        return format!("<prompt>\n{prompt} {RULE} (Version {}.)\n</prompt>", said.seed);
    }
    if said.system.starts_with("You find out why") {
        return "It answers what is for others.".to_owned();
    }
    let newest = said.user.lines().last().unwrap_or_default().to_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| newest.contains(word));
    let (action, reason) = match said.system.contains(RULE) {
        true if has(&STOP) => ("STOP", "asked_to_stop"),
        true if has(&["pip", "hearth"]) => ("RESPOND", "named"),
        true if !said.user.starts_with("Newest message of the customer") => ("IGNORE", "not_addressed"),
        true | false => ("RESPOND", "question"),
    };
    format!(r#"{{"action": "{action}", "reason": "{reason}"}}"#)
}

/// Knows nothing better: whatever it rewrites, it answers the same.
pub(crate) fn learns_nothing(said: &Said<'_>) -> String {
    rewritten(said).map_or_else(
        || r#"{"action": "RESPOND", "reason": "question"}"#.to_owned(),
        |prompt| format!("<prompt>\n{prompt} (Version {}.)\n</prompt>", said.seed),
    )
}

/// The prompt that is to be rewritten, if that is what it is asked.
fn rewritten<'a>(said: &Said<'a>) -> Option<&'a str> {
    let is_writer = said.system.starts_with("You write system prompts");
    let (_, rest) = said.user.split_once("<prompt>\n").filter(|_| is_writer)?;
    rest.split("\n</prompt>").next()
}
