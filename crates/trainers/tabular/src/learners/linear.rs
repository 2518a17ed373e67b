use trainyard_trainkit::Net;

use super::gradient::{Descent, Notes, Taught};
use crate::{LearnError, Learner, Lesson, Rows, Step};

/// Weighs the features and adds them up (multinomial logistic regression).
///
/// A step is an epoch of Adam over batches, on big data a part of one. The scaling factor sets how long its steps are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Linear;

const DESCENT: Descent = Descent { what: "linear", rate: 0.01, decay: 0.01, epochs: 300 };

impl Learner for Linear {
    type Learned = Taught;
    type Notes = Notes;

    fn begin(&self, lesson: &Lesson<'_>) -> Result<Taught, LearnError> {
        DESCENT.begin(lesson, Net::flat(&[lesson.train.encoding().width(), lesson.classes]))
    }

    fn prepare(&self, lesson: &Lesson<'_>, learned: &Taught) -> Result<Notes, LearnError> {
        DESCENT.prepare(lesson, learned)
    }

    fn step(&self, lesson: &Lesson<'_>, notes: &mut Notes, learned: &mut Taught) -> Result<Step, LearnError> {
        DESCENT.step(lesson, notes, learned)
    }

    fn validate(&self, lesson: &Lesson<'_>, _: &mut Notes, learned: &Taught) -> Vec<u16> {
        learned.validate(lesson)
    }

    fn predict(&self, learned: &Taught, rows: &Rows) -> Vec<f32> {
        learned.predict(rows)
    }
}
