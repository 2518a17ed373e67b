//! A service that hosts the adapters and their trainers in one process.
//!
//! [`Service::open`] takes a data folder and serves, under `/v1`, CyborgDB's wire format over real vector
//! indexes: [`trainyard_cyborgdb`] speaks, and [`trainyard_ivf`] stores, searches and trains. Under `/api` it serves
//! MathFi's over real tables: [`trainyard_mathfi`] speaks, and the algorithms of [`trainyard_tabular`] compete. Under
//! `/v2` and `/v1/asset` it serves HeyGen's over real photos: [`trainyard_heygen`] speaks, and [`trainyard_portrait`]
//! trains a model for each group. Under `/api/training` and `/ws` it serves elizaOS's over the trajectories of agents:
//! [`trainyard_eliza`] speaks, and programs in any language train. One [yard](trainyard_runtime::Trainyard) says which training runs when. All of it is
//! durable: a process that is killed in the middle of a training goes on with it when it is started again.
//!
//! ```
//! use std::time::Duration;
//! use trainyard_server::{Service, ServiceConfig};
//!
//! let folder = tempfile::tempdir()?;
//! let config = ServiceConfig::new(folder.path()).with_listen("127.0.0.1:0".parse()?);
//! let (service, opened) = Service::open(config)?;
//! assert_eq!(opened.yard.attempts_interrupted, 0);
//! println!("listening on {}", service.local_addr());
//! service.shutdown(Duration::from_secs(5));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The data folder
//!
//! Made with access for its owner alone, for nothing in it is encrypted. One process has it at a time; another one is
//! refused and told who.
//!
//! | | |
//! |---|---|
//! | `lock` | who has the folder |
//! | `node` | the id of this node of the yard |
//! | `yard.sqlite` | the journal: jobs, rules, models |
//! | `work/` | checkpoints and models |
//! | `cyborgdb/catalog.sqlite` | which indexes there are |
//! | `cyborgdb/indexes/` | their vectors, a file `<uuid>.sqlite` per index |
//! | `mathfi/catalog.sqlite` | users, datasets, predictions; of passwords, hashes |
//! | `mathfi/signing.key` | what tokens and URLs are signed with |
//! | `mathfi/kept` | names of files that were there before the catalogue was, and are left alone; seldom there |
//! | `mathfi/incoming/` | files on their way in; cleared at every start |
//! | `mathfi/datasets/` | tables, a file `<uuid>.table` per dataset |
//! | `mathfi/predictions/` | results, a file `<uuid>.result` per prediction |
//! | `heygen/catalog.sqlite` | which assets, groups and looks there are |
//! | `heygen/link.key` | what links to pictures are signed with |
//! | `heygen/api.key` | the key that clients show, when none is configured |
//! | `heygen/incoming/` | files on their way in; cleared at every start |
//! | `heygen/assets/` | images, a file `<uuid>.png` or `<uuid>.jpg` per asset |
//! | `eliza/catalog.sqlite` | trajectories, which datasets there are, and what is known of runs and models |
//! | `eliza/api.token` | the token that clients show, when others can reach the service and none is configured |
//! | `eliza/datasets/` | datasets, a folder each |
//! | `eliza/bases/` | language models that were made from scratch, for adapters |
//! | `eliza/salt.key` | what people's names are hidden with in datasets |
//! | `eliza/logs/` | the last lines of each training, a file `<job>.log` |
//! | `eliza/processes/` | which programs are at work |

mod clock;
mod config;
mod cyborgdb;
mod disk;
mod editions;
mod eliza;
mod ending;
mod error;
mod greeting;
mod heygen;
mod incoming;
mod keeping;
mod key;
mod lock;
mod mathfi;
mod memory;
mod news;
mod opened;
mod own;
mod records;
mod room;
mod service;
mod terminal;
mod watch;

pub use crate::config::{JournalChoice, OpenAccess, ServiceConfig};
pub use crate::eliza::{
    BadElizaCommand, ElizaBenchmark, ElizaCommand, ElizaFigures, ElizaLesson, ElizaLessons, ElizaModel,
    Presence, ValidateCommand,
};
pub use crate::ending::Ending;
pub use crate::error::OpenError;
pub use crate::greeting::Greeting;
pub use crate::heygen::{GroupPhoto, GroupPhotos};
pub use crate::mathfi::{Contestants, FirstUser, UnknownAlgorithm};
pub use crate::news::News;
pub use crate::opened::{Closed, Opened};
pub use crate::service::Service;
pub use crate::terminal::Terminal;
pub use crate::watch::Watch;
