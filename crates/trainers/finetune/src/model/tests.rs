use proptest::prelude::*;

use super::*;

/// A small shape.
fn shape() -> impl Strategy<Value = Shape> {
    let heads = prop_oneof![Just((1, 1)), Just((2, 1)), Just((2, 2)), Just((4, 2))];
    let head = prop_oneof![Just(Head::Tied), Just(Head::Own)];
    (1_usize..3, heads, 2_usize..4, 1_usize..9, head).prop_map(
        |(layers, (heads, key_heads), half, hidden, head)| {
            let sizes = Sizes {
                layers,
                width: 2 * heads * half,
                heads,
                key_heads,
                hidden,
                context: 8,
                vocabulary: 7,
                head,
                wave_base: 100.0,
                norm_least: 1e-5,
            };
            Shape::new(sizes).unwrap()
        },
    )
}

/// Texts of different lengths, of which different parts are to be foreseen.
fn texts(chance: &mut Chance) -> Batch {
    let mut batch = Batch::default();
    for length in [5, 2, 8] {
        let text: Vec<u16> = (0..length).map(|_| u16::try_from(chance.below(7)).unwrap()).collect();
        batch.push(&text, 1 + chance.below(length - 1));
    }
    batch
}

/// Weights far enough from naught that every tensor matters, and none is near a sharp bend.
fn stir(weights: &mut [f32], chance: &mut Chance) {
    for weight in weights {
        let by = narrow(0.1 + 0.2 * chance.unit());
        *weight += if chance.unit() < 0.5 { -by } else { by };
    }
}

/// The same, and the table more than the rest: where its rows are short, a scale bends sharply.
fn stir_model(model: &mut Model, chance: &mut Chance) {
    stir(&mut model.weights, chance);
    let table = model.plan.table.range();
    model.weights[table].iter_mut().for_each(|weight| *weight *= 4.0);
}

fn loss(model: &Model, lora: Option<&Lora>, batch: &Batch) -> f64 {
    model.forward(lora, batch, 1.0, &mut Tape::default())
}

fn slopes(model: &Model, lora: Option<&Lora>, batch: &Batch) -> Vec<f32> {
    let mut slopes = vec![0.0; lora.map_or(model.weights.len(), |lora| lora.weights.len())];
    let mut tape = Tape::default();
    model.forward(lora, batch, 1.0, &mut tape);
    model.backward(lora, batch, &mut tape, &mut Errors::default(), &mut slopes);
    slopes
}

/// Every slope is that of a finite difference, tensor by tensor; and no tensor is without one.
fn check(
    tensors: &[Tensor],
    slopes: &[f32],
    mut loss: impl FnMut(usize, f32) -> f64,
) -> Result<(), TestCaseError> {
    prop_assert_eq!(slopes.len(), tensors.iter().map(|tensor| tensor.span.range().len()).sum::<usize>());
    for tensor in tensors {
        let mut apart = 0.0;
        let mut size = 0.0;
        for place in tensor.span.range() {
            let mut difference = |by: f32| (loss(place, by) - loss(place, -by)) / f64::from(2.0 * by);
            // Richardson: what is wrong with both by the square of the step falls out.
            let measured = (4.0 * difference(1.0 / 256.0) - difference(1.0 / 128.0)) / 3.0;
            apart += (measured - f64::from(slopes[place])).powi(2);
            size += measured.powi(2);
        }
        let (apart, size) = (f64::sqrt(apart), f64::sqrt(size));
        prop_assert!(apart <= 5e-3 + 0.005 * size, "{}: {apart} of {size}", tensor.name);
        prop_assert!(slopes[tensor.span.range()].iter().any(|slope| *slope != 0.0), "{}", tensor.name);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn slopes_of_the_base_are_those_of_finite_differences(shape in shape(), seed: u64) {
        let mut chance = Chance::new(seed, 0);
        let mut model = Model::seeded(shape, &mut chance);
        stir_model(&mut model, &mut chance);
        prop_assert_eq!(model.weights.len() as u64, shape.weights());
        let batch = texts(&mut chance);
        let found = slopes(&model, None, &batch);
        let tensors = model.tensors().to_vec();
        check(&tensors, &found, |place, by| {
            let before = model.weights[place];
            model.weights[place] += by;
            let loss = loss(&model, None, &batch);
            model.weights[place] = before;
            loss
        })?;
    }

    #[test]
    fn slopes_of_an_adapter_are_those_of_finite_differences(
        shape in shape(), rank in 1_u16..4, alpha in 1_u8..5, seed: u64,
    ) {
        let mut chance = Chance::new(seed, 0);
        let mut model = Model::seeded(shape, &mut chance);
        stir_model(&mut model, &mut chance);
        let rank = Rank::new(rank, f32::from(alpha)).unwrap();
        let mut lora = Lora::seeded(&shape, rank, &mut chance);
        prop_assert_eq!(lora.weights.len() as u64, Lora::count(&shape, rank));
        stir(&mut lora.weights, &mut chance);
        let batch = texts(&mut chance);
        let found = slopes(&model, Some(&lora), &batch);
        let tensors = lora.tensors.clone();
        check(&tensors, &found, |place, by| {
            let before = lora.weights[place];
            lora.weights[place] += by;
            let loss = loss(&model, Some(&lora), &batch);
            lora.weights[place] = before;
            loss
        })?;
    }

    #[test]
    fn one_token_after_the_other_is_as_all_at_once(shape in shape(), cut in 1_usize..7, seed: u64) {
        let mut chance = Chance::new(seed, 0);
        let model = Model::seeded(shape, &mut chance);
        let mut lora = Lora::seeded(&shape, Rank::default(), &mut chance);
        stir(&mut lora.weights, &mut chance);
        let text: Vec<u16> = (0..8).map(|_| u16::try_from(chance.below(7)).unwrap()).collect();
        let mut cache = Cache::default();
        model.read_on(Some(&lora), &text[..cut], &mut cache);
        for place in cut..7 {
            model.read_on(Some(&lora), &text[place..=place], &mut cache);
        }
        prop_assert_eq!(cache.tokens(), 7);
        let shares = trained_shares(cache.scores());
        let mut batch = Batch::default();
        batch.push(&text, 7);
        let surprise = -f64::from(shares[usize::from(text[7])]).ln();
        let lost = loss(&model, Some(&lora), &batch);
        prop_assert!((surprise - lost).abs() < 1e-4 * (1.0 + lost), "{} {}", surprise, lost);
    }
}

fn trained_shares(scores: &[f32]) -> Vec<f32> {
    let mut shares = scores.to_vec();
    parts::share(&mut shares);
    shares
}

#[test]
fn an_adapter_begins_as_nothing() {
    let mut chance = Chance::new(3, 0);
    let model = Model::seeded(Shape::SMALL, &mut chance);
    let lora = Lora::seeded(&Shape::SMALL, Rank::default(), &mut chance);
    let mut batch = Batch::default();
    batch.push(&(0..200).collect::<Vec<_>>(), 150);
    assert_eq!(loss(&model, Some(&lora), &batch), loss(&model, None, &batch));
    assert_eq!((batch.tokens(), batch.asked()), (199, 50));
    // At the beginning nothing is known: all tokens are about as likely.
    let each = loss(&model, None, &batch) / 50.0;
    assert!((each - 264.0_f64.ln()).abs() < 0.3, "{each}");
}

#[test]
fn texts_of_a_batch_do_not_see_each_other() {
    let mut chance = Chance::new(4, 0);
    let model = Model::seeded(Shape::SMALL, &mut chance);
    let texts: [&[u16]; 3] = [&[1, 2, 3, 4], &[9, 8], &[5, 5, 5, 6, 7]];
    let mut all = Batch::default();
    let mut alone = 0.0;
    for text in texts {
        all.push(text, 1);
        let mut batch = Batch::default();
        batch.push(text, 1);
        alone += loss(&model, None, &batch);
    }
    assert!((loss(&model, None, &all) - alone).abs() < 1e-4);
}

#[test]
fn sizes_that_make_no_model_are_refused() {
    let refused = |change: &dyn Fn(&mut Sizes)| {
        let mut sizes = *Shape::SMALL.sizes();
        change(&mut sizes);
        Shape::new(sizes).unwrap_err().to_string()
    };
    assert_eq!(refused(&|sizes| sizes.layers = 0), "layers: 0 is not within 1 to 64");
    assert_eq!(
        refused(&|sizes| sizes.context = usize::MAX),
        format!("context: {} is not within 8 to 4096", usize::MAX)
    );
    assert_eq!(refused(&|sizes| sizes.width = 66), "a width of 66 cannot be shared by 4 heads");
    assert_eq!(refused(&|sizes| sizes.key_heads = 3), "3 key heads cannot be shared by 4 heads");
    for bad in [f64::NAN, 0.0, f64::INFINITY] {
        assert_eq!(
            refused(&|sizes| sizes.wave_base = bad),
            "the wave base or the least mean square is out of bounds"
        );
    }
    let sizes = *Shape::SMALL.sizes();
    assert_eq!(Shape::new(sizes), Ok(Shape::SMALL));
}
