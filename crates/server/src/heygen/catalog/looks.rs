//! The records of looks.

use rusqlite::{OptionalExtension, Row, Transaction, params};
use trainyard_core::{JobId, Timestamp};
use trainyard_heygen::{AssetId, GroupId, Look, LookId, LookState};

use super::assets::read_media;
use super::groups::looks_in;
use super::{Catalog, NotAdded, Stored};
use crate::records::{RecordsError, failed, id, reason, text};

/// A look to be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LookToAdd {
    pub(crate) id: LookId,
    pub(crate) image: AssetId,
    /// That looks at its image.
    pub(crate) job: JobId,
}

const COLUMNS: &str = "id, avatar_group, name, image, created_ms, state, reason";

impl Catalog {
    /// Adds looks to a group in this order, all of them or none, unless it would have more than `max`.
    pub(crate) fn add_looks(
        &self,
        group: GroupId,
        name: &str,
        at: Timestamp,
        looks: &[LookToAdd],
        max: u64,
    ) -> Result<(), NotAdded> {
        let mut writer = self.records.writer.lock();
        let transaction = writer.transaction().map_err(failed("write"))?;
        let there = looks_in(&transaction, group)?.ok_or(NotAdded::Gone)?;
        if u64::try_from(looks.len()).unwrap_or(u64::MAX).saturating_add(there) > max {
            return Err(NotAdded::TooMany { what: "looks", max });
        }
        looks.iter().try_for_each(|look| insert(&transaction, group, name, at, *look))?;
        transaction.commit().map_err(failed("write"))?;
        Ok(())
    }

    /// The looks of a group, oldest first; `None` when there is no such group.
    pub(crate) fn looks(&self, group: GroupId) -> Result<Option<Vec<Look>>, RecordsError> {
        if self.group(group)?.is_none() {
            return Ok(None);
        }
        let sql = format!("SELECT {COLUMNS} FROM looks WHERE avatar_group = ?1 ORDER BY serial");
        self.records.all(&sql, params![group.to_string()], read_look).map(Some)
    }

    /// A look.
    pub(crate) fn look(&self, key: LookId) -> Result<Option<Look>, RecordsError> {
        let sql = format!("SELECT {COLUMNS} FROM looks WHERE id = ?1");
        self.records.find(&sql, params![key.to_string()], read_look)
    }

    /// The image of a look that is yet to be looked at.
    pub(crate) fn pending_image(&self, key: LookId) -> Result<Option<Stored>, RecordsError> {
        let sql = "SELECT assets.id, media FROM looks JOIN assets ON assets.id = image
            WHERE looks.id = ?1 AND state = 'pending'";
        self.records.find(sql, params![key.to_string()], |row| image(row, 0))
    }

    /// The looks of a group that can be trained on, oldest first, with their names and images.
    pub(crate) fn usable(&self, group: GroupId) -> Result<Vec<(LookId, String, Stored)>, RecordsError> {
        let sql = "SELECT looks.id, name, assets.id, media FROM looks JOIN assets ON assets.id = image
            WHERE avatar_group = ?1 AND state = 'completed' ORDER BY looks.serial";
        self.records.all(sql, params![group.to_string()], |row| {
            Ok((LookId::new(id("look id", &text(row, 0)?)?), text(row, 1)?, image(row, 2)?))
        })
    }

    /// Removes a look; whether there was one.
    pub(crate) fn remove_look(&self, key: LookId) -> Result<bool, RecordsError> {
        self.records.step("DELETE FROM looks WHERE id = ?1", params![key.to_string()])
    }

    /// The looks that are yet to be looked at, oldest first, each with the job that does so.
    pub(crate) fn looks_at_work(&self) -> Result<Vec<(LookId, JobId)>, RecordsError> {
        self.records.all("SELECT id, job FROM looks WHERE state = 'pending' ORDER BY serial", [], |row| {
            let (look, job) = (id("look id", &text(row, 0)?)?, id("job id", &text(row, 1)?)?);
            Ok((LookId::new(look), JobId::new(job)))
        })
    }

    /// Its image can be trained on. False when its end was known already, or it is gone.
    pub(crate) fn complete_look(&self, key: LookId) -> Result<bool, RecordsError> {
        let sql = "UPDATE looks SET state = 'completed' WHERE id = ?1 AND state = 'pending'";
        self.records.step(sql, params![key.to_string()])
    }

    /// Its image cannot be used. False as in [`Catalog::complete_look`].
    pub(crate) fn fail_look(&self, key: LookId, why: &str) -> Result<bool, RecordsError> {
        let sql = "UPDATE looks SET state = 'failed', reason = ?2 WHERE id = ?1 AND state = 'pending'";
        self.records.step(sql, params![key.to_string(), reason(why)])
    }
}

pub(super) fn insert(
    transaction: &Transaction<'_>,
    group: GroupId,
    name: &str,
    at: Timestamp,
    look: LookToAdd,
) -> Result<(), NotAdded> {
    let LookToAdd { id, image, job } = look;
    let is_there = transaction
        .query_row("SELECT media FROM assets WHERE id = ?1", params![image.to_string()], |row| {
            Ok(text(row, 0))
        })
        .optional();
    let media = is_there.map_err(failed("read"))?.ok_or(NotAdded::NoImage(image))?;
    if !read_media(&media?)?.is_image() {
        return Err(NotAdded::NoImage(image));
    }
    let sql = "INSERT INTO looks (id, avatar_group, name, image, created_ms, state, job)
        VALUES (?1, ?2, ?3, ?4, ?5, 'pending', ?6)";
    let values =
        params![id.to_string(), group.to_string(), name, image.to_string(), at.as_millis(), job.to_string()];
    transaction.execute(sql, values).map_err(failed("write"))?;
    Ok(())
}

fn read_look(row: &Row<'_>) -> Result<Look, RecordsError> {
    let key = text(row, 0)?;
    let state = match text(row, 5)?.as_str() {
        "pending" => LookState::Pending,
        "completed" => LookState::Completed,
        "failed" => LookState::Failed { reason: text(row, 6)? },
        other => return Err(RecordsError::Damaged(format!("the state {other:?} of look {key}"))),
    };
    Ok(Look {
        id: LookId::new(id("look id", &key)?),
        group: GroupId::new(id("group id", &text(row, 1)?)?),
        name: text(row, 2)?,
        image: AssetId::new(id("image", &text(row, 3)?)?),
        created_at: Timestamp::from_millis(row.get(4).map_err(failed("read"))?),
        state,
    })
}

fn image(row: &Row<'_>, column: usize) -> Result<Stored, RecordsError> {
    let media = read_media(&text(row, column + 1)?)?;
    Ok(Stored { id: AssetId::new(id("image", &text(row, column)?)?), media })
}
