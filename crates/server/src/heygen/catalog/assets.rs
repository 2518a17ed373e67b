//! The records of assets.

use rusqlite::{Row, params};
use trainyard_core::Timestamp;
use trainyard_heygen::{Asset, AssetId, Media};

use super::{Catalog, NotAdded, count, text};
use crate::records::{RecordsError, failed, id, stored};

/// The name of the file of an asset: which, and of what sort.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) id: AssetId,
    pub(crate) media: Media,
}

impl Catalog {
    /// Lets an asset in. Where there are `max` already, the oldest ones that no look shows go, which are handed back;
    /// when not enough of them can go, it is refused.
    pub(crate) fn add_asset(&self, asset: &Asset, max: u64) -> Result<Vec<Stored>, NotAdded> {
        let mut writer = self.0.writer.lock();
        let transaction = writer.transaction().map_err(failed("write"))?;
        let there = transaction.query_row("SELECT count(*) FROM assets", [], |row| Ok(count(row, 0)));
        let over = (there.map_err(failed("read"))?? + 1).saturating_sub(max);
        let mut gone = Vec::new();
        if over > 0 {
            let sql = "DELETE FROM assets WHERE serial IN
                (SELECT serial FROM assets
                    WHERE NOT EXISTS (SELECT 1 FROM looks WHERE image = assets.id)
                    ORDER BY serial LIMIT ?1)
                RETURNING id, media";
            let mut statement = transaction.prepare(sql).map_err(failed("write"))?;
            let mut rows = statement.query(params![stored(over)]).map_err(failed("write"))?;
            while let Some(row) = rows.next().map_err(failed("write"))? {
                gone.push(read_stored(row)?);
            }
            if stored(over) > i64::try_from(gone.len()).unwrap_or(i64::MAX) {
                return Err(NotAdded::TooMany { what: "images in use", max });
            }
        }
        let sql = "INSERT INTO assets (id, media, created_ms) VALUES (?1, ?2, ?3)";
        let values = params![asset.id.to_string(), word(asset.media), asset.created_at.as_millis()];
        transaction.execute(sql, values).map_err(failed("write"))?;
        transaction.commit().map_err(failed("write"))?;
        Ok(gone)
    }

    /// An asset.
    pub(crate) fn asset(&self, key: AssetId) -> Result<Option<Asset>, RecordsError> {
        let sql = "SELECT id, media, created_ms FROM assets WHERE id = ?1";
        self.find(sql, params![key.to_string()], |row| {
            let Stored { id, media } = read_stored(row)?;
            let created_at = Timestamp::from_millis(row.get(2).map_err(failed("read"))?);
            Ok(Asset { id, media, created_at })
        })
    }

    /// The files of all assets.
    pub(crate) fn assets(&self) -> Result<Vec<Stored>, RecordsError> {
        self.all("SELECT id, media FROM assets", [], read_stored)
    }
}

fn read_stored(row: &Row<'_>) -> Result<Stored, RecordsError> {
    let media = read_media(&text(row, 1)?)?;
    Ok(Stored { id: AssetId::new(id("asset id", &text(row, 0)?)?), media })
}

pub(super) fn read_media(word: &str) -> Result<Media, RecordsError> {
    match word {
        "jpeg" => Ok(Media::Jpeg),
        "png" => Ok(Media::Png),
        other => Err(RecordsError::Damaged(format!("an image of the sort {other:?}"))),
    }
}

const fn word(media: Media) -> &'static str {
    match media {
        Media::Jpeg => "jpeg",
        Media::Png => "png",
    }
}
