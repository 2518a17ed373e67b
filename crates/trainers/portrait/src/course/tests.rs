use proptest::prelude::*;
use trainyard_trainkit::Net;

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
    let mut course = Course::begun(lesson);
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
        checkpoint::write(&path, checkpoint::fingerprint(&lesson), &learned(&lesson, cut)).unwrap();
        let mut course = checkpoint::read(&std::fs::read(&path).unwrap(), &lesson, checkpoint::fingerprint(&lesson)).unwrap();
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
    let untrained = Course::begun(&lesson);
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
    assert!(reached < 0.4, "{reached}");
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

/// The weights of each layer, and what its outputs start from.
fn layers(course: &Course) -> Vec<Vec<f32>> {
    let mut layers = Vec::new();
    for net in [&course.auto.encoder, &course.auto.decoder] {
        let mut from = 0;
        for ends in net.widths().windows(2) {
            for count in [ends[0] * ends[1], ends[1]] {
                layers.push(net.weights()[from..][..count].to_vec());
                from += count;
            }
        }
    }
    layers
}

#[test]
fn every_layer_is_moved() {
    let photos = photos(5, 3, tiny());
    let lesson = lesson(&photos, tiny(), 40);
    let (before, after) = (layers(&Course::begun(&lesson)), layers(&learned(&lesson, 40)));
    assert_eq!(before.len(), 8);
    for (number, (before, after)) in before.iter().zip(&after).enumerate() {
        let moved = before.iter().zip(after).filter(|(one, other)| one != other).count();
        // A unit that never passes anything on is not moved.
        assert!(moved * 2 > before.len(), "part {number}: {moved} of {}", before.len());
    }
}

/// What the error of the decoder says of its inputs is what the encoder learns from: both together by finite differences.
#[test]
fn slopes_go_through_the_decoder_to_the_encoder() {
    let mut chance = Chance::new(21, 0);
    let mut any = |count: usize| (0..count).map(|_| narrow(chance.unit() - 0.5)).collect::<Vec<f32>>();
    let (rows, inputs, targets) = (3, any(3 * 5), any(3 * 5));
    let mut encoder = Net::seeded(&[5, 4, 2], &mut Chance::new(22, 0));
    let mut decoder = Net::seeded(&[2, 4, 5], &mut Chance::new(23, 0));
    // No kink within reach of a difference.
    encoder.weights_mut()[20..24].fill(4.0);
    decoder.weights_mut()[8..12].fill(9.0);
    let loss = |encoder: &Net| -> f64 {
        let outputs = decoder.outputs(&encoder.outputs(&inputs, rows), rows);
        apart(&outputs, &targets) / 2.0
    };
    let (mut encoding, mut decoding) = (Scratch::default(), Scratch::with_below());
    encoder.forward(&inputs, rows, &mut encoding);
    decoder.forward(encoding.outputs(), rows, &mut decoding);
    let error: Vec<f32> = decoding.outputs().iter().zip(&targets).map(|(out, target)| out - target).collect();
    let mut unused = vec![0.0; decoder.weights().len()];
    decoder.backward(encoding.outputs(), &error, &mut decoding, &mut unused);
    let mut slopes = vec![0.0; encoder.weights().len()];
    encoder.backward(&inputs, decoding.below(), &mut encoding, &mut slopes);
    assert!(slopes.iter().filter(|slope| slope.abs() > 0.1).count() > 10, "{slopes:?}");
    for (place, slope) in slopes.iter().enumerate() {
        let moved = |by: f32| {
            let mut encoder = encoder.clone();
            encoder.weights_mut()[place] += by;
            loss(&encoder)
        };
        let measured = (moved(1.0 / 64.0) - moved(-1.0 / 64.0)) * 32.0;
        let off = (measured - f64::from(*slope)).abs();
        assert!(off <= 2e-2 + 5e-3 * measured.abs(), "weight {place}: {measured} {slope}");
    }
}

#[test]
fn every_photo_counts_however_many_there_are() {
    let size = tiny();
    let photos: Vec<Photo> = photos(5, 1, size).into_iter().cycle().take(300).collect();
    let lesson = lesson(&photos, size, 1);
    let mut blocks = 0;
    let begun = Course::begin(&lesson, || {
        blocks += 1;
        Ok::<(), ()>(())
    });
    assert!(begun.is_ok());
    assert_eq!(blocks, 10, "300 views, by 32");
    let stopped = Course::begin(&lesson, || {
        blocks += 1;
        if blocks == 13 { Err("told to") } else { Ok(()) }
    });
    assert_eq!((stopped, blocks), (Err("told to"), 13));
}

/// A course of another shape, or without a loss, cannot go on with the lesson.
#[test]
fn what_does_not_fit_the_lesson_does_not_go_on() {
    let photos = photos(5, 1, tiny());
    let lesson = lesson(&photos, tiny(), 3);
    let course = Course::begun(&lesson);
    assert!(course.fits(&lesson));
    let other = Size::new(tiny().side(), 7, 3).unwrap();
    assert!(!course.fits(&Lesson { size: other, ..lesson }));
    assert!(!Course { step: 4, ..course.clone() }.fits(&lesson));
    assert!(!Course { loss: f64::NAN, ..course.clone() }.fits(&lesson));
    assert!(!Course { loss_mean: f64::INFINITY, ..course }.fits(&lesson));
}
