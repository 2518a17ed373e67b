use trainyard_trainkit::{Chance, Net};

use super::gradient::{Descent, Notes, Part, Taught};
use crate::{LearnError, Learner, Lesson, Rows, Step};

/// A small network: 64, then 32 units between the features and the classes (multilayer perceptron).
///
/// A step is an epoch of Adam over batches, on big data a part of one. The scaling factor sets how long its steps are.
///
/// After Rumelhart, Hinton and Williams, "Learning representations by back-propagating errors" (Nature 323, 1986); Adam
/// is that of [`trainyard_trainkit::Adam`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Network;

/// From the vectors that go in to the classes.
pub(super) const fn widths(width: usize, classes: usize) -> [usize; 4] {
    [width, HIDDEN[0], HIDDEN[1], classes]
}

/// How many units lie between, layer by layer.
const HIDDEN: [usize; 2] = [64, 32];
const DESCENT: Descent = Descent { what: "network", rate: 0.003, decay: 0.3, epochs: 300, part: Part::USUAL };

impl Learner for Network {
    type Learned = Taught;
    type Notes = Notes;

    fn begin(&self, lesson: &Lesson<'_>) -> Result<Taught, LearnError> {
        let widths = widths(lesson.train.encoding().width(), lesson.classes);
        DESCENT.begin(lesson, Net::seeded(&widths, &mut Chance::new(lesson.seed, 0)))
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
