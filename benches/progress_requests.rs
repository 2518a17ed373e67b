//! What a request for the progress of a MathFi training costs the server while 10,000 finished contests are stored,
//! beside a bare hyper server that answers the same bytes.
//!
//! The contests are really run, each of four learners on a small table with a target that the first report reaches.
//! Then eight clients ask for the progress of all of them in turn. What counts is time on a core of all threads but the
//! clients'. Ends with a failure when the limit is broken.
//!
//! `cargo bench --bench progress_requests`; `-- 500` for fewer contests.

use std::error::Error;
use std::time::{Duration, Instant};

use serde_json::Value;
use trainyard_benches::http::{Client, bare_hyper, cost};
use trainyard_benches::{argument, median};
use trainyard_core::JobId;
use trainyard_http::secret::Secret;
use trainyard_server::{JournalChoice, Service, ServiceConfig};
use trainyard_tabular::made;

const CONTESTS: usize = 10_000;
/// So many are put in line before the first of them is waited for.
const TOGETHER: usize = 1_000;
const ROUNDS: usize = 21;
const LIMIT: f64 = 2.0;

fn main() -> Result<(), Box<dyn Error>> {
    let contests = argument().map_or(Ok(CONTESTS), |text| text.parse())?;
    let folder = tempfile::tempdir()?;
    let config = ServiceConfig::new(folder.path())
        .with_listen("127.0.0.1:0".parse()?)
        .with_journal(JournalChoice::Memory)
        .with_mathfi_user("bench", Secret::new("a password of a bench")?);
    let (service, _) = Service::open(config)?;
    let ours = service.local_addr();

    let mut stranger = Client::connect(ours)?;
    let login = stranger.post("/api/login", r#"{"username":"bench","password":"a password of a bench"}"#)?;
    let header = format!("authorization: Bearer {}", text(&login, "access_token")?);
    let mut client = Client::connect(ours)?.with_header(&header);
    let dataset = ready_dataset(&mut client)?;

    let begun = Instant::now();
    let mut trainings = Vec::with_capacity(contests);
    while trainings.len() < contests {
        let from = trainings.len();
        for _ in 0..TOGETHER.min(contests - from) {
            let answer = client.post(
                &format!("/api/v1/training/datasets/{dataset}"),
                r#"{"scalingFactor":19,"performanceThreshold":0.0}"#,
            )?;
            trainings.push(text(&answer, "trainingJobKey")?);
        }
        for training in &trainings[from..] {
            service.yard().finished(JobId::new(training.parse()?)).wait()?;
        }
    }
    println!("{contests} contests of four learners in {:.1} s", begun.elapsed().as_secs_f64());

    let paths: Vec<String> =
        trainings.iter().map(|training| format!("/api/v1/training/{training}/progress")).collect();
    let answer = client.get(&paths[0])?;
    if serde_json::from_slice::<Value>(&answer)?["status"] != "COMPLETED" {
        return Err("a contest has no champion".into());
    }
    let bare = bare_hyper(answer)?;
    let (mut theirs, mut mine, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let costs = (cost(bare, &paths, &header)?, cost(ours, &paths, &header)?);
        theirs.push(costs.0);
        mine.push(costs.1);
        ratios.push(costs.1 / costs.0);
    }
    let (theirs, mine, ratio) = (median(&mut theirs), median(&mut mine), median(&mut ratios));
    println!("medians: bare hyper {:.2} us, ours {:.2} us", theirs * 1e6, mine * 1e6);
    println!("on one core: bare hyper {:.0} requests/s, ours {:.0}", theirs.recip(), mine.recip());
    println!("CPU per progress request, ours / bare hyper: {ratio:.3} (limit {LIMIT})");
    service.shutdown(Duration::from_secs(5));
    if ratio > LIMIT { Err("the limit is broken".into()) } else { Ok(()) }
}

fn ready_dataset(client: &mut Client) -> Result<String, Box<dyn Error>> {
    let answer = client.post("/api/v1/datasets", r#"{"datasetName":"bench"}"#)?;
    let dataset = text(&answer, "datasetKey")?;
    let mut csv = Vec::new();
    made::mixed(1, 60).write_csv(&mut csv)?;
    client.upload(&format!("/api/v1/datasets/{dataset}/data"), std::str::from_utf8(&csv)?)?;
    loop {
        let answer = client.get(&format!("/api/v1/datasets/{dataset}"))?;
        match text(&answer, "status")?.as_str() {
            "PROCESSING" => {}
            "COMPLETED" => return Ok(dataset),
            status => return Err(format!("the dataset is {status}").into()),
        }
    }
}

fn text(answer: &[u8], member: &str) -> Result<String, Box<dyn Error>> {
    let answer: Value = serde_json::from_slice(answer)?;
    let found = answer[member].as_str().ok_or_else(|| format!("no {member} in {answer}"))?;
    Ok(found.to_owned())
}
