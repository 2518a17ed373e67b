//! One durable submit of one caller, beside a bare insert of the same row into SQLite with the same settings.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use trainyard_benches::median;
use trainyard_core::{Event, Fact, Timestamp};
use trainyard_journal::{codec, render};

use crate::{Options, Result, micros, paused, row, submissions};

/// Short rounds in turn, so that a slow moment of the disk meets both.
const ROUNDS: u64 = 100;
const EACH: u64 = 20;

pub(crate) fn measure(options: &Options) -> Result<()> {
    let folder = tempfile::tempdir_in(&options.folder)?;
    let yard = paused(folder.path())?;
    let bare = bare(folder.path())?;
    let [mut ours, mut theirs, mut ratios] = [(); 3].map(|()| vec![]);
    for round in 0..ROUNDS {
        let all = submissions(&yard, round * EACH, EACH)?;
        let at = Timestamp::from_millis(1_800_000_000_000);
        let mut rows = vec![];
        for submission in &all {
            let event = Event::Submitted { submission: Arc::new(submission.clone()) };
            let facts = [Fact { at, event }];
            rows.push((codec::encode(&facts)?, render::to_json_array(at, &facts)));
        }
        let start = Instant::now();
        for (number, (facts, text)) in rows.into_iter().enumerate() {
            insert(&bare, round * EACH + number as u64, facts, text)?;
        }
        let bare = start.elapsed().as_secs_f64() / EACH as f64;
        let start = Instant::now();
        for submission in all {
            yard.submit(submission).wait()?;
        }
        let mine = start.elapsed().as_secs_f64() / EACH as f64;
        theirs.push(bare);
        ours.push(mine);
        ratios.push(mine / bare);
    }
    yard.shutdown(Duration::from_secs(5)).wait()?;
    row("one durable submit, one caller", &micros(median(&mut ours)), "");
    row("  a bare SQLite insert of the same row", &micros(median(&mut theirs)), "");
    row("  a durable submit beside the bare insert", &format!("{:.3}", median(&mut ratios)), "<= 1.15");
    Ok(())
}

fn bare(folder: &Path) -> Result<Connection> {
    let connection = Connection::open(folder.join("bare.sqlite"))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "fullfsync", "ON")?;
    connection.execute_batch(
        "CREATE TABLE records (position INTEGER PRIMARY KEY, writer BLOB NOT NULL, at INTEGER NOT NULL,
         checksum INTEGER NOT NULL, facts BLOB NOT NULL, readable TEXT) STRICT",
    )?;
    Ok(connection)
}

fn insert(connection: &Connection, number: u64, facts: Vec<u8>, text: String) -> Result<()> {
    let mut insert =
        connection.prepare_cached("INSERT INTO records VALUES (?1, ?2, 1800000000000, 1234567, ?3, ?4)")?;
    insert.execute((i64::try_from(number)?, [7_u8; 16], facts, text))?;
    Ok(())
}
