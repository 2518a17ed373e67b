use std::borrow::Cow;
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use safetensors::tensor::{Metadata, View};
use safetensors::{Dtype, serialize};
use trainyard_trainkit::write_beside;

use super::ModelError;
use crate::model::Tensor;

/// Writes tensors under their names: the whole file, or nothing. `note` is one word about them and what it says.
pub(crate) fn write(path: &Path, tensors: &[Tensor], weights: &[f32], note: (&str, &str)) -> io::Result<()> {
    let views = tensors.iter().map(|tensor| {
        let numbers = &weights[tensor.span.range()];
        (tensor.name.as_str(), Numbers { shape: tensor.shape(), numbers })
    });
    // One note only: of several the order would be by chance.
    let notes = HashMap::from([(note.0.to_owned(), note.1.to_owned())]);
    let bytes = serialize(views, Some(notes)).map_err(io::Error::other)?;
    write_beside(path, |to| to.write_all(&bytes))
}

/// A tensor that is turned into bytes when its turn comes.
struct Numbers<'w> {
    shape: Vec<usize>,
    numbers: &'w [f32],
}

impl View for Numbers<'_> {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        self.numbers.iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<u8>>().into()
    }

    fn data_len(&self) -> usize {
        4 * self.numbers.len()
    }
}

/// A file of tensors whose head was read and found to be what it should be; no tensor was.
#[derive(Debug)]
pub(crate) struct Stored<'t> {
    name: &'static str,
    file: File,
    /// Where the tensors begin.
    from: u64,
    tensors: &'t [Tensor],
    /// Where each lies, and how its numbers are written.
    places: Vec<(usize, Kind)>,
    notes: HashMap<String, String>,
}

/// How a number is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    F32,
    F16,
    Bf16,
}

impl<'t> Stored<'t> {
    /// Looks into a file that should have these tensors and no others.
    ///
    /// # Errors
    /// When it does not, or is shorter or longer than it says; nothing of the size of a tensor was allocated then.
    pub(crate) fn open(path: &Path, name: &'static str, tensors: &'t [Tensor]) -> Result<Self, ModelError> {
        let damaged = |what: String| ModelError::Damaged { file: name, what };
        let read = ModelError::io;
        let mut file = File::open(path).map_err(read("open the weights"))?;
        let length = file.metadata().map_err(read("look at the weights"))?.len();
        let mut head_length = [0; 8];
        file.read_exact(&mut head_length).map_err(|_| damaged("it is too short".to_owned()))?;
        let head_length = u64::from_le_bytes(head_length);
        if head_length > HEAD_BYTES_MAX {
            return Err(damaged(format!(
                "its head is said to have {head_length} bytes, at most {HEAD_BYTES_MAX} may"
            )));
        }
        if 8 + head_length > length {
            return Err(damaged("it ends within its head".to_owned()));
        }
        let mut head = Vec::new();
        (&mut file).take(head_length).read_to_end(&mut head).map_err(read("read the head of the weights"))?;
        let head: Metadata = serde_json::from_slice(&head).map_err(|error| damaged(error.to_string()))?;
        let from = 8 + head_length;
        if (head.data_len() as u64).checked_add(from) != Some(length) {
            return Err(damaged("it is not as long as its head says".to_owned()));
        }
        let mut places = Vec::with_capacity(tensors.len());
        for tensor in tensors {
            let wanted = &tensor.name;
            let info = head.info(wanted).ok_or_else(|| damaged(format!("there is no {wanted}")))?;
            if info.shape != tensor.shape() {
                return Err(damaged(format!(
                    "{wanted} should be {:?}, not {:?}",
                    tensor.shape(),
                    info.shape
                )));
            }
            let Some(kind) = Kind::of(info.dtype) else {
                let what = format!("{wanted} has numbers of {}", info.dtype);
                return Err(ModelError::Unsupported { file: name, what });
            };
            places.push((info.data_offsets.0, kind));
        }
        let others = head.offset_keys().len() - tensors.len();
        if others > 0 {
            return Err(damaged(format!("it has {others} tensors that such a model has not")));
        }
        let notes = head.metadata().clone().unwrap_or_default();
        Ok(Self { name, file, from, tensors, places, notes })
    }

    /// What is noted under a word.
    pub(crate) fn note(&self, word: &str) -> Option<&str> {
        self.notes.get(word).map(String::as_str)
    }

    /// Reads all tensors to where they lie among the weights.
    ///
    /// # Errors
    /// When the disk refuses, or a number is none.
    pub(crate) fn read(mut self, weights: &mut [f32]) -> Result<(), ModelError> {
        let mut bytes = vec![0; BLOCK_BYTES];
        for (tensor, (place, kind)) in self.tensors.iter().zip(self.places) {
            let at = self.from + place as u64;
            self.file.seek(SeekFrom::Start(at)).map_err(ModelError::io("read the weights"))?;
            let width = if kind == Kind::F32 { 4 } else { 2 };
            for numbers in weights[tensor.span.range()].chunks_mut(BLOCK_BYTES / 4) {
                let bytes = &mut bytes[..numbers.len() * width];
                self.file.read_exact(bytes).map_err(ModelError::io("read the weights"))?;
                for (number, bytes) in numbers.iter_mut().zip(bytes.chunks_exact(width)) {
                    *number = kind.number(bytes);
                }
                if !numbers.iter().all(|number| number.is_finite()) {
                    return Err(ModelError::damaged(
                        self.name,
                        format!("{} has numbers that are none", tensor.name),
                    ));
                }
            }
        }
        Ok(())
    }
}

impl Kind {
    fn of(dtype: Dtype) -> Option<Self> {
        let known = [(Dtype::F32, Self::F32), (Dtype::F16, Self::F16), (Dtype::BF16, Self::Bf16)];
        known.into_iter().find(|(one, _)| *one == dtype).map(|(_, kind)| kind)
    }

    fn number(self, bytes: &[u8]) -> f32 {
        match (self, bytes) {
            (Self::F32, &[a, b, c, d]) => f32::from_le_bytes([a, b, c, d]),
            (Self::Bf16, &[a, b]) => f32::from_bits(u32::from(u16::from_le_bytes([a, b])) << 16),
            (Self::F16, &[a, b]) => half(u16::from_le_bytes([a, b])),
            (Self::F32 | Self::F16 | Self::Bf16, _) => f32::NAN,
        }
    }
}

/// A half as a whole: a sign, five bits of exponent, ten of fraction.
fn half(bits: u16) -> f32 {
    let (sign, exponent, fraction) = (u32::from(bits >> 15) << 31, bits >> 10 & 31, u32::from(bits & 1_023));
    let size = match exponent {
        // 2⁻²⁴ is the least of them
        0 => f32::from(bits & 1_023) / 16_777_216.0,
        31 => f32::from_bits(0x7f80_0000 | fraction << 13),
        _ => f32::from_bits((u32::from(exponent) + 112) << 23 | fraction << 13),
    };
    f32::from_bits(size.to_bits() | sign)
}

/// The longest head that is read: 1 MiB.
const HEAD_BYTES_MAX: u64 = 1 << 20;
const BLOCK_BYTES: usize = 256 << 10;

#[cfg(test)]
mod tests {
    use std::fs;

    use proptest::prelude::*;

    use super::*;
    use crate::Shape;
    use crate::model::Model;

    const NAME: &str = "model.safetensors";

    fn read(path: &Path, model: &Model) -> Result<Vec<f32>, String> {
        let mut weights = vec![0.0; model.weights.len()];
        let stored = Stored::open(path, NAME, model.tensors()).map_err(|error| error.to_string())?;
        stored.read(&mut weights).map_err(|error| error.to_string())?;
        Ok(weights)
    }

    fn model() -> Model {
        Model::seeded(Shape::SMALL, &mut trainyard_trainkit::Chance::new(1, 0))
    }

    /// The head of a file, changed, before the same tensors.
    fn with_head(bytes: &[u8], change: impl Fn(String) -> String) -> Vec<u8> {
        let length = usize::try_from(u64::from_le_bytes(*bytes.first_chunk().unwrap())).unwrap();
        let head = change(String::from_utf8(bytes[8..8 + length].to_vec()).unwrap());
        let mut changed = (head.len() as u64).to_le_bytes().to_vec();
        changed.extend(head.as_bytes());
        changed.extend(&bytes[8 + length..]);
        changed
    }

    #[test]
    fn what_was_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let (path, model) = (folder.path().join(NAME), model());
        write(&path, model.tensors(), &model.weights, ("format", "pt")).unwrap();
        assert_eq!(read(&path, &model).as_ref(), Ok(&model.weights));
        let first = fs::read(&path).unwrap();
        write(&path, model.tensors(), &model.weights, ("format", "pt")).unwrap();
        assert!(fs::read(&path).unwrap() == first, "the same weights are the same bytes");
    }

    #[test]
    fn what_is_not_as_it_says_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (path, model) = (folder.path().join(NAME), model());
        write(&path, model.tensors(), &model.weights, ("format", "pt")).unwrap();
        let whole = fs::read(&path).unwrap();
        let told = |bytes: &[u8]| {
            fs::write(&path, bytes).unwrap();
            read(&path, &model).unwrap_err()
        };
        let damage = "model.safetensors is damaged, or of another model";
        assert_eq!(told(b""), format!("{damage}: it is too short"));
        assert_eq!(told(&whole[..100]), format!("{damage}: it ends within its head"));
        assert_eq!(told(&whole[..whole.len() - 1]), format!("{damage}: it is not as long as its head says"));
        let longer = [&whole[..], b"x"].concat();
        assert_eq!(told(&longer), format!("{damage}: it is not as long as its head says"));
        let mut huge = whole.clone();
        huge[..8].fill(0xff);
        assert!(told(&huge).ends_with("at most 1048576 may"));
        let other = |from: &str, to: &str| told(&with_head(&whole, |head| head.replacen(from, to, 1)));
        assert_eq!(
            other("model.norm.weight", "model.form.weight"),
            format!("{damage}: there is no model.norm.weight")
        );
        assert_eq!(
            other("[264,64]", "[64,264]"),
            format!("{damage}: model.embed_tokens.weight should be [264, 64], not [64, 264]")
        );
        assert!(other("[264,64]", "[264,65]").starts_with(damage));
        assert!(other("[264,64]", "[18446744073709551615,18446744073709551615]").starts_with(damage));
        assert!(other("F32", "I32").ends_with("has numbers of I32"));
        assert!(other("{", "").starts_with(damage));
        assert!(
            other("}", ",\"more\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]}}")
                .starts_with(damage)
        );
        for bad in [f32::NAN, f32::INFINITY] {
            let mut bytes = whole.clone();
            let last = bytes.len() - 4;
            bytes[last..].copy_from_slice(&bad.to_le_bytes());
            assert!(told(&bytes).ends_with("has numbers that are none"));
        }
    }

    #[test]
    fn short_numbers_are_read_as_what_they_are() {
        for (bits, number) in [
            (0x0000, 0.0),
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (0x7bff, 65_504.0),
            (0x0400, 1.0 / 16_384.0),
            (0x0001, 1.0 / 16_777_216.0),
            (0x83ff, -1_023.0 / 16_777_216.0),
            (0x3555, 1_365.0 / 4_096.0),
        ] {
            assert_eq!(half(bits), number, "{bits:#x}");
        }
        assert!(half(0x7c01).is_nan() && half(0xfc00) == f32::NEG_INFINITY);
        assert_eq!(Kind::Bf16.number(&[0x40, 0xc0]), -3.0);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

        #[test]
        fn a_bent_bit_changes_one_number_at_most(at in 0_usize..6_000, bit in 0_u8..8) {
            static WHOLE: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
            let (folder, model) = (tempfile::tempdir().unwrap(), model());
            let path = folder.path().join(NAME);
            let whole = WHOLE.get_or_init(|| {
                write(&path, model.tensors(), &model.weights, ("format", "pt")).unwrap();
                fs::read(&path).unwrap()
            });
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << bit;
            fs::write(&path, &bytes).unwrap();
            if let Ok(weights) = read(&path, &model) {
                let changed = weights.iter().zip(&model.weights).filter(|(found, kept)| found != kept).count();
                prop_assert!(changed <= 1);
            }
        }
    }
}
