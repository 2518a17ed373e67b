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
        let mut compare = |step: f32| {
            let (mut apart, mut size) = (0.0, 0.0);
            for place in tensor.span.range() {
                let mut difference = |by: f32| (loss(place, by) - loss(place, -by)) / f64::from(2.0 * by);
                // Richardson: what is wrong with both by the square of the step falls out.
                let measured = (4.0 * difference(step) - difference(2.0 * step)) / 3.0;
                apart += (measured - f64::from(slopes[place])).powi(2);
                size += measured.powi(2);
            }
            (f64::sqrt(apart), f64::sqrt(size))
        };
        let is_near = |(apart, size): (f64, f64)| apart <= 5e-3 + 0.005 * size;
        // Where a loss bends sharply, which is seldom, a longer step is no measure.
        let found = compare(1.0 / 256.0);
        let found = if is_near(found) { found } else { compare(1.0 / 1024.0) };
        prop_assert!(is_near(found), "{}: {found:?}", tensor.name);
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
        let mut shares = cache.scores().to_vec();
        trainyard_trainkit::softmax(&mut shares, 7);
        let mut batch = Batch::default();
        batch.push(&text, 7);
        let surprise = -f64::from(shares[usize::from(text[7])]).ln();
        let lost = loss(&model, Some(&lora), &batch);
        prop_assert!((surprise - lost).abs() < 1e-4 * (1.0 + lost), "{} {}", surprise, lost);
    }

    #[test]
    fn it_is_a_llama_as_files_have_it(shape in shape(), rank in 1_u16..4, alpha in 1_u8..5, seed: u64) {
        let mut chance = Chance::new(seed, 0);
        let mut model = Model::seeded(shape, &mut chance);
        stir_model(&mut model, &mut chance);
        let mut lora = Lora::seeded(&shape, Rank::new(rank, f32::from(alpha)).unwrap(), &mut chance);
        stir(&mut lora.weights, &mut chance);
        let text: Vec<u16> = (0..8).map(|_| u16::try_from(chance.below(7)).unwrap()).collect();
        let mut cache = Cache::default();
        model.read_on(Some(&lora), &text, &mut cache);
        let book = Book { model: &model, lora: &lora }.scores(&text);
        prop_assert_eq!(book.len(), cache.scores().len());
        for (found, meant) in cache.scores().iter().zip(book) {
            prop_assert!((f64::from(*found) - meant).abs() < 1e-4 * (1.0 + meant.abs()), "{} {}", found, meant);
        }
    }
}

/// A llama as its files are meant: tensors by their names, in loops over places and with twice the digits. It shares
/// nothing with ours but the numbers.
struct Book<'a> {
    model: &'a Model,
    lora: &'a Lora,
}

impl Book<'_> {
    fn tensor(tensors: &[Tensor], weights: &[f32], name: &str) -> Vec<Vec<f64>> {
        let tensor = tensors.iter().find(|tensor| tensor.name == name).unwrap_or_else(|| panic!("{name}"));
        let rows = weights[tensor.span.range()].chunks(tensor.span.columns);
        rows.map(|row| row.iter().copied().map(f64::from).collect()).collect()
    }

    fn own(&self, name: &str) -> Vec<Vec<f64>> {
        Self::tensor(self.model.tensors(), &self.model.weights, name)
    }

    fn linear(&self, name: &str, row: &[f64]) -> Vec<f64> {
        let learned = |what: &str| {
            let name = format!("base_model.model.{name}.{what}.weight");
            Self::tensor(&self.lora.tensors, &self.lora.weights, &name)
        };
        let scale = f64::from(self.lora.rank().alpha()) / f64::from(self.lora.rank().get());
        let more = times(&learned("lora_B"), &times(&learned("lora_A"), row));
        let out = times(&self.own(&format!("{name}.weight")), row);
        out.iter().zip(more).map(|(out, more)| out + scale * more).collect()
    }

    fn norm(&self, name: &str, row: &[f64]) -> Vec<f64> {
        let mean = dot(row, row) / real(row.len());
        let root = (mean + self.model.shape().sizes().norm_least).sqrt();
        row.iter().zip(&self.own(name)[0]).map(|(number, gain)| number / root * gain).collect()
    }

    /// Turns a head: its first half with its second.
    fn turned(&self, head: &[f64], place: usize) -> Vec<f64> {
        let half = head.len() / 2;
        let turn = |number: usize| {
            let other = if number < half { -head[number + half] } else { head[number - half] };
            let slow = self.model.shape().sizes().wave_base.powf(2.0 * real(number % half) / real(2 * half));
            let angle = real(place) / slow;
            head[number] * angle.cos() + other * angle.sin()
        };
        (0..head.len()).map(turn).collect()
    }

    /// The scores of all tokens to follow the last.
    fn scores(&self, tokens: &[u16]) -> Vec<f64> {
        let Sizes { layers, width, heads, key_heads, head, .. } = *self.model.shape().sizes();
        let wide = width / heads;
        let table = self.own("model.embed_tokens.weight");
        let mut rows: Vec<Vec<f64>> = tokens.iter().map(|token| table[usize::from(*token)].clone()).collect();
        for layer in (0..layers).map(|layer| format!("model.layers.{layer}")) {
            let linear = |name: &str, row: &[f64]| self.linear(&format!("{layer}.{name}"), row);
            let add =
                |row: &[f64], more: Vec<f64>| row.iter().zip(more).map(|(one, more)| one + more).collect();
            let scaled = |row: &Vec<f64>| self.norm(&format!("{layer}.input_layernorm.weight"), row);
            let inputs: Vec<Vec<f64>> = rows.iter().map(scaled).collect();
            let of = |name: &str, place: usize, head: usize| {
                linear(name, &inputs[place])[head * wide..(head + 1) * wide].to_vec()
            };
            for (place, row) in rows.iter_mut().enumerate() {
                let mut seen = Vec::new();
                for head in 0..heads {
                    let shared = head / (heads / key_heads);
                    let query = self.turned(&of("self_attn.q_proj", place, head), place);
                    let near = |past: usize| {
                        let key = self.turned(&of("self_attn.k_proj", past, shared), past);
                        (dot(&query, &key) / real(wide).sqrt()).exp()
                    };
                    let near: Vec<f64> = (0..=place).map(near).collect();
                    let mut out = vec![0.0; wide];
                    for (past, one) in near.iter().enumerate() {
                        let value = of("self_attn.v_proj", past, shared);
                        let share = one / near.iter().sum::<f64>();
                        out.iter_mut().zip(value).for_each(|(out, value)| *out += share * value);
                    }
                    seen.extend(out);
                }
                *row = add(row, linear("self_attn.o_proj", &seen));
                let scaled = self.norm(&format!("{layer}.post_attention_layernorm.weight"), row);
                let (gates, ups) = (linear("mlp.gate_proj", &scaled), linear("mlp.up_proj", &scaled));
                let passed = gates.iter().zip(ups).map(|(gate, up)| gate / (1.0 + (-gate).exp()) * up);
                *row = add(row, linear("mlp.down_proj", &passed.collect::<Vec<_>>()));
            }
        }
        let last = self.norm("model.norm.weight", &rows[tokens.len() - 1]);
        times(&if head == Head::Own { self.own("lm_head.weight") } else { table }, &last)
    }
}

fn dot(one: &[f64], other: &[f64]) -> f64 {
    one.iter().zip(other).map(|(one, other)| one * other).sum()
}

fn times(matrix: &[Vec<f64>], row: &[f64]) -> Vec<f64> {
    matrix.iter().map(|weights| dot(weights, row)).collect()
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
