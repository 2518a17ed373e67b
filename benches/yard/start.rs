//! The way from the answer of a submission to the first line of the trainer, beside a bare channel between two threads.

use std::fs;
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::task::{self, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use crossbeam_channel::{Sender, bounded};
use trainyard_benches::median;
use trainyard_core::Trained;
use trainyard_core::port::Receipt;
use trainyard_runtime::{Context, JobToTrain, Ticket};

use crate::{Options, Result, builder, kind, micros, row, submissions};

const STARTS: u64 = 3_000;

pub(crate) fn measure(options: &Options) -> Result<()> {
    let folder = tempfile::tempdir_in(&options.folder)?;
    let (began, begun) = bounded(1);
    let (yard, _) = builder(folder.path()).trainer(kind()?, Clerk(began)).start()?;
    let [mut ways, mut pings] = [(); 2].map(|()| vec![]);
    let mut switches = None;
    for number in 0..STARTS {
        let submission = submissions(&yard, number, 1)?.remove(0);
        let job = submission.job;
        let answered = answered(yard.submit(submission))?;
        ways.push(begun.recv()?.saturating_duration_since(answered).as_secs_f64());
        yard.finished(job).wait()?;
        if number == STARTS / 2 {
            switches = Some(switches_of_trainers()?);
        }
        if number % 10 == 0 {
            pings.extend(ping_pong(10));
        }
    }
    let before = switches.unwrap_or_default();
    let waits = (switches_of_trainers()? - before) as f64 / (STARTS - STARTS / 2 - 1) as f64;
    yard.shutdown(Duration::from_secs(5)).wait()?;
    let (way, ping) = (median(&mut ways), median(&mut pings));
    row("from the answer to the trainer's first line, median", &micros(way), "");
    row("  a bare channel there and back between two threads", &micros(ping), "");
    row("  from answer to trainer, beside the channel", &format!("{:.3}", way / ping), "<= 6");
    row("  a trainer's thread has waited, and was woken, per start", &format!("{waits:.2}"), "<= 2");
    Ok(())
}

/// When an answer was given: whoever waits for it may be woken later than the trainer begins.
fn answered(ticket: Ticket<Receipt>) -> Result<Instant> {
    let woken = Arc::new(Woken { at: OnceLock::new(), waits: thread::current() });
    let waker = Waker::from(Arc::clone(&woken));
    let mut ticket = pin!(ticket);
    loop {
        match ticket.as_mut().poll(&mut task::Context::from_waker(&waker)) {
            Poll::Ready(receipt) => {
                receipt?;
                // Seldom it is there before anybody waits.
                return Ok(woken.at.get().copied().unwrap_or_else(Instant::now));
            }
            Poll::Pending => thread::park(),
        }
    }
}

/// Notes when it is woken, on the thread that gives the answer.
struct Woken {
    at: OnceLock<Instant>,
    waits: Thread,
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.at.get_or_init(Instant::now);
        self.waits.unpark();
    }
}

/// A trainer that says when it has begun.
struct Clerk(Sender<Instant>);

impl trainyard_runtime::Trainer for Clerk {
    fn train(
        &self,
        _: &mut Context,
        _: &JobToTrain,
    ) -> std::result::Result<Trained, trainyard_runtime::TrainError> {
        let _ = self.0.send(Instant::now());
        Ok(Trained::default())
    }
}

/// So many times there and back, in seconds each.
fn ping_pong(count: usize) -> Vec<f64> {
    let ((to, there), (from, back)) = (bounded::<()>(1), bounded::<()>(1));
    let other = std::thread::spawn(move || {
        while there.recv().is_ok() {
            let _ = from.send(());
        }
    });
    let mut times = vec![];
    for _ in 0..count {
        // Both sides have gone to sleep, as a driver and a trainer's thread have.
        std::thread::sleep(Duration::from_micros(200));
        let start = Instant::now();
        let _ = to.send(());
        let _ = back.recv();
        times.push(start.elapsed().as_secs_f64());
    }
    drop(to);
    let _ = other.join();
    times
}

/// How often the threads that run trainers have gone to sleep of their own accord.
fn switches_of_trainers() -> Result<u64> {
    let mut sum = 0;
    for task in fs::read_dir("/proc/self/task")? {
        let task = task?.path();
        let name = fs::read_to_string(task.join("comm"))?;
        if name.starts_with("trainyard-") && name.trim() != "trainyard-drive" {
            let status = fs::read_to_string(task.join("status"))?;
            let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
            sum += line.ok_or("no count of switches")?.trim().parse::<u64>()?;
        }
    }
    Ok(sum)
}
