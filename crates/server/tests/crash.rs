//! A process of its own: killed, asked to stop, and refused what another one has.
#![cfg(unix)]

mod support;

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use support::{Client, LONG, Points, long_training, until};
use trainyard_server::{OpenError, Service, ServiceConfig, Terminal};

const CHILD: &str = "TRAINYARD_SERVER_TEST_IN";

fn config(folder: &Path) -> ServiceConfig {
    ServiceConfig::new(folder).with_listen(SocketAddr::from(([127, 0, 0, 1], 0)))
}

/// Nothing, unless this binary was started as [`Serving`]: then a server, until it is told to stop.
#[test]
fn child() {
    let Some(folder) = std::env::var_os(CHILD) else { return };
    let (stop, stopped) = mpsc::channel();
    ctrlc::set_handler(move || stop.send(()).unwrap()).unwrap();
    let (service, opened) = Service::open(config(Path::new(&folder))).unwrap();
    println!("\n> opened {}", opened.yard);
    println!("> listening {}", service.url());
    let watch = service.watch();
    let shown = thread::spawn(|| Terminal::log(std::io::stdout()).show(watch));
    stopped.recv().unwrap();
    println!("> closed {}", service.shutdown(Duration::from_secs(20)));
    shown.join().unwrap().unwrap();
}

/// A server in a process of its own; killed when it is dropped.
struct Serving {
    process: Child,
    lines: Receiver<String>,
}

impl Serving {
    fn start(folder: &Path) -> (Self, String, Client) {
        let mut process = Command::new(std::env::current_exe().expect("this binary is a file"))
            .args(["child", "--exact", "--nocapture", "--test-threads=1"])
            .env(CHILD, folder)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("this binary starts");
        let said = BufReader::new(process.stdout.take().expect("it is piped")).lines();
        let (tell, lines) = mpsc::channel();
        thread::spawn(move || said.map_while(Result::ok).try_for_each(|line| tell.send(line)));
        let mut serving = Self { process, lines };
        let opened = serving.hear("> opened ");
        let url = serving.hear("> listening ");
        (serving, opened, Client::new(url))
    }

    /// The rest of the first line that begins so.
    fn hear(&mut self, begin: &str) -> String {
        loop {
            let line =
                self.lines.recv_timeout(LONG).unwrap_or_else(|error| panic!("no line {begin:?}: {error}"));
            if let Some(rest) = line.strip_prefix(begin) {
                return rest.to_owned();
            }
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// An index that trains for a while, and somebody who has asked for that and waits.
fn begin_long_training(client: &Client) -> thread::JoinHandle<()> {
    client.create("docs");
    client.upsert("docs", &Points::scattered(0, 10_000));
    client.until_trained("docs");
    let waiting = client.clone();
    thread::spawn(move || {
        // What it is told, if anything, is another test's business.
        let _ = waiting.try_post("/v1/indexes/train", &long_training("docs"));
    })
}

#[test]
fn a_killed_server_goes_on_with_its_training() {
    let folder = tempfile::tempdir().unwrap();
    let (mut serving, _, client) = Serving::start(folder.path());
    let waiting = begin_long_training(&client);
    serving.hear("trained ");
    serving.hear("training "); // the next one: at its first word the process dies
    client.upsert("docs", &Points::scattered(10_000, 100));
    serving.process.kill().unwrap();
    drop(serving);
    waiting.join().unwrap();

    let (_serving, opened, client) = Serving::start(folder.path());
    assert!(opened.starts_with("1 attempt interrupted and requeued"), "{opened}");
    assert_eq!(client.count("docs"), 10_100, "what was acknowledged is there");
    assert!(client.is_training("docs"), "it goes on by itself");
    client.until_trained("docs");
    assert_eq!(client.describe("docs")["n_lists"], 500);
}

#[test]
fn a_server_that_is_asked_to_stop_keeps_a_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let (mut serving, _, client) = Serving::start(folder.path());
    let waiting = begin_long_training(&client);
    serving.hear("trained ");
    serving.hear("training \"docs\": seeding");
    until("it is well under way", || {
        assert!(client.is_training("docs"), "it should take longer");
        !client.is_trained("docs")
    });
    serving.hear("training \"docs\": kmeans");
    let pid = serving.process.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    let closed = serving.hear("> closed ");
    assert!(closed.starts_with("1 attempt interrupted"), "{closed}");
    assert!(serving.process.wait().unwrap().success());
    waiting.join().unwrap();

    let (service, opened) = Service::open(config(folder.path())).unwrap();
    assert_eq!(opened.yard.attempts_interrupted, 0, "it was put in line before the process ended");
    let checkpoint = service.yard().read(|yard| {
        let job = yard.jobs().find(|job| !job.is_finished());
        job.and_then(|job| job.standing()?.checkpoint.clone())
    });
    assert!(checkpoint.is_some_and(|checkpoint| checkpoint.step > 0), "it goes on where it was");
    let client = Client::new(service.url());
    client.until_trained("docs");
    assert_eq!(client.describe("docs")["n_lists"], 500);
    service.shutdown(Duration::from_secs(10));
}

#[test]
fn a_folder_that_another_process_has_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (serving, _, client) = Serving::start(folder.path());
    let error = Service::open(config(folder.path())).unwrap_err();
    assert!(matches!(error, OpenError::InUse { .. }));
    assert!(error.to_string().ends_with(&format!("in use by process {}", serving.process.id())), "{error}");
    assert_eq!(client.get("/v1/health").0, 200, "the first one is not disturbed");
    drop(serving);
    Service::open(config(folder.path())).unwrap().0.shutdown(Duration::from_secs(10));
}
