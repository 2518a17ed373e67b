//! SQLite's errors in the journal's words.

use rusqlite::ErrorCode;
use trainyard_journal::JournalError;
use trainyard_journal::codec::DecodeError;

/// What SQLite said when `journal` was to be `operation`ed.
pub(crate) fn failure(operation: &str, journal: &str, error: rusqlite::Error) -> JournalError {
    let code = error.sqlite_error_code();
    let failure = if code == Some(ErrorCode::DiskFull) || is_without_room(&error) {
        JournalError::full(journal)
    } else if matches!(code, Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
        || is_odd_value(&error)
    {
        JournalError::corrupt(journal)
    } else if matches!(code, Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)) {
        JournalError::locked(journal, "another program that is writing to the file")
    } else {
        JournalError::failed(format!("could not {operation} {journal}"))
    };
    failure.with_source(error)
}

/// What the codec said about something in a journal.
pub(crate) fn undecodable(place: &str, error: DecodeError) -> JournalError {
    match error.unknown_version() {
        Some(version) => JournalError::unknown_version(place, version),
        None => JournalError::corrupt(place),
    }
    .with_source(error)
}

/// The index of the write-ahead log could not grow. SQLite does not say why; nearly always there is no room.
fn is_without_room(error: &rusqlite::Error) -> bool {
    error.sqlite_error().is_some_and(|error| error.extended_code == rusqlite::ffi::SQLITE_IOERR_SHMSIZE)
}

/// A column that holds something else than what is written there.
fn is_odd_value(error: &rusqlite::Error) -> bool {
    use rusqlite::Error as E;
    matches!(
        error,
        E::InvalidColumnType(..)
            | E::IntegralValueOutOfRange(..)
            | E::FromSqlConversionFailure(..)
            | E::Utf8Error(..)
    )
}
