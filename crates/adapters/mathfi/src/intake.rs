//! Files on their way in, piece by piece.

use std::ops::RangeInclusive;

use trainyard_http::{Body, DropLater, Multipart, MultipartLimits, Request, Seats, blocking};

use crate::fault::Fault;
use crate::host::Upload;
use crate::map;
use crate::seats::UploadSeat;
use crate::service::{essence, plain};

/// Where a file comes from.
#[derive(Debug)]
pub(crate) enum Source {
    /// The part `file` of a form.
    Form(Box<Multipart>),
    /// The body itself.
    Body(Body),
}

impl Source {
    /// A form, and nothing else. The file in it may have so many bytes, and the form `form_bytes`.
    pub(crate) fn form(request: &mut Request, file_bytes: u64, form_bytes: u64) -> Result<Self, Fault> {
        plain(request)?;
        let limits = MultipartLimits { part_bytes: file_bytes, ..MultipartLimits::default() };
        let body = request.take_body().with_limit(form_bytes);
        *request.body_mut() = body;
        Ok(Self::Form(Multipart::of(request, limits)?.into()))
    }

    /// A form, or a bare `text/csv`.
    pub(crate) fn form_or_csv(
        request: &mut Request,
        file_bytes: u64,
        form_bytes: u64,
    ) -> Result<Self, Fault> {
        match essence(request.header("content-type").unwrap_or_default()).as_str() {
            "text/csv" => Self::body(request, file_bytes),
            "multipart/form-data" => Self::form(request, file_bytes, form_bytes),
            _ => Err(Fault::wrong_type("Send the CSV as multipart/form-data or as text/csv")),
        }
    }

    /// Whatever the body is.
    pub(crate) fn body(request: &mut Request, file_bytes: u64) -> Result<Self, Fault> {
        plain(request)?;
        Ok(Self::Body(request.take_body().with_limit(file_bytes)))
    }

    /// Pours all of it into an upload of so many bytes, and finishes that when there is a seat for it. If anything goes
    /// wrong the upload is dropped, which leaves nothing behind.
    pub(crate) async fn pour<T: Send + 'static>(
        self,
        what: &'static str,
        upload: Seated<T>,
        bytes: RangeInclusive<u64>,
        finishing: &Seats,
    ) -> Result<T, Fault> {
        let mut intake = Intake { what, upload: Some(upload), held: Vec::new(), bytes: 0 };
        match self {
            Self::Body(mut body) => {
                while let Some(piece) = body.chunk().await {
                    intake.take(&piece?).await?;
                }
            }
            Self::Form(mut form) => pour_file(&mut form, &mut intake).await?,
        }
        intake.finish(&bytes, finishing).await
    }
}

async fn pour_file<T: Send + 'static>(form: &mut Multipart, intake: &mut Intake<T>) -> Result<(), Fault> {
    let mut found = false;
    while let Some(mut part) = form.next_part().await? {
        if part.name() != Some("file") {
            continue;
        }
        if found {
            return Err(Fault::bad("The form has more than one part called file"));
        }
        found = true;
        while let Some(piece) = part.chunk().await? {
            intake.take(&piece).await?;
        }
    }
    if found { Ok(()) } else { Err(Fault::bad("The form has no part called file")) }
}

/// An upload and its seat. Dropped, the upload is given up where that may block, and the seat is free after that.
pub(crate) type Seated<T> = DropLater<(Box<dyn Upload<T>>, UploadSeat)>;

struct Intake<T: 'static> {
    /// Not there, in words.
    what: &'static str,
    /// Absent only while it is written to.
    upload: Option<Seated<T>>,
    /// What came, and is not yet written: many small pieces are one write.
    held: Vec<u8>,
    bytes: u64,
}

const HELD_BYTES_MAX: usize = 256 << 10;

impl<T: Send + 'static> Intake<T> {
    async fn take(&mut self, piece: &[u8]) -> Result<(), Fault> {
        self.bytes = self.bytes.saturating_add(piece.len() as u64);
        self.held.extend_from_slice(piece);
        if self.held.len() < HELD_BYTES_MAX {
            return Ok(());
        }
        self.write().await
    }

    async fn write(&mut self) -> Result<(), Fault> {
        let mut held = std::mem::take(&mut self.held);
        let mut upload = self.upload.take().ok_or_else(Fault::internal)?;
        let (upload, held, written) = blocking(move || {
            let written = upload.0.write(&held);
            held.clear();
            (upload, held, written)
        })
        .await;
        self.upload = Some(upload);
        self.held = held;
        written.map_err(|refused| map::refused(self.what, &refused))
    }

    async fn finish(mut self, bytes: &RangeInclusive<u64>, finishing: &Seats) -> Result<T, Fault> {
        if self.bytes > *bytes.end() {
            return Err(Fault::too_large(format!("The file is larger than {} bytes", bytes.end())));
        }
        if self.bytes < *bytes.start() {
            return Err(Fault::bad(format!("The file is smaller than {} bytes", bytes.start())));
        }
        self.write().await?;
        let upload = self.upload.take().ok_or_else(Fault::internal)?;
        // That may take long, and others have short work for the same threads.
        let seat = finishing.take().await;
        let finish = move || {
            let (upload, _upload_seat) = upload.into_inner();
            let finished = upload.finish();
            drop(seat);
            finished
        };
        blocking(finish).await.map_err(|refused| map::refused(self.what, &refused))
    }
}
