//! Small files that are whole or not there: magic, format, content, SHA-256 over all of it.

use std::fs::{self, File};
use std::io::{self, BufWriter};
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
    use std::io::Write;

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
