//! Virtual clocks, failing journals and conformance suites for trainyard.

pub mod arbitrary;
pub mod clock;
pub mod failing_journal;
pub mod journal_conformance;
