//! A model server on loopback that does as it is told, and a task that a better prompt really does better at.
#![allow(dead_code, reason = "each test crate uses its own part")]

pub(crate) mod run;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;

use serde_json::{Value, json};
use trainyard_trajectories::Row;

/// Where nobody listens: whoever asks for any port is never given that one.
pub(crate) const NOBODY: &str = "127.0.0.1:1";

/// A server of one request a connection.
pub(crate) struct Fake {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

struct Shared {
    script: Box<dyn Fn(&Asked) -> Reply + Send + Sync>,
    asked: Mutex<Vec<Asked>>,
    closed: Mutex<bool>,
    is_closed: Condvar,
}

/// What was asked.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    /// From 1.
    pub(crate) number: usize,
    pub(crate) path: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Value,
}

pub(crate) enum Reply {
    /// An answer in the words of the API that was asked.
    Say(String),
    /// These bytes, and the end.
    Raw(Vec<u8>),
    /// Nothing, for as long as the server is there.
    Hang,
    /// These bytes, which is told, and nothing more until whoever asked has hung up, which is told too.
    Stall(Vec<u8>, Sender<()>),
}

impl Reply {
    /// An answer with a status and a body.
    pub(crate) fn status(status: &str, headers: &str, body: &str) -> Self {
        let length = body.len();
        let head =
            format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n");
        Self::Raw(format!("{head}{body}").into_bytes())
    }
}

impl Fake {
    pub(crate) fn start(script: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            script: Box::new(script),
            asked: Mutex::default(),
            closed: Mutex::default(),
            is_closed: Condvar::new(),
        });
        let accepting = {
            let shared = Arc::clone(&shared);
            std::thread::spawn(move || {
                let mut serving = Vec::new();
                for stream in listener.incoming() {
                    if *shared.closed.lock().unwrap() {
                        break;
                    }
                    let shared = Arc::clone(&shared);
                    serving.push(std::thread::spawn(move || shared.serve(stream.unwrap())));
                }
                serving.into_iter().for_each(|thread| thread.join().unwrap());
            })
        };
        Self { address, shared, accepting: Some(accepting) }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// All that was asked so far, in order.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.shared.asked.lock().unwrap().clone()
    }

    pub(crate) fn calls(&self) -> usize {
        self.shared.asked.lock().unwrap().len()
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        *self.shared.closed.lock().unwrap() = true;
        self.shared.is_closed.notify_all();
        // So that it looks.
        let _ = TcpStream::connect(self.address);
        let ended = self.accepting.take().unwrap().join();
        assert!(ended.is_ok() || std::thread::panicking(), "the server broke");
    }
}

impl Shared {
    fn serve(&self, stream: TcpStream) {
        let mut reader = BufReader::new(stream);
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return; // nobody there any more
            }
            match line.trim_end() {
                "" => break,
                line => lines.push(line.to_owned()),
            }
        }
        let path = lines[0].split(' ').nth(1).unwrap().to_owned();
        let header = |line: &String| {
            let (name, value) = line.split_once(": ").unwrap();
            (name.to_ascii_lowercase(), value.to_owned())
        };
        let headers: BTreeMap<String, String> = lines[1..].iter().map(header).collect();
        let mut body = vec![0; headers["content-length"].parse().unwrap()];
        if reader.read_exact(&mut body).is_err() {
            return; // who asked was killed
        }
        let body = serde_json::from_slice(&body).unwrap();
        let asked = {
            let mut all = self.asked.lock().unwrap();
            let asked = Asked { number: all.len() + 1, path, headers, body };
            all.push(asked.clone());
            asked
        };
        let bytes = match (self.script)(&asked) {
            Reply::Say(text) => match said(&asked, &text) {
                Reply::Raw(bytes) => bytes,
                Reply::Say(_) | Reply::Hang | Reply::Stall(..) => unreachable!("it is said in bytes"),
            },
            Reply::Raw(bytes) => bytes,
            Reply::Hang => {
                let closed = self.closed.lock().unwrap();
                drop(self.is_closed.wait_while(closed, |closed| !*closed).unwrap());
                return;
            }
            Reply::Stall(bytes, told) => {
                reader.get_mut().write_all(&bytes).unwrap();
                told.send(()).unwrap();
                // It may end with an error too.
                assert_eq!(reader.read(&mut [0]).unwrap_or(0), 0, "nothing more was to come");
                told.send(()).unwrap();
                return;
            }
        };
        // Who has hung up misses it.
        let _ = reader.get_mut().write_all(&bytes);
    }
}

/// With 10 tokens asked and 5 answered.
fn said(asked: &Asked, text: &str) -> Reply {
    let body = match asked.path.as_str() {
        "/v1/chat/completions" => json!({
            "choices": [{ "index": 0, "message": { "role": "assistant", "content": text } }],
            "usage": { "prompt_tokens": 10, "completion_tokens": 5 },
        }),
        "/api/chat" => json!({
            "message": { "role": "assistant", "content": text }, "done": true,
            "prompt_eval_count": 10, "eval_count": 5,
        }),
        other => panic!("nobody serves {other}"),
    };
    Reply::status("200 OK", "Content-Type: application/json\r\n", &body.to_string())
}

/// What the scripted model is poor at until its prompt tells it: to ignore what is for others, and to stop when it is
/// told to. As a teacher it adds one such rule to a prompt; as a critic it says which rule an example lacks.
pub(crate) fn model(asked: &Asked) -> Reply {
    let text = |place: usize| asked.body["messages"][place]["content"].as_str().unwrap();
    let seed = asked.body["seed"].as_u64().or_else(|| asked.body["options"]["seed"].as_u64()).unwrap();
    let (system, user) = (text(0), text(1));
    Reply::Say(if system.starts_with("You write system prompts") {
        format!("Sure.\n<prompt>\n{}\n</prompt>", teach(user, seed))
    } else if system.starts_with("You find out why") {
        criticise(user)
    } else {
        answer(system, user)
    })
}

const RULES: [(&str, &str); 2] = [
    ("IGNORE", "To a message for somebody else answer IGNORE."),
    ("STOP", "When you are asked to be quiet answer STOP."),
];
const FILLER: &str = " Take your time, and consider each and every word of it with the greatest care.";
/// What all begins with: it does well on one message of three.
pub(crate) const BASELINE: &str = "Decide whether to respond. Take your time, and consider each and every word of it with the greatest care.";

fn answer(system: &str, user: &str) -> String {
    let knows = |word: &str| system.contains(word);
    let action = match user {
        _ if user.contains("be quiet") && knows("STOP") => "STOP",
        _ if user.starts_with("Bob") && knows("IGNORE") => "IGNORE",
        _ => "RESPOND",
    };
    format!(r#"{{"action":"{action}"}}"#)
}

fn teach(user: &str, seed: u64) -> String {
    let prompts: Vec<&str> =
        user.split("<prompt>\n").skip(1).map(|rest| rest.split("\n</prompt>").next().unwrap()).collect();
    let with = |prompt: &str, word: &str| {
        let (_, rule) = RULES.iter().find(|(name, _)| *name == word).unwrap();
        if prompt.contains(rule) { prompt.to_owned() } else { format!("{prompt} {rule}") }
    };
    if user.contains("shorter version") {
        return prompts[0].replace(FILLER, "");
    }
    if let [one, other] = prompts[..] {
        let missing = RULES.iter().filter(|(_, rule)| other.contains(rule));
        return missing.fold(one.to_owned(), |prompt, (word, _)| with(&prompt, word));
    }
    if let Some((_, diagnosis)) = user.split_once("<diagnosis>\n") {
        let lacks = RULES.iter().find(|(word, _)| diagnosis.starts_with(&format!("It misses {word}")));
        return lacks.map_or_else(|| prompts[0].to_owned(), |(word, _)| with(prompts[0], word));
    }
    let missing: Vec<_> = RULES.iter().filter(|(_, rule)| !prompts[0].contains(rule)).collect();
    let place = usize::try_from(seed).unwrap() % missing.len().max(1);
    missing.get(place).map_or_else(|| prompts[0].to_owned(), |(word, _)| with(prompts[0], word))
}

fn criticise(user: &str) -> String {
    let shown = user.split("<expected>").skip(1).map(|rest| rest.split_once("</expected>").unwrap());
    let wrong = shown.filter(|(expected, rest)| !rest.contains(&format!("<actual>{expected}</actual>")));
    let word = wrong.map(|(expected, _)| expected.split('"').nth(3).unwrap().to_owned()).next();
    word.map_or_else(|| "It does well.".to_owned(), |word| format!("It misses {word}."))
}

/// Messages of three kinds, and what to do with each. Those to be quiet have the highest reward.
pub(crate) fn examples(count: usize) -> Vec<Row> {
    let example = |number: usize| {
        let (user, action) = match number % 3 {
            0 => (format!("Milady, what is {number} and {number}?"), "RESPOND"),
            1 => (format!("Bob, have you seen number {number}?"), "IGNORE"),
            _ => (format!("Milady, be quiet about number {number}."), "STOP"),
        };
        let expected = format!(r#"{{"action":"{action}"}}"#);
        let mut row = Row::new(format!("call-{number}"), "should_respond", "", user, expected);
        row.reward = (action == "STOP").then_some(1.0);
        row
    };
    (0..count).map(example).collect()
}
