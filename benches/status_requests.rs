//! What a status request costs the server, beside a bare hyper server that answers the same bytes; and whether
//! `train` calls that wait for their answer make others wait.
//!
//! Both are asked in turn by the same clients over keep-alive connections. What counts is time on a core of all
//! threads but the clients'. Ends with a failure when a limit is broken.
//!
//! `cargo bench --bench status_requests`

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use trainyard_benches::http::{Client, bare_hyper, cost};
use trainyard_benches::median;
use trainyard_core::{QueueName, Reason};
use trainyard_server::{JournalChoice, Service, ServiceConfig};

const ROUNDS: usize = 41;
const OUTSTANDING: usize = 1_000;
const LIMIT: f64 = 1.33;
const STATUS: &str = "/v1/indexes/training-status";
const KEY: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::temp_dir().join(format!("trainyard-status-{}", std::process::id()));
    let config =
        ServiceConfig::new(&folder).with_listen("127.0.0.1:0".parse()?).with_journal(JournalChoice::Memory);
    let (service, _) = Service::open(config)?;
    let ours = service.local_addr();

    let mut client = Client::connect(ours)?;
    let bare = bare_hyper(client.get(STATUS)?)?;
    let status = [STATUS.to_owned()];
    let (mut theirs, mut mine, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let costs = (cost(bare, &status, "")?, cost(ours, &status, "")?);
        theirs.push(costs.0);
        mine.push(costs.1);
        ratios.push(costs.1 / costs.0);
    }
    let ratio = median(&mut ratios);
    println!(
        "medians: bare hyper {:.2} us, ours {:.2} us",
        median(&mut theirs) * 1e6,
        median(&mut mine) * 1e6
    );
    println!("CPU per status request, ours / bare hyper: {ratio:.3} (limit {LIMIT}, aim 1.1)");

    let [idle, idle_status] = [latency(ours, "/v1/health")?, latency(ours, STATUS)?];
    service.yard().pause_queue(QueueName::new("cyborgdb")?, Reason::new("bench")).wait()?;
    client
        .post("/v1/indexes/create", &format!(r#"{{"index_name":"i","index_key":"{KEY}","dimension":8}}"#))?;
    let body = format!(r#"{{"index_name":"i","index_key":"{KEY}"}}"#);
    let mut waiting = Vec::new();
    for _ in 0..OUTSTANDING {
        let mut client = Client::connect(ours)?;
        client.send("POST", "/v1/indexes/train", &body)?;
        waiting.push(client);
    }
    let outstanding = br#""i""#;
    while client.get(STATUS)?.windows(3).filter(|part| part == outstanding).count() < 2 * OUTSTANDING {}
    let [busy, busy_status] = [latency(ours, "/v1/health")?, latency(ours, STATUS)?];
    println!(
        "median answer of health with no train call waiting {idle:?}, with {OUTSTANDING} waiting {busy:?}"
    );
    let bytes = client.get(STATUS)?.len();
    println!(
        "median status with none waiting {idle_status:?}, with {OUTSTANDING}, in {bytes} bytes, {busy_status:?}"
    );

    drop(waiting);
    service.shutdown(Duration::from_secs(5));
    std::fs::remove_dir_all(folder)?;
    if ratio > LIMIT { Err("the limit is broken".into()) } else { Ok(()) }
}

fn latency(server: SocketAddr, path: &str) -> io::Result<Duration> {
    let mut client = Client::connect(server)?;
    let mut times = Vec::new();
    for _ in 0..2_000 {
        let start = Instant::now();
        client.get(path)?;
        times.push(start.elapsed());
    }
    times.sort_unstable();
    Ok(times[times.len() / 2])
}
