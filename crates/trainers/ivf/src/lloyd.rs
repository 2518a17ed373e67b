//! Lloyd's iterations that leave out what cannot matter, and give what the plain ones give, bit for bit.
//!
//! Every point keeps an upper bound of the distance to its own centroid and a lower bound of the distance to
//! all others. When centroids have moved, the bounds widen by how far; a point whose bounds still do not
//! touch keeps its list unseen. For the others only those centroids are tried that moved far enough to have
//! come nearer: centroids are sorted by how far they moved, points are grouped by how many of the first they
//! need, and each group is a matrix product. All comparisons keep away from each other by more than the
//! rounding error of a score; what is nearer than that goes through all centroids.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::codebook::{Codebook, GivenUp, POINTS_PER_QUESTION, Products, Stop, list_number};
use crate::numeric::{dot, narrow, squared_distance, squared_norm};
use crate::share::share;
use crate::sums::{ListSums, Move};
use crate::{KMeans, TrainingSet};

/// What the state of a point has to grow by so that rounding cannot turn a bound into a lie.
const WIDER: f32 = 1.0 + 1e-6;
const NARROWER: f32 = 1.0 - 1e-6;
/// Of a point that has no list yet.
const NOWHERE: u32 = u32::MAX;
/// A job is this many blocks of work, so that partly filled blocks are few.
const BLOCKS_PER_JOB: usize = 8;
/// Groups of fewer centroids than this are not worth a product of their own.
const GROUP_MIN: usize = 32;

pub(crate) struct Lloyd<'a> {
    points: &'a [f32],
    dim: usize,
    batch: usize,
    threads: NonZeroUsize,
    /// |x|² of every point, and their sum in double precision.
    norms: Vec<f32>,
    energy: f64,
    lists: Vec<u32>,
    before: Vec<u32>,
    upper: Vec<f32>,
    lower: Vec<f32>,
    sums: ListSums,
    /// How far each centroid went in the last step.
    travelled: Vec<f32>,
}

pub(crate) struct Step {
    pub(crate) centroids: Vec<f32>,
    pub(crate) loss: f64,
    pub(crate) moved: usize,
    pub(crate) repaired: usize,
    /// No centroid moved: every further step would be the same.
    pub(crate) settled: bool,
}

impl<'a> Lloyd<'a> {
    pub(crate) fn new(set: &'a TrainingSet, params: &KMeans, stop: Stop<'_>) -> Result<Self, GivenUp> {
        let (points, dim, lists) = (set.points(), set.dimension(), params.list_count());
        let mut norms = Vec::with_capacity(set.len());
        for block in points.chunks(dim * POINTS_PER_QUESTION) {
            if stop() {
                return Err(GivenUp);
            }
            norms.extend(block.chunks_exact(dim).map(squared_norm));
        }
        Ok(Self {
            points,
            dim,
            batch: params.batch(),
            threads: params.threads(),
            energy: norms.iter().sum(),
            lists: vec![NOWHERE; norms.len()],
            before: vec![NOWHERE; norms.len()],
            upper: vec![f32::INFINITY; norms.len()],
            lower: vec![0.0; norms.len()],
            norms: norms.into_iter().map(narrow).collect(),
            sums: ListSums::new(points, dim, lists),
            travelled: vec![f32::INFINITY; lists],
        })
    }

    /// One iteration: every point to its nearest centroid, every centroid to the middle of its points.
    pub(crate) fn step(&mut self, book: &Codebook, stop: Stop<'_>) -> Result<Step, GivenUp> {
        self.before.copy_from_slice(&self.lists);
        self.assign(book, stop)?;
        let changes = self.before.iter().zip(&self.lists).enumerate().filter(|(_, (from, to))| from != to);
        let moves: Vec<Move> = changes
            .map(|(point, (&from, &to))| Move { point, from: (from != NOWHERE).then_some(from), to })
            .collect();
        self.sums.apply(self.points, &moves, self.threads, stop)?;
        let (mut centroids, loss, empty) = self.middles(book);
        let repaired = self.repair(&mut centroids, &empty, stop)?;
        let pairs = || book.flat().chunks_exact(self.dim).zip(centroids.chunks_exact(self.dim));
        self.travelled = pairs().map(|(old, new)| travel(old, new)).collect();
        let settled = repaired == 0 && self.travelled.iter().all(|&distance| distance == 0.0);
        Ok(Step { centroids, loss, moved: moves.len(), repaired, settled })
    }

    fn assign(&mut self, book: &Codebook, stop: Stop<'_>) -> Result<(), GivenUp> {
        let size = self.batch * BLOCKS_PER_JOB;
        let pass = Pass::new(book, &self.travelled, self.points, &self.norms, self.batch);
        let states =
            self.lists.chunks_mut(size).zip(self.upper.chunks_mut(size)).zip(self.lower.chunks_mut(size));
        let jobs = states.enumerate().map(|(job, ((lists, upper), lower))| Job {
            start: job * size,
            lists,
            upper,
            lower,
        });
        let given_up = AtomicBool::new(false);
        share(self.threads, jobs, |jobs| {
            let mut worker = Worker::new(&pass);
            while let Some(mut job) = jobs.next() {
                if given_up.load(Ordering::Relaxed) || worker.run(&mut job, stop).is_err() {
                    given_up.store(true, Ordering::Relaxed);
                    return;
                }
            }
        });
        if given_up.into_inner() { Err(GivenUp) } else { Ok(()) }
    }

    /// The middle of every list that has points, the loss against the centroids as they were, and the lists
    /// without points, which keep their centroid.
    fn middles(&self, book: &Codebook) -> (Vec<f32>, f64, Vec<usize>) {
        let mut centroids = Vec::with_capacity(book.flat().len());
        let mut loss = self.energy;
        let mut empty = Vec::new();
        for (list, old) in book.flat().chunks_exact(self.dim).enumerate() {
            let (sum, count) = (self.sums.sum(list), self.sums.count(list) as f64);
            let product: f64 = sum.iter().zip(old).map(|(s, &c)| s * f64::from(c)).sum();
            loss -= 2.0 * product - count * squared_norm(old);
            if count == 0.0 {
                empty.push(list);
                centroids.extend_from_slice(old);
            } else {
                centroids.extend(sum.iter().map(|s| narrow(s / count)));
            }
        }
        (centroids, loss.max(0.0), empty)
    }

    /// Puts the centroids of empty lists where points are served worst: on the points farthest from their
    /// own centroid. Points that lie on their centroid are never taken, so lists stay empty when there are
    /// fewer distinct points than lists.
    fn repair(&self, centroids: &mut [f32], empty: &[usize], stop: Stop<'_>) -> Result<usize, GivenUp> {
        if empty.is_empty() {
            return Ok(0);
        }
        let mut far: Vec<(f32, usize)> = Vec::new();
        for (point, &list) in self.lists.iter().enumerate() {
            if point.is_multiple_of(POINTS_PER_QUESTION) && stop() {
                return Err(GivenUp);
            }
            let centroid = &centroids[list as usize * self.dim..][..self.dim];
            far.push((squared_distance(self.point(point), centroid), point));
        }
        far.retain(|&(distance, _)| distance > 0.0);
        far.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        far.dedup_by(|a, b| self.point(a.1) == self.point(b.1));
        for (&list, &(_, point)) in empty.iter().zip(&far) {
            centroids[list * self.dim..][..self.dim].copy_from_slice(self.point(point));
        }
        Ok(empty.len().min(far.len()))
    }

    fn point(&self, point: usize) -> &[f32] {
        &self.points[point * self.dim..][..self.dim]
    }
}

fn travel(old: &[f32], new: &[f32]) -> f32 {
    let squares = old.iter().zip(new).map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2));
    narrow(squares.sum::<f64>().sqrt()) * WIDER
}

/// What all threads read during one assignment.
struct Pass<'a> {
    book: &'a Codebook,
    points: &'a [f32],
    norms: &'a [f32],
    batch: usize,
    travelled: &'a [f32],
    /// The centroids again, the one that moved farthest first; with the list of each, and the other way.
    sorted: Codebook,
    order: Vec<u32>,
    rank: Vec<usize>,
    /// How far the centroids moved, farthest first; a zero at the end.
    far: Vec<f32>,
    /// How many of the first centroids each group of points is compared with.
    limits: Vec<usize>,
    /// The length of the longest centroid, and the relative error of a product.
    longest: f32,
    gamma: f32,
}

impl<'a> Pass<'a> {
    fn new(
        book: &'a Codebook,
        travelled: &'a [f32],
        points: &'a [f32],
        norms: &'a [f32],
        batch: usize,
    ) -> Self {
        let (lists, dim) = (book.len(), points.len() / norms.len());
        let mut order: Vec<u32> = (0..list_number(lists)).collect();
        order.sort_by(|&a, &b| travelled[b as usize].total_cmp(&travelled[a as usize]));
        let mut rank = vec![0; lists];
        order.iter().enumerate().for_each(|(at, &list)| rank[list as usize] = at);
        let sorted = order.iter().flat_map(|&list| book.centroid(list as usize)).copied().collect();
        let far = order.iter().map(|&list| travelled[list as usize]).chain([0.0]).collect();
        let longest = (0..lists).map(|list| book.half(list)).fold(0.0, f32::max);
        Self {
            book,
            points,
            norms,
            batch,
            travelled,
            sorted: Codebook::new(dim, sorted),
            order,
            rank,
            far,
            limits: [8, 4, 2]
                .into_iter()
                .map(|part| lists / part)
                .filter(|&limit| limit >= GROUP_MIN)
                .collect(),
            longest: (2.0 * longest).sqrt(),
            gamma: (dim + 32) as f32 * f32::EPSILON,
        }
    }

    /// More than the rounding error of a score of a point of this squared length, and of that length itself.
    fn error(&self, norm: f32) -> f32 {
        self.gamma * (norm + norm.sqrt() * self.longest + self.longest * self.longest)
    }
}

fn distance_above(norm: f32, score: f32, error: f32) -> f32 {
    (norm - 2.0 * score + 4.0 * error).max(0.0).sqrt() * WIDER
}

fn distance_below(norm: f32, score: f32, error: f32) -> f32 {
    (norm - 2.0 * score - 4.0 * error).max(0.0).sqrt() * NARROWER
}

/// The states of a run of points, for one thread to change.
struct Job<'a> {
    start: usize,
    lists: &'a mut [u32],
    upper: &'a mut [f32],
    lower: &'a mut [f32],
}

/// Points waiting until there are enough of them for a product.
#[derive(Default)]
struct Group {
    rows: Vec<f32>,
    waiting: Vec<Waiting>,
}

#[derive(Clone, Copy)]
struct Waiting {
    /// Within the job.
    at: usize,
    /// The score with the centroid it had.
    score: f32,
    upper: f32,
}

struct Worker<'a> {
    pass: &'a Pass<'a>,
    /// One for each of the limits.
    groups: Vec<Group>,
    /// Those that are compared with all centroids.
    full: Group,
    products: Products,
}

impl<'a> Worker<'a> {
    fn new(pass: &'a Pass<'a>) -> Self {
        let groups = pass.limits.iter().map(|_| Group::default()).collect();
        Self { pass, groups, full: Group::default(), products: Products::default() }
    }

    fn run(&mut self, job: &mut Job<'_>, stop: Stop<'_>) -> Result<(), GivenUp> {
        let pass = self.pass;
        for at in 0..job.lists.len() {
            let norm = pass.norms[job.start + at];
            let row = &pass.points[(job.start + at) * pass.book.dim()..][..pass.book.dim()];
            if job.lists[at] == NOWHERE {
                self.full.push(row, Waiting { at, score: 0.0, upper: 0.0 });
                if self.full.waiting.len() == pass.batch {
                    self.flush_full(job, stop)?;
                }
                continue;
            }
            let own = job.lists[at] as usize;
            let (error, lower) = (pass.error(norm), job.lower[at]);
            let mut upper = (job.upper[at] + pass.travelled[own]) * WIDER;
            let mut needed = pass.needed(lower, upper, error);
            let mut score = 0.0;
            if needed > 0 {
                score = dot(row, pass.book.centroid(own)) - pass.book.half(own);
                upper = upper.min(distance_above(norm, score, error));
                needed = pass.needed(lower, upper, error);
            }
            if needed == 0 {
                job.upper[at] = upper;
                job.lower[at] = (lower - pass.far[0]) * NARROWER;
                continue;
            }
            let waiting = Waiting { at, score, upper };
            match pass.limits.iter().position(|&limit| needed <= limit) {
                Some(group) => {
                    self.groups[group].push(row, waiting);
                    if self.groups[group].waiting.len() == pass.batch {
                        self.flush(group, job, stop)?;
                    }
                }
                None => {
                    self.full.push(row, waiting);
                    if self.full.waiting.len() == pass.batch {
                        self.flush_full(job, stop)?;
                    }
                }
            }
        }
        for group in 0..self.groups.len() {
            self.flush(group, job, stop)?;
        }
        self.flush_full(job, stop)
    }

    fn flush(&mut self, group: usize, job: &mut Job<'_>, stop: Stop<'_>) -> Result<(), GivenUp> {
        let (pass, limit) = (self.pass, self.pass.limits[group]);
        let Group { rows, waiting } = &mut self.groups[group];
        let mut unclear = Vec::new();
        pass.sorted.nearest(rows, limit, &mut self.products, stop, |row, top| {
            let Waiting { at, score, upper } = waiting[row];
            let norm = pass.norms[job.start + at];
            let error = pass.error(norm);
            let others = job.lower[at] - pass.far[limit];
            let compared = pass.rank[job.lists[at] as usize] < limit;
            if !compared && top.best < score - 4.0 * error {
                job.upper[at] = upper;
                job.lower[at] = distance_below(norm, top.best, error).min(others);
            } else if top.best > top.second && (compared || top.best > score + 4.0 * error) {
                let second = if compared { top.second } else { top.second.max(score) };
                job.lists[at] = pass.order[top.at];
                job.upper[at] = distance_above(norm, top.best, error);
                job.lower[at] = distance_below(norm, second, error).min(others);
            } else {
                unclear.push(row);
            }
        })?;
        for row in unclear {
            let dim = pass.book.dim();
            self.full.push(&self.groups[group].rows[row * dim..][..dim], self.groups[group].waiting[row]);
            if self.full.waiting.len() == pass.batch {
                self.flush_full(job, stop)?;
            }
        }
        self.groups[group].clear();
        Ok(())
    }

    fn flush_full(&mut self, job: &mut Job<'_>, stop: Stop<'_>) -> Result<(), GivenUp> {
        let (pass, Group { rows, waiting }) = (self.pass, &mut self.full);
        pass.book.nearest(rows, pass.book.len(), &mut self.products, stop, |row, top| {
            let at = waiting[row].at;
            let norm = pass.norms[job.start + at];
            let error = pass.error(norm);
            job.lists[at] = list_number(top.at);
            job.upper[at] = distance_above(norm, top.best, error);
            job.lower[at] = distance_below(norm, top.second, error);
        })?;
        self.full.clear();
        Ok(())
    }
}

impl Pass<'_> {
    /// How many of the centroids that moved farthest may have come nearer than `upper`, when all were at
    /// least `lower` away before.
    fn needed(&self, lower: f32, upper: f32, error: f32) -> usize {
        let room = (lower - (upper * upper + 8.0 * error).sqrt()) * NARROWER;
        // what is not a number needs all
        let near = |far: f32| room > far;
        if near(self.far[0]) { 0 } else { self.far[..self.order.len()].partition_point(|&far| !near(far)) }
    }
}

impl Group {
    fn push(&mut self, row: &[f32], waiting: Waiting) {
        self.rows.extend_from_slice(row);
        self.waiting.push(waiting);
    }

    fn clear(&mut self) {
        self.rows.clear();
        self.waiting.clear();
    }
}
