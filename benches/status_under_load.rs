//! What a status request costs the server while a thousand jobs a second flow through its yard, beside a bare hyper
//! server that answers the same bytes under the same headers.
//!
//! One service with all four adapters and the SQLite journal; a thread in its process submits a job of a kind of its
//! own every millisecond, and each is durable, started and finished. Sixty-four keep-alive connections from another
//! process ask for one status, first of the bare server, in a process of its own, then of the service, in rounds. The
//! work of a request is the time on a core of the whole process of the service while it is asked, less what it took for
//! the flow alone while the bare server was asked, by the request. Beside it stands the time of the threads that answer,
//! which needs no difference of two figures. The last row is of a thousand `train` calls in line.
//!
//! `cargo bench --bench status_under_load -- [rounds] [--only=WORD]`; `--gate` ends with a failure when a limit is broken.
//! With a word, only what has it in its name is measured.

use std::collections::VecDeque;
use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use trainyard_benches::http::{Client, message};
use trainyard_benches::load::{Ask, Bare, Clients, be_bare, be_clients, role};
use trainyard_benches::table::Figure;
use trainyard_benches::{argument, cpu_seconds_of, median, process_cpu_seconds};
use trainyard_core::{Class, JobId, Kind, QueueName, Reason, Subject, Submission, Trained};
use trainyard_eliza::Backend;
use trainyard_http::secret::Secret;
use trainyard_portrait::made::Person;
use trainyard_runtime::{Context, JobToTrain, TrainError, Trainyard};
use trainyard_server::{Service, ServiceConfig};
use trainyard_tabular::made;

const JOBS_PER_SECOND: u64 = 1_000;
/// So many jobs are over when the first figure is taken: as many as are kept.
const BEFORE: u64 = 10_000;
const CONNECTIONS: usize = 64;
const REQUESTS: usize = 1_000;
const ROUNDS: usize = 9;
const WAITING: usize = 1_000;
const LIMIT: f64 = 1.33;
const INDEX_KEY: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

fn main() -> Result<(), Box<dyn Error>> {
    match role().as_deref() {
        Some(Clients::ROLE) => return be_clients(),
        Some(Bare::ROLE) => return be_bare(),
        Some(other) => return Err(format!("there is no role {other}").into()),
        None => {}
    }
    let rounds = argument().map_or(Ok(ROUNDS), |text| text.parse())?;
    let folder = tempfile::tempdir()?;
    let config = ServiceConfig::new(folder.path())
        .with_listen("127.0.0.1:0".parse()?)
        .with_mathfi_user("bench", Secret::new("a password of a bench")?)
        .with_heygen_trainer(|_| Arc::new(nothing))
        .with_eliza_trainer(Backend::Native, |_| Arc::new(nothing))
        .with_trainer(Kind::new("bench")?, 4, |_: &mut Context, _: &JobToTrain| Ok(Trained::default()));
    let (service, opened) = Service::open(config)?;
    let key = opened.heygen_key.ok_or("no key was made")?;
    let mut statuses = vec![
        Status::new("CyborgDB training-status", "", "/v1/indexes/training-status"),
        mathfi(&service)?,
        heygen(&service, key.expose())?,
    ];
    statuses.extend(eliza(&service)?);

    let flow = Flow::start(&service)?;
    let mut bare = Bare::start()?;
    let mut clients = Clients::start()?;
    let mut bench = Bench { service: service.local_addr(), clients: &mut clients, flow: &flow, rounds };
    println!(
        "{rounds} rounds, {CONNECTIONS} connections, {REQUESTS} requests over each; microseconds on a core"
    );
    println!(
        "{:<30} {:>6} {:>8} {:>8} {:>7} {:>7} {:>7} {:>7}",
        "", "bytes", "bare", "ours", "ratio", "threads", "ratio", "jobs/s"
    );
    let mut broken = false;
    let only = std::env::args().find_map(|word| word.strip_prefix("--only=").map(str::to_owned));
    let is_wanted = |name: &str| only.as_ref().is_none_or(|word| name.contains(word));
    for status in statuses.iter().filter(|status| is_wanted(status.name)) {
        broken |= bench.compare(status, &mut bare)? > LIMIT;
    }
    let in_line = Status::new("the same, 1,000 in line", "", "/v1/indexes/training-status");
    if is_wanted(in_line.name) {
        service.yard().pause_queue(QueueName::new("cyborgdb")?, Reason::new("bench")).wait()?;
        let waiting = wait_in_line(&service)?;
        bench.compare(&in_line, &mut bare)?;
        drop(waiting);
    }
    drop((clients, bare));
    flow.stop()?;
    service.shutdown(Duration::from_secs(5));
    if broken && std::env::args().any(|word| word == "--gate") {
        return Err("the limit is broken".into());
    }
    Ok(())
}

/// What is asked for.
struct Status {
    name: &'static str,
    /// Whole lines.
    headers: String,
    path: String,
}

impl Status {
    fn new(name: &'static str, headers: &str, path: &str) -> Self {
        Self { name, headers: headers.to_owned(), path: path.to_owned() }
    }
}

struct Bench<'a> {
    service: SocketAddr,
    clients: &'a mut Clients,
    flow: &'a Flow,
    rounds: usize,
}

impl Bench<'_> {
    /// Prints a row; the ratio is that of the whole process.
    fn compare(&mut self, status: &Status, bare: &mut Bare) -> Result<f64, Box<dyn Error>> {
        let mut client = Client::connect(self.service)?.with_header(status.headers.trim_end());
        let answer = String::from_utf8(client.get(&status.path)?)?;
        let (code, mut headers) = client.head();
        if code != 200 {
            return Err(format!("{}: {code} {answer}", status.name).into());
        }
        headers.retain(|(name, _)| !matches!(name.as_str(), "content-length" | "date"));
        let other = bare.answer(&headers, &answer)?;
        let request = message("GET", &status.path, &status.headers, "application/json", b"");
        let messages = [request];
        let (mut theirs, mut ours, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        let (mut threads, mut thread_ratios, mut rates) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..self.rounds {
            self.prepare(other, &messages)?;
            let before = (process_cpu_seconds(bare.process())?, process_cpu_seconds(std::process::id())?);
            let took = self.clients.run()?.as_secs_f64();
            let their = per_request(process_cpu_seconds(bare.process())? - before.0);
            let alone = (process_cpu_seconds(std::process::id())? - before.1) / took;

            self.prepare(self.service, &messages)?;
            let (jobs, before) = (self.flow.finished(), process_cpu_seconds(std::process::id())?);
            let answering = cpu_seconds_of("trainyard-http");
            let took = self.clients.run()?.as_secs_f64();
            let answering = per_request(cpu_seconds_of("trainyard-http") - answering);
            let our = per_request(process_cpu_seconds(std::process::id())? - before - alone * took);
            #[expect(clippy::cast_precision_loss, reason = "a figure to read")]
            rates.push((self.flow.finished() - jobs) as f64 / took);
            theirs.push(their);
            ours.push(our);
            ratios.push(our / their);
            threads.push(answering);
            thread_ratios.push(answering / their);
        }
        // What is measured while less flows is another figure.
        let rate = median(&mut rates);
        if rate < 0.9 * JOBS_PER_SECOND as f64 {
            return Err(format!("{}: only {rate:.0} jobs a second have flowed", status.name).into());
        }
        let ratio = median(&mut ratios);
        let name = format!("CPU of a request beside bare hyper: {}", status.name);
        let is_met = Some(ratio <= LIMIT);
        Figure::judged(&name, &format!("{ratio:.3}"), &format!("<= {LIMIT}"), is_met).tell();
        println!(
            "{:<30} {:>6} {:>8.2} {:>8.2} {ratio:>7.3} {:>7.2} {:>7.3} {:>7.0}",
            status.name,
            answer.len(),
            median(&mut theirs) * 1e6,
            median(&mut ours) * 1e6,
            median(&mut threads) * 1e6,
            median(&mut thread_ratios),
            rate,
        );
        Ok(ratio)
    }

    fn prepare(&mut self, server: SocketAddr, messages: &[Vec<u8>]) -> Result<(), Box<dyn Error>> {
        self.clients.prepare(&Ask { server, connections: CONNECTIONS, requests: REQUESTS, messages })
    }
}

#[expect(clippy::cast_precision_loss, reason = "a figure to read")]
fn per_request(seconds: f64) -> f64 {
    seconds / (CONNECTIONS * REQUESTS) as f64
}

/// Jobs that come at a pace, on a thread of their own.
struct Flow {
    is_over: Arc<AtomicBool>,
    finished: Arc<AtomicU64>,
    thread: JoinHandle<Result<(), String>>,
}

impl Flow {
    /// Lets as many jobs through as are kept, and then more at the pace.
    fn start(service: &Service) -> Result<Self, Box<dyn Error>> {
        let class = Arc::new(Class::new(Kind::new("bench")?, QueueName::new("bench")?));
        let yard = service.yard().clone();
        let (is_over, finished) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let mut pace = Pace { yard, class, number: 0, under_way: VecDeque::new() };
        while pace.number < BEFORE {
            pace.submit(256)?;
        }
        let (over, count) = (Arc::clone(&is_over), Arc::clone(&finished));
        let run = move || -> Result<(), String> {
            let begun = Instant::now();
            let mut due = 0;
            while !over.load(Ordering::Relaxed) {
                let at = Duration::from_micros(due * 1_000_000 / JOBS_PER_SECOND);
                thread::sleep(at.saturating_sub(begun.elapsed()));
                let ended = pace.submit(4_096).map_err(|error| error.to_string())?;
                count.fetch_add(ended, Ordering::Relaxed);
                due += 1;
            }
            Ok(())
        };
        let thread = thread::Builder::new().name("flow".into()).spawn(run)?;
        Ok(Self { is_over, finished, thread })
    }

    /// How many jobs are over.
    fn finished(&self) -> u64 {
        self.finished.load(Ordering::Relaxed)
    }

    fn stop(self) -> Result<(), Box<dyn Error>> {
        self.is_over.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| "the flow broke")?.map_err(Into::into)
    }
}

struct Pace {
    yard: Trainyard,
    class: Arc<Class>,
    number: u64,
    under_way: VecDeque<JobId>,
}

impl Pace {
    /// Submits one more; waits for the oldest when so many are under way. Says how many are known to be over.
    fn submit(&mut self, under_way_max: usize) -> Result<u64, Box<dyn Error>> {
        let subject = Subject::new(format!("bench/{}", self.number))?;
        let job = self.yard.job_id();
        self.number += 1;
        drop(self.yard.submit(Submission::new(job, subject, Arc::clone(&self.class))));
        self.under_way.push_back(job);
        let mut ended = 0;
        while let Some(oldest) = self.under_way.front().copied() {
            let is_over = self.yard.read(|yard| yard.job(oldest).is_none_or(|job| job.is_finished()));
            // What is not in the books yet has only just been sent.
            let is_sent = self.under_way.len() > 64;
            if is_over && is_sent {
                self.under_way.pop_front();
                ended += 1;
            } else if self.under_way.len() >= under_way_max {
                self.yard.finished(oldest).wait()?;
            } else {
                break;
            }
        }
        Ok(ended)
    }
}

/// A trainer that learns nothing, and leaves a file.
fn nothing(cx: &mut Context, _: &JobToTrain) -> Result<Trained, TrainError> {
    std::fs::write(cx.dir()?.join("model"), "nothing")?;
    cx.trained("model")
}

/// A contest of four on a small table, with a target that is reached at once.
fn mathfi(service: &Service) -> Result<Status, Box<dyn Error>> {
    let mut stranger = Client::connect(service.local_addr())?;
    let login = stranger.post("/api/login", r#"{"username":"bench","password":"a password of a bench"}"#)?;
    let header = format!("authorization: Bearer {}", text(&login, &["access_token"])?);
    let mut client = Client::connect(service.local_addr())?.with_header(&header);
    let dataset = text(&client.post("/api/v1/datasets", r#"{"datasetName":"bench"}"#)?, &["datasetKey"])?;
    let mut csv = Vec::new();
    made::mixed(1, 60).write_csv(&mut csv)?;
    client.upload(&format!("/api/v1/datasets/{dataset}/data"), std::str::from_utf8(&csv)?)?;
    until("the dataset is ready", || {
        Ok(text(&client.get(&format!("/api/v1/datasets/{dataset}"))?, &["status"])? == "COMPLETED")
    })?;
    let wanted = r#"{"scalingFactor":19,"performanceThreshold":0.0}"#;
    let answer = client.post(&format!("/api/v1/training/datasets/{dataset}"), wanted)?;
    let training = text(&answer, &["trainingJobKey"])?;
    service.yard().finished(JobId::new(training.parse()?)).wait()?;
    let path = format!("/api/v1/training/{training}/progress");
    Ok(Status::new("MathFi progress", &format!("{header}\r\n"), &path))
}

/// A group of one photo that has a model.
fn heygen(service: &Service, key: &str) -> Result<Status, Box<dyn Error>> {
    let header = format!("x-api-key: {key}");
    let mut client = Client::connect(service.local_addr())?.with_header(&header);
    let photo = Person::new(7).photo(0, 96).to_png();
    let image = text(&client.post_bytes("image/png", "/v1/asset", &photo)?, &["data", "image_key"])?;
    let wanted = json!({ "name": "bench", "image_key": image }).to_string();
    let group = text(&client.post("/v2/photo_avatar/avatar_group/create", &wanted)?, &["data", "group_id"])?;
    until("the look is completed", || {
        Ok(text(&client.get(&format!("/v2/photo_avatar/{group}"))?, &["data", "status"])? == "completed")
    })?;
    client.post("/v2/photo_avatar/train", &json!({ "group_id": group }).to_string())?;
    let path = format!("/v2/photo_avatar/train/status/{group}");
    until("the group is trained", || Ok(text(&client.get(&path)?, &["data", "status"])? == "ready"))?;
    Ok(Status::new("HeyGen training status", &format!("{header}\r\n"), &path))
}

/// A job that has trained on a dataset of a dozen trajectories; and how many there are of everything.
fn eliza(service: &Service) -> Result<[Status; 2], Box<dyn Error>> {
    let mut client = Client::connect(service.local_addr())?;
    let trajectories: Vec<Value> = (0..12).map(trajectory).collect();
    client.post("/api/training/trajectories", &json!(trajectories).to_string())?;
    let wanted = r#"{"limit":250,"minLlmCallsPerTrajectory":1}"#;
    let dataset = text(&client.post("/api/training/datasets/build", wanted)?, &["dataset", "id"])?;
    let wanted = json!({ "datasetId": dataset, "backend": "native", "iterations": 4 }).to_string();
    let job = text(&client.post("/api/training/jobs", &wanted)?, &["job", "id"])?;
    let path = format!("/api/training/jobs/{job}");
    until("the job is over", || Ok(text(&client.get(&path)?, &["job", "status"])? == "completed"))?;
    Ok([Status::new("elizaOS status", "", "/api/training/status"), Status::new("elizaOS job", "", &path)])
}

fn trajectory(number: u32) -> Value {
    json!({
        "id": format!("t{number}"), "agentId": "agent-1", "source": "chat", "status": "completed",
        "startTime": 1_718_000_000_000_u64, "endTime": 1_718_000_010_000_u64,
        "steps": [{
            "stepId": "s1",
            "llmCalls": [{
                "callId": format!("c{number}"), "purpose": "should_respond", "model": "small",
                "systemPrompt": "You decide whether the agent answers.",
                "userPrompt": format!("Somebody asks question {number}"),
                "response": "RESPOND, since somebody asks", "promptTokens": 20, "completionTokens": 5,
            }],
        }],
    })
}

/// Clients whose `train` calls wait.
fn wait_in_line(service: &Service) -> Result<Vec<Client>, Box<dyn Error>> {
    let mut client = Client::connect(service.local_addr())?;
    let made = json!({ "index_name": "i", "index_key": INDEX_KEY, "dimension": 8 }).to_string();
    client.post("/v1/indexes/create", &made)?;
    let body = json!({ "index_name": "i", "index_key": INDEX_KEY }).to_string();
    let mut waiting = Vec::new();
    for _ in 0..WAITING {
        let mut client = Client::connect(service.local_addr())?;
        client.send("POST", "/v1/indexes/train", &body)?;
        waiting.push(client);
    }
    until("all are in line", || {
        let answer: Value = serde_json::from_slice(&client.get("/v1/indexes/training-status")?)?;
        Ok(answer["queued_indexes"].as_array().is_some_and(|queued| queued.len() == WAITING))
    })?;
    Ok(waiting)
}

fn until(what: &str, mut is_so: impl FnMut() -> Result<bool, Box<dyn Error>>) -> Result<(), Box<dyn Error>> {
    let begun = Instant::now();
    while !is_so()? {
        if begun.elapsed() > Duration::from_secs(60) {
            return Err(format!("waited too long until {what}").into());
        }
        thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

/// A text in an answer.
fn text(answer: &[u8], members: &[&str]) -> Result<String, Box<dyn Error>> {
    let answer: Value = serde_json::from_slice(answer)?;
    let found = members.iter().fold(&answer, |value, member| &value[*member]);
    Ok(found.as_str().ok_or_else(|| format!("no {members:?} in {answer}"))?.to_owned())
}
