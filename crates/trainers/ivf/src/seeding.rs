use crate::codebook::{GivenUp, Stop};
use crate::numeric::squared_distance;
use crate::share::share;
use crate::{KMeans, TrainingSet};
use trainyard_trainkit::Chance;

/// The first centroids are chosen among at most this many points per list.
const CANDIDATES_PER_LIST: usize = 16;
/// Points per job; also what is summed up at a time, so that sums do not depend on threads.
const CHUNK: usize = 1024;
/// Threads are only worth starting for this many products.
const SHARED_FROM: usize = 1 << 22;
const STREAM_CANDIDATES: u64 = 1;
const STREAM_DRAWS: u64 = 2;

/// k-means++ over a sample: the first centroid is any point, each further one a point drawn with a chance
/// that grows with the square of its distance to the nearest centroid chosen so far.
pub(crate) fn plus_plus(set: &TrainingSet, params: &KMeans, stop: Stop<'_>) -> Result<Vec<f32>, GivenUp> {
    let (dim, lists) = (set.dimension(), params.list_count());
    let wanted = lists.saturating_mul(CANDIDATES_PER_LIST);
    let sampled = set.sample(wanted, params.seed(), STREAM_CANDIDATES);
    let points = sampled.as_deref().unwrap_or(set.points());
    let count = points.len() / dim;
    let mut chance = Chance::new(params.seed(), STREAM_DRAWS);
    let mut distances = vec![f32::INFINITY; count];
    let mut centroids = Vec::with_capacity(lists * dim);
    let mut chosen = chance.below(count);
    loop {
        if stop() {
            return Err(GivenUp);
        }
        let centroid = &points[chosen * dim..][..dim];
        centroids.extend_from_slice(centroid);
        if centroids.len() == lists * dim {
            return Ok(centroids);
        }
        let threads = if count * dim < SHARED_FROM { std::num::NonZeroUsize::MIN } else { params.threads() };
        let jobs = distances.chunks_mut(CHUNK).zip(points.chunks(CHUNK * dim));
        share(threads, jobs, |jobs| {
            while let Some((distances, points)) = jobs.next() {
                for (nearest, point) in distances.iter_mut().zip(points.chunks_exact(dim)) {
                    *nearest = nearest.min(squared_distance(point, centroid));
                }
            }
        });
        chosen = draw(&distances, &mut chance);
    }
}

/// A point, with a chance in proportion to its weight; any point when all weigh nothing.
fn draw(weights: &[f32], chance: &mut Chance) -> usize {
    let sum = |chunk: &[f32]| chunk.iter().map(|&weight| f64::from(weight)).sum::<f64>();
    let chunks: Vec<f64> = weights.chunks(CHUNK).map(sum).collect();
    let total: f64 = chunks.iter().sum();
    if !(total > 0.0 && total.is_finite()) {
        return chance.below(weights.len());
    }
    let mut left = chance.unit() * total;
    let last = chunks.len() - 1;
    let chunk = chunks.iter().position(|&weight| pass(&mut left, weight)).unwrap_or(last);
    let start = chunk * CHUNK;
    let weights = &weights[start..weights.len().min(start + CHUNK)];
    // rounding may carry past the end: then the last that weighs anything
    let fallback = || weights.iter().rposition(|&weight| weight > 0.0).unwrap_or(0);
    start + weights.iter().position(|&weight| pass(&mut left, f64::from(weight))).unwrap_or_else(fallback)
}

/// Whether the draw falls into this weight; else it is used up.
fn pass(left: &mut f64, weight: f64) -> bool {
    let here = *left < weight;
    if !here {
        *left -= weight;
    }
    here
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_follow_the_weights() {
        let weights = [0.0, 1.0, 0.0, 3.0];
        let mut chance = Chance::new(5, 0);
        let mut counts = [0; 4];
        (0..4000).for_each(|_| counts[draw(&weights, &mut chance)] += 1);
        assert_eq!((counts[0], counts[2]), (0, 0));
        assert!((900..1100).contains(&counts[1]), "{counts:?}");
    }

    #[test]
    fn weightless_points_are_drawn_evenly() {
        let mut chance = Chance::new(5, 0);
        assert!((0..100).all(|_| draw(&[0.0; 3], &mut chance) < 3));
        assert!(draw(&[f32::INFINITY; 3], &mut chance) < 3);
    }
}
