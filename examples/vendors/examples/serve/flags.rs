//! What `serve` can be told, by arguments or by the environment.

use std::error::Error;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Parser;
use clap::builder::{BoolishValueParser, PossibleValuesParser, TypedValueParser};
use trainyard_core::Switch;
use trainyard_cyborgdb::{Rule, Settings};
use trainyard_http::secret::Secret;
use trainyard_server::{JournalChoice, OpenAccess, ServiceConfig};

/// Serves CyborgDB's wire format over real vector indexes.
#[derive(Parser)]
#[command(version)]
pub(crate) struct Flags {
    /// Address and port to listen on
    #[arg(long, env = "TRAINYARD_LISTEN", value_name = "ADDR", default_value = "127.0.0.1:8000")]
    listen: SocketAddr,
    /// Folder for everything that is kept; made when it is not there
    #[arg(long, env = "TRAINYARD_DATA", value_name = "DIR", default_value = "./trainyard-data")]
    data: PathBuf,
    /// URL under which clients reach this server [default: http:// and the address]
    #[arg(long, env = "TRAINYARD_PUBLIC_URL", value_name = "URL")]
    public_url: Option<String>,
    /// Key that every caller must show in X-API-Key; better given by the environment, since other users can see
    /// arguments. Unset: nobody is asked, which is allowed on a loopback address only
    #[arg(long, env = "TRAINYARD_CYBORGDB_ROOT_KEY", value_name = "KEY", hide_env_values = true)]
    cyborgdb_root_key: Option<String>,
    /// Allow other addresses than loopback without a key
    #[arg(long, env = "TRAINYARD_INSECURE", value_parser = BoolishValueParser::new())]
    insecure: bool,
    /// When indexes are retrained: as CyborgDB documents it, or as its service 0.17 and 0.18 does
    #[arg(long, env = "TRAINYARD_CYBORGDB_RULE", value_name = "RULE", default_value = "documented",
        value_parser = PossibleValuesParser::new(["documented", "service"]))]
    cyborgdb_rule: String,
    /// Vectors per list above which an index is retrained; under `service` the vectors in all that a first training
    /// must exceed
    #[arg(long, env = "TRAINYARD_CYBORGDB_RETRAIN_THRESHOLD", value_name = "N", default_value_t = 10_000)]
    cyborgdb_retrain_threshold: u64,
    /// Vectors at which an index is trained for the first time; under `documented`
    #[arg(long, env = "TRAINYARD_CYBORGDB_FIRST_TRAINING", value_name = "N", default_value_t = 10_000)]
    cyborgdb_first_training: u64,
    /// Vectors below which an index is never trained, also not when it is asked for
    #[arg(long, env = "TRAINYARD_CYBORGDB_MIN_VECTORS", value_name = "N", default_value_t = 10_000)]
    cyborgdb_min_vectors: u64,
    /// Whether indexes are trained by themselves
    #[arg(long, env = "TRAINYARD_CYBORGDB_AUTO_TRAIN", value_name = "WHETHER", default_value = "on",
        value_parser = PossibleValuesParser::new(["on", "off"])
            .map(|word| if word == "on" { Switch::On } else { Switch::Off }))]
    cyborgdb_auto_train: Switch,
    /// How many indexes there may be; each is in memory as a whole
    #[arg(long, env = "TRAINYARD_CYBORGDB_INDEXES_MAX", value_name = "N", default_value_t = 1_000)]
    cyborgdb_indexes_max: usize,
    /// Where jobs are kept: in the data folder, or nowhere, so that they are gone after a restart
    #[arg(long, env = "TRAINYARD_JOURNAL", value_name = "WHERE", default_value = "sqlite",
        value_parser = PossibleValuesParser::new(["sqlite", "memory"])
            .map(|word| if word == "memory" { JournalChoice::Memory } else { JournalChoice::Sqlite }))]
    journal: JournalChoice,
}

impl Flags {
    pub(crate) fn config(&self) -> Result<ServiceConfig, Box<dyn Error>> {
        let (threshold, first) = (self.cyborgdb_retrain_threshold, self.cyborgdb_first_training);
        let rule = match self.cyborgdb_rule.as_str() {
            "service" => Rule::Service { floor: threshold },
            _ => Rule::Documented { threshold, first },
        };
        let mut settings = Settings::new()
            .with_rule(rule)
            .with_min_vectors(self.cyborgdb_min_vectors)
            .with_auto_train(self.cyborgdb_auto_train);
        if let Some(key) = &self.cyborgdb_root_key {
            settings =
                settings.with_root_key(Secret::new(key).map_err(|error| format!("root key: {error}"))?);
        }
        let mut config = ServiceConfig::new(&self.data)
            .with_listen(self.listen)
            .with_journal(self.journal)
            .with_indexes_max(self.cyborgdb_indexes_max)
            .with_open_access(if self.insecure { OpenAccess::Anywhere } else { OpenAccess::Loopback })
            .with_cyborgdb(settings);
        if let Some(url) = &self.public_url {
            config = config.with_public_url(url);
        }
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_flags_are_sound_and_the_key_is_not_shown() {
        Flags::command().debug_assert();
        let config = |more: &[&str]| Flags::parse_from([&["serve"], more].concat()).config().unwrap();
        let Rule::Documented { threshold: 10_000, first: 10_000 } = config(&[]).cyborgdb().rule() else {
            panic!()
        };
        assert_eq!(config(&["--journal", "memory"]).journal(), JournalChoice::Memory);
        let config = config(&["--cyborgdb-root-key", "s3cret", "--cyborgdb-rule", "service"]);
        assert_eq!(config.cyborgdb().rule(), Rule::Service { floor: 10_000 });
        assert!(!format!("{config:?}").contains("s3cret"));
    }
}
