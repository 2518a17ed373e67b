//! JSON that stops when it becomes too long.

use std::io::{self, Write};

use serde::Serialize;

/// The text of a value; `None` when it is longer than `bytes_max`.
///
/// # Errors
/// When the value has no JSON form.
pub(crate) fn to_json(
    value: &(impl Serialize + ?Sized),
    bytes_max: usize,
) -> Result<Option<Vec<u8>>, serde_json::Error> {
    let mut bounded = Bounded { inner: Vec::new(), room: bytes_max };
    match serde_json::to_writer(&mut bounded, value) {
        Ok(()) => Ok(Some(bounded.inner)),
        Err(error) if error.is_io() => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether the text of a value has at most so many bytes. Takes no memory.
pub(crate) fn fits(value: &(impl Serialize + ?Sized), bytes_max: usize) -> bool {
    serde_json::to_writer(Bounded { inner: io::sink(), room: bytes_max }, value).is_ok()
}

struct Bounded<W> {
    inner: W,
    room: usize,
}

impl<W: Write> Write for Bounded<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.room = self.room.checked_sub(bytes.len()).ok_or(io::ErrorKind::StorageFull)?;
        self.inner.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_byte_counts() {
        let value = ["a\u{1}", "é"];
        let text = r#"["a\u0001","é"]"#;
        assert_eq!(to_json(&value, text.len()).unwrap().as_deref(), Some(text.as_bytes()));
        assert_eq!(to_json(&value, text.len() - 1).unwrap(), None);
        assert!(fits(&value, text.len()) && !fits(&value, text.len() - 1));
        assert!(!fits(&value, 0));
    }
}
