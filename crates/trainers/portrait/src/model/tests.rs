use std::fs;
use std::io::Write;
use std::num::NonZeroUsize;

use proptest::prelude::*;
use trainyard_trainkit::seal;

use super::*;
use crate::auto::apart;
use crate::course::{Course, Desk, Lesson};
use crate::made::Person;
use crate::{Side, Size};

/// Some people, one photo of each.
fn photos(first: u64, count: u64, size: Size) -> Vec<Photo> {
    (first..first + count).map(|seed| Photo::of(&Person::new(seed).photo(0, 96), size.side())).collect()
}

fn trained(photos: &[Photo], size: Size, steps: u64) -> Portrait {
    let lesson = Lesson { photos, size, total: steps, seed: 3, threads: NonZeroUsize::MIN };
    let mut course = Course::begun(&lesson);
    let mut desk = Desk::new();
    (0..steps).for_each(|_| course.learn(&lesson, &mut desk));
    let look = |number| Look { label: format!("look {number}"), codes: course.codes(&lesson, number, 8) };
    let looks = (0..photos.len()).map(look).collect();
    Portrait::new(Quality::new(0.75).unwrap(), course.auto, looks)
}

fn far(one: &Rendered, other: &Rendered) -> f64 {
    let colours =
        |picture: &Rendered| picture.pixels().iter().map(|&byte| f32::from(byte)).collect::<Vec<_>>();
    apart(&colours(one), &colours(other))
}

#[test]
fn a_model_renders_its_looks_and_small_variations_of_them() {
    let photos = photos(20, 4, Size::SMALL);
    let portrait = trained(&photos, Size::SMALL, 250);
    for look in 0..4 {
        let rendered = portrait.render(look).unwrap();
        assert_eq!(portrait.reconstruct(&photos[look]).unwrap(), rendered);
        let still = portrait.variation(look, &Variation::new(1).with_strength(0.0)).unwrap();
        assert_eq!(still, rendered);
        let nearest = (0..4).filter(|&other| other != look).map(|other| {
            assert!(
                far(&rendered, &photos[look].rendered()) < far(&rendered, &photos[other].rendered()),
                "look {look} is rendered as {other}"
            );
            far(&rendered, &portrait.render(other).unwrap())
        });
        let nearest = nearest.fold(f64::MAX, f64::min);
        for seed in 0..8 {
            let varied = portrait.variation(look, &Variation::new(seed)).unwrap();
            let little = portrait.variation(look, &Variation::new(seed).with_strength(0.3)).unwrap();
            let off = far(&varied, &rendered);
            assert!(off > 0.0 && far(&little, &rendered) < off, "seed {seed}, look {look}");
            assert!(off < nearest, "seed {seed}, look {look}: {off} off its look, {nearest} is another");
            assert_eq!(portrait.variation(look, &Variation::new(seed)).unwrap(), varied);
            assert_ne!(portrait.variation(look, &Variation::new(seed + 100)).unwrap(), varied);
        }
    }
    assert_eq!(portrait.between(0, 1, 0.0), portrait.render(0));
    assert_eq!(portrait.between(0, 1, 7.0), portrait.render(1));
    assert_ne!(portrait.between(0, 1, 0.5), portrait.render(1));
    assert_eq!(portrait.render(4), None);
    assert_eq!(portrait.variation(4, &Variation::new(1)), None);
    assert_eq!(portrait.between(0, 4, 0.5), None);
    let other_side = Photo::of(&photos[0].rendered(), Side::new(40).unwrap());
    assert_eq!(portrait.reconstruct(&other_side), None);

    let others = trained(&self::photos(40, 4, Size::SMALL), Size::SMALL, 50);
    assert_ne!(others.render(0), portrait.render(0));
}

#[test]
fn strengths_that_are_no_numbers_are_none() {
    for strength in [f32::NAN, -1.0, f32::NEG_INFINITY] {
        assert_eq!(Variation::new(1).with_strength(strength), Variation::new(1).with_strength(0.0));
    }
    assert_eq!(Variation::new(1).with_strength(f32::INFINITY), Variation::new(1).with_strength(2.0));
}

/// A model that is read by every byte in no time.
fn small() -> Portrait {
    let chance = &mut Chance::new(9, 0);
    let pictures: Vec<Vec<f32>> = (0..4).map(|_| (0..192).map(|_| narrow(chance.unit())).collect()).collect();
    let mut auto = Auto::tiny(&pictures, chance);
    auto.decoder.weights_mut().iter_mut().for_each(|weight| *weight += 0.25);
    let codes = |from: f32| [0.0, 0.5, 1.0, -1.0, 0.25, 2.0].map(|number| number + from).to_vec();
    let looks = ["first", "ünd"].map(|label| Look { label: label.into(), codes: codes(0.5) });
    Portrait::new(Quality::new(0.625).unwrap(), auto, looks.into())
}

#[test]
fn a_flipped_byte_or_a_cut_of_a_model_shows() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model");
    let portrait = small();
    portrait.save(&path).unwrap();
    assert_eq!(Portrait::open(&path).unwrap(), portrait);
    let bytes = fs::read(&path).unwrap();
    let open = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        Portrait::open(&path)
    };
    // All of it takes minutes where digests are not optimised; the frame alone has its own test.
    let ends = (0..128).chain(bytes.len() - 48..bytes.len());
    for at in ends.chain((128..bytes.len() - 48).step_by(17)) {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << (at % 8);
        let error = open(&flipped).unwrap_err();
        let is_expected = match at {
            8..12 => matches!(error, ModelError::UnknownFormat { .. }),
            _ => matches!(error, ModelError::Damaged { .. }),
        };
        assert!(is_expected, "byte {at}: {error}");
        assert!(matches!(open(&bytes[..at]), Err(ModelError::Damaged { .. })), "cut at {at}");
    }
}

#[test]
fn what_is_no_model_is_told_by_its_first_bytes_or_its_length() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model");
    let told = |error: Result<Portrait, ModelError>| error.unwrap_err().to_string();
    assert_eq!(told(Portrait::open(&path)), "could not open the portrait model");
    fs::write(&path, [7; 4_096]).unwrap();
    assert!(told(Portrait::open(&path)).ends_with("its first bytes, or its length"));
    // Far larger than memory, but no disk is taken either.
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    for start in [*MAGIC, [0; 8]] {
        (&file).write_all(&start).unwrap();
        file.set_len(1 << 40).unwrap();
        assert!(told(Portrait::open(&path)).ends_with("its first bytes, or its length"));
    }
}

#[test]
fn no_more_looks_are_read_than_a_training_takes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model");
    let with = |count| {
        let mut portrait = small();
        portrait.looks = vec![Look { label: String::new(), codes: vec![0.5, 0.5] }; count];
        portrait
    };
    let most = with(PHOTOS_MAX);
    most.save(&path).unwrap();
    assert!(Portrait::open(&path).unwrap() == most);
    with(PHOTOS_MAX + 1).save(&path).unwrap();
    let error = Portrait::open(&path).unwrap_err();
    assert!(matches!(error, ModelError::Damaged { what: "its content" }), "{error}");
}

proptest! {
    #[test]
    fn a_forged_model_is_refused_or_renders(changes in prop::collection::vec((any::<usize>(), any::<u8>()), 1..4)) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model");
        small().save(&path).unwrap();
        let mut bytes = fs::read(&path).unwrap();
        bytes.truncate(bytes.len() - 32);
        for (at, value) in changes {
            let len = bytes.len();
            // The ends are where lengths are.
            let at = if at % 2 == 0 { at % 64 } else { at };
            bytes[12 + at % (len - 12)] = value;
        }
        fs::write(&path, seal(MAGIC, FORMAT, &bytes[12..])).unwrap();
        if let Ok(portrait) = Portrait::open(&path) {
            for look in 0..portrait.looks().len() {
                let pixels = 3 * portrait.side() * portrait.side();
                prop_assert_eq!(portrait.render(look).unwrap().pixels().len(), pixels);
                prop_assert!(portrait.variation(look, &Variation::new(1)).is_some());
            }
        }
    }
}

/// What was once handed over must be read for ever. `RENEW_GOLDEN=1` writes it anew, for a new format only.
#[test]
fn a_model_of_the_first_format_is_read_for_ever() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/format-1.portrait");
    if std::env::var_os("RENEW_GOLDEN").is_some() {
        small().save(&path).unwrap();
    }
    let portrait = Portrait::open(&path).unwrap();
    assert_eq!(portrait.looks(), ["first", "ünd"]);
    assert_eq!((portrait.side(), portrait.quality().get()), (8, 0.625));
    // Last bits are those of the machine's kernel.
    let shown = portrait.render(1).unwrap();
    let expected: [u8; 12] = [114, 172, 117, 161, 132, 173, 134, 100, 169, 165, 164, 119];
    let is_near = |(shown, expected): (&u8, &u8)| shown.abs_diff(*expected) <= 1;
    assert!(shown.pixels().iter().zip(&expected).all(is_near), "{:?}", &shown.pixels()[..12]);
}
