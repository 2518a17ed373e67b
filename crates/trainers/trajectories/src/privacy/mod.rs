//! What is private does not go into files.

mod contacts;
mod credentials;
mod handles;
mod places;
mod redactions;
mod rule;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

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
        let secret = |(name, _): &(N, V)| credentials::is_secret_name(name.as_ref());
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

    /// Filters all texts of a value, however deep; keys stay. What is under a key such as `password` is taken out
    /// whatever it is, and so are numbers under `lat` and `lng`.
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
        let has = |keys: &[&str]| map.keys().any(|key| is_one_of(key, keys));
        let is_place = has(&LATITUDES) && has(&LONGITUDES);
        for (key, value) in map {
            self.value(platform, value, found);
            match value {
                Value::Number(_)
                    if is_place && (is_one_of(key, &LATITUDES) || is_one_of(key, &LONGITUDES)) =>
                {
                    found.count(Mark::Geo);
                    *value = self.mark(Mark::Geo, platform, "").into();
                }
                Value::String(text) if credentials::is_secret_by_key(key, text) && !is_mark(text) => {
                    found.count(Mark::Credential(KNOWN));
                    *value = self.mark(Mark::Credential(KNOWN), platform, "").into();
                }
                Value::Null
                | Value::Bool(_)
                | Value::Number(_)
                | Value::String(_)
                | Value::Array(_)
                | Value::Object(_) => {}
            }
        }
    }

    /// The text without what one look finds; `None` when that is nothing.
    fn round(&self, platform: &str, text: &str, found: &mut Redactions) -> Option<String> {
        let mut pieces = apart(text);
        let before = pieces.len();
        self.apply(&places::GEO, platform, &mut pieces, found);
        for secret in &self.secrets {
            let find = |text: &str| {
                text.match_indices(secret.as_str()).map(|(at, _)| at..at + secret.len()).collect()
            };
            self.cut(Mark::Credential(KNOWN), find, platform, &mut pieces, found);
        }
        for rules in [
            &credentials::CREDENTIALS,
            &contacts::EMAILS,
            &places::ADDRESSES,
            &contacts::PHONES,
            &handles::HANDLES,
        ] {
            self.apply(rules, platform, &mut pieces, found);
        }
        let join = |piece: &Piece<'_>| match piece {
            Piece::Text(text) | Piece::Old(text) => (*text).to_owned(),
            Piece::New(mark) => mark.clone(),
        };
        (pieces.len() > before || pieces.iter().any(|piece| matches!(piece, Piece::New(_))))
            .then(|| pieces.iter().map(join).collect())
    }

    fn apply(&self, rules: &[Rule], platform: &str, pieces: &mut Vec<Piece<'_>>, found: &mut Redactions) {
        for rule in rules {
            self.cut(rule.mark(), |text| rule.find(text), platform, pieces, found);
        }
    }

    /// Puts a mark in the place of each part that is found.
    fn cut<'t>(
        &self,
        mark: Mark,
        find: impl Fn(&'t str) -> Vec<std::ops::Range<usize>>,
        platform: &str,
        pieces: &mut Vec<Piece<'t>>,
        found: &mut Redactions,
    ) {
        let mut after = Vec::with_capacity(pieces.len());
        for piece in pieces.drain(..) {
            let Piece::Text(text) = piece else {
                after.push(piece);
                continue;
            };
            let mut at = 0;
            for part in find(text) {
                found.count(mark);
                after.extend(Piece::some(&text[at..part.start]));
                after.push(Piece::New(self.mark(mark, platform, &text[part.clone()])));
                at = part.end;
            }
            after.extend(Piece::some(&text[at..]));
        }
        *pieces = after;
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

/// A part of a text.
enum Piece<'t> {
    /// Something to look at.
    Text(&'t str),
    /// A mark that was there, which stays as it is.
    Old(&'t str),
    /// A mark in the place of what was found.
    New(String),
}

impl<'t> Piece<'t> {
    fn some(text: &'t str) -> Option<Self> {
        (!text.is_empty()).then_some(Self::Text(text))
    }
}

/// The marks in a text, and what is between them.
fn apart(text: &str) -> Vec<Piece<'_>> {
    let (mut pieces, mut at) = (Vec::new(), 0);
    for mark in MARKS.find_iter(text) {
        pieces.extend(Piece::some(&text[at..mark.start()]));
        pieces.push(Piece::Old(mark.as_str()));
        at = mark.end();
    }
    pieces.extend(Piece::some(&text[at..]));
    pieces
}

fn is_mark(text: &str) -> bool {
    MARKS.find(text).is_some_and(|mark| mark.len() == text.len())
}

fn is_one_of(key: &str, keys: &[&str]) -> bool {
    keys.iter().any(|known| known.eq_ignore_ascii_case(key))
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

const LATITUDES: [&str; 2] = ["lat", "latitude"];
const LONGITUDES: [&str; 4] = ["lng", "lon", "long", "longitude"];
/// The label of what is known to be secret by itself or by its key.
const KNOWN: &str = "secret";
/// The label of a text in which more and more was found.
const UNSETTLED: &str = "unsettled";
/// The platform of trajectories without a source.
const NO_PLATFORM: &str = "unknown";
const SECRET_CHARS_MIN: usize = 8;
const PSEUDONYM_BYTES: usize = 8;
const ROUNDS_MAX: usize = 16;
