//! What sort of file is sent: by its first bytes, whatever its sender calls it.

use crate::fault::Fault;
use crate::host::Media;

/// So many of the first bytes are enough.
pub(crate) const BYTES: usize = 64;

/// What a file is that begins so.
pub(crate) fn of(begin: &[u8]) -> Result<Media, Fault> {
    let begin = &begin[..begin.len().min(BYTES)];
    if begin.starts_with(b"\x89PNG\r\n\x1a\n") {
        Ok(Media::Png)
    } else if begin.starts_with(b"\xff\xd8\xff") {
        Ok(Media::Jpeg)
    } else if is_mp4(begin) {
        Ok(Media::Mp4)
    } else if is_webm(begin) {
        Ok(Media::WebM)
    } else if is_mp3(begin) {
        Ok(Media::Mp3)
    } else if is_riff(begin, b"WAVE") {
        Ok(Media::Wav)
    } else if is_riff(begin, b"WEBP") {
        Err(Fault::bad("WebP is not taken here, send the image as image/png or image/jpeg"))
    } else {
        Err(Fault::bad("Only these files are taken here: PNG, JPEG, MP4, WebM, MP3, WAV"))
    }
}

/// The name that it is served under.
pub(crate) const fn media_type(media: Media) -> &'static str {
    match media {
        Media::Jpeg => "image/jpeg",
        Media::Png => "image/png",
        Media::Mp4 => "video/mp4",
        Media::WebM => "video/webm",
        Media::Mp3 => "audio/mpeg",
        Media::Wav => "audio/wav",
    }
}

/// The vendor's word for it.
pub(crate) const fn file_type(media: Media) -> &'static str {
    match media {
        Media::Jpeg | Media::Png => "image",
        Media::Mp4 | Media::WebM => "video",
        Media::Mp3 | Media::Wav => "audio",
    }
}

/// A file of boxes, of a brand that is not known to be something else than a video.
fn is_mp4(begin: &[u8]) -> bool {
    let brand = begin.get(8..12).filter(|_| &begin[4..8] == b"ftyp");
    brand.is_some_and(|brand| !NO_VIDEOS.iter().any(|other| brand == *other))
}

/// Brands of files that are built as an MP4 is: HEIC, AVIF and other images, QuickTime, audio.
const NO_VIDEOS: [&[u8; 4]; 20] = [
    b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"mif2", b"msf1",
    b"miaf", b"avif", b"avis", b"crx ", b"jp2 ", b"qt  ", b"M4A ", b"M4B ", b"M4P ",
];

/// The head of an EBML file, which names its sort: Matroska begins with the same four bytes.
fn is_webm(begin: &[u8]) -> bool {
    begin.starts_with(b"\x1a\x45\xdf\xa3") && begin.windows(4).any(|word| word == b"webm")
}

/// A tag of ID3v2, or the head of a frame of layer III.
fn is_mp3(begin: &[u8]) -> bool {
    match *begin {
        [b'I', b'D', b'3', version, revision, _, a, b, c, d, ..] => {
            (2..=4).contains(&version) && revision != 0xff && [a, b, c, d].iter().all(|size| *size < 0x80)
        }
        [0xff, sort, rates, _, ..] => {
            let (version, layer) = (sort & 0b0001_1000, sort & 0b0000_0110);
            let (bits, samples) = (rates & 0b1111_0000, rates & 0b0000_1100);
            let is_sync = sort & 0b1110_0000 == 0b1110_0000;
            // One value of each is reserved.
            is_sync
                && version != 0b0000_1000
                && layer == 0b0000_0010
                && bits != 0b1111_0000
                && samples != 0b0000_1100
        }
        _ => false,
    }
}

fn is_riff(begin: &[u8], sort: &[u8; 4]) -> bool {
    begin.starts_with(b"RIFF") && begin.get(8..12) == Some(&sort[..])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WEBM: &[u8] = b"\x1a\x45\xdf\xa3\x01\0\0\0\0\0\0\x1f\x42\x86\x81\x01\x42\xf7\x81\x01\
        \x42\xf2\x81\x04\x42\xf3\x81\x08\x42\x82\x84webm\x42\x87\x81\x04\x42\x85\x81\x02";

    #[test]
    fn the_first_bytes_say_it() {
        let check = |begin: &[u8], media: Media| assert_eq!(of(begin), Ok(media), "{}", begin.escape_ascii());
        check(b"\x89PNG\r\n\x1a\n", Media::Png);
        check(b"\xff\xd8\xff\xe0\0\x10JFIF", Media::Jpeg);
        for brand in ["isom", "iso5", "mp41", "mp42", "avc1", "M4V ", "dash", "XAVC"] {
            check(format!("\0\0\0\x20ftyp{brand}\0\0\x02\0").as_bytes(), Media::Mp4);
        }
        check(WEBM, Media::WebM);
        check(b"ID3\x03\0\0\0\0\x0f\x76TSSE", Media::Mp3);
        for frame in [b"\xff\xfb\x90\x64", b"\xff\xfa\x90\x64", b"\xff\xf3\x40\xc4", b"\xff\xe3\x18\xc4"] {
            check(frame, Media::Mp3);
        }
        check(b"RIFF\x24\0\0\0WAVEfmt ", Media::Wav);
    }

    #[test]
    fn what_only_looks_alike_is_refused() {
        let mut matroska = WEBM.to_vec();
        matroska[31..35].copy_from_slice(b"matr");
        let mut others: Vec<Vec<u8>> = [
            &b"\x89PNG\r\n\x1a"[..],
            b"\xff\xd8",
            b"\0\0\0\x20ftypiso",
            b"\0\0\0\x20moovisom",
            b"ID3 is the name of a tag",
            b"ID3\x03\0\0\0\0\xff\x76",
            b"ID3\x03\0\0",
            b"\xff\xfe\0\0",
            b"\xff\xf1\x50\x80",
            b"\xff\xfb\xf0\x64",
            b"\xff\xfb\x9c\x64",
            b"\xff\xeb\x90\x64",
            b"\xff\xfb\x90",
            b"RIFF\x24\0\0\0AVI LIST",
            b"RIFF\x24\0\0\0WAV",
            b"GIF89a",
            b"OggS\0\x02",
            b"fLaC\0\0\0\x22",
            b"<html>",
            b"",
        ]
        .iter()
        .map(|begin| begin.to_vec())
        .collect();
        others.push(matroska);
        others.push(WEBM[..34].to_vec());
        others.push([&WEBM[..4], &[0; 60], b"webm"].concat());
        others.extend(NO_VIDEOS.map(|brand| [b"\0\0\0\x20ftyp", &brand[..], b"\0\0\0\0"].concat()));
        for other in others {
            let words = "Only these files are taken here: PNG, JPEG, MP4, WebM, MP3, WAV";
            assert_eq!(of(&other), Err(Fault::bad(words)), "{}", other.escape_ascii());
        }
        let words = "WebP is not taken here, send the image as image/png or image/jpeg";
        assert_eq!(of(b"RIFF\x24\0\0\0WEBPVP8 "), Err(Fault::bad(words)));
    }

    proptest! {
        #[test]
        fn whatever_comes_it_is_decided_by_so_many_bytes(
            begin in prop::sample::select(vec![&b""[..], b"RIFF", b"ID3", b"\xff", b"\x1a\x45\xdf\xa3", b"\0\0\0\x20ftyp"]),
            rest in prop::collection::vec(any::<u8>(), 0..100),
        ) {
            let file = [begin, &rest].concat();
            let decided = of(&file[..file.len().min(BYTES)]);
            prop_assert_eq!(of(&file), decided);
        }
    }
}
