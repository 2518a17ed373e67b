//! What an adapter reads through its handle is what the yard says.
#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

mod support;

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use support::desk::{Desk, on, outside, plain, secs, usual};
use trainyard_core::port::{Changes, Handle, HandleError, Observed, Pending, Receipt};
use trainyard_core::*;

/// A handle on a desk, which can be looked at and no more.
struct Reader {
    desk: Mutex<Desk>,
}

/// One that counts editions.
struct Counting {
    desk: Mutex<Desk>,
    edition: AtomicU64,
}

macro_rules! reads {
    ($name:ident $(, $more:item)?) => {
        impl Handle for $name {
            fn now(&self) -> Timestamp {
                self.desk.lock().unwrap().now
            }

            fn job_id(&self) -> JobId {
                JobId::from_u128(self.desk.lock().unwrap().id())
            }

            fn submit(&self, _: Submission) -> Pending<Receipt> {
                refuse()
            }

            fn cancel(&self, _: JobId, _: Reason) -> Pending<()> {
                refuse()
            }

            fn set_rule(&self, _: Subject, _: RetrainRule, _: Template) -> Pending<()> {
                refuse()
            }

            fn observe(&self, _: Subject, _: Observation) -> Pending<Observed> {
                refuse()
            }

            fn activate(&self, _: ModelId) -> Pending<()> {
                refuse()
            }

            fn retire(&self, _: Subject) -> Pending<()> {
                refuse()
            }

            fn finished(&self, _: JobId) -> Pending<Outcome> {
                refuse()
            }

            fn read(&self, look: &mut dyn FnMut(&Yard)) {
                // Whoever looks may look again meanwhile, as at a yard that many look at.
                let yard = self.desk.lock().unwrap().yard.clone();
                look(&yard);
            }

            fn progress(&self, _: JobId) -> Option<Progress> {
                None
            }

            fn subscribe(&self) -> Box<dyn Changes> {
                unreachable!("nobody listens here")
            }

            $($more)?
        }
    };
}

reads!(Reader);
reads!(
    Counting,
    fn edition(&self) -> Option<u64> {
        Some(self.edition.load(Ordering::SeqCst))
    }
);

impl Reader {
    fn new(desk: Desk) -> Self {
        Self { desk: Mutex::new(desk) }
    }
}

impl Counting {
    fn new() -> Self {
        Self { desk: Mutex::new(Desk::new()), edition: AtomicU64::new(7) }
    }

    /// Something else is committed.
    fn change(&self) {
        self.edition.fetch_add(1, Ordering::SeqCst);
    }
}

fn refuse<T: Send + 'static>() -> Pending<T> {
    Box::pin(std::future::ready(Err(HandleError::Stopped { reason: Reason::new("it only reads") })))
}

/// What is kept at a glance is the number of looks that were taken.
fn look<H: Handle>(glance: &Glance<u32>, handle: &H, looks: &Cell<u32>) -> u32 {
    glance.of(handle, |_| {
        looks.set(looks.get() + 1);
        looks.get()
    })
}

#[test]
fn a_glance_is_taken_anew_after_a_change_and_only_then() {
    let (handle, glance, looks) = (Counting::new(), Glance::new(), Cell::new(0));
    assert_eq!([(); 3].map(|()| look(&glance, &handle, &looks)), [1, 1, 1]);
    handle.change();
    assert_eq!([(); 3].map(|()| look(&glance, &handle, &looks)), [2, 2, 2]);
}

#[test]
fn who_has_looked_earlier_and_is_slower_takes_nothing_back() {
    let (handle, glance) = (Counting::new(), Glance::new());
    let slow = glance.of(&handle, |_| {
        handle.change();
        assert_eq!(glance.of(&handle, |_| "newer"), "newer");
        "older"
    });
    assert_eq!(slow, "older");
    assert_eq!(glance.of(&handle, |_| "anew"), "newer");
}

#[test]
fn without_editions_every_glance_is_a_look() {
    let handle = Reader::new(Desk::new());
    assert_eq!(handle.edition(), None);
    let (glance, looks) = (Glance::default(), Cell::new(0));
    assert_eq!([(); 3].map(|()| look(&glance, &handle, &looks)), [1, 2, 3]);
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
    let reader = Reader::new(desk);
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
