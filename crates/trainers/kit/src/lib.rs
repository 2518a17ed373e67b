//! What trainers are made of.
//!
//! - [`Chance`]: numbers that look random, the same for a seed with every version of every dependency.
//! - [`Net`] and [`Adam`]: dense layers forwards and backwards, and the way downhill.
//! - [`write_sealed`], [`seal`], [`unseal`] and [`write_beside`]: files that are whole or not there.
//! - [`at_most`]: lists from files, no longer than they may be.
//! - [`Rhythm`] and [`Kept`]: when a checkpoint is due, and the last one; [`cut_short`] and [`resume`]: how a run ends
//!   before its time, and goes on.
//! - [`write_checkpoint`] and [`read_checkpoint`]: what was learned, with a fingerprint of what it was learned from.
//! - [`each`]: work that threads share, with the same result for any number of them.
//!
//! Trainers use it; whoever embeds a trainer never sees it.

mod adam;
mod bounded;
mod chance;
mod checkpoint;
mod dense;
mod kept;
mod maths;
mod rhythm;
mod sealed;
mod share;
mod told;

pub use crate::adam::Adam;
pub use crate::bounded::at_most;
pub use crate::chance::Chance;
pub use crate::checkpoint::{Useless, read_checkpoint, write_checkpoint};
pub use crate::dense::{Net, Scratch};
pub use crate::kept::{Kept, bytes_of, cut_short, log_unkept, resume};
pub use crate::maths::{exp, narrow, real, softmax};
pub use crate::rhythm::Rhythm;
pub use crate::sealed::{Sealing, seal, unseal, write_beside, write_sealed};
pub use crate::share::each;
pub use crate::told::told;
