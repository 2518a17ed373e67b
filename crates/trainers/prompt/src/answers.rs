//! Answers that were paid for, in a file that only grows.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use trainyard_trainkit::{bytes_of, seal, unseal, write_beside};

use crate::model::{Completion, Request};

/// What an answer is found by: a digest of the model's name and of all that it was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Key([u8; 32]);

impl Key {
    pub(crate) fn of(model: &str, request: &Request) -> Self {
        let mut digest = Sha256::new();
        digest.update((model.len() as u64).to_le_bytes());
        digest.update(model);
        let bytes = postcard::to_stdvec(request).expect("memory takes all of it");
        digest.update(bytes);
        Self(digest.finalize().into())
    }
}

/// Answers, in memory and in a file if there is one.
///
/// The file is a row of frames: a length, and as much, sealed. Frames are only ever added: one as soon as there is an
/// answer, so that the end of the process costs none; and they survive the end of the machine when [`Answers::add`]
/// returns. A crash leaves half a frame at most, at the end, which is not read.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    known: BTreeMap<Key, Completion>,
    file: Option<Mutex<Growing>>,
}

/// A file that grows, up to a bound.
#[derive(Debug)]
struct Growing {
    file: File,
    bytes: u64,
    /// Half a frame may be at its end, and nothing behind that would be read.
    is_broken: bool,
}

#[derive(Serialize, Deserialize)]
struct Frame<'a> {
    key: Key,
    #[serde(borrow)]
    text: std::borrow::Cow<'a, str>,
    prompt_tokens: u32,
    completion_tokens: u32,
}

impl Answers {
    /// What a file holds, up to its first damage; the file itself is left alone. The flag says whether it was whole.
    pub(crate) fn read(path: &Path) -> io::Result<(Self, bool)> {
        let bytes = bytes_of(path, BYTES_MAX)?;
        let mut known = BTreeMap::new();
        let mut rest = &bytes[..];
        while let Some((frame, after)) = next(rest) {
            let Frame { key, text, prompt_tokens, completion_tokens } = frame;
            known.insert(key, Completion { text: text.into_owned(), prompt_tokens, completion_tokens });
            rest = after;
        }
        Ok((Self { known, file: None }, rest.is_empty()))
    }

    /// Writes all of them to a new file, to which more are added from then on.
    pub(crate) fn keep_in(&mut self, path: &Path) -> io::Result<()> {
        let mut bytes = 0;
        write_beside(path, |to| {
            for (key, completion) in &self.known {
                let frame = frame(*key, completion);
                bytes += frame.len() as u64;
                to.write_all(&frame)?;
            }
            io::Result::Ok(())
        })?;
        let file = OpenOptions::new().append(true).open(path)?;
        self.file = Some(Mutex::new(Growing { file, bytes, is_broken: false }));
        Ok(())
    }

    pub(crate) fn get(&self, key: &Key) -> Option<&Completion> {
        self.known.get(key)
    }

    pub(crate) fn len(&self) -> usize {
        self.known.len()
    }

    /// Writes one down, which [`Answers::add`] is to take in.
    pub(crate) fn write(&self, key: Key, completion: &Completion) -> io::Result<()> {
        self.file.as_ref().map_or(Ok(()), |file| file.lock().write(&frame(key, completion)))
    }

    /// Takes in what was written down; at return it is on the disk.
    pub(crate) fn add(&mut self, new: Vec<(Key, Completion)>) -> io::Result<()> {
        if let Some(file) = self.file.as_ref().filter(|_| !new.is_empty()) {
            file.lock().file.sync_data()?;
        }
        self.known.extend(new);
        Ok(())
    }
}

impl Growing {
    fn write(&mut self, frame: &[u8]) -> io::Result<()> {
        self.bytes += frame.len() as u64;
        if self.bytes > BYTES_MAX {
            let reason = format!("answers take more than {BYTES_MAX} bytes");
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, reason));
        }
        if self.is_broken {
            return Err(io::Error::other("an answer before it could not be written"));
        }
        self.file.write_all(frame).inspect_err(|_| self.is_broken = true)
    }
}

fn frame(key: Key, completion: &Completion) -> Vec<u8> {
    let Completion { text, prompt_tokens, completion_tokens } = completion;
    let (prompt_tokens, completion_tokens) = (*prompt_tokens, *completion_tokens);
    let frame = Frame { key, text: text.as_str().into(), prompt_tokens, completion_tokens };
    let content = postcard::to_stdvec(&frame).expect("memory takes all of it");
    let sealed = seal(MAGIC, FORMAT, &content);
    let length = u32::try_from(sealed.len()).expect("an answer has a bound far below that");
    let mut bytes = length.to_le_bytes().to_vec();
    bytes.extend(sealed);
    bytes
}

/// The first frame, and what follows it; `None` at the end, or where it is damaged.
fn next(bytes: &[u8]) -> Option<(Frame<'_>, &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    let (sealed, rest) = rest.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
    let content = unseal(MAGIC, FORMAT, sealed)?.ok()?;
    let (frame, []) = postcard::take_from_bytes(content).ok()? else {
        return None;
    };
    Some((frame, rest))
}

const MAGIC: &[u8; 8] = b"TYARDANS";
const FORMAT: u32 = 1;
/// The longest file: 256 MiB.
const BYTES_MAX: u64 = 256 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn said(number: u32) -> (Key, Completion) {
        let request = Request { seed: number, ..Request::new("system", "user") };
        let text = format!("answer {number}");
        (Key::of("m", &request), Completion { text, prompt_tokens: number, completion_tokens: 1 })
    }

    fn add(answers: &mut Answers, number: u32) {
        let (key, completion) = said(number);
        answers.write(key, &completion).unwrap();
        answers.add(vec![(key, completion)]).unwrap();
    }

    #[test]
    fn everything_that_is_asked_tells_answers_apart() {
        let request = Request::new("system", "user");
        let mut warm = request.clone();
        warm.temperature = 0.1;
        let mut longer = request.clone();
        longer.max_tokens = 513;
        let others = [
            Key::of("n", &request),
            Key::of("m", &warm),
            Key::of("m", &longer),
            Key::of("m", &Request { seed: 1, ..request.clone() }),
            Key::of("m", &Request::new("syste", "muser")),
            Key::of("m", &Request::new("system", "user ")),
        ];
        let key = Key::of("m", &request);
        assert_eq!(key, Key::of("m", &request.clone()));
        assert!(others.iter().all(|other| *other != key));
    }

    #[test]
    fn what_was_added_is_read_again_wherever_it_is_cut() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("answers");
        let mut answers = Answers::default();
        answers.keep_in(&path).unwrap();
        let mut ends = vec![0];
        for numbers in [0..1, 1..3, 3..4] {
            for number in numbers.clone() {
                add(&mut answers, number);
                ends.push(usize::try_from(std::fs::metadata(&path).unwrap().len()).unwrap());
            }
        }
        let bytes = std::fs::read(&path).unwrap();
        let cut = folder.path().join("cut");
        for at in 0..=bytes.len() {
            std::fs::write(&cut, &bytes[..at]).unwrap();
            let (read, whole) = Answers::read(&cut).unwrap();
            let expected = ends.iter().filter(|end| **end <= at).count() - 1;
            assert_eq!((read.len(), whole), (expected, ends.contains(&at)), "cut at {at}");
            for number in 0..u32::try_from(expected).unwrap() {
                let (key, completion) = said(number);
                assert_eq!(read.get(&key), Some(&completion));
            }
        }
        for at in 0..bytes.len() {
            let mut bent = bytes.clone();
            bent[at] ^= 0x20;
            std::fs::write(&cut, &bent).unwrap();
            let (read, whole) = Answers::read(&cut).unwrap();
            let expected = ends.iter().filter(|end| **end <= at).count() - 1;
            assert_eq!((read.len(), whole), (expected, false), "bent at {at}");
        }
    }

    #[test]
    fn a_file_that_is_full_takes_no_more() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("answers");
        let mut answers = Answers::default();
        answers.keep_in(&path).unwrap();
        add(&mut answers, 0);
        let before = std::fs::read(&path).unwrap();
        answers.file.as_ref().unwrap().lock().bytes = BYTES_MAX;
        let (key, completion) = said(1);
        let error = answers.write(key, &completion).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
        assert_eq!(std::fs::read(&path).unwrap(), before);
    }

    #[test]
    fn what_was_read_goes_on_in_a_new_file() {
        let folder = tempfile::tempdir().unwrap();
        let (old, new) = (folder.path().join("old"), folder.path().join("new"));
        let mut answers = Answers::default();
        answers.keep_in(&old).unwrap();
        add(&mut answers, 0);
        let before = std::fs::read(&old).unwrap();
        let (mut answers, _) = Answers::read(&old).unwrap();
        answers.keep_in(&new).unwrap();
        add(&mut answers, 1);
        assert_eq!(Answers::read(&new).unwrap().0.len(), 2);
        assert_eq!(std::fs::read(&old).unwrap(), before);
    }
}
