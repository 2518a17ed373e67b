//! What is private does not go into files.

mod assigned;
mod contacts;
mod credentials;
mod fields;
mod handles;
mod looked;
mod places;
mod reading;
mod redactions;
mod rule;

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use self::looked::{Looked, put};
use self::reading::Reading;
use self::redactions::Mark;
pub use self::redactions::Redactions;
use self::rule::Rule;
use crate::{Id, LlmCall, ProviderAccess, Trajectory};

/// Takes what is private out of texts before they are written, and lets the rest be.
///
/// In this order: coordinates, credentials, e-mail addresses, postal addresses, phone numbers, handles. Each leaves a
/// mark that says what was there; a handle leaves `<entity:…>`, a name that is the same for the same person on the same
/// platform as long as the salt is. What was filtered once is not changed by filtering it again, and no text becomes
/// longer than nine times its length. It takes time in proportion to the length of a text.
///
/// Credentials are keys, tokens, passwords, and the numbers of cards and accounts. Escapes of JSON and HTML, tags within a
/// line and digits of other scripts hide nothing. What does not say what it is stays: the name of somebody, ten digits
/// without a zero before them or a word such as "phone", a password without a word such as "password", a town.
///
/// Its `Debug` output shows no secrets.
///
/// ```
/// use trainyard_trajectories::{PrivacyFilter, Redactions};
///
/// let filter = PrivacyFilter::new("a salt").with_secret("correct horse battery");
/// let mut found = Redactions::default();
/// let text = "@ana: write to ana@example.org or call +1 202 555 0123. It is correct horse battery, v1.2.3.";
/// assert_eq!(
///     filter.text("telegram", text, &mut found),
///     "<entity:51c05e655a7163fd>: write to [REDACTED_EMAIL] or call [REDACTED_PHONE]. It is <REDACTED:secret>, v1.2.3.",
/// );
/// assert_eq!((found.handles, found.total()), (1, 4));
/// ```
#[derive(Clone)]
pub struct PrivacyFilter {
    salt: String,
    /// What is known to be secret, the longest first.
    secrets: Vec<String>,
    private: BTreeSet<String>,
}

impl PrivacyFilter {
    /// A filter that knows the shapes of what is private, and names people with that salt.
    #[must_use]
    pub fn new(salt: impl Into<String>) -> Self {
        Self { salt: salt.into(), secrets: Vec::new(), private: BTreeSet::new() }
    }

    /// The same, with something that is known to be secret, whatever it looks like: such as the values of environment
    /// variables whose names say so. Values of fewer than 8 characters are passed over, since they are found in ordinary
    /// texts. A text is searched once for each.
    #[must_use]
    pub fn with_secret(mut self, value: &str) -> Self {
        if value.chars().count() < SECRET_CHARS_MIN {
            return self;
        }
        // in a text that holds JSON it is spelled otherwise
        let quoted = Value::from(value).to_string();
        let escaped = quoted.trim_matches('"');
        self.secrets.push(value.to_owned());
        if escaped != value && escaped.len() >= SECRET_CHARS_MIN {
            self.secrets.push(escaped.to_owned());
        }
        self.secrets.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        self.secrets.dedup();
        self
    }

    /// The same, with the values of those variables whose names say that they are secret, such as `DB_PASSWORD` or
    /// `API_KEY`. See [`PrivacyFilter::with_secret`].
    ///
    /// ```
    /// use trainyard_trajectories::{PrivacyFilter, Redactions};
    ///
    /// let variables = [("SHOP_API_KEY", "fir tree and moss"), ("LANGUAGE", "en_GB.UTF-8")];
    /// let filter = PrivacyFilter::new("a salt").with_secrets_of(variables);
    /// let text = filter.text("chat", "fir tree and moss, en_GB.UTF-8", &mut Redactions::default());
    /// assert_eq!(text, "<REDACTED:secret>, en_GB.UTF-8");
    /// ```
    #[must_use]
    pub fn with_secrets_of<N: AsRef<str>, V: AsRef<str>>(
        self,
        variables: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        let secret = |(name, _): &(N, V)| assigned::is_secret_name(name.as_ref());
        let secrets = variables.into_iter().filter(secret);
        secrets.fold(self, |filter, (_, value)| filter.with_secret(value.as_ref()))
    }

    /// The same, with an entity of whom nothing may be written. See [`Trajectory::entities`].
    #[must_use]
    pub fn with_private_entity(mut self, id: impl Into<String>) -> Self {
        self.private.insert(id.into());
        self
    }

    /// Whether nothing of a trajectory may be written: since it is about a private entity, or its metadata says so
    /// (`private` or `isPrivate`).
    #[must_use]
    pub fn forbids(&self, trajectory: &Trajectory) -> bool {
        let says_so = |key: &str| trajectory.metadata.get(key) == Some(&Value::Bool(true));
        says_so("private")
            || says_so("isPrivate")
            || !self.private.is_empty() && !self.private.is_disjoint(&trajectory.entities())
    }

    /// The text without what is private, and what that was.
    #[must_use]
    pub fn text(&self, platform: &str, text: &str, found: &mut Redactions) -> String {
        let mut text = text.to_owned();
        // What was taken out may leave an edge at which something else begins, so it goes on until nothing is found.
        for _ in 0..ROUNDS_MAX {
            match self.round(platform, &text, found) {
                None => return text,
                Some(less) => text = less,
            }
        }
        // Nobody writes such texts by chance.
        found.count(Mark::Credential(UNSETTLED));
        format!("<REDACTED:{UNSETTLED}>")
    }

    /// Filters all texts of a value, however deep, and the keys. A text or a number under a key such as `password`, `phone`,
    /// `street` or `username`, or under `lat` beside `lng`, is taken out whatever it looks like, unless it describes one.
    pub fn value(&self, platform: &str, value: &mut Value, found: &mut Redactions) {
        match value {
            Value::String(text) => *text = self.text(platform, text, found),
            Value::Array(items) => items.iter_mut().for_each(|item| self.value(platform, item, found)),
            Value::Object(map) => self.map(platform, map, found),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    /// Filters all texts of a trajectory.
    #[must_use]
    pub fn trajectory(&self, trajectory: &Trajectory) -> (Trajectory, Redactions) {
        let mut trajectory = trajectory.clone();
        let (mut found, mut again) = (Redactions::default(), Redactions::default());
        let platform = trajectory.source.clone().unwrap_or_else(|| NO_PLATFORM.to_owned());
        let platform = platform.as_str();
        // what stands in the steps and in the calls is counted once
        let counted_twice = trajectory.has_calls_in_steps();
        let in_calls = if counted_twice { &mut again } else { &mut found };
        trajectory.calls.iter_mut().for_each(|call| self.call(platform, call, in_calls));
        trajectory.accesses.iter_mut().for_each(|access| self.access(platform, access, in_calls));
        for step in &mut trajectory.steps {
            self.map(platform, step.fields_mut(), &mut found);
        }
        self.map(platform, &mut trajectory.metadata, &mut found);
        trajectory.id = Id::filtered(self.text(platform, trajectory.id.as_str(), &mut found));
        let Trajectory { agent_id, archetype, source, ai_judge_reasoning, .. } = &mut trajectory;
        for text in [agent_id, archetype, source, ai_judge_reasoning] {
            self.some(platform, text, &mut found);
        }
        (trajectory, found)
    }

    fn call(&self, platform: &str, call: &mut LlmCall, found: &mut Redactions) {
        let LlmCall {
            id,
            step_id,
            model,
            purpose,
            action_type,
            system_prompt,
            user_prompt,
            response,
            metadata,
            ..
        } = call;
        for text in [id, step_id, model, purpose, action_type] {
            self.some(platform, text, found);
        }
        for text in [system_prompt, user_prompt, response] {
            *text = self.text(platform, text, found);
        }
        self.map(platform, metadata, found);
    }

    fn access(&self, platform: &str, access: &mut ProviderAccess, found: &mut Redactions) {
        let ProviderAccess { id, step_id, provider_name, purpose, data, query, timestamp_ms: _ } = access;
        for text in [id, step_id, provider_name, purpose] {
            self.some(platform, text, found);
        }
        self.value(platform, data, found);
        self.value(platform, query, found);
    }

    fn some(&self, platform: &str, text: &mut Option<String>, found: &mut Redactions) {
        if let Some(text) = text {
            *text = self.text(platform, text, found);
        }
    }

    fn map(&self, platform: &str, map: &mut Map<String, Value>, found: &mut Redactions) {
        let is_place = fields::is_place(map);
        for (key, value) in map.iter_mut() {
            self.value(platform, value, found);
            let text = match value {
                Value::String(text) if !is_mark(text) => text.clone(),
                Value::Number(number) => number.to_string(),
                Value::Null | Value::Bool(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => {
                    continue;
                }
            };
            if let Some(mark) = fields::private_by_key(key, &text, value.is_string(), is_place) {
                found.count(mark);
                *value = self.mark(mark, platform, &text).into();
            }
        }
        if map.keys().any(|key| !is_plain(key)) {
            self.keys(platform, map, found);
        }
    }

    /// Filters the keys. Those that become the same are numbered.
    fn keys(&self, platform: &str, map: &mut Map<String, Value>, found: &mut Redactions) {
        for (key, value) in std::mem::take(map) {
            let less = self.text(platform, &key, found);
            let numbered = (2..).map(|nth| format!("{less} {nth}"));
            let mut free = std::iter::once(less.clone()).chain(numbered).filter(|key| !map.contains_key(key));
            map.insert(free.next().expect("there are more numbers than keys"), value);
        }
    }

    /// The text without what one round finds; `None` when that is nothing.
    fn round(&self, platform: &str, text: &str, found: &mut Redactions) -> Option<String> {
        // what is read first: in `\nana@example.org`, nobody is called `nana`
        let read = Reading::of(text).and_then(|reading| {
            let marks = self.look(platform, reading.text(), found);
            put(text, marks.into_iter().map(|(part, mark)| (reading.written(&part), mark)))
        });
        let text = read.as_deref().unwrap_or(text);
        let written = put(text, self.look(platform, text, found));
        written.or(read)
    }

    /// What is private in a text, in order, and the marks to put there.
    fn look(&self, platform: &str, text: &str, found: &mut Redactions) -> Vec<(Range<usize>, String)> {
        let mut looked = Looked::new(apart(text));
        let mut rule = |rule: &Rule| {
            let mark = |text: &str| self.mark(rule.mark(), platform, text);
            looked.cut(text, |text| rule.find(text), mark, || found.count(rule.mark()));
        };
        places::GEO.iter().for_each(&mut rule);
        for secret in &self.secrets {
            let find = |text: &str| {
                text.match_indices(secret.as_str()).map(|(at, _)| at..at + secret.len()).collect()
            };
            let known = Mark::Credential(KNOWN);
            looked.cut(text, find, |_| self.mark(known, platform, ""), || found.count(known));
        }
        let mut rule = |rule: &Rule| {
            let mark = |text: &str| self.mark(rule.mark(), platform, text);
            looked.cut(text, |text| rule.find(text), mark, || found.count(rule.mark()));
        };
        for rules in [
            &credentials::CREDENTIALS,
            &contacts::EMAILS,
            &places::ADDRESSES,
            &contacts::PHONES,
            &handles::HANDLES,
        ] {
            rules.iter().for_each(&mut rule);
        }
        looked.marks()
    }

    fn mark(&self, mark: Mark, platform: &str, text: &str) -> String {
        match mark {
            Mark::Geo => "[REDACTED_GEO]".to_owned(),
            Mark::Credential(label) => format!("<REDACTED:{label}>"),
            Mark::Email => "[REDACTED_EMAIL]".to_owned(),
            Mark::Address => "[REDACTED_ADDRESS]".to_owned(),
            Mark::Phone => "[REDACTED_PHONE]".to_owned(),
            Mark::Handle => {
                let handle = text.trim_matches(['<', '>', '@', '!', '&']).to_lowercase();
                format!("<entity:{}>", pseudonym(&self.salt, platform, &handle))
            }
        }
    }
}

impl fmt::Debug for PrivacyFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrivacyFilter")
            .field("secrets", &self.secrets.len())
            .field("private", &self.private.len())
            .finish_non_exhaustive()
    }
}

/// What somebody is called instead: 16 digits of the SHA-256 of salt, platform and handle, with colons between them. The
/// handle is without its sign; [`PrivacyFilter`] gives it in lower case.
///
/// ```
/// assert_eq!(trainyard_trajectories::pseudonym("a salt", "telegram", "ana"), "51c05e655a7163fd");
/// ```
#[must_use]
pub fn pseudonym(salt: &str, platform: &str, handle: &str) -> String {
    let digest = Sha256::digest(format!("{salt}:{platform}:{handle}"));
    digest.iter().take(PSEUDONYM_BYTES).map(|byte| format!("{byte:02x}")).collect()
}

/// What is between the marks in a text.
fn apart(text: &str) -> Vec<Range<usize>> {
    let (mut parts, mut at) = (Vec::new(), 0);
    for mark in MARKS.find_iter(text) {
        parts.push(at..mark.start());
        at = mark.end();
    }
    parts.push(at..text.len());
    parts.retain(|part| !part.is_empty());
    parts
}

fn is_mark(text: &str) -> bool {
    MARKS.find(text).is_some_and(|mark| mark.len() == text.len())
}

/// Whether a key is a plain name, in which nothing private can be.
fn is_plain(key: &str) -> bool {
    key.len() <= PLAIN_BYTES_MAX && key.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'_')
}

/// All marks there are, and nothing else, so that nobody can hide a secret in one.
static MARKS: LazyLock<Regex> = LazyLock::new(|| {
    let labels = credentials::CREDENTIALS.iter().filter_map(|rule| match rule.mark() {
        Mark::Credential(label) => Some(label),
        Mark::Geo | Mark::Email | Mark::Address | Mark::Phone | Mark::Handle => None,
    });
    let labels: Vec<&str> = labels.chain([KNOWN, UNSETTLED]).collect();
    let labels = labels.join("|");
    let marks = r"\[REDACTED_(?:GEO|EMAIL|ADDRESS|PHONE)\]|<entity:[0-9a-f]{16}>";
    Regex::new(&format!("{marks}|<REDACTED:(?:{labels})>")).expect("labels are plain words")
});

/// The label of what is known to be secret by itself or by its key.
const KNOWN: &str = "secret";
/// The label of a text in which more and more was found.
const UNSETTLED: &str = "unsettled";
/// The platform of trajectories without a source.
const NO_PLATFORM: &str = "unknown";
const SECRET_CHARS_MIN: usize = 8;
const PLAIN_BYTES_MAX: usize = 32;
const PSEUDONYM_BYTES: usize = 8;
const ROUNDS_MAX: usize = 16;
