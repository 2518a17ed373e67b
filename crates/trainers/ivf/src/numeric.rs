//! The inner loops. Written so that the compiler turns them into vector instructions without `unsafe`, and
//! so that a pair of vectors gives the same bits wherever it is computed.

/// Independent sums kept side by side: one vector register or several, on every machine.
const LANES: usize = 16;

/// Σ aᵢ·bᵢ
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    fold(a, b, |x, y| x * y)
}

/// Σ (aᵢ − bᵢ)²
pub(crate) fn squared_distance(a: &[f32], b: &[f32]) -> f32 {
    fold(a, b, |x, y| (x - y) * (x - y))
}

fn fold(a: &[f32], b: &[f32], term: impl Fn(f32, f32) -> f32) -> f32 {
    let mut sums = [0.0_f32; LANES];
    let (a_chunks, a_rest) = a.as_chunks::<LANES>();
    let (b_chunks, b_rest) = b.as_chunks::<LANES>();
    for (x, y) in a_chunks.iter().zip(b_chunks) {
        for lane in 0..LANES {
            sums[lane] += term(x[lane], y[lane]);
        }
    }
    for (lane, (&x, &y)) in a_rest.iter().zip(b_rest).enumerate() {
        sums[lane] += term(x, y);
    }
    for half in [8, 4, 2, 1] {
        for lane in 0..half {
            sums[lane] += sums[lane + half];
        }
    }
    sums[0]
}

/// Σ aᵢ² in double precision.
pub(crate) fn squared_norm(a: &[f32]) -> f64 {
    let mut sums = [0.0_f64; LANES];
    let (chunks, rest) = a.as_chunks::<LANES>();
    for x in chunks {
        for lane in 0..LANES {
            sums[lane] += f64::from(x[lane]) * f64::from(x[lane]);
        }
    }
    sums.iter().sum::<f64>() + rest.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>()
}

/// Scales to length 1; a vector of zeros stays as it is.
pub(crate) fn normalise(vector: &mut [f32]) {
    let norm = squared_norm(vector).sqrt();
    if norm > 0.0 {
        vector.iter_mut().for_each(|x| *x = narrow(f64::from(*x) / norm));
    }
}

/// The nearest f32.
#[expect(clippy::cast_possible_truncation, reason = "rounding to the nearest f32 is the purpose")]
pub(crate) fn narrow(x: f64) -> f32 {
    x as f32
}

/// The best and the second best of a row of scores, and where the best one stands.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Top2 {
    pub(crate) at: usize,
    pub(crate) best: f32,
    pub(crate) second: f32,
}

impl Top2 {
    pub(crate) const NONE: Self = Self { at: 0, best: f32::NEG_INFINITY, second: f32::NEG_INFINITY };
}

/// The two largest of `products[j] − halves[j]`, the first of equals. Values that are not a number lose.
pub(crate) fn top2(products: &[f32], halves: &[f32]) -> Top2 {
    let mut first = [f32::NEG_INFINITY; LANES];
    let mut second = [f32::NEG_INFINITY; LANES];
    let (p_chunks, p_rest) = products.as_chunks::<LANES>();
    let (h_chunks, h_rest) = halves.as_chunks::<LANES>();
    for (p, h) in p_chunks.iter().zip(h_chunks) {
        for lane in 0..LANES {
            let score = p[lane] - h[lane];
            let loser = if score > first[lane] { first[lane] } else { score };
            first[lane] = if score > first[lane] { score } else { first[lane] };
            second[lane] = if loser > second[lane] { loser } else { second[lane] };
        }
    }
    for (lane, (p, h)) in p_rest.iter().zip(h_rest).enumerate() {
        let score = p - h;
        if score > first[lane] {
            second[lane] = first[lane];
            first[lane] = score;
        } else if score > second[lane] {
            second[lane] = score;
        }
    }
    let mut top = Top2::NONE;
    for (&a, &b) in first.iter().zip(&second) {
        if a > top.best {
            top.second = if b > top.best { b } else { top.best };
            top.best = a;
        } else if a > top.second {
            top.second = a;
        }
    }
    top.at = position(products, halves, top.best);
    top
}

fn position(products: &[f32], halves: &[f32], wanted: f32) -> usize {
    let (p_chunks, _) = products.as_chunks::<LANES>();
    let (h_chunks, _) = halves.as_chunks::<LANES>();
    let skipped = p_chunks
        .iter()
        .zip(h_chunks)
        .take_while(|(p, h)| {
            let mut hit = 0_u32;
            for lane in 0..LANES {
                hit |= u32::from(p[lane] - h[lane] == wanted);
            }
            hit == 0
        })
        .count();
    let start = skipped * LANES;
    let mut rest = products[start..].iter().zip(&halves[start..]);
    // None only when no score is a number; the first list is as good as any then
    rest.position(|(p, h)| p - h == wanted).map_or(0, |at| start + at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn naive(products: &[f32], halves: &[f32]) -> Top2 {
        let mut top = Top2::NONE;
        for (at, (p, h)) in products.iter().zip(halves).enumerate() {
            let score = p - h;
            if score > top.best {
                top = Top2 { at, best: score, second: top.best };
            } else if score > top.second {
                top.second = score;
            }
        }
        top
    }

    #[test]
    fn top2_agrees_with_the_obvious_loop() {
        for len in 0..70_usize {
            for turn in 0..20_usize {
                let value = |i: usize| ((i * 7919 + turn * 104_729) % 13) as f32 - 6.0;
                let products: Vec<f32> = (0..len).map(value).collect();
                let halves: Vec<f32> = (0..len).map(|i| value(i + 3) * 0.5).collect();
                assert_eq!(top2(&products, &halves), naive(&products, &halves), "len {len} turn {turn}");
            }
        }
    }

    #[test]
    fn scores_that_are_no_numbers_lose() {
        let top = top2(&[f32::NAN, 1.0, f32::NAN, 3.0], &[0.0; 4]);
        assert_eq!(top, Top2 { at: 3, best: 3.0, second: 1.0 });
        assert_eq!(top2(&[f32::NAN; 20], &[0.0; 20]).at, 0);
    }

    #[test]
    fn sums_agree_with_double_precision() {
        let a: Vec<f32> = (0..131_u8).map(|i| f32::from(i) * 0.37 - 20.0).collect();
        let b: Vec<f32> = (0..131_u8).map(|i| 11.0 - f32::from(i) * 0.11).collect();
        let pairs = || a.iter().zip(&b).map(|(&x, &y)| (f64::from(x), f64::from(y)));
        let exact: f64 = pairs().map(|(x, y)| x * y).sum();
        assert!((f64::from(dot(&a, &b)) - exact).abs() < 1e-2);
        let exact: f64 = pairs().map(|(x, y)| (x - y) * (x - y)).sum();
        assert!((f64::from(squared_distance(&a, &b)) - exact).abs() / exact < 1e-6);
    }

    #[test]
    fn normalising_gives_length_one_and_leaves_zeros() {
        let mut vector = [3.0_f32, 4.0];
        normalise(&mut vector);
        assert_eq!(vector, [0.6, 0.8]);
        let mut zeros = [0.0_f32; 3];
        normalise(&mut zeros);
        assert_eq!(zeros, [0.0; 3]);
    }
}
