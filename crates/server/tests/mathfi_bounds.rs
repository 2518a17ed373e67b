//! MathFi's wire at its bounds: of time, of memory, of the disk, of what one file and one user may have.

mod support;

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use support::mathfi::{Caller, Created, easy, noise};
use support::steady::{Gate, contestants};
use support::{LONG, until, until_told};
use trainyard_core::{Gain, Score, StallRule};
use trainyard_http::secret::Secret;
use trainyard_mathfi::{Limits, Settings};
use trainyard_server::{Service, ServiceConfig};

/// Nobody waits for it, on a slow machine neither.
const SECONDS: Duration = Duration::from_secs(300);

fn config(folder: &Path) -> ServiceConfig {
    ServiceConfig::new(folder)
        .with_listen(SocketAddr::from(([127, 0, 0, 1], 0)))
        .with_mathfi_user("a", Secret::new("s3cret").expect("it is not empty"))
}

/// One algorithm waits at a gate that nobody opens, the others learn nothing.
fn gated(folder: &Path) -> ServiceConfig {
    config(folder).with_mathfi_contestants(contestants(&Arc::new(Gate::default())))
}

fn open(config: ServiceConfig) -> (Service, Caller) {
    let (service, _) = Service::open(config).expect("the folder can be opened");
    let caller = Caller::log_in(service.url(), "a", "s3cret");
    (service, caller)
}

fn ended(service: &Service, caller: &Caller, training: &str) -> serde_json::Value {
    until_told(service.yard(), "it is over", || {
        !matches!(caller.progress(training)["status"].as_str(), Some("PENDING" | "RUNNING"))
    });
    caller.progress(training)
}

/// The status line of what is answered to a request, while its body is still being sent.
fn answer_to(
    service: &Service,
    head: &str,
    body: impl FnOnce(&mut TcpStream) -> std::io::Result<()>,
) -> String {
    let mut stream = TcpStream::connect(service.local_addr()).expect("it listens");
    stream.set_read_timeout(Some(LONG)).expect("it is a socket");
    let mut reader = stream.try_clone().expect("it is a socket");
    stream.write_all(head.as_bytes()).expect("it listens");
    std::thread::scope(|scope| {
        let reading = scope.spawn(move || {
            let (mut said, mut piece) = (Vec::new(), [0; 256]);
            while !said.contains(&b'\r') {
                let length = reader.read(&mut piece).expect("an answer");
                assert!(length > 0, "it closed without one");
                said.extend_from_slice(&piece[..length]);
            }
            String::from_utf8_lossy(&said).into_owned()
        });
        // Whoever has answered need not take the rest.
        let _ = body(&mut stream);
        let said = reading.join().expect("there is an answer");
        let _ = stream.shutdown(Shutdown::Both);
        said
    })
}

fn put_head(service: &Service, created: &Created, length: &str) -> String {
    let (_, path) = created.upload_url.split_at(service.url().len());
    format!("PUT {path} HTTP/1.1\r\nHost: x\r\n{length}\r\n\r\n")
}

#[test]
fn a_contest_that_takes_too_long_times_out() {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings::new().with_time_limit(Some(Duration::from_millis(300)));
    let (service, caller) = open(gated(folder.path()).with_mathfi(settings));
    let dataset = caller.ready("noise", &noise(500));
    let training = caller.train(&dataset, 0.95);
    let progress = ended(&service, &caller, &training);
    assert_eq!(progress["status"], "TIMED_OUT", "{progress}");
    assert_eq!(progress["jobs"][3]["status"], "TIMED_OUT", "{progress}");
    let job = caller.training(&training);
    assert_eq!((&job["status"], &job["modelKey"]), (&json!("TIMED_OUT"), &json!(null)), "{job}");
    assert_eq!(caller.cancel(&training).status, 409);
    service.shutdown(SECONDS);
}

#[test]
fn a_contest_in_which_nobody_gets_better_is_not_completed() {
    let folder = tempfile::tempdir().unwrap();
    let gain = Gain::Performance(Score::new(0.02).unwrap());
    let stall = StallRule { gain, within: Duration::from_millis(300) };
    let (service, caller) = open(gated(folder.path()).with_mathfi(Settings::new().with_stall(Some(stall))));
    let dataset = caller.ready("noise", &noise(500));
    let training = caller.train(&dataset, 0.95);
    let progress = ended(&service, &caller, &training);
    assert_eq!(progress["status"], "NOT_COMPLETED", "{progress}");
    for job in progress["jobs"].as_array().unwrap() {
        assert_eq!(job["status"], "NOT_COMPLETED", "{progress}");
    }
    service.shutdown(SECONDS);
}

#[test]
fn with_less_memory_what_can_never_run_is_refused_and_does_not_wait_for_ever() {
    let folder = tempfile::tempdir().unwrap();
    let (service, caller) = open(gated(folder.path()));
    let dataset = caller.ready("noise", &noise(500));
    let training = caller.train(&dataset, 0.95);
    until_told(service.yard(), "it runs", || caller.progress(&training)["status"] == "RUNNING");
    service.shutdown(SECONDS);

    let (service, caller) = open(gated(folder.path()).with_memory_mib(1));
    assert_eq!(ended(&service, &caller, &training)["status"], "CANCELLED");
    let body = json!({ "scalingFactor": 19, "performanceThreshold": 0.8 });
    let answer = caller.post(&format!("/api/v1/training/datasets/{dataset}"), &body);
    assert_eq!(answer.status, 409, "{answer:?}");
    assert!(answer.body["message"].as_str().unwrap().contains("MiB"), "{answer:?}");
    service.shutdown(SECONDS);

    let (service, caller) = open(gated(folder.path()));
    caller.train(&dataset, 0.95);
    assert_eq!(caller.progress(&training)["status"], "CANCELLED", "for good");
    service.shutdown(SECONDS);
}

#[test]
fn what_has_no_room_is_told_so_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (service, caller) = open(config(folder.path()).with_free_min(u64::MAX));
    let created = caller.create("no room");
    let path = format!("/api/v1/datasets/{}/data", created.key);
    let answer = caller.send(&path, easy(60));
    assert_eq!(answer.status, 507, "{answer:?}");
    assert!(answer.body["message"].is_string(), "{answer:?}");
    assert_eq!(caller.dataset(&created.key), "PENDING");
    service.shutdown(SECONDS);

    let csv = easy(60);
    let (service, caller) = open(config(folder.path()).with_mathfi_bytes_max(csv.len() as u64));
    assert_eq!(caller.send(&path, easy(61)).status, 507, "a user's part is bounded");
    let incoming = folder.path().join("mathfi/incoming");
    until("nothing is left of it", || std::fs::read_dir(&incoming).unwrap().count() == 0);
    assert_eq!(caller.send(&path, csv).status, 200);
    until_told(service.yard(), "the data is ready", || caller.is_ready(&created.key));
    service.shutdown(SECONDS);
}

#[test]
fn too_large_a_file_is_refused_by_its_length_or_at_the_bound() {
    const BOUND: u64 = 4 << 20;
    let folder = tempfile::tempdir().unwrap();
    let limits = Limits { signed_upload_bytes: BOUND, ..Limits::default() };
    let (service, caller) = open(config(folder.path()).with_mathfi(Settings::new().with_limits(limits)));
    let incoming = || std::fs::read_dir(folder.path().join("mathfi/incoming")).unwrap().count();
    let created = caller.create("too large");
    let head = put_head(&service, &created, "Content-Length: 600000000");
    let said = answer_to(&service, &head, |_| Ok(()));
    assert!(said.starts_with("HTTP/1.1 413"), "before any of it came: {said}");

    let head = put_head(&service, &created, "Transfer-Encoding: chunked");
    let mut sent = 0;
    let said = answer_to(&service, &head, |stream| {
        let piece = [b"10000\r\n", &[b'x'; 0x10000][..], b"\r\n"].concat();
        while sent < 600_000_000 {
            stream.write_all(&piece)?;
            sent += 0x10000;
        }
        Ok(())
    });
    assert!(said.starts_with("HTTP/1.1 413"), "{said}");
    assert!(sent < 600_000_000, "all of it was taken");
    until("nothing is left of it", || incoming() == 0);
    assert_eq!(caller.dataset(&created.key), "PENDING");
    let csv = easy(60);
    assert_eq!(caller.put(&created, csv.len() as u64, std::io::Cursor::new(csv)).status, 200);
    until_told(service.yard(), "the data is ready", || caller.is_ready(&created.key));
    service.shutdown(SECONDS);
}

#[test]
fn what_has_failed_makes_room() {
    let folder = tempfile::tempdir().unwrap();
    let (service, caller) = open(config(folder.path()).with_mathfi_datasets_max(2));
    let failed = caller.upload("of no use", "id,a,class\n");
    until_told(service.yard(), "it fails", || caller.dataset(&failed) == "FAILED");
    let taken = caller.post("/api/v1/datasets", &json!({ "datasetName": "of no use" }));
    assert_eq!(taken.status, 409, "{taken:?}");
    caller.create("second");
    caller.create("third");
    assert_eq!(caller.get(&format!("/api/v1/datasets/{failed}")).status, 404, "it has made room");
    let names = caller.get("/api/v1/datasets?offset=0&limit=9").body;
    assert_eq!(names["total"], 2, "{names}");
    let answer = caller.post("/api/v1/datasets", &json!({ "datasetName": "of no use" }));
    assert_eq!(answer.status, 409, "{answer:?}");
    service.shutdown(SECONDS);
}
