//! A service that hosts the adapters and their trainers in one process.
//!
//! [`Service::open`] takes a data folder and serves, under `/v1`, CyborgDB's wire format over real vector
//! indexes: [`trainyard_cyborgdb`] speaks, [`trainyard_ivf`] stores, searches and trains, and a
//! [yard](trainyard_runtime::Trainyard) says which training runs when. All of it is durable: a process that is
//! killed in the middle of a training goes on with it when it is started again.
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

mod config;
mod cyborgdb;
mod error;
mod greeting;
mod lock;
mod service;
mod watch;

pub use crate::config::{JournalChoice, OpenAccess, ServiceConfig};
pub use crate::error::OpenError;
pub use crate::greeting::Greeting;
pub use crate::service::{Closed, Ending, Opened, Service};
pub use crate::watch::{News, Terminal, Watch};
