use crate::numeric::normalise;
use crate::{KMeans, Metric, TrainError};
use trainyard_trainkit::Chance;

/// The points a training sees: a copy, independent of the index they came from.
///
/// Rows of `dimension` numbers one after the other; scaled to length 1 when the metric is
/// [`Metric::Cosine`]. 4 bytes per number.
///
/// ```
/// use trainyard_ivf::{Metric, TrainingSet};
///
/// let set = TrainingSet::new(2, Metric::Cosine, vec![3.0, 4.0, 0.0, 2.0])?;
/// assert_eq!(set.len(), 2);
/// assert_eq!(set.points(), [0.6, 0.8, 0.0, 1.0]);
/// # Ok::<(), trainyard_ivf::TrainError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct TrainingSet {
    dim: usize,
    metric: Metric,
    points: Vec<f32>,
}

impl TrainingSet {
    /// Takes rows of `dimension` numbers.
    ///
    /// # Errors
    /// [`TrainError::RaggedPoints`] when the numbers do not fill whole rows (or the dimension is zero),
    /// [`TrainError::NotFinite`] when one of them is infinite or not a number.
    pub fn new(dimension: usize, metric: Metric, mut points: Vec<f32>) -> Result<Self, TrainError> {
        if dimension == 0 || !points.len().is_multiple_of(dimension) {
            return Err(TrainError::RaggedPoints { numbers: points.len(), dimension });
        }
        if let Some(at) = points.iter().position(|x| !x.is_finite()) {
            return Err(TrainError::NotFinite { point: at / dimension, component: at % dimension });
        }
        if metric.scales() {
            points.chunks_exact_mut(dimension).for_each(normalise);
        }
        Ok(Self::of_checked(dimension, metric, points))
    }

    /// Rows that are finite, and scaled where the metric wants it.
    pub(crate) fn of_checked(dim: usize, metric: Metric, points: Vec<f32>) -> Self {
        Self { dim, metric, points }
    }

    /// At most [`KMeans::points_max`] of the points, chosen evenly by the seed.
    #[must_use]
    pub fn sampled(self, params: &KMeans) -> Self {
        match self.sample(params.points_max(), params.seed(), STREAM_SET) {
            Some(points) => Self { points, ..self },
            None => self,
        }
    }

    /// The numbers of one row.
    #[must_use]
    pub fn dimension(&self) -> usize {
        self.dim
    }

    /// The metric the points are for.
    #[must_use]
    pub fn metric(&self) -> Metric {
        self.metric
    }

    /// How many points.
    #[must_use]
    pub fn len(&self) -> usize {
        self.points.len() / self.dim
    }

    /// Whether there is no point.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.points.is_empty()
    }

    /// All rows, one after the other.
    #[must_use]
    pub fn points(&self) -> &[f32] {
        &self.points
    }

    /// `wanted` of the rows, or `None` when there are not more than that.
    pub(crate) fn sample(&self, wanted: usize, seed: u64, stream: u64) -> Option<Vec<f32>> {
        let chosen = choose(self.len(), wanted, seed, stream)?;
        let rows = chosen.flat_map(|row| &self.points[row * self.dim..][..self.dim]);
        Some(rows.copied().collect())
    }
}

pub(crate) const STREAM_SET: u64 = 0;

/// `wanted` of `count` positions, ascending, every such choice as likely as every other; `None` when
/// that is all of them.
pub(crate) fn choose(
    count: usize,
    wanted: usize,
    seed: u64,
    stream: u64,
) -> Option<impl Iterator<Item = usize>> {
    let mut chance = Chance::new(seed, stream);
    let mut wanted_still = wanted;
    (wanted < count).then(|| {
        (0..count).filter(move |at| {
            let taken = chance.below(count - at) < wanted_still;
            wanted_still -= usize::from(taken);
            taken
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choosing_takes_exactly_as_many_as_wanted_and_all_parts_alike() {
        let chosen: Vec<usize> = choose(1000, 250, 3, 0).unwrap().collect();
        assert_eq!(chosen.len(), 250);
        assert!(chosen.windows(2).all(|pair| pair[0] < pair[1]));
        let early = chosen.iter().filter(|&&at| at < 500).count();
        assert!((90..160).contains(&early), "{early}");
        assert!(choose(1000, 1000, 3, 0).is_none());
    }

    #[test]
    fn a_large_set_is_sampled_down_to_the_bound() {
        let set = TrainingSet::new(1, Metric::Euclidean, (0..5000_u16).map(f32::from).collect()).unwrap();
        let params = KMeans::new(2.try_into().unwrap());
        let sampled = set.clone().sampled(&params);
        assert_eq!(sampled.len(), 512);
        assert_eq!(sampled, set.clone().sampled(&params), "the same seed, the same points");
        assert_ne!(sampled, set.clone().sampled(&params.clone().with_seed(1)));
        let all = params.with_points_per_list(2500.try_into().unwrap());
        assert_eq!(set.clone().sampled(&all), set);
    }

    #[test]
    fn points_must_be_whole_and_finite() {
        let ragged = TrainingSet::new(2, Metric::Euclidean, vec![0.0; 3]).unwrap_err();
        assert_eq!(ragged, TrainError::RaggedPoints { numbers: 3, dimension: 2 });
        let broken = TrainingSet::new(2, Metric::Euclidean, vec![0.0, 0.0, 0.0, f32::NAN]).unwrap_err();
        assert_eq!(broken, TrainError::NotFinite { point: 1, component: 1 });
    }
}
