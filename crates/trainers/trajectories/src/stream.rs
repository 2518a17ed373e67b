//! Trajectories from a file or a body, in bounded memory.

use std::io::{self, BufRead};

use crate::error::{Problem, ReadError, Refusal};
use crate::{Limits, Trajectory};

/// The trajectories of a source, one after the other: of an object, of a list of them, or of JSON Lines. At most one of
/// them is in memory.
///
/// A mark at the beginning, empty lines and either kind of line end are passed over. After a trajectory that is refused
/// for what is in it, the next one comes; after anything else that is wrong, nothing comes.
///
/// ```
/// use trainyard_trajectories::{Limits, Trajectories};
///
/// let source = "{\"id\": \"a\"}\r\n\r\n{\"id\": 5}\r\n{\"id\": \"b\"}\r\n";
/// let read: Vec<_> = Trajectories::new(source.as_bytes(), Limits::default()).collect();
/// assert_eq!(read.len(), 3);
/// let refused = read[1].as_ref().unwrap_err();
/// assert_eq!(refused.to_string(), "trajectory 2 (line 3): id: is a number, and must be a text");
/// ```
#[derive(Debug)]
pub struct Trajectories<R> {
    source: R,
    limits: Limits,
    /// The line of the byte that comes next, from 1.
    line: u64,
    /// How many trajectories have begun.
    begun: u64,
    stage: Stage,
    text: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Nothing was read.
    Start,
    /// In no list: the next byte begins a trajectory.
    Lines,
    /// In a list, at its beginning.
    First,
    /// In a list, after a trajectory.
    After,
    /// In a list, after a comma.
    Next,
    /// After a list.
    Closed,
    Over,
}

impl<R: BufRead> Trajectories<R> {
    /// Reads nothing yet.
    #[must_use]
    pub const fn new(source: R, limits: Limits) -> Self {
        Self { source, limits, line: 1, begun: 0, stage: Stage::Start, text: Vec::new() }
    }

    fn read(&mut self) -> Result<Option<Trajectory>, ReadError> {
        match self.stage {
            Stage::Start => self.pass_mark()?,
            Stage::Over => return Ok(None),
            Stage::Lines | Stage::First | Stage::After | Stage::Next | Stage::Closed => {}
        }
        while let Some(byte) = self.peek()? {
            let stage = match (self.stage, byte) {
                (stage, b' ' | b'\t' | b'\r' | b'\n') => stage,
                (Stage::Start, b'[') => Stage::First,
                (Stage::Start | Stage::Lines, b'{') => return self.trajectory(Stage::Lines).map(Some),
                (Stage::First | Stage::Next, b'{') => return self.trajectory(Stage::After).map(Some),
                (Stage::First | Stage::After, b']') => Stage::Closed,
                (Stage::After, b',') => Stage::Next,
                _ => {
                    self.stage = Stage::Over;
                    return Err(self.refuse(self.begun + 1, self.line, Problem::Stray));
                }
            };
            self.stage = stage;
            self.take(byte);
        }
        match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Start | Stage::Lines | Stage::Closed | Stage::Over => Ok(None),
            Stage::First | Stage::After | Stage::Next => {
                Err(self.refuse(self.begun + 1, self.line, Problem::CutShort))
            }
        }
    }

    /// Reads the trajectory that begins at the next byte.
    fn trajectory(&mut self, after: Stage) -> Result<Trajectory, ReadError> {
        // until it is read whole, there is no telling where the next one begins
        self.stage = Stage::Over;
        let line = self.line;
        self.begun += 1;
        if self.begun > self.limits.trajectories {
            let problem = Problem::TooManyTrajectories { max: self.limits.trajectories };
            return Err(self.refuse(self.begun, line, problem));
        }
        self.text.clear();
        let (mut depth, mut in_text, mut escaped) = (0_usize, false, false);
        loop {
            let Some(byte) = self.peek()? else {
                return Err(self.refuse(self.begun, line, Problem::CutShort));
            };
            if self.text.len() == self.limits.bytes {
                return Err(self.refuse(self.begun, line, Problem::Endless { max: self.limits.bytes }));
            }
            self.text.push(byte);
            self.take(byte);
            match byte {
                _ if escaped => escaped = false,
                b'\\' if in_text => escaped = true,
                b'"' => in_text = !in_text,
                b'{' | b'[' if !in_text => depth += 1,
                b'}' | b']' if !in_text => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                break;
            }
        }
        self.stage = after;
        let trajectory = Trajectory::from_json(&self.text, &self.limits);
        Ok(trajectory.map_err(|refusal| refusal.of(self.begun, line))?)
    }

    fn pass_mark(&mut self) -> Result<(), ReadError> {
        // a mark takes three bytes, and a source may give them one by one
        for expected in "\u{feff}".bytes() {
            if self.peek()? != Some(expected) {
                break;
            }
            self.take(expected);
        }
        Ok(())
    }

    fn peek(&mut self) -> Result<Option<u8>, ReadError> {
        loop {
            match self.source.fill_buf() {
                Ok(bytes) => return Ok(bytes.first().copied()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => {
                    self.stage = Stage::Over;
                    return Err(ReadError::Io { operation: "read the trajectories", source });
                }
            }
        }
    }

    /// Goes on from the byte that was peeked at.
    fn take(&mut self, byte: u8) {
        self.source.consume(1);
        self.line += u64::from(byte == b'\n');
    }

    fn refuse(&self, nth: u64, line: u64, problem: Problem) -> ReadError {
        Refusal::new("", problem).of(nth, line).into()
    }
}

impl<R: BufRead> Iterator for Trajectories<R> {
    type Item = Result<Trajectory, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The ids that are read, and what is said of the others.
    fn read_with(source: impl AsRef<[u8]>, limits: Limits) -> Vec<String> {
        // one byte at a time is the hardest a source can be
        let source = io::BufReader::with_capacity(1, source.as_ref());
        let told =
            |read: Result<Trajectory, ReadError>| read.map_or_else(|e| e.to_string(), |t| t.id.to_string());
        Trajectories::new(source, limits).map(told).collect()
    }

    fn read(source: impl AsRef<[u8]>) -> Vec<String> {
        read_with(source, Limits::default())
    }

    #[test]
    fn an_object_a_list_and_lines_are_read_alike() {
        for source in [
            "{\"id\":\"a\"}{\"id\":\"b\"}",
            "{\"id\":\"a\"}\n{\"id\":\"b\"}\n",
            "\u{feff}\r\n{\"id\":\"a\"}\r\n\r\n \t{\"id\":\"b\"}",
            "[{\"id\":\"a\"},{\"id\":\"b\"}]",
            "\u{feff} [\n{\"id\":\n\"a\"}\n,{\"id\":\"b\"}\n]\n\n",
        ] {
            assert_eq!(read(source), ["a", "b"], "{source:?}");
        }
        for nothing in ["", "\u{feff}", "\n\r\n", "[]", " [ \n ] "] {
            assert!(read(nothing).is_empty(), "{nothing:?}");
        }
    }

    #[test]
    fn braces_and_quotes_in_texts_end_nothing() {
        let source = r#"{"id":"a}]\"{[\\"}{"id":"\\"}"#;
        assert_eq!(read(source), ["a}]\"{[\\", "\\"]);
    }

    #[test]
    fn after_a_trajectory_that_is_refused_the_next_one_comes() {
        let source = "[{\"id\":\"\"},\n{\"id\":\"b\",\"status\":\"lost\"},\n{id:1},\n{\"id\":\"d\"}]";
        assert_eq!(
            read(source),
            [
                "trajectory 1 (line 1): id: must be 1 to 128 bytes without control characters",
                "trajectory 2 (line 2): status: is none of active, completed, error and timeout",
                "trajectory 3 (line 3): is no json: key must be a string at line 1 column 2",
                "d"
            ]
        );
    }

    #[test]
    fn what_cannot_be_followed_ends_the_reading() {
        for (source, told) in [
            ("{\"id\":\"a\"}\nhello\n{\"id\":\"b\"}", "trajectory 2 (line 2): does not begin with a brace"),
            ("{\"id\":\"a\"}\n{\"id\":\"b\"", "trajectory 2 (line 2): ends in the middle"),
            ("[{\"id\":\"a\"}", "trajectory 2 (line 1): ends in the middle"),
            ("[{\"id\":\"a\"},", "trajectory 2 (line 1): ends in the middle"),
            ("[{\"id\":\"a\"},]", "trajectory 2 (line 1): does not begin with a brace"),
            ("[{\"id\":\"a\"}{\"id\":\"b\"}]", "trajectory 2 (line 1): does not begin with a brace"),
            ("[{\"id\":\"a\"}]\n{\"id\":\"b\"}", "trajectory 2 (line 2): does not begin with a brace"),
        ] {
            assert_eq!(read(source), ["a", told], "{source:?}");
        }
        assert_eq!(read(b"\x1f\x8b\x08"), ["trajectory 1 (line 1): does not begin with a brace"]);
        assert_eq!(read(b"{\"id\":\"\xff\"}").len(), 1);
    }

    #[test]
    fn what_is_too_long_or_too_much_is_refused_early() {
        /// Counts what is asked of it.
        struct Endless(u64);
        impl io::Read for Endless {
            fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
                self.0 += into.len() as u64;
                into.fill(b'{');
                Ok(into.len())
            }
        }
        let mut source = Endless(0);
        let told = Trajectories::new(io::BufReader::new(&mut source), Limits::default()).next().unwrap();
        assert_eq!(told.unwrap_err().to_string(), "trajectory 1 (line 1): takes more than 1048576 bytes");
        assert!(source.0 <= (1 << 20) + (16 << 10), "{} bytes were read", source.0);

        let two = Limits { trajectories: 2, ..Limits::default() };
        let told = read_with("{\"id\":\"a\"}{\"id\":\"b\"}{\"id\":\"c\"}{\"id\":\"d\"}", two);
        let more = "trajectory 3 (line 1): is one more than the 2 that may be read at once";
        assert_eq!(told, ["a", "b", more]);
        let whole = "{\"id\":\"a\"}";
        let exact = Limits { bytes: whole.len(), ..Limits::default() };
        assert_eq!(read_with(whole, exact), ["a"]);
    }

    #[test]
    fn what_the_source_says_is_passed_on_once() {
        struct Broken;
        impl io::Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::ErrorKind::TimedOut.into())
            }
        }
        let source = io::Read::chain(&b"{\"id\":\"a\"}\n{\"i"[..], Broken);
        let mut read = Trajectories::new(io::BufReader::new(source), Limits::default());
        assert!(read.next().unwrap().is_ok());
        let told = read.next().unwrap().unwrap_err();
        assert!(matches!(&told, ReadError::Io { source, .. } if source.kind() == io::ErrorKind::TimedOut));
        assert_eq!(told.to_string(), "could not read the trajectories");
        assert!(read.next().is_none());
    }
}
