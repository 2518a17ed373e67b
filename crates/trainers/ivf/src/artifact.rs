//! The bytes of models and training states: magic, format, kind, fields, SHA-256 over all of it. Numbers are
//! little-endian; lengths are 64 bits and checked against what is there before anything is allocated.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::StorageError;
use crate::error::StorageCause;

const MAGIC: [u8; 8] = *b"TYARDIVF";
const FORMAT: u32 = 1;
const DIGEST: usize = 32;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Model = 1,
    State = 2,
}

/// Of a whole artifact: the SHA-256 it ends in.
pub(crate) fn digest(artifact: &[u8]) -> [u8; 32] {
    *artifact.last_chunk().expect("every artifact ends in its digest")
}

pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), StorageError> {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".new");
    let beside = path.with_file_name(name);
    let written = (|| {
        let mut file = File::create(&beside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&beside, path)?;
        sync_folder(path)
    })();
    written.map_err(|error| {
        let _ = fs::remove_file(&beside); // it may never have been there
        StorageError::new("write a model", error)
    })
}

/// Makes a new name in a folder durable.
pub(crate) fn sync_folder(path: &Path) -> std::io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

pub(crate) struct Writer(Vec<u8>);

impl Writer {
    pub(crate) fn new(kind: Kind) -> Self {
        let mut writer = Self(MAGIC.to_vec());
        writer.u32(FORMAT);
        writer.u32(kind as u32);
        writer
    }

    pub(crate) fn u32(&mut self, value: u32) {
        self.0.extend(value.to_le_bytes());
    }

    pub(crate) fn u64(&mut self, value: u64) {
        self.0.extend(value.to_le_bytes());
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.u64(text.len() as u64);
        self.0.extend(text.as_bytes());
    }

    pub(crate) fn f64s(&mut self, values: &[f64]) {
        self.u64(values.len() as u64);
        self.0.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    }

    pub(crate) fn rows(&mut self, dim: usize, flat: &[f32]) {
        self.u64(dim as u64);
        self.u64(flat.len() as u64);
        self.0.extend(flat.iter().flat_map(|value| value.to_le_bytes()));
    }

    pub(crate) fn finish(mut self) -> Vec<u8> {
        let digest = Sha256::digest(&self.0);
        self.0.extend_from_slice(&digest);
        self.0
    }
}

#[derive(Debug)]
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn open(kind: Kind, bytes: &'a [u8]) -> Result<Self, StorageError> {
        let damaged = |what| StorageError::damaged(READ, what);
        let body = bytes.strip_prefix(&MAGIC).ok_or_else(|| damaged("its first bytes"))?;
        let (format, _) = body.split_first_chunk().ok_or_else(|| damaged("its length"))?;
        let format = u32::from_le_bytes(*format);
        if format != FORMAT {
            return Err(StorageError::new(READ, StorageCause::Format(i64::from(format))));
        }
        let (content, digest) = bytes.split_last_chunk::<DIGEST>().ok_or_else(|| damaged("its length"))?;
        if Sha256::digest(content).as_slice() != digest {
            return Err(damaged("its checksum"));
        }
        let mut reader = Self(content.get(MAGIC.len() + 4..).ok_or_else(|| damaged("its length"))?);
        if reader.u32()? != kind as u32 {
            return Err(damaged("its kind"));
        }
        Ok(reader)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, StorageError> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, StorageError> {
        self.array().map(u64::from_le_bytes)
    }

    pub(crate) fn text(&mut self) -> Result<String, StorageError> {
        let bytes = self.counted(1)?;
        String::from_utf8(bytes.to_vec()).map_err(|_| self.damaged("a text"))
    }

    pub(crate) fn f64s(&mut self) -> Result<Vec<f64>, StorageError> {
        Ok(self.counted(8)?.as_chunks().0.iter().map(|&bytes| f64::from_le_bytes(bytes)).collect())
    }

    /// A dimension, and whole rows of finite numbers, at least one.
    pub(crate) fn rows(&mut self) -> Result<(usize, Vec<f32>), StorageError> {
        let dim = usize::try_from(self.u64()?).map_err(|_| self.damaged("a dimension"))?;
        let bytes = self.counted(4)?;
        let flat: Vec<f32> = bytes.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
        if dim == 0
            || flat.is_empty()
            || !flat.len().is_multiple_of(dim)
            || flat.iter().any(|x| !x.is_finite())
        {
            return Err(self.damaged("its rows"));
        }
        Ok((dim, flat))
    }

    pub(crate) fn end(&self) -> Result<(), StorageError> {
        if self.0.is_empty() { Ok(()) } else { Err(self.damaged("its length")) }
    }

    pub(crate) fn damaged(&self, what: &str) -> StorageError {
        StorageError::damaged(READ, what)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], StorageError> {
        let (array, rest) = self.0.split_first_chunk().ok_or_else(|| self.damaged("its length"))?;
        self.0 = rest;
        Ok(*array)
    }

    fn counted(&mut self, size: usize) -> Result<&'a [u8], StorageError> {
        let count = usize::try_from(self.u64()?).ok().and_then(|count| count.checked_mul(size));
        let split = count.and_then(|bytes| self.0.split_at_checked(bytes));
        let (bytes, rest) = split.ok_or_else(|| self.damaged("its length"))?;
        self.0 = rest;
        Ok(bytes)
    }
}

const READ: &str = "read a model";
