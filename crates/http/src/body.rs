use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
#[cfg(feature = "tower")]
use std::sync::{Mutex, PoisonError};

use bytes::{Bytes, BytesMut};
use hyper::body::Body as HttpBody;

use crate::room::{NoRoom, Share};
use crate::server::Upload;

/// The body of a request, read as it arrives and counted as it is read.
///
/// Three bounds apply while reading: the limit of the [mount](crate::Mount::with_body_limit), the
/// [time for a body](crate::Mount::with_body_timeout) and the server's
/// [time without a byte](crate::ServerConfig::with_body_stall_timeout). `content-length` is believed only
/// when it says too much. After an error nothing more comes.
///
/// What [`collect`](Self::collect) and [`collect_for`](Self::collect_for) hold in memory is counted against what
/// [all bodies of the server](crate::ServerConfig::with_bodies_bytes) may take together.
///
/// A body may be dropped unread: the server then swallows a small rest to keep the connection, and closes
/// it after the answer otherwise.
pub struct Body {
    source: Source,
    limit_bytes: u64,
    seen_bytes: u64,
}

enum Source {
    Ended,
    Whole(Bytes),
    Upload(Upload),
    /// In a lock that is never locked: it makes any body `Sync`.
    #[cfg(feature = "tower")]
    Foreign(Mutex<ForeignBody>),
}

#[cfg(feature = "tower")]
pub(crate) type ForeignBody = Pin<Box<dyn HttpBody<Data = Bytes, Error = ForeignError> + Send>>;
#[cfg(feature = "tower")]
pub(crate) type ForeignError = Box<dyn std::error::Error + Send + Sync>;

/// Why a body could not be read to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BodyError {
    /// It is larger than allowed: a `413`.
    #[error("the body is larger than {limit_bytes} bytes")]
    TooLarge {
        /// The limit it broke.
        limit_bytes: usize,
    },
    /// It took too long, as a whole or between two pieces: a `408`.
    #[error("the body did not arrive in time")]
    TimedOut,
    /// The client went away or its framing is malformed: nobody reads the answer, or a `400`.
    #[error("the body broke off")]
    Broken,
    /// The bodies of other requests take all the memory there is for bodies: a `503`, with `retry-after`.
    #[error("there is no memory free for the body")]
    NoRoom,
}

impl Body {
    /// No bytes at all.
    #[must_use]
    pub fn empty() -> Body {
        Body::new(Source::Ended, u64::MAX)
    }

    pub(crate) fn upload(upload: Upload, limit_bytes: usize) -> Body {
        Body::new(Source::Upload(upload), limit_bytes as u64)
    }

    #[cfg(feature = "tower")]
    pub(crate) fn foreign(body: ForeignBody, limit_bytes: usize) -> Body {
        Body::new(Source::Foreign(Mutex::new(body)), limit_bytes as u64)
    }

    /// Allows at most `limit_bytes` in all, or as many as before, if that is lower.
    #[must_use]
    pub fn with_limit(mut self, limit_bytes: u64) -> Body {
        self.limit_bytes = self.limit_bytes.min(limit_bytes);
        self
    }

    /// Reads all of it, at most `limit_bytes` (or the mount's limit, if that is lower). The bytes keep their share of the
    /// server's memory for bodies as long as they, or a slice of them, are anywhere.
    ///
    /// # Errors
    ///
    /// [`BodyError`], as soon as it is certain.
    pub async fn collect(self, limit_bytes: usize) -> Result<Bytes, BodyError> {
        let (bytes, share) = self.collect_for(limit_bytes, 1).await?;
        Ok(share.keep(bytes))
    }

    /// Reads all of it as [`collect`](Self::collect) does, for work that takes up to so many times its size in memory, and
    /// sets as much aside. The share is to be kept until that work is over.
    ///
    /// # Errors
    ///
    /// [`BodyError`], as soon as it is certain.
    pub async fn collect_for(self, limit_bytes: usize, times: u32) -> Result<(Bytes, Share), BodyError> {
        let mut body = self.with_limit(limit_bytes as u64);
        let mut share = body.share();
        let Some(first) = body.chunk().await else {
            return Ok((Bytes::new(), share));
        };
        let first = first?;
        let grown = |NoRoom| BodyError::NoRoom;
        share.grow(first.len(), times).await.map_err(grown)?;
        let Some(second) = body.chunk().await else {
            return Ok((first, share));
        };
        let second = second?;
        let announced = usize::try_from(body.announced_bytes()).unwrap_or(usize::MAX);
        let mut all = BytesMut::with_capacity(first.len() + second.len() + announced.min(RESERVE_BYTES_MAX));
        all.extend_from_slice(&first);
        drop(first);
        let mut piece = second;
        loop {
            share.grow(all.len() + piece.len(), times).await.map_err(grown)?;
            all.extend_from_slice(&piece);
            piece = match body.chunk().await {
                Some(piece) => piece?,
                None => return Ok((all.freeze(), share)),
            };
        }
    }

    /// The next piece, never empty; `None` at the end and after an error.
    ///
    /// Dropping the future loses nothing: the next call goes on where it stopped.
    pub async fn chunk(&mut self) -> Option<Result<Bytes, BodyError>> {
        let result = match self.next_piece().await? {
            Ok(piece) => self.count(piece),
            Err(error) => Err(error),
        };
        if result.is_err() {
            self.source = Source::Ended;
        }
        Some(result)
    }

    async fn next_piece(&mut self) -> Option<Result<Bytes, BodyError>> {
        if self.announced_bytes() > self.limit_bytes.saturating_sub(self.seen_bytes) {
            return Some(Err(self.too_large()));
        }
        loop {
            let piece = match &mut self.source {
                Source::Ended => return None,
                Source::Whole(bytes) => Some(Ok(std::mem::take(bytes))),
                Source::Upload(upload) => upload.next().await,
                #[cfg(feature = "tower")]
                Source::Foreign(body) => {
                    let body = body.get_mut().unwrap_or_else(PoisonError::into_inner);
                    next_data(body).await.map(|piece| piece.map_err(|_| BodyError::Broken))
                }
            };
            match piece {
                Some(Ok(piece)) if piece.is_empty() => {
                    if matches!(self.source, Source::Whole(_)) {
                        self.source = Source::Ended;
                    }
                }
                Some(piece) => return Some(piece),
                None => {
                    self.source = Source::Ended;
                    return None;
                }
            }
        }
    }

    fn new(source: Source, limit_bytes: u64) -> Body {
        Body { source, limit_bytes, seen_bytes: 0 }
    }

    fn count(&mut self, piece: Bytes) -> Result<Bytes, BodyError> {
        self.seen_bytes += piece.len() as u64;
        if self.seen_bytes > self.limit_bytes { Err(self.too_large()) } else { Ok(piece) }
    }

    /// What is certain, or claimed, to come at least.
    fn announced_bytes(&self) -> u64 {
        match &self.source {
            Source::Ended => 0,
            Source::Whole(bytes) => bytes.len() as u64,
            Source::Upload(upload) => upload.announced_bytes(),
            #[cfg(feature = "tower")]
            Source::Foreign(_) => 0,
        }
    }

    /// What it takes of the server's memory for bodies, as yet nothing. What is whole already was not read here.
    fn share(&self) -> Share {
        match &self.source {
            Source::Upload(upload) => upload.share(),
            Source::Ended | Source::Whole(_) => Share::default(),
            #[cfg(feature = "tower")]
            Source::Foreign(_) => Share::default(),
        }
    }

    fn too_large(&self) -> BodyError {
        BodyError::TooLarge { limit_bytes: usize::try_from(self.limit_bytes).unwrap_or(usize::MAX) }
    }
}

/// How much memory a mere claim can make us set aside.
const RESERVE_BYTES_MAX: usize = 1024 * 1024;

impl Default for Body {
    fn default() -> Self {
        Body::empty()
    }
}

impl From<Bytes> for Body {
    /// A body of which every byte is there already, without a limit of its own.
    fn from(bytes: Bytes) -> Body {
        Body::new(Source::Whole(bytes), u64::MAX)
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body")
            .field("limit_bytes", &self.limit_bytes)
            .field("seen_bytes", &self.seen_bytes)
            .finish_non_exhaustive()
    }
}

/// The next piece of data of any body; trailers are passed over.
pub(crate) async fn next_data<B>(body: &mut B) -> Option<Result<Bytes, B::Error>>
where
    B: HttpBody<Data = Bytes> + Unpin,
{
    loop {
        match poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await? {
            Ok(frame) => {
                if let Ok(piece) = frame.into_data() {
                    return Some(Ok(piece));
                }
            }
            Err(error) => return Some(Err(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Request, Response, block_on};

    #[test]
    fn requests_and_responses_may_be_borrowed_across_threads() {
        fn check<T: Send + Sync>() {}
        check::<Request>();
        check::<Response>();
        check::<Body>();
    }

    fn check(bytes: &'static [u8], limit_bytes: usize, expected: Result<&'static [u8], BodyError>) {
        let body = Body::from(Bytes::from_static(bytes));
        assert_eq!(block_on(body.collect(limit_bytes)).as_deref(), expected.as_deref());
    }

    #[test]
    fn a_body_is_collected_up_to_its_limit() {
        check(b"", 0, Ok(b""));
        check(b"abc", 3, Ok(b"abc"));
        check(b"abc", 2, Err(BodyError::TooLarge { limit_bytes: 2 }));
        check(b"abc", 0, Err(BodyError::TooLarge { limit_bytes: 0 }));
    }

    #[test]
    fn after_the_end_nothing_comes() {
        let mut body = Body::from(Bytes::from_static(b"abc"));
        assert_eq!(block_on(body.chunk()), Some(Ok(Bytes::from_static(b"abc"))));
        assert_eq!(block_on(body.chunk()), None);
        assert_eq!(block_on(body.chunk()), None);
    }
}
