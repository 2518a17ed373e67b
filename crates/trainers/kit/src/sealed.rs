//! Small files that are whole or not there: magic, format, content, SHA-256 over all of it.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use sha2::{Digest, Sha256};

/// Puts a frame around the content of a small file: the magic, the number of the format, the content, and a SHA-256 over
/// all of that.
///
/// ```
/// use trainyard_trainkit::{seal, unseal};
///
/// let bytes = seal(b"EXAMPLE\0", 1, b"content");
/// assert_eq!(unseal(b"EXAMPLE\0", 1, &bytes), Some(Ok(&b"content"[..])));
/// assert_eq!(unseal(b"EXAMPLE\0", 2, &bytes), Some(Err(1)));
/// assert_eq!(unseal(b"EXAMPLE\0", 1, &bytes[1..]), None);
/// ```
#[must_use]
pub fn seal(magic: &[u8; 8], format: u32, content: &[u8]) -> Vec<u8> {
    let mut bytes = magic.to_vec();
    bytes.extend(format.to_le_bytes());
    bytes.extend(content);
    let digest = Sha256::digest(&bytes);
    bytes.extend_from_slice(&digest);
    bytes
}

/// Takes the frame off again: the format, and the content when the format is this one; `None` when it is damaged.
#[must_use]
pub fn unseal<'b>(magic: &[u8; 8], format: u32, bytes: &'b [u8]) -> Option<Result<&'b [u8], u32>> {
    let (found, _) = bytes.strip_prefix(magic)?.split_first_chunk()?;
    let found = u32::from_le_bytes(*found);
    if found != format {
        return Some(Err(found));
    }
    let (framed, digest) = bytes.split_last_chunk::<DIGEST_BYTES>()?;
    let content = framed.get(magic.len() + 4..)?;
    (Sha256::digest(framed).as_slice() == digest).then_some(Ok(content))
}

/// Writes what [`seal`] makes of what `write` writes, as [`write_beside`] does, without holding any of it.
///
/// ```
/// use std::io::Write;
/// use trainyard_trainkit::{seal, write_sealed};
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("file");
/// write_sealed(&path, b"EXAMPLE\0", 1, |to| to.write_all(b"content"))?;
/// assert_eq!(std::fs::read(&path)?, seal(b"EXAMPLE\0", 1, b"content"));
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
/// What the disk says, also when `write` tells it otherwise, and else what `write` says; then nothing is left of it, and
/// what was there before is still there.
pub fn write_sealed(
    path: &Path,
    magic: &[u8; 8],
    format: u32,
    write: impl FnOnce(&mut Sealing<'_>) -> io::Result<()>,
) -> io::Result<()> {
    write_beside(path, |to| {
        let mut sealing = Sealing { to, digest: Sha256::new(), failed: None };
        sealing.write_all(magic)?;
        sealing.write_all(&format.to_le_bytes())?;
        let written = write(&mut sealing);
        let Sealing { to, digest, failed } = sealing;
        failed.map_or(written, Err)?;
        to.write_all(&digest.finalize())
    })
}

/// A file that is being written, and digested as it grows. See [`write_sealed`].
pub struct Sealing<'f> {
    to: &'f mut BufWriter<File>,
    digest: Sha256,
    /// What the disk said first: who writes may not pass it on.
    failed: Option<io::Error>,
}

impl Write for Sealing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.to.write(bytes).inspect_err(|error| {
            if self.failed.is_none() && error.kind() != io::ErrorKind::Interrupted {
                self.failed = Some(io::Error::new(error.kind(), error.to_string()));
            }
        })?;
        self.digest.update(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

impl fmt::Debug for Sealing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealing").finish_non_exhaustive()
    }
}

/// Writes a file under another name first, so that there is all of it or nothing; and has it durable at return.
///
/// # Errors
/// What `write` says, and what the disk says; then nothing is left of it, and what was there before is still there.
pub fn write_beside<E: From<io::Error>>(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> Result<(), E>,
) -> Result<(), E> {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".new");
    let beside = path.with_file_name(name);
    let written = (|| {
        let mut to = BufWriter::with_capacity(BUFFER_BYTES, File::create(&beside)?);
        write(&mut to)?;
        let file = to.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.sync_all()?;
        fs::rename(&beside, path)?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        Ok(File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?)
    })();
    written.inspect_err(|_| {
        let _ = fs::remove_file(&beside); // it may never have been there
    })
}

const DIGEST_BYTES: usize = 32;
const BUFFER_BYTES: usize = 256 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_whole_or_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        write_beside(&path, |to| to.write_all(b"first")).unwrap();
        let failed = write_beside(&path, |to| {
            to.write_all(b"sec")?;
            Err(io::Error::other("power cut"))
        });
        assert_eq!(failed.unwrap_err().to_string(), "power cut");
        assert_eq!(fs::read(&path).unwrap(), b"first");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
        write_beside(&folder.path().join("no such folder/file"), |to| to.write_all(b"x")).unwrap_err();
    }

    #[test]
    fn what_is_sealed_as_it_grows_is_sealed_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let content: Vec<u8> = (0..700_000_u32).flat_map(u32::to_le_bytes).collect();
        let write = |to: &mut Sealing<'_>| content.chunks(4_093).try_for_each(|part| to.write_all(part));
        write_sealed(&path, b"MAGIC\0\0\0", 3, write).unwrap();
        let bytes = fs::read(&path).unwrap();
        assert!(bytes == seal(b"MAGIC\0\0\0", 3, &content));
        let failed = write_sealed(&path, b"MAGIC\0\0\0", 3, |_| Err(io::Error::other("power cut")));
        assert_eq!(failed.unwrap_err().to_string(), "power cut");
        assert!(fs::read(&path).unwrap() == bytes);
        // What the disk refuses is told, even if who writes keeps it to itself.
        let mut to = BufWriter::with_capacity(0, File::open(&path).unwrap());
        let mut sealing = Sealing { to: &mut to, digest: Sha256::new(), failed: None };
        let _ = sealing.write_all(b"into a file that is open to be read");
        assert!(sealing.failed.is_some());
    }

    #[test]
    fn any_bent_byte_is_found() {
        let whole = seal(b"MAGIC\0\0\0", 3, b"what is in it");
        for at in 0..whole.len() {
            let mut bent = whole.clone();
            bent[at] ^= 1;
            assert!(!matches!(unseal(b"MAGIC\0\0\0", 3, &bent), Some(Ok(_))), "bent at {at}");
            assert!(!matches!(unseal(b"MAGIC\0\0\0", 3, &whole[..at]), Some(Ok(_))), "cut at {at}");
        }
    }
}
