//! A process of its own that is killed in the middle of a contest, and one that takes a large file in.
#![cfg(unix)]

mod support;

use std::io::Read;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use support::mathfi::{Caller, check_won, easy, noise, text, without_class};
use support::serving::{self, NARROW, Serving};
use support::steady::{Gate, STEPS, WAITS_AT, contestants};
use support::until;
use trainyard_http::secret::Secret;
use trainyard_server::{Contestants, ServiceConfig};
use trainyard_tabular::made;

/// Nothing, unless this binary was started as [`Serving`]: then a server whose gate opens at the first line it hears.
#[test]
fn child() {
    let Some(folder) = serving::folder() else { return };
    let gate = Arc::new(Gate::default());
    let is_real = folder.join(REAL).exists();
    let contestants = if is_real { Contestants::standard() } else { contestants(&gate) };
    let config = ServiceConfig::new(folder)
        .with_listen(SocketAddr::from(([127, 0, 0, 1], 0)))
        .with_mathfi_user("a", Secret::new("s3cret").unwrap())
        .with_mathfi_contestants(contestants)
        .with_mathfi_checkpoint_every(Duration::ZERO);
    serving::serve(config, move |_| gate.open());
}

/// A file of this name in its folder: all algorithms are real ones.
const REAL: &str = "real";

fn start(folder: &Path) -> (Serving, Caller) {
    let serving = Serving::start(folder);
    let caller = Caller::log_in(&serving.url, "a", "s3cret");
    (serving, caller)
}

#[test]
fn a_killed_contest_goes_on_and_has_one_champion() {
    let folder = tempfile::tempdir().unwrap();
    let (mut serving, caller) = start(folder.path());
    let dataset = caller.ready("noise", &noise(500));
    let training = caller.train(&dataset, 0.95);
    let at_gate = f64::from(WAITS_AT) / f64::from(STEPS) - 0.02;
    until("it waits at the gate", || caller.latest(&training, "BSEV02") > Some(at_gate));
    let before = caller.progress(&training);
    serving.process.kill().unwrap();
    drop(serving);

    let (mut serving, _) = start(folder.path());
    assert!(serving.opened.contains("interrupted and requeued"), "{}", serving.opened);
    let caller = caller.at(&serving.url);
    let after = caller.progress(&training);
    assert_eq!(after["status"], "RUNNING", "it goes on by itself");
    let latest = |progress: &serde_json::Value| progress["jobs"][3]["latestPerformance"].as_f64();
    assert_eq!(latest(&after), latest(&before), "nothing has jumped back");
    for (was, is) in before["jobs"].as_array().unwrap().iter().zip(after["jobs"].as_array().unwrap()) {
        assert_eq!(was["trainingJobKey"], is["trainingJobKey"]);
        if was["status"] != "RUNNING" {
            assert_eq!(was, is, "what has ended stays as it was");
        }
    }
    serving.tell("open");
    let mut last = latest(&before);
    until("it is won", || {
        let progress = caller.progress(&training);
        assert!(latest(&progress) >= last, "{progress} after {last:?}");
        last = latest(&progress);
        progress["status"] == "COMPLETED"
    });
    assert_eq!(check_won(&caller.progress(&training)), "BSEV02");
    let told = serving.hear("contest \"noise\" won by ");
    assert!(told.starts_with("BSEV02 with 0.9"), "{told}");
    let model = text(&caller.training(&training)["modelKey"]);
    serving.process.kill().unwrap();
    drop(serving);

    let (mut serving, _) = start(folder.path());
    let caller = caller.at(&serving.url);
    assert_eq!(check_won(&caller.progress(&training)), "BSEV02", "for ever");
    assert_eq!(text(&caller.training(&training)["modelKey"]), model);
    let result = caller.result(&caller.predict(&model, &without_class(&noise(20))));
    assert_eq!(result.lines().count(), 21);
    serving.stop();
}

#[test]
fn a_killed_contest_is_won_by_a_real_algorithm() {
    // On this set nobody is good at first, and one is never good. It is large enough for the target to be out of reach of
    // the first results and within reach of the later ones, with every seed that was tried; no test can choose it here.
    let mut csv = Vec::new();
    made::crossing(1, 12_000).write_csv(&mut csv).unwrap();
    let csv = String::from_utf8(csv).unwrap();
    // Whoever is held up kills a contest that is won, and tries again.
    let killed = (0..10).find_map(|_| killed_while_they_learn(&csv)).expect("one is killed in the middle");
    let Killed { folder: _folder, mut serving, caller, training, mut before } = killed;
    until("it is won", || {
        let progress = caller.progress(&training);
        assert!(matches!(progress["status"].as_str(), Some("RUNNING" | "COMPLETED")), "{progress}");
        for (was, is) in before["jobs"].as_array().unwrap().iter().zip(progress["jobs"].as_array().unwrap()) {
            assert_eq!(was["trainingJobKey"], is["trainingJobKey"]);
            assert!(was["status"] != "RUNNING" || is["status"] != "PENDING", "{was} became {is}");
            if !matches!(was["status"].as_str(), Some("RUNNING" | "PENDING")) {
                assert_eq!(was, is, "what has ended stays as it was");
            }
        }
        let counts = shown(&before).into_iter().zip(shown(&progress));
        assert!(counts.into_iter().all(|(was, is)| was <= is), "{progress} after {before}");
        before = progress;
        before["status"] == "COMPLETED"
    });
    check_won(&caller.progress(&training));
    let model = text(&caller.training(&training)["modelKey"]);
    let few: String = csv.lines().take(21).map(|line| format!("{line}\n")).collect();
    let result = caller.result(&caller.predict(&model, &without_class(&few)));
    assert_eq!(result.lines().count(), 21);
    serving.stop();
}

/// A contest of real algorithms that goes on after it was killed in the middle.
struct Killed {
    folder: tempfile::TempDir,
    serving: Serving,
    caller: Caller,
    training: String,
    /// What was shown before.
    before: serde_json::Value,
}

/// How many results each candidate has shown of late.
fn shown(progress: &serde_json::Value) -> Vec<usize> {
    let jobs = progress["jobs"].as_array().expect("a list").iter();
    jobs.map(|job| job["recentPerformances"].as_array().expect("a list").len()).collect()
}

/// Kills a contest once somebody has shown a second result; `None` when it was over by then.
fn killed_while_they_learn(csv: &str) -> Option<Killed> {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join(REAL), "").expect("a file can be made");
    let (mut serving, caller) = start(folder.path());
    let dataset = caller.ready("crossing", csv);
    let training = caller.train(&dataset, 0.8);
    let mut before = serde_json::Value::Null;
    until("somebody has shown a second result", || {
        before = caller.progress(&training);
        before["status"] == "COMPLETED" || shown(&before).into_iter().any(|count| count >= 2)
    });
    serving.process.kill().expect("it runs");
    drop(serving);
    let (serving, _) = start(folder.path());
    let caller = caller.at(&serving.url);
    let goes_on = serving.opened.contains("interrupted and requeued");
    assert!(
        goes_on || caller.progress(&training)["status"] == "COMPLETED",
        "{} after {before}",
        serving.opened
    );
    goes_on.then_some(Killed { folder, serving, caller, training, before })
}

#[test]
fn a_full_disk_refuses_a_file_and_takes_the_next() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(NARROW), "16384").unwrap();
    let (mut serving, caller) = start(folder.path());
    let created = caller.create("large");
    let (_, path) = created.upload_url.split_at(serving.url.len());
    let address = serving.url.strip_prefix("http://").unwrap();
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    let mut reader = stream.try_clone().unwrap();
    let reading = std::thread::spawn(move || {
        let (mut said, mut piece) = (Vec::new(), [0; 256]);
        while !said.windows(2).any(|end| end == b"\r\n") {
            let length = reader.read(&mut piece).expect("an answer");
            assert!(length > 0, "it closed without one");
            said.extend_from_slice(&piece[..length]);
        }
        String::from_utf8_lossy(&said).into_owned()
    });
    let head = format!("PUT {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", 64 << 20);
    std::io::Write::write_all(&mut stream, head.as_bytes()).unwrap();
    // Whoever has answered need not take the rest.
    let _ = std::io::copy(&mut Rows::new(64 << 20), &mut stream);
    let said = reading.join().unwrap();
    assert!(said.starts_with("HTTP/1.1 507"), "{said}");
    drop(stream);
    let incoming = folder.path().join("mathfi/incoming");
    until("nothing is left of it", || std::fs::read_dir(&incoming).unwrap().count() == 0);
    assert_eq!(caller.dataset(&created.key), "PENDING");
    let csv = easy(600);
    let answer = caller.put(&created, csv.len() as u64, std::io::Cursor::new(csv));
    assert!(matches!(answer.status, 200..=202), "{answer:?}");
    until("it is ready", || caller.is_ready(&created.key));
    serving.stop();
}

#[test]
fn a_killed_upload_leaves_a_dataset_that_can_be_filled() {
    let folder = tempfile::tempdir().unwrap();
    let (mut serving, caller) = start(folder.path());
    let created = caller.create("cut");
    let (_, path) = created.upload_url.split_at(serving.url.len());
    let address = serving.url.strip_prefix("http://").unwrap();
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    let head = format!("PUT {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\nid,a,class\n1,2,");
    std::io::Write::write_all(&mut stream, head.as_bytes()).unwrap();
    let incoming = folder.path().join("mathfi/incoming");
    let on_its_way = || std::fs::read_dir(&incoming).unwrap().count();
    until("it is on its way", || on_its_way() == 1);
    serving.process.kill().unwrap();
    drop(serving);
    assert_eq!(on_its_way(), 1, "nobody was there to clear it away");

    let (serving, caller) = start(folder.path());
    assert_eq!(on_its_way(), 0);
    assert_eq!(caller.dataset(&created.key), "PENDING");
    let answer = caller.send(&format!("/api/v1/datasets/{}/data", created.key), easy(60));
    assert!(matches!(answer.status, 200 | 202), "{answer:?}");
    until("it is ready", || caller.is_ready(&created.key));
    drop(serving);
}

/// Rows without end, cut at so many bytes: told apart by their first number.
struct Rows {
    row: u64,
    line: Vec<u8>,
    left: u64,
}

impl Rows {
    fn new(bytes: u64) -> Self {
        Self { row: 0, line: b"id,a,b,c,d,e,f,g,class\n".to_vec(), left: bytes }
    }
}

impl Read for Rows {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.line.is_empty() && self.left > 0 {
            self.row += 1;
            let (n, filler) = (self.row, "0.123456789012345678901234567890");
            let class = if n % 7 < 3 { "yes" } else { "no" };
            let line =
                format!("{n},{},{filler}{n},{filler},{filler},{filler},{filler},{filler},{class}\n", n % 7);
            self.line = line.into_bytes();
            if self.left < 2 * self.line.len() as u64 {
                // No half a row at the end: empty lines do not count.
                self.line = vec![b'\n'; usize::try_from(self.left).expect("it is little")];
            }
        }
        let length = buffer.len().min(self.line.len()).min(usize::try_from(self.left).unwrap_or(usize::MAX));
        buffer[..length].copy_from_slice(&self.line[..length]);
        self.line.drain(..length);
        self.left -= length as u64;
        Ok(length)
    }
}

#[test]
fn killed_work_is_done_at_the_next_start() {
    const BYTES: u64 = 16 << 20;
    let folder = tempfile::tempdir().unwrap();
    let (mut serving, caller) = start(folder.path());
    let created = caller.create("large");
    let answer = caller.put(&created, BYTES, Rows::new(BYTES));
    assert!(matches!(answer.status, 200..=202), "{answer:?}");
    serving.process.kill().unwrap();
    drop(serving);

    let (mut serving, _) = start(folder.path());
    let caller = caller.at(&serving.url);
    until("it is ready", || caller.is_ready(&created.key));
    let training = caller.train(&created.key, 0.9);
    until("it is won", || caller.progress(&training)["status"] == "COMPLETED");
    let model = text(&caller.training(&training)["modelKey"]);
    let mut csv = String::new();
    Rows::new(BYTES / 2).read_to_string(&mut csv).unwrap();
    let rows = without_class(csv.trim_end());
    let prediction = caller.predict(&model, &rows);
    serving.process.kill().unwrap();
    drop(serving);

    let (mut serving, _) = start(folder.path());
    let result = caller.at(&serving.url).result(&prediction);
    assert_eq!(result.lines().count(), rows.lines().count());
    let is_right = |(said, row): &(&str, &str)| {
        said.starts_with(&row[..row.len() - 3])
            && said.contains(if row.ends_with("yes") { ",yes," } else { ",no," })
    };
    let right = result.lines().zip(csv.lines()).skip(1).filter(is_right).count();
    assert!(right * 10 > 9 * (result.lines().count() - 1), "{right} are right");
    serving.stop();
}

#[cfg(target_os = "linux")]
#[test]
fn the_largest_file_comes_in_through_little_memory() {
    const BYTES: u64 = 500_000_000;
    let folder = tempfile::tempdir().unwrap();
    let (mut serving, caller) = start(folder.path());
    let created = caller.create("largest");
    let before = serving.memory_kib_max();
    let began = std::time::Instant::now();
    let answer = caller.put(&created, BYTES, std::io::repeat(b'x').take(BYTES));
    assert!(matches!(answer.status, 200..=202), "{answer:?}");
    until("its only line is refused", || caller.dataset(&created.key) == "FAILED");
    let more_mib = (serving.memory_kib_max() - before) >> 10;
    println!("{BYTES} bytes came in in {:?}, and {more_mib} MiB more", began.elapsed());
    assert!(more_mib < 32, "{more_mib} MiB more");
    serving.stop();
}

#[cfg(target_os = "linux")]
#[test]
fn a_large_file_goes_through_little_memory() {
    const BYTES: u64 = 96 << 20;
    let folder = tempfile::tempdir().unwrap();
    let (mut serving, caller) = start(folder.path());
    caller.ready("small", &easy(60));
    let created = caller.create("large");
    let before = serving.memory_kib_max();
    let answer = caller.put(&created, BYTES, Rows::new(BYTES));
    assert!(matches!(answer.status, 200..=202), "{answer:?}");
    until("it is ready", || caller.is_ready(&created.key));
    let more_mib = (serving.memory_kib_max() - before) >> 10;
    println!(
        "{} MiB came in and were made ready in {more_mib} MiB more than {} MiB",
        BYTES >> 20,
        before >> 10
    );
    assert!(more_mib < 64, "{more_mib} MiB more");
    serving.stop();
}
