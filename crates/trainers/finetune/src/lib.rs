//! LoRA adapters for a small language model, trained on the processor, and a benchmark.
//!
//! [`train_adapter`] trains an [`Adapter`] on rows, as a run of a yard, with a report after each step and checkpoints. The
//! [`Base`] that it is learned beside is one from a folder, or is made from scratch. [`Benchmark`] gives three [`Scores`]
//! to a base, with an adapter or without, on rows that were held out; [`Base::answer`] lets it speak.
//!
//! ```
//! use std::num::NonZeroUsize;
//! use std::sync::Arc;
//!
//! use trainyard_core::{Class, Kind, Outcome, QueueName, Subject, Submission};
//! use trainyard_finetune::{Adapter, Base, Benchmark, Order, Recipe, Source, Speech, train_adapter};
//! use trainyard_journal::MemoryJournal;
//! use trainyard_runtime::{Context, JobToTrain, Trainyard};
//! use trainyard_trajectories::{HELD_OUT_SHARE, Row, split};
//!
//! let folder = tempfile::tempdir()?;
//! let one = NonZeroUsize::MIN;
//! let recipe = Recipe::new(1).with_steps(20.try_into()?); // so few that it takes a moment only
//! let base = Base::make(&recipe, one, &mut |_| true).expect("it goes on to the end");
//! base.save(&folder.path().join("base"))?;
//!
//! let row = |n| Row::new(format!("row-{n}"), "response", "Be brief.", format!("{n}?"), "Yes.");
//! let rows: Vec<Row> = (0..10).map(row).collect();
//! let (_, held_out) = split(rows.clone(), HELD_OUT_SHARE);
//! let order = Order::new(Source::Folder(folder.path().join("base"))).with_iterations(20)?;
//! let trainer = move |cx: &mut Context, job: &JobToTrain| train_adapter(cx, job, &rows, &order);
//! let kind = Kind::new("finetune")?;
//! let builder = Trainyard::builder(folder.path().join("data")).journal(MemoryJournal::new());
//! let (yard, _) = builder.trainer(kind.clone(), trainer).start()?;
//! let class = Arc::new(Class::new(kind, QueueName::new("default")?));
//! let submission = Submission::new(yard.job_id(), Subject::new("dataset/1")?, class);
//! let job = yard.submit(submission).wait()?.job;
//! let Outcome::Completed { model: Some(model) } = yard.finished(job).wait()? else { panic!("it failed") };
//!
//! let model = yard.model(model).expect("it was just made");
//! let adapter = Adapter::open(&yard.artifact_path(&model)?, &base)?;
//! let judge = |adapter| Benchmark::new(1).run(&base, adapter, &held_out, one, &|| true);
//! assert!(judge(Some(&adapter))?.coherence > judge(None)?.coherence);
//! println!("{}", base.answer(Some(&adapter), "Be brief.", "4?", &Speech::greedy()));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The model is a decoder as llama has it: scaled rows (`RMSNorm`), waves that tell places apart (`RoPE`), causal attention
//! whose keys heads may share, gates (`SwiGLU`), and a head of its own or the table of tokens. Its tokens are the 256 bytes
//! and a few marks for who speaks, so it needs no vocabulary and reads any language, if slowly. An adapter has two thin
//! matrices beside each of the seven of each layer; the base stays as it is. The loss is that of the answers alone.
//!
//! | file | what |
//! |---|---|
//! | `config.json`, `model.safetensors` | a base, under llama's names, in numbers of 32 or 16 bits |
//! | `adapter_config.json`, `adapter_model.safetensors` | an adapter, as PEFT has it |
//! | `training.json` | beside an adapter: how it was learned, with the loss of each step |
//!
//! `cargo run --release -p trainyard-finetune --example make_base -- <folder> [seed] [steps]` makes a base from scratch.
//!
//! What it keeps to:
//!
//! - A seed, the same rows and the same order mean the same adapter, bit by bit, for any number of threads, and for a run
//!   that was cut short and resumed as for one that was not. Products of matrices are by a kernel chosen by the vector
//!   instructions of the machine; between machines with different ones last bits differ.
//! - Every slope is that of a finite difference, tensor by tensor, and every tensor that learns is moved; tests see to it.
//! - Weights of strangers are refused in bounded memory: sizes, names and lengths are looked at before any is read, numbers
//!   that are none are refused. A training that may take more memory than allowed is refused before it takes any.
//! - Who is told to stop does so after one step at most.
//! - What is in a folder is all there, or the folder is not.

mod adapter;
mod base;
mod benchmark;
mod checkpoint;
mod files;
mod learn;
mod lesson;
pub mod made;
mod model;
mod order;
mod speak;
mod tokens;
mod trainer;

pub use crate::adapter::Adapter;
pub use crate::base::{Base, Recipe};
pub use crate::benchmark::{Benchmark, NoScores, Scores, similarity};
pub use crate::files::ModelError;
pub use crate::model::{Head, NoShape, Rank, Shape, Sizes};
pub use crate::order::{BadOrder, Order, Source};
pub use crate::speak::Speech;
pub use crate::trainer::train_adapter;
