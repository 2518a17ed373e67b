//! How large what an agent sends may be.

/// How large a trajectory may be, and how many there may be. What is beyond is refused, early, and in bounded memory.
///
/// ```
/// use trainyard_trajectories::Limits;
///
/// let limits = Limits { calls: 10, ..Limits::default() };
/// assert_eq!(limits.bytes, 1 << 20);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The trajectories that are read from one source. Default: 100,000.
    pub trajectories: u64,
    /// What one trajectory takes as JSON, in bytes. Default: 1 MiB.
    pub bytes: usize,
    /// The steps of a trajectory. Default: 1,000.
    pub steps: usize,
    /// The model calls of a trajectory. Default: 2,000.
    pub calls: usize,
    /// The provider accesses of a trajectory. Default: 2,000.
    pub accesses: usize,
    /// A prompt, a response or a reasoning, in bytes of UTF-8. Default: 256 KiB.
    pub text_bytes: usize,
    /// The name of a model, a purpose, a source and the like, in bytes of UTF-8. Default: 256.
    pub name_bytes: usize,
    /// How deep lists and objects may be nested in each other; above 100 it is as if it said 100. Default: 64.
    pub depth: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            trajectories: 100_000,
            bytes: 1 << 20,
            steps: 1_000,
            calls: 2_000,
            accesses: 2_000,
            text_bytes: 256 << 10,
            name_bytes: 256,
            depth: 64,
        }
    }
}
