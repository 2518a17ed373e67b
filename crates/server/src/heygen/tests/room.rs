//! How much may be kept, and for how long.

use super::*;

fn begin(host: &PhotoHost, at: Timestamp) -> Result<Box<dyn trainyard_heygen::Upload>, Refused> {
    host.receive(NewAsset { media: Media::Png, at })
}

#[test]
fn files_share_a_bound_and_what_is_swept_makes_room() {
    let folder = tempfile::tempdir().unwrap();
    let config = HeyGenConfig { bytes_max: 100, ..HeyGenConfig::new() };
    let album = album_with(folder.path(), &config);
    let yard = yard(folder.path(), &album, CheckTrainer(Arc::clone(&album)));
    let host = PhotoHost::new(Arc::clone(&album), yard.clone());
    upload(&host, &[1; 60]);
    let mut large = begin(&host, at()).unwrap();
    assert!(matches!(large.write(&[2; 41]), Err(Refused::Full)));
    drop(large);
    let (mut one, mut two) = (begin(&host, at()).unwrap(), begin(&host, at()).unwrap());
    one.write(&[3; 30]).unwrap();
    assert!(matches!(two.write(&[4; 11]), Err(Refused::Full)), "they share it on their way, too");
    two.write(&[4; 10]).unwrap();
    one.finish().unwrap();
    two.finish().unwrap();
    assert!(matches!(begin(&host, at()), Err(Refused::Full)));
    assert_eq!(album.stored(), 100);
    drop((host, yard.shutdown(Duration::ZERO).wait().unwrap(), album));

    let album = album_with(folder.path(), &config);
    assert_eq!(album.stored(), 100, "they are counted again");
    let host = PhotoHost::new(Arc::clone(&album), yard);
    upload_at(&host, &[5; 100], hours_later(7 * 24 + 1));
    assert_eq!((album.stored(), files(folder.path(), "assets").len()), (100, 1), "no look showed the others");
}

#[test]
fn what_no_look_shows_goes_when_no_link_to_it_is_good() {
    let folder = tempfile::tempdir().unwrap();
    let first = album(folder.path());
    let yard = yard(folder.path(), &first, CheckTrainer(Arc::clone(&first)));
    let host = PhotoHost::new(Arc::clone(&first), yard.clone());
    let (shown, other) = (upload(&host, &photo()), upload(&host, &photo()));
    let group = host.create_group(named(shown)).unwrap().group;
    upload_at(&host, &photo(), hours_later(7 * 24));
    assert!(host.picture(other).unwrap().is_some(), "to the millisecond");
    upload_at(&host, &photo(), hours_later(7 * 24 + 1));
    assert!(host.picture(other).unwrap().is_none(), "an upload looks after it");
    assert!(host.picture(shown).unwrap().is_some());
    assert!(host.delete_group(group).unwrap());
    first.sweep(hours_later(7 * 24 + 1)).unwrap();
    assert!(host.picture(shown).unwrap().is_none());
    assert_eq!(files(folder.path(), "assets").len(), 2);
    yard.shutdown(Duration::ZERO).wait().unwrap();
}

#[test]
fn a_start_sweeps() {
    let folder = tempfile::tempdir().unwrap();
    let album = album(folder.path());
    let yard = yard(folder.path(), &album, CheckTrainer(Arc::clone(&album)));
    let host = PhotoHost::new(Arc::clone(&album), yard.clone());
    let (old, new) = (upload_at(&host, b"old", Timestamp::from_millis(1_000)), upload(&host, b"new"));
    // The second one has swept the first.
    assert!(host.picture(old).unwrap().is_none() && host.picture(new).unwrap().is_some());
    let last = upload_at(&host, b"old", Timestamp::from_millis(1_000));
    let (keeping, _) = keep(&album, &yard);
    assert!(host.picture(last).unwrap().is_none() && host.picture(new).unwrap().is_some());
    end(&yard, keeping);
}
