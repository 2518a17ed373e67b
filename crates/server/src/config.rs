//! What a service is told.

mod eliza;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use trainyard_core::Kind;
use trainyard_cyborgdb::Settings;
use trainyard_http::secret::Secret;
use trainyard_http::{PublicUrl, ServerConfig};
use trainyard_runtime::{Clock, SystemClock, Trainer};

use crate::clock::OtherClock;
use crate::disk::Disk;
use crate::eliza::ElizaConfig;
use crate::heygen::{HeyGenConfig, MakeTrainer};
use crate::mathfi::MathFiConfig;
use crate::own::OwnTrainers;
use crate::{Contestants, GroupPhotos};

/// What a service is told; everything but the folder has a default.
///
/// ```
/// use trainyard_server::{JournalChoice, ServiceConfig};
///
/// let config = ServiceConfig::new("data").with_journal(JournalChoice::Memory);
/// assert_eq!(config.listen().to_string(), "127.0.0.1:8000");
/// ```
#[derive(Debug, Clone)]
pub struct ServiceConfig {
    data: PathBuf,
    listen: SocketAddr,
    bodies_bytes: Option<usize>,
    answers_bytes: Option<usize>,
    public_url: Option<PublicUrl>,
    journal: JournalChoice,
    open_access: OpenAccess,
    indexes_max: usize,
    cyborgdb: Settings,
    memory_mib: u64,
    free_min: u64,
    clock: Option<OtherClock>,
    own: OwnTrainers,
    mathfi: MathFiConfig,
    heygen: HeyGenConfig,
    eliza: ElizaConfig,
}

/// Where the yard keeps its jobs, rules and models.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum JournalChoice {
    /// In `yard.sqlite` in the data folder.
    #[default]
    Sqlite,
    /// Nowhere: gone when the process ends. Indexes keep their vectors, and are trained anew.
    Memory,
}

/// Where nobody is asked for a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OpenAccess {
    /// On a loopback address only; on another one a root key must be set.
    #[default]
    Loopback,
    /// Anywhere: whoever reaches the address may read, write and delete everything.
    Anywhere,
}

impl ServiceConfig {
    /// A service that keeps everything in this folder; it is made when it is not there.
    #[must_use]
    pub fn new(data: impl Into<PathBuf>) -> Self {
        Self {
            data: data.into(),
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8000)),
            bodies_bytes: None,
            answers_bytes: None,
            public_url: None,
            journal: JournalChoice::default(),
            open_access: OpenAccess::default(),
            indexes_max: 1_000,
            cyborgdb: Settings::new(),
            memory_mib: 4_096,
            free_min: 256 << 20,
            clock: None,
            own: OwnTrainers::default(),
            mathfi: MathFiConfig::new(),
            heygen: HeyGenConfig::new(),
            eliza: ElizaConfig::new(),
        }
    }

    /// Listens here; port 0 lets the system choose. Default: 127.0.0.1:8000.
    #[must_use]
    pub fn with_listen(mut self, listen: SocketAddr) -> Self {
        self.listen = listen;
        self
    }

    /// Is reached by clients under this URL. Default: `http://` and the address that is listened on, which must be one
    /// that clients can use then: not `0.0.0.0` or `[::]`.
    ///
    /// ```
    /// use trainyard_server::ServiceConfig;
    ///
    /// # fn main() -> Result<(), trainyard_http::BadPublicUrl> {
    /// let config = ServiceConfig::new("data").with_public_url("https://train.example.com/".parse()?);
    /// assert_eq!(config.public_url().map(|url| url.as_str()), Some("https://train.example.com"));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn with_public_url(mut self, url: PublicUrl) -> Self {
        self.public_url = Some(url);
        self
    }

    /// Lets the bodies of all requests take so many bytes of memory together, with what is made of them; beyond, they are
    /// refused with a 503. One of CyborgDB's wire is counted as eight times its size. Default, bounds and what is not
    /// counted: [`ServerConfig::with_bodies_bytes`].
    #[must_use]
    pub fn with_bodies_bytes(mut self, bytes: usize) -> Self {
        self.bodies_bytes = Some(bytes);
        self
    }

    /// Lets answers that clients have yet to take hold so many bytes of memory together; beyond, a 503 takes their place.
    /// Default, bounds and what is not counted: [`ServerConfig::with_answers_bytes`].
    #[must_use]
    pub fn with_answers_bytes(mut self, bytes: usize) -> Self {
        self.answers_bytes = Some(bytes);
        self
    }

    /// Keeps its jobs there. Default: [`JournalChoice::Sqlite`].
    #[must_use]
    pub fn with_journal(mut self, journal: JournalChoice) -> Self {
        self.journal = journal;
        self
    }

    /// Where it may go without a root key. Default: [`OpenAccess::Loopback`].
    #[must_use]
    pub fn with_open_access(mut self, open_access: OpenAccess) -> Self {
        self.open_access = open_access;
        self
    }

    /// Leaves so many bytes of the disk free: files that are sent are refused rather than kept there. Default: 256 MiB.
    #[must_use]
    pub fn with_free_min(mut self, bytes: u64) -> Self {
        self.free_min = bytes;
        self
    }

    /// Goes by another clock, such as one that a test moves. Default: the machine's.
    #[must_use]
    pub fn with_clock(mut self, clock: impl Clock) -> Self {
        self.clock = Some(OtherClock(Arc::new(clock)));
        self
    }

    /// Trains jobs of a kind of your own beside those of the adapters; they are submitted through
    /// [`Service::yard`](crate::Service::yard). The service gets so many slots more, which all jobs share. Of two
    /// trainers for one kind the last counts; what an adapter's kind is trained with stays. Default: none.
    #[must_use]
    pub fn with_trainer(mut self, kind: Kind, slots: u64, trainer: impl Trainer) -> Self {
        self.own.insert(kind, slots, Arc::new(trainer));
        self
    }

    /// Has at most so many indexes: each is in memory as a whole, and takes three open files. Beyond, none is made;
    /// those that there are stay. Default: 1,000.
    #[must_use]
    pub fn with_indexes_max(mut self, indexes_max: usize) -> Self {
        self.indexes_max = indexes_max;
        self
    }

    /// How CyborgDB's wire behaves, with the root key.
    #[must_use]
    pub fn with_cyborgdb(mut self, settings: Settings) -> Self {
        self.cyborgdb = settings;
        self
    }

    /// The data folder.
    #[must_use]
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// The address to listen on.
    #[must_use]
    pub fn listen(&self) -> SocketAddr {
        self.listen
    }

    /// The URL clients use, if it was said.
    #[must_use]
    pub fn public_url(&self) -> Option<&PublicUrl> {
        self.public_url.as_ref()
    }

    /// Where jobs are kept.
    #[must_use]
    pub fn journal(&self) -> JournalChoice {
        self.journal
    }

    /// How many indexes there may be.
    #[must_use]
    pub fn indexes_max(&self) -> usize {
        self.indexes_max
    }

    /// How CyborgDB's wire behaves.
    #[must_use]
    pub fn cyborgdb(&self) -> &Settings {
        &self.cyborgdb
    }

    pub(crate) fn own_trainers(&self) -> &OwnTrainers {
        &self.own
    }

    /// How requests are taken in.
    pub(crate) fn http(&self) -> ServerConfig {
        let http = ServerConfig::new(self.listen);
        let http = self.bodies_bytes.into_iter().fold(http, ServerConfig::with_bodies_bytes);
        self.answers_bytes.into_iter().fold(http, ServerConfig::with_answers_bytes)
    }

    /// The URL that clients use when this is the address, without a slash at its end.
    pub(crate) fn url_at(&self, address: SocketAddr) -> String {
        self.public_url.as_ref().map_or_else(|| format!("http://{address}"), ToString::to_string)
    }

    /// Whether nobody can tell under which URL clients reach it: on all addresses is on none in particular.
    pub(crate) fn is_nowhere(&self) -> bool {
        self.public_url.is_none() && self.listen.ip().is_unspecified()
    }

    /// The disk that files are kept on.
    pub(crate) fn disk(&self) -> Disk {
        Disk::new(&self.data, self.free_min)
    }

    /// What it goes by.
    pub(crate) fn clock(&self) -> OtherClock {
        self.clock.clone().unwrap_or_else(|| OtherClock(Arc::new(SystemClock::new())))
    }

    pub(crate) fn mathfi_config(&self) -> &MathFiConfig {
        &self.mathfi
    }

    pub(crate) fn heygen_config(&self) -> &HeyGenConfig {
        &self.heygen
    }

    pub(crate) fn eliza_config(&self) -> &ElizaConfig {
        &self.eliza
    }

    #[cfg(test)]
    pub(crate) fn eliza_config_mut(&mut self) -> &mut ElizaConfig {
        &mut self.eliza
    }

    /// Whether a token has to be made for elizaOS's wire: others can reach it, and nobody has said which.
    pub(crate) fn needs_eliza_token(&self) -> bool {
        let is_asked = self.eliza.settings.token().is_some();
        !is_asked && self.open_access == OpenAccess::Loopback && !self.listen.ip().is_loopback()
    }

    /// Whether anybody could come in whom nobody meant to let in. MathFi's wire asks everybody who they are, and
    /// HeyGen's for a key, also when nobody has said which; so does elizaOS's where others can reach it.
    pub(crate) fn is_exposed(&self) -> bool {
        let is_asked = self.cyborgdb.root_key().is_some();
        !is_asked && self.open_access == OpenAccess::Loopback && !self.listen.ip().is_loopback()
    }
}

/// MathFi.
impl ServiceConfig {
    /// How MathFi's wire behaves. Without a key it signs by one that is kept in the data folder, and without a public
    /// URL it uses that of [`ServiceConfig::with_public_url`].
    #[must_use]
    pub fn with_mathfi(mut self, settings: trainyard_mathfi::Settings) -> Self {
        self.mathfi.settings = settings;
        self
    }

    /// Lets somebody log in: `name` has 1 to 256 bytes and no control character. Of two of one name the last counts.
    /// Default: nobody, and then one is made, see [`Opened::first_user`](crate::Opened::first_user).
    ///
    /// Of a password only a hash is kept. What belongs to a name stays with it, also over a change of the password,
    /// which puts an end to all tokens that were given out under it.
    #[must_use]
    pub fn with_mathfi_user(mut self, name: impl Into<String>, password: Secret) -> Self {
        self.mathfi.users.insert(name.into(), password);
        self
    }

    /// Which learner stands behind which code. Default: [`Contestants::standard`].
    #[must_use]
    pub fn with_mathfi_contestants(mut self, contestants: Contestants) -> Self {
        self.mathfi.contestants = contestants;
        self
    }

    /// Runs so many contests at once, at least 1; they share the cores. Default: 2.
    #[must_use]
    pub fn with_mathfi_running_max(mut self, contests: u32) -> Self {
        self.mathfi.running_max = contests.max(1);
        self
    }

    /// Lets each user have so many datasets. Beyond, the oldest goes that has failed, or that has got no data while the
    /// URL for it was good; while there is none, no more are made. Default: 1,000.
    #[must_use]
    pub fn with_mathfi_datasets_max(mut self, datasets: u64) -> Self {
        self.mathfi.datasets_max = datasets;
        self
    }

    /// Keeps so many predictions of each user; beyond, the oldest that has ended goes, with its result, and while none
    /// has, none is made. Default: 1,000.
    #[must_use]
    pub fn with_mathfi_predictions_max(mut self, predictions: u64) -> Self {
        self.mathfi.predictions_max = predictions;
        self
    }

    /// Lets the files of each user take so many bytes: data and rows on their way in, datasets, predictions with their
    /// results. Who has as much sends no more until some of it is gone; what is made of what is there already is not
    /// held up. Default: 20 GiB.
    #[must_use]
    pub fn with_mathfi_bytes_max(mut self, bytes: u64) -> Self {
        self.mathfi.bytes_max = bytes;
        self
    }

    /// Data must be ready within this time, and fails beyond. Default: 30 minutes.
    #[must_use]
    pub fn with_mathfi_prepare_time(mut self, time: Duration) -> Self {
        self.mathfi.prepare_time = time;
        self
    }

    /// A prediction must be made within this time, and times out beyond. Default: 30 minutes.
    #[must_use]
    pub fn with_mathfi_predict_time(mut self, time: Duration) -> Self {
        self.mathfi.predict_time = time;
        self
    }

    /// Has each algorithm of a contest write a checkpoint after so long, at the first step that ends then: what a crash
    /// costs. Zero for every step. Default: 5 seconds.
    #[must_use]
    pub fn with_mathfi_checkpoint_every(mut self, time: Duration) -> Self {
        self.mathfi.checkpoint_every = time;
        self
    }

    /// So much memory is there for contests and trainings of groups, in MiB: those for which it is not free wait. Data
    /// that would need more of it is refused, and a group whose photos would is not trained. Default: 4,096.
    #[must_use]
    pub fn with_memory_mib(mut self, memory_mib: u64) -> Self {
        self.memory_mib = memory_mib;
        self
    }

    /// How MathFi's wire behaves.
    #[must_use]
    pub fn mathfi(&self) -> &trainyard_mathfi::Settings {
        &self.mathfi.settings
    }

    /// Who may log in, sorted; nobody for the one that is made.
    pub fn mathfi_users(&self) -> impl Iterator<Item = &str> {
        self.mathfi.users.keys().map(String::as_str)
    }

    /// How many contests run at once.
    #[must_use]
    pub fn mathfi_running_max(&self) -> u32 {
        self.mathfi.running_max
    }

    /// How much memory there is for contests and trainings of groups, in MiB.
    #[must_use]
    pub fn memory_mib(&self) -> u64 {
        self.memory_mib
    }
}

/// HeyGen.
impl ServiceConfig {
    /// How HeyGen's wire behaves. Without a key a random one is made for the data folder, see
    /// [`Opened::heygen_key`](crate::Opened::heygen_key). Without a key for links they are signed by another one that is
    /// kept there, and without a public URL that of [`ServiceConfig::with_public_url`] is used.
    #[must_use]
    pub fn with_heygen(mut self, settings: trainyard_heygen::Settings) -> Self {
        self.heygen.settings = settings;
        self
    }

    /// Trains so many groups at once, at least 1, as far as there is [memory](ServiceConfig::with_memory_mib). Default: 1.
    #[must_use]
    pub fn with_heygen_running_max(mut self, trainings: u32) -> Self {
        self.heygen.running_max = trainings.max(1);
        self
    }

    /// How models of groups are trained, and how good one must be; the limits on photos are those of
    /// [`ServiceConfig::with_heygen_photos`]. Default: [`Order::new`](trainyard_portrait::Order::new).
    #[must_use]
    pub fn with_heygen_order(mut self, order: trainyard_portrait::Order) -> Self {
        self.heygen.order = order;
        self
    }

    /// How large photos may be; a look beyond fails. Two are looked at at once. Default: that of
    /// [`Limits`](trainyard_portrait::Limits).
    #[must_use]
    pub fn with_heygen_photos(mut self, limits: trainyard_portrait::Limits) -> Self {
        self.heygen.photos = limits;
        self
    }

    /// Trains groups with another trainer: whatever it hands over is the group's model, and the reason why it does not
    /// is told to the group's owner. How much memory it takes, the [class](trainyard_heygen::Settings::with_class) says, as
    /// `memory_mib`. `make` is called once, when the service opens, and is handed what says
    /// [where photos lie](GroupPhotos::of). Default: [`trainyard_portrait::train_portrait`].
    #[must_use]
    pub fn with_heygen_trainer(
        mut self,
        make: impl Fn(GroupPhotos) -> Arc<dyn Trainer> + Send + Sync + 'static,
    ) -> Self {
        self.heygen.trainer = Some(MakeTrainer(Arc::new(make)));
        self
    }

    /// Has at most so many groups; beyond, none is made. Default: 1,000.
    #[must_use]
    pub fn with_heygen_groups_max(mut self, groups: u64) -> Self {
        self.heygen.groups_max = groups;
        self
    }

    /// Has at most so many looks in a group; beyond, none is added. Never more than the 1,000 that
    /// [one training takes](trainyard_heygen::TrainParameters::LOOKS_MAX): what is above counts as that. Default: 100.
    #[must_use]
    pub fn with_heygen_looks_max(mut self, looks: u64) -> Self {
        let most = u64::try_from(trainyard_heygen::TrainParameters::LOOKS_MAX).unwrap_or(u64::MAX);
        self.heygen.looks_max = looks.min(most);
        self
    }

    /// Keeps so many uploaded files; beyond, the oldest goes that no look shows and that came more than an hour ago, and
    /// while there is none, no more come in. A file that no look shows stays for another look to show it, until it is as
    /// old as a link to it may be good; then it goes with the next upload or start. Default: 10,000.
    #[must_use]
    pub fn with_heygen_assets_max(mut self, assets: u64) -> Self {
        self.heygen.assets_max = assets;
        self
    }

    /// Lets uploaded files take so many bytes together, those on their way in among them. Beyond, no more come in until
    /// some are gone. Default: 20 GiB.
    #[must_use]
    pub fn with_heygen_bytes_max(mut self, bytes: u64) -> Self {
        self.heygen.bytes_max = bytes;
        self
    }

    /// How HeyGen's wire behaves.
    #[must_use]
    pub fn heygen(&self) -> &trainyard_heygen::Settings {
        &self.heygen.settings
    }

    /// How many groups are trained at once.
    #[must_use]
    pub fn heygen_running_max(&self) -> u32 {
        self.heygen.running_max
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_made_where_others_can_come() {
        let needs = |listen: &str, config: ServiceConfig| {
            config.with_listen(listen.parse().unwrap()).needs_eliza_token()
        };
        let open = || ServiceConfig::new("data");
        let token = Secret::new("token").unwrap();
        assert!(!needs("127.0.0.1:1", open()) && !needs("[::1]:1", open()));
        assert!(needs("0.0.0.0:1", open()) && needs("10.0.0.1:1", open()));
        assert!(!needs("10.0.0.1:1", open().with_open_access(OpenAccess::Anywhere)));
        let asked = open().with_eliza(trainyard_eliza::Settings::new().with_token(token));
        assert!(!needs("10.0.0.1:1", asked.clone()));
        assert!(!format!("{asked:?}").contains("\"token\""));
    }

    #[test]
    fn open_access_is_for_loopback_unless_said_otherwise() {
        let exposed =
            |listen: &str, config: ServiceConfig| config.with_listen(listen.parse().unwrap()).is_exposed();
        let open = || ServiceConfig::new("data");
        let key = trainyard_http::secret::Secret::new("key").unwrap();
        let keyed = || open().with_cyborgdb(Settings::new().with_root_key(key.clone()));
        assert!(!exposed("127.0.0.1:1", open()));
        assert!(!exposed("[::1]:1", open()));
        assert!(exposed("0.0.0.0:1", open()));
        assert!(exposed("[::]:1", open()));
        assert!(exposed("10.0.0.1:1", open()));
        assert!(!exposed("0.0.0.0:1", keyed()));
        assert!(!exposed("0.0.0.0:1", open().with_open_access(OpenAccess::Anywhere)));
    }

    #[test]
    fn memory_for_bodies_and_answers_is_the_servers_unless_said_otherwise() {
        let told = |config: ServiceConfig| format!("{:?}", config.http());
        let open = || ServiceConfig::new("data");
        let http = || ServerConfig::new(open().listen());
        let is = |http: ServerConfig| format!("{http:?}");
        assert_eq!(told(open()), is(http()));
        assert_eq!(told(open().with_bodies_bytes(2 << 20)), is(http().with_bodies_bytes(2 << 20)));
        assert_eq!(told(open().with_answers_bytes(3 << 20)), is(http().with_answers_bytes(3 << 20)));
    }

    #[test]
    fn all_addresses_want_a_public_url() {
        let at = |listen: &str| ServiceConfig::new("data").with_listen(listen.parse().unwrap());
        for all in ["0.0.0.0:80", "[::]:80"] {
            assert!(at(all).is_nowhere(), "{all}");
            let public = at(all).with_public_url("https://train.example.com/a/".parse().unwrap());
            assert!(!public.is_nowhere(), "{all}");
            assert_eq!(public.url_at(all.parse().unwrap()), "https://train.example.com/a");
        }
        for one in ["127.0.0.1:80", "[::1]:80", "10.0.0.1:80"] {
            assert!(!at(one).is_nowhere(), "{one}");
            assert_eq!(at(one).url_at(one.parse().unwrap()), format!("http://{one}"));
        }
    }
}
