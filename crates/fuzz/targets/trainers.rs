//! What trainers print: any bytes, as lines of output and as lines of events. The parts are private, and are taken in as
//! they are.
#![no_main]
#![allow(dead_code, unused_imports, unreachable_pub, reason = "the executor uses the rest")]

#[path = "../../executors/process/src/digest.rs"]
mod digest;
#[path = "../../executors/process/src/event.rs"]
mod event;
#[path = "../../executors/process/src/formats/mod.rs"]
pub mod formats;
#[path = "../../executors/process/src/lines.rs"]
mod lines;
#[path = "../../executors/process/src/observer.rs"]
mod observer;
#[path = "../../executors/process/src/telemetry.rs"]
mod telemetry;
#[path = "../../executors/process/src/verdict.rs"]
mod verdict;

use digest::Digest;
use formats::{Format, Reader};
use libfuzzer_sys::fuzz_target;
use lines::{Lines, Piece};
use observer::{Exit, Seen};
use trainyard_fuzz::within;

fn digest() -> Digest {
    Digest::new(Reader::new([Format::Mlx, Format::Transformers, Format::Phases]))
}

/// All that follows from it, as a text.
fn told(digest: &mut Digest) -> String {
    let mut news = format!("{:?}", digest.news());
    news += &format!(" {:?} {:?}", digest.peak(), digest.checkpoint());
    let metrics = digest.metrics();
    assert!(metrics.len() <= 66 && metrics.values().all(|number| number.is_finite()));
    let tail = digest.tail();
    assert!(tail.len() <= 800, "{} bytes", tail.len());
    format!(
        "{news} {metrics:?} {:?} {:?} {:?} {}",
        digest.artifact(),
        digest.saved(),
        digest.heard(),
        digest.malformed()
    )
}

fn printed(pieces: &[&[u8]]) -> String {
    let (mut lines, mut digest) = (Lines::default(), digest());
    for piece in pieces {
        lines.push(piece, |piece| match piece {
            Piece::Line { text, was_cut } => drop(digest.printed(text, was_cut)),
            Piece::Redrawn(text) => digest.redrawn(text),
        });
    }
    told(&mut digest)
}

fuzz_target!(|bytes: &[u8]| {
    // It is all the same where the bytes are divided.
    let whole = within(16 << 20, || printed(&[bytes]));
    let (first, second) = bytes.split_at(bytes.len() / 2);
    assert_eq!(printed(&[first, second]), whole);
    let mut digest = digest();
    let mut lines = Lines::default();
    within(16 << 20, || {
        lines.push(bytes, |piece| {
            if let Piece::Line { text, was_cut } = piece {
                if let Some(shown) = digest.event(text, was_cut) {
                    assert!(shown.chars().all(|char| char == '\t' || !char.is_control()));
                }
                if let Some(seen) = digest.news() {
                    assert!(seen.loss.is_none_or(f64::is_finite));
                }
            }
        });
        told(&mut digest);
    });
});
