//! What the embedding service decides once.

use std::time::Duration;

use trainyard_core::{Class, Gain, Kind, MedianRule, Metric, Promotion, QueueName, Score, StallRule};
use trainyard_http::PublicUrl;
use trainyard_http::secret::Secret;

use crate::line_up::LineUp;
use crate::map::PERFORMANCE;

/// How the adapter behaves. Everything has a default but the [key](Settings::with_key), without which nobody can
/// log in.
///
/// ```
/// use std::time::Duration;
/// use trainyard_http::secret::Secret;
/// use trainyard_mathfi::Settings;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let settings = Settings::new()
///     .with_key(Secret::new("64 hexadecimal digits from a good source")?)?
///     .with_public_url("https://train.example.com/".parse()?)
///     .with_time_limit(Some(Duration::from_secs(600)));
/// assert_eq!(settings.public_url().map(|url| url.as_str()), Some("https://train.example.com"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Settings {
    key: Option<Secret>,
    public_url: Option<PublicUrl>,
    class: Class,
    two_classes: LineUp,
    more_classes: LineUp,
    median: Option<MedianRule>,
    limits: Limits,
}

/// Bounds on what one request may ask for, and lives of what is handed out. What is beyond a bound is refused with a
/// 4xx and changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How long a token lives; shown in whole seconds. Default: an hour.
    pub token_life: Duration,
    /// How long a signed URL for an upload lives. Default: an hour.
    pub upload_url_life: Duration,
    /// How long a signed URL of a result lives. Each read of the prediction hands out a new one. Default: an hour.
    pub result_url_life: Duration,
    /// The longest JSON body, in bytes. Default: 64 KiB.
    pub json_bytes: usize,
    /// The largest CSV that comes in through the API, in bytes. Default: 32 MiB.
    pub api_upload_bytes: u64,
    /// The smallest CSV, in bytes. Default: 10.
    pub upload_bytes_min: u64,
    /// The largest CSV that comes in through a signed URL, in bytes. Default: 534,773,760 (510 MiB).
    pub signed_upload_bytes: u64,
    /// How long an upload may take, for [`Mount::with_body_timeout`](trainyard_http::Mount::with_body_timeout).
    /// Default: an hour.
    pub upload_time: Duration,
    /// The most datasets on one page of a list; who asks for more gets so many. Default: 1,000.
    pub page: u64,
    /// How many uploads may be under way at once; each holds a file open. More are told to come back. Default: 64.
    pub uploads: usize,
    /// How many of them may be one user's. Default: 8.
    pub uploads_by_owner: usize,
    /// How many uploads that are whole may be made durable at once. More wait in line, and hold no thread meanwhile.
    /// Default: 2.
    pub finishing: usize,
    /// How many passwords may be looked at at once. More wait in line. Default: 2.
    pub logins: usize,
    /// How long somebody waits there at most, and is told to come back then. Default: 5 s.
    pub login_wait: Duration,
    /// How often somebody may try to log in under one name from one address; of IPv6, one /64 network. A success wipes
    /// the slate. Default: 10 a minute.
    ///
    /// Behind a reverse proxy all have the proxy's address. Then this is a bound for a name, and who tries often enough
    /// keeps its owner out; limit attempts by address in the proxy, and raise this and
    /// [`attempts_by_peer`](Self::attempts_by_peer).
    pub attempts_by_name_and_peer: Attempts,
    /// How often anybody may try to log in under one name, from wherever. Much larger than what one address may do, so
    /// that it takes many to keep the owner of a name out. Default: 600 a minute.
    pub attempts_by_name: Attempts,
    /// How often anybody may try to log in from one address, under whatever names. Default: 60 a minute.
    pub attempts_by_peer: Attempts,
    /// How many of each of these are remembered. Beyond that whoever is nearest to being forgiven is forgotten. Default:
    /// 10,000.
    pub attempts_known: usize,
}

/// So many attempts at once, and as many again over a span of time, evenly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempts {
    /// How many. Zero counts as one.
    pub count: u32,
    /// In which time; zero counts as a millisecond.
    pub within: Duration,
}

impl Settings {
    /// The defaults, without a key.
    ///
    /// # Panics
    /// Never: the words and numbers in it are well-formed.
    #[must_use]
    pub fn new() -> Self {
        let kind = Kind::new("tabular").expect("a short word is a kind");
        let queue = QueueName::new("mathfi").expect("a short word is a queue name");
        let mut class = Class::new(kind, queue);
        let gain = Score::new(0.02).expect("it is finite");
        class.limits.stall =
            Some(StallRule { gain: Gain::Performance(gain), within: Duration::from_secs(300) });
        class.limits.time = Some(Duration::from_secs(3_600));
        class.promotion = Promotion::Best(Metric::new(PERFORMANCE).expect("a short word is a metric"));
        Self {
            key: None,
            public_url: None,
            class,
            two_classes: LineUp::two_classes(),
            more_classes: LineUp::more_classes(),
            median: None,
            limits: Limits::default(),
        }
    }

    /// Signs tokens and URLs with this: 32 bytes of chance, such as 64 hexadecimal digits. Keep it, and tokens stay
    /// good over a restart; change it, and all are refused. Default: none, and then every login is answered with 503.
    ///
    /// # Errors
    /// [`ShortKey`] when it has fewer than 32 bytes: whoever has a token can try keys on it without asking anybody.
    pub fn with_key(mut self, key: Secret) -> Result<Self, ShortKey> {
        if key.expose().len() < KEY_BYTES_MIN {
            return Err(ShortKey);
        }
        self.key = Some(key);
        Ok(self)
    }

    /// Builds the URLs in answers from this. Default: what [`MathFi::listen_at`](crate::MathFi::listen_at) was told. A
    /// `Host` header is never looked at.
    #[must_use]
    pub fn with_public_url(mut self, url: PublicUrl) -> Self {
        self.public_url = Some(url);
        self
    }

    /// What the contests have in common: kind, queue, limits, promotion, what they need of a node. A contest asks for
    /// these resources and, as `memory_mib`, for what its dataset needs. Default: kind `tabular` in queue `mathfi`, a
    /// gain of 0.02 within 5 minutes, an hour at most, and the model of the best performance is the active one. Its
    /// registry is not used: models belong to their dataset.
    #[must_use]
    pub fn with_class(mut self, class: Class) -> Self {
        self.class = class;
        self
    }

    /// Stops an algorithm that gains too little. Default: 0.02 of performance within 5 minutes.
    #[must_use]
    pub fn with_stall(mut self, rule: Option<StallRule>) -> Self {
        self.class.limits.stall = rule;
        self
    }

    /// Stops a contest that takes too long. Default: an hour.
    #[must_use]
    pub fn with_time_limit(mut self, time: Option<Duration>) -> Self {
        self.class.limits.time = time;
        self
    }

    /// How long an algorithm that was told to stop may take to do so. Default: 30 seconds.
    #[must_use]
    pub fn with_grace(mut self, time: Duration) -> Self {
        self.class.limits.grace = time;
        self
    }

    /// Who competes for datasets of two classes, and who for those of more. Default: the vendor's four each.
    #[must_use]
    pub fn with_line_ups(mut self, two_classes: LineUp, more_classes: LineUp) -> Self {
        self.two_classes = two_classes;
        self.more_classes = more_classes;
        self
    }

    /// Stops algorithms that fall behind the others. The vendor has nothing like it. Default: none is stopped.
    #[must_use]
    pub fn with_median(mut self, rule: Option<MedianRule>) -> Self {
        self.median = rule;
        self
    }

    /// Other bounds.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// What tokens and URLs are signed with, if it was given.
    #[must_use]
    pub fn key(&self) -> Option<&Secret> {
        self.key.as_ref()
    }

    /// What URLs are built from, if it was given.
    #[must_use]
    pub fn public_url(&self) -> Option<&PublicUrl> {
        self.public_url.as_ref()
    }

    /// What the contests have in common.
    #[must_use]
    pub fn class(&self) -> &Class {
        &self.class
    }

    /// Who competes for a dataset of so many classes.
    #[must_use]
    pub fn line_up(&self, classes: u32) -> &LineUp {
        if classes > 2 { &self.more_classes } else { &self.two_classes }
    }

    /// Whether algorithms that fall behind are stopped.
    #[must_use]
    pub fn median(&self) -> Option<MedianRule> {
        self.median
    }

    /// The bounds.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }
}

/// A key that is too short to sign with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a key that signs has at least {KEY_BYTES_MIN} bytes")]
pub struct ShortKey;

const KEY_BYTES_MIN: usize = 32;

impl Default for Settings {
    fn default() -> Self {
        Self::new()
    }
}

impl Limits {
    /// What a body may have at most, in bytes, for [`Mount::with_body_limit`](trainyard_http::Mount::with_body_limit)
    /// at `/api/v1`: the larger of the two ways in, with what stands around a file in a form.
    #[must_use]
    pub fn body_bytes(&self) -> usize {
        let largest = self.signed_upload_bytes.max(self.form_bytes());
        usize::try_from(largest).unwrap_or(usize::MAX)
    }

    /// A form with the largest file of the API in it.
    pub(crate) fn form_bytes(&self) -> u64 {
        self.api_upload_bytes.saturating_add(FORM_BYTES)
    }
}

/// What may stand around a file in a form: boundaries, headers, small parts.
const FORM_BYTES: u64 = 64 << 10;

impl Default for Limits {
    fn default() -> Self {
        let hour = Duration::from_secs(3_600);
        let a_minute = |count| Attempts { count, within: Duration::from_secs(60) };
        Self {
            token_life: hour,
            upload_url_life: hour,
            result_url_life: hour,
            json_bytes: 64 << 10,
            api_upload_bytes: 32 << 20,
            upload_bytes_min: 10,
            signed_upload_bytes: 510 << 20,
            upload_time: hour,
            page: 1_000,
            uploads: 64,
            uploads_by_owner: 8,
            finishing: 2,
            logins: 2,
            login_wait: Duration::from_secs(5),
            attempts_by_name_and_peer: a_minute(10),
            attempts_by_name: a_minute(600),
            attempts_by_peer: a_minute(60),
            attempts_known: 10_000,
        }
    }
}

/// A URL without slashes at its end.
pub(crate) fn bare(url: &str) -> String {
    url.trim_end_matches('/').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_those_of_the_sheet() {
        let settings = Settings::new();
        let limits = settings.class().limits;
        assert_eq!(limits.time, Some(Duration::from_secs(3_600)));
        let stall = limits.stall.unwrap();
        assert_eq!(stall.gain, Gain::Performance(Score::new(0.02).unwrap()));
        assert_eq!(stall.within, Duration::from_secs(300));
        assert_eq!(settings.limits().signed_upload_bytes, 534_773_760);
        assert_eq!(settings.limits().api_upload_bytes, 33_554_432);
        assert!(settings.median().is_none());
        let codes =
            |classes| settings.line_up(classes).labels().iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(codes(2), ["BSEV01", "BFIF01", "BSIX01", "BSEV02"]);
        assert_eq!(codes(3), ["MSEV01", "MFIF01", "MSIX01", "MSEV02"]);
    }

    #[test]
    fn a_key_is_long_and_never_shown() {
        let key =
            |bytes| Secret::new("kept to itself, every byte of it, always".get(..bytes).unwrap()).unwrap();
        assert_eq!(Settings::new().with_key(key(31)).err(), Some(ShortKey));
        let settings = Settings::new().with_key(key(32)).unwrap();
        assert!(!format!("{settings:?}").contains("kept"));
    }
}
