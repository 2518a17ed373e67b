//! What a training goes on from after a crash.

use std::io;
use std::path::Path;

use trainyard_trainkit::{Useless, read_checkpoint, write_checkpoint};

use crate::lesson::{Course, Lesson};
use crate::model::Lora;

/// Writes a checkpoint of what was learned from something of this [`Lesson::fingerprint`]: all of it, or nothing.
pub(crate) fn write(path: &Path, lesson: [u8; 32], course: &Course) -> io::Result<()> {
    write_checkpoint(path, MAGIC, FORMAT, lesson, course)
}

/// Reads a checkpoint from the bytes of a file, if it is about this lesson, which has this [`Lesson::fingerprint`].
pub(crate) fn read(bytes: &[u8], lesson: &Lesson<'_>, print: [u8; 32]) -> Result<Course, Useless> {
    let course: Course = read_checkpoint(MAGIC, FORMAT, bytes, print)?;
    if course.fits(lesson) { Ok(course) } else { Err(Useless::Damaged) }
}

/// How long a checkpoint of a lesson can be: three numbers for each weight, a loss for each step, and what is small.
pub(crate) fn bytes_max(lesson: &Lesson<'_>) -> u64 {
    let weights = Lora::count(lesson.base.shape(), lesson.order.rank);
    4 * (3 * weights + lesson.order.iterations) + 1_024
}

const MAGIC: &[u8; 8] = b"TYARDLMC";
const FORMAT: u32 = 1;

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use trainyard_trainkit::{Chance, bytes_of};
    use trainyard_trajectories::Row;

    use super::*;
    use crate::lesson::Learner;
    use crate::model::Model;
    use crate::{Base, Order, Rank, Shape, Source};

    fn base(seed: u64) -> Base {
        let mut sizes = *Shape::SMALL.sizes();
        (sizes.layers, sizes.width, sizes.hidden, sizes.context) = (1, 8, 4, 32);
        Base::of(Model::seeded(Shape::new(sizes).unwrap(), &mut Chance::new(seed, 0)))
    }

    #[test]
    fn what_is_damaged_or_of_something_else_is_of_no_use() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state-1");
        let order =
            Order::new(Source::Folder("base".into())).with_iterations(2).unwrap().with_held_out_share(0.0);
        let row = |n: u32| Row::new(format!("{n}"), "", "count", format!("{n}"), format!("{}", n + 1));
        let rows = [row(1), row(2), row(3)];
        let (first, second) = (base(1), base(2));
        let lesson = Lesson::new(&first, &order, &rows, 1, NonZeroUsize::MIN);
        let mut course = Course::begin(&lesson);
        assert!(Learner::new(&lesson).learn(&mut course).is_finite());
        write(&path, lesson.fingerprint(), &course).unwrap();
        let bytes = bytes_of(&path, u64::MAX).unwrap();
        assert!((bytes.len() as u64) < bytes_max(&lesson), "all of it is read");
        assert!(bytes_max(&lesson) < bytes.len() as u64 + 1_100, "and hardly more than that");
        let read = |bytes: &[u8], lesson: &Lesson<'_>| read(bytes, lesson, lesson.fingerprint());
        assert_eq!(read(&bytes, &lesson), Ok(course));
        let lessons = |base, order, rows, seed| Lesson::new(base, order, rows, seed, NonZeroUsize::MIN);
        let orders = [
            order.clone().with_iterations(3).unwrap(),
            order.clone().with_batch_size(3).unwrap(),
            order.clone().with_learning_rate(0.1).unwrap(),
            order.clone().with_rank(Rank::new(2, 16.0).unwrap()),
            order.clone().with_rank(Rank::new(8, 8.0).unwrap()),
        ];
        let mut others: Vec<Lesson<'_>> =
            orders.iter().map(|order| lessons(&first, order, &rows, 1)).collect();
        let turned = [row(2), row(1), row(3)];
        others.push(lessons(&second, &order, &rows, 1));
        others.push(lessons(&first, &order, &rows[..2], 1));
        others.push(lessons(&first, &order, &turned, 1));
        others.push(lessons(&first, &order, &rows, 2));
        for (number, other) in others.iter().enumerate() {
            assert_eq!(read(&bytes, other), Err(Useless::Lesson), "lesson {number}");
        }
        for at in (0..bytes.len()).step_by(97).chain(0..64).chain(bytes.len() - 64..bytes.len()) {
            assert!(read(&bytes[..at], &lesson).is_err(), "cut at {at}");
            let mut bent = bytes.clone();
            bent[at] ^= 0x10;
            assert!(read(&bent, &lesson).is_err(), "bent at {at}");
        }
    }

    #[test]
    fn what_does_not_fit_together_is_of_no_use() {
        let order = Order::new(Source::Folder("base".into()));
        let (base, rows) = (base(1), [Row::new("1", "", "", "1", "2")]);
        let lesson = Lesson::new(&base, &order, &rows, 1, NonZeroUsize::MIN);
        let small = order.clone().with_rank(Rank::new(1, 1.0).unwrap());
        let less = Course::begin(&Lesson::new(&base, &small, &rows, 1, NonZeroUsize::MIN));
        let mut ahead = Course::begin(&lesson);
        ahead.step = 1;
        for course in [less, ahead] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("state");
            write(&path, lesson.fingerprint(), &course).unwrap();
            let bytes = bytes_of(&path, u64::MAX).unwrap();
            assert_eq!(read(&bytes, &lesson, lesson.fingerprint()), Err(Useless::Damaged));
        }
    }
}
