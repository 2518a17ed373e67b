use std::path::Path;

use trainyard_core::{JobId, Timestamp};
use trainyard_heygen::{Asset, GroupId, LookId, LookState, Media, NewGroup};
use uuid::Uuid;

use super::*;

fn asset(n: u128) -> Asset {
    let media = if n.is_multiple_of(2) { Media::Png } else { Media::Jpeg };
    Asset { id: image(n), media, created_at: at() }
}

fn image(n: u128) -> AssetId {
    AssetId::new(Uuid::from_u128(n))
}

fn group(n: u128) -> GroupId {
    GroupId::new(Uuid::from_u128(n))
}

fn look(n: u128) -> LookId {
    LookId::new(Uuid::from_u128(n))
}

fn at() -> Timestamp {
    Timestamp::from_millis(1_700_000_000_123)
}

/// After all of them have come.
fn late() -> Timestamp {
    Timestamp::from_millis(at().as_millis() + 1)
}

fn shows(id: u128, of: u128) -> LookToAdd {
    LookToAdd { id: look(id), image: image(of), job: JobId::from_u128(id + 100) }
}

fn named(name: &str, of: u128) -> NewGroup {
    NewGroup { name: name.to_owned(), image: image(of), at: at() }
}

fn open(folder: &Path) -> Catalog {
    Catalog::open(&folder.join("catalog.sqlite")).unwrap()
}

/// With images 1 and 2.
fn catalog(folder: &Path) -> Catalog {
    let catalog = open(folder);
    for n in [1, 2] {
        assert_eq!(catalog.add_asset(&asset(n), 9, at()).unwrap(), []);
    }
    catalog
}

fn names(catalog: &Catalog, of: u128) -> Option<Vec<u128>> {
    let looks = catalog.looks(group(of)).unwrap()?;
    Some(looks.iter().map(|look| look.id.as_uuid().as_u128()).collect())
}

#[test]
fn what_is_written_is_there_when_it_is_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let first = catalog(folder.path());
    first.add_group(group(10), &named("Ada", 1), shows(10, 1), 9).unwrap();
    first.add_looks(group(10), "more", at(), &[shows(11, 2), shows(12, 2)], 9).unwrap();
    first.add_group(group(20), &named("Bea", 2), shows(20, 2), 9).unwrap();
    drop(first);
    let again = open(folder.path());
    assert_eq!(again.asset(image(1)).unwrap(), Some(asset(1)));
    assert_eq!(again.asset(image(3)).unwrap(), None);
    assert_eq!([10, 20, 30].map(|n| again.has_group(group(n))), [true, true, false]);
    let [bea, ada] = &again.groups().unwrap()[..] else { panic!("two, newest first") };
    assert_eq!((bea.id, bea.looks, ada.looks, ada.preview), (group(20), 1, 3, Some(image(1))));
    assert_eq!((ada.name.as_str(), ada.created_at), ("Ada", at()));
    assert_eq!(again.group(group(10)).unwrap().as_ref(), Some(ada));
    assert_eq!(names(&again, 10).unwrap(), [10, 11, 12]);
    assert_eq!(names(&again, 30), None);
    let more = again.look(look(11)).unwrap().unwrap();
    assert_eq!((more.name.as_str(), more.group, more.image), ("more", group(10), image(2)));
    assert_eq!((more.created_at, more.state), (at(), LookState::Pending));
    let at_work = again.looks_at_work().unwrap();
    assert_eq!(at_work.len(), 4);
    assert_eq!(at_work[1], (look(11), JobId::from_u128(111)));
}

#[test]
fn states_never_go_back() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = catalog(folder.path());
    catalog.add_group(group(10), &named("Ada", 1), shows(10, 1), 9).unwrap();
    catalog.add_looks(group(10), "b", at(), &[shows(11, 2)], 9).unwrap();
    assert_eq!(catalog.pending_image(look(10)).unwrap().unwrap().media, Media::Jpeg);
    assert!(catalog.complete_look(look(10)).unwrap());
    assert!(!catalog.complete_look(look(10)).unwrap());
    assert!(!catalog.fail_look(look(10), "too late").unwrap());
    assert!(catalog.fail_look(look(11), "no picture").unwrap());
    assert!(!catalog.complete_look(look(11)).unwrap());
    assert_eq!(catalog.pending_image(look(10)).unwrap(), None);
    let failed = LookState::Failed { reason: "no picture".to_owned() };
    assert_eq!(catalog.look(look(11)).unwrap().unwrap().state, failed);
    assert_eq!(catalog.looks_at_work().unwrap(), []);
    let usable = catalog.usable(group(10)).unwrap();
    assert_eq!(usable.len(), 1);
    assert_eq!((usable[0].0, usable[0].1.as_str(), usable[0].2.id), (look(10), "Ada", image(1)));
    assert!(!catalog.complete_look(look(99)).unwrap(), "there is no such look");
}

#[test]
fn looks_are_added_all_or_none_and_only_of_what_there_is() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = catalog(folder.path());
    let gone = catalog.add_looks(group(10), "a", at(), &[shows(11, 1)], 9).unwrap_err();
    assert!(matches!(gone, NotAdded::Gone));
    let no_image = catalog.add_group(group(10), &named("Ada", 7), shows(10, 7), 9).unwrap_err();
    assert!(matches!(no_image, NotAdded::NoImage(id) if id == image(7)));
    assert_eq!(catalog.groups().unwrap(), [], "no half a group");
    assert!(!catalog.has_group(group(10)));
    catalog.add_group(group(10), &named("Ada", 1), shows(10, 1), 1).unwrap();
    let many = catalog.add_group(group(20), &named("Bea", 1), shows(20, 1), 1).unwrap_err();
    assert!(matches!(many, NotAdded::TooMany { what: "groups", max: 1 }));
    let second = catalog.add_looks(group(10), "a", at(), &[shows(11, 1), shows(12, 7)], 9).unwrap_err();
    assert!(matches!(second, NotAdded::NoImage(id) if id == image(7)));
    let many = catalog.add_looks(group(10), "a", at(), &[shows(11, 1), shows(12, 2)], 2).unwrap_err();
    assert!(matches!(many, NotAdded::TooMany { what: "looks", max: 2 }));
    assert_eq!(names(&catalog, 10).unwrap(), [10]);
    catalog.add_looks(group(10), "a", at(), &[shows(11, 1)], 2).unwrap();
    assert_eq!(names(&catalog, 10).unwrap(), [10, 11]);
}

#[test]
fn what_is_no_image_is_kept_and_no_look() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = catalog(folder.path());
    catalog.add_group(group(10), &named("Ada", 1), shows(10, 1), 9).unwrap();
    let kept: Vec<Asset> = [Media::Mp4, Media::WebM, Media::Mp3, Media::Wav]
        .into_iter()
        .zip(3..)
        .map(|(media, n)| Asset { id: image(n), media, created_at: at() })
        .collect();
    for (asset, n) in kept.iter().zip(3..) {
        assert_eq!(catalog.add_asset(asset, 9, late()).unwrap(), []);
        assert_eq!(catalog.asset(asset.id).unwrap().as_ref(), Some(asset));
        let no_image = catalog.add_group(group(20), &named("Bea", n), shows(20, n), 9).unwrap_err();
        assert!(matches!(no_image, NotAdded::NoImage(id) if id == asset.id), "{no_image}");
        let no_image = catalog.add_looks(group(10), "a", at(), &[shows(11, 2), shows(12, n)], 9).unwrap_err();
        assert!(matches!(no_image, NotAdded::NoImage(id) if id == asset.id), "{no_image}");
    }
    assert_eq!((catalog.groups().unwrap().len(), names(&catalog, 10).unwrap()), (1, vec![10]));
    assert_eq!(catalog.assets().unwrap().len(), 6);
}

#[test]
fn what_is_deleted_is_gone_and_its_image_stays() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = catalog(folder.path());
    catalog.add_group(group(10), &named("Ada", 1), shows(10, 1), 9).unwrap();
    catalog.add_looks(group(10), "a", at(), &[shows(11, 2)], 9).unwrap();
    assert!(catalog.remove_look(look(10)).unwrap());
    assert!(!catalog.remove_look(look(10)).unwrap());
    let ada = catalog.group(group(10)).unwrap().unwrap();
    assert_eq!((ada.looks, ada.preview), (1, Some(image(2))));
    assert!(catalog.remove_look(look(11)).unwrap());
    let ada = catalog.group(group(10)).unwrap().unwrap();
    assert_eq!((ada.looks, ada.preview), (0, None), "it goes on without looks");
    catalog.add_looks(group(10), "again", at(), &[shows(12, 1)], 9).unwrap();
    assert!(catalog.remove_group(group(10)).unwrap());
    assert!(!catalog.remove_group(group(10)).unwrap());
    assert_eq!(catalog.look(look(12)).unwrap(), None);
    assert_eq!(catalog.looks_at_work().unwrap(), []);
    assert_eq!(catalog.assets().unwrap().len(), 2);
}

#[test]
fn the_oldest_image_that_no_look_shows_makes_room() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = catalog(folder.path());
    catalog.add_group(group(10), &named("Ada", 1), shows(10, 1), 9).unwrap();
    let gone = |ids: &[u128]| -> Vec<Stored> {
        ids.iter().map(|id| Stored { id: image(*id), media: asset(*id).media }).collect()
    };
    assert_eq!(catalog.add_asset(&asset(3), 3, late()).unwrap(), []);
    assert_eq!(catalog.add_asset(&asset(4), 3, late()).unwrap(), gone(&[2]), "1 is older, and in use");
    assert_eq!(
        catalog.add_asset(&asset(5), 2, late()).unwrap(),
        gone(&[3, 4]),
        "when fewer may be than there are"
    );
    catalog.add_looks(group(10), "a", at(), &[shows(11, 5)], 9).unwrap();
    let refused = catalog.add_asset(&asset(6), 2, late()).unwrap_err();
    assert!(matches!(refused, NotAdded::TooMany { what: "assets", max: 2 }), "{refused}");
    assert_eq!(catalog.assets().unwrap().len(), 2);
    catalog.remove_look(look(10)).unwrap();
    let refused = catalog.add_asset(&asset(6), 1, late()).unwrap_err();
    assert!(matches!(refused, NotAdded::TooMany { max: 1, .. }), "{refused}");
    assert_eq!(catalog.asset(image(1)).unwrap(), Some(asset(1)), "a refusal changes nothing");
    assert_eq!(catalog.add_asset(&asset(6), 2, late()).unwrap(), gone(&[1]));
}

#[test]
fn what_has_just_come_makes_no_room() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = catalog(folder.path());
    let refused = catalog.add_asset(&asset(3), 2, at()).unwrap_err();
    assert!(matches!(refused, NotAdded::TooMany { max: 2, .. }), "{refused}");
    let newer = Asset { created_at: late(), ..asset(3) };
    catalog.add_asset(&newer, 3, at()).unwrap();
    let refused = catalog.add_asset(&asset(4), 1, late()).unwrap_err();
    assert!(matches!(refused, NotAdded::TooMany { max: 1, .. }), "of three only two are old: {refused}");
    assert_eq!(catalog.assets().unwrap().len(), 3);
    assert_eq!(catalog.add_asset(&asset(4), 2, late()).unwrap().len(), 2);
    assert_eq!(catalog.asset(image(3)).unwrap(), Some(newer));
}

#[test]
fn what_no_look_shows_is_swept_when_it_is_old() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = catalog(folder.path());
    catalog.add_group(group(10), &named("Ada", 1), shows(10, 1), 9).unwrap();
    assert_eq!(catalog.sweep_assets(at()).unwrap(), [], "not yet");
    let of = |n| Stored { id: image(n), media: asset(n).media };
    assert_eq!(catalog.sweep_assets(late()).unwrap(), [of(2)]);
    assert!(catalog.remove_look(look(10)).unwrap());
    assert_eq!(catalog.sweep_assets(late()).unwrap(), [of(1)]);
    assert_eq!(catalog.assets().unwrap(), []);
}

#[test]
fn a_key_is_told_once() {
    let folder = tempfile::tempdir().unwrap();
    let first = open(folder.path());
    assert!(!first.is_key_told().unwrap());
    first.tell_key(true).unwrap();
    first.tell_key(true).unwrap();
    drop(first);
    let again = open(folder.path());
    assert!(again.is_key_told().unwrap());
    again.tell_key(false).unwrap();
    assert!(!again.is_key_told().unwrap());
}

#[test]
fn a_group_is_known_for_as_long_as_it_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = catalog(folder.path());
    let is_known = |catalog: &Catalog, n: u128| {
        let known = catalog.has_group(group(n));
        assert_eq!(known, catalog.group(group(n)).unwrap().is_some(), "the file says so too");
        known
    };
    assert!(!is_known(&catalog, 10));
    catalog.add_group(group(10), &named("Ada", 1), shows(10, 1), 9).unwrap();
    assert!(is_known(&catalog, 10));
    assert!(!catalog.remove_group(group(20)).unwrap() && is_known(&catalog, 10));
    assert!(catalog.remove_group(group(10)).unwrap() && !is_known(&catalog, 10));
}
