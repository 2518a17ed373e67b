use std::fmt::Write;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::OllamaError;

/// One file of an adapter, open.
pub(super) struct AdapterFile {
    name: String,
    path: PathBuf,
    file: File,
    bytes: u64,
}

/// What an adapter is made of: the file itself; of a folder, the weights and what is needed to understand them.
pub(super) fn files(adapter: &Path) -> Result<Vec<AdapterFile>, OllamaError> {
    if !adapter.is_dir() {
        return Ok(vec![AdapterFile::open(adapter)?]);
    }
    let [named, other] = WEIGHTS.map(|name| adapter.join(name));
    let weights = if !named.exists() && other.exists() { other } else { named };
    Ok(vec![AdapterFile::open(&weights)?, AdapterFile::open(&adapter.join(CONFIG))?])
}

/// As PEFT calls them, and as MLX does, which leaves older states beside them.
const WEIGHTS: [&str; 2] = ["adapter_model.safetensors", "adapters.safetensors"];
const CONFIG: &str = "adapter_config.json";

impl AdapterFile {
    fn open(path: &Path) -> Result<Self, OllamaError> {
        let fail = |source| failed(path, source);
        let file = File::open(path).map_err(fail)?;
        let about = file.metadata().map_err(fail)?;
        let name = path.file_name().and_then(|name| name.to_str()).filter(|_| about.is_file());
        let name = name.ok_or_else(|| fail(io::Error::other("it is not a file with a name in UTF-8")))?;
        if about.len() > FILE_BYTES_MAX {
            return Err(fail(io::Error::other(format!("it is larger than {FILE_BYTES_MAX} bytes"))));
        }
        Ok(Self { name: name.to_owned(), path: path.to_owned(), file, bytes: about.len() })
    }

    /// As `sha256:` and hexadecimal digits. Asks now and then whether to go on.
    pub(super) fn digest(
        &mut self,
        go_on: impl Fn() -> Result<(), OllamaError>,
    ) -> Result<String, OllamaError> {
        let mut sum = Sha256::new();
        let mut piece = vec![0; PIECE_BYTES];
        let path = self.path.clone();
        let mut content = self.content()?;
        loop {
            go_on()?;
            match content.read(&mut piece) {
                Ok(0) => break,
                Ok(bytes) => sum.update(&piece[..bytes]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => return Err(failed(&path, source)),
            }
        }
        let mut digest = String::from("sha256:");
        for byte in sum.finalize() {
            write!(digest, "{byte:02x}").expect("a string takes everything");
        }
        Ok(digest)
    }

    /// From its beginning, and no more than it had when it was opened.
    pub(super) fn content(&mut self) -> Result<impl Read + '_, OllamaError> {
        self.file.rewind().map_err(|source| failed(&self.path, source))?;
        Ok((&self.file).take(self.bytes))
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }
}

const PIECE_BYTES: usize = 256 * 1024;
/// No adapter comes near.
const FILE_BYTES_MAX: u64 = 64 << 30;

fn failed(path: &Path, source: io::Error) -> OllamaError {
    OllamaError::Adapter { path: path.to_owned(), source }
}
