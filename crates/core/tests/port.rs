//! What an adapter reads through its handle is what the yard says.
#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

mod support;

use std::sync::{Arc, Mutex};

use support::desk::{Desk, on, outside, plain, secs, usual};
use trainyard_core::port::{Changes, Handle, HandleError, Observed, Pending, Receipt};
use trainyard_core::*;

/// A handle on a desk, which can be looked at and no more.
struct Reader(Mutex<Desk>);

impl Reader {
    fn refuse<T: Send + 'static>() -> Pending<T> {
        Box::pin(std::future::ready(Err(HandleError::Stopped { reason: Reason::new("it only reads") })))
    }
}

impl Handle for Reader {
    fn now(&self) -> Timestamp {
        self.0.lock().unwrap().now
    }

    fn job_id(&self) -> JobId {
        JobId::from_u128(self.0.lock().unwrap().id())
    }

    fn submit(&self, _: Submission) -> Pending<Receipt> {
        Self::refuse()
    }

    fn cancel(&self, _: JobId, _: Reason) -> Pending<()> {
        Self::refuse()
    }

    fn set_rule(&self, _: Subject, _: RetrainRule, _: Template) -> Pending<()> {
        Self::refuse()
    }

    fn observe(&self, _: Subject, _: Observation) -> Pending<Observed> {
        Self::refuse()
    }

    fn activate(&self, _: ModelId) -> Pending<()> {
        Self::refuse()
    }

    fn retire(&self, _: Subject) -> Pending<()> {
        Self::refuse()
    }

    fn finished(&self, _: JobId) -> Pending<Outcome> {
        Self::refuse()
    }

    fn read(&self, look: &mut dyn FnMut(&Yard)) {
        look(&self.0.lock().unwrap().yard);
    }

    fn progress(&self, _: JobId) -> Option<Progress> {
        None
    }

    fn subscribe(&self) -> Box<dyn Changes> {
        unreachable!("nobody listens here")
    }
}

#[test]
fn what_is_read_through_a_handle_is_what_the_yard_says() {
    let mut desk = Desk::with_slots(1);
    let done = desk.submit("done", &usual());
    let model = desk.train(done, Metrics::new());
    let running = desk.submit("running", &usual());
    let waiting = desk.submit("waiting", &usual());
    let rule = RetrainRule::new(Trigger::Fresh { at_least: 10 });
    let template = Template { class: usual(), parameters: Parameters::default(), admission: Admission::Join };
    let template = Arc::new(template);
    desk.ok(&Command::SetRule { subject: on("watched"), rule, template });
    let observation = Observation { total: 3, lists: None };
    let job = JobId::from_u128(desk.id());
    desk.ok(&Command::Observe { subject: on("watched"), observation, job, repeats: 0 });
    desk.sleep_through(secs(5));

    let (known, blockers) = (desk.job(waiting).clone(), desk.explain(waiting));
    let reader = Reader(Mutex::new(desk));
    assert_eq!(reader.job(waiting), Some(known));
    assert_eq!(reader.explain(waiting), Some(blockers));
    assert!(!reader.explain(waiting).unwrap().is_empty());
    assert_eq!(reader.explain(running), Some(Vec::new()));
    assert_eq!(reader.active_model(&Registry::from(&on("done"))).unwrap().id, model);
    let decision = reader.decision(&on("watched")).unwrap();
    assert_eq!(decision.observation, observation);
    assert!(reader.trains(&plain()) && reader.trains(&outside()));
    assert_eq!(reader.stopped(), None, "unless it says otherwise it has not stopped");

    let nobody = JobId::from_u128(1_000_000);
    assert_eq!((reader.job(nobody), reader.explain(nobody)), (None, None));
    assert_eq!(reader.active_model(&Registry::from(&on("running"))), None);
    assert_eq!(reader.decision(&on("done")), None);
    assert!(!reader.trains(&Kind::new("nobody's").unwrap()));
}
