//! Ids that agents give.

use std::fmt;
use std::str::FromStr;

use crate::error::Problem;

/// The id of a trajectory or an agent, as whoever made it spelled it: 1 to 128 bytes without control characters.
///
/// It may hold slashes and dots, so it is never a part of a path.
///
/// ```
/// use trainyard_trajectories::Id;
///
/// let id: Id = "telegram/2026-01-31/7".parse()?;
/// assert_eq!(id.as_str(), "telegram/2026-01-31/7");
/// assert!("".parse::<Id>().is_err() && "a\nb".parse::<Id>().is_err());
/// # Ok::<(), trainyard_trajectories::Problem>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id(String);

impl Id {
    /// The text of it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What the privacy filter left of an id; only ever written, never looked up.
    pub(crate) fn filtered(text: String) -> Self {
        Self(text)
    }
}

impl FromStr for Id {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self, Problem> {
        let fits = (1..=BYTES_MAX).contains(&text.len()) && !text.chars().any(char::is_control);
        if fits { Ok(Self(text.to_owned())) } else { Err(Problem::BadId) }
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

const BYTES_MAX: usize = 128;
