//! Files on their way in, and the room that there is for them.

use trainyard_core::Reason;

use super::*;

#[test]
fn what_made_room_is_gone_and_what_comes_in_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let bounds = MathFiConfig { datasets_max: 2, bytes_max: 100, ..MathFiConfig::new() };
    let (books, owner) = books_with(folder.path(), bounds);
    let yard = yard(folder.path(), &books, |_: &mut Context, _: &JobToTrain| Ok(Trained::default()));
    yard.pause_queue(books.classes.prepare.queue.clone(), Reason::new("so that it must wait"))
        .wait()
        .unwrap();
    let host = TableHost::new(Arc::clone(&books), yard.clone());
    let create = |name: &str, hours: i64| {
        let at = Timestamp::from_millis(hours * 3_600_000);
        host.create_dataset(NewDataset { owner, name: name.to_owned(), description: None, buckets: 20, at })
    };
    let first = create("first", 0).unwrap().id;
    let second = create("second", 0).unwrap().id;
    assert!(matches!(create("third", 1), Err(Refused::TooMany { max: 2, .. })), "its URL is good until now");
    let mut upload = host.receive_data(first).unwrap();
    let third = create("third", 2).unwrap().id;
    assert_eq!((host.owner(first), host.owner(second), host.owner(third)), (Some(owner), None, Some(owner)));

    upload.write(&[b'x'; 60]).unwrap();
    let mut other = host.receive_data(third).unwrap();
    other.write(&[b'x'; 30]).unwrap();
    assert!(matches!(other.write(&[b'x'; 11]), Err(Refused::Full)));
    upload.finish().unwrap();
    drop(other);
    let mut other = host.receive_data(third).unwrap();
    assert!(matches!(other.write(&[b'x'; 41]), Err(Refused::Full)), "what has come in counts");
    other.write(&[b'x'; 40]).unwrap();
    other.finish().unwrap();
    assert_eq!(books.stored(owner).unwrap(), 100);
    let fourth = create("fourth", 9);
    assert!(matches!(fourth, Err(Refused::TooMany { .. })), "those at work stay");
    assert_eq!(fs::read_dir(folder.path().join("mathfi/incoming")).unwrap().count(), 0);
    yard.shutdown(Duration::ZERO).wait().unwrap();
}

#[test]
fn of_two_uploads_one_wins_and_the_other_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (books, owner) = books(folder.path());
    let yard = yard(folder.path(), &books, |_: &mut Context, _: &JobToTrain| Ok(Trained::default()));
    let host = TableHost::new(Arc::clone(&books), yard.clone());
    let at = Timestamp::from_millis(0);
    let new = NewDataset { owner, name: "a".to_owned(), description: None, buckets: 20, at };
    let id = host.create_dataset(new.clone()).unwrap().id;
    assert!(matches!(host.create_dataset(new), Err(Refused::Taken)));
    let mut uploads = [host.receive_data(id).unwrap(), host.receive_data(id).unwrap()];
    uploads.iter_mut().for_each(|upload| upload.write(CSV.as_bytes()).unwrap());
    let (one, other) = thread::scope(|scope| {
        let [one, other] = uploads.map(|upload| scope.spawn(|| upload.finish()));
        (one.join().unwrap(), other.join().unwrap())
    });
    let (won, lost) = if one.is_ok() { (one, other) } else { (other, one) };
    assert_eq!(won.unwrap().state, DatasetState::Processing);
    assert!(matches!(lost, Err(Refused::NotPending)), "{lost:?}");
    assert!(matches!(host.receive_data(id), Err(Refused::NotPending)));
    let gone = DatasetId::new(Uuid::from_u128(9));
    assert!(matches!(host.receive_data(gone), Err(Refused::Gone)));
    assert_eq!(fs::read_dir(folder.path().join("mathfi/incoming")).unwrap().count(), 0);
    assert_eq!(fs::read(books.files.data(id)).unwrap(), CSV.as_bytes());
    yard.shutdown(Duration::ZERO).wait().unwrap();
}
