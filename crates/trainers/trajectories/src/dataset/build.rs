//! From trajectories to a folder that is whole or not there.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use serde::Serialize;

use super::{BuildError, DatasetId, Layout, Order, Record};
use crate::{PrivacyFilter, Redactions, Task, Trajectory, native_line, training_line};

/// Builds a dataset below `root` of trajectories that come newest first.
///
/// Of the first [`Order::limit`] of them, those that the filter [forbids](PrivacyFilter::forbids) are dropped, and those
/// with fewer than [`Order::min_calls`] calls that can be learned from. Of the others everything is filtered, and written
/// as [`Layout`] says. That none is left is no error: then there is an empty dataset.
///
/// The folder gets its name when all of it is durable. Whoever is killed before leaves a hidden one, which
/// [`open`](super::open) clears away.
///
/// # Errors
/// [`BuildError`] says why there is none; then nothing is left of it. Whatever already has that name is left as it is,
/// be it a dataset or a dangling link.
pub fn build<E: std::error::Error + 'static>(
    root: &Path,
    order: &Order,
    filter: &PrivacyFilter,
    trajectories: impl IntoIterator<Item = Result<Trajectory, E>>,
) -> Result<Record, BuildError<E>> {
    let (whole, hidden) = (Layout::new(root, order.id()), Layout::hidden(root, order.id()));
    make_root(root)?;
    match whole.folder().symlink_metadata() {
        Ok(_) => return Err(BuildError::Exists { id: order.id().clone() }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(BuildError::io("look for the dataset")(error)),
    }
    let exists = |operation| move |error| exists_or(order.id(), operation, error);
    // whoever builds the same at the same time is refused here
    fs::create_dir(hidden.folder()).map_err(exists("make the folder of the dataset"))?;
    let built = fill(&hidden, order, filter, trajectories).and_then(|record| {
        // or here, when the other one came to its end in between: a folder that holds something is not replaced
        fs::rename(hidden.folder(), whole.folder()).map_err(exists("name the dataset"))?;
        sync(root).inspect_err(|_| {
            let _ = fs::rename(whole.folder(), hidden.folder()); // what is told to have failed is not listed
        })?;
        Ok(record)
    });
    built.inspect_err(|_| {
        let _ = fs::remove_dir_all(hidden.folder()); // what is left over is cleared away at the next start
    })
}

/// Makes the folder of all datasets, and those above it, durable.
fn make_root<E: std::error::Error + 'static>(root: &Path) -> Result<(), BuildError<E>> {
    // in the folder that a relative path begins in, there is something to open, too
    let above = root
        .ancestors()
        .skip(1)
        .map(|above| if above.as_os_str().is_empty() { Path::new(".") } else { above });
    let missing = root.ancestors().take_while(|folder| !folder.exists()).count();
    fs::create_dir_all(root).map_err(BuildError::io("make the folder of all datasets"))?;
    above.take(missing).try_for_each(sync)
}

fn exists_or<E: std::error::Error + 'static>(
    id: &DatasetId,
    operation: &'static str,
    error: io::Error,
) -> BuildError<E> {
    use io::ErrorKind::{AlreadyExists, DirectoryNotEmpty, NotADirectory};
    if matches!(error.kind(), AlreadyExists | DirectoryNotEmpty | NotADirectory) {
        return BuildError::Exists { id: id.clone() };
    }
    BuildError::io(operation)(error)
}

fn fill<E: std::error::Error + 'static>(
    layout: &Layout,
    order: &Order,
    filter: &PrivacyFilter,
    trajectories: impl IntoIterator<Item = Result<Trajectory, E>>,
) -> Result<Record, BuildError<E>> {
    for folder in [layout.trajectories(), layout.tasks()] {
        fs::create_dir(folder).map_err(BuildError::io("make a folder in the dataset"))?;
    }
    let mut files = Files {
        layout,
        examples: create(&layout.examples())?,
        tasks: BTreeMap::new(),
        room: order.bytes_max(),
        bytes_max: order.bytes_max(),
    };
    let mut record = Record {
        version: Record::VERSION,
        id: order.id().clone(),
        created_at: order.created_ms(),
        limit: order.limit(),
        min_llm_calls_per_trajectory: order.min_calls(),
        trajectory_count: 0,
        example_count: 0,
        dropped_private: 0,
        dropped_short: 0,
        redactions: Redactions::default(),
        tasks: BTreeMap::new(),
        bytes: 0,
    };
    let limit = usize::try_from(order.limit()).unwrap_or(usize::MAX);
    let min_calls = usize::try_from(order.min_calls()).unwrap_or(usize::MAX);
    for trajectory in trajectories.into_iter().take(limit) {
        let trajectory = trajectory.map_err(BuildError::Source)?;
        if filter.forbids(&trajectory) {
            record.dropped_private += 1;
            continue;
        }
        let (filtered, redactions) = filter.trajectory(&trajectory);
        // Counted as it is written: a mark may be shorter or longer than what it stands for.
        if filtered.usable_calls().count() < min_calls {
            record.dropped_short += 1;
            continue;
        }
        record.redactions.add(&redactions);
        record.trajectory_count += 1;
        files.put(&filtered, &mut record)?;
    }
    record.bytes = files.bytes_max - files.room;
    files.finish()?;
    let mut text = serde_json::to_vec_pretty(&record).expect("numbers under plain keys are json");
    text.push(b'\n');
    write_whole(&layout.record(), &text)?;
    for folder in [layout.trajectories().as_path(), layout.tasks().as_path(), layout.folder()] {
        sync(folder)?;
    }
    Ok(record)
}

/// The files of a dataset while they grow.
struct Files<'l> {
    layout: &'l Layout,
    examples: BufWriter<File>,
    tasks: BTreeMap<Task, BufWriter<File>>,
    /// How many bytes may still be written.
    room: u64,
    bytes_max: u64,
}

impl Files<'_> {
    fn put<E: std::error::Error + 'static>(
        &mut self,
        trajectory: &Trajectory,
        record: &mut Record,
    ) -> Result<(), BuildError<E>> {
        for call in trajectory.usable_calls() {
            record.example_count += 1;
            let line = training_line(trajectory, call);
            self.take(line.len() + 1)?;
            writeln!(self.examples, "{line}").map_err(BuildError::io("write the examples"))?;
        }
        for task in Task::ALL {
            for (nth, call) in trajectory.numbered_calls_for(task) {
                *record.tasks.entry(task.to_string()).or_default() += 1;
                let line = native_line(trajectory, call, nth, task, record.id.as_str());
                self.take(line.len() + 1)?;
                let file = match self.tasks.entry(task) {
                    std::collections::btree_map::Entry::Occupied(file) => file.into_mut(),
                    std::collections::btree_map::Entry::Vacant(place) => {
                        place.insert(create(&self.layout.task(task))?)
                    }
                };
                writeln!(file, "{line}").map_err(BuildError::io("write the examples of a task"))?;
            }
        }
        let text = shown(trajectory);
        self.take(text.len())?;
        let path = self.layout.trajectories().join(format!("{}.json", record.trajectory_count));
        write_whole(&path, text.as_bytes())
    }

    fn take<E: std::error::Error + 'static>(&mut self, bytes: usize) -> Result<(), BuildError<E>> {
        let too_large = BuildError::TooLarge { max: self.bytes_max };
        self.room = self.room.checked_sub(bytes as u64).ok_or(too_large)?;
        Ok(())
    }

    fn finish<E: std::error::Error + 'static>(self) -> Result<(), BuildError<E>> {
        self.tasks.into_values().chain([self.examples]).try_for_each(|file| {
            let file = file.into_inner().map_err(io::IntoInnerError::into_error);
            file.and_then(|file| file.sync_all()).map_err(BuildError::io("write the examples to their end"))
        })
    }
}

/// A trajectory as those who train weights read it.
fn shown(trajectory: &Trajectory) -> String {
    let steps = trajectory.shown_steps().len() as u64;
    let shown = Shown {
        trajectory: ShownTrajectory {
            id: trajectory.id.as_str(),
            trajectory_id: trajectory.id.as_str(),
            agent_id: trajectory.agent_id.as_deref(),
            archetype: trajectory.archetype.as_deref(),
            steps_json: trajectory.steps_json(),
            episode_length: trajectory.episode_length.unwrap_or(steps),
            total_reward: trajectory.total_reward.unwrap_or(0.0),
            final_pnl: 0,
        },
    };
    serde_json::to_string(&shown).expect("texts and numbers under plain keys are json")
}

#[derive(Serialize)]
struct Shown<'a> {
    trajectory: ShownTrajectory<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownTrajectory<'a> {
    id: &'a str,
    trajectory_id: &'a str,
    agent_id: Option<&'a str>,
    archetype: Option<&'a str>,
    steps_json: String,
    episode_length: u64,
    total_reward: f64,
    #[serde(rename = "finalPnL")]
    final_pnl: u8,
}

fn create<E: std::error::Error + 'static>(path: &Path) -> Result<BufWriter<File>, BuildError<E>> {
    Ok(BufWriter::new(File::create_new(path).map_err(BuildError::io("make a file of the dataset"))?))
}

fn write_whole<E: std::error::Error + 'static>(path: &Path, bytes: &[u8]) -> Result<(), BuildError<E>> {
    let mut file = File::create_new(path).map_err(BuildError::io("make a file of the dataset"))?;
    file.write_all(bytes)
        .and_then(|()| file.sync_all())
        .map_err(BuildError::io("write a file of the dataset"))
}

fn sync<E: std::error::Error + 'static>(folder: &Path) -> Result<(), BuildError<E>> {
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(BuildError::io("make a folder of the dataset durable"))
}
