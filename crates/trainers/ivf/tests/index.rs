//! The index against a plain map: whatever is done, before and after a reopen, with and without a model.

#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "a test may fail")]

mod common;

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::{blobs, count, lists};
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use trainyard_ivf::{
    Filter, Index, IndexError, InstallError, Installed, Item, Metric, Model, Refusal, Search, Settings,
    TrainingSet,
};

const DIM: usize = 3;

#[derive(Debug, Clone)]
enum Step {
    Upsert(Vec<Item>),
    /// With a vector that is wrong somewhere.
    UpsertBroken(Vec<Item>, f32),
    Delete(Vec<String>),
    Install(u64),
    Uninstall,
    Reopen,
}

fn id() -> impl Strategy<Value = String> {
    (0..12_u8).prop_map(|i| format!("id{i}"))
}

fn item() -> impl Strategy<Value = Item> {
    // few different numbers, so that there are equal distances, and vectors of zeros
    let vector = prop::collection::vec((-2..=2_i8).prop_map(f32::from), DIM);
    (id(), vector, "[a-z]{0,4}", 0..3_u8).prop_map(|(id, vector, contents, colour)| {
        let metadata = json!({ "colour": colour, "half": f64::from(colour) / 3.0 });
        Item::new(id, vector).with_contents(contents).with_metadata(metadata.as_object().unwrap().clone())
    })
}

fn step() -> impl Strategy<Value = Step> {
    let items = || prop::collection::vec(item(), 1..6);
    prop_oneof![
        6 => items().prop_map(Step::Upsert),
        1 => (items(), prop_oneof![Just(f32::NAN), Just(f32::INFINITY)]).prop_map(|(i, x)| Step::UpsertBroken(i, x)),
        3 => prop::collection::vec(id(), 0..4).prop_map(Step::Delete),
        2 => (0..3_u64).prop_map(Step::Install),
        1 => Just(Step::Uninstall),
        2 => Just(Step::Reopen),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 200, ..ProptestConfig::with_cases(24) })]
    #[test]
    fn it_is_a_map_with_search(
        metric in prop::sample::select(&Metric::ALL[..]),
        steps in prop::collection::vec(step(), 1..25),
        query in prop::collection::vec((-2..=2_i8).prop_map(f32::from), DIM),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("index");
        let mut index = Index::create(&path, Settings::new(metric).with_dimension(DIM).unwrap()).unwrap();
        let mut model: BTreeMap<String, Item> = BTreeMap::new();
        let mut installed = None;
        for step in steps {
            match step {
                Step::Upsert(items) => {
                    index.upsert(&items).unwrap();
                    model.extend(items.into_iter().map(|item| (item.id.clone(), item)));
                }
                Step::UpsertBroken(mut items, x) => {
                    let position = items.len() - 1;
                    items[position].vector[1] = x;
                    let error = index.upsert(&items).unwrap_err();
                    prop_assert_eq!(error.refusal(), Some(&Refusal::NotFinite { position, component: 1 }));
                }
                Step::Delete(ids) => {
                    let there = model.len();
                    ids.iter().for_each(|id| drop(model.remove(id)));
                    prop_assert_eq!(index.delete(&ids).unwrap(), there - model.len());
                }
                Step::Install(seed) => {
                    let points = blobs(seed, 60, DIM, 4, 2.0);
                    let set = TrainingSet::new(DIM, metric, points).unwrap();
                    let trained = Arc::new(lists(4).with_seed(seed).train(&set, &()).unwrap());
                    let again = installed == Some(trained.tag());
                    let done = index.install(&trained, count(2), &|| false).unwrap();
                    prop_assert_eq!(done, if again { Installed::Already } else { Installed::Swapped });
                    installed = Some(trained.tag());
                }
                Step::Uninstall => {
                    index.uninstall();
                    installed = None;
                }
                Step::Reopen => {
                    drop(index);
                    index = Index::open(&path).unwrap();
                    installed = None;
                }
            }
            check(&index, &model, &query)?;
            prop_assert_eq!(index.installed().map(|(tag, _)| tag), installed);
        }
    }
}

fn check(index: &Index, model: &BTreeMap<String, Item>, query: &[f32]) -> Result<(), TestCaseError> {
    prop_assert_eq!(index.len(), model.len());
    let mut ids: Vec<String> = index.ids().iter().map(|id| id.to_string()).collect();
    ids.sort();
    prop_assert_eq!(&ids, &model.keys().cloned().collect::<Vec<_>>());
    let mut wanted = ids.clone();
    wanted.insert(0, "unknown".to_owned());
    let items: Vec<&Item> = model.values().collect();
    let got = index.get(&wanted).unwrap();
    prop_assert_eq!(got.iter().collect::<Vec<_>>(), items);
    // all lists: exact, trained or not
    let filter = json!({ "colour": { "$gte": 1 } });
    for filter in [None, Some(Filter::parse(&filter).unwrap())] {
        let mut search = Search::new(count(5)).with_probes(NonZeroU32::MAX);
        if let Some(filter) = &filter {
            search = search.with_filter(filter.clone());
        }
        let hits = index.query(&[query], &search, &|| false).unwrap().remove(0);
        let found: Vec<(&str, f64)> = hits.iter().map(|hit| (&*hit.id, f64::from(hit.distance))).collect();
        let mut all: Vec<(&str, f64)> = model
            .values()
            .filter(|item| filter.as_ref().is_none_or(|filter| filter.matches(&item.metadata)))
            .map(|item| (item.id.as_str(), distance(index.metric(), query, &item.vector)))
            .collect();
        all.sort_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(b.0)));
        all.truncate(5);
        prop_assert_eq!(found.len(), all.len());
        for (found, expected) in found.iter().zip(&all) {
            prop_assert!((found.1 - expected.1).abs() < 1e-6, "{:?} {:?}", found, expected);
        }
        if index.metric() != Metric::Cosine {
            // whole numbers: equal distances are equal, and ids decide
            let ids = |of: &[(&str, f64)]| of.iter().map(|pair| pair.0.to_owned()).collect::<Vec<_>>();
            prop_assert_eq!(ids(&found), ids(&all));
        }
        for hit in &hits {
            prop_assert_eq!(&*hit.metadata, &model[&*hit.id].metadata);
        }
    }
    Ok(())
}

/// In double precision.
fn distance(metric: Metric, a: &[f32], b: &[f32]) -> f64 {
    let pairs = || a.iter().zip(b).map(|(&a, &b)| (f64::from(a), f64::from(b)));
    let norm = |v: &[f32]| v.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt();
    let square: f64 = pairs().map(|(a, b)| (a - b).powi(2)).sum();
    match metric {
        Metric::Euclidean => square.sqrt(),
        Metric::SquaredEuclidean => square,
        Metric::Cosine if norm(a) * norm(b) == 0.0 => 1.0,
        Metric::Cosine => 1.0 - pairs().map(|(a, b)| a * b).sum::<f64>() / (norm(a) * norm(b)),
        other => panic!("unknown metric {other}"),
    }
}

fn created(folder: &tempfile::TempDir) -> Index {
    Index::create(&folder.path().join("index"), Settings::default()).unwrap()
}

fn named(points: &[f32], dim: usize) -> Vec<Item> {
    points.chunks_exact(dim).enumerate().map(|(i, row)| Item::new(format!("{i:06}"), row.to_vec())).collect()
}

#[test]
fn refusals_name_the_place_and_change_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let index = created(&folder);
    let good = || Item::new("a", vec![1.0, 2.0]);
    let deep = (0..70).fold(json!(1), |inner, _| json!([inner]));
    let nested = |value: Value| Map::from_iter([("m".to_owned(), value)]);
    let table = [
        (Item::new("b", vec![1.0]), Refusal::WrongDimension { position: 1, expected: 2, got: 1 }),
        (Item::new("b", vec![1.0, f32::NAN]), Refusal::NotFinite { position: 1, component: 1 }),
        (Item::new("", vec![1.0, 1.0]), Refusal::IdLength { position: 1, bytes: 0 }),
        (Item::new("x".repeat(1025), vec![1.0, 1.0]), Refusal::IdLength { position: 1, bytes: 1025 }),
        (
            good().with_contents("x".repeat((16 << 20) + 1)),
            Refusal::ContentsTooLong { position: 1, bytes: (16 << 20) + 1 },
        ),
        (
            good().with_metadata(nested(json!("x".repeat(1 << 20)))),
            Refusal::MetadataTooLong { position: 1, bytes: (1 << 20) + 8 },
        ),
        (good().with_metadata(nested(deep)), Refusal::MetadataTooDeep { position: 1 }),
    ];
    for (item, expected) in table {
        let error = index.upsert(&[good(), item]).unwrap_err();
        assert_eq!(error.refusal(), Some(&expected));
        assert_eq!((index.len(), index.dimension()), (0, None));
    }
    let error = index.upsert(&[Item::new("a", Vec::new())]).unwrap_err();
    assert_eq!(error.refusal(), Some(&Refusal::DimensionOutOfBounds { got: 0 }));
    let none = |index: &Index, query: &[f32]| index.query(&[query], &Search::new(count(1)), &|| false);
    assert_eq!(none(&index, &[1.0]), Err(Refusal::DimensionUnknown));
    index.upsert(&[good()]).unwrap();
    let error = index.upsert(&[Item::new("b", vec![1.0; 3])]).unwrap_err();
    assert_eq!(error.refusal(), Some(&Refusal::WrongDimension { position: 0, expected: 2, got: 3 }));
    assert_eq!(none(&index, &[1.0]), Err(Refusal::WrongDimension { position: 0, expected: 2, got: 1 }));
    assert_eq!(none(&index, &[1.0, f32::NAN]), Err(Refusal::NotFinite { position: 0, component: 1 }));
    index.delete(&["a"]).unwrap();
    assert_eq!(none(&index, &[1.0, 1.0]), Ok(vec![Vec::new()]));
    assert_eq!(index.dimension(), Some(2), "it stays when the last vector goes");
    assert!(matches!(index.upsert(&[]), Ok(done) if done.len == 0));
}

#[test]
fn an_index_is_opened_once_and_created_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("index");
    assert!(Index::open(&path).unwrap_err().is_not_found());
    let index = Index::create(&path, Settings::default()).unwrap();
    assert!(Index::open(&path).unwrap_err().is_in_use());
    assert!(Index::create(&path, Settings::default()).unwrap_err().is_in_use());
    drop(index);
    assert!(Index::create(&path, Settings::default()).unwrap_err().is_exists());
    drop(Index::open(&path).unwrap());
    Index::remove(&path).unwrap();
    Index::remove(&path).unwrap();
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    std::fs::write(&path, "this is no index, but it is long enough to be looked at").unwrap();
    assert!(Index::open(&path).unwrap_err().is_damaged());
}

#[test]
fn numbers_in_metadata_and_contents_survive_exactly() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("index");
    let metadata =
        json!({ "f": 0.1 + 0.2, "tiny": 5e-324, "u": u64::MAX, "i": i64::MIN, "t": "\u{0}\u{1f600}" });
    let item = Item::new("ü", vec![f32::MIN_POSITIVE, -0.0, 0.1])
        .with_contents("\u{0}a\n")
        .with_metadata(metadata.as_object().unwrap().clone());
    let index = Index::create(&path, Settings::default()).unwrap();
    index.upsert(std::slice::from_ref(&item)).unwrap();
    let filter = Filter::parse(&metadata).unwrap();
    assert_eq!(index.find(&filter, 1).len(), 1);
    drop(index);
    let index = Index::open(&path).unwrap();
    assert_eq!(index.get(&["ü"]).unwrap(), [item]);
    assert_eq!(index.find(&filter, 1).len(), 1);
    assert_eq!(index.find(&filter, 0).len(), 0);
}

#[test]
fn a_model_must_fit() {
    let folder = tempfile::tempdir().unwrap();
    let index = created(&folder);
    let trained = |dim, metric| {
        Arc::new(lists(2).train(&TrainingSet::new(dim, metric, vec![1.0; dim * 4]).unwrap(), &()).unwrap())
    };
    let error = |model: &Arc<Model>| index.install(model, count(1), &|| false).unwrap_err();
    let flat = trained(2, Metric::Euclidean);
    assert_eq!(error(&flat), InstallError::WrongDimension { expected: None, got: 2 });
    index.upsert(&named(&[1.0; 30], 3)).unwrap();
    assert_eq!(error(&flat), InstallError::WrongDimension { expected: Some(3), got: 2 });
    let turned = trained(3, Metric::Cosine);
    let wrong = InstallError::WrongMetric { expected: Metric::Euclidean, got: Metric::Cosine };
    assert_eq!(error(&turned), wrong);
    let good = trained(3, Metric::SquaredEuclidean);
    assert_eq!(index.install(&good, count(1), &|| true), Err(InstallError::Stopped));
    assert_eq!(index.installed(), None);
    assert_eq!(index.install(&good, count(1), &|| false), Ok(Installed::Swapped));
    assert_eq!(index.install(&good, count(1), &|| false), Ok(Installed::Already));
    assert_eq!(index.installed(), Some((good.tag(), 2)));
}

#[test]
fn a_damaged_model_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model");
    let set = TrainingSet::new(2, Metric::Cosine, blobs(1, 50, 2, 3, 3.0)).unwrap();
    let model = lists(3).train(&set, &()).unwrap();
    assert!(Model::load(&path).unwrap_err().is_not_found());
    model.save(&path).unwrap();
    let again = Model::load(&path).unwrap();
    assert_eq!(
        (again.tag(), again.centroids(), again.losses()),
        (model.tag(), model.centroids(), model.losses())
    );
    assert_eq!(
        (again.metric(), again.points(), again.iterations()),
        (Metric::Cosine, 50, model.iterations())
    );
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing left beside it");
    let bytes = std::fs::read(&path).unwrap();
    for at in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[at] ^= 0x20;
        std::fs::write(&path, &flipped).unwrap();
        let error = Model::load(&path).unwrap_err();
        assert!(
            if (8..12).contains(&at) { error.is_unknown_format() } else { error.is_damaged() },
            "byte {at}"
        );
        std::fs::write(&path, &bytes[..at]).unwrap();
        assert!(Model::load(&path).unwrap_err().is_damaged(), "cut at {at}");
    }
    let missing = folder.path().join("no/such/folder");
    assert!(model.save(&missing).unwrap_err().is_not_found());
}

#[test]
fn threads_do_not_change_answers_and_a_stop_ends_a_query() {
    let folder = tempfile::tempdir().unwrap();
    let index = created(&folder);
    index.upsert(&named(&blobs(5, 2_500, 6, 20, 2.0), 6)).unwrap();
    let flat = blobs(6, 20, 6, 20, 2.0);
    let queries: Vec<&[f32]> = flat.chunks_exact(6).collect();
    for trained in [false, true] {
        if trained {
            let model = lists(16).train(&index.training_set(&lists(16)).unwrap(), &()).unwrap();
            index.install(&Arc::new(model), count(3), &|| false).unwrap();
        }
        let search = Search::new(count(7));
        let one = index.query(&queries, &search, &|| false).unwrap();
        for threads in [2, 3, 8, 64] {
            let search = search.clone().with_threads(count(threads));
            assert_eq!(index.query(&queries, &search, &|| false).unwrap(), one);
            assert_eq!(index.query(&queries[..1], &search, &|| false).unwrap(), one[..1]);
        }
        assert_eq!(index.query(&queries, &search, &|| true), Err(Refusal::Stopped));
    }
}

#[test]
fn a_query_goes_on_until_it_has_enough() {
    let folder = tempfile::tempdir().unwrap();
    let index = created(&folder);
    let mut items = named(&blobs(7, 400, 4, 8, 20.0), 4);
    for item in items.iter_mut().step_by(100) {
        item.metadata.insert("rare".to_owned(), json!(true));
    }
    index.upsert(&items).unwrap();
    let model = lists(8).train(&index.training_set(&lists(8)).unwrap(), &()).unwrap();
    index.install(&Arc::new(model), count(1), &|| false).unwrap();
    let search = |k| Search::new(count(k)).with_probes(NonZeroU32::MIN);
    let hits = |search: &Search| index.query(&[&items[0].vector], search, &|| false).unwrap().remove(0);
    assert_eq!(hits(&search(1_000)).len(), 400);
    let rare = search(4).with_filter(Filter::parse(&json!({ "rare": true })).unwrap());
    assert_eq!(hits(&rare).len(), 4);
    assert_eq!(hits(&search(1))[0].id.as_ref(), "000000");
}

#[test]
fn an_upsert_reports_what_it_did() {
    let folder = tempfile::tempdir().unwrap();
    let index = created(&folder);
    let items = named(&[0.0, 1.0, 2.0], 1);
    let done = index.upsert(&items).unwrap();
    assert_eq!((done.inserted, done.replaced, done.len), (3, 0, 3));
    let twice = [Item::new("000000", vec![7.0]), Item::new("n", vec![1.0]), Item::new("n", vec![2.0])];
    let done = index.upsert(&twice).unwrap();
    assert_eq!((done.inserted, done.replaced, done.len), (1, 1, 4));
    assert_eq!(index.get(&["n"]).unwrap()[0].vector, [2.0], "the last one counts");
    assert!(matches!(index.upsert(&[Item::new("", vec![0.0])]), Err(IndexError::Refused(_))));
}

#[test]
fn an_answer_has_the_bound_that_the_caller_gives() {
    let folder = tempfile::tempdir().unwrap();
    let index = created(&folder);
    let metadata = json!({ "colour": "grün" });
    let large = Item::new("ü", vec![0.5; 10])
        .with_contents("é".repeat(1_000))
        .with_metadata(metadata.as_object().unwrap().clone());
    index.upsert(&[large.clone(), Item::new("small", vec![0.0; 10])]).unwrap();
    // id, vector, contents, metadata
    let bytes = 2 + 40 + 2_000 + metadata.to_string().len() as u64;
    assert_eq!(index.get_within(&["ü"], bytes).unwrap(), std::slice::from_ref(&large));
    assert_eq!(index.get_within(&["x", "small"], 5 + 40 + 2).unwrap().len(), 1);
    assert!(index.get_within(&["x"; 3], 0).unwrap().is_empty());
    let refused = |ids: &[&str], bytes_max| index.get_within(ids, bytes_max).unwrap_err();
    let too_much = |bytes, max| Some(Refusal::TooMuch { bytes, max });
    assert_eq!(refused(&["ü"], bytes - 1).refusal().cloned(), too_much(bytes, bytes - 1));
    // each copy counts, and the first that is too much ends it
    assert_eq!(index.get_within(&["ü"; 3], 3 * bytes).unwrap(), vec![large; 3]);
    let error = refused(&["ü"; 1_000], 3 * bytes);
    assert_eq!(error.refusal().cloned(), too_much(4 * bytes, 3 * bytes));
    assert_eq!(
        error.to_string(),
        format!("the items take at least {} bytes, allowed are {}", 4 * bytes, 3 * bytes)
    );
    // a refusal leaves no transaction open: later reads see later changes
    index.upsert(&[Item::new("ü", vec![1.0; 10])]).unwrap();
    assert_eq!(index.get_within(&["ü"], bytes).unwrap()[0].vector, [1.0; 10]);
    assert_eq!(index.get(&["ü"]).unwrap()[0].vector, [1.0; 10]);
}

#[test]
fn a_query_that_filters_many_rows_can_be_stopped() {
    const ROWS: usize = 3_000;
    let folder = tempfile::tempdir().unwrap();
    let index = created(&folder);
    index.upsert(&named(&blobs(9, ROWS, 2, 4, 2.0), 2)).unwrap();
    let nothing = Filter::parse(&json!({ "missing": 1 })).unwrap();
    let search = Search::new(count(1)).with_filter(nothing);
    let queries = [[0.0; 2]; 8];
    for trained in [false, true] {
        if trained {
            // all in one list
            let model = lists(1).train(&index.training_set(&lists(1)).unwrap(), &()).unwrap();
            index.install(&Arc::new(model), count(1), &|| false).unwrap();
        }
        let asked = AtomicUsize::new(0);
        let ask = |stop_at: usize| asked.fetch_add(1, Ordering::Relaxed) + 1 == stop_at;
        assert_eq!(index.query(&queries, &search, &|| ask(0)).unwrap(), vec![Vec::new(); 8]);
        let often = asked.swap(0, Ordering::Relaxed);
        assert!(often >= ROWS * queries.len() / 64 - queries.len(), "asked {often} times");
        assert_eq!(index.query(&queries, &search, &|| ask(20)), Err(Refusal::Stopped));
        assert_eq!(asked.into_inner(), 20);
    }
}

#[test]
fn a_reopened_index_trains_the_same_model() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("index");
    let index = Index::create(&path, Settings::new(Metric::Cosine)).unwrap();
    let items = named(&blobs(8, 600, 4, 8, 2.0), 4);
    index.upsert(&items).unwrap();
    let ids: Vec<&str> = items.iter().map(|item| item.id.as_str()).collect();
    index.delete(&ids[100..200]).unwrap();
    index.upsert(&items[150..170]).unwrap();
    let params = lists(4).with_points_per_list(NonZeroU32::new(50).unwrap());
    let set = index.training_set(&params).unwrap();
    assert_eq!(set.len(), 200);
    reopened(index, &path, |index| assert_eq!(index.training_set(&params).unwrap(), set));
}

fn reopened(index: Index, path: &Path, check: impl FnOnce(&Index)) {
    drop(index);
    check(&Index::open(path).unwrap());
}
