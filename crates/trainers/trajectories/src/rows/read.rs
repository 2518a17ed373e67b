//! From lines to rows, in bounded memory.

use std::io::{self, BufRead, Read};

use serde_json::Value;

use super::{NATIVE, Row};

/// How large a file of rows may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowLimits {
    /// The whole file, in bytes. Default: 1 GiB.
    pub bytes: u64,
    /// Its rows, with those that are skipped. Default: 100,000.
    pub rows: u64,
    /// One line, in bytes without its end. Default: 16 MiB, which is more than a trajectory of default limits leaves.
    pub line_bytes: usize,
}

impl Default for RowLimits {
    fn default() -> Self {
        Self { bytes: 1 << 30, rows: 100_000, line_bytes: 16 << 20 }
    }
}

/// Why there is no next row.
#[derive(Debug, thiserror::Error)]
#[error("line {line}")]
#[non_exhaustive]
pub struct RowError {
    /// Where, from 1.
    pub line: u64,
    /// What is wrong there.
    #[source]
    pub problem: RowProblem,
}

/// What is wrong with a line.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RowProblem {
    /// It cannot be read.
    #[error("it is no json")]
    NotJson(#[source] serde_json::Error),
    /// It is something else.
    #[error("it is a row neither of eliza_native_v1 nor of three messages")]
    Unknown,
    /// It is too long.
    #[error("it takes more than {max} bytes")]
    TooLong {
        /// How many it may take.
        max: usize,
    },
    /// There are too many.
    #[error("there may be {max} rows, and this is one more")]
    TooMany {
        /// How many there may be.
        max: u64,
    },
    /// The file is too large.
    #[error("with it the file takes more than {max} bytes")]
    TooLarge {
        /// How many it may take.
        max: u64,
    },
    /// The source did not do its part.
    #[error("could not read it")]
    Io(#[source] io::Error),
}

/// The rows of a file in JSON Lines, one after the other: of `eliza_native_v1` or of three messages, as
/// [`native_line`](super::native_line) and [`training_line`](super::training_line) write them. At most one of them is in
/// memory.
///
/// In the native format, what a row instructs is `request.system` or the first system message; what it asks are all user
/// messages, or else `request.prompt`; what it expects is `response.text`, or else the tool calls, or else the last
/// message of the assistant. A row that asks or expects nothing is skipped, and counted. After a line that is no row the
/// next one comes; after anything else that is wrong, nothing comes.
///
/// ```
/// use trainyard_trajectories::{LlmCall, RowLimits, Rows, Task, Trajectory, native_line};
///
/// let call = LlmCall::new("Be brief.", "Name a sieve.", "Eratosthenes");
/// let line = native_line(&Trajectory::new("t".parse()?), &call, 0, Task::Response, "a dataset");
/// let mut rows = Rows::new(line.as_bytes(), RowLimits::default());
/// let row = rows.next().expect("there is one")?;
/// assert_eq!((row.id.as_str(), row.user.as_str()), ("t:call-0", "Name a sieve."));
/// assert!(rows.next().is_none() && rows.skipped() == 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Rows<R> {
    source: R,
    limits: RowLimits,
    line: u64,
    bytes: u64,
    rows: u64,
    skipped: u64,
    is_over: bool,
    text: Vec<u8>,
}

impl<R: BufRead> Rows<R> {
    /// Reads nothing yet.
    #[must_use]
    pub const fn new(source: R, limits: RowLimits) -> Self {
        Self { source, limits, line: 0, bytes: 0, rows: 0, skipped: 0, is_over: false, text: Vec::new() }
    }

    /// How many rows were skipped so far, since they ask or expect nothing.
    #[must_use]
    pub const fn skipped(&self) -> u64 {
        self.skipped
    }

    fn read(&mut self) -> Result<Option<Row>, RowProblem> {
        while self.read_line()? {
            let mut text = self.text.as_slice();
            if self.line == 1 {
                text = text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(text);
            }
            if text.trim_ascii().is_empty() {
                continue;
            }
            self.rows += 1;
            if self.rows > self.limits.rows {
                self.is_over = true;
                return Err(RowProblem::TooMany { max: self.limits.rows });
            }
            let value: Value = serde_json::from_slice(text).map_err(RowProblem::NotJson)?;
            let mut row = if has_native_shape(&value) {
                native(&value)
            } else if value["messages"].is_array() && value["format"].is_null() {
                of_messages(&value)
            } else {
                return Err(RowProblem::Unknown);
            };
            if row.user.trim().is_empty() || row.expected.trim().is_empty() {
                self.skipped += 1;
                continue;
            }
            if row.id.is_empty() {
                row.id = format!("row-{}", self.line);
            }
            return Ok(Some(row));
        }
        Ok(None)
    }

    /// Reads the next line, without its end, and says whether there was one.
    fn read_line(&mut self) -> Result<bool, RowProblem> {
        if self.is_over {
            return Ok(false);
        }
        self.is_over = true; // unless all is well
        self.line += 1;
        self.text.clear();
        let max = self.limits.line_bytes;
        let most = u64::try_from(max).unwrap_or(u64::MAX).saturating_add(2);
        let read = (&mut self.source).take(most).read_until(b'\n', &mut self.text).map_err(RowProblem::Io)?;
        if read == 0 {
            return Ok(false);
        }
        self.bytes = self.bytes.saturating_add(read as u64);
        if self.bytes > self.limits.bytes {
            return Err(RowProblem::TooLarge { max: self.limits.bytes });
        }
        let line = self.text.strip_suffix(b"\n").unwrap_or(&self.text);
        let bytes = line.strip_suffix(b"\r").unwrap_or(line).len();
        if bytes > max {
            return Err(RowProblem::TooLong { max });
        }
        self.text.truncate(bytes);
        self.is_over = false;
        Ok(true)
    }
}

impl<R: BufRead> Iterator for Rows<R> {
    type Item = Result<Row, RowError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().map_err(|problem| RowError { line: self.line, problem }).transpose()
    }
}

fn has_native_shape(value: &Value) -> bool {
    value["request"].is_object() && (value["format"].is_null() || value["format"] == NATIVE)
}

fn native(value: &Value) -> Row {
    let (request, response, metadata) = (&value["request"], &value["response"], &value["metadata"]);
    let messages = said(&request["messages"]);
    let first = |role: &str| messages.iter().find(|(said, _)| *said == role).map(|(_, text)| text.clone());
    let users: Vec<&str> =
        messages.iter().filter(|(role, _)| *role == "user").map(|(_, text)| text.as_str()).collect();
    let asked = users.join("\n");
    let calls = &response["toolCalls"];
    let called = calls.as_array().filter(|calls| !calls.is_empty()).map(|_| calls.to_string());
    let last = || messages.iter().rev().find(|(role, _)| *role == "assistant").map(|(_, text)| text.clone());
    let ids = [&metadata["trajectory_id"], &metadata["call_id"]];
    Row {
        id: ids.into_iter().filter_map(some_text).collect::<Vec<_>>().join(":"),
        task: text(&metadata["task_type"]),
        system: some_text(&request["system"]).or_else(|| first("system")).unwrap_or_default(),
        user: if asked.trim().is_empty() { text(&request["prompt"]) } else { asked },
        expected: some_text(&response["text"]).or(called).or_else(last).unwrap_or_default(),
        reward: reward(metadata),
    }
}

fn of_messages(value: &Value) -> Row {
    let messages = said(&value["messages"]);
    let all = |wanted: &str| {
        let texts: Vec<&str> =
            messages.iter().filter(|(role, _)| *role == wanted).map(|(_, text)| text.as_str()).collect();
        texts.join("\n")
    };
    let last = messages.iter().rev().find(|(role, _)| *role == "assistant");
    Row {
        id: String::new(), // a trajectory has several rows, and they have no names
        task: text(&value["metadata"]["purpose"]),
        system: all("system"),
        user: all("user"),
        expected: last.map(|(_, text)| text.clone()).unwrap_or_default(),
        reward: reward(&value["metadata"]),
    }
}

/// Who said what.
fn said(messages: &Value) -> Vec<(&str, String)> {
    let messages = messages.as_array().map(Vec::as_slice).unwrap_or_default();
    messages
        .iter()
        .filter_map(|message| Some((message["role"].as_str()?, content(&message["content"]))))
        .collect()
}

/// A text, or the texts among the parts of a message.
fn content(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(parts) => {
            parts.iter().filter_map(|part| part["text"].as_str()).collect::<Vec<_>>().join("\n")
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => String::new(),
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn some_text(value: &Value) -> Option<String> {
    Some(text(value)).filter(|text| !text.trim().is_empty())
}

fn reward(metadata: &Value) -> Option<f64> {
    metadata["ai_judge_reward"].as_f64().or_else(|| metadata["total_reward"].as_f64())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{LlmCall, Task, Trajectory, native_line, training_line};

    fn read_all(text: &str) -> (Vec<Row>, u64) {
        let mut rows = Rows::new(text.as_bytes(), RowLimits::default());
        let read = rows.by_ref().map(|row| row.unwrap()).collect();
        (read, rows.skipped())
    }

    fn one(value: &Value) -> Row {
        let (mut rows, skipped) = read_all(&value.to_string());
        assert_eq!((rows.len(), skipped), (1, 0), "{value}");
        rows.remove(0)
    }

    #[test]
    fn what_is_written_is_read_again() {
        let mut trajectory = Trajectory::new("t/1".parse().unwrap());
        (trajectory.total_reward, trajectory.agent_id) = (Some(0.1), Some("a".to_owned()));
        let mut call = LlmCall::new("Be\nbrief.", "A \"sieve\"?\u{2028}", "Of Eratosthenes");
        let native = native_line(&trajectory, &call, 3, Task::ActionPlanner, "d");
        let (rows, _) = read_all(&format!("\u{feff}{native}\r\n\r\n{native}\n"));
        let row = &rows[1];
        assert_eq!(rows[0], *row);
        assert_eq!(
            (row.id.as_str(), row.task.as_str(), row.reward),
            ("t/1:call-3", "action_planner", Some(0.1))
        );
        assert_eq!(
            (&row.system, &row.user, &row.expected),
            (&call.system_prompt, &call.user_prompt, &call.response)
        );

        trajectory.ai_judge_reward = Some(0.75);
        call.purpose = Some("reply".to_owned());
        let row = one(&serde_json::from_str(&training_line(&trajectory, &call)).unwrap());
        assert_eq!((row.id.as_str(), row.task.as_str(), row.reward), ("row-1", "reply", Some(0.75)));
        assert_eq!(
            (row.system, row.user, row.expected),
            (call.system_prompt, call.user_prompt, call.response)
        );
    }

    #[test]
    fn rows_of_others_are_read_by_the_same_rules() {
        let user = |text: &str| json!({"role": "user", "content": text});
        let assistant = json!({"role": "assistant", "content": "last"});
        let row = one(&json!({
            "request": {
                "messages": [
                    {"role": "system", "content": "first"}, {"role": "system", "content": "second"}, user("one"),
                    {"role": "assistant", "content": "between"},
                    {"role": "user", "content": [{"type": "text", "text": "two"}, {"type": "image"}]}, assistant,
                ],
                "prompt": "not asked",
            },
        }));
        assert_eq!(
            (row.system.as_str(), row.user.as_str(), row.expected.as_str()),
            ("first", "one\ntwo", "last")
        );
        let calls = json!([{"toolName": "search", "input": {"q": 1}}]);
        let row = one(&json!({
            "format": "eliza_native_v1",
            "request": {"system": "own", "prompt": "asked", "messages": [assistant]},
            "response": {"text": " ", "toolCalls": calls},
            "metadata": {"call_id": "c"},
        }));
        assert_eq!((row.system.as_str(), row.user.as_str(), row.id.as_str()), ("own", "asked", "c"));
        assert_eq!(row.expected, calls.to_string());
    }

    #[test]
    fn rows_that_ask_or_expect_nothing_are_skipped_and_counted() {
        let text = [
            json!({"request": {"messages": []}, "response": {"text": "answer"}}),
            json!({"request": {"prompt": "asked"}, "response": {"text": "", "toolCalls": []}}),
            json!({"messages": [{"role": "user", "content": "asked"}]}),
            json!({"request": {"prompt": "asked"}, "response": {"text": "answer"}}),
        ]
        .map(|row| row.to_string())
        .join("\n");
        let (rows, skipped) = read_all(&text);
        assert_eq!((rows.len(), skipped, rows[0].id.as_str()), (1, 3, "row-4"));
    }

    fn told(text: &str, limits: RowLimits) -> Vec<String> {
        let tell = |row: Result<Row, RowError>| match row {
            Ok(row) => row.id,
            Err(error) => format!("{error}: {}", error.problem),
        };
        Rows::new(text.as_bytes(), limits).map(tell).collect()
    }

    #[test]
    fn lines_that_are_no_rows_are_told_and_bounds_hold() {
        let row = "{\"request\":{\"prompt\":\"a\"},\"response\":{\"text\":\"b\"}}";
        let text = format!("{row}\nhello\n{{}}\n{{\"format\":\"x\",\"messages\":[]}}\n5\n{row}");
        let unknown = "it is a row neither of eliza_native_v1 nor of three messages";
        assert_eq!(
            told(&text, RowLimits::default()),
            [
                "row-1",
                "line 2: it is no json",
                &format!("line 3: {unknown}"),
                &format!("line 4: {unknown}"),
                &format!("line 5: {unknown}"),
                "row-6"
            ]
        );
        let text = format!("{row}\r\n{row}\r\n{row}");
        let all = ["row-1", "row-2", "row-3"];
        let exact = RowLimits { bytes: text.len() as u64, rows: 3, line_bytes: row.len() };
        assert_eq!(told(&text, exact), all);
        let bytes = exact.bytes - 1;
        let last = format!("line 3: with it the file takes more than {bytes} bytes");
        assert_eq!(told(&text, RowLimits { bytes, ..exact }), ["row-1", "row-2", &last]);
        let more = "line 3: there may be 2 rows, and this is one more";
        assert_eq!(told(&text, RowLimits { rows: 2, ..exact }), ["row-1", "row-2", more]);
        let line_bytes = exact.line_bytes - 1;
        let long = format!("line 1: it takes more than {line_bytes} bytes");
        assert_eq!(told(&text, RowLimits { line_bytes, ..exact }), [long]);
    }
}
