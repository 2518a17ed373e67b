//! Rows of a lesson, read in bounded memory, and those that are kept to judge by.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufReader, Write};
use std::path::{Path, PathBuf};

use serde_json::json;
use trainyard_eliza::{Refused, Task};
use trainyard_runtime::TrainError;
use trainyard_trainkit::{told, write_beside};
use trainyard_trajectories::{self as data, Row, RowError, RowLimits, RowProblem};

use super::runs::count_lines;

/// What was read.
#[derive(Debug)]
pub(super) struct Rows {
    /// In their order: newest first.
    pub(super) rows: Vec<Row>,
    /// Whether there were more.
    pub(super) left: bool,
}

/// The rows of one task: the newest that are no more than memory is there for.
pub(super) fn of_task(tasks: &Path, task: &str) -> Result<Rows, TrainError> {
    read([file(tasks, task)], TASK_ROWS_MAX)
}

/// The rows of all tasks, or where there are none those of a dataset's own file.
pub(super) fn of_all(tasks: &Path, jsonl: &Path) -> Result<Rows, TrainError> {
    let rows = read(data::Task::ALL.map(|task| file(tasks, task.as_str())), ROWS_MAX)?;
    if rows.rows.is_empty() { read([jsonl.to_owned()], ROWS_MAX) } else { Ok(rows) }
}

/// The rows that were held out when a model was made.
pub(super) fn held_out(model: &Path) -> Result<Vec<Row>, Refused> {
    let path = model.parent().unwrap_or(model).join(HELD_OUT);
    let read = read([path], HELD_OUT_MAX).map_err(|error| Refused::Unfit(error.to_string()))?;
    if read.rows.is_empty() {
        return Err(Refused::Unfit("it cannot be measured: of so few rows none was held out".to_owned()));
    }
    Ok(read.rows)
}

/// The task that there are most rows of; of several the first.
pub(super) fn fullest(tasks: &Path) -> Result<Task, TrainError> {
    let count = |task: data::Task| (count_lines(&file(tasks, task.as_str())), task);
    let counted = data::Task::ALL.into_iter().map(count).rev();
    let fullest = counted.max_by_key(|(count, _)| *count).filter(|(count, _)| *count > 0);
    let fullest = fullest.and_then(|(_, task)| Task::new(task.as_str()));
    fullest.ok_or_else(|| TrainError::failed("no task has anything to learn from in it"))
}

/// The rows of these files, each id once, as long as there is memory for them.
fn read(files: impl IntoIterator<Item = PathBuf>, max: usize) -> Result<Rows, TrainError> {
    let (mut rows, mut ids, mut bytes) = (Vec::new(), BTreeSet::new(), 0);
    for path in files {
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error.into()),
        };
        for row in data::Rows::new(BufReader::new(file), RowLimits::default()) {
            let row = row.map_err(|error| unread(&path, &error))?;
            bytes += [&row.id, &row.task, &row.system, &row.user, &row.expected]
                .map(String::len)
                .iter()
                .sum::<usize>();
            if rows.len() == max || bytes > BYTES_MAX {
                return Ok(Rows { rows, left: true });
            }
            if ids.insert(row.id.clone()) {
                rows.push(row);
            }
        }
    }
    Ok(Rows { rows, left: false })
}

fn file(tasks: &Path, task: &str) -> PathBuf {
    tasks.join(format!("{task}_trajectories.jsonl"))
}

fn unread(path: &Path, error: &RowError) -> TrainError {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let words = format!("{name} cannot be read: {}", told(error));
    if matches!(error.problem, RowProblem::Io(_)) {
        TrainError::retry(words)
    } else {
        TrainError::failed(words)
    }
}

/// Writes down in an attempt's folder what was held out: there it stays as long as the model does.
pub(super) fn keep_held_out(folder: &Path, rows: Vec<Row>) -> io::Result<()> {
    let mut bytes = 0;
    let kept = rows.into_iter().take(HELD_OUT_MAX).map(|row| {
        json!({
            "format": "eliza_native_v1",
            "request": { "system": row.system, "messages": [{ "role": "user", "content": row.user }] },
            "response": { "text": row.expected },
            "metadata": { "trajectory_id": row.id, "task_type": row.task },
        })
        .to_string()
    });
    let kept: Vec<String> = kept
        .take_while(|line| {
            bytes += line.len();
            bytes <= HELD_OUT_BYTES_MAX
        })
        .collect();
    write_beside(&folder.join(HELD_OUT), |to| kept.iter().try_for_each(|line| writeln!(to, "{line}")))
}

const HELD_OUT: &str = "held_out.jsonl";
/// Rows that are kept of those that were held out.
const HELD_OUT_MAX: usize = 64;
const HELD_OUT_BYTES_MAX: usize = 4 << 20;
/// A training of an adapter takes no more.
const ROWS_MAX: usize = 100_000;
/// An optimisation takes no more examples.
const TASK_ROWS_MAX: usize = 1_000;
/// Texts that are in memory at once: 64 MiB.
const BYTES_MAX: usize = 64 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn row(number: usize) -> Row {
        Row::new(format!("t{number}:c"), "response", "Be brief.", format!("number {number}?"), "Yes.")
    }

    #[test]
    fn what_was_held_out_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let rows: Vec<Row> = (0..70).map(row).collect();
        keep_held_out(folder.path(), rows.clone()).unwrap();
        let again = read([folder.path().join(HELD_OUT)], usize::MAX).unwrap();
        assert_eq!((&again.rows[..], again.left), (&rows[..HELD_OUT_MAX], false));
    }

    #[test]
    fn each_row_is_taken_once_and_no_more_than_there_may_be() {
        let folder = tempfile::tempdir().unwrap();
        keep_held_out(folder.path(), (0..9).map(row).collect()).unwrap();
        let path = folder.path().join(HELD_OUT);
        let twice = read([path.clone(), folder.path().join("none"), path.clone()], 100).unwrap();
        assert_eq!((twice.rows.len(), twice.left), (9, false));
        let some = read([path.clone()], 5).unwrap();
        assert_eq!((some.rows.len(), some.left), (5, true));
        std::fs::write(&path, "{\"request\":{}}\nno row\n").unwrap();
        let error = read([path], 5).unwrap_err().to_string();
        assert!(error.starts_with("held_out.jsonl cannot be read: line 2"), "{error}");
    }

    #[test]
    fn the_fullest_task_is_the_first_of_those_with_most_rows() {
        let folder = tempfile::tempdir().unwrap();
        assert!(fullest(folder.path()).is_err());
        let write = |task: &str, lines: &str| std::fs::write(file(folder.path(), task), lines).unwrap();
        write("response", "1\n2\n");
        write("action_planner", "1\n2\n");
        write("media_description", "1\n");
        let first =
            data::Task::ALL.iter().find(|task| matches!(task.as_str(), "response" | "action_planner"));
        assert_eq!(fullest(folder.path()).unwrap().as_str(), first.unwrap().as_str());
    }
}
