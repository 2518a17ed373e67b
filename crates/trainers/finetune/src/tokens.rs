//! Text as tokens: its bytes.

/// How many tokens there are: 256 bytes, five marks, and three that stand for nothing, which round it up.
pub(crate) const COUNT: usize = 264;
