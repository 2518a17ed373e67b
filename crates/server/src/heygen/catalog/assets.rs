//! The records of assets.

use rusqlite::{Params, Row, Transaction, params};
use trainyard_core::Timestamp;
use trainyard_heygen::{Asset, AssetId, Media};

use super::{Catalog, NotAdded};
use crate::records::{RecordsError, count, failed, id, stored, text};

/// The name of the file of an asset: which, and of what sort.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) id: AssetId,
    pub(crate) media: Media,
}

impl Catalog {
    /// Lets an asset in. Where there are `max` already, the oldest ones that no look shows and that came before `settled`
    /// go, which are handed back; when not enough of them can go, it is refused.
    pub(crate) fn add_asset(
        &self,
        asset: &Asset,
        max: u64,
        settled: Timestamp,
    ) -> Result<Vec<Stored>, NotAdded> {
        let mut writer = self.records.writer.lock();
        let transaction = writer.transaction().map_err(failed("write"))?;
        let there = transaction.query_row("SELECT count(*) FROM assets", [], |row| Ok(count(row, 0)));
        let over = (there.map_err(failed("read"))?? + 1).saturating_sub(max);
        let mut gone = Vec::new();
        if over > 0 {
            let sql = "DELETE FROM assets WHERE serial IN
                (SELECT serial FROM assets
                    WHERE created_ms < ?2 AND NOT EXISTS (SELECT 1 FROM looks WHERE image = assets.id)
                    ORDER BY serial LIMIT ?1)
                RETURNING id, media";
            gone = removed(&transaction, sql, params![stored(over), settled.as_millis()])?;
            if stored(over) > i64::try_from(gone.len()).unwrap_or(i64::MAX) {
                return Err(NotAdded::TooMany { what: "assets", max });
            }
        }
        let sql = "INSERT INTO assets (id, media, created_ms) VALUES (?1, ?2, ?3)";
        let values = params![asset.id.to_string(), word(asset.media), asset.created_at.as_millis()];
        transaction.execute(sql, values).map_err(failed("write"))?;
        transaction.commit().map_err(failed("write"))?;
        Ok(gone)
    }

    /// Removes the assets that no look shows and that came before this time, which are handed back.
    pub(crate) fn sweep_assets(&self, before: Timestamp) -> Result<Vec<Stored>, RecordsError> {
        let sql = "DELETE FROM assets
            WHERE created_ms < ?1 AND NOT EXISTS (SELECT 1 FROM looks WHERE image = assets.id)
            RETURNING id, media";
        let mut writer = self.records.writer.lock();
        let transaction = writer.transaction().map_err(failed("write"))?;
        let gone = removed(&transaction, sql, params![before.as_millis()])?;
        transaction.commit().map_err(failed("write"))?;
        Ok(gone)
    }

    /// An asset.
    pub(crate) fn asset(&self, key: AssetId) -> Result<Option<Asset>, RecordsError> {
        let sql = "SELECT id, media, created_ms FROM assets WHERE id = ?1";
        self.records.find(sql, params![key.to_string()], |row| {
            let Stored { id, media } = read_stored(row)?;
            let created_at = Timestamp::from_millis(row.get(2).map_err(failed("read"))?);
            Ok(Asset { id, media, created_at })
        })
    }

    /// The files of all assets.
    pub(crate) fn assets(&self) -> Result<Vec<Stored>, RecordsError> {
        self.records.all("SELECT id, media FROM assets", [], read_stored)
    }
}

fn removed(
    transaction: &Transaction<'_>,
    sql: &str,
    values: impl Params,
) -> Result<Vec<Stored>, RecordsError> {
    let mut statement = transaction.prepare(sql).map_err(failed("write"))?;
    let mut rows = statement.query(values).map_err(failed("write"))?;
    let mut gone = Vec::new();
    while let Some(row) = rows.next().map_err(failed("write"))? {
        gone.push(read_stored(row)?);
    }
    Ok(gone)
}

fn read_stored(row: &Row<'_>) -> Result<Stored, RecordsError> {
    let media = read_media(&text(row, 1)?)?;
    Ok(Stored { id: AssetId::new(id("asset id", &text(row, 0)?)?), media })
}

pub(super) fn read_media(word: &str) -> Result<Media, RecordsError> {
    match word {
        "jpeg" => Ok(Media::Jpeg),
        "png" => Ok(Media::Png),
        "mp4" => Ok(Media::Mp4),
        "webm" => Ok(Media::WebM),
        "mp3" => Ok(Media::Mp3),
        "wav" => Ok(Media::Wav),
        other => Err(RecordsError::Damaged(format!("an asset of the sort {other:?}"))),
    }
}

const fn word(media: Media) -> &'static str {
    match media {
        Media::Jpeg => "jpeg",
        Media::Png => "png",
        Media::Mp4 => "mp4",
        Media::WebM => "webm",
        Media::Mp3 => "mp3",
        Media::Wav => "wav",
    }
}
