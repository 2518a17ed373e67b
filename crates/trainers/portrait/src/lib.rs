//! Photo avatars: a small generative model of the appearance in a group of photos.
//!
//! [`inspect`] says whether an upload is a photo that can be trained on, by decoding it within [`Limits`].
//! [`train_portrait`] trains the model of a group of photos, as a run of a yard, with a report after each step,
//! checkpoints, and a [`Portrait`] at the end, which renders the looks of the group and small variations of them. Its
//! [`Quality`], measured on views of the photos that were held back, decides whether it is handed over at all.
//!
//! ```
//! use std::sync::Arc;
//! use trainyard_core::{Class, Kind, Outcome, QueueName, Subject, Submission};
//! use trainyard_journal::MemoryJournal;
//! use trainyard_portrait::{
//!     Limits, Order, Portrait, Quality, Size, Source, Variation, inspect, made, train_portrait,
//! };
//! use trainyard_runtime::{Context, JobToTrain, Trainyard};
//!
//! let folder = tempfile::tempdir()?;
//! let person = made::Person::new(7);
//! let mut photos = Vec::new();
//! for number in 0..3 {
//!     let path = folder.path().join(format!("upload-{number}"));
//!     std::fs::write(&path, person.photo(number, 128).to_jpeg(90))?;
//!     inspect(&path, &Limits::default())?;
//!     photos.push(Source::new(path, format!("look {number}")));
//! }
//!
//! let order = Order::new()
//!     .with_size(Size::SMALL) // so that it takes a moment only
//!     .with_steps(60.try_into()?)
//!     .with_quality_min(Quality::new(0.5)?);
//! let trainer =
//!     move |cx: &mut Context, job: &JobToTrain| train_portrait(cx, job, &photos, &order);
//! let kind = Kind::new("portrait")?;
//! let builder = Trainyard::builder(folder.path().join("data")).journal(MemoryJournal::new());
//! let (yard, _) = builder.trainer(kind.clone(), trainer).start()?;
//! let class = Arc::new(Class::new(kind, QueueName::new("default")?));
//! let submission = Submission::new(yard.job_id(), Subject::new("group/7")?, class);
//! let job = yard.submit(submission).wait()?.job;
//! let Outcome::Completed { model: Some(model) } = yard.finished(job).wait()? else { panic!("it failed") };
//!
//! let model = yard.model(model).expect("it was just made");
//! let portrait = Portrait::open(&yard.artifact_path(&model)?)?;
//! assert_eq!(portrait.looks(), ["look 0", "look 1", "look 2"]);
//! assert!(portrait.quality() >= Quality::new(0.5)?);
//! let look = portrait.render(1).expect("there are three");
//! let varied = portrait.variation(1, &Variation::new(1)).expect("there are three");
//! assert_ne!(look, varied);
//! assert!(look.to_png().starts_with(b"\x89PNG"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The model is a denoising autoencoder: one small net takes what sets a picture apart from the mean of the group to a
//! code of a few numbers, another takes the code back. It learns from views of the photos that are drawn afresh for every
//! batch: mirrored or not, shifted, turned and enlarged a little, in more or less light and contrast, with noise to be
//! taken away. A variation moves the code of a look the way that codes of views near it differ.
//!
//! What it keeps to:
//!
//! - A seed and the same photos mean the same model, bit by bit, for any number of threads, and for a run that was cut
//!   short and resumed as for one that was not. Nets multiply by a kernel chosen by the vector instructions of the
//!   machine; between machines with different ones last bits differ.
//! - Files of strangers are refused in bounded memory: the length of a file and the size of its picture are looked at
//!   before a pixel is decoded, and what lies in it beside pixels is bounded too. One photo takes at most
//!   [`Limits::memory_bytes`], twice its file, and 8 MiB; how many are inspected at once is for the caller to bound. A
//!   training decodes one at a time.
//! - Who is told to stop does so after one block of work at most: one photo, one batch of 32 views, or one checkpoint. With
//!   the usual size a checkpoint has 38 MB, which are digested and written, or read, in one go.
//! - Whatever was kept can be read for ever, and what is damaged is told from what is whole.

mod augment;
mod auto;
mod checkpoint;
mod course;
pub mod made;
mod model;
mod order;
mod photo;
mod quality;
mod rendered;
mod size;
mod trainer;

pub use crate::model::{ModelError, Portrait, Variation};
pub use crate::order::{Order, Source};
pub use crate::photo::{Format, Limits, Photo, Picture, Unfit, inspect};
pub use crate::quality::{NoQuality, Quality};
pub use crate::rendered::Rendered;
pub use crate::size::{NoSize, Side, Size};
pub use crate::trainer::train_portrait;
