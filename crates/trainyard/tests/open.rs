//! The folder that a yard is opened in.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use trainyard::{
    Class, Context, JobToTrain, Kind, OpenError, OpenReport, Outcome, QueueName, Subject, Submission,
    Trained, Trainyard,
};

struct TempDir(PathBuf);

impl TempDir {
    fn new(name: &str) -> Self {
        Self(std::env::temp_dir().join(format!("trainyard-{name}-{}", std::process::id())))
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn open(folder: &Path) -> Result<(Trainyard, OpenReport), OpenError> {
    let nothing_to_do = |_: &mut Context, _: &JobToTrain| Ok(Trained::default());
    trainyard::open(folder).trainer(Kind::new("test").unwrap(), nothing_to_do).start()
}

#[test]
fn what_was_acknowledged_is_there_after_reopening() {
    let folder = TempDir::new("reopen");
    let (yard, _) = open(&folder.0).unwrap();
    let class = Arc::new(Class::new(Kind::new("test").unwrap(), QueueName::new("default").unwrap()));
    let submission = Submission::new(yard.job_id(), Subject::new("a").unwrap(), class);
    let job = yard.submit(submission).wait().unwrap().job;
    let outcome = yard.finished(job).wait().unwrap();
    assert_eq!(outcome, Outcome::Completed { model: None });
    let before = yard.read(Clone::clone);
    yard.shutdown(Duration::from_secs(5)).wait().unwrap();

    let (yard, report) = open(&folder.0).unwrap();
    assert_eq!(report, OpenReport::default());
    assert_eq!(yard.finished(job).wait().unwrap(), outcome);
    assert_eq!(yard.read(|yard| yard.job(job).cloned()), before.job(job).cloned());
    yard.shutdown(Duration::from_secs(5)).wait().unwrap();
}

#[test]
fn a_folder_belongs_to_one_at_a_time() {
    let folder = TempDir::new("twice");
    let (yard, _) = open(&folder.0).unwrap();
    let refused = open(&folder.0).unwrap_err();
    assert!(refused.to_string().contains("is held by"), "{refused}");
    yard.shutdown(Duration::from_secs(5)).wait().unwrap();
    let (again, _) = open(&folder.0).unwrap();
    again.shutdown(Duration::from_secs(5)).wait().unwrap();
}
