//! What was taken out of texts.

use serde::{Deserialize, Serialize};

/// How much was taken out of texts, by kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Redactions {
    /// Coordinates of places on earth.
    pub geo: u64,
    /// Keys, tokens, passwords and the like.
    pub credentials: u64,
    /// E-mail addresses.
    pub emails: u64,
    /// Postal addresses.
    pub addresses: u64,
    /// Phone numbers.
    pub phones: u64,
    /// Handles of people, which became names that say nothing.
    pub handles: u64,
}

impl Redactions {
    /// All of them.
    #[must_use]
    pub const fn total(&self) -> u64 {
        let Self { geo, credentials, emails, addresses, phones, handles } = *self;
        geo + credentials + emails + addresses + phones + handles
    }

    pub(crate) fn add(&mut self, other: &Self) {
        let Self { geo, credentials, emails, addresses, phones, handles } = *other;
        self.geo += geo;
        self.credentials += credentials;
        self.emails += emails;
        self.addresses += addresses;
        self.phones += phones;
        self.handles += handles;
    }

    pub(super) const fn count(&mut self, mark: Mark) {
        let count = match mark {
            Mark::Geo => &mut self.geo,
            Mark::Credential(_) => &mut self.credentials,
            Mark::Email => &mut self.emails,
            Mark::Address => &mut self.addresses,
            Mark::Phone => &mut self.phones,
            Mark::Handle => &mut self.handles,
        };
        *count += 1;
    }
}

/// What stands where something was taken out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    Geo,
    /// With what kind of credential it was.
    Credential(&'static str),
    Email,
    Address,
    Phone,
    Handle,
}
