//! k-means of trainyard-ivf beside that of faiss-cpu: CPU seconds and objective on the same points.
//!
//! 100,000 points of 128 dimensions around 1,000 centres into 256 lists in 20 iterations, all points used by
//! both, five seeds, one after the other in turn; first with one thread each, then with all cores each. The
//! seeding counts as training on both sides. Prints every pair, and the medians beside their limits; ends
//! with a failure when a limit is broken.
//!
//! `cargo bench --bench ivf_vs_faiss -- [folder]`: the folder (default: `trainyard-ivf-vs-faiss` among the
//! temporary files) gets a Python environment with `faiss-cpu` and `numpy` from PyPI, unless it is there.

use std::error::Error;
use std::fs;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::{Path, PathBuf};
use std::process::Command;

use trainyard_benches::{argument, environment, median};
use trainyard_ivf::{KMeans, Metric, Tolerance, TrainingSet};

const POINTS: usize = 100_000;
const DIMENSION: usize = 128;
const BLOBS: usize = 1_000;
const LISTS: u32 = 256;
const ITERATIONS: u32 = 20;
const SEEDS: [u64; 5] = [1, 2, 3, 4, 5];
const CPU_RATIO_LIMIT: f64 = 1.1;
const OBJECTIVE_RATIO_LIMIT: f64 = 1.01;

fn main() -> Result<(), Box<dyn Error>> {
    let folder =
        argument().map_or_else(|| std::env::temp_dir().join("trainyard-ivf-vs-faiss"), PathBuf::from);
    let python = environment(&folder, &["faiss-cpu", "numpy"])?;
    let points = blobs();
    let points_file = folder.join("points.f32");
    fs::write(&points_file, points.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>())?;
    let set = TrainingSet::new(DIMENSION, Metric::SquaredEuclidean, points)?;
    let cores = std::thread::available_parallelism()?;
    let mut broken = false;
    for threads in [NonZeroUsize::MIN, cores] {
        println!("{threads} thread(s) each, CPU seconds and objective of the final centroids");
        println!(
            "{:>5} {:>8} {:>8} {:>6}   {:>11} {:>11} {:>7}",
            "seed", "faiss", "ours", "ratio", "faiss", "ours", "ratio"
        );
        let (mut cpu_ratios, mut objective_ratios) = (Vec::new(), Vec::new());
        for seed in SEEDS {
            let (faiss_cpu, faiss_centroids) = faiss(&python, &folder, &points_file, seed, threads)?;
            let (our_cpu, our_centroids) = ours(&set, seed, threads)?;
            let faiss_objective = objective(set.points(), &faiss_centroids);
            let our_objective = objective(set.points(), &our_centroids);
            cpu_ratios.push(our_cpu / faiss_cpu);
            objective_ratios.push(our_objective / faiss_objective);
            println!(
                "{seed:>5} {faiss_cpu:>8.3} {our_cpu:>8.3} {:>6.3}   {faiss_objective:>11.0} {our_objective:>11.0} {:>7.4}",
                our_cpu / faiss_cpu,
                our_objective / faiss_objective,
            );
        }
        let (cpu, objective) = (median(&mut cpu_ratios), median(&mut objective_ratios));
        println!("median CPU ratio       {cpu:.3}   limit {CPU_RATIO_LIMIT}");
        println!("median objective ratio {objective:.4}  limit {OBJECTIVE_RATIO_LIMIT}\n");
        broken |= cpu > CPU_RATIO_LIMIT || objective > OBJECTIVE_RATIO_LIMIT;
    }
    if broken { Err("a limit is broken".into()) } else { Ok(()) }
}

fn ours(set: &TrainingSet, seed: u64, threads: NonZeroUsize) -> Result<(f64, Vec<f32>), Box<dyn Error>> {
    let params = KMeans::new(NonZeroU32::new(LISTS).expect("not zero"))
        .with_max_iters(NonZeroU32::new(ITERATIONS).expect("not zero"))
        .with_tolerance(Tolerance::ZERO)
        .with_seed(seed)
        .with_threads(threads);
    let before = cpu_seconds()?;
    let model = params.train(set, &())?;
    let spent = cpu_seconds()? - before;
    assert_eq!(model.iterations(), ITERATIONS, "as much work as asked for");
    Ok((spent, model.centroids().to_vec()))
}

fn faiss(
    python: &Path,
    folder: &Path,
    points_file: &Path,
    seed: u64,
    threads: NonZeroUsize,
) -> Result<(f64, Vec<f32>), Box<dyn Error>> {
    let centroids_file = folder.join("centroids.f32");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("python/faiss_kmeans.py");
    let numbers = [
        DIMENSION.to_string(),
        LISTS.to_string(),
        ITERATIONS.to_string(),
        seed.to_string(),
        threads.to_string(),
    ];
    let output = Command::new(python)
        .arg(script)
        .arg(points_file)
        .args(numbers)
        .arg(&centroids_file)
        .env("OMP_NUM_THREADS", threads.to_string())
        .env("OPENBLAS_NUM_THREADS", threads.to_string())
        .env("OMP_WAIT_POLICY", "PASSIVE") // waiting threads must not count as work
        .output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    let bytes = fs::read(&centroids_file)?;
    let centroids = bytes.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
    Ok((String::from_utf8(output.stdout)?.trim().parse()?, centroids))
}

/// User and system time of this process, all threads: fields 14 and 15 of its `stat`, in hundredths.
fn cpu_seconds() -> Result<f64, Box<dyn Error>> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let (_, after_name) = stat.rsplit_once(')').ok_or("a stat without a name")?;
    let mut fields = after_name.split_whitespace().skip(11);
    let mut ticks = || -> Result<f64, Box<dyn Error>> { Ok(fields.next().ok_or("a short stat")?.parse()?) };
    Ok((ticks()? + ticks()?) / 100.0)
}

/// The sum of the squared distances to the nearest centroid.
fn objective(points: &[f32], centroids: &[f32]) -> f64 {
    let square = |a: &[f32], b: &[f32]| {
        let mut sums = [0.0_f32; 16];
        for (x, y) in a.as_chunks::<16>().0.iter().zip(b.as_chunks::<16>().0) {
            (0..16).for_each(|lane| sums[lane] += (x[lane] - y[lane]) * (x[lane] - y[lane]));
        }
        sums.iter().sum::<f32>()
    };
    let nearest = |point: &[f32]| {
        centroids
            .chunks_exact(DIMENSION)
            .map(|centroid| square(point, centroid))
            .fold(f32::INFINITY, f32::min)
    };
    points.chunks_exact(DIMENSION).map(|point| f64::from(nearest(point))).sum()
}

/// The points: each a random centre plus noise of the same width in every direction.
#[expect(clippy::cast_possible_truncation, reason = "the number of a blob is below BLOBS")]
fn blobs() -> Vec<f32> {
    let mut state = 1_u64;
    let centres: Vec<f32> = (0..BLOBS * DIMENSION).map(|_| normal(&mut state)).collect();
    let mut points = Vec::with_capacity(POINTS * DIMENSION);
    for _ in 0..POINTS {
        let blob = (next(&mut state) % BLOBS as u64) as usize;
        points.extend(
            centres[blob * DIMENSION..][..DIMENSION].iter().map(|centre| centre + normal(&mut state)),
        );
    }
    points
}

#[expect(clippy::cast_possible_truncation, reason = "the nearest f32 is what is wanted")]
fn normal(state: &mut u64) -> f32 {
    let mut unit = || ((next(state) >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
    let (radius, angle) = ((-2.0 * unit().ln()).sqrt(), std::f64::consts::TAU * unit());
    (radius * angle.cos()) as f32
}

/// splitmix64
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
