#![allow(dead_code, reason = "each test file uses a part of it")]

use std::num::{NonZeroU32, NonZeroUsize};

use trainyard_ivf::KMeans;

/// Numbers that look random and are the same on every run: splitmix64.
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    pub(crate) fn unit(&mut self) -> f64 {
        ((self.next() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }

    pub(crate) fn normal(&mut self) -> f32 {
        let (a, b) = (self.unit(), self.unit());
        ((-2.0 * a.ln()).sqrt() * (std::f64::consts::TAU * b).cos()) as f32
    }
}

/// `count` points around `blobs` centres that lie `spread` apart, as wide as 1.
pub(crate) fn blobs(seed: u64, count: usize, dim: usize, blobs: usize, spread: f32) -> Vec<f32> {
    let mut numbers = Numbers(seed);
    let centres: Vec<f32> = (0..blobs * dim).map(|_| numbers.normal() * spread).collect();
    let mut points = Vec::with_capacity(count * dim);
    for _ in 0..count {
        let blob = numbers.below(blobs);
        points.extend(centres[blob * dim..][..dim].iter().map(|centre| centre + numbers.normal()));
    }
    points
}

pub(crate) fn lists(n: u32) -> KMeans {
    KMeans::new(NonZeroU32::new(n).unwrap())
}

pub(crate) fn count(n: usize) -> NonZeroUsize {
    NonZeroUsize::new(n).unwrap()
}
