use trainyard_trainkit::Net;

use super::gradient::{Descent, Notes, Part, Taught};
use crate::{LearnError, Learner, Lesson, Rows, Step};

/// Weighs the features and adds them up (multinomial logistic regression).
///
/// A step is an epoch of Adam over batches, on big data a part of one. The scaling factor sets how long its steps are.
///
/// After Cox, "The regression analysis of binary sequences" (Journal of the Royal Statistical Society B 20, 1958), with
/// a weight for each feature and class; Adam is that of [`trainyard_trainkit::Adam`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Linear;

const DESCENT: Descent = Descent { what: "linear", rate: 0.01, decay: 0.01, epochs: 300, part: Part::USUAL };

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

    fn validate(&self, lesson: &Lesson<'_>, notes: &mut Notes, learned: &Taught) -> Vec<u16> {
        learned.validate(lesson, notes)
    }

    fn predict(&self, learned: &Taught, rows: &Rows) -> Vec<f32> {
        learned.predict(rows)
    }

    fn lasting(&self, learned: &Taught) -> Option<Taught> {
        Some(learned.lasting())
    }
}
