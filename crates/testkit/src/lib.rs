//! Virtual clocks, failing journals, bare yards and conformance suites for trainyard.

pub mod arbitrary;
pub mod bare_yard;
pub mod clock;
pub mod failing_journal;
pub mod journal_conformance;
