//! Makes yard and archive agree, and answers for them.

use std::path::Path;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use trainyard_core::{QueueName, QueueSettings, Retention};
use trainyard_eliza::{Backend, Eliza, Settings};
use trainyard_http::{Mount, PublicUrl, block_on};
use trainyard_process::Processes;
use trainyard_runtime::{Builder, Trainyard};

use super::ElizaLessons;
use super::archive::{Archive, PROCESSES};
use super::config::ElizaConfig;
use super::host::AgentHost;
use super::tending::Tending;
use super::trainers::register;
use crate::OpenError;
use crate::memory::{memory_mib, turn_away, with_memory};

/// What is to be mounted, and the threads that end with the yard.
pub(crate) struct Serving {
    pub(crate) mounts: Vec<Mount>,
    pub(crate) helpers: Vec<JoinHandle<()>>,
    /// How many programs were ended that nobody knew any more.
    pub(crate) orphans: usize,
}

/// A yard that can do all of it, and what is at work outside of this process.
pub(crate) fn trainers(
    builder: Builder,
    archive: &Arc<Archive>,
    folder: &Path,
    config: &ElizaConfig,
) -> Result<(Builder, Processes), OpenError> {
    let processes = Processes::open(folder.join(PROCESSES)).map_err(OpenError::archive)?;
    let lessons = ElizaLessons::new(Arc::clone(archive));
    if let Some(cpu) = &archive.built_in.cpu {
        cpu.check().map_err(OpenError::archive)?;
    }
    Ok((register(builder, &lessons, &processes, config, &archive.built_in), processes))
}

/// The lines that its jobs wait in.
pub(crate) fn queues(config: &ElizaConfig, waiting_max: u32) -> Vec<(QueueName, QueueSettings)> {
    let settings =
        QueueSettings { running_max: Some(config.running_max), waiting_max, ..QueueSettings::default() };
    lines(config).into_iter().map(|line| (line, settings)).collect()
}

/// How much is kept of what came through them.
pub(crate) fn retentions(config: &ElizaConfig) -> Vec<(QueueName, Retention)> {
    let retention = Retention { finished_max: Some(FINISHED_MAX), models_max: Some(MODELS_MAX) };
    lines(config).into_iter().map(|line| (line, retention)).collect()
}

const FINISHED_MAX: u32 = 1_000;
/// Of all datasets together, and of each task.
const MODELS_MAX: u32 = 1_000;

/// One line for all backends, unless the settings say otherwise.
fn lines(config: &ElizaConfig) -> Vec<QueueName> {
    let mut lines: Vec<QueueName> =
        Backend::ALL.into_iter().map(|backend| config.settings.class(backend).queue.clone()).collect();
    lines.sort();
    lines.dedup();
    lines
}

/// Asks for the token of the data folder where one had to be made, and tells what happens.
pub(crate) fn serve(
    archive: &Arc<Archive>,
    yard: &Trainyard,
    config: &ElizaConfig,
    public_url: Option<&PublicUrl>,
    processes: &Processes,
) -> Result<Serving, OpenError> {
    let cleared = processes.clear_away(yard).map_err(OpenError::archive)?;
    let settings = settings(archive, config, public_url);
    let host = AgentHost::new(Arc::clone(archive), yard.clone());
    let adapter = Eliza::new(Arc::new(yard.clone()), Arc::new(host), archive.events.clone(), settings);
    block_on(adapter.resync()).map_err(OpenError::archive)?;
    let following = adapter.follow();
    if let Some(cpu) = &archive.built_in.cpu {
        turn_away(yard, &config.settings.class(Backend::Cpu).kind, cpu.memory_mib);
    }
    let spawn = |name: &str, work: Box<dyn FnOnce() + Send>| {
        thread::Builder::new().name(name.to_owned()).spawn(work).map_err(OpenError::Thread)
    };
    let tending = Tending::new(Arc::clone(archive), yard.clone());
    let helpers = vec![
        spawn("trainyard-events", Box::new(move || block_on(following)))?,
        spawn("trainyard-agents", Box::new(move || tending.run()))?,
    ];
    Ok(Serving { mounts: adapter.mounts().into(), helpers, orphans: cleared.ended })
}

fn settings(archive: &Archive, config: &ElizaConfig, public_url: Option<&PublicUrl>) -> Settings {
    let mut settings = config.settings.clone();
    if let Some(token) = &archive.made_token {
        settings = settings.with_token(token.clone());
    }
    if let Some(host) = public_url.and_then(|url| host_of(url.as_str())) {
        settings = settings.with_hosts([host]);
    }
    // What another trainer takes, whoever brings it says.
    if let Some(cpu) = &archive.built_in.cpu
        && memory_mib(settings.class(Backend::Cpu)) == 0
    {
        let mut class = settings.class(Backend::Cpu).clone();
        class.resources = with_memory(class.resources, cpu.memory_mib);
        settings = settings.with_class(Backend::Cpu, class);
    }
    settings
}

/// The host in a URL, without its port.
fn host_of(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split('/').next()?;
    let port = authority.rfind(':').filter(|at| authority[*at..].chars().skip(1).all(|c| c.is_ascii_digit()));
    Some(&authority[..port.unwrap_or(authority.len())])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_without_its_port() {
        for (url, host) in [
            ("https://train.example.com", "train.example.com"),
            ("https://train.example.com:8443/a/b", "train.example.com"),
            ("http://[::1]:80", "[::1]"),
            ("http://[::1]", "[::1]"),
        ] {
            assert_eq!(host_of(url), Some(host), "{url}");
        }
    }
}
