//! Keys that are made once for a data folder, for its owner's eyes only.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use trainyard_http::secret::Secret;

use crate::incoming::sync_folder_of;

/// The key in this file; made when there is none. 32 random bytes in hexadecimal digits.
///
/// # Errors
/// When it cannot be read or made, or is something else than a key.
pub(crate) fn kept_key(path: &Path) -> io::Result<Secret> {
    match fs::read_to_string(path) {
        Ok(text) => read(&text).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "it holds no key")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => make(path),
        Err(error) => Err(error),
    }
}

/// # Panics
/// When the operating system gives no random numbers.
pub(crate) fn fill(bytes: &mut [u8]) {
    getrandom::fill(bytes).expect("the operating system gives random numbers");
}

fn read(text: &str) -> Option<Secret> {
    // An editor may have ended the line.
    let text = text.trim();
    let is_key = text.len() == DIGITS && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_key.then(|| Secret::new(text).ok())?
}

const DIGITS: usize = 64;

fn make(path: &Path) -> io::Result<Secret> {
    let mut bytes = [0_u8; DIGITS / 2];
    fill(&mut bytes);
    let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    // One that was half made is made again.
    let half = path.with_extension("new");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&half)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&half, path)?;
    sync_folder_of(path)?;
    Ok(Secret::new(text).expect("it is not empty"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_made_once_and_for_its_owner() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("signing.key");
        let made = kept_key(&path).unwrap();
        assert_eq!(kept_key(&path).unwrap().expose(), made.expose());
        assert_eq!(made.expose().len(), DIGITS);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        let other = kept_key(&folder.path().join("other.key")).unwrap();
        assert_ne!(made.expose(), other.expose());
        fs::write(&path, format!("{}\r\n", made.expose())).unwrap();
        assert_eq!(kept_key(&path).unwrap().expose(), made.expose(), "an editor has ended the line");
        for damaged in ["", "0123", &"x".repeat(DIGITS), &format!("{0}\n{0}", made.expose())] {
            fs::write(&path, damaged).unwrap();
            assert_eq!(kept_key(&path).unwrap_err().kind(), io::ErrorKind::InvalidData);
        }
    }
}
