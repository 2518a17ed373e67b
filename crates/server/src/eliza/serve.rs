//! Makes yard and archive agree, and answers for them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use trainyard_core::{QueueName, QueueSettings, Retention};
use trainyard_eliza::{Backend, Eliza, Settings, Task};
use trainyard_http::{Mount, PublicUrl, block_on};
use trainyard_runtime::{Builder, Trainyard};

use super::ElizaLessons;
use super::archive::Archive;
use super::config::ElizaConfig;
use super::host::AgentHost;
use super::tending::Tending;
use super::trainers::register;
use crate::OpenError;
use crate::memory::{memory_mib, turn_away, with_memory};
use crate::records::RecordsError;

/// What is to be mounted, and the threads that end with the yard.
pub(crate) struct Serving {
    pub(crate) mounts: Vec<Mount>,
    pub(crate) helpers: Vec<JoinHandle<()>>,
    /// How many programs were ended that nobody knew any more.
    pub(crate) orphans: usize,
}

/// A yard that can do all of it.
pub(crate) fn trainers(
    builder: Builder,
    archive: &Arc<Archive>,
    config: &ElizaConfig,
) -> Result<Builder, OpenError> {
    let lessons = ElizaLessons::new(Arc::clone(archive));
    if let Some(cpu) = &archive.built_in.cpu {
        cpu.check().map_err(OpenError::archive)?;
    }
    Ok(register(builder, &lessons, archive.processes.as_ref(), config, &archive.built_in))
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
) -> Result<Serving, OpenError> {
    let cleared = archive.processes.as_ref().map(|processes| processes.clear_away(yard));
    let cleared = cleared.transpose().map_err(OpenError::archive)?;
    catch_up(archive, yard).map_err(OpenError::archive)?;
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
    Ok(Serving {
        mounts: adapter.mounts().into(),
        helpers,
        orphans: cleared.map_or(0, |cleared| cleared.ended),
    })
}

/// What the yard has trained on counts, also when the catalogue was lost meanwhile: or for long nothing would be new.
fn catch_up(archive: &Archive, yard: &Trainyard) -> Result<(), RecordsError> {
    let totals: BTreeMap<Task, u64> = yard.read(|yard| {
        let seen = yard.rules().filter_map(|(of, rule)| Task::of(of).zip(rule.history.watermark));
        seen.collect()
    });
    archive.catalog.raise_totals(&totals)
}

fn settings(archive: &Archive, config: &ElizaConfig, public_url: Option<&PublicUrl>) -> Settings {
    let mut settings = config.settings.clone();
    if let Some(token) = &archive.made_token {
        settings = settings.with_token(token.clone());
    }
    if let Some(host) = public_url.and_then(|url| host_of(url.as_str())) {
        settings = settings.with_host(host);
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
    use std::io;

    use trainyard_trainkit::told;

    use super::*;
    use crate::{ElizaCommand, Presence, Service, ServiceConfig};

    fn config(folder: &tempfile::TempDir) -> ServiceConfig {
        ServiceConfig::new(folder.path()).with_listen("127.0.0.1:0".parse().unwrap())
    }

    fn opened(config: &ServiceConfig) -> Result<String, OpenError> {
        let (service, _) = Service::open(config.clone())?;
        let client: ureq::Agent =
            ureq::Agent::config_builder().http_status_as_error(false).proxy(None).build().into();
        let ask = |path: &str| format!("{}/api/training/{path}", service.url());
        let mut backends = client.get(ask("backends")).call().unwrap();
        let backends = backends.body_mut().read_to_string().unwrap();
        service.shutdown(std::time::Duration::from_secs(10));
        Ok(backends)
    }

    #[test]
    fn where_no_programs_can_be_run_all_else_is_served() {
        let folder = tempfile::tempdir().unwrap();
        let command = ElizaCommand::new("sh", ["-c", "exit 0"]).unwrap().with_presence(Presence::Assumed);
        let mut config = config(&folder).with_eliza_command(Backend::Cuda, command);
        let has = |backends: &str| backends.contains("\"cuda\":true");
        if cfg!(target_os = "linux") {
            assert!(has(&opened(&config).unwrap()));
        }
        config.eliza_config_mut().open_processes = |_| Err(io::ErrorKind::Unsupported.into());
        assert!(!has(&opened(&config).unwrap()));
        config.eliza_config_mut().open_processes = |_| Err(io::ErrorKind::PermissionDenied.into());
        let error = told(&opened(&config).unwrap_err());
        assert!(error.contains("processes"), "{error}");
    }

    #[test]
    fn the_host_of_the_public_url_is_known_beside_others() {
        let folder = tempfile::tempdir().unwrap();
        let config = config(&folder);
        let mut config = config.eliza_config().clone();
        config.settings = config.settings.with_hosts(["trainyard"]);
        let disk = crate::disk::Disk::new(folder.path(), 0);
        let at = trainyard_core::Timestamp::from_millis(0);
        let (archive, _) = Archive::open(folder.path(), &config, 64, false, disk, at).unwrap();
        let url: PublicUrl = "https://train.example.com:8443/a".parse().unwrap();
        let of = |url| settings(&archive, &config, url);
        assert!(format!("{:?}", of(None)).contains("\"trainyard\""), "{:?}", of(None));
        let both = of(None).with_hosts(["trainyard", "train.example.com"]);
        assert_eq!(format!("{:?}", of(Some(&url))), format!("{both:?}"));
    }

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
