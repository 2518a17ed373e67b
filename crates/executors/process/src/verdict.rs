//! What the end of a process means.

use trainyard_runtime::{Stop, TrainError};

use crate::Exit;

/// What a trainer has reported of its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finish {
    pub(crate) outcome: String,
    pub(crate) message: Option<String>,
}

/// What was heard of a trainer by the protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Heard {
    /// Nothing at all: its exit code speaks for it.
    Nothing,
    /// It reports, and has not said that it has finished.
    Something,
    Finished(Finish),
}

/// Whether the run has succeeded.
///
/// The exit code is the authority; what was reported can only make it worse.
///
/// # Errors
/// What the run ends with instead.
pub(crate) fn verdict(exit: Exit, told: Option<Stop>, heard: &Heard, tail: &str) -> Result<(), TrainError> {
    let said_so = matches!(heard, Heard::Finished(finish) if finish.is_ok());
    let Exit::Code(code) = exit else {
        return Err(match told {
            Some(stop) if !stop.may_write() => stop.into(),
            _ => TrainError::interrupted(format!("{exit}{tail}")),
        });
    };
    match told {
        Some(stop) if !stop.may_write() => return Err(stop.into()),
        // It was asked to stop, so an end without a word is none.
        Some(Stop::ShuttingDown) if !(code == 0 && said_so) => {
            return Err(TrainError::interrupted("it was stopped with its service"));
        }
        // It may hand over what it has.
        Some(Stop::TargetReached) if matches!(code, 0 | TERMINATED) => return Ok(()),
        Some(_) | None => {}
    }
    match (code, heard) {
        (TEMPORARY, _) => Err(TrainError::retry(reason(exit, heard, tail))),
        (64..=78 | NOT_EXECUTABLE | NOT_FOUND, _) => Err(TrainError::failed(reason(exit, heard, tail))),
        (_, Heard::Finished(finish)) if !finish.is_ok() => Err(TrainError::retry(reason(exit, heard, tail))),
        (0, Heard::Nothing | Heard::Finished(_)) => Ok(()),
        (0, Heard::Something) => {
            Err(TrainError::retry(format!("it ended without having said that it has finished{tail}")))
        }
        (TERMINATED, _) => Err(TrainError::interrupted(format!("{exit} by somebody else"))),
        (_, _) => Err(TrainError::retry(reason(exit, heard, tail))),
    }
}

impl Finish {
    fn is_ok(&self) -> bool {
        self.outcome == "ok"
    }
}

/// What a failed trainer says itself comes first.
fn reason(exit: Exit, heard: &Heard, tail: &str) -> String {
    match heard {
        Heard::Finished(finish) if !finish.is_ok() => {
            let Finish { outcome, message } = finish;
            let said = message.as_ref().map_or_else(|| format!("it says {outcome:?}"), String::clone);
            format!("{said} ({exit})")
        }
        Heard::Nothing | Heard::Something | Heard::Finished(_) => format!("{exit}{tail}"),
    }
}

/// 128 and SIGTERM, as shells say it.
const TERMINATED: i32 = 143;
/// `EX_TEMPFAIL` of sysexits.h; 64 to 78 are its codes.
const TEMPORARY: i32 = 75;
/// What a shell says of a file that is no program.
const NOT_EXECUTABLE: i32 = 126;
/// What a shell says of a file that is not there.
const NOT_FOUND: i32 = 127;

#[cfg(test)]
mod tests {
    use super::*;

    fn check(exit: Exit, told: Option<Stop>, heard: &str) -> String {
        let heard = match heard {
            "nothing" => Heard::Nothing,
            "something" => Heard::Something,
            outcome => Heard::Finished(Finish { outcome: outcome.to_owned(), message: None }),
        };
        match verdict(exit, told, &heard, "") {
            Ok(()) => "success".to_owned(),
            Err(TrainError::Stopped(stop)) => format!("stopped: {stop}"),
            Err(TrainError::Interrupted(reason)) => format!("interrupted: {reason}"),
            Err(TrainError::Failed(failure)) => format!("{:?}: {}", failure.advice, failure.reason),
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn every_end_has_its_meaning() {
        let code = Exit::Code;
        let cancelled = Some(Stop::Cancelled);
        let leaving = Some(Stop::ShuttingDown);
        for (exit, told, heard, meaning) in [
            (code(0), None, "nothing", "success"),
            (code(0), None, "ok", "success"),
            (code(0), None, "something", "Retry: it ended without having said that it has finished"),
            (code(0), None, "error", "Retry: it says \"error\" (it ended with exit code 0)"),
            (code(1), None, "ok", "Retry: it ended with exit code 1"),
            (code(7), None, "nothing", "Retry: it ended with exit code 7"),
            (code(75), None, "nothing", "Retry: it ended with exit code 75"),
            (code(65), None, "nothing", "GiveUp: it ended with exit code 65"),
            (code(65), None, "error", "GiveUp: it says \"error\" (it ended with exit code 65)"),
            (code(127), None, "nothing", "GiveUp: its program was not found (exit code 127)"),
            (code(137), None, "nothing", "Retry: it was killed by SIGKILL (exit code 137)"),
            (code(139), None, "something", "Retry: it was killed by SIGSEGV (exit code 139)"),
            (code(255), None, "nothing", "Retry: it ended with exit code 255"),
            (
                code(143),
                None,
                "something",
                "interrupted: it was killed by SIGTERM (exit code 143) by somebody else",
            ),
            (code(143), cancelled, "something", "stopped: the job was cancelled"),
            (code(0), cancelled, "ok", "stopped: the job was cancelled"),
            (Exit::Lost, cancelled, "nothing", "stopped: the job was cancelled"),
            (Exit::Lost, None, "ok", "interrupted: it is gone without a trace"),
            (code(0), leaving, "something", "interrupted: it was stopped with its service"),
            (code(0), leaving, "nothing", "interrupted: it was stopped with its service"),
            (code(0), leaving, "ok", "success"),
            (code(143), Some(Stop::TargetReached), "something", "success"),
        ] {
            assert_eq!(check(exit, told, heard), meaning, "{exit:?} {told:?} {heard}");
        }
    }
}
