//! Photos as strangers send them.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::path::PathBuf;

use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use image::{ColorType, ImageEncoder};
use proptest::prelude::*;
use tempfile::TempDir;
use trainyard_portrait::{Format, Limits, Photo, Picture, Rendered, Side, Unfit, inspect, made};

struct Desk {
    folder: TempDir,
}

impl Desk {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    /// A name that says nothing true.
    fn path(&self) -> PathBuf {
        self.folder.path().join("upload.gif")
    }

    fn inspect_within(&self, bytes: &[u8], limits: &Limits) -> Result<Picture, Unfit> {
        std::fs::write(self.path(), bytes).unwrap();
        inspect(&self.path(), limits)
    }

    fn inspect(&self, bytes: &[u8]) -> Result<Picture, Unfit> {
        self.inspect_within(bytes, &Limits::default())
    }

    fn told(&self, bytes: &[u8]) -> String {
        self.inspect(bytes).unwrap_err().to_string()
    }

    fn photo(&self, bytes: &[u8]) -> Photo {
        std::fs::write(self.path(), bytes).unwrap();
        Photo::open(&self.path(), side(), &Limits::default()).unwrap()
    }
}

fn side() -> Side {
    Side::new(32).unwrap()
}

/// Not alike in any way that it is turned, and wider than high.
fn scene(width: u32, height: u32) -> Vec<[u8; 3]> {
    let byte = |part: u32, all: u32| u8::try_from(part * 255 / all).unwrap();
    let at = |x, y| {
        if x * 3 < width && y * 3 < height { [255, 255, 0] } else { [byte(x, width), byte(y, height), 40] }
    };
    (0..height).flat_map(|y| (0..width).map(move |x| at(x, y))).collect()
}

fn png(width: u32, height: u32, colour: ColorType, pixels: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    PngEncoder::new(&mut bytes).write_image(pixels, width, height, colour.into()).unwrap();
    bytes
}

fn off(one: &Photo, other: &Photo) -> f32 {
    let pairs = one.pixels().iter().zip(other.pixels());
    pairs.map(|(one, other)| (one - other).abs()).fold(0.0, f32::max)
}

/// An Exif block that says how the picture is to be turned.
fn exif(orientation: u8) -> Vec<u8> {
    let mut bytes = b"II\x2A\0\x08\0\0\0\x01\0".to_vec();
    bytes.extend([0x12, 0x01, 3, 0, 1, 0, 0, 0, orientation, 0, 0, 0]);
    bytes.extend([0; 4]);
    bytes
}

/// Where a pixel of the upright picture lies in the stored one (Exif 2.3, tag 0x0112).
fn stored_at(orientation: u8, (x, y): (u32, u32), (width, height): (u32, u32)) -> (u32, u32) {
    match orientation {
        1 => (x, y),
        2 => (width - 1 - x, y),
        3 => (width - 1 - x, height - 1 - y),
        4 => (x, height - 1 - y),
        5 => (y, x),
        6 => (y, height - 1 - x),
        7 => (width - 1 - y, height - 1 - x),
        8 => (width - 1 - y, x),
        _ => panic!("there are eight"),
    }
}

#[test]
fn whichever_way_the_camera_was_held_the_photo_is_upright() {
    let desk = Desk::new();
    let (width, height) = (90, 64);
    let stored = scene(width, height);
    let flat: Vec<u8> = stored.iter().flatten().copied().collect();
    let mut seen = Vec::new();
    for orientation in 1..=8 {
        let is_turned = orientation > 4;
        let (upright_width, upright_height) = if is_turned { (height, width) } else { (width, height) };
        let places = (0..upright_height).flat_map(|y| (0..upright_width).map(move |x| (x, y)));
        let upright: Vec<u8> = places
            .flat_map(|place| {
                let (x, y) = stored_at(orientation, place, (width, height));
                stored[usize::try_from(y * width + x).unwrap()]
            })
            .collect();
        let expected = Photo::of(&Rendered::new(upright_width, upright_height, upright).unwrap(), side());

        let mut bytes = Vec::new();
        let mut encoder = JpegEncoder::new_with_quality(&mut bytes, 100);
        encoder.set_exif_metadata(exif(orientation)).unwrap();
        encoder.write_image(&flat, width, height, ColorType::Rgb8.into()).unwrap();
        let found = desk.inspect(&bytes).unwrap();
        assert_eq!((found.width, found.height), (upright_width, upright_height), "orientation {orientation}");
        let apart = off(&desk.photo(&bytes), &expected);
        assert!(apart < 0.15, "jpeg, orientation {orientation}: {apart}");

        let mut bytes = Vec::new();
        let mut encoder = PngEncoder::new(&mut bytes);
        encoder.set_exif_metadata(exif(orientation)).unwrap();
        encoder.write_image(&flat, width, height, ColorType::Rgb8.into()).unwrap();
        let photo = desk.photo(&bytes);
        assert!(off(&photo, &expected) < 1e-3, "png, orientation {orientation}: {}", off(&photo, &expected));
        seen.push(photo);
    }
    for (one, photo) in seen.iter().enumerate() {
        assert!(seen[..one].iter().all(|other| off(photo, other) > 0.2), "{} is like another", one + 1);
    }
}

#[test]
fn every_depth_and_every_sort_of_colour_shows_the_same() {
    let desk = Desk::new();
    let (width, height) = (40, 40);
    let scene = scene(width, height);
    let grey: Vec<u8> = scene.iter().map(|pixel| pixel[0]).collect();
    let wide = |bytes: &[u8]| -> Vec<u8> {
        bytes.iter().flat_map(|&byte| (u16::from(byte) * 257).to_ne_bytes()).collect()
    };
    let flat: Vec<u8> = scene.iter().flatten().copied().collect();
    let covered: Vec<u8> = scene.iter().flat_map(|&[r, g, b]| [r, g, b, 255]).collect();
    let grey_covered: Vec<u8> = grey.iter().flat_map(|&grey| [grey, 255]).collect();
    let expected = Photo::of(&Rendered::new(width, height, flat.clone()).unwrap(), side());
    let expected_grey: Vec<u8> = grey.iter().flat_map(|&grey| [grey; 3]).collect();
    let expected_grey = Photo::of(&Rendered::new(width, height, expected_grey).unwrap(), side());
    for (colour, pixels, expected) in [
        (ColorType::Rgb8, flat.clone(), &expected),
        (ColorType::Rgb16, wide(&flat), &expected),
        (ColorType::Rgba8, covered.clone(), &expected),
        (ColorType::Rgba16, wide(&covered), &expected),
        (ColorType::L8, grey.clone(), &expected_grey),
        (ColorType::L16, wide(&grey), &expected_grey),
        (ColorType::La8, grey_covered.clone(), &expected_grey),
        (ColorType::La16, wide(&grey_covered), &expected_grey),
    ] {
        let apart = off(&desk.photo(&png(width, height, colour, &pixels)), expected);
        assert!(apart < 1e-4, "{colour:?}: {apart}");
    }
    let mut jpeg = Vec::new();
    let encoder = JpegEncoder::new_with_quality(&mut jpeg, 100);
    encoder.write_image(&grey, width, height, ColorType::L8.into()).unwrap();
    assert!(off(&desk.photo(&jpeg), &expected_grey) < 0.05);
}

#[test]
fn what_lets_light_through_lies_over_white() {
    let desk = Desk::new();
    // The left half cannot be seen, what is black on the right half can, by half.
    let pixels: Vec<u8> = (0..32 * 32).flat_map(|at| [0, 0, 0, if at % 32 < 16 { 0 } else { 128 }]).collect();
    let photo = desk.photo(&png(32, 32, ColorType::Rgba8, &pixels));
    for (at, pixel) in photo.pixels().chunks_exact(3).enumerate() {
        let expected = if at % 32 < 16 { 1.0 } else { 127.0 / 255.0 };
        assert!(pixel.iter().all(|value| (value - expected).abs() < 1e-4), "{at}: {pixel:?}");
    }
}

#[test]
fn the_middle_square_is_taken() {
    let (width, height) = (96, 32);
    let pixels = (0..width * height)
        .flat_map(|at| if (32..64).contains(&(at % width)) { [0, 0, 255] } else { [255, 0, 0] });
    let photo = Photo::of(&Rendered::new(width, height, pixels.collect()).unwrap(), side());
    assert!(photo.pixels().chunks_exact(3).all(|pixel| pixel[0] < 1e-4 && pixel[2] > 0.999));
}

#[test]
fn what_is_no_photo_is_refused_in_words() {
    let desk = Desk::new();
    assert_eq!(desk.told(b""), "the file is empty");
    for other in [
        &b"hello"[..],
        b"GIF89a\x01\0\x01\0",
        b"RIFF\0\0\0\0WEBPVP8 ",
        b"\x89PNG\r\n\x1a",
        b"\xFF\xD8",
        &[0; 9_999],
    ] {
        assert_eq!(desk.told(other), "the file is neither a png nor a jpeg");
    }
    assert!(desk.told(b"\x89PNG\r\n\x1a\nand nothing").starts_with("the picture is "));
    assert!(desk.told(b"\xFF\xD8\xFF\xE0").starts_with("the picture is cut off"));
    assert!(matches!(inspect(desk.folder.path(), &Limits::default()), Err(Unfit::Missing)));
    assert!(matches!(inspect(&desk.folder.path().join("none"), &Limits::default()), Err(Unfit::Missing)));

    let small = made::Person::new(1).photo(0, 31);
    assert_eq!(desk.told(&small.to_png()), "the picture has 31 x 31 pixels, at least 32 x 32 are needed");
    assert_eq!(desk.told(&small.to_jpeg(90)), "the picture has 31 x 31 pixels, at least 32 x 32 are needed");
    let long = png(40, 8, ColorType::L8, &[7; 320]);
    let no_bound = Limits { least: 0, ..Limits::default() };
    assert!(matches!(desk.inspect_within(&long, &no_bound), Err(Unfit::TooSmall { least: 16, .. })));

    let blank = "the middle of the picture shows a single colour, there is nothing to be learned from it";
    assert_eq!(desk.told(&png(64, 64, ColorType::Rgb8, &[77; 64 * 64 * 3])), blank);
    assert_eq!(desk.told(&Rendered::new(64, 64, vec![200; 64 * 64 * 3]).unwrap().to_jpeg(80)), blank);
    assert_eq!(desk.told(&png(64, 64, ColorType::Rgba8, &[0; 64 * 64 * 4])), blank);
}

#[test]
fn a_file_that_was_cut_off_is_refused_wherever_it_was_cut() {
    let desk = Desk::new();
    let photo = made::Person::new(2).photo(0, 48);
    for (bytes, format) in [(photo.to_png(), Format::Png), (photo.to_jpeg(85), Format::Jpeg)] {
        assert_eq!(desk.inspect(&bytes).unwrap().format, format);
        for cut in (0..bytes.len()).step_by(7).chain(bytes.len().saturating_sub(40)..bytes.len()) {
            let error = desk.inspect(&bytes[..cut]).unwrap_err();
            let is_expected = match cut {
                0 => matches!(error, Unfit::Empty),
                1..8 => matches!(error, Unfit::Format | Unfit::Truncated),
                _ => matches!(error, Unfit::Truncated),
            };
            assert!(is_expected, "{format:?}, {cut} of {}: {error}", bytes.len());
        }
        let followed = [&bytes[..], b"something else"].concat();
        assert_eq!(desk.inspect(&followed).unwrap().format, format, "what follows is not looked at");
    }
}

/// The scene of 90 x 64 pixels as other programs write it: with colours of less detail, in several scans, with marks to
/// restart at, without colour, and in the colours of print.
const WRITTEN: [(&str, &[u8]); 5] = [
    ("progressive", include_bytes!("pictures/progressive.jpg")),
    ("restarts", include_bytes!("pictures/restarts.jpg")),
    ("half-wide", include_bytes!("pictures/half-wide.jpg")),
    ("grey-progressive", include_bytes!("pictures/grey-progressive.jpg")),
    ("cmyk", include_bytes!("pictures/cmyk.jpg")),
];

#[test]
fn whole_jpegs_of_all_kinds_are_read() {
    let desk = Desk::new();
    let flat: Vec<u8> = scene(90, 64).into_iter().flatten().collect();
    let expected = Photo::of(&Rendered::new(90, 64, flat).unwrap(), side());
    let light = |photo: &Photo| -> Vec<f32> {
        let of = |colours: &[f32]| colours[0] * 0.299 + colours[1] * 0.587 + colours[2] * 0.114;
        photo.pixels().chunks_exact(3).map(of).collect()
    };
    for (kind, bytes) in WRITTEN {
        let picture = desk.inspect(bytes).unwrap();
        assert_eq!((picture.width, picture.height), (90, 64), "{kind}");
        let pairs = light(&desk.photo(bytes)).into_iter().zip(light(&expected));
        let sum: f32 = pairs.map(|(one, other)| (one - other).abs()).sum();
        assert!(sum / 1_024.0 < 0.03, "{kind}: {}", sum / 1_024.0);
    }
    // Narrow and with nothing in it but one corner, so that a row takes a few bytes.
    let mut small = vec![90; 33 * 64];
    small[0] = 255;
    for quality in [1, 50, 100] {
        let mut bytes = Vec::new();
        let encoder = JpegEncoder::new_with_quality(&mut bytes, quality);
        encoder.write_image(&small, 33, 64, ColorType::L8.into()).unwrap();
        let inspected = desk.inspect(&bytes);
        assert!(matches!(inspected, Ok(_) | Err(Unfit::Blank)), "{quality}: {inspected:?}");
    }
}

/// What readers commonly fill up with grey.
#[test]
fn a_jpeg_that_was_cut_off_and_ended_anew_is_refused() {
    let desk = Desk::new();
    let photo = made::Person::new(2).photo(0, 96).to_jpeg(85);
    let written = WRITTEN.into_iter().chain([("made", &photo[..])]);
    for (kind, bytes) in written {
        let scan = bytes.windows(2).position(|window| window == [0xFF, 0xDA]).unwrap() + 14;
        for percent in [5, 30, 70, 90, 98] {
            let cut = scan + (bytes.len() - 2 - scan) * percent / 100;
            let ended = [&bytes[..cut], &[0xFF, 0xD9]].concat();
            let error = desk.inspect(&ended).unwrap_err();
            assert!(matches!(error, Unfit::Truncated | Unfit::Damaged), "{kind}, {percent} %: {error}");
        }
    }
}

/// A JPEG with segments that are not needed to decode it, before its first table.
fn with_segments(bytes: &[u8], segments: &[u8]) -> Vec<u8> {
    [&bytes[..2], segments, &bytes[2..]].concat()
}

fn segment(code: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len() + 2).unwrap().to_be_bytes();
    [&[0xFF, code], &length[..], body].concat()
}

#[test]
fn so_many_segments_are_read_and_none_more() {
    let desk = Desk::new();
    let bytes = made::Person::new(2).photo(0, 48).to_jpeg(85);
    let expected = desk.photo(&bytes);
    // The header, two tables of steps, the frame, four of codes, and the scan are there as it is; or so.
    let own = (0..20)
        .find(|own| desk.inspect(&with_segments(&bytes, &segment(0xFE, b"").repeat(1_001 - own))).is_ok());
    let own = own.unwrap();
    assert!((5..15).contains(&own), "{own}");
    let most = with_segments(&bytes, &segment(0xFE, b"").repeat(1_001 - own));
    assert_eq!(desk.photo(&most), expected);
    let more = with_segments(&bytes, &segment(0xFE, b"").repeat(1_002 - own));
    assert_eq!(desk.told(&more), "the picture is made of more than 1000 segments, the most that are read");

    // What a reader would gather, sort and compare with each that follows.
    let extended = |at: u32| {
        let name = &b"http://ns.adobe.com/xmp/extension/\0"[..];
        let body = [name, &[b'7'; 32], &u32::MAX.to_be_bytes(), &at.to_be_bytes(), b"text"].concat();
        segment(0xE1, &body)
    };
    let gathered = (0..900).flat_map(extended).collect::<Vec<u8>>();
    assert_eq!(desk.photo(&with_segments(&bytes, &gathered)), expected);
    let stuffed = with_segments(&bytes, &[0xFF, 0, 0xFE, 0, 2]);
    assert!(matches!(desk.inspect(&stuffed), Err(Unfit::Damaged)));
}

#[test]
fn a_jpeg_whose_colours_come_one_after_the_other_is_held_and_counted() {
    let desk = Desk::new();
    let bytes = made::Person::new(2).photo(0, 64).to_jpeg(90);
    let scan = bytes.windows(2).position(|window| window == [0xFF, 0xDA]).unwrap();
    let frame = frame(&bytes);
    // Each of the three colours in a scan of its own, by what the first two scans say.
    let alone = |id: u8| segment(0xDA, &[1, id, 0, 0, 63, 0]);
    let ids = [bytes[frame + 10], bytes[frame + 13], bytes[frame + 16]];
    let scans: Vec<u8> = ids.into_iter().flat_map(|id| [alone(id), vec![0x55; 64]].concat()).collect();
    let apart = [&bytes[..scan], &scans, &[0xFF, 0xD9]].concat();
    let limits = Limits { memory_bytes: 64 * 64 * 9 - 1, ..Limits::default() };
    let error = desk.inspect_within(&apart, &limits).unwrap_err();
    assert!(matches!(error, Unfit::Memory { needed: 36_864, .. }), "{error}");
    // With one of them only, it is no whole picture, and is not held.
    let first = [&bytes[..scan], &alone(ids[0]), &[0x55; 64], &[0xFF, 0xD9]].concat();
    assert!(matches!(desk.inspect(&first), Err(Unfit::Truncated)));
    let twice = [&bytes[..scan], &alone(ids[0]), &[0x55; 64], &scans, &[0xFF, 0xD9]].concat();
    assert!(matches!(desk.inspect(&twice), Err(Unfit::Damaged)));
}

#[test]
fn a_png_says_before_or_after_its_pixels_how_it_is_to_be_turned() {
    let desk = Desk::new();
    let flat: Vec<u8> = scene(90, 64).into_iter().flatten().collect();
    let plain = png(90, 64, ColorType::Rgb8, &flat);
    let turned = &chunks(&[(b"eXIf", exif(6))])[8..];
    let find = |name: &[u8]| plain.windows(4).position(|window| window == name).unwrap() - 4;
    let with = |at: usize| [&plain[..at], turned, &plain[at..]].concat();
    let (before, after) = (with(find(b"IDAT")), with(find(b"IEND")));
    for bytes in [&before, &after] {
        let picture = desk.inspect(bytes).unwrap();
        assert_eq!((picture.width, picture.height), (64, 90));
    }
    assert_eq!(desk.photo(&before), desk.photo(&after));
    assert!(off(&desk.photo(&before), &desk.photo(&plain)) > 0.2);
}

#[test]
fn half_a_colour_in_a_palette_is_refused_and_no_panic() {
    let desk = Desk::new();
    let grey =
        png(64, 64, ColorType::L8, &(0..64 * 64).map(|n| u8::try_from(n % 9).unwrap()).collect::<Vec<_>>());
    let at = grey.windows(4).position(|window| window == b"IDAT").unwrap();
    let length = u32::from_be_bytes(grey[at - 4..at].try_into().unwrap());
    let pixels = &grey[at + 4..][..usize::try_from(length).unwrap()];
    let with = |colours: u8| {
        let mut header = header(64, 64);
        header[9] = 3;
        let colours = (0..colours).map(|n| n * 9).collect();
        chunks(&[(b"IHDR", header), (b"PLTE", colours), (b"IDAT", pixels.to_vec()), (b"IEND", vec![])])
    };
    assert!(desk.inspect(&with(27)).is_ok());
    for bytes in [1, 2, 26, 28] {
        assert!(matches!(desk.inspect(&with(bytes)), Err(Unfit::Damaged)), "{bytes}");
    }
}

/// A PNG by its chunks, which need not be true.
fn chunks(parts: &[(&[u8; 4], Vec<u8>)]) -> Vec<u8> {
    let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
    for (name, content) in parts {
        bytes.extend(u32::try_from(content.len()).unwrap().to_be_bytes());
        let from = bytes.len();
        bytes.extend(*name);
        bytes.extend(content);
        let mut crc = u32::MAX;
        for byte in &bytes[from..] {
            crc ^= u32::from(*byte);
            (0..8).for_each(|_| crc = if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 });
        }
        bytes.extend((!crc).to_be_bytes());
    }
    bytes
}

fn header(width: u32, height: u32) -> Vec<u8> {
    [&width.to_be_bytes()[..], &height.to_be_bytes(), &[8, 2, 0, 0, 0]].concat()
}

#[test]
fn a_bomb_is_refused_before_it_goes_off() {
    let desk = Desk::new();
    let zeros = |count: usize| {
        let side = u32::try_from(count).unwrap();
        // What the encoder makes of naught is a stream of zeros, packed a thousandfold.
        let packed = png(side, 1_000, ColorType::L8, &vec![0; count * 1_000]);
        let data = packed.windows(4).position(|window| window == b"IDAT").unwrap();
        let length = u32::from_be_bytes(packed[data - 4..data].try_into().unwrap());
        packed[data + 4..][..usize::try_from(length).unwrap()].to_vec()
    };
    let data = zeros(10_000);
    assert!(data.len() < 100_000, "{}", data.len());
    for (width, height) in [(12_000, 12_000), (u32::MAX >> 1, 1), (8_193, 64)] {
        let bytes = chunks(&[(b"IHDR", header(width, height)), (b"IDAT", data.clone()), (b"IEND", vec![])]);
        let expected = format!("the picture has {width} x {height} pixels, at most 8192 x 8192 are read");
        assert_eq!(desk.told(&bytes), expected);
    }
    let bytes = chunks(&[(b"IHDR", header(8_192, 8_192)), (b"IDAT", data.clone()), (b"IEND", vec![])]);
    let error = desk.inspect(&bytes).unwrap_err();
    assert!(matches!(error, Unfit::Memory { needed: 201_326_592, max: 67_108_864, .. }), "{error}");

    // A colour profile, or a text, that unpacks to 10 MB, over what may lie beside the pixels; and one under it.
    let photo = made::Person::new(2).photo(0, 48).to_png();
    let at = photo.windows(4).position(|window| window == b"IDAT").unwrap() - 4;
    for name in [b"iCCP", b"zTXt"] {
        for (data, is_bomb) in [(&data, true), (&zeros(100), false)] {
            let chunk = chunks(&[(name, [&b"bomb\0\0"[..], data].concat())]);
            let told = desk.inspect(&[&photo[..at], &chunk[8..], &photo[at..]].concat());
            let what = format!("{}, {is_bomb}: {told:?}", name.escape_ascii());
            match told {
                Ok(picture) => assert_eq!((picture.width, picture.height), (48, 48), "{what}"),
                Err(_) => assert!(is_bomb, "{what}"),
            }
        }
    }
    // And a chunk that is as long as that without being packed.
    for (length, is_read) in [(9 << 20, false), (1 << 20, true)] {
        let chunk = chunks(&[(b"tEXt", [&b"Comment\0"[..], &vec![b'a'; length]].concat())]);
        let told = desk.inspect(&[&photo[..at], &chunk[8..], &photo[at..]].concat());
        assert_eq!(told.is_ok(), is_read, "{length} bytes: {told:?}");
        assert!(is_read || matches!(told, Err(Unfit::Damaged)), "{length} bytes: {told:?}");
    }
}

/// Limits reach the decoder: a byte less than a picture takes is too little.
#[test]
fn bounds_hold_to_the_byte() {
    let desk = Desk::new();
    let photo = made::Person::new(2).photo(0, 64);
    for (bytes, needed) in [(photo.to_png(), 64 * 64 * 3), (photo.to_jpeg(90), 64 * 64 * 3)] {
        let limits = |memory_bytes| Limits { memory_bytes, ..Limits::default() };
        assert!(desk.inspect_within(&bytes, &limits(needed)).is_ok());
        let error = desk.inspect_within(&bytes, &limits(needed - 1)).unwrap_err();
        assert!(matches!(error, Unfit::Memory { needed: told, .. } if told == needed), "{error}");
        let across = |across| Limits { across, ..Limits::default() };
        assert!(desk.inspect_within(&bytes, &across(64)).is_ok());
        assert!(matches!(desk.inspect_within(&bytes, &across(63)), Err(Unfit::TooLarge { max: 63, .. })));
        let length = u64::try_from(bytes.len()).unwrap();
        let long = |file_bytes| Limits { file_bytes, ..Limits::default() };
        assert!(desk.inspect_within(&bytes, &long(length)).is_ok());
        assert!(matches!(desk.inspect_within(&bytes, &long(length - 1)), Err(Unfit::TooLong { .. })));
    }
}

fn frame(bytes: &[u8]) -> usize {
    bytes.windows(2).position(|window| window == [0xFF, 0xC0]).unwrap()
}

#[test]
fn a_jpeg_that_lies_about_itself_is_refused() {
    let desk = Desk::new();
    let bytes = made::Person::new(2).photo(0, 64).to_jpeg(90);
    let at = frame(&bytes);
    let patched = |height: u16, width: u16| {
        let mut bytes = bytes.clone();
        bytes[at + 5..at + 7].copy_from_slice(&height.to_be_bytes());
        bytes[at + 7..at + 9].copy_from_slice(&width.to_be_bytes());
        bytes
    };
    let told = desk.told(&patched(65_500, 65_500));
    assert_eq!(told, "the picture has 65500 x 65500 pixels, at most 8192 x 8192 are read");
    assert!(matches!(desk.inspect(&patched(8_192, 8_192)), Err(Unfit::Memory { .. })));
    assert!(matches!(desk.inspect(&patched(0, 64)), Err(Unfit::TooSmall { .. })));

    // Said to be progressive, it would be held as a whole: two bytes for each pixel and colour beside the pixels.
    let mut held = bytes.clone();
    held[at + 1] = 0xC2;
    let limits = Limits { memory_bytes: 64 * 64 * 9 - 1, ..Limits::default() };
    let error = desk.inspect_within(&held, &limits).unwrap_err();
    assert!(matches!(error, Unfit::Memory { needed: 36_864, .. }), "{error}");

    let segment = |from: usize| {
        let length = usize::from(u16::from_be_bytes([bytes[from + 2], bytes[from + 3]]));
        &bytes[from..from + 2 + length]
    };
    let twice = [&bytes[..at], segment(at), &bytes[at..]].concat();
    assert!(matches!(desk.inspect(&twice), Err(Unfit::Damaged)), "two frames");
    let scan = bytes.windows(2).position(|window| window == [0xFF, 0xDA]).unwrap();
    let scans = segment(scan).repeat(100);
    let busy = [&bytes[..scan], &scans, &bytes[scan..]].concat();
    assert_eq!(desk.told(&busy), "the picture is made of more than 100 scans, the most that are read");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn bent_files_are_refused_or_read_but_never_more(
        is_png in any::<bool>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let desk = Desk::new();
        let photo = made::Person::new(2).photo(0, 48);
        let mut bytes = if is_png { photo.to_png() } else { photo.to_jpeg(85) };
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let limits = Limits { memory_bytes: 1 << 20, ..Limits::default() };
        if let Ok(picture) = desk.inspect_within(&bytes, &limits) {
            let pixels = u64::from(picture.width) * u64::from(picture.height);
            prop_assert!(pixels <= 1 << 20 && picture.width >= 32 && picture.height >= 32);
        }
    }
}

#[test]
fn no_refusal_reads_as_if_it_would_pass() {
    let desk = Desk::new();
    let texts = [
        desk.told(b""),
        desk.told(b"no"),
        desk.told(b"\xFF\xD8\xFF\xE0"),
        desk.told(&made::Person::new(1).photo(0, 20).to_png()),
        Unfit::Damaged.to_string(),
        Unfit::Missing.to_string(),
        Unfit::TooLong { max: 1 }.to_string(),
        Unfit::Io(std::io::Error::other("disk")).to_string(),
    ];
    for text in texts {
        assert!(!text.contains("transient") && !text.contains("try again"), "{text}");
    }
}

#[test]
fn a_sheet_holds_all_pictures() {
    let one = Rendered::new(2, 1, vec![10; 6]).unwrap();
    let other = Rendered::new(1, 3, vec![20; 9]).unwrap();
    let sheet = Rendered::sheet(&[vec![one.clone(), one], vec![other]], 1).unwrap();
    assert_eq!((sheet.width(), sheet.height()), (7, 9));
    let count = |value: u8| sheet.pixels().iter().filter(|&&pixel| pixel == value).count();
    assert_eq!((count(10), count(20)), (12, 9));
    assert_eq!(Rendered::sheet(&[], 1), None);
    let wide = Rendered::new(4_096, 1, vec![10; 4_096 * 3]).unwrap();
    let row = |count| Rendered::sheet(&[vec![wide.clone(); count]], 0);
    assert_eq!(row(4).unwrap().width(), 16_384);
    assert_eq!(row(5), None);
    assert_eq!(Rendered::new(2, 2, vec![0; 11]), None);
    assert_eq!(Rendered::new(0, 2, vec![]), None);
}
