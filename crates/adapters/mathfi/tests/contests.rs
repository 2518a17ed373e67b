//! Whatever happens in whatever order, what the wire shows of a contest makes sense from one look to the next.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::Value;
use support::{Bench, statuses};
use trainyard_core::JobId;

/// Something that happens. Numbers beyond what is there come around again.
#[derive(Debug, Clone)]
enum Step {
    Start {
        target: f64,
    },
    Measure {
        job: usize,
        place: usize,
        value: f64,
    },
    Fail {
        job: usize,
        place: usize,
    },
    Cancel {
        job: usize,
    },
    Pass {
        seconds: u64,
    },
    /// The process dies and comes again.
    Crash,
}

fn step() -> impl Strategy<Value = Step> {
    let place = || (0_usize..6, 0_usize..4);
    prop_oneof![
        2 => (0.5_f64..1.0).prop_map(|target| Step::Start { target }),
        12 => (place(), 0.0_f64..0.95).prop_map(|((job, place), value)| Step::Measure { job, place, value }),
        3 => place().prop_map(|(job, place)| Step::Fail { job, place }),
        2 => (0_usize..6).prop_map(|job| Step::Cancel { job }),
        4 => prop_oneof![1_u64..120, 1_u64..4_000].prop_map(|seconds| Step::Pass { seconds }),
        1 => Just(Step::Crash),
    ]
}

/// What was last shown of each job.
#[derive(Default)]
struct Watcher {
    last: BTreeMap<JobId, (Value, Value)>,
}

const OPEN: [&str; 2] = ["PENDING", "RUNNING"];

fn rank(status: &str) -> usize {
    OPEN.iter().position(|open| *open == status).unwrap_or(OPEN.len())
}

impl Watcher {
    fn look(&mut self, bench: &Bench, job: JobId) -> Result<(), TestCaseError> {
        let (progress, read) = (bench.progress(job), bench.read(job));
        let now = statuses(&progress);
        let (whole, children) = now.split_first().unwrap();
        let over = rank(whole) == OPEN.len();
        let completed = children.iter().filter(|status| *status == "COMPLETED").count();
        let untouched = children.iter().all(|status| rank(status) < OPEN.len());

        prop_assert_eq!(&read["status"], whole.as_str());
        prop_assert_eq!(whole == "COMPLETED", completed == 1, "{:?}", now);
        prop_assert!(completed <= 1, "{:?}", now);
        prop_assert_eq!(read.get("modelKey").is_some(), whole == "COMPLETED");
        prop_assert!(!over || children.iter().all(|status| rank(status) == OPEN.len()), "{:?}", now);
        prop_assert!(whole != "PENDING" || untouched, "{:?}", now);
        prop_assert!(
            whole == "CANCELLED" || children.iter().all(|status| status != "CANCELLED"),
            "{:?}",
            now
        );
        for child in progress["jobs"].as_array().unwrap() {
            let recent = child["recentPerformances"].as_array().unwrap();
            prop_assert!(recent.len() <= 5);
            prop_assert_eq!(recent.last().unwrap_or(&Value::Null), &child["latestPerformance"]);
        }

        if let Some((progress_then, read_then)) = self.last.insert(job, (progress.clone(), read.clone())) {
            let then = statuses(&progress_then);
            for (place, (then, now)) in then.iter().zip(&now).enumerate() {
                prop_assert!(rank(then) <= rank(now), "{then} became {now}");
                if rank(then) < OPEN.len() {
                    continue;
                }
                prop_assert_eq!(then, now, "what is over stays as it was");
                if let Some(child) = place.checked_sub(1) {
                    prop_assert_eq!(&progress_then["jobs"][child], &progress["jobs"][child]);
                }
            }
            if rank(&then[0]) == OPEN.len() {
                prop_assert_eq!(&progress_then, &progress, "nothing of it changes");
                prop_assert_eq!(&read_then, &read);
            }
        }
        Ok(())
    }
}

fn happen(bench: &Bench, jobs: &mut Vec<JobId>, step: &Step) -> Result<(), TestCaseError> {
    let which = |job: usize| (!jobs.is_empty()).then(|| jobs[job % jobs.len()]);
    match *step {
        Step::Start { target } => {
            let dataset = bench.ready(&format!("number {}", jobs.len()));
            jobs.push(bench.train(dataset, target));
        }
        Step::Measure { job, place, value } => {
            if let Some(job) = which(job).filter(|job| bench.run(*job, place).is_some()) {
                bench.measure(job, place, value).unwrap();
            }
        }
        Step::Fail { job, place } => {
            if let Some(job) = which(job).filter(|job| bench.run(*job, place).is_some()) {
                bench.fail(job, place);
            }
        }
        Step::Cancel { job } => {
            let Some(job) = which(job) else {
                return Ok(());
            };
            let before = bench.progress(job);
            let over = rank(before["status"].as_str().unwrap()) == OPEN.len();
            let told = bench.cancel(job);
            prop_assert_eq!(told.status, if over { 409 } else { 200 });
            let after = bench.progress(job);
            if over {
                prop_assert_eq!(after, before, "a refused cancel changes nothing");
            } else {
                prop_assert_eq!(&after["status"], "CANCELLED");
                prop_assert_eq!(told.json(), after);
            }
        }
        Step::Pass { seconds } => bench.yard.pass(Duration::from_secs(seconds)),
        Step::Crash => bench.yard.restart(),
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_shown_only_goes_forward(steps in prop::collection::vec(step(), 1..60)) {
        let bench = Bench::new();
        let mut jobs = Vec::new();
        let mut watcher = Watcher::default();
        for step in &steps {
            happen(&bench, &mut jobs, step)?;
            for job in &jobs {
                watcher.look(&bench, *job)?;
            }
        }
        // Left alone, everything ends, but for what waits for an operator after too many crashes.
        bench.yard.pass(Duration::from_secs(100_000));
        for job in &jobs {
            watcher.look(&bench, *job)?;
            let held = bench.yard.look(|yard| match &yard.job(*job).unwrap().phase {
                trainyard_core::Phase::Waiting(waiting) => waiting.held.is_some(),
                trainyard_core::Phase::Running(_) | trainyard_core::Phase::Finished(_) => false,
            });
            let status = bench.progress(*job)["status"].as_str().unwrap().to_owned();
            prop_assert!(held || rank(&status) == OPEN.len(), "{status}");
        }
    }
}

#[test]
fn after_a_crash_a_contest_is_still_running() {
    let bench = Bench::new();
    let job = bench.train(bench.ready("abc"), 0.8);
    bench.measure(job, 0, 0.5).unwrap();
    bench.fail(job, 1);
    let before = bench.progress(job);
    // Too often: an operator has to look at it. It has begun all the same.
    for _ in 0..4 {
        bench.yard.restart();
        assert_eq!(bench.progress(job), before, "statuses and values stay");
    }
    assert!(bench.yard.jobs()[0].running().is_none());
    assert_eq!(
        statuses(&bench.cancel(job).json()),
        ["CANCELLED", "CANCELLED", "FAILED", "CANCELLED", "CANCELLED"]
    );
}
