//! MathFi's wire in one process: datasets come in, algorithms compete, the champion predicts, also after a restart.

mod support;

use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use support::mathfi::{Caller, check_won, easy, noise, text, without_class};
use support::steady::{Gate, STEPS, WAITS_AT, contestants};
use support::{Client, Points, until, until_told};
use trainyard_http::secret::Secret;
use trainyard_server::{JournalChoice, Opened, Service, ServiceConfig};

/// Nobody waits for it, on a slow machine neither.
const SECONDS: Duration = Duration::from_secs(300);

fn config(folder: &Path) -> ServiceConfig {
    let secret = |text: &str| Secret::new(text).expect("it is not empty");
    ServiceConfig::new(folder)
        .with_listen(SocketAddr::from(([127, 0, 0, 1], 0)))
        .with_mathfi_user("a@example.com", secret("s3cret"))
        .with_mathfi_user("b@example.com", secret("0ther"))
}

fn open(config: ServiceConfig) -> (Service, Opened, Caller) {
    let (service, opened) = Service::open(config).expect("the folder can be opened");
    let caller = Caller::log_in(service.url(), "a@example.com", "s3cret");
    (service, opened, caller)
}

/// A contest in which three algorithms learn nothing, and the fourth waits at a gate.
fn gated(folder: &Path, gate: &Arc<Gate>) -> ServiceConfig {
    config(folder).with_mathfi_contestants(contestants(gate)).with_mathfi_checkpoint_every(Duration::ZERO)
}

/// What the steady one shows at the gate, and not one step before: what it shows last is durable a moment later.
fn is_at_gate(caller: &Caller, training: &str) -> bool {
    let least = f64::from(WAITS_AT) / f64::from(STEPS) - 0.02;
    caller.latest(training, "BSEV02").is_some_and(|latest| latest > least)
}

#[test]
fn a_table_comes_in_a_champion_is_found_and_predicts_also_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let (service, opened, caller) = open(config(folder.path()));
    assert!(opened.first_user.is_none());
    let csv = easy(600);
    let created = caller.create("easy");
    assert_eq!(created.header.0, "X-Goog-Content-Length-Range");
    assert!(created.upload_url.starts_with(service.url()), "{}", created.upload_url);
    let dataset = created.key.clone();
    assert_eq!(caller.dataset(&dataset), "PENDING");
    let answer = caller.send(&format!("/api/v1/datasets/{dataset}/data"), &csv);
    assert!(matches!(answer.status, 200 | 202), "{answer:?}");
    until_told(service.yard(), "the data is ready", || caller.is_ready(&dataset));
    assert_eq!(caller.send(&format!("/api/v1/datasets/{dataset}/data"), &csv).status, 409);

    let training = caller.train(&dataset, 0.9);
    until_told(service.yard(), "somebody has won", || caller.progress(&training)["status"] == "COMPLETED");
    let progress = caller.progress(&training);
    check_won(&progress);
    let job = caller.training(&training);
    assert_eq!((&job["status"], &job["targetPerformance"]), (&json!("COMPLETED"), &json!(0.9)));
    assert_eq!((&job["scalingFactor"], &job["datasetKey"]), (&json!(19), &json!(dataset)));
    for figure in ["achievedPerformance", "trainingPerformance", "testPerformance"] {
        assert!(job[figure].as_f64().unwrap() > 0.8, "{figure}: {job}");
    }
    let with_model = caller.get("/api/v1/datasets?offset=0&limit=9&withModelOnly=true").body;
    assert_eq!(with_model["total"], 1);

    let model = text(&job["modelKey"]);
    let rows = without_class(&easy(100));
    let prediction = caller.predict(&model, &rows);
    let result = caller.result(&prediction);
    let mut lines = result.lines();
    assert_eq!(lines.next().unwrap(), "id,a,b,colour,prediction,probability");
    let right = easy(100);
    let hits = lines.zip(right.lines().skip(1)).filter(|(said, line)| {
        let class = line.rsplit(',').next().unwrap();
        let (said, probability) = said.rsplit_once(',').unwrap();
        assert!((0.0..=1.0).contains(&probability.parse::<f64>().unwrap()));
        *said == format!("{},{class}", line.rsplit_once(',').unwrap().0)
    });
    assert!(hits.count() > 80, "{result}");
    let other_columns = caller.predict(&model, "id,a,b\n1,0.5,0.5\n");
    until("it is refused", || caller.prediction(&other_columns)["status"] == "FAILED");
    let closed = service.shutdown(SECONDS);
    assert!(closed.http.is_clean(), "{closed}");

    let (service, opened) = Service::open(config(folder.path())).unwrap();
    assert_eq!(opened.resumed, 0);
    let same = caller.at(service.url());
    assert_eq!(same.training(&training), job, "the token is good, and nothing has changed");
    assert_eq!(same.progress(&training), progress);
    assert_eq!(same.result(&prediction), result);
    assert_eq!(same.result(&same.predict(&model, &rows)), result, "the old model says the same");
    service.shutdown(SECONDS);
}

#[test]
fn the_first_of_many_models_still_predicts() {
    let folder = tempfile::tempdir().unwrap();
    let (service, _, caller) = open(config(folder.path()));
    let dataset = caller.ready("easy", &easy(60));
    // One more than a registry of other models keeps besides the active one.
    let models: Vec<String> = (0..18)
        .map(|_| {
            let training = caller.train(&dataset, 0.1);
            until("somebody has won", || caller.progress(&training)["status"] == "COMPLETED");
            text(&caller.training(&training)["modelKey"])
        })
        .collect();
    // Either of them may be the active one.
    for model in &models[..2] {
        let prediction = caller.predict(model, &without_class(&easy(10)));
        assert_eq!(caller.result(&prediction).lines().count(), 11);
    }
    service.shutdown(SECONDS);
}

#[test]
fn a_large_way_in_for_more_than_two_classes() {
    let folder = tempfile::tempdir().unwrap();
    let (service, _, caller) = open(config(folder.path()));
    let mut csv = String::from("id,x,y,class\n");
    for row in 0..400_u32 {
        let class = row % 4;
        let (x, y) = (class * 10 + row % 7, (class * class) * 3 + row % 5);
        csv.push_str(&format!("{row},{x},{y},\"class \"\"{class}\"\"\"\r\n"));
    }
    let created = caller.create("four classes");
    let answer = caller.put(&created, csv.len() as u64, std::io::Cursor::new(csv.clone()));
    assert!(matches!(answer.status, 200..=202), "{answer:?}");
    until_told(service.yard(), "the data is ready", || caller.is_ready(&created.key));
    assert_eq!(caller.put(&created, 12, &b"id,x,class\n1"[..]).status, 409);
    let training = caller.train(&created.key, 0.95);
    until_told(service.yard(), "it is won", || caller.progress(&training)["status"] == "COMPLETED");
    assert!(check_won(&caller.progress(&training)).starts_with('M'));
    let model = text(&caller.training(&training)["modelKey"]);
    let result = caller.result(&caller.predict(&model, "id,x,y\n1,0,0\n2,33,29\n"));
    let said: Vec<_> = result.lines().skip(1).map(|line| line.rsplit_once(',').unwrap().0).collect();
    assert_eq!(said, ["1,0,0,\"class \"\"0\"\"\"", "2,33,29,\"class \"\"3\"\"\""], "spelled as it was");
    service.shutdown(SECONDS);
}

#[test]
fn a_contest_goes_on_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let gate = Arc::new(Gate::default());
    let (service, _, caller) = open(gated(folder.path(), &gate));
    let dataset = caller.ready("noise", &noise(500));
    let training = caller.train(&dataset, 0.95);
    until_told(service.yard(), "it waits at the gate", || is_at_gate(&caller, &training));
    let before = caller.progress(&training);
    let closed = service.shutdown(SECONDS);
    assert_eq!(closed.yard.unwrap().attempts_interrupted, 1);

    let (service, opened, _) = open(gated(folder.path(), &gate));
    assert_eq!(opened.yard.attempts_interrupted, 0, "it was put in line before the process ended");
    let caller = caller.at(service.url());
    let after = caller.progress(&training);
    assert_eq!(after["status"], "RUNNING");
    let latest = |progress: &serde_json::Value| progress["jobs"][3]["latestPerformance"].as_f64();
    assert_eq!(latest(&after), latest(&before), "nothing has jumped back");
    gate.open();
    let mut last = latest(&before);
    until_told(service.yard(), "it is won", || {
        let progress = caller.progress(&training);
        assert!(latest(&progress) >= last, "{progress} after {last:?}");
        last = latest(&progress);
        progress["status"] == "COMPLETED"
    });
    assert_eq!(check_won(&caller.progress(&training)), "BSEV02");
    service.shutdown(SECONDS);
}

#[test]
fn a_long_contest_is_in_nobodys_way() {
    let folder = tempfile::tempdir().unwrap();
    let gate = Arc::new(Gate::default());
    let (service, _, caller) = open(gated(folder.path(), &gate));
    let dataset = caller.ready("noise", &noise(500));
    let first = caller.train(&dataset, 0.95);
    let other = caller.ready("other noise", &noise(400));
    let second = caller.train(&other, 0.95);
    let easy_one = caller.ready("easy", &easy(300));
    let third = caller.train(&easy_one, 0.95);
    for training in [&first, &second] {
        until_told(service.yard(), "both wait at the gate", || is_at_gate(&caller, training));
    }
    assert_eq!(caller.progress(&third)["status"], "PENDING", "two at once is all");

    let client = Client::new(service.url());
    client.create("docs");
    client.upsert("docs", &Points::clustered(10_000));
    client.until_trained("docs");
    caller.ready("one more", &easy(50));
    let cancelled = caller.cancel(&second);
    assert_eq!((cancelled.status, &cancelled.body["status"]), (200, &json!("CANCELLED")), "{cancelled:?}");
    until_told(service.yard(), "its place is free", || caller.progress(&third)["status"] != "PENDING");
    gate.open();
    for training in [&first, &third] {
        until_told(service.yard(), "both are won", || caller.progress(training)["status"] == "COMPLETED");
    }
    assert_eq!(caller.progress(&second)["status"], "CANCELLED");
    service.shutdown(SECONDS);
}

#[test]
fn two_users_see_nothing_of_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let (service, _, a) = open(config(folder.path()));
    let b = Caller::log_in(service.url(), "b@example.com", "0ther");
    let dataset = a.ready("easy", &easy(300));
    let training = a.train(&dataset, 0.8);
    until_told(service.yard(), "it is won", || a.progress(&training)["status"] == "COMPLETED");
    let model = text(&a.training(&training)["modelKey"]);
    let prediction = a.predict(&model, &without_class(&easy(10)));
    a.result(&prediction);
    let empty = a.create("empty").key;

    let body = json!({ "scalingFactor": 19, "performanceThreshold": 0.8 });
    let seen = [
        b.get(&format!("/api/v1/datasets/{dataset}")),
        b.send(&format!("/api/v1/datasets/{empty}/data"), easy(300)),
        b.post(&format!("/api/v1/training/datasets/{dataset}"), &body),
        b.get(&format!("/api/v1/training/{training}")),
        b.get(&format!("/api/v1/training/{training}/progress")),
        b.cancel(&training),
        b.send(&format!("/api/v1/predictions/models/{model}"), without_class(&easy(10))),
        b.get(&format!("/api/v1/predictions/{prediction}")),
    ];
    for answer in seen {
        assert_eq!(answer.status, 404, "{answer:?}");
        assert!(answer.body["message"].is_string(), "{answer:?}");
    }
    assert_eq!(b.get("/api/v1/datasets?offset=0&limit=9").body["total"], 0);
    assert_eq!(a.get("/api/v1/datasets?offset=0&limit=9").body["total"], 2);
    b.create("easy");
    assert_eq!(a.dataset(&empty), "PENDING");
    let stranger = Caller::stranger(service.url());
    assert_eq!(stranger.get(&format!("/api/v1/datasets/{dataset}")).status, 401);
    for (name, password) in [("a@example.com", "0ther"), ("nobody", "s3cret")] {
        let answer = stranger.try_log_in(name, password);
        assert_eq!(answer.status, 401, "{answer:?}");
    }
    service.shutdown(SECONDS);
}

/// A CSV that is whole, packed: its bytes are no text.
const GZIP: &str = "H4sIAAAAAAACAyXMKw6AMBBAQd+zPNHtv8dpAEFCQFRxe9itHDPnzmC7xpzO47kfJwjvMV0gKCPRmEjKTDYWirJSjY2m7HSjeG\
                    Rl/7a6D2c9GO9pAAAA";
const ZIP: &str = "UEsDBBQAAAAAAAAAIQCGKIHqEwAAABMAAAAFAAAAYS5jc3ZpZCxhLGNsYXNzCjEsMix5ZXMKUEsBAhQDFAAAAAAAAAAhAIYogeoT\
                   AAAAEwAAAAUAAAAAAAAAAAAAAIABAAAAAGEuY3N2UEsFBgAAAAABAAEAMwAAADYAAAAAAA==";

#[test]
fn wrong_tables_fail_with_a_reason_and_disturb_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let (service, _, caller) = open(config(folder.path()));
    let packed = |text: &str| STANDARD.decode(text).unwrap();
    let columns: String = (0..1_000_000).map(|n| format!("c{n},")).collect();
    let wrong: [(&str, Vec<u8>, &str); 10] = [
        ("no rows", b"id,a,class\n".into(), "no rows"),
        ("two columns", b"id,class\n1,yes\n2,no\n".into(), "2 columns"),
        (
            "one class",
            (0..50).fold("id,a,class\n".to_owned(), |csv, n| csv + &format!("{n},{n},yes\n")).into(),
            "class",
        ),
        ("ragged", (easy(40) + "r99,1\n").into(), "row 42 has 2 fields"),
        ("same id", (easy(40) + "r1,0.5,0.5,red,yes\n").into(), "an earlier row"),
        (
            "all missing",
            (0..50).fold("id,a,class\n".to_owned(), |csv, n| csv + &format!("{n},,c{}\n", n % 2)).into(),
            "",
        ),
        ("gzip", packed(GZIP), "the file is"),
        ("zip", packed(ZIP), "the file is"),
        ("not utf-8", [easy(40).as_bytes(), b"r99,0.5,0.5,caf\xe9,yes\n"].concat(), "not utf-8"),
        ("many columns", format!("id,{columns}class\n1,2,yes\n").into(), "row 1 takes more than"),
    ];
    let keys: Vec<_> = wrong.iter().map(|(name, csv, _)| caller.upload(name, csv)).collect();
    let right = caller.ready("right", &easy(40));
    for ((name, _, reason), key) in wrong.iter().zip(&keys) {
        until_told(service.yard(), name, || caller.dataset(key) != "PROCESSING");
        let answer = caller.get(&format!("/api/v1/datasets/{key}")).body;
        assert_eq!(answer["status"], "FAILED", "{name}: {answer}");
        let message = answer["message"].as_str().unwrap_or_default();
        assert!(!message.is_empty() && message.contains(reason), "{name}: {answer}");
        let body = json!({ "scalingFactor": 19, "performanceThreshold": 0.8 });
        assert_eq!(caller.post(&format!("/api/v1/training/datasets/{key}"), &body).status, 409, "{name}");
    }
    caller.train(&right, 0.5);
    service.shutdown(SECONDS);
    let left = std::fs::read_dir(folder.path().join("mathfi/datasets")).unwrap().count();
    assert_eq!(left, 1, "of what failed nothing is kept");
}

#[test]
fn what_needs_more_memory_than_there_is_fails_when_it_comes_in() {
    let folder = tempfile::tempdir().unwrap();
    let (service, _, caller) = open(config(folder.path()).with_memory_mib(1));
    let key = caller.upload("large", noise(20_000));
    until_told(service.yard(), "it is refused", || caller.dataset(&key) == "FAILED");
    let answer = caller.get(&format!("/api/v1/datasets/{key}")).body;
    assert!(answer["message"].as_str().unwrap().contains("MiB of memory"), "{answer}");
    service.shutdown(SECONDS);
}

#[test]
fn an_upload_that_breaks_off_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (service, _, caller) = open(config(folder.path()));
    let created = caller.create("cut");
    let (_, path) = created.upload_url.split_at(service.url().len());
    let mut stream = TcpStream::connect(service.local_addr()).unwrap();
    write!(stream, "PUT {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\nid,a,class\n1,2,")
        .unwrap();
    let incoming = folder.path().join("mathfi/incoming");
    let on_its_way = || std::fs::read_dir(&incoming).unwrap().count();
    until("it is on its way", || on_its_way() == 1);
    drop(stream);
    until("it is gone", || on_its_way() == 0);
    assert_eq!(caller.dataset(&created.key), "PENDING");
    let csv = easy(60);
    let answer = caller.put(&created, csv.len() as u64, std::io::Cursor::new(csv));
    assert!(matches!(answer.status, 200..=202), "{answer:?}");
    until_told(service.yard(), "the data is ready", || caller.is_ready(&created.key));
    service.shutdown(SECONDS);
}

#[test]
fn without_a_journal_datasets_and_results_stay_and_trainings_go() {
    let folder = tempfile::tempdir().unwrap();
    let memory = || config(folder.path()).with_journal(JournalChoice::Memory);
    let (service, _, caller) = open(memory());
    let dataset = caller.ready("easy", &easy(300));
    let training = caller.train(&dataset, 0.8);
    until_told(service.yard(), "it is won", || caller.progress(&training)["status"] == "COMPLETED");
    let model = text(&caller.training(&training)["modelKey"]);
    let prediction = caller.predict(&model, &without_class(&easy(10)));
    let result = caller.result(&prediction);
    service.shutdown(SECONDS);

    let (service, _, caller) = open(memory());
    assert_eq!(caller.get(&format!("/api/v1/training/{training}")).status, 404);
    assert_eq!(caller.send(&format!("/api/v1/predictions/models/{model}"), "id,a\n1,2\n").status, 404);
    assert_eq!(caller.result(&prediction), result);
    assert!(caller.is_ready(&dataset));
    let training = caller.train(&dataset, 0.8);
    until_told(service.yard(), "it is won", || caller.progress(&training)["status"] == "COMPLETED");
    service.shutdown(SECONDS);
}

#[test]
fn numbers_are_bounded_for_each_user() {
    let folder = tempfile::tempdir().unwrap();
    let bounded = config(folder.path()).with_mathfi_datasets_max(2).with_mathfi_predictions_max(2);
    let (service, _, caller) = open(bounded);
    let dataset = caller.ready("easy", &easy(300));
    caller.create("more");
    let answer = caller.post("/api/v1/datasets", &json!({ "datasetName": "too many" }));
    assert_eq!(answer.status, 409, "{answer:?}");
    assert!(answer.body["message"].as_str().unwrap().contains("2 datasets"), "{answer:?}");
    let b = Caller::log_in(service.url(), "b@example.com", "0ther");
    b.create("one of another's");

    let training = caller.train(&dataset, 0.8);
    until_told(service.yard(), "it is won", || caller.progress(&training)["status"] == "COMPLETED");
    let model = text(&caller.training(&training)["modelKey"]);
    let rows = without_class(&easy(10));
    let made: Vec<_> = (0..3)
        .map(|_| {
            let key = caller.predict(&model, &rows);
            caller.result(&key);
            key
        })
        .collect();
    assert_eq!(caller.get(&format!("/api/v1/predictions/{}", made[0])).status, 404, "the oldest is gone");
    caller.result(&made[1]);
    let left = std::fs::read_dir(folder.path().join("mathfi/predictions")).unwrap().count();
    assert_eq!(left, 2, "with its files");
    service.shutdown(SECONDS);
}

#[test]
fn users_and_their_tokens_over_restarts() {
    let folder = tempfile::tempdir().unwrap();
    let local = || ServiceConfig::new(folder.path()).with_listen(SocketAddr::from(([127, 0, 0, 1], 0)));
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    Service::open(local().with_listen(taken.local_addr().unwrap())).unwrap_err();
    let (service, opened) = Service::open(local()).unwrap();
    let lost = opened.first_user.unwrap();
    service.shutdown(SECONDS);
    let (service, opened) = Service::open(local()).unwrap();
    let first = opened.first_user.clone().unwrap();
    let stranger = Caller::stranger(service.url());
    assert_eq!(
        stranger.try_log_in(&lost.name, lost.password.expose()).status,
        401,
        "nobody was shown that one"
    );
    service.first_user_told().unwrap();
    let said = format!("{opened} {opened:?} {} {service:?}", service.greeting("$KEY"));
    assert!(!said.contains(first.password.expose()) && said.contains("MathFi's users: admin"), "{said}");
    let admin = Caller::log_in(service.url(), &first.name, first.password.expose());
    let dataset = admin.create("mine").key;
    service.shutdown(SECONDS);

    let (service, opened) = Service::open(local()).unwrap();
    assert!(opened.first_user.is_none(), "once");
    assert_eq!(admin.at(service.url()).dataset(&dataset), "PENDING");
    service.shutdown(SECONDS);

    let configured = local().with_mathfi_user("admin", Secret::new("chosen").unwrap());
    let (service, _) = Service::open(configured).unwrap();
    let same = admin.at(service.url());
    assert_eq!(same.get("/api/v1/datasets?offset=0&limit=9").status, 401, "the password has changed");
    let again = Caller::log_in(service.url(), "admin", "chosen");
    assert_eq!(again.dataset(&dataset), "PENDING", "what is theirs stays theirs");
    service.shutdown(SECONDS);

    std::fs::remove_file(folder.path().join("mathfi/signing.key")).unwrap();
    let configured = local().with_mathfi_user("admin", Secret::new("chosen").unwrap());
    let (service, _) = Service::open(configured).unwrap();
    assert_eq!(again.at(service.url()).get("/api/v1/datasets?offset=0&limit=9").status, 401, "another key");
    Caller::log_in(service.url(), "admin", "chosen");
    service.shutdown(SECONDS);
}
