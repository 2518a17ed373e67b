//! Photos: any bytes as an upload, decoded to what is learned from.
#![no_main]

use libfuzzer_sys::fuzz_target;
use trainyard_fuzz::{file, within};
use trainyard_portrait::{Limits, Photo, Side, inspect};

/// Little, so that much is tried; what is promised is in proportion.
const LIMITS: Limits = Limits { file_bytes: 1 << 20, across: 512, memory_bytes: 2 << 20, least: 16 };

fuzz_target!(|bytes: &[u8]| {
    let path = file("photo", bytes);
    // As it is promised: the pixels, twice the file, and 8 MiB.
    let room = usize::try_from(LIMITS.memory_bytes).expect("it is small") + 2 * bytes.len() + (8 << 20);
    let picture = within(room, || inspect(&path, &LIMITS));
    let photo = within(room, || Photo::open(&path, Side::USUAL, &LIMITS));
    assert_eq!(photo.is_ok(), picture.is_ok());
    if let (Ok(photo), Ok(picture)) = (photo, picture) {
        assert!(picture.width <= LIMITS.across && picture.height <= LIMITS.across);
        assert!(photo.pixels().iter().all(|pixel| (0.0..=1.0).contains(pixel)));
    }
});
