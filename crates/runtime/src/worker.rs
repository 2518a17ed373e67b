//! Runs a trainer to its end, whatever that is.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use trainyard_core::{Advice, Failure, ModelId, Reason, RunEnd, Trained};
use trainyard_journal::failpoint;
use uuid::Uuid;

use crate::call::Call;
use crate::pool::Afterwards;
use crate::sync::Arc;
use crate::telemetry;
use crate::{Context, JobToTrain, Stop, TrainError, Trainer};

/// Trains, and tells the driver what came of it.
pub(crate) fn work(trainer: &dyn Trainer, mut cx: Context, job: &JobToTrain) -> Afterwards {
    let span = telemetry::run_span(job.run, &job.kind);
    let _inside = span.enter();
    failpoint!(Started);
    let end = match catch_unwind(AssertUnwindSafe(|| trainer.train(&mut cx, job))) {
        Ok(Ok(trained)) => completed(&cx, trained),
        Ok(Err(error)) => not_completed(cx.stop_reason(), error),
        Err(panic) => panicked(&cx, &*panic),
    };
    let (shared, wiring) = (Arc::clone(&cx.shared), Arc::clone(&cx.wiring));
    drop(cx);
    // When nobody is left to hear it, the yard has stopped, and the attempt is interrupted at the next open.
    let _ = wiring.inbox.send(Call::Ended(shared.run, end));
    failpoint!(EndTold);
    if shared.stop.is_given_up() { Afterwards::End } else { Afterwards::Reuse }
}

fn completed(cx: &Context, trained: Trained) -> RunEnd {
    failpoint!(Returned);
    let kept = trained.artifact.as_ref().map(|artifact| cx.make_durable(artifact)).transpose();
    match kept {
        Ok(artifact) => {
            failpoint!(ArtifactSynced);
            let trained = Trained { artifact, ..trained };
            RunEnd::Completed { trained, model: ModelId::new(Uuid::now_v7()), last: cx.shared.reached() }
        }
        Err(error) => not_completed(cx.stop_reason(), error),
    }
}

fn not_completed(told: Option<Stop>, error: TrainError) -> RunEnd {
    let failed = |reason| RunEnd::Failed(Failure { reason: Reason::new(reason), advice: Advice::GiveUp });
    match (error, told) {
        (TrainError::Failed(failure), _) => RunEnd::Failed(failure),
        (TrainError::Interrupted(reason), _) => RunEnd::Interrupted { reason },
        (TrainError::Stopped(_), None) => {
            failed("its trainer says that it was told to stop, which it was not")
        }
        (TrainError::Stopped(_), Some(Stop::TargetReached)) => failed(
            "it reached the target and handed nothing over: on Stop::TargetReached, return what was trained",
        ),
        (TrainError::Stopped(_), Some(stop @ Stop::ShuttingDown)) => {
            RunEnd::Interrupted { reason: Reason::new(stop.to_string()) }
        }
        (
            TrainError::Stopped(_),
            Some(Stop::Superseded | Stop::Stalled | Stop::OutOfTime | Stop::Cancelled | Stop::FencedOff),
        ) => RunEnd::Stopped,
    }
}

fn panicked(cx: &Context, panic: &(dyn Any + Send)) -> RunEnd {
    let message = message_of(panic);
    cx.wiring.meters.panics.add(1);
    telemetry::run_panicked(message);
    RunEnd::Failed(Failure { reason: Reason::new(format!("panicked: {message}")), advice: Advice::Retry })
}

/// What a panic says.
pub(crate) fn message_of(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&'static str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}
