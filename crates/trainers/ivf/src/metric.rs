use std::fmt;

use crate::numeric::{dot, squared_distance};

/// How far apart two vectors are. Smaller is nearer, always.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Metric {
    /// The length of the difference, √Σ(aᵢ − bᵢ)².
    #[default]
    Euclidean,
    /// Its square, Σ(aᵢ − bᵢ)².
    SquaredEuclidean,
    /// One minus the cosine of the angle, 0 to 2. A vector of zeros has distance 1 to every vector.
    Cosine,
}

impl Metric {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Euclidean, Self::SquaredEuclidean, Self::Cosine];

    /// The name, as stored: `euclidean`, `squared_euclidean`, `cosine`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Euclidean => "euclidean",
            Self::SquaredEuclidean => "squared_euclidean",
            Self::Cosine => "cosine",
        }
    }

    /// The metric of this name.
    ///
    /// ```
    /// use trainyard_ivf::Metric;
    ///
    /// assert_eq!(Metric::from_name("cosine"), Some(Metric::Cosine));
    /// assert_eq!(Metric::from_name("manhattan"), None);
    /// ```
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|metric| metric.name() == name)
    }

    /// Whether vectors are scaled to length 1 before they are compared, so that two of these metrics share
    /// their models.
    pub(crate) fn scales(self) -> bool {
        match self {
            Self::Euclidean | Self::SquaredEuclidean => false,
            Self::Cosine => true,
        }
    }

    /// Something that orders as the distance does and is cheaper. Both vectors scaled if the metric says so.
    pub(crate) fn key(self, a: &[f32], b: &[f32]) -> f32 {
        match self {
            Self::Euclidean | Self::SquaredEuclidean => squared_distance(a, b),
            Self::Cosine => (1.0 - dot(a, b)).clamp(0.0, 2.0),
        }
    }

    /// The distance a key stands for.
    pub(crate) fn distance(self, key: f32) -> f32 {
        match self {
            Self::Euclidean => key.sqrt(),
            Self::SquaredEuclidean | Self::Cosine => key,
        }
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
