//! Training: the same whatever the threads, as good as the plain algorithm, and stopped when asked.

#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "a test may fail")]

mod common;

use std::num::NonZeroU32;
use std::ops::ControlFlow;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::{blobs, count, lists};
use trainyard_ivf::{Iteration, KMeans, KMeansState, Metric, Observer, Tolerance, TrainError, TrainingSet};

fn set(points: Vec<f32>, dim: usize) -> TrainingSet {
    TrainingSet::new(dim, Metric::Euclidean, points).unwrap()
}

/// Keeps every state.
#[derive(Default)]
struct Recorder(Mutex<Vec<KMeansState>>);

impl Observer for Recorder {
    fn on_iteration(&self, iteration: &Iteration<'_>) -> ControlFlow<()> {
        assert_eq!(iteration.total(), 100);
        self.0.lock().unwrap().push(iteration.state().clone());
        ControlFlow::Continue(())
    }
}

#[test]
fn a_seed_gives_the_same_model_for_any_threads_and_batches() {
    let set = set(blobs(1, 1_000, 16, 60, 0.7), 16);
    let params = lists(32).with_seed(9);
    let model = params.train(&set, &()).unwrap();
    assert!(model.iterations() > 5, "long enough for bounds to matter: {}", model.iterations());
    for (threads, batch) in [(2, 1024), (3, 1024), (8, 1024), (1, 100), (2, 33), (8, 50), (1, 7)] {
        let params =
            params.clone().with_threads(count(threads)).with_batch_size(NonZeroU32::new(batch).unwrap());
        let other = params.train(&set, &()).unwrap();
        assert_eq!(other.tag(), model.tag(), "{threads} threads, batches of {batch}");
    }
    assert_ne!(params.with_seed(10).train(&set, &()).unwrap().tag(), model.tag());
}

#[test]
fn every_step_is_that_of_the_plain_algorithm() {
    for (dim, count, lists_, spread) in
        [(8, 600, 12, 2.0), (24, 1_000, 64, 0.7), (3, 1_000, 140, 0.0), (40, 400, 33, 0.3)]
    {
        let points = blobs(2, count, dim, 50, spread);
        let set = set(points.clone(), dim);
        let recorder = Recorder::default();
        lists(lists_).with_tolerance(Tolerance::ZERO).train(&set, &recorder).unwrap();
        let states = recorder.0.into_inner().unwrap();
        for pair in states.windows(2) {
            let (loss, next) = plain_step(&points, dim, pair[0].centroids());
            assert!((loss - pair[1].loss()).abs() <= loss * 1e-5, "{loss} {}", pair[1].loss());
            let off = next.iter().zip(pair[1].centroids()).map(|(a, b)| (a - f64::from(*b)).abs());
            assert!(off.fold(0.0, f64::max) < 1e-4, "iteration {} of {lists_} lists", pair[1].iteration());
        }
    }
}

/// One iteration in double precision, and the loss before it.
fn plain_step(points: &[f32], dim: usize, centroids: &[f32]) -> (f64, Vec<f64>) {
    let mut sums = vec![0.0; centroids.len()];
    let mut counts = vec![0_u32; centroids.len() / dim];
    let mut loss = 0.0;
    for point in points.chunks_exact(dim) {
        let square = |c: &[f32]| {
            point.iter().zip(c).map(|(&x, &c)| (f64::from(x) - f64::from(c)).powi(2)).sum::<f64>()
        };
        let distances = centroids.chunks_exact(dim).map(square);
        let (list, distance) = distances.enumerate().min_by(|a, b| a.1.total_cmp(&b.1)).unwrap();
        loss += distance;
        counts[list] += 1;
        sums[list * dim..][..dim].iter_mut().zip(point).for_each(|(s, &x)| *s += f64::from(x));
    }
    assert!(counts.iter().all(|&count| count > 0), "a test without repairs");
    for (list, &count) in counts.iter().enumerate() {
        sums[list * dim..][..dim].iter_mut().for_each(|s| *s /= f64::from(count));
    }
    (loss, sums)
}

#[test]
fn the_loss_does_not_rise_and_the_tolerance_ends_it() {
    let set = set(blobs(3, 1_500, 12, 100, 1.0), 12);
    let long = lists(32).with_tolerance(Tolerance::ZERO).train(&set, &()).unwrap();
    assert!(long.losses().windows(2).all(|pair| pair[1] <= pair[0] * (1.0 + 1e-9)), "{:?}", long.losses());
    let short = lists(32).with_tolerance(Tolerance::new(0.01).unwrap()).train(&set, &()).unwrap();
    assert!(short.iterations() < long.iterations());
    assert_eq!(short.losses(), &long.losses()[..short.losses().len()]);
    let capped = lists(32).with_max_iters(NonZeroU32::MIN).train(&set, &()).unwrap();
    assert_eq!(capped.iterations(), 1);
}

#[test]
fn empty_lists_are_given_points_while_there_are_distinct_ones() {
    // five places, many points at each: with five lists the loss must come down to nothing
    let places = [[0.0_f32, 0.0], [50.0, 0.0], [0.0, 60.0], [70.0, 70.0], [70.1, 70.0]];
    let points: Vec<f32> = (0..2_000).flat_map(|i| places[if i % 400 == 0 { i / 400 } else { 0 }]).collect();
    let few = set(points, 2);
    for seed in 0..20 {
        let model = lists(5).with_seed(seed).train(&few, &()).unwrap();
        assert_eq!(model.loss(), 0.0, "seed {seed}: {:?}", model.centroids());
        let more = lists(9).with_seed(seed).train(&few, &()).unwrap();
        assert_eq!((more.n_lists(), more.loss()), (9, 0.0));
        assert!(more.iterations() < 100, "it settles with lists that stay empty");
    }
    let same = set(vec![1.5; 600], 3);
    assert_eq!(lists(4).train(&same, &()).unwrap().loss(), 0.0);
    let one = set(vec![1.5; 3], 3);
    assert_eq!(lists(2).train(&one, &()).unwrap().centroids(), [1.5; 6]);
}

#[test]
fn zero_and_huge_and_offset_points_train() {
    for points in [vec![0.0; 300], vec![f32::MAX; 300], vec![f32::MIN_POSITIVE; 300]] {
        lists(3).train(&set(points, 3), &()).unwrap();
    }
    let far: Vec<f32> = blobs(4, 1_000, 4, 8, 30.0).iter().map(|x| x + 1e4).collect();
    let params = lists(8).with_seed(1);
    let model = params.train(&set(far.clone(), 4), &()).unwrap();
    assert_eq!(params.with_threads(count(3)).train(&set(far, 4), &()).unwrap().tag(), model.tag());
    assert!(model.loss() < 1_000.0 * 4.0 * 40.0, "{}", model.loss());
}

#[test]
fn going_on_from_any_state_ends_the_same() {
    let set = set(blobs(5, 800, 12, 60, 0.8), 12);
    let params = lists(32).with_seed(3);
    let recorder = Recorder::default();
    let whole = params.train(&set, &recorder).unwrap();
    for state in recorder.0.into_inner().unwrap() {
        let state = KMeansState::decode(&state.encode()).unwrap();
        assert_eq!(params.resume(&set, state, &()).unwrap().tag(), whole.tag());
    }
}

#[test]
fn a_state_must_fit() {
    let recorder = Recorder::default();
    lists(3).train(&set(blobs(6, 100, 2, 3, 1.0), 2), &recorder).unwrap();
    let state = recorder.0.into_inner().unwrap().remove(0);
    let error = lists(4).resume(&set(vec![0.0; 10], 2), state, &()).unwrap_err();
    assert_eq!(error, TrainError::StateMismatch { expected: (2, 4), got: (2, 3) });
    let empty = lists(4).train(&set(Vec::new(), 2), &()).unwrap_err();
    assert_eq!(empty, TrainError::NoPoints);
}

/// Says stop from the n-th question on, and counts.
struct StopAt {
    question: usize,
    asked: AtomicUsize,
}

impl Observer for StopAt {
    fn should_stop(&self) -> bool {
        self.asked.fetch_add(1, Ordering::SeqCst) + 1 >= self.question
    }
}

#[test]
fn no_block_begins_after_a_stop() {
    let set = set(blobs(7, 4_000, 8, 20, 1.0), 8);
    let params = lists(16).with_batch_size(NonZeroU32::new(100).unwrap());
    let iterations = |question, params: &KMeans| {
        let observer = StopAt { question, asked: AtomicUsize::new(0) };
        let error = params.train(&set, &observer).unwrap_err();
        // every thread may ask once more, and then works no further
        assert!(observer.asked.into_inner() < question + 3, "{question}");
        error
    };
    for question in [1, 2, 16, 17, 18, 40, 57, 60, 120] {
        for threads in [1, 3] {
            let error = iterations(question, &params.clone().with_threads(count(threads)));
            assert!(matches!(error, TrainError::Stopped { .. }), "{error}");
        }
    }
    // 16 draws of a seed, 4 times 1024 lengths, 40 blocks in the first iteration, 4 times 1024 sums
    let first = 16 + 4 + 40 + 4;
    assert_eq!(iterations(first, &params), TrainError::Stopped { iterations: 0 });
    assert_eq!(iterations(first + 1, &params), TrainError::Stopped { iterations: 1 });
}

#[test]
fn an_observer_can_end_it_after_an_iteration() {
    struct Third;
    impl Observer for Third {
        fn on_iteration(&self, iteration: &Iteration<'_>) -> ControlFlow<()> {
            if iteration.step() == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        }
    }
    let set = set(blobs(8, 1_000, 8, 50, 0.5), 8);
    assert_eq!(lists(16).train(&set, &Third).unwrap_err(), TrainError::Stopped { iterations: 3 });
}
