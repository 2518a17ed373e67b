//! Training a small language model beside the bare products of matrices that it cannot do without.
//!
//! A llama of 825,000 weights (4 layers of 128 numbers, 4 heads, bytes as tokens) is made from scratch on one thread, each
//! step on 16 short talks. Its peer does the same multiplications of whole matrices, three for each weight and token, in
//! the same shapes and with the same kernel, and nothing else: no attention, no norms, no Adam. Prints tokens per CPU
//! second of both; ends with a failure when ours comes to less than the limit's share of the peer's.
//!
//! `cargo bench --bench lm_training`

use std::error::Error;
use std::num::{NonZeroU64, NonZeroUsize};

use ndarray::Array2;
use ndarray::linalg::general_mat_mul;
use trainyard_benches::{median, thread_cpu_seconds};
use trainyard_finetune::made::talk;
use trainyard_finetune::{Base, Head, Recipe, Shape, Sizes};

const STEPS: u64 = 10;
const BATCH: u64 = 16;
const ROUNDS: usize = 3;
/// Texts that go through at once.
const GROUP: u64 = 2;
const LIMIT: f64 = 0.3;

fn main() -> Result<(), Box<dyn Error>> {
    let sizes = Sizes {
        layers: 4,
        width: 128,
        heads: 4,
        key_heads: 4,
        hidden: 344,
        context: 128,
        head: Head::Tied,
        ..*Shape::SMALL.sizes()
    };
    let shape = Shape::new(sizes)?;
    let recipe = Recipe::new(1).with_shape(shape)?.with_steps(NonZeroU64::new(STEPS).ok_or("some")?);
    let tokens = tokens(STEPS * BATCH, sizes.context);
    let (mut ours, mut peers) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let begun = thread_cpu_seconds();
        let base = Base::make(&recipe, NonZeroUsize::MIN, &mut |_| true).ok_or("it goes on")?;
        ours.push(tokens / (thread_cpu_seconds() - begun));
        assert_eq!(base.shape().weights(), shape.weights());
        peers.push(products(&sizes));
    }
    let (ours, peer) = (median(&mut ours), median(&mut peers));
    println!("{} weights, {tokens} tokens in {STEPS} steps, one thread", shape.weights());
    println!("training            {ours:>8.0} tokens per CPU second");
    println!("its products alone  {peer:>8.0} tokens per CPU second");
    println!("a share of {:.2} (limit {LIMIT})", ours / peer);
    if ours < LIMIT * peer { Err("a limit is broken".into()) } else { Ok(()) }
}

/// How many tokens go through in so many talks: bytes and five marks, of which the last is foreseen only.
fn tokens(talks: u64, context: usize) -> f64 {
    let lengths = (0..talks).map(|n| {
        let talk = talk(1, n);
        (talk.system.len() + talk.user.len() + talk.answer.len() + 4).min(context)
    });
    f64::from(u32::try_from(lengths.sum::<usize>()).expect("few talks"))
}

/// Tokens per CPU second of the products alone.
fn products(sizes: &Sizes) -> f64 {
    const TIMES: u64 = 40;
    let Sizes { layers, width, hidden, vocabulary, context, .. } = *sizes;
    let rows = context * usize::try_from(GROUP).expect("few");
    let all = |rows: usize, columns: usize| Array2::from_elem((rows, columns), 0.01_f32);
    let mut ends = vec![(width, vocabulary)];
    for _ in 0..layers {
        ends.extend([(width, width); 4]);
        ends.extend([(width, hidden), (width, hidden), (hidden, width)]);
    }
    let mut places: Vec<_> = ends
        .iter()
        .map(|&(input, out)| {
            (all(rows, input), all(out, input), all(rows, out), all(rows, input), all(out, input))
        })
        .collect();
    let begun = thread_cpu_seconds();
    for _ in 0..TIMES {
        for (input, weights, out, below, slopes) in &mut places {
            general_mat_mul(1.0, input, &weights.t(), 0.0, out);
            general_mat_mul(1.0, out, weights, 0.0, below);
            general_mat_mul(1.0, &out.t(), input, 0.0, slopes);
        }
    }
    let seconds = thread_cpu_seconds() - begun;
    f64::from(u32::try_from(rows).expect("few")) * f64::from(u32::try_from(TIMES).expect("few")) / seconds
}
