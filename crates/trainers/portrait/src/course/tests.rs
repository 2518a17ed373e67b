use proptest::prelude::*;

use super::*;
use crate::auto::apart;
use crate::made::Person;
use crate::{Side, checkpoint};

/// So small that a step takes no time.
fn tiny() -> Size {
    Size::new(Side::new(32).unwrap(), 6, 3).unwrap()
}

fn photos(seed: u64, count: u32, size: Size) -> Vec<Photo> {
    (0..count).map(|number| Photo::of(&Person::new(seed).photo(number, 96), size.side())).collect()
}

fn lesson(photos: &[Photo], size: Size, total: u64) -> Lesson<'_> {
    Lesson { photos, size, total, seed: 11, threads: NonZeroUsize::MIN }
}

fn learned(lesson: &Lesson<'_>, steps: u64) -> Course {
    let mut course = Course::begin(lesson);
    let mut desk = Desk::new();
    (0..steps).for_each(|_| course.learn(lesson, &mut desk));
    course
}

fn quality(course: &Course, lesson: &Lesson<'_>) -> f64 {
    let mut measured = Measured::default();
    (0..4).for_each(|block| course.measure(lesson, block, &mut measured));
    measured.quality().get()
}

#[test]
fn what_is_learned_does_not_depend_on_threads() {
    let photos = photos(3, 3, tiny());
    let alone = lesson(&photos, tiny(), 6);
    let expected = learned(&alone, 6);
    for threads in 2..=3 {
        let several = Lesson { threads: NonZeroUsize::new(threads).unwrap(), ..alone };
        let course = learned(&several, 6);
        assert_eq!(course, expected, "{threads} threads");
        assert_eq!(quality(&course, &several).to_bits(), quality(&expected, &alone).to_bits());
    }
    let other = Lesson { seed: 12, ..alone };
    assert_ne!(learned(&other, 6), expected);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn a_training_that_is_cut_anywhere_goes_on_as_if_it_were_not(cut in 0..6_u64, seed in any::<u64>(), count in 1..4_u32) {
        let photos = photos(seed % 100, count, tiny());
        let lesson = Lesson { seed, ..lesson(&photos, tiny(), 6) };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        checkpoint::write(&path, &lesson, &learned(&lesson, cut)).unwrap();
        let mut course = checkpoint::read(&checkpoint::bytes_of(&path).unwrap(), &lesson).unwrap();
        let mut desk = Desk::new();
        while course.step < lesson.total {
            course.learn(&lesson, &mut desk);
        }
        prop_assert_eq!(course, learned(&lesson, 6), "seed {}, cut at {}", seed, cut);
    }
}

#[test]
fn held_back_views_are_given_back_far_better_than_by_the_mean_picture() {
    let size = Size::SMALL;
    let photos = photos(5, 4, size);
    let lesson = lesson(&photos, size, 150);
    let untrained = Course::begin(&lesson);
    assert_eq!(quality(&untrained, &lesson), 0.0, "it shows the mean picture");
    let trained = learned(&lesson, 150);
    let reached = quality(&trained, &lesson);
    assert!(reached > 0.75, "{reached}");
    assert!(trained.loss_mean < 0.35, "{}", trained.loss_mean);

    // The same once more, by pictures as they are shown: the photos themselves were never trained on either.
    for (number, photo) in photos.iter().enumerate() {
        let shown = |course: &Course| course.auto.picture(&course.auto.code(photo.pixels()));
        let (off, mean) =
            (apart(&shown(&trained), photo.pixels()), apart(&shown(&untrained), photo.pixels()));
        assert!(off < mean / 3.0, "photo {number}: {off} {mean}");
    }
}

#[test]
fn noise_cannot_be_learned_as_portraits_can() {
    let size = Size::SMALL;
    let side = u32::from(size.side().get());
    let mut chance = Chance::new(1, 0);
    let photos: Vec<Photo> = (0..4)
        .map(|_| {
            let pixels = (0..side * side * 3).map(|_| chance.any().to_le_bytes()[0]).collect();
            Photo::of(&crate::Rendered::new(side, side, pixels).unwrap(), size.side())
        })
        .collect();
    let lesson = lesson(&photos, size, 150);
    let reached = quality(&learned(&lesson, 150), &lesson);
    assert!(reached < 0.6, "{reached}");
}

#[test]
fn nothing_that_is_held_back_is_trained_on() {
    let photos = photos(5, 2, tiny());
    let lesson = lesson(&photos, tiny(), 9);
    let views = |using| lesson.views(using, 0, 100, View::drawn);
    let (trained, held_back) = (views(TRAINING), views(HELD_BACK));
    for (number, view) in held_back.iter().enumerate() {
        let nearest = trained.iter().map(|other| apart(view, other)).fold(f64::MAX, f64::min);
        assert!(nearest > 0.1, "view {number} is {nearest} off one that is trained on");
    }
}

#[test]
fn every_weight_is_moved() {
    let photos = photos(5, 3, tiny());
    let lesson = lesson(&photos, tiny(), 40);
    let (before, after) = (Course::begin(&lesson), learned(&lesson, 40));
    let nets = |course: &Course| [course.auto.encoder.clone(), course.auto.decoder.clone()];
    for (before, after) in nets(&before).iter().zip(nets(&after)) {
        let still = before.weights().iter().zip(after.weights()).filter(|(one, other)| one == other).count();
        // A unit that never passes anything on is not moved.
        assert!(still * 2 < before.weights().len(), "{still} of {}", before.weights().len());
    }
}
