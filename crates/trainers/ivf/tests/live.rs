//! Training while the index is in use, and how good what comes of it is.

#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "a test may fail")]

mod common;

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use common::{Numbers, blobs, count, lists};
use trainyard_ivf::{Index, Item, Metric, Search, Settings};

fn item(number: usize, row: &[f32]) -> Item {
    Item::new(format!("{number:06}"), row.to_vec())
}

#[test]
fn nothing_is_lost_while_models_come_and_go() {
    const DIM: usize = 8;
    const WRITERS: usize = 2;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("index");
    let index = Index::create(&path, Settings::default()).unwrap();
    let points = blobs(1, 2_000, DIM, 20, 3.0);
    let items: Vec<Item> = points.chunks_exact(DIM).enumerate().map(|(i, row)| item(i, row)).collect();
    index.upsert(&items).unwrap();
    let done = AtomicBool::new(false);
    let kept = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let (index, items, done) = (&index, &items, &done);
                scope.spawn(move || {
                    let mut numbers = Numbers(writer as u64);
                    // a writer has the ids that leave this rest
                    let own = items.iter().enumerate().filter(|(i, _)| i % WRITERS == writer);
                    let mut kept: BTreeMap<String, Item> =
                        own.map(|(_, item)| (item.id.clone(), item.clone())).collect();
                    while !done.load(Ordering::Relaxed) {
                        let number = numbers.below(1_500) * WRITERS + writer;
                        let row: Vec<f32> = (0..DIM).map(|_| numbers.normal() * 3.0).collect();
                        let new = item(number, &row);
                        if numbers.below(3) == 0 {
                            let was = index.delete(&[&new.id]).unwrap();
                            assert_eq!(was, usize::from(kept.remove(&new.id).is_some()));
                        } else {
                            index.upsert(std::slice::from_ref(&new)).unwrap();
                            let hits =
                                index.query(&[&new.vector], &Search::new(count(1)), &|| false).unwrap();
                            assert_eq!((&*hits[0][0].id, hits[0][0].distance), (new.id.as_str(), 0.0));
                            kept.insert(new.id.clone(), new);
                        }
                    }
                    kept
                })
            })
            .collect();
        for seed in 0..4 {
            let params = lists(16).with_seed(seed).with_max_iters(NonZeroU32::new(4).unwrap());
            let set = index.training_set(&params).unwrap();
            let model = Arc::new(params.train(&set, &()).unwrap());
            index.install(&model, count(2), &|| false).unwrap();
            if seed == 2 {
                index.uninstall();
            }
        }
        done.store(true, Ordering::Relaxed);
        writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect::<BTreeMap<_, _>>()
    });
    assert!(index.installed().is_some());
    same(&index, &kept);
    // each row is found in the list that its vector leads to, and only once in all lists
    for item in kept.values() {
        let near = Search::new(count(1)).with_probes(NonZeroU32::MIN);
        assert_eq!(&*index.query(&[&item.vector], &near, &|| false).unwrap()[0][0].id, item.id);
    }
    let all = Search::new(count(10_000));
    assert_eq!(index.query(&[[0.0; DIM]], &all, &|| false).unwrap()[0].len(), kept.len());
    drop(index);
    same(&Index::open(&path).unwrap(), &kept);
}

fn same(index: &Index, kept: &BTreeMap<String, Item>) {
    let ids: Vec<&String> = kept.keys().collect();
    assert_eq!(index.len(), kept.len());
    assert_eq!(index.get(&ids).unwrap(), kept.values().cloned().collect::<Vec<_>>());
}

#[test]
fn the_default_probes_find_nineteen_of_twenty() {
    for (metric, dim, blob_count, spread) in [
        (Metric::Euclidean, 16, 40, 1.0),
        (Metric::Cosine, 16, 40, 1.0),
        (Metric::SquaredEuclidean, 24, 50, 1.0),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let index = Index::create(&folder.path().join("index"), Settings::new(metric)).unwrap();
        let points = blobs(3, 4_100, dim, blob_count, spread);
        let (queries, points) = points.split_at(100 * dim);
        let items: Vec<Item> = points.chunks_exact(dim).enumerate().map(|(i, row)| item(i, row)).collect();
        index.upsert(&items).unwrap();
        let params = lists(64).with_max_iters(NonZeroU32::new(5).unwrap());
        let queries: Vec<&[f32]> = queries.chunks_exact(dim).collect();
        let search = Search::new(count(10));
        let exact = index.query(&queries, &search, &|| false).unwrap();
        let model = params.train(&index.training_set(&params).unwrap(), &()).unwrap();
        index.install(&Arc::new(model), count(2), &|| false).unwrap();
        let found = index.query(&queries, &search, &|| false).unwrap();
        let both = exact.iter().zip(&found);
        let hits: usize =
            both.map(|(e, f)| f.iter().filter(|hit| e.iter().any(|x| x.id == hit.id)).count()).sum();
        let recall = hits as f64 / 1_000.0;
        assert!(recall >= 0.95, "{metric}, {dim} dimensions: {recall}");
    }
}
