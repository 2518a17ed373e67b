use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use futures_core::Stream;
use http::HeaderMap;

use crate::body::{Body, BodyError};
use crate::request::Request;

/// A `multipart/form-data` body, taken apart while it arrives.
///
/// Parts come one after the other, and each piece by piece; of the body at most a few pieces are in memory. A part
/// that is not read to its end is passed over when the next one is asked for. After an error nothing more comes but
/// the same error.
///
/// ```
/// use trainyard_http::{Method, Multipart, MultipartLimits, Request, block_on};
///
/// # fn main() -> Result<(), trainyard_http::MultipartError> {
/// let mut request = Request::new(Method::POST, "/upload")
///     .with_header("content-type", "multipart/form-data; boundary=x")
///     .with_body("--x\r\ncontent-disposition: form-data; name=\"file\"\r\n\r\na,b\r\n--x--\r\n");
/// let text = block_on(async {
///     let mut form = Multipart::of(&mut request, MultipartLimits::default())?;
///     let mut text = Vec::new();
///     while let Some(mut part) = form.next_part().await? {
///         assert_eq!(part.name(), Some("file"));
///         while let Some(piece) = part.chunk().await? {
///             text.extend_from_slice(&piece);
///         }
///     }
///     Ok::<_, trainyard_http::MultipartError>(text)
/// })?;
/// assert_eq!(text, b"a,b");
/// # Ok(())
/// # }
/// ```
pub struct Multipart {
    form: multer::Multipart<'static>,
    current: Option<multer::Field<'static>>,
    supply: Supply,
    limits: MultipartLimits,
    parts_seen: usize,
    part_bytes_seen: u64,
    failed: Option<MultipartError>,
}

/// One part of a form.
pub struct Part<'m>(&'m mut Multipart);

/// Bounds on a form, beside those on its [`Body`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MultipartLimits {
    /// How many parts it may have. Default: 16.
    pub parts: usize,
    /// How many bytes the names and values of one part's headers may have. Default: 8 KiB.
    pub header_bytes: usize,
    /// How many bytes one part may have. Default: no bound but the body's.
    pub part_bytes: u64,
}

/// Why a form could not be read to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MultipartError {
    /// The content type is another one, or there is none: a `415`.
    #[error("the content type is not multipart/form-data")]
    NotMultipart,
    /// The content type names no boundary, or one that is not 1 to 70 bytes long: a `400`.
    #[error("the content type has no boundary of 1 to {max} bytes", max = BOUNDARY_BYTES_MAX)]
    NoBoundary,
    /// What stands between parts, or a part's headers, makes no sense: a `400`.
    #[error("the form is malformed")]
    Malformed,
    /// It ends before its last boundary: a `400`.
    #[error("the form ends before its last boundary")]
    Truncated,
    /// It has more parts than allowed: a `413`.
    #[error("the form has more than {max} parts")]
    TooManyParts {
        /// How many there may be.
        max: usize,
    },
    /// The headers of a part, or what stands before them, are larger than allowed: a `413`.
    #[error("the headers of a part are larger than {max} bytes")]
    HeadersTooLarge {
        /// How many bytes there may be.
        max: usize,
    },
    /// A part is larger than allowed: a `413`.
    #[error("a part is larger than {limit_bytes} bytes")]
    PartTooLarge {
        /// How many bytes there may be.
        limit_bytes: u64,
    },
    /// The body could not be read.
    #[error(transparent)]
    Body(#[from] BodyError),
}

impl Multipart {
    /// Takes the body out of a request, to be read as a form.
    ///
    /// # Errors
    /// [`MultipartError::NotMultipart`] and [`MultipartError::NoBoundary`]; the body is then still there.
    pub fn of(request: &mut Request, limits: MultipartLimits) -> Result<Multipart, MultipartError> {
        let boundary = boundary(request.header("content-type").unwrap_or_default())?;
        Ok(Multipart::new(request.take_body(), boundary, limits))
    }

    /// The next part; `None` after the last one.
    ///
    /// # Errors
    /// [`MultipartError`].
    pub async fn next_part(&mut self) -> Result<Option<Part<'_>>, MultipartError> {
        while self.chunk().await?.is_some() {}
        self.current = None;
        let found = self.find_part().await;
        match self.noted(found)? {
            Some(field) => {
                self.current = Some(field);
                self.part_bytes_seen = 0;
                Ok(Some(Part(self)))
            }
            None => Ok(None),
        }
    }

    fn new(body: Body, boundary: String, limits: MultipartLimits) -> Multipart {
        let supply = Supply { body, rest: Bytes::new(), slot: Slot::default() };
        Multipart {
            form: multer::Multipart::new(supply.slot.clone(), boundary),
            current: None,
            supply,
            limits,
            parts_seen: 0,
            part_bytes_seen: 0,
            failed: None,
        }
    }

    async fn find_part(&mut self) -> Result<Option<multer::Field<'static>>, MultipartError> {
        let mut supplied_bytes = 0;
        let max = self.limits.header_bytes;
        loop {
            let polled = self.form.poll_next_field(&mut unwoken());
            match polled {
                Poll::Ready(Ok(Some(field))) => {
                    self.parts_seen += 1;
                    if self.parts_seen > self.limits.parts {
                        return Err(MultipartError::TooManyParts { max: self.limits.parts });
                    }
                    return if bytes_of(field.headers()) > max {
                        Err(MultipartError::HeadersTooLarge { max })
                    } else {
                        Ok(Some(field))
                    };
                }
                Poll::Ready(Ok(None)) => return Ok(None),
                Poll::Ready(Err(error)) => return Err(told(&error)),
                // Boundary and separators take room too, and are not counted.
                Poll::Pending if supplied_bytes > max + PIECE_BYTES => {
                    return Err(MultipartError::HeadersTooLarge { max });
                }
                Poll::Pending => supplied_bytes += self.supply.more().await?,
            }
        }
    }

    /// More of the present part; `None` at its end, and when there is none.
    async fn chunk(&mut self) -> Result<Option<Bytes>, MultipartError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let piece = self.next_piece().await;
        self.noted(piece)
    }

    async fn next_piece(&mut self) -> Result<Option<Bytes>, MultipartError> {
        let Some(field) = &mut self.current else {
            return Ok(None);
        };
        loop {
            let polled = Pin::new(&mut *field).poll_next(&mut unwoken());
            match polled {
                Poll::Ready(Some(Ok(piece))) if piece.is_empty() => {}
                Poll::Ready(Some(Ok(piece))) => {
                    self.part_bytes_seen += piece.len() as u64;
                    let limit_bytes = self.limits.part_bytes;
                    if self.part_bytes_seen > limit_bytes {
                        return Err(MultipartError::PartTooLarge { limit_bytes });
                    }
                    return Ok(Some(piece));
                }
                Poll::Ready(Some(Err(error))) => return Err(told(&error)),
                Poll::Ready(None) => return Ok(None),
                Poll::Pending => drop(self.supply.more().await?),
            }
        }
    }

    fn noted<T>(&mut self, result: Result<T, MultipartError>) -> Result<T, MultipartError> {
        self.failed = result.as_ref().err().copied();
        result
    }
}

impl Part<'_> {
    /// The name of the form's field, if it has one.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.0.current.as_ref()?.name()
    }

    /// The name of the file that was sent, if it is one. Whoever makes a path of it must know what they do.
    #[must_use]
    pub fn file_name(&self) -> Option<&str> {
        self.0.current.as_ref()?.file_name()
    }

    /// The headers of the part.
    #[expect(clippy::missing_panics_doc, reason = "a part is there while it is borrowed")]
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        self.0.current.as_ref().map(multer::Field::headers).expect("a part is there while it is borrowed")
    }

    /// The next piece, never empty; `None` at the end of the part. Dropping the future loses nothing.
    ///
    /// # Errors
    /// [`MultipartError`].
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, MultipartError> {
        self.0.chunk().await
    }
}

impl Default for MultipartLimits {
    fn default() -> Self {
        MultipartLimits { parts: 16, header_bytes: 8 * 1024, part_bytes: u64::MAX }
    }
}

impl fmt::Debug for Multipart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Multipart")
            .field("parts_seen", &self.parts_seen)
            .field("failed", &self.failed)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Part<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Part").field("name", &self.name()).finish_non_exhaustive()
    }
}

/// Where the bytes come from. The parser asks for them through the slot, which holds one piece at a time, so what it
/// buffers has a bound.
struct Supply {
    body: Body,
    /// What of a large piece is still to be handed over.
    rest: Bytes,
    slot: Slot,
}

impl Supply {
    /// Puts one more piece, or the end, into the slot. How many bytes was that?
    async fn more(&mut self) -> Result<usize, MultipartError> {
        if self.rest.is_empty() {
            match self.body.chunk().await {
                Some(piece) => self.rest = piece?,
                None => {
                    let ended = self.slot.put(Next::End);
                    return if ended { Err(MultipartError::Truncated) } else { Ok(0) };
                }
            }
        }
        let piece = self.rest.split_to(self.rest.len().min(PIECE_BYTES));
        let bytes = piece.len();
        self.slot.put(Next::Piece(piece));
        Ok(bytes)
    }
}

const PIECE_BYTES: usize = 64 * 1024;

/// The one piece that the parser has not yet taken.
#[derive(Clone, Default)]
struct Slot(Arc<Mutex<Next>>);

#[derive(Default)]
enum Next {
    #[default]
    NotYet,
    Piece(Bytes),
    End,
}

impl Slot {
    /// Whether the end was in it already.
    fn put(&self, next: Next) -> bool {
        let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let ended = matches!(*slot, Next::End);
        *slot = next;
        ended
    }
}

impl Stream for Slot {
    type Item = Result<Bytes, BodyError>;

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *slot {
            Next::NotYet => Poll::Pending,
            Next::End => Poll::Ready(None),
            Next::Piece(piece) => {
                let piece = std::mem::take(piece);
                *slot = Next::NotYet;
                Poll::Ready(Some(Ok(piece)))
            }
        }
    }
}

fn boundary(content_type: &str) -> Result<String, MultipartError> {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case("multipart/form-data") {
        return Err(MultipartError::NotMultipart);
    }
    match multer::parse_boundary(content_type) {
        Ok(boundary) if (1..=BOUNDARY_BYTES_MAX).contains(&boundary.len()) => Ok(boundary),
        Ok(_) | Err(_) => Err(MultipartError::NoBoundary),
    }
}

/// RFC 2046, section 5.1.1.
const BOUNDARY_BYTES_MAX: usize = 70;

fn bytes_of(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum()
}

/// The parser waits for nothing but bytes, and those we bring ourselves: it needs no waker.
fn unwoken() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

/// The parser's words may quote what was sent, and are not passed on.
fn told(error: &multer::Error) -> MultipartError {
    let cut_short =
        matches!(error, multer::Error::IncompleteFieldData { .. } | multer::Error::IncompleteStream);
    if cut_short { MultipartError::Truncated } else { MultipartError::Malformed }
}

#[cfg(test)]
mod tests;
