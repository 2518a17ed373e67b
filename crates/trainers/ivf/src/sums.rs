use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::codebook::{GivenUp, POINTS_PER_QUESTION, Stop};
use crate::share::share;

/// The sum and the number of the points of every list.
///
/// Adding is exact: every coordinate is first rounded to a multiple of one unit, chosen so that all partial
/// sums fit the 53 bits of an `f64`. So the order of additions does not matter, a point can be taken out
/// again without a trace, and no number of threads changes a bit. The unit is below 2⁻⁴⁹ of what all points
/// together could add up to: for 2²⁴ points still finer than the `f32` the largest coordinate is given in.
#[derive(Debug)]
pub(crate) struct ListSums {
    dim: usize,
    /// 1.5 · 2⁵² units: adding and subtracting it rounds to whole units.
    rounder: f64,
    sums: Vec<f64>,
    counts: Vec<u64>,
}

/// A point that left one list for another.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Move {
    pub(crate) point: usize,
    pub(crate) from: Option<u32>,
    pub(crate) to: u32,
}

impl ListSums {
    pub(crate) fn new(points: &[f32], dim: usize, lists: usize) -> Self {
        let largest = points.iter().fold(0.0_f32, |largest, x| largest.max(x.abs()));
        let total = f64::from(largest) * ((points.len() / dim) as f64);
        Self {
            dim,
            rounder: 1.5 * power_of_two_above(total) * 4.0,
            sums: vec![0.0; lists * dim],
            counts: vec![0; lists],
        }
    }

    pub(crate) fn sum(&self, list: usize) -> &[f64] {
        &self.sums[list * self.dim..][..self.dim]
    }

    pub(crate) fn count(&self, list: usize) -> u64 {
        self.counts[list]
    }

    /// Every thread keeps the lists of its own, so none waits for another. Given up, the sums mean nothing.
    pub(crate) fn apply(
        &mut self,
        points: &[f32],
        moves: &[Move],
        threads: NonZeroUsize,
        stop: Stop<'_>,
    ) -> Result<(), GivenUp> {
        let given_up = AtomicBool::new(false);
        let (dim, rounder) = (self.dim, self.rounder);
        let lists_per_part = self.counts.len().div_ceil(threads.get()).max(1);
        let parts = self.sums.chunks_mut(lists_per_part * dim).zip(self.counts.chunks_mut(lists_per_part));
        share(threads, parts.enumerate(), |jobs| {
            while let Some((part, (sums, counts))) = jobs.next() {
                let (first, own) = (part * lists_per_part, counts.len());
                let local = |list: u32| Some((list as usize).checked_sub(first)?).filter(|&list| list < own);
                for (number, change) in moves.iter().enumerate() {
                    if number.is_multiple_of(POINTS_PER_QUESTION)
                        && (given_up.load(Ordering::Relaxed) || stop())
                    {
                        given_up.store(true, Ordering::Relaxed);
                        return;
                    }
                    let row = &points[change.point * dim..][..dim];
                    if let Some(list) = change.from.and_then(local) {
                        let sum = &mut sums[list * dim..][..dim];
                        sum.iter_mut().zip(row).for_each(|(s, &x)| *s -= (f64::from(x) + rounder) - rounder);
                        counts[list] -= 1;
                    }
                    if let Some(list) = local(change.to) {
                        let sum = &mut sums[list * dim..][..dim];
                        sum.iter_mut().zip(row).for_each(|(s, &x)| *s += (f64::from(x) + rounder) - rounder);
                        counts[list] += 1;
                    }
                }
            }
        });
        if given_up.into_inner() { Err(GivenUp) } else { Ok(()) }
    }
}

/// The smallest power of two above a positive finite number; 1 for zero.
fn power_of_two_above(x: f64) -> f64 {
    const EXPONENT: u64 = 0x7ff << 52;
    if x > 0.0 { f64::from_bits(x.to_bits() & EXPONENT) * 2.0 } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_and_detours_leave_no_trace() {
        let points: Vec<f32> = (0..3000_u16).map(|i| (f32::from(i) * 0.737).sin() * 1e3).collect();
        let to = |point: usize| Move { point, from: None, to: u32::from(point.is_multiple_of(5)) };
        let forth: Vec<Move> = (0..1000).map(to).collect();
        let mut a = ListSums::new(&points, 3, 4);
        a.apply(&points, &forth, NonZeroUsize::MIN, &|| false).unwrap();
        let mut b = ListSums::new(&points, 3, 4);
        for change in forth.iter().rev() {
            let detour = Move { to: 3, ..*change };
            let back = Move { from: Some(3), ..*change };
            b.apply(&points, &[detour, back], NonZeroUsize::new(3).unwrap(), &|| false).unwrap();
        }
        assert_eq!((&a.sums, &a.counts), (&b.sums, &b.counts));
        let exact: f64 = points.iter().step_by(3).step_by(5).map(|&x| f64::from(x)).sum();
        assert!((a.sum(1)[0] - exact).abs() < 1e-6);
        assert_eq!(a.count(1), 200);
    }

    #[test]
    fn powers_of_two() {
        for (x, above) in [(0.0, 1.0), (1.0, 2.0), (3.0, 4.0), (0.3, 0.5), (1e5, 131_072.0)] {
            assert_eq!(power_of_two_above(x), above, "{x}");
        }
    }
}
