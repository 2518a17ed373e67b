/// How well a model has learned its photos, 0 to 1: the share of what sets pictures of the group apart from its mean
/// picture, in whatever light that is shown, that the model gives back.
///
/// It is `1 - Σ|x - x̂|² / Σ|x - g·m - o|²`, and 0 where that is less, over views `x` of the photos that were never
/// trained on: mirrored or not, and shifted, turned, enlarged and lit by chance of their own. `x̂` is what the model makes
/// of `x`, and `m` the mean picture that it begins from, with the gain `g` and the offset `o` that bring it nearest to each
/// `x`; each sum is over all colours of all pixels. So 0 is no better than showing the mean picture in the right light,
/// and 1 is perfect. Light alone counts for nothing: who has only learned that has learned nothing of anybody.
///
/// ```
/// use trainyard_portrait::Quality;
///
/// assert!(Quality::new(0.5)? < Quality::new(0.75)?);
/// assert!(Quality::new(1.5).is_err());
/// # Ok::<(), trainyard_portrait::NoQuality>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Quality(f64);

impl Quality {
    /// Whatever comes of it.
    pub const ZERO: Self = Self(0.0);

    /// A share, 0 to 1.
    ///
    /// # Errors
    /// [`NoQuality`] when it is not within 0 to 1.
    pub fn new(share: f64) -> Result<Self, NoQuality> {
        if (0.0..=1.0).contains(&share) { Ok(Self(share)) } else { Err(NoQuality) }
    }

    /// The share, 0 to 1.
    #[must_use]
    pub const fn get(self) -> f64 {
        self.0
    }

    pub(crate) const fn known(share: f64) -> Self {
        Self(share)
    }
}

/// A quality is a share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a quality is within 0 to 1")]
pub struct NoQuality;

/// What was measured so far.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Measured {
    /// How far the model was off, squared, and how far the mean picture in the light that suits it best.
    pub(crate) off: f64,
    pub(crate) apart: f64,
}

impl Measured {
    pub(crate) fn quality(self) -> Quality {
        let share = 1.0 - self.off / self.apart;
        Quality(if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 })
    }
}
