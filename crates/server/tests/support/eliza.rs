//! A client of elizaOS's wire, trajectories to send, a program that trains, and something that answers like Ollama.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};
use trainyard_eliza::Backend;
use trainyard_http::{
    Method, Mount, Mounts, Request, Response, RunningServer, Server, ServerConfig, StatusCode, service_fn,
};
use trainyard_server::{ElizaCommand, Presence, ServiceConfig};

use super::LONG;

/// Somebody who knows the token, or does not.
#[derive(Clone)]
pub(crate) struct Agent {
    agent: ureq::Agent,
    url: String,
    token: Option<String>,
}

impl Agent {
    pub(crate) fn new(url: &str) -> Self {
        let config = ureq::Agent::config_builder().http_status_as_error(false);
        let config = config.timeout_global(Some(LONG)).proxy(None);
        Self { agent: config.build().into(), url: url.to_owned(), token: None }
    }

    pub(crate) fn with_token(mut self, token: &str) -> Self {
        self.token = Some(token.to_owned());
        self
    }

    pub(crate) fn get(&self, path: &str) -> (u16, Value) {
        let mut request = self.agent.get(format!("{}/api/training/{path}", self.url));
        if let Some(token) = &self.token {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        read(request.call().expect("an answer"))
    }

    pub(crate) fn post(&self, path: &str, body: &[u8]) -> (u16, Value) {
        let mut request = self.agent.post(format!("{}/api/training/{path}", self.url));
        request = request.header("Content-Type", "application/json");
        if let Some(token) = &self.token {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        read(request.send(body).expect("an answer"))
    }

    /// The same, of a server that may be gone before it answers.
    pub(crate) fn try_post(&self, path: &str, body: &Value) -> Option<(u16, Value)> {
        let request = self.agent.post(format!("{}/api/training/{path}", self.url));
        request.send_json(body).ok().map(read)
    }

    /// What is there.
    #[track_caller]
    pub(crate) fn read(&self, path: &str) -> Value {
        let (status, body) = self.get(path);
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    /// A post that must go well.
    #[track_caller]
    pub(crate) fn done(&self, path: &str, body: &Value) -> Value {
        let (status, answer) = self.post(path, body.to_string().as_bytes());
        assert!(matches!(status, 200 | 201), "{path}: {status} {answer}");
        answer
    }

    /// Sends trajectories.
    #[track_caller]
    pub(crate) fn send(&self, trajectories: &[Value]) -> Value {
        self.done("trajectories", &Value::Array(trajectories.to_vec()))
    }

    #[track_caller]
    pub(crate) fn build(&self) -> Value {
        self.done("datasets/build", &json!({ "limit": 250, "minLlmCallsPerTrajectory": 1 }))["dataset"]
            .clone()
    }

    /// Starts a job, and says which.
    #[track_caller]
    pub(crate) fn start(&self, job: &Value) -> String {
        text(&self.done("jobs", job)["job"]["id"])
    }

    #[track_caller]
    pub(crate) fn job(&self, id: &str) -> Value {
        self.read(&format!("jobs/{id}"))["job"].clone()
    }

    #[track_caller]
    pub(crate) fn list(&self, what: &str) -> Vec<Value> {
        self.read(what)[what].as_array().expect("a list").clone()
    }

    /// Whether a job has come to this state. It must not be over in another one.
    #[track_caller]
    pub(crate) fn is(&self, id: &str, state: &str) -> bool {
        let job = self.job(id);
        let is_over = matches!(job["status"].as_str(), Some("completed" | "failed" | "cancelled"));
        assert!(!is_over || job["status"] == state, "{job}");
        job["status"] == state
    }
}

fn read(mut answer: ureq::http::Response<ureq::Body>) -> (u16, Value) {
    let status = answer.status().as_u16();
    let text = answer.body_mut().with_config().limit(1 << 30).read_to_string().expect("a text");
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

/// A text that must be there.
#[track_caller]
pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text")).to_owned()
}

/// A trajectory with one call that can be learned from, for the task `should_respond`.
pub(crate) fn trajectory(id: &str, status: &str) -> Value {
    trajectory_saying(id, status, "RESPOND, since somebody asks")
}

pub(crate) fn trajectory_saying(id: &str, status: &str, response: &str) -> Value {
    json!({
        "id": id, "agentId": "agent-1", "source": "chat", "status": status,
        "startTime": 1_718_000_000_000_u64, "endTime": 1_718_000_010_000_u64,
        "steps": [{
            "stepId": "s1",
            "llmCalls": [{
                "callId": format!("{id}-1"), "purpose": "should_respond", "model": "small",
                "systemPrompt": "You decide whether the agent answers.",
                "userPrompt": format!("Somebody writes to mail{id}@example.com, number {id}"),
                "response": response, "promptTokens": 20, "completionTokens": 5,
            }],
        }],
    })
}

/// A program that trains: it prints as mlx-lm does, a line a step, and leaves something like an adapter. At the step
/// that a file `waits-at` in its folder names it waits at a gate.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    pub(crate) folder: PathBuf,
}

const SCRIPT: &str = r#"set -eu
data=$1 output=$2 steps=$3 folder=$4
test -s "$data/train.jsonl"
test -f "$data/valid.jsonl"
waits=0
if test -f "$folder/waits-at"; then waits=$(cat "$folder/waits-at"); fi
mkdir -p "$output"
echo "Starting training..., iters: $steps"
step=1
while test "$step" -le "$steps"; do
  echo "Iter $step: Train loss 0.$((90 - step)), Learning Rate 1.000e-05, It/sec 4.2"
  if test "$step" -eq "$waits"; then
    echo "at the gate"
    read -r word < "$folder/gate"
    if test "$word" != go; then
      echo "told to break: $word" >&2
      exit 7
    fi
  fi
  step=$((step + 1))
done
printf '{"r":16}' > "$output/adapter_config.json"
printf 'weights of %s steps' "$steps" > "$output/adapters.safetensors"
echo "done"
"#;

impl Program {
    pub(crate) fn new(folder: &Path) -> Self {
        let folder = folder.join("program");
        if !folder.exists() {
            fs::create_dir(&folder).expect("a folder can be made");
            fs::write(folder.join("train.sh"), SCRIPT).expect("a file can be made");
            let made = Command::new("mkfifo").arg(folder.join("gate")).status().expect("there is a mkfifo");
            assert!(made.success());
        }
        Self { folder }
    }

    /// Those that begin from now on wait at this step.
    pub(crate) fn wait_at(&self, step: u64) {
        fs::write(self.folder.join("waits-at"), step.to_string()).expect("a file can be made");
    }

    /// Lets the one at the gate pass, when it is there.
    pub(crate) fn let_go(&self) {
        self.say("go");
    }

    /// Says something else to it, at which it breaks.
    pub(crate) fn say(&self, word: &str) {
        let gate = OpenOptions::new().write(true).open(self.folder.join("gate"));
        writeln!(gate.expect("somebody waits at it"), "{word}").expect("they listen");
    }

    pub(crate) fn command(&self) -> ElizaCommand {
        let script = self.folder.join("train.sh");
        let arguments = [script.to_str().expect("a text"), "{data}", "{output}", "{iterations}"];
        let arguments = arguments.into_iter().chain([self.folder.to_str().expect("a text")]);
        ElizaCommand::new("sh", arguments).expect("they are known").with_presence(Presence::Assumed)
    }
}

/// A service that trains for `cuda` with this program.
pub(crate) fn config(folder: &Path, program: &Program) -> ServiceConfig {
    ServiceConfig::new(folder)
        .with_listen(SocketAddr::from(([127, 0, 0, 1], 0)))
        .with_eliza_command(Backend::Cuda, program.command())
}

/// Answers like Ollama, and notes what it was asked.
pub(crate) struct FakeOllama {
    pub(crate) url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
    _server: RunningServer,
}

/// What it was asked.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Asked {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) body: Vec<u8>,
}

impl FakeOllama {
    pub(crate) fn start() -> Self {
        let asked = Arc::<Mutex<Vec<Asked>>>::default();
        let noted = Arc::clone(&asked);
        let service = service_fn(move |request: Request| {
            let noted = Arc::clone(&noted);
            async move {
                let (method, path) = (request.method().clone(), request.path().to_owned());
                let body = request.into_body().collect(1 << 20).await.expect("a body").to_vec();
                let answer = match (&method, path.as_str()) {
                    (&Method::HEAD, _) => Response::empty(StatusCode::NOT_FOUND),
                    (&Method::POST, "/api/create") => {
                        Response::json(StatusCode::OK, &json!({ "status": "success" }))
                    }
                    _ => Response::empty(StatusCode::CREATED),
                };
                noted.lock().unwrap_or_else(PoisonError::into_inner).push(Asked { method, path, body });
                answer
            }
        });
        let mount = Mount::new("/api", Arc::new(service)).expect("it is a prefix").with_body_limit(1 << 20);
        let mounts = Mounts::new().with(mount).expect("it is the only one");
        let config = ServerConfig::new(SocketAddr::from(([127, 0, 0, 1], 0)));
        let server = Server::start(config, mounts).expect("it starts");
        Self { url: format!("http://{}", server.local_addr()), asked, _server: server }
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
