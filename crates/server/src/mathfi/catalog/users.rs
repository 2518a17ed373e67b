//! The records of users.

use rusqlite::{OptionalExtension, Row, params};
use trainyard_mathfi::{Stamp, UserId};

use super::{Catalog, CatalogError, failed, id};
use crate::mathfi::passwords::Phc;

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
    pub(crate) fn user(&self, name: &str) -> Result<Option<UserRecord>, CatalogError> {
        let sql = "SELECT id, name, password, stamp, origin FROM users WHERE name = ?1";
        let reader = self.reader.lock();
        let found = reader.query_row(sql, params![name], |row| Ok(record(row))).optional();
        found.map_err(failed("read"))?.transpose()
    }

    /// Keeps a user; of an earlier one of this name only the id stays, with all that is theirs.
    pub(crate) fn put_user(&self, user: &UserRecord) -> Result<(), CatalogError> {
        let sql = "INSERT INTO users (id, name, password, stamp, origin) VALUES (?1, ?2, ?3, ?4, ?5)
            ON CONFLICT (name) DO UPDATE SET
                password = excluded.password, stamp = excluded.stamp, origin = excluded.origin";
        let UserRecord { id, name, password, stamp, origin } = user;
        let values = params![id.to_string(), name, password.as_str(), stamp.0.cast_signed(), origin.word()];
        self.writer.lock().execute(sql, values).map_err(failed("write"))?;
        Ok(())
    }

    /// The users that were made are told of now.
    pub(crate) fn tell_users(&self) -> Result<(), CatalogError> {
        let sql = "UPDATE users SET origin = 'made' WHERE origin = 'untold'";
        self.writer.lock().execute(sql, []).map_err(failed("write"))?;
        Ok(())
    }
}

fn record(row: &Row<'_>) -> Result<UserRecord, CatalogError> {
    let text = |column| row.get::<_, String>(column).map_err(failed("read"));
    let name = text(1)?;
    let stamp: i64 = row.get(3).map_err(failed("read"))?;
    let origin = text(4)?;
    let origin =
        [Origin::Configured, Origin::Untold, Origin::Made].into_iter().find(|known| known.word() == origin);
    Ok(UserRecord {
        id: UserId::new(id("user id", &text(0)?)?),
        password: Phc::stored(text(2)?),
        stamp: Stamp(stamp.cast_unsigned()),
        origin: origin.ok_or_else(|| CatalogError::Damaged(format!("the origin of {name:?}")))?,
        name,
    })
}
