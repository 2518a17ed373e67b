//! A file that another process appends to, read from its start to its growing end.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use crate::system;

/// A file that is read while it is written. Beyond a bound its middle is given back to the disk: the start and the last
/// [`TAIL`] bytes stay, whatever is between was read and is gone.
#[derive(Debug)]
pub(crate) struct Spool {
    file: File,
    at: u64,
    /// How many bytes from the start stay: whole blocks.
    stays: u64,
    /// Something was left out since the last reading.
    has_skipped: bool,
    /// Up to where it was given back.
    given_back: u64,
}

/// How many of the last bytes are always there.
pub(crate) const TAIL: u64 = 1 << 20;

/// What reading has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Read {
    /// So many bytes.
    Bytes(usize),
    /// So many bytes, but what was between them and those before is gone.
    AfterGap(usize),
}

impl Spool {
    /// A new file for another process to append to, in place of what a start that was cut short may have left.
    pub(crate) fn make(path: &Path) -> io::Result<File> {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        OpenOptions::new().append(true).create_new(true).open(path)
    }

    /// Reads one.
    pub(crate) fn open(path: &Path, bytes_max: u64) -> io::Result<Self> {
        let file = system::open_file(path)?;
        // No file is so long that half of what a number can say is too short for it.
        let stays = bytes_max.min(u64::MAX / 2).next_multiple_of(BLOCK);
        Ok(Self { file, at: 0, stays, has_skipped: false, given_back: 0 })
    }

    /// Leaves out what is too far behind: a program that writes faster than it can be read would fill the disk.
    /// Whether there was anything.
    pub(crate) fn catch_up(&mut self) -> io::Result<bool> {
        let length = self.file.metadata()?.len();
        let is_too_far_behind = length.saturating_sub(self.at.max(self.stays)) > BEHIND_MAX;
        if is_too_far_behind {
            self.at = length - TAIL;
            self.has_skipped = true;
        }
        Ok(is_too_far_behind)
    }

    /// Reads on; nothing at the end.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> io::Result<Read> {
        let from = self.at;
        if self.at >= self.stays {
            self.at = system::next_bytes(&self.file, self.at)?;
        }
        // Never across the place where a gap may begin.
        let room = if self.at < self.stays { self.stays - self.at } else { u64::MAX };
        let length = usize::try_from(room).unwrap_or(usize::MAX).min(buffer.len());
        let buffer = &mut buffer[..length];
        let mut count = read_at(&self.file, buffer, self.at)?;
        if count == 0 && self.file.metadata()?.len() < self.at {
            // Somebody writes it anew in place of appending.
            self.at = 0;
            count = read_at(&self.file, buffer, 0)?;
        }
        let has_skipped = std::mem::take(&mut self.has_skipped);
        let is_next = from == self.at && !has_skipped;
        self.at += count as u64;
        Ok(if is_next { Read::Bytes(count) } else { Read::AfterGap(count) })
    }

    /// Whether more was written than stays.
    pub(crate) const fn is_over(&self) -> bool {
        self.at > self.stays + TAIL
    }

    /// Gives back what was read and need not stay.
    pub(crate) fn give_back(&mut self) -> io::Result<()> {
        let from = self.stays.max(self.given_back);
        let to = self.at.saturating_sub(TAIL) / BLOCK * BLOCK;
        if to < from.saturating_add(TAIL) {
            return Ok(());
        }
        self.given_back = to;
        system::give_back(&self.file, from, to)
    }
}

/// Reads from a place in a file, as much as is there at once.
pub(crate) fn read_at(mut file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    file.seek(SeekFrom::Start(at))?;
    file.read(buffer)
}

const BLOCK: u64 = 4_096;
/// How far reading may be behind in what need not stay, in bytes.
const BEHIND_MAX: u64 = 256 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;
    use std::os::unix::fs::MetadataExt as _;

    fn all(spool: &mut Spool) -> (Vec<u8>, usize) {
        let (mut all, mut gaps, mut buffer) = (Vec::new(), 0, vec![0; 64 << 10]);
        loop {
            let count = match spool.read(&mut buffer).unwrap() {
                Read::Bytes(count) => count,
                Read::AfterGap(count) => {
                    gaps += 1;
                    count
                }
            };
            if count == 0 {
                return (all, gaps);
            }
            all.extend(&buffer[..count]);
        }
    }

    #[test]
    fn a_growing_file_is_read_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut writer = Spool::make(&path).unwrap();
        let mut spool = Spool::open(&path, 1 << 20).unwrap();
        assert_eq!(spool.read(&mut [0; 8]).unwrap(), Read::Bytes(0));
        writer.write_all(b"one\n").unwrap();
        assert_eq!(all(&mut spool).0, b"one\n");
        writer.write_all(b"two\n").unwrap();
        assert_eq!(all(&mut spool).0, b"two\n");
        std::fs::write(&path, "n\n").unwrap();
        assert_eq!(all(&mut spool).0, b"n\n", "written anew");
    }

    #[test]
    fn whoever_writes_faster_than_it_is_read_does_not_fill_the_disk() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut writer = Spool::make(&path).unwrap();
        let mut spool = Spool::open(&path, 4_096).unwrap();
        writer.write_all(&[b'a'; 8_192]).unwrap();
        assert_eq!(spool.read(&mut [0; 8]).unwrap(), Read::Bytes(8));
        // A file with a hole takes no time to write.
        writer.set_len(BEHIND_MAX + 4_096).unwrap();
        assert!(!spool.catch_up().unwrap());
        assert_eq!(spool.read(&mut [0; 8]).unwrap(), Read::Bytes(8), "it is not too far behind yet");
        writer.set_len(2 * BEHIND_MAX).unwrap();
        writer.write_all(&[b'z'; 4_096]).unwrap();
        assert!(spool.catch_up().unwrap());
        let mut last = vec![0; 8_192];
        assert_eq!(spool.read(&mut last).unwrap(), Read::AfterGap(4_096));
        assert_eq!(last[..4_096], [b'z'; 4_096]);
        assert_eq!(spool.read(&mut last).unwrap(), Read::Bytes(0));
        spool.give_back().unwrap();
        let mut first = [0; 4_096];
        assert_eq!(read_at(&spool.file, &mut first, 0).unwrap(), 4_096);
        assert_eq!(first, [b'a'; 4_096], "its start stays");
    }

    #[test]
    fn any_bound_is_a_bound() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        std::fs::write(&path, "all of it").unwrap();
        for bytes_max in [0, 1, u64::MAX] {
            let mut spool = Spool::open(&path, bytes_max).unwrap();
            assert_eq!(all(&mut spool).0, b"all of it", "{bytes_max}");
            spool.give_back().unwrap();
        }
    }

    #[test]
    fn the_middle_of_a_long_file_is_given_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut writer = Spool::make(&path).unwrap();
        let mut spool = Spool::open(&path, 1 << 20).unwrap();
        let block: Vec<u8> = (0..=255).cycle().map(|byte: u8| byte | 1).take(1 << 20).collect();
        for _ in 0..8 {
            writer.write_all(&block).unwrap();
            assert_eq!(all(&mut spool).0, block);
            spool.give_back().unwrap();
        }
        assert!(spool.is_over());
        writer.sync_all().unwrap();
        let disk = std::fs::metadata(&path).unwrap().blocks() * 512;
        assert!(disk < 5 << 20, "{disk} bytes are still on disk");
        // Whoever comes later reads the start and the end.
        let (bytes, gaps) = all(&mut Spool::open(&path, 1 << 20).unwrap());
        assert_eq!(gaps, 1);
        assert!(bytes.starts_with(&block) && bytes.ends_with(&block) && !bytes.contains(&0));
    }
}
