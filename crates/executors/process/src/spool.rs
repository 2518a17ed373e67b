//! A file that another process appends to, read from its start to its growing end.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use rustix::fs::{FallocateFlags, SeekFrom, fallocate, seek};
use rustix::io::Errno;

/// A file that is read while it is written. Beyond a bound its middle is given back to the disk: the start and the last
/// [`TAIL`] bytes stay, whatever is between was read and is gone.
#[derive(Debug)]
pub(crate) struct Spool {
    file: File,
    at: u64,
    bytes_max: u64,
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
    /// A file for another process to append to, made if it is not there.
    pub(crate) fn make(path: &Path) -> io::Result<File> {
        OpenOptions::new().append(true).create(true).open(path)
    }

    /// Reads one.
    pub(crate) fn open(path: &Path, bytes_max: u64) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        Ok(Self { file, at: 0, bytes_max, given_back: 0 })
    }

    /// Reads on; nothing at the end.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> io::Result<Read> {
        let from = self.at;
        let gap = self.bytes_max.next_multiple_of(BLOCK);
        if self.at >= gap {
            self.skip_gap()?;
        }
        // Never across the place where a gap may begin.
        let room = if self.at < gap { gap - self.at } else { u64::MAX };
        let length = usize::try_from(room).unwrap_or(usize::MAX).min(buffer.len());
        let buffer = &mut buffer[..length];
        let mut count = self.file.read_at(buffer, self.at)?;
        if count == 0 && self.file.metadata()?.len() < self.at {
            // Somebody writes it anew in place of appending.
            self.at = 0;
            count = self.file.read_at(buffer, 0)?;
        }
        let is_next = from == self.at;
        self.at += count as u64;
        Ok(if is_next { Read::Bytes(count) } else { Read::AfterGap(count) })
    }

    /// Whether more was written than stays.
    pub(crate) const fn is_over(&self) -> bool {
        self.at > self.bytes_max.next_multiple_of(BLOCK) + TAIL
    }

    /// Gives back what was read and need not stay. Some file systems cannot, which is no harm but to the disk.
    pub(crate) fn give_back(&mut self) -> io::Result<()> {
        let from = self.bytes_max.next_multiple_of(BLOCK).max(self.given_back);
        let to = self.at.saturating_sub(TAIL) / BLOCK * BLOCK;
        if to < from.saturating_add(TAIL) {
            return Ok(());
        }
        self.given_back = to;
        let mode = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        match fallocate(&self.file, mode, from, to - from) {
            Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn skip_gap(&mut self) -> io::Result<()> {
        match seek(&self.file, SeekFrom::Data(self.at)) {
            Ok(data) => {
                self.at = data;
                Ok(())
            }
            // At the end there is no more data.
            Err(Errno::NXIO | Errno::INVAL) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

const BLOCK: u64 = 4_096;

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
