//! The records of users.

use rusqlite::{Row, params};
use trainyard_mathfi::{Stamp, UserId};

use super::Catalog;
use crate::mathfi::passwords::Phc;
use crate::records::{RecordsError, failed, id, text};

/// A user as they are kept.
#[derive(Debug, Clone)]
pub(crate) struct UserRecord {
    pub(crate) id: UserId,
    pub(crate) name: String,
    pub(crate) password: Phc,
    pub(crate) stamp: Stamp,
    pub(crate) origin: Origin,
}

/// Who has thought of a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    Configured,
    /// Made, and whoever started the service may not have heard the password.
    Untold,
    Made,
}

impl Origin {
    const fn word(self) -> &'static str {
        match self {
            Self::Configured => "configured",
            Self::Untold => "untold",
            Self::Made => "made",
        }
    }
}

impl Catalog {
    /// The user of this name.
    pub(crate) fn user(&self, name: &str) -> Result<Option<UserRecord>, RecordsError> {
        let sql = "SELECT id, name, password, stamp, origin FROM users WHERE name = ?1";
        self.0.find(sql, params![name], record)
    }

    /// Keeps a user; of an earlier one of this name only the id stays, with all that is theirs.
    pub(crate) fn put_user(&self, user: &UserRecord) -> Result<(), RecordsError> {
        let sql = "INSERT INTO users (id, name, password, stamp, origin) VALUES (?1, ?2, ?3, ?4, ?5)
            ON CONFLICT (name) DO UPDATE SET
                password = excluded.password, stamp = excluded.stamp, origin = excluded.origin";
        let UserRecord { id, name, password, stamp, origin } = user;
        let values = params![id.to_string(), name, password.as_str(), stamp.0.cast_signed(), origin.word()];
        self.0.step(sql, values).map(drop)
    }

    /// The users that were made are told of now.
    pub(crate) fn tell_users(&self) -> Result<(), RecordsError> {
        let sql = "UPDATE users SET origin = 'made' WHERE origin = 'untold'";
        self.0.step(sql, &[]).map(drop)
    }
}

fn record(row: &Row<'_>) -> Result<UserRecord, RecordsError> {
    let name = text(row, 1)?;
    let stamp: i64 = row.get(3).map_err(failed("read"))?;
    let origin = text(row, 4)?;
    let origin =
        [Origin::Configured, Origin::Untold, Origin::Made].into_iter().find(|known| known.word() == origin);
    Ok(UserRecord {
        id: UserId::new(id("user id", &text(row, 0)?)?),
        password: Phc::stored(text(row, 2)?),
        stamp: Stamp(stamp.cast_unsigned()),
        origin: origin.ok_or_else(|| RecordsError::Damaged(format!("the origin of {name:?}")))?,
        name,
    })
}
