//! A learner that gets better by the same amount with every step, and waits at a gate halfway.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use trainyard_core::Label;
use trainyard_server::Contestants;
use trainyard_tabular::{LearnError, Learner, Lesson, Rows, Step};

/// Has so many of [`STEPS`] parts of every class right after so many steps.
pub(crate) struct Steady(pub(crate) Arc<Gate>);

pub(crate) const STEPS: u32 = 50;
/// Before it takes the next step it waits for the gate.
pub(crate) const WAITS_AT: u32 = 20;

/// Opened once.
#[derive(Default)]
pub(crate) struct Gate {
    is_open: Mutex<bool>,
    opened: Condvar,
}

/// The vendor's, but for `BSEV02`: it is steady.
pub(crate) fn contestants(gate: &Arc<Gate>) -> Contestants {
    let code = Label::new("BSEV02").expect("a short word is a label");
    Contestants::standard().with(code, "steady", Steady(Arc::clone(gate)))
}

impl Gate {
    pub(crate) fn open(&self) {
        *self.is_open.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.opened.notify_all();
    }

    /// Whether it was opened before it was over.
    pub(crate) fn pass(&self, is_over: impl Fn() -> bool) -> bool {
        let mut is_open = self.is_open.lock().unwrap_or_else(PoisonError::into_inner);
        while !*is_open && !is_over() {
            let look = Duration::from_millis(5);
            is_open = self.opened.wait_timeout(is_open, look).unwrap_or_else(PoisonError::into_inner).0;
        }
        *is_open
    }
}

impl Learner for Steady {
    type Learned = u32;
    type Notes = ();

    fn begin(&self, _: &Lesson<'_>) -> Result<u32, LearnError> {
        Ok(0)
    }

    fn prepare(&self, _: &Lesson<'_>, _: &u32) -> Result<(), LearnError> {
        Ok(())
    }

    fn step(&self, lesson: &Lesson<'_>, (): &mut (), learned: &mut u32) -> Result<Step, LearnError> {
        if *learned == WAITS_AT && !self.0.pass(|| lesson.is_over()) {
            return Ok(Step::CutShort);
        }
        *learned += 1;
        Ok(if *learned < STEPS { Step::Again } else { Step::Exhausted })
    }

    fn validate(&self, lesson: &Lesson<'_>, (): &mut (), learned: &u32) -> Vec<u16> {
        let mut counts = vec![0_u32; lesson.classes];
        lesson.validation_classes.iter().for_each(|class| counts[usize::from(*class)] += 1);
        let mut right: Vec<u32> = counts.iter().map(|count| count * learned / STEPS).collect();
        let classes = u16::try_from(lesson.classes).expect("few classes");
        let say = |class: &u16| {
            let right = &mut right[usize::from(*class)];
            let is_right = *right > 0;
            *right = right.saturating_sub(1);
            if is_right { *class } else { (*class + 1) % classes }
        };
        lesson.validation_classes.iter().map(say).collect()
    }

    fn predict(&self, _: &u32, rows: &Rows) -> Vec<f32> {
        [0.75, 0.25].repeat(rows.len())
    }
}
