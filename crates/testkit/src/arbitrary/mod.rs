//! Any value of the core at all, for property tests.
//!
//! [`fact`] makes every event there is, with every optional part there and not there, and with numbers from all of
//! their ranges. The facts make no sense together: they are for what must hold for any fact, such as that it
//! survives being stored. [`one_of_each`] is a fixed list in which every event appears.

mod class;
mod event;
mod job;
mod one_of_each;

pub use event::{event, fact, facts};
pub use one_of_each::{EVENTS, event_number, one_of_each};

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use trainyard_core::{
    CandidateId, IdempotencyKey, JobId, Kind, Label, Lease, Metric, Metrics, ModelId, NodeId, Parameters,
    QueueName, Reason, Registry, Resource, Score, Subject, Timestamp,
};

macro_rules! names {
    ($($function:ident: $name:ident),* $(,)?) => {$(
        #[doc = concat!("Any [`", stringify!($name), "`].")]
        pub fn $function() -> impl Strategy<Value = $name> + Clone {
            "[a-z0-9/_ üß漢🙂-]{1,12}".prop_map(|word| $name::new(word).expect("short and printable"))
        }
    )*};
}

names! {
    subject: Subject,
    kind: Kind,
    queue_name: QueueName,
    registry: Registry,
    resource: Resource,
    idempotency_key: IdempotencyKey,
    metric: Metric,
    label: Label,
}

macro_rules! ids {
    ($($function:ident: $id:ident),* $(,)?) => {$(
        #[doc = concat!("Any [`", stringify!($id), "`].")]
        pub fn $function() -> impl Strategy<Value = $id> + Clone {
            any::<u128>().prop_map($id::from_u128)
        }
    )*};
}

ids! {
    job_id: JobId,
    candidate_id: CandidateId,
    model_id: ModelId,
    node_id: NodeId,
}

/// Any [`Timestamp`].
pub fn timestamp() -> impl Strategy<Value = Timestamp> + Clone {
    any::<i64>().prop_map(Timestamp::from_millis)
}

/// Any [`Duration`].
pub fn duration() -> impl Strategy<Value = Duration> + Clone {
    (any::<u64>(), 0..1_000_000_000_u32).prop_map(|(seconds, nanos)| Duration::new(seconds, nanos))
}

/// Any [`Score`].
pub fn score() -> impl Strategy<Value = Score> + Clone {
    let numbers = prop::num::f64::NORMAL | prop::num::f64::SUBNORMAL | prop::num::f64::ZERO;
    numbers.prop_filter_map("finite", |number| Score::new(number).ok())
}

/// Any [`Lease`].
pub fn lease() -> impl Strategy<Value = Lease> + Clone {
    any::<u64>().prop_map(Lease::new)
}

/// Any [`Reason`].
pub fn reason() -> impl Strategy<Value = Reason> + Clone {
    any::<String>().prop_map(Reason::new)
}

/// Short [`Parameters`].
pub fn parameters() -> impl Strategy<Value = Parameters> + Clone {
    vec(any::<u8>(), 0..24).prop_filter_map("short", |bytes| Parameters::new(bytes).ok())
}

/// A few [`Metrics`].
pub fn metrics() -> impl Strategy<Value = Metrics> + Clone {
    prop::collection::btree_map(metric(), score(), 0..4)
}
