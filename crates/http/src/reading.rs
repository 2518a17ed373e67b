use std::fmt;
use std::future::Future;
use std::io::{self, Read};
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::task::{JoinHandle, spawn_blocking};

/// A body that is read from somewhere where that may block, one piece at a time, each when the client wants it.
pub(crate) struct Reading {
    state: State,
    bytes_left: u64,
}

type Source = Box<dyn Read + Send>;

enum State {
    /// In a lock that is never locked: it makes any source `Sync`.
    Resting(Mutex<Source>),
    Fetching(JoinHandle<(Source, io::Result<Vec<u8>>)>),
    Over,
}

/// The largest piece; how much of a file is in memory for one client.
const PIECE_BYTES: u64 = 64 * 1024;

impl Reading {
    pub(crate) fn new(source: impl Read + Send + 'static, bytes: u64) -> Reading {
        Reading { state: State::Resting(Mutex::new(Box::new(source))), bytes_left: bytes }
    }

    pub(crate) fn bytes_left(&self) -> u64 {
        self.bytes_left
    }

    /// The next piece, never empty; `None` at the end, and also too early, when nothing more can be read.
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        loop {
            match std::mem::replace(&mut self.state, State::Over) {
                State::Over => return Poll::Ready(None),
                State::Resting(_) if self.bytes_left == 0 => return Poll::Ready(None),
                State::Resting(source) => {
                    let source = source.into_inner().unwrap_or_else(PoisonError::into_inner);
                    let bytes = self.bytes_left.min(PIECE_BYTES);
                    self.state = State::Fetching(spawn_blocking(move || fetch(source, bytes)));
                }
                State::Fetching(mut fetching) => {
                    let Poll::Ready(fetched) = Pin::new(&mut fetching).poll(cx) else {
                        self.state = State::Fetching(fetching);
                        return Poll::Pending;
                    };
                    let (source, piece) = match fetched {
                        Ok((source, Ok(piece))) => (source, piece),
                        Ok((_, Err(error))) => {
                            tracing::error!(%error, "an answer could not be read to its end");
                            return Poll::Ready(None);
                        }
                        // A panic was told on standard error; a runtime that shuts down reads nothing more.
                        Err(_) => return Poll::Ready(None),
                    };
                    self.bytes_left = self.bytes_left.saturating_sub(piece.len() as u64);
                    self.state = State::Resting(Mutex::new(source));
                    return Poll::Ready(Some(piece.into()));
                }
            }
        }
    }
}

/// Exactly so many bytes.
fn fetch(mut source: Source, bytes: u64) -> (Source, io::Result<Vec<u8>>) {
    let mut piece = Vec::new();
    let read = match source.by_ref().take(bytes).read_to_end(&mut piece) {
        Ok(_) if (piece.len() as u64) < bytes => Err(io::ErrorKind::UnexpectedEof.into()),
        Ok(_) => Ok(piece),
        Err(error) => Err(error),
    };
    (source, read)
}

impl fmt::Debug for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reading").field("bytes_left", &self.bytes_left).finish_non_exhaustive()
    }
}
