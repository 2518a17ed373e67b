//! Datasets: how they are built, which there are, and how they are laid out for those who train on them.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::Value;
use trainyard_core::Timestamp;
use trainyard_eliza::{Build, Dataset, DatasetId, HostError, Refused, Source, Task, TrainParameters};
use trainyard_runtime::TrainError;
use trainyard_trainkit::told;
use trainyard_trajectories::{self as data, BuildError, Layout, Order, PrivacyFilter, Record, Trajectory};
use uuid::Uuid;

use super::ElizaLesson;
use super::archive::ArchiveError;
use super::catalog::{Catalog, DatasetRecord, DatasetRefused};
use super::translate;
use crate::disk::{Disk, NotKept};
use crate::records::RecordsError;

/// All datasets, a folder each. A dataset is listed when its folder is whole: first comes the folder, then the record;
/// of one that goes, first the record.
pub(super) struct Datasets {
    root: PathBuf,
    catalog: Arc<Catalog>,
    disk: Disk,
    max: u64,
    filter: PrivacyFilter,
    /// Held while one is built: of two at once, both would take long.
    building: Mutex<()>,
}

/// Why the next trajectory cannot be had.
#[derive(Debug, thiserror::Error)]
enum NoNext {
    #[error(transparent)]
    Catalog(#[from] RecordsError),
    #[error("what is kept of a trajectory cannot be read")]
    Damaged(#[from] data::Refusal),
    #[error("the disk is full")]
    Full,
    #[error("the disk cannot be asked how full it is")]
    Disk(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Datasets {
    /// Clears away what was not built to its end, and makes folders and records agree: a whole folder that nobody knows
    /// is listed again, and a record without a folder goes.
    pub(super) fn open(
        root: PathBuf,
        catalog: Arc<Catalog>,
        disk: Disk,
        max: u64,
        filter: PrivacyFilter,
    ) -> Result<Self, ArchiveError> {
        let failed = |source: io::Error| ArchiveError::Folder { path: root.clone(), source };
        fs::create_dir_all(&root).map_err(failed)?;
        let opened = data::open(&root).map_err(|error| failed(io::Error::other(told(&error))))?;
        if opened.cleared > 0 {
            tracing::info!(cleared = opened.cleared, "datasets that were not whole were cleared away");
        }
        for name in &opened.strange {
            tracing::warn!(name, "it lies among the datasets and is none: it is left alone");
        }
        let listed = catalog.datasets()?;
        let there: BTreeSet<&str> = opened.datasets.iter().map(|record| record.id.as_str()).collect();
        for gone in listed.iter().filter(|record| !there.contains(record.id.as_str())) {
            tracing::warn!(dataset = %gone.id, "its folder is gone: it is listed no more");
            catalog.drop_dataset(&gone.id)?;
        }
        // Oldest first, so that they are in their order again.
        for record in opened.datasets.iter().rev() {
            let Some(found) = listed_as(record) else { continue };
            if !listed.iter().any(|listed| listed.id == found.id) {
                tracing::info!(dataset = %found.id, "it is whole, and is listed again");
                catalog.add_dataset(&found, u64::MAX, |_| true).map_err(|refused| match refused {
                    DatasetRefused::Failed(error) => error,
                    DatasetRefused::TooMany { .. } => RecordsError::Damaged("there is no bound".to_owned()),
                })?;
            }
        }
        Ok(Self { root, catalog, disk, max, filter, building: Mutex::default() })
    }

    /// Builds one of the newest trajectories, and lists it.
    pub(super) fn build(
        &self,
        build: Build,
        is_needed: impl Fn(&DatasetId) -> bool,
    ) -> Result<Dataset, Refused> {
        let Build { limit, llm_calls_min, at } = build;
        let created_ms = u64::try_from(at.as_millis()).unwrap_or(0);
        let random = Uuid::new_v4().simple().to_string();
        let id = format!("dataset-{created_ms}-{}", &random[..8]);
        let id: data::DatasetId = id.parse().map_err(|error: data::BadDatasetId| HostError::new(error))?;
        let small = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        let order = Order::new(id, created_ms).with_limit(small(limit)).with_min_calls(small(llm_calls_min));
        let _one_at_a_time = self.building.lock();
        let record = self.write(&self.root, &order).map_err(refused)?;
        let known = listed_as(&record).ok_or_else(|| HostError::new("its id is none"))?;
        match self.catalog.add_dataset(&known, self.max, is_needed) {
            Ok(gone) => {
                gone.iter().for_each(|gone| self.remove(gone));
                Ok(self.shown(known))
            }
            Err(error) => {
                self.remove(&known.id);
                Err(match error {
                    DatasetRefused::TooMany { max } => Refused::TooMany { what: "datasets", max },
                    DatasetRefused::Failed(error) => NotKept::from(error).into(),
                })
            }
        }
    }

    /// All of them, newest first.
    pub(super) fn all(&self) -> Result<Vec<Dataset>, RecordsError> {
        Ok(self.catalog.datasets()?.into_iter().map(|record| self.shown(record)).collect())
    }

    /// One of them.
    pub(super) fn find(&self, id: &DatasetId) -> Result<Option<Dataset>, RecordsError> {
        Ok(self.catalog.dataset(id)?.map(|record| self.shown(record)))
    }

    /// Lays out below a folder what a training is to be on.
    pub(super) fn lay_out(
        &self,
        parameters: TrainParameters,
        folder: &Path,
    ) -> Result<ElizaLesson, TrainError> {
        let lesson = folder.join(LESSON);
        // Nothing is left of an earlier attempt: each has a folder of its own.
        fs::create_dir(&lesson)?;
        let data = lesson.join("data");
        let (layout, jsonl, examples) = match &parameters.source {
            Source::Dataset(id) => {
                let layout = self.of_dataset(id, parameters.trajectories_max, &lesson)?;
                let jsonl = layout.examples();
                let examples = split(&jsonl, &data, |mut line| line["messages"].take())?;
                (layout, jsonl, examples)
            }
            Source::Task(task) => {
                let (layout, jsonl) = self.of_task(task, parameters.trajectories_max, &lesson)?;
                let examples = split(&jsonl, &data, messages)?;
                (layout, jsonl, examples)
            }
        };
        if examples == 0 {
            return Err(TrainError::failed("there is nothing to learn from in it"));
        }
        Ok(ElizaLesson {
            jsonl,
            trajectories: layout.trajectories(),
            tasks: layout.tasks(),
            data,
            examples,
            parameters,
        })
    }

    /// A dataset as it is, or a copy of its newest trajectories.
    fn of_dataset(&self, id: &DatasetId, max: Option<u64>, lesson: &Path) -> Result<Layout, TrainError> {
        let record = self.catalog.dataset(id).map_err(|error| TrainError::retry(told(&error)))?;
        let gone = || TrainError::failed(format!("the dataset {id} is not there any more"));
        let record = record.ok_or_else(gone)?;
        let key: data::DatasetId = id.as_str().parse().map_err(|_| gone())?;
        let whole = Layout::new(&self.root, &key);
        match max.filter(|max| *max < record.trajectories) {
            None => Ok(whole),
            Some(max) => {
                let part = Layout::new(lesson, &key);
                copy_newest(&whole, &part, max)?;
                Ok(part)
            }
        }
    }

    /// A task's rows as they are now, and the trajectories that they come from.
    fn of_task(&self, task: &Task, max: Option<u64>, lesson: &Path) -> Result<(Layout, PathBuf), TrainError> {
        let known = task.as_str().parse::<data::Task>();
        let known = known.map_err(|error| TrainError::failed(format!("the task {task} {error}")))?;
        let limit = u32::try_from(max.unwrap_or(TASK_TRAJECTORIES)).unwrap_or(u32::MAX);
        let id: data::DatasetId =
            "task".parse().map_err(|error: data::BadDatasetId| TrainError::failed(told(&error)))?;
        let order = Order::new(id.clone(), 0).with_limit(limit);
        self.write(lesson, &order).map_err(|error| {
            let is_hopeless = matches!(error, BuildError::TooLarge { .. });
            let broken = if is_hopeless { TrainError::failed } else { TrainError::retry };
            broken(told(&error))
        })?;
        let layout = Layout::new(lesson, &id);
        let rows = layout.task(known);
        if !rows.exists() {
            return Err(TrainError::failed(format!("there is nothing to learn from for {task}")));
        }
        Ok((layout, rows))
    }

    /// Writes a dataset of the newest trajectories, without what is private.
    fn write(&self, root: &Path, order: &Order) -> Result<Record, BuildError<NoNext>> {
        let newest = self.catalog.newest(u64::from(order.limit()));
        let read = newest.map(|document| -> Result<Trajectory, NoNext> {
            let document = document?;
            self.disk.has((document.len() as u64).saturating_mul(COPIES)).map_err(|error| match error {
                NotKept::Full => NoNext::Full,
                NotKept::Failed(error) => NoNext::Disk(error),
            })?;
            Ok(translate::from_document(&document)?)
        });
        data::build(root, order, &self.filter, read)
    }

    fn shown(&self, record: DatasetRecord) -> Dataset {
        let DatasetRecord { id, created_at, trajectories, examples } = record;
        // What is listed has an id of the data's, too.
        let folder = self.root.join(id.as_str());
        let layout = id.as_str().parse().map(|id| Layout::new(&self.root, &id));
        let path = |of: fn(&Layout) -> PathBuf| layout.as_ref().map_or_else(|_| folder.clone(), of);
        Dataset {
            jsonl: path(Layout::examples),
            trajectory_dir: path(Layout::trajectories),
            metadata: path(Layout::record),
            id,
            created_at,
            trajectories,
            examples,
        }
    }

    /// Removes the folder of one that is not listed any more. What cannot be removed is listed again at the next start.
    fn remove(&self, id: &DatasetId) {
        let Ok(id) = id.as_str().parse() else { return };
        if let Err(error) = data::remove(&self.root, &id) {
            tracing::warn!(dataset = %id, %error, "the folder of a dataset could not be removed");
        }
    }
}

/// Below the folder of an attempt; removed when that is over.
pub(super) const LESSON: &str = "lesson";
/// Of so many trajectories the rows of a task are taken, as the original does, unless the job says otherwise.
const TASK_TRAJECTORIES: u64 = 500;
/// A dataset holds what was said in so many forms, the longest of them with marks in it.
const COPIES: u64 = 4;
/// Every so many examples one is held out.
const HELD_OUT_EVERY: u64 = 10;

/// What the catalogue says of a dataset that was built.
fn listed_as(record: &Record) -> Option<DatasetRecord> {
    let created_at = i64::try_from(record.created_at).unwrap_or(i64::MAX);
    Some(DatasetRecord {
        id: DatasetId::new(record.id.as_str())?,
        created_at: Timestamp::from_millis(created_at),
        trajectories: record.trajectory_count,
        examples: record.example_count,
    })
}

fn refused(error: BuildError<NoNext>) -> Refused {
    let is_full = error.is_full() || matches!(error, BuildError::Source(NoNext::Full));
    if is_full {
        tracing::warn!(error = told(&error), "there is no room for a dataset");
        return Refused::Full;
    }
    if matches!(error, BuildError::TooLarge { .. }) {
        return Refused::Unfit(error.to_string());
    }
    HostError::new(error).into()
}

/// Writes what is held out and what is not into files of their own, only messages; says how many there are. Where there
/// are few examples the last one is in both, since programs want some in each.
fn split(examples: &Path, data: &Path, messages: impl Fn(Value) -> Value) -> Result<u64, TrainError> {
    fs::create_dir(data)?;
    let create = |name: &str| Ok::<_, io::Error>(BufWriter::new(File::create_new(data.join(name))?));
    let (mut train, mut valid) = (create("train.jsonl")?, create("valid.jsonl")?);
    let (mut count, mut last) = (0_u64, String::new());
    for line in BufReader::new(File::open(examples)?).lines() {
        let example = parsed(&line?, examples)?;
        last = serde_json::json!({ "messages": messages(example) }).to_string();
        count += 1;
        writeln!(if count.is_multiple_of(HELD_OUT_EVERY) { &mut valid } else { &mut train }, "{last}")?;
    }
    if (1..HELD_OUT_EVERY).contains(&count) {
        writeln!(valid, "{last}")?;
    }
    train.flush()?;
    valid.flush()?;
    Ok(count)
}

/// The messages of a row of `eliza_native_v1`.
fn messages(row: Value) -> Value {
    let system = row["request"]["system"].as_str().filter(|system| !system.is_empty());
    let system = system.map(|system| serde_json::json!({ "role": "system", "content": system }));
    let asked = row["request"]["messages"].as_array().into_iter().flatten().cloned();
    let answered = serde_json::json!({ "role": "assistant", "content": row["response"]["text"] });
    system.into_iter().chain(asked).chain([answered]).collect()
}

fn parsed(line: &str, of: &Path) -> Result<Value, TrainError> {
    serde_json::from_str(line)
        .map_err(|error| TrainError::failed(format!("{} cannot be read: {error}", of.display())))
}

/// Copies the newest trajectories of a dataset with what can be learned from them. They come newest first in it.
fn copy_newest(whole: &Layout, part: &Layout, max: u64) -> Result<(), TrainError> {
    fs::create_dir_all(part.trajectories())?;
    fs::create_dir_all(part.tasks())?;
    for n in 1..=max {
        let name = format!("{n}.json");
        fs::copy(whole.trajectories().join(&name), part.trajectories().join(&name))?;
    }
    let mut kept = BTreeSet::new();
    copy_lines(&whole.examples(), &part.examples(), |example| {
        let Some(id) = example["trajectory_id"].as_str() else { return false };
        kept.contains(id) || ((kept.len() as u64) < max && kept.insert(id.to_owned()))
    })?;
    for task in data::Task::ALL.into_iter().filter(|task| whole.task(*task).exists()) {
        copy_lines(&whole.task(task), &part.task(task), |row| {
            row["metadata"]["trajectory_id"].as_str().is_some_and(|id| kept.contains(id))
        })?;
    }
    Ok(())
}

/// Copies the lines of a file that this is true of.
fn copy_lines(from: &Path, to: &Path, mut fits: impl FnMut(&Value) -> bool) -> Result<(), TrainError> {
    let mut to = BufWriter::new(File::create_new(to)?);
    for line in BufReader::new(File::open(from)?).lines() {
        let line = line?;
        let json = parsed(&line, from)?;
        if fits(&json) {
            writeln!(to, "{line}")?;
        }
    }
    Ok(to.flush()?)
}

#[cfg(test)]
mod tests;
