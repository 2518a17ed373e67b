//! What the embedding service decides once.

use std::time::Duration;

use trainyard_core::{Class, Kind, QueueName};
use trainyard_http::PublicUrl;
use trainyard_http::secret::Secret;

/// How the adapter behaves. Everything has a default but the [key](Settings::with_key), without which everybody is
/// refused.
///
/// ```
/// use trainyard_heygen::Settings;
/// use trainyard_http::secret::Secret;
///
/// let settings = Settings::new()
///     .with_key(Secret::new("what clients send along")?)
///     .with_link_key(Secret::new("64 hexadecimal digits from a good source")?)
///     .with_public_url("https://train.example.com/".parse()?);
/// assert_eq!(settings.public_url().map(|url| url.as_str()), Some("https://train.example.com"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Settings {
    key: Option<Secret>,
    link_key: Option<Secret>,
    public_url: Option<PublicUrl>,
    class: Class,
    limits: Limits,
}

/// Bounds on what one request may ask for, and the life of what is handed out. What is beyond a bound is refused with
/// a 4xx and changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The longest JSON body, in bytes, also for [`Mount::with_body_limit`](trainyard_http::Mount::with_body_limit) at
    /// `/v2`. Default: 64 KiB.
    pub json_bytes: usize,
    /// The largest file, in bytes, also for the body limit at `/v1/asset`. Default: 10 MiB.
    pub upload_bytes: usize,
    /// How long an upload may take, for [`Mount::with_body_timeout`](trainyard_http::Mount::with_body_timeout) at
    /// `/v1/asset`. Default: 10 minutes.
    pub upload_time: Duration,
    /// How many uploads may be under way at once, 1 to a million; each holds a file open and 256 KiB. More are answered
    /// with 429. Default: 16.
    pub uploads: usize,
    /// How many uploads that are whole may be made durable at once, 1 to a million. More wait in line, and hold no thread
    /// meanwhile. Default: 2.
    pub finishing: usize,
    /// The longest name, in characters. Default: 255.
    pub name_chars: usize,
    /// How many looks may be added at once. Default: 4.
    pub image_keys: usize,
    /// How long a link to a picture lives. Each read hands out a new one. Default: 7 days.
    pub link_life: Duration,
}

impl Settings {
    /// The defaults, without a key.
    ///
    /// # Panics
    /// Never: the words in it are well-formed.
    #[must_use]
    pub fn new() -> Self {
        let kind = Kind::new("portrait").expect("a short word is a kind");
        let queue = QueueName::new("heygen").expect("a short word is a queue name");
        let mut class = Class::new(kind, queue);
        class.limits.time = Some(Duration::from_secs(30 * 60));
        Self { key: None, link_key: None, public_url: None, class, limits: Limits::default() }
    }

    /// Lets whoever sends this as `x-api-key` in. Default: none, and then every call is answered with 401.
    #[must_use]
    pub fn with_key(mut self, key: Secret) -> Self {
        self.key = Some(key);
        self
    }

    /// Signs links to pictures with this: 32 bytes of chance, such as 64 hexadecimal digits. Keep it, and links stay
    /// good over a restart; change it, and all are refused.
    ///
    /// Default: the [key](Settings::with_key). Whoever has a link can then try keys on it without asking anybody, so
    /// a key that people made up wants another one for links.
    #[must_use]
    pub fn with_link_key(mut self, key: Secret) -> Self {
        self.link_key = Some(key);
        self
    }

    /// Builds the links in answers from this. Default: what [`HeyGen::listen_at`](crate::HeyGen::listen_at) was told. A
    /// `Host` header is never looked at.
    #[must_use]
    pub fn with_public_url(mut self, url: PublicUrl) -> Self {
        self.public_url = Some(url);
        self
    }

    /// What the trainings have in common: kind, queue, limits, retries, promotion, what they need of a node. Default:
    /// kind `portrait` in queue `heygen`, half an hour at most, no retry, and the newest model is the active one. Its
    /// registry is not used: models belong to their group.
    #[must_use]
    pub fn with_class(mut self, class: Class) -> Self {
        self.class = class;
        self
    }

    /// Stops a training that takes too long. Default: half an hour.
    #[must_use]
    pub fn with_time_limit(mut self, time: Option<Duration>) -> Self {
        self.class.limits.time = time;
        self
    }

    /// Other bounds. `uploads` and `finishing` are brought into their ranges, so that whoever reads them, adapter or
    /// host, counts the same.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        let seats = |seats: usize| seats.clamp(1, SEATS_MAX);
        self.limits = Limits { uploads: seats(limits.uploads), finishing: seats(limits.finishing), ..limits };
        self
    }

    /// What clients have to send, if it was given.
    #[must_use]
    pub fn key(&self) -> Option<&Secret> {
        self.key.as_ref()
    }

    /// What links are signed with, if anything was given that can be used for it.
    #[must_use]
    pub fn link_key(&self) -> Option<&Secret> {
        self.link_key.as_ref().or(self.key.as_ref())
    }

    /// What links are built from, if it was given.
    #[must_use]
    pub fn public_url(&self) -> Option<&PublicUrl> {
        self.public_url.as_ref()
    }

    /// What the trainings have in common.
    #[must_use]
    pub fn class(&self) -> &Class {
        &self.class
    }

    /// The bounds.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self::new()
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            json_bytes: 64 << 10,
            upload_bytes: 10 << 20,
            upload_time: Duration::from_secs(600),
            uploads: 16,
            finishing: 2,
            name_chars: 255,
            image_keys: 4,
            link_life: Duration::from_secs(7 * 24 * 3_600),
        }
    }
}

/// As many as there are [seats](trainyard_http::Seats) at most.
const SEATS_MAX: usize = 1_000_000;

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
        assert_eq!(settings.class().limits.time, Some(Duration::from_secs(1_800)));
        assert_eq!((settings.class().kind.as_str(), settings.class().queue.as_str()), ("portrait", "heygen"));
        let limits = settings.limits();
        assert_eq!(limits.upload_bytes, 10_485_760);
        assert_eq!(limits.link_life, Duration::from_secs(604_800));
        assert_eq!(limits.image_keys, 4);
        assert!(settings.key().is_none() && settings.link_key().is_none());
    }

    #[test]
    fn there_is_room_for_one_at_least() {
        let none = Limits { uploads: 0, finishing: 0, ..Limits::default() };
        let limits = *Settings::new().with_limits(none).limits();
        assert_eq!(limits, Limits { uploads: 1, finishing: 1, ..none });
        let all = Limits { uploads: usize::MAX, finishing: usize::MAX, ..none };
        let limits = *Settings::new().with_limits(all).limits();
        assert_eq!((limits.uploads, limits.finishing), (1_000_000, 1_000_000));
    }

    #[test]
    fn keys_are_never_shown_and_links_have_one_of_their_own() {
        let settings = Settings::new().with_key(Secret::new("kept to itself").unwrap());
        assert_eq!(settings.link_key().unwrap().expose(), "kept to itself");
        let settings = settings.with_link_key(Secret::new("kept apart").unwrap());
        assert_eq!(settings.link_key().unwrap().expose(), "kept apart");
        assert!(!format!("{settings:?}").contains("kept"));
    }
}
