use proptest::prelude::*;

use super::super::tests::{lesson, words};
use super::*;

/// A step is a few rows; and three epochs are enough.
const SMALL: Descent =
    Descent { what: "small", rate: 0.01, decay: 0.01, epochs: 3, part: Part { cells: 20, rows_min: 7 } };

fn begin(descent: &Descent, lesson: &Lesson<'_>) -> (Notes, Taught) {
    let widths = [lesson.train.encoding().width(), 3, lesson.classes];
    let taught = descent.begin(lesson, Net::seeded(&widths, &mut Chance::new(lesson.seed, 0))).unwrap();
    (descent.prepare(lesson, &taught).unwrap(), taught)
}

/// So many steps, or until there is nothing more to gain; what was said after each.
fn go_on(
    descent: &Descent,
    lesson: &Lesson<'_>,
    notes: &mut Notes,
    taught: &mut Taught,
    steps: usize,
) -> (Vec<Vec<u16>>, Step) {
    let mut curve = Vec::new();
    let mut last = Step::Again;
    while curve.len() < steps && last != Step::Exhausted {
        last = descent.step(lesson, notes, taught).unwrap();
        assert_ne!(last, Step::CutShort);
        curve.push(taught.validate(lesson, notes));
    }
    (curve, last)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn who_is_resumed_within_an_epoch_goes_on_as_if_never_cut_short(
        rows in 36..90_usize,
        seed in any::<u64>(),
        cut in 0..40_usize,
    ) {
        let data = words(rows);
        let over = || false;
        let lesson = lesson(&data, seed, &over);
        let (mut notes, mut alone) = begin(&SMALL, &lesson);
        let (curve, last) = go_on(&SMALL, &lesson, &mut notes, &mut alone, usize::MAX);
        prop_assert_eq!(last, Step::Exhausted);
        prop_assert_eq!(curve.len(), 3 * data.train().len().div_ceil(7), "a step is seven rows");
        let (mut notes, mut cut_short) = begin(&SMALL, &lesson);
        let (mut resumed_curve, last) = go_on(&SMALL, &lesson, &mut notes, &mut cut_short, cut);
        let mut resumed: Taught = postcard::from_bytes(&postcard::to_allocvec(&cut_short).unwrap()).unwrap();
        prop_assert_eq!(&resumed, &cut_short);
        let mut notes = SMALL.prepare(&lesson, &resumed).unwrap();
        if last != Step::Exhausted {
            resumed_curve.extend(go_on(&SMALL, &lesson, &mut notes, &mut resumed, usize::MAX).0);
        }
        prop_assert_eq!(&resumed, &alone);
        prop_assert_eq!(resumed_curve, curve);
        prop_assert_eq!(SMALL.step(&lesson, &mut notes, &mut resumed), Ok(Step::Exhausted));
        prop_assert_eq!(resumed, alone, "there is nothing more to learn");
    }
}

/// It is judged by the rows to be judged by: where their classes are those of the contrary, each epoch makes it worse,
/// whatever it gains on the rows to learn from.
#[test]
fn it_runs_out_by_the_rows_to_be_judged_by() {
    let data = words(300);
    let over = || false;
    let contrary: Vec<u16> = data.validation_classes().iter().map(|class| 1 - class).collect();
    let lesson = Lesson { validation_classes: &contrary, ..lesson(&data, 1, &over) };
    let descent = Descent { epochs: 300, part: Part::USUAL, ..SMALL };
    let (mut notes, mut taught) = begin(&descent, &lesson);
    let (curve, last) = go_on(&descent, &lesson, &mut notes, &mut taught, usize::MAX);
    assert_eq!(last, Step::Exhausted);
    assert!(curve.len() <= IDLE_MAX as usize + 10, "{} epochs", curve.len());
    let (steps, idle) = (taught.steps, taught.idle);
    assert_eq!(idle, IDLE_MAX);
    assert_eq!(descent.step(&lesson, &mut notes, &mut taught), Ok(Step::Exhausted));
    assert_eq!((taught.steps, taught.idle), (steps, idle), "it does not begin again");
}
