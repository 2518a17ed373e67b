//! The files of tables and models: magic, format, content, SHA-256 over all of it. Numbers are little-endian.
//!
//! A table is a header, and then its rows in blocks: of each block first the columns, one after the other, then the
//! classes.

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::encoding::place;
use super::{Fields, Schema, TableError};

/// What stands before the rows of a table.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Header {
    pub(crate) schema: Schema,
    pub(crate) rows: u64,
    /// How many rows each class has.
    pub(crate) counts: Vec<u64>,
}

impl Header {
    /// How many rows a block has, but the last.
    fn block_rows(&self) -> usize {
        (BLOCK_FIELDS / self.schema.features.len().max(1)).max(1)
    }

    /// How many bytes the rows take.
    fn rows_bytes(&self) -> Option<u64> {
        (self.schema.features.len() as u64).checked_mul(4)?.checked_add(2)?.checked_mul(self.rows)
    }

    fn is_sound(&self) -> bool {
        let sum = self.counts.iter().try_fold(0_u64, |sum, &count| sum.checked_add(count));
        self.schema.is_sound() && self.counts.len() == self.schema.classes.len() && sum == Some(self.rows)
    }
}

/// Some rows of a table.
#[derive(Debug, Default)]
pub(crate) struct Block {
    pub(crate) columns: Vec<Vec<f32>>,
    pub(crate) classes: Vec<u16>,
}

/// A table on its way to disk.
pub(crate) struct TableWriter<W> {
    to: Hashing<W>,
    block: Block,
    block_rows: usize,
    buffer: Vec<u8>,
}

impl<W: Write> TableWriter<W> {
    pub(crate) fn new(to: W, header: &Header) -> io::Result<Self> {
        let mut to = Hashing { inner: to, hash: Sha256::new() };
        let bytes = postcard::to_allocvec(header).map_err(io::Error::other)?;
        to.write_all(TABLE)?;
        to.write_all(&FORMAT.to_le_bytes())?;
        to.write_all(&(bytes.len() as u64).to_le_bytes())?;
        to.write_all(&bytes)?;
        let block_rows = header.block_rows();
        let columns = header.schema.features.iter().map(|_| Vec::with_capacity(block_rows)).collect();
        let block = Block { columns, classes: Vec::with_capacity(block_rows) };
        Ok(Self { to, block, block_rows, buffer: Vec::new() })
    }

    /// Takes a row: its features, by column, and its class.
    pub(crate) fn push<E: From<io::Error>>(
        &mut self,
        mut field: impl FnMut(usize) -> Result<f32, E>,
        class: u16,
    ) -> Result<(), E> {
        for (nth, column) in self.block.columns.iter_mut().enumerate() {
            column.push(field(nth)?);
        }
        self.block.classes.push(class);
        if self.block.classes.len() == self.block_rows {
            self.write_block()?;
        }
        Ok(())
    }

    pub(crate) fn finish(mut self) -> io::Result<()> {
        self.write_block()?;
        let digest = self.to.hash.finalize();
        self.to.inner.write_all(&digest)
    }

    fn write_block(&mut self) -> io::Result<()> {
        let Self { to, block, buffer, .. } = self;
        for column in &mut block.columns {
            buffer.clear();
            buffer.extend(column.drain(..).flat_map(f32::to_le_bytes));
            to.write_all(buffer)?;
        }
        buffer.clear();
        buffer.extend(block.classes.drain(..).flat_map(u16::to_le_bytes));
        to.write_all(buffer)?;
        Ok(())
    }
}

/// A table on its way into memory.
pub(crate) struct TableReader {
    from: Hashing<BufReader<File>>,
    header: Header,
    left: u64,
    block: Block,
    buffer: Vec<u8>,
}

impl TableReader {
    /// Reads the header.
    pub(crate) fn open(path: &Path) -> Result<Self, TableError> {
        let file = File::open(path).map_err(TableError::io("open the table file"))?;
        let length = file.metadata().map_err(TableError::io("open the table file"))?.len();
        let mut from = Hashing { inner: BufReader::new(file), hash: Sha256::new() };
        if from.array::<{ TABLE.len() }>()? != *TABLE {
            return Err(damaged("its first bytes"));
        }
        let format = u32::from_le_bytes(from.array()?);
        if format != FORMAT {
            return Err(TableError::UnknownFormat { format });
        }
        let header_bytes = u64::from_le_bytes(from.array()?);
        let rows_bytes = length.checked_sub(FRAME_BYTES).and_then(|rest| rest.checked_sub(header_bytes));
        let rows_bytes = rows_bytes.ok_or_else(|| damaged("its length"))?;
        let mut bytes = vec![0; usize::try_from(header_bytes).map_err(|_| damaged("its length"))?];
        from.read_exact(&mut bytes).map_err(cut_short)?;
        let header: Header = match postcard::take_from_bytes(&bytes) {
            Ok((header, [])) => header,
            Ok(_) | Err(_) => return Err(damaged("its header")),
        };
        if !header.is_sound() {
            return Err(damaged("its header"));
        }
        if header.rows_bytes() != Some(rows_bytes) {
            return Err(damaged("its length"));
        }
        let block = Block { columns: vec![Vec::new(); header.schema.features.len()], classes: Vec::new() };
        Ok(Self { from, left: header.rows, header, block, buffer: Vec::new() })
    }

    pub(crate) const fn schema(&self) -> &Schema {
        &self.header.schema
    }

    /// How many rows each class has, if the file is sound.
    pub(crate) fn counts(&self) -> &[u64] {
        &self.header.counts
    }

    /// Reads some more rows. Their classes and places are within bounds, and their numbers finite.
    pub(crate) fn next_block(&mut self) -> Result<Option<&Block>, TableError> {
        let rows = usize::try_from(self.left).unwrap_or(usize::MAX).min(self.header.block_rows());
        if rows == 0 {
            return Ok(None);
        }
        self.left -= rows as u64;
        let Self { from, header, block, buffer, .. } = self;
        for (column, feature) in block.columns.iter_mut().zip(&header.schema.features) {
            let bytes = from.fill(buffer, rows * 4)?;
            column.clear();
            column.extend(bytes.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)));
            if !column.iter().all(|&x| x.is_nan() || is_field(x, &feature.fields)) {
                return Err(damaged("a field"));
            }
        }
        let bytes = from.fill(buffer, rows * 2)?;
        block.classes.clear();
        block.classes.extend(bytes.as_chunks().0.iter().map(|&bytes| u16::from_le_bytes(bytes)));
        if block.classes.iter().any(|&class| usize::from(class) >= header.counts.len()) {
            return Err(damaged("a class"));
        }
        Ok(Some(&self.block))
    }

    /// Checks that all of it was as it was written. Gives what the columns are, the number of rows, and the digest of
    /// all of it.
    pub(crate) fn finish(mut self) -> Result<(Schema, usize, [u8; DIGEST_BYTES]), TableError> {
        let mut digest = [0; DIGEST_BYTES];
        self.from.inner.read_exact(&mut digest).map_err(cut_short)?;
        if self.from.hash.finalize().as_slice() != digest {
            return Err(damaged("its checksum"));
        }
        let rows = usize::try_from(self.header.rows).map_err(|_| damaged("its header"))?;
        Ok((self.header.schema, rows, digest))
    }
}

fn is_field(x: f32, fields: &Fields) -> bool {
    match fields {
        Fields::Numbers => x.is_finite(),
        Fields::Texts(texts) => place(x).is_some_and(|place| place <= texts.len()),
    }
}

/// Sums up what goes through.
struct Hashing<I> {
    inner: I,
    hash: Sha256,
}

impl<W: Write> Hashing<W> {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hash.update(bytes);
        self.inner.write_all(bytes)
    }
}

impl<R: Read> Hashing<R> {
    fn read_exact(&mut self, into: &mut [u8]) -> io::Result<()> {
        self.inner.read_exact(into)?;
        self.hash.update(into);
        Ok(())
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], TableError> {
        let mut array = [0; N];
        self.read_exact(&mut array).map_err(cut_short)?;
        Ok(array)
    }

    fn fill<'b>(&mut self, buffer: &'b mut Vec<u8>, bytes: usize) -> Result<&'b [u8], TableError> {
        buffer.resize(bytes, 0);
        self.read_exact(buffer).map_err(cut_short)?;
        Ok(buffer)
    }
}

fn damaged(what: &'static str) -> TableError {
    TableError::Damaged { what }
}

fn cut_short(error: io::Error) -> TableError {
    if error.kind() == io::ErrorKind::UnexpectedEof {
        damaged("its length")
    } else {
        TableError::io("read the table file")(error)
    }
}

const TABLE: &[u8; 8] = b"TYARDTAB";
const FORMAT: u32 = 1;
const DIGEST_BYTES: usize = 32;
/// Magic, format, length of the header, and digest.
const FRAME_BYTES: u64 = 8 + 4 + 8 + 32;
/// How many fields a block has, about.
const BLOCK_FIELDS: usize = 1 << 20;
