use std::ops::ControlFlow;

use crate::KMeansState;

/// Someone who watches a training and may end it.
///
/// Both methods have a default, so that `()` is an observer that only looks on. They are called from
/// the threads of the training, hence `Sync`; [`on_iteration`](Self::on_iteration) is never called
/// twice at the same time.
///
/// ```
/// use std::ops::ControlFlow;
/// use trainyard_ivf::{Iteration, Observer};
///
/// struct FirstFive;
/// impl Observer for FirstFive {
///     fn on_iteration(&self, iteration: &Iteration<'_>) -> ControlFlow<()> {
///         if iteration.step() < 5 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
///     }
/// }
/// assert!(!FirstFive.should_stop());
/// ```
pub trait Observer: Sync {
    /// Asked by every thread before each block of work; after `true` no further block begins.
    fn should_stop(&self) -> bool {
        false
    }

    /// Told after every iteration. [`ControlFlow::Break`] stops the training, as a `true` from
    /// [`should_stop`](Self::should_stop) does.
    fn on_iteration(&self, _iteration: &Iteration<'_>) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

impl Observer for () {}

/// What one finished iteration of k-means tells.
#[derive(Debug)]
pub struct Iteration<'a> {
    pub(crate) total: u32,
    pub(crate) moved: usize,
    pub(crate) repaired: usize,
    pub(crate) state: &'a KMeansState,
}

impl Iteration<'_> {
    /// How many iterations are done, from 1 on; counts on after a resume.
    #[must_use]
    pub fn step(&self) -> u32 {
        self.state.iteration()
    }

    /// How many iterations there will be at most; the tolerance may end the training sooner.
    #[must_use]
    pub fn total(&self) -> u32 {
        self.total
    }

    /// The sum over all training points of the squared distance to the nearest of the centroids this
    /// iteration began with.
    #[must_use]
    pub fn loss(&self) -> f64 {
        self.state.loss()
    }

    /// How many points changed their list.
    #[must_use]
    pub fn moved(&self) -> usize {
        self.moved
    }

    /// How many empty lists were given a new centroid.
    #[must_use]
    pub fn repaired(&self) -> usize {
        self.repaired
    }

    /// Everything needed to go on from here; clone it to keep it as a checkpoint.
    #[must_use]
    pub fn state(&self) -> &KMeansState {
        self.state
    }
}
