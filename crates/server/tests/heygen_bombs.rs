//! Small files that unpack to large ones, sent to a server in a process of its own whose memory is looked at.
#![cfg(target_os = "linux")]

mod support;

use std::net::SocketAddr;

use support::heygen::{Studio, photo, text};
use support::serving::{self, Serving};
use support::until;
use trainyard_heygen::Settings;
use trainyard_http::secret::Secret;
use trainyard_server::ServiceConfig;

const KEY: &str = "k3y";
/// Less than any of them unpacks to.
const GROWN_KIB_MAX: u64 = 120 << 10;

/// Nothing, unless this binary was started as [`Serving`].
#[test]
fn child() {
    let Some(folder) = serving::folder() else { return };
    let key = Secret::new(KEY).unwrap();
    let config = ServiceConfig::new(folder).with_listen(SocketAddr::from(([127, 0, 0, 1], 0)));
    serving::serve(config.with_heygen(Settings::new().with_key(key)), |_| {});
}

#[test]
fn bombs_do_not_go_off() {
    let folder = tempfile::tempdir().unwrap();
    let mut serving = Serving::start(folder.path());
    let studio = Studio::new(&serving.url, KEY);
    let group = studio.create("Ada", &photo("Ada", 0));
    until("it is completed", || studio.are_completed(&group));
    let before = serving.memory_kib_max();

    let large = [
        ("black and white", png(12_000, 1, 0, 12_000 * 1_501)),
        ("grey", png(12_000, 8, 0, 12_000 * 12_001)),
        ("colours", png(8_192, 8, 2, 8_192 * (3 * 8_192 + 1))),
    ];
    assert!(large[0].1.len() < 200_000, "{}", large[0].1.len());
    for (what, bomb) in large {
        let [look] = &studio.add(&group, &[bomb])[..] else { panic!("one look") };
        until("it is over", || studio.look(look)["status"] != "pending");
        let look = studio.look(look);
        assert_eq!(look["status"], "failed", "{what}");
        let reason = text(&look["upscale_availability"]["reason"]);
        assert!(reason.contains("picture") && !reason.contains('/'), "{what}: {reason}");
    }
    // They lie beside a good picture, so they are passed over, or the file is refused.
    let mut beside = photo("Ada", 1);
    for sort in [b"iCCP", b"zTXt"] {
        let bomb = chunk(sort, &[&b"bomb\0\0"[..], &zeros(200_000_000)].concat());
        let begin = b"\x89PNG\r\n\x1a\n".len() + 25;
        beside.splice(begin..begin, bomb);
    }
    let [look] = &studio.add(&group, &[beside])[..] else { panic!("one look") };
    until("it is over", || studio.look(look)["status"] != "pending");

    let grown = serving.memory_kib_max() - before;
    assert!(grown < GROWN_KIB_MAX, "{grown} KiB more");
    let good = studio.add(&group, &[photo("Ada", 2)]);
    until("it is completed", || studio.look(&good[0])["status"] == "completed");
    serving.stop();
}

/// A black PNG, of so many bytes when it is unpacked.
fn png(side: u32, depth: u8, colour: u8, bytes: u64) -> Vec<u8> {
    let header = [&side.to_be_bytes()[..], &side.to_be_bytes(), &[depth, colour, 0, 0, 0]].concat();
    let chunks = [chunk(b"IHDR", &header), chunk(b"IDAT", &zeros(bytes)), chunk(b"IEND", &[])];
    [b"\x89PNG\r\n\x1a\n".to_vec(), chunks.concat()].concat()
}

fn chunk(sort: &[u8; 4], content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).expect("it is short").to_be_bytes();
    let sum = crc(&[&sort[..], content].concat()).to_be_bytes();
    [&length[..], sort, content, &sum].concat()
}

fn crc(bytes: &[u8]) -> u32 {
    let step = |sum: u32, _| if sum & 1 == 1 { (sum >> 1) ^ 0xEDB8_8320 } else { sum >> 1 };
    !bytes.iter().fold(u32::MAX, |sum, byte| (0..8).fold(sum ^ u32::from(*byte), step))
}

/// A zlib stream of zeros: one, and then 258 at a time, each of which takes 13 bits.
fn zeros(count: u64) -> Vec<u8> {
    let mut bits = Bits(vec![0x78, 0x01], 0);
    bits.put(0b011, 3); // the last block, with the fixed codes
    let (repeats, rest) = ((count - 1) / 258, (count - 1) % 258);
    (0..=rest).for_each(|_| bits.put(0b0000_1100, 8)); // the code of a zero, its first bit first
    for _ in 0..repeats {
        bits.put(0b1010_0011, 8); // the code of a repeat of 258
        bits.put(0, 5); // of what is one byte before
    }
    bits.put(0, 7); // the end
    let sum = (u32::try_from(count % 65_521).expect("it is small") << 16) | 1;
    [&bits.0[..], &sum.to_be_bytes()].concat()
}

/// Bits from the lowest of each byte to the highest; the second is how many of the last byte are taken.
struct Bits(Vec<u8>, u32);

impl Bits {
    fn put(&mut self, bits: u8, count: u32) {
        for bit in (0..count).map(|place| (bits >> place) & 1) {
            if self.1 == 0 {
                self.0.push(0);
            }
            *self.0.last_mut().expect("there is one") |= bit << self.1;
            self.1 = (self.1 + 1) % 8;
        }
    }
}
