//! What a job costs, counted: how often memory is asked for in a life, and how much a job in line holds. Counts do not
//! depend on the machine, so they stand guard at every change; time does not, and is measured by the benches.
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "a test may panic and be brief")]

use std::sync::Arc;

use allocation_counter::measure;
use trainyard_core::*;

#[test]
fn a_life_asks_for_memory_so_many_times() {
    let mut line = Line::default();
    line.submit(10_000);
    let counted = measure(|| {
        for _ in 0..10_000 {
            line.submit(1);
            line.finish();
        }
    });
    let asked = counted.count_total;
    assert!(asked <= 190_000, "{asked} times in 10,000 lives: submitted, started, finished");
}

#[test]
fn a_job_in_line_holds_so_much_in_both_copies_of_a_yard() {
    let mut line = Line::default();
    line.submit(1);
    let jobs = 100_000;
    let counted = measure(|| line.submit(jobs));
    let each = counted.bytes_current / i64::try_from(jobs).unwrap();
    // Of the allocator's own rounding nothing is counted.
    assert!(each <= 400, "{each} bytes a job");
    assert_eq!(line.private, line.committed);
}

/// Jobs in line before one slot, in a private yard and in the one that readers see, as a driver
/// leaves them.
#[derive(Default)]
struct Line {
    private: Yard,
    committed: Yard,
    class: Option<Arc<Class>>,
    submitted: u128,
    running: Option<Run>,
}

impl Line {
    fn send(&mut self, command: &Command) {
        let at = Timestamp::from_millis(0);
        let facts = self.private.handle(at, command).unwrap().facts;
        for fact in &facts {
            self.committed.apply(fact).unwrap();
            match &fact.event {
                Event::Submitted { submission } => {
                    self.committed.share_waiting(&self.private, [submission.job]);
                }
                Event::Started { job, lease, .. } => self.running = Some(Run { job: *job, lease: *lease }),
                _ => {}
            }
        }
    }

    fn class(&mut self) -> Arc<Class> {
        if let Some(class) = &self.class {
            return Arc::clone(class);
        }
        let (kind, queue) = (Kind::new("kind").unwrap(), QueueName::new("queue").unwrap());
        let abilities =
            Abilities { kinds: [(kind.clone(), Placement::InProcess)].into(), capacity: Resources::slots(1) };
        self.send(&Command::JoinNode { node: NodeId::from_u128(1), abilities });
        let settings = QueueSettings { waiting_max: u32::MAX, ..QueueSettings::default() };
        self.send(&Command::ConfigureQueue { queue: queue.clone(), settings });
        Arc::clone(self.class.insert(Arc::new(Class::new(kind, queue))))
    }

    fn submit(&mut self, jobs: usize) {
        let class = self.class();
        for _ in 0..jobs {
            self.submitted += 1;
            // As UUIDs of version 7: the time in front, spread bits behind.
            let spread = self.submitted.wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835);
            let job = JobId::from_u128((self.submitted << 80) | (spread >> 48));
            let subject = Subject::new(format!("index/{}", self.submitted)).unwrap();
            self.send(&Command::Submit(Arc::new(Submission::new(job, subject, Arc::clone(&class)))));
        }
    }

    fn finish(&mut self) {
        let run = self.running.take().unwrap();
        let end = RunEnd::Completed { trained: Trained::default(), model: ModelId::from_u128(0), last: None };
        self.send(&Command::Finish { run, end });
        assert!(self.running.is_some(), "the next one starts");
    }
}
