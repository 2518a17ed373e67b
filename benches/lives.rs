//! Durable lives of a job (submit, start, finish) with a trainer that does nothing, submitted by 256 callers at once:
//! ours, beside the limit of the disk and beside other job queues that are embedded, in turn in one run.
//!
//! `cargo bench --bench lives -- [--rounds 3] [--jobs 200000] [--slots 64] [--folder <on a real disk>] [--no-peers]
//! [--syncs] [--gate]`
//!
//! The limit is a plain file to which as many threads append a record of as many bytes as a life of ours has, and
//! which is synced once for all that wait. Each contestant is a process of its own with a new folder. `--syncs` has
//! one more round under `strace`, which counts how often each has asked the disk to sync. `--gate` ends with a failure
//! when a target is missed.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use serde_json::{Value, json};
use trainyard_benches::median;
use trainyard_benches::table::Figure;

#[path = "lives/ours.rs"]
mod ours;
#[path = "lives/raw.rs"]
mod raw;

use ours::Submitters;

const SUBMITTERS: u64 = 256;

/// Those that are in this program: the limit, and ours with callers on threads of their own and as tasks, as peers have.
const OWN: [&str; 3] = ["raw", "trainyard", "trainyard-tasks"];

/// What is told in a life of ours once it is on disk: that it is submitted, and that it is over.
const ACKNOWLEDGEMENTS: f64 = 2.0;

const OF_RAW: f64 = 0.4;
const OF_A_PEER: f64 = 5.0;

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let options = Options::read()?;
    if let Some(contestant) = &options.contestant {
        println!("{}", compete(contestant, &options)?);
        return Ok(ExitCode::SUCCESS);
    }
    check_disk(&options.folder)?;
    // In the order in which they are reported.
    let mut contestants =
        OWN.map(|name| Contestant::own(name, options.jobs)).into_iter().collect::<Result<Vec<_>, _>>()?;
    if options.peers {
        for (peer, jobs) in PEERS {
            contestants.push(Contestant::peer(peer, jobs)?);
        }
    } else {
        println!("--no-peers: nothing is measured beside {}", PEERS.map(|(peer, _)| peer).join(", "));
    }
    println!(
        "{} rounds, {SUBMITTERS} submitters; a life of ours, and so a record of the plain file, has {} bytes",
        options.rounds,
        ours::bytes_of_a_life()?
    );
    for round in 1..=options.rounds {
        for contestant in &mut contestants {
            let measured = contestant.run(&options, false)?;
            println!(
                "  round {round}: {:<15} {:>9.0}/s  {:5.1} s  {:6.1} us of CPU each",
                contestant.name,
                measured.rate(),
                measured.seconds,
                measured.cpu * 1e6 / measured.jobs
            );
            contestant.measured.push(measured);
        }
    }
    if options.syncs {
        count_syncs(&contestants, &options)?;
    }
    let is_met = report(&contestants);
    Ok(if is_met || !options.gate { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Prints the table, and says whether every target is met.
fn report(contestants: &[Contestant]) -> bool {
    let rates = |place: usize| contestants[place].measured.iter().map(Measured::rate).collect::<Vec<f64>>();
    let [raw, threads, tasks] = [0, 1, 2].map(rates);
    println!("\n{:<42} {:>10} {:>18} {:>10}", "medians", "per second", "ours beside it", "target");
    println!("{:<42} {:>10.0}", "ours: lives, submitted by threads", median(&mut threads.clone()));
    println!("{:<42} {:>10.0}", "ours: lives, submitted by tasks", median(&mut tasks.clone()));
    let mut is_met = true;
    let mut row = |what: &str, ours: &[f64], theirs: &[f64], times: f64, target: Option<f64>| {
        let mut ratios: Vec<f64> =
            ours.iter().zip(theirs).map(|(ours, theirs)| times * ours / theirs).collect();
        let ratio = median(&mut ratios);
        let target = target.map_or(String::new(), |target| {
            is_met &= ratio >= target;
            let (measured, wanted) = (format!("{ratio:.3}"), format!(">= {target}"));
            Figure::judged(&format!("lives beside {what}"), &measured, &wanted, Some(ratio >= target)).tell();
            format!(">= {target}{}", if ratio >= target { "" } else { ", missed" })
        });
        println!("{what:<42} {:>10.0} {ratio:>18.2} {target:>10}", median(&mut theirs.to_vec()));
    };
    row("plain file: acknowledgements", &threads, &raw, 1.0, Some(OF_RAW));
    row("the same beside ours, two a life", &threads, &raw, ACKNOWLEDGEMENTS, None);
    for (place, peer) in contestants.iter().enumerate().skip(OWN.len()) {
        row(&format!("{} {}: lives", peer.name, peer.version()), &tasks, &rates(place), 1.0, Some(OF_A_PEER));
    }
    is_met
}

/// One more run of each, under a program that counts.
fn count_syncs(contestants: &[Contestant], options: &Options) -> Result<(), Box<dyn Error>> {
    if Command::new("strace").arg("-V").stdout(Stdio::null()).status().is_err() {
        println!("no strace here: syncs are not counted");
        return Ok(());
    }
    println!("calls of fsync and fdatasync, counted by strace in a run of its own:");
    for contestant in contestants {
        let measured = contestant.run(options, true)?;
        println!(
            "  {:<15} {:>8} for {:>8} = {:.3} each, at {:.0}/s",
            contestant.name,
            measured.syncs,
            measured.jobs,
            measured.syncs / measured.jobs,
            measured.rate()
        );
    }
    Ok(())
}

/// Somebody who is measured: a program that prints a line of JSON.
struct Contestant {
    name: &'static str,
    program: PathBuf,
    jobs: u64,
    measured: Vec<Measured>,
}

struct Measured {
    version: String,
    jobs: f64,
    seconds: f64,
    /// Seconds on a core, of the whole process.
    cpu: f64,
    syncs: f64,
}

impl Measured {
    fn rate(&self) -> f64 {
        self.jobs / self.seconds
    }
}

impl Contestant {
    fn own(name: &'static str, jobs: u64) -> Result<Self, Box<dyn Error>> {
        Ok(Self { name, program: std::env::current_exe()?, jobs, measured: vec![] })
    }

    /// Builds a peer; its packages are not ours, see its folder.
    fn peer(name: &'static str, jobs: u64) -> Result<Self, Box<dyn Error>> {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("peers");
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers").join(name).join("Cargo.toml");
        println!("building {name}, should it not be built");
        let built = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
            .args(["build", "--release", "--locked", "--quiet", "--manifest-path"])
            .arg(manifest)
            .arg("--target-dir")
            .arg(&target)
            .status()?;
        if !built.success() {
            return Err(format!("{name} is not built").into());
        }
        Ok(Self {
            name,
            program: target.join("release").join(format!("life-of-a-job-{name}")),
            jobs,
            measured: vec![],
        })
    }

    fn version(&self) -> &str {
        self.measured.first().map_or("", |measured| &measured.version)
    }

    fn run(&self, options: &Options, counts: bool) -> Result<Measured, Box<dyn Error>> {
        let folder = tempfile::tempdir_in(&options.folder)?;
        let counted = folder.path().join("strace");
        let mut command = if counts {
            let mut strace = Command::new("strace");
            strace.args(["-f", "-c", "--seccomp-bpf", "-e", "trace=fsync,fdatasync", "-o"]);
            strace.arg(&counted).arg(&self.program);
            strace
        } else {
            Command::new(&self.program)
        };
        command.arg("--folder").arg(folder.path());
        command.args(["--jobs", &self.jobs.to_string(), "--submitters", &SUBMITTERS.to_string()]);
        if self.program == std::env::current_exe()? {
            command.args(["--contestant", self.name, "--slots", &options.slots.to_string()]);
        }
        let before = children_cpu_seconds();
        let output = command.stderr(Stdio::inherit()).output()?;
        let cpu = children_cpu_seconds() - before;
        let text = String::from_utf8(output.stdout)?;
        if !output.status.success() {
            return Err(format!("{} ended with {}: {text}", self.name, output.status).into());
        }
        let line: Value = serde_json::from_str(text.trim())?;
        let number = |name: &str| line[name].as_f64().ok_or(format!("{}: no {name} in {line}", self.name));
        let syncs = if counts { syncs_in(&fs::read_to_string(counted)?) } else { 0.0 };
        let version = line["version"].as_str().unwrap_or_default().to_owned();
        Ok(Measured { version, jobs: number("jobs")?, seconds: number("seconds")?, cpu, syncs })
    }
}

/// What the two contestants do that are in this program.
fn compete(contestant: &str, options: &Options) -> Result<Value, Box<dyn Error>> {
    let Options { folder, jobs, submitters, slots, .. } = options;
    let took = match contestant {
        "raw" => raw::appends(folder, *jobs, usize::try_from(ours::bytes_of_a_life()?)?, *submitters)?,
        "trainyard" => ours::lives(folder, *jobs, (*submitters, Submitters::Threads), *slots)?,
        "trainyard-tasks" => ours::lives(folder, *jobs, (*submitters, Submitters::Tasks), *slots)?,
        other => return Err(format!("there is no contestant {other}").into()),
    };
    let version = env!("CARGO_PKG_VERSION");
    Ok(json!({ "peer": contestant, "version": version, "jobs": jobs, "seconds": took.as_secs_f64() }))
}

/// The calls in the table that `strace -c` writes: seconds, calls and more by columns; its last line is the sum.
fn syncs_in(table: &str) -> f64 {
    let calls = |line: &str| line.split_whitespace().nth(3)?.parse::<f64>().ok();
    table.lines().filter(|line| line.trim_end().ends_with("sync")).filter_map(calls).sum()
}

/// How long the children that have ended have been on a core.
fn children_cpu_seconds() -> f64 {
    const TICKS: f64 = 100.0;
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // Behind the name, which may hold anything: the 14th and 15th word are those of user and system.
    let words = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    words.skip(13).take(2).filter_map(|word| word.parse::<f64>().ok()).sum::<f64>() / TICKS
}

/// Refuses a folder in memory, where a sync costs nothing.
fn check_disk(folder: &Path) -> Result<(), Box<dyn Error>> {
    let folder = fs::canonicalize(folder)?;
    let mounts = fs::read_to_string("/proc/self/mounts")?;
    let kind = mounts
        .lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace().skip(1);
            Some((words.next()?, words.next()?))
        })
        .filter(|(path, _)| folder.starts_with(path))
        .max_by_key(|(path, _)| path.len());
    match kind {
        Some((path, kind @ ("tmpfs" | "ramfs"))) => {
            Err(format!("{} is in memory: {kind} at {path}", folder.display()).into())
        }
        _ => Ok(()),
    }
}

struct Options {
    rounds: usize,
    jobs: u64,
    submitters: u64,
    slots: u64,
    folder: PathBuf,
    peers: bool,
    syncs: bool,
    gate: bool,
    contestant: Option<String>,
}

impl Options {
    fn read() -> Result<Self, Box<dyn Error>> {
        let mut options = Self {
            rounds: 3,
            jobs: 200_000,
            submitters: SUBMITTERS,
            slots: 64,
            folder: env!("CARGO_TARGET_TMPDIR").into(),
            peers: true,
            syncs: false,
            gate: false,
            contestant: None,
        };
        let mut words = std::env::args().skip(1);
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or(format!("{word} needs a value"));
            match word.as_str() {
                "--bench" => {}
                "--rounds" => options.rounds = value()?.parse::<usize>()?.max(1),
                "--jobs" => options.jobs = value()?.parse()?,
                "--submitters" => options.submitters = value()?.parse()?,
                "--slots" => options.slots = value()?.parse()?,
                "--folder" => options.folder = value()?.into(),
                "--contestant" => options.contestant = Some(value()?),
                "--no-peers" => options.peers = false,
                "--syncs" => options.syncs = true,
                "--gate" => options.gate = true,
                other => return Err(format!("{other} is not known").into()),
            }
        }
        Ok(options)
    }
}

/// The peers, and how many jobs take each of them some seconds.
const PEERS: [(&str, u64); 3] = [("rustqueue", 20_000), ("apalis", 4_000), ("effectum", 20_000)];
