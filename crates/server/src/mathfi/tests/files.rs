//! Files that no record names.

use super::*;

#[test]
fn another_catalogue_clears_nothing_away() {
    let folder = tempfile::tempdir().unwrap();
    let (books, owner) = books(folder.path());
    let (id, _) = processing(&books, owner);
    let (data, table) = (books.files.data(id), books.files.table(id));
    fs::write(&table, "a table").unwrap();
    let root = folder.path().join("mathfi");
    fs::create_dir(root.join("datasets/lost+found")).unwrap();
    fs::write(root.join("predictions/note.txt"), "mine").unwrap();
    drop(books);
    for name in ["catalog.sqlite", "catalog.sqlite-wal", "catalog.sqlite-shm"] {
        incoming::remove(&root.join(name));
    }
    // At the first start without it, and at every later one.
    for _ in 0..2 {
        let (books, _) = self::books(folder.path());
        assert!(data.exists() && table.exists());
        let orphan = DatasetId::new(Uuid::new_v4());
        fs::write(books.files.table(orphan), "half").unwrap();
        fs::write(books.files.table(orphan).with_extension("table.new"), "half").unwrap();
        drop(books);
        let (books, _) = self::books(folder.path());
        assert!(!books.files.table(orphan).exists(), "what this catalogue has never known goes");
        assert!(!books.files.table(orphan).with_extension("table.new").exists());
    }
    assert!(root.join("predictions/note.txt").exists() && root.join("datasets/lost+found").exists());
}
