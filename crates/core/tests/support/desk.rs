//! A yard for stories that are told step by step, with exact numbers.

use std::sync::Arc;
use std::time::Duration;

use trainyard_core::*;

/// A yard with its log, a clock that starts at 0, and ids that count from 1.
#[derive(Clone)]
pub struct Desk {
    pub yard: Yard,
    pub log: Vec<Fact>,
    /// What the last command led to.
    pub last: Vec<Fact>,
    pub now: Timestamp,
    ids: u128,
}

impl Desk {
    /// No node yet; a node counts as alive for long, so that stories about other things are not disturbed.
    pub fn new() -> Self {
        let mut desk = Self {
            yard: Yard::default(),
            log: Vec::new(),
            last: Vec::new(),
            now: Timestamp::from_millis(0),
            ids: 0,
        };
        desk.settings(|settings| settings.node_lease = NODE_LEASE);
        desk
    }

    /// With node 1, which trains `plain` in its process and `outside` outside of it.
    pub fn with_slots(slots: u64) -> Self {
        let mut desk = Self::new();
        desk.join(1, Resources::slots(slots));
        desk
    }

    pub fn settings(&mut self, change: impl FnOnce(&mut Settings)) {
        let mut settings = *self.yard.settings();
        change(&mut settings);
        self.ok(&Command::Configure(settings));
    }

    pub fn join(&mut self, node: u128, capacity: Resources) -> Epoch {
        let kinds = [(plain(), Placement::InProcess), (outside(), Placement::External)].into();
        let abilities = Abilities { kinds, capacity };
        let joined = self.ok(&Command::JoinNode { node: NodeId::from_u128(node), abilities });
        let Answer::Joined { epoch } = joined else { panic!("joining was answered with {joined:?}") };
        epoch
    }

    pub fn send(&mut self, command: &Command) -> Result<Answer, Rejection> {
        self.last.clear();
        let Ruling { facts, answer } = self.yard.handle(self.now, command)?;
        self.log.extend(facts.iter().cloned());
        self.last = facts;
        Ok(answer)
    }

    pub fn ok(&mut self, command: &Command) -> Answer {
        self.send(command).unwrap_or_else(|rejection| panic!("{command:?}: {rejection}"))
    }

    /// Time passes; whatever falls due on the way is done at its own moment.
    pub fn pass(&mut self, wait: Duration) {
        let until = self.now.after(wait);
        while let Some(due) = self.yard.next_deadline().filter(|due| *due <= until) {
            self.now = self.now.max(due);
            self.ok(&Command::Tick);
        }
        self.now = until;
        self.ok(&Command::Tick);
    }

    /// Time passes and nobody looks at the clock.
    pub fn sleep_through(&mut self, wait: Duration) {
        self.now = self.now.after(wait);
    }

    pub fn id(&mut self) -> u128 {
        self.ids += 1;
        self.ids
    }

    pub fn submission(&mut self, subject: &str, class: &Arc<Class>) -> Submission {
        Submission::new(JobId::from_u128(self.id()), on(subject), Arc::clone(class))
    }

    pub fn admit(&mut self, submission: Submission) -> Result<(JobId, Admitted), Rejection> {
        let answer = self.send(&Command::Submit(Arc::new(submission)))?;
        let Answer::Admitted { job, how } = answer else {
            panic!("a submission was answered with {answer:?}")
        };
        Ok((job, how))
    }

    /// Submits a plain job of a class.
    pub fn submit(&mut self, subject: &str, class: &Arc<Class>) -> JobId {
        let submission = self.submission(subject, class);
        self.admit(submission).expect("it is let in").0
    }

    pub fn job(&self, job: JobId) -> &Job {
        self.yard.job(job).expect("it is in the books")
    }

    /// The runs of a job that are or may be at work.
    pub fn runs(&self, job: JobId) -> Vec<Run> {
        let known = self.job(job);
        let live = known.running().map(|running| &running.live);
        let live = live.or(known.draining().map(|draining| &draining.live));
        live.into_iter().flatten().map(|lease| Run { job, lease: *lease }).collect()
    }

    pub fn run(&self, job: JobId) -> Run {
        *self.runs(job).first().unwrap_or_else(|| panic!("{:?} has a run", self.job(job)))
    }

    pub fn is_running(&self, job: JobId) -> bool {
        self.job(job).running().is_some()
    }

    pub fn finish(&mut self, job: JobId, end: RunEnd) -> Option<Outcome> {
        let run = self.run(job);
        let ended = self.ok(&Command::Finish { run, end });
        let Answer::Ended { outcome } = ended else { panic!("an end was answered with {ended:?}") };
        outcome
    }

    /// It finishes and found nothing to do.
    pub fn complete(&mut self, job: JobId) {
        let model = ModelId::from_u128(self.id());
        self.finish(job, RunEnd::Completed { trained: Trained::default(), model, last: None });
    }

    /// It finishes with a model.
    pub fn train(&mut self, job: JobId, metrics: Metrics) -> ModelId {
        let model = ModelId::from_u128(self.id());
        let trained = Trained { artifact: Some(Reference::new("there")), metrics };
        self.finish(job, RunEnd::Completed { trained, model, last: None });
        model
    }

    pub fn fail(&mut self, job: JobId, advice: Advice) -> Option<Outcome> {
        self.finish(job, RunEnd::Failed(Failure { reason: Reason::new("broke"), advice }))
    }

    pub fn report(&mut self, job: JobId, step: u64, performance: Option<u8>) {
        let run = self.run(job);
        self.ok(&Command::Report { run, step, performance: performance.map(super::score) });
    }

    pub fn checkpoint(&mut self, job: JobId, step: u64) {
        let run = self.run(job);
        let checkpoint = Checkpoint { reference: Reference::new("there"), step };
        self.ok(&Command::Checkpoint { run, checkpoint });
    }

    pub fn cancel(&mut self, job: JobId) {
        self.ok(&Command::Cancel { job, reason: Reason::new("enough") });
    }

    pub fn explain(&self, job: JobId) -> Vec<Blocker> {
        self.yard.explain(self.now, job).expect("it is in the books")
    }

    /// Which jobs were started since a point in the log, in order.
    pub fn started_since(&self, from: usize) -> Vec<JobId> {
        let started = self.log[from..].iter().filter_map(|fact| {
            let Event::Started { job, .. } = &fact.event else { return None };
            Some(*job)
        });
        started.collect()
    }
}

/// How long a node of a desk counts as alive without a word from it.
pub const NODE_LEASE: Duration = Duration::from_secs(1_000_000);

pub fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(seconds * 1_000)
}

pub fn plain() -> Kind {
    Kind::new("plain").unwrap()
}

pub fn outside() -> Kind {
    Kind::new("outside").unwrap()
}

pub fn on(subject: &str) -> Subject {
    Subject::new(subject).unwrap()
}

pub fn queue(name: &str) -> QueueName {
    QueueName::new(name).unwrap()
}

pub fn resource(name: &str) -> Resource {
    Resource::new(name).unwrap()
}

/// A class of plain jobs in the queue `line`, with changes.
pub fn class(change: impl FnOnce(&mut Class)) -> Arc<Class> {
    let mut class = Class::new(plain(), queue("line"));
    change(&mut class);
    Arc::new(class)
}

pub fn usual() -> Arc<Class> {
    class(|_| {})
}

/// A contest of so many with target 0.9; the candidates' ids count from 1,001.
pub fn contest(candidates: u128, median: Option<MedianRule>) -> Arc<ContestPlan> {
    let candidates = (1..=candidates).map(|n| Entrant {
        id: CandidateId::from_u128(1_000 + n),
        label: Label::new(format!("algorithm {n}")).unwrap(),
        parameters: Parameters::default(),
    });
    Arc::new(ContestPlan { target: super::score(90), candidates: candidates.collect(), median })
}
