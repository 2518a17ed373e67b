//! Checks the journal of a data folder that nobody uses.

use std::error::Error;
use std::path::Path;

use trainyard::sqlite::{Verified, verify as verify_journal};

/// Reads all of it, and says so in a line.
pub(crate) fn verify(data: &Path) -> Result<String, Box<dyn Error>> {
    let path = data.join("yard.sqlite");
    let Verified { head, snapshot, records, facts, .. } = verify_journal(&path)?;
    let after = snapshot.map(|snapshot| format!(" after a snapshot at {snapshot}")).unwrap_or_default();
    Ok(format!("journal {} is whole: {facts} facts, {records} records up to {head}{after}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use trainyard::{QueueName, QueueSettings};

    use super::*;

    #[test]
    fn it_says_whether_the_journal_is_whole_and_where_it_is_not() {
        let data = std::env::temp_dir().join(format!("trainyard-verify-{}", std::process::id()));
        let error = verify(&data).unwrap_err();
        assert!(error.to_string().starts_with("could not find journal "), "{error}");
        let (yard, _) = trainyard::open(&data).start().unwrap();
        yard.configure_queue(QueueName::new("q").unwrap(), QueueSettings::default()).wait().unwrap();
        let error = verify(&data).unwrap_err();
        assert!(error.to_string().contains("is held by process"), "{error}");
        yard.shutdown(std::time::Duration::from_secs(5)).wait().unwrap();
        let whole = verify(&data).unwrap();
        assert!(whole.contains(" is whole: ") && whole.contains(" records up to "), "{whole}");

        let path = data.join("yard.sqlite");
        let bytes = fs::read(&path).unwrap();
        fs::remove_file(data.join("yard.sqlite-wal")).unwrap();
        let error = verify(&data).unwrap_err();
        assert!(error.to_string().ends_with("is corrupt"), "{error}");
        assert_eq!(fs::read(&path).unwrap(), bytes, "nothing is changed");
        fs::remove_dir_all(&data).unwrap();
    }
}
