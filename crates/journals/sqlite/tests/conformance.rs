//! The journal does what every journal must.

use trainyard_journal::Journal;
use trainyard_sqlite::{SqliteJournal, SqliteOptions};
use trainyard_testkit::journal_conformance::{self as conformance, Holders, Log};

struct OnDisk(tempfile::TempDir);

impl Log for OnDisk {
    const HOLDERS: Holders = Holders::One;

    fn fresh() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    fn open(&mut self) -> Box<dyn Journal> {
        Box::new(
            SqliteJournal::open(self.0.path().join("yard.sqlite"), &SqliteOptions::new())
                .expect("it opens")
                .0,
        )
    }
}

#[test]
fn the_sqlite_journal_conforms() {
    conformance::check::<OnDisk>();
}
