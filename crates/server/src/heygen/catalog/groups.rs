//! The records of groups.

use std::collections::BTreeSet;

use rusqlite::{Row, Transaction, params};
use trainyard_core::Timestamp;
use trainyard_heygen::{AssetId, Group, GroupId, NewGroup};

use super::looks::{LookToAdd, insert};
use super::{Catalog, NotAdded};
use crate::records::{Records, RecordsError, count, failed, id, text};

impl Catalog {
    /// Makes a group with its first look, unless there are `max` groups.
    pub(crate) fn add_group(
        &self,
        key: GroupId,
        new: &NewGroup,
        first: LookToAdd,
        max: u64,
    ) -> Result<(), NotAdded> {
        let mut writer = self.records.writer.lock();
        let transaction = writer.transaction().map_err(failed("write"))?;
        let there = transaction.query_row("SELECT count(*) FROM avatar_groups", [], |row| Ok(count(row, 0)));
        if there.map_err(failed("read"))?? >= max {
            return Err(NotAdded::TooMany { what: "groups", max });
        }
        let sql = "INSERT INTO avatar_groups (id, name, created_ms) VALUES (?1, ?2, ?3)";
        let values = params![key.to_string(), new.name, new.at.as_millis()];
        transaction.execute(sql, values).map_err(failed("write"))?;
        insert(&transaction, key, &new.name, new.at, first)?;
        transaction.commit().map_err(failed("write"))?;
        self.known.write().insert(key);
        Ok(())
    }

    /// All groups, newest first.
    pub(crate) fn groups(&self) -> Result<Vec<Group>, RecordsError> {
        self.records.all(&format!("{SELECT} ORDER BY serial DESC"), [], read_group)
    }

    /// A group.
    pub(crate) fn group(&self, key: GroupId) -> Result<Option<Group>, RecordsError> {
        self.records.find(&format!("{SELECT} WHERE id = ?1"), params![key.to_string()], read_group)
    }

    /// Removes a group with its looks; whether there was one.
    pub(crate) fn remove_group(&self, key: GroupId) -> Result<bool, RecordsError> {
        let writer = self.records.writer.lock();
        let sql = "DELETE FROM avatar_groups WHERE id = ?1";
        let removed = writer.execute(sql, params![key.to_string()]).map_err(failed("write"))? == 1;
        self.known.write().remove(&key);
        Ok(removed)
    }

    /// Whether there is such a group. Does not wait for the disk.
    pub(crate) fn has_group(&self, key: GroupId) -> bool {
        self.known.read().contains(&key)
    }
}

const SELECT: &str = "SELECT id, name, created_ms,
    (SELECT count(*) FROM looks WHERE avatar_group = avatar_groups.id),
    (SELECT image FROM looks WHERE avatar_group = avatar_groups.id ORDER BY serial LIMIT 1)
    FROM avatar_groups";

fn read_group(row: &Row<'_>) -> Result<Group, RecordsError> {
    let preview: Option<String> = row.get(4).map_err(failed("read"))?;
    let preview = preview.map(|text| id("image", &text)).transpose()?;
    Ok(Group {
        id: GroupId::new(id("group id", &text(row, 0)?)?),
        name: text(row, 1)?,
        created_at: Timestamp::from_millis(row.get(2).map_err(failed("read"))?),
        looks: count(row, 3)?,
        preview: preview.map(AssetId::new),
    })
}

/// Every group.
pub(super) fn known(records: &Records) -> Result<BTreeSet<GroupId>, RecordsError> {
    let read = |row: &Row<'_>| Ok(GroupId::new(id("group id", &text(row, 0)?)?));
    Ok(records.all("SELECT id FROM avatar_groups", [], read)?.into_iter().collect())
}

/// How many looks a group has; `None` when there is no such group.
pub(super) fn looks_in(transaction: &Transaction<'_>, key: GroupId) -> Result<Option<u64>, RecordsError> {
    let sql = "SELECT (SELECT count(*) FROM looks WHERE avatar_group = ?1)
        WHERE EXISTS (SELECT 1 FROM avatar_groups WHERE id = ?1)";
    let found = transaction.query_row(sql, params![key.to_string()], |row| Ok(count(row, 0)));
    rusqlite::OptionalExtension::optional(found).map_err(failed("read"))?.transpose()
}
