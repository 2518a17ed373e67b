//! Files on their way in, piece by piece.

use trainyard_core::port::Handle;
use trainyard_http::{Body, DropLater, Request, Response, Seat, Seats, StatusCode, blocking};

use crate::fault::Fault;
use crate::host::{Asset, Host, NewAsset, Refused, Upload};
use crate::service::{Edge, HeyGen, plain};
use crate::wire::answers::{Uploaded, UploadedAsset};
use crate::wire::requests::image_key;
use crate::{map, sort};

impl<H: Handle + ?Sized, S: Host + ?Sized> HeyGen<H, S> {
    /// Takes a file in. What it is, its first bytes say: clients call a PNG a JPEG and the other way round.
    pub(crate) async fn upload(&self, mut request: Request) -> Result<Response, Fault> {
        plain(&request)?;
        check_type(request.header("content-type").unwrap_or_default())?;
        self.edge.base()?;
        let limit_bytes = u64::try_from(self.edge.limits().upload_bytes).unwrap_or(u64::MAX);
        let seat = self.edge.uploads.try_take().ok_or(TOO_MANY)?;
        let mut incoming = Incoming { body: request.take_body().with_limit(limit_bytes), held: Vec::new() };
        incoming.hold(sort::BYTES).await?;
        if incoming.held.is_empty() {
            return Err(map::no_data());
        }
        let media = sort::of(&incoming.held)?;
        let upload = self.work(move |edge| {
            edge.is_going()?;
            let asset = NewAsset { media, at: edge.handle.now() };
            let upload = edge.host.receive(asset).map_err(|refused| unkept(&refused))?;
            Ok(Seated::new((upload, seat)))
        });
        let asset = incoming.pour(upload.await?, &self.edge.finishing).await?;
        Ok(Response::json(StatusCode::OK, &self.edge.uploaded(asset)?))
    }
}

impl<H: Handle + ?Sized, S: Host + ?Sized> Edge<H, S> {
    fn uploaded(&self, asset: Asset) -> Result<Uploaded, Fault> {
        let data = UploadedAsset {
            id: asset.id.to_string(),
            name: asset.id.to_string(),
            file_type: sort::file_type(asset.media),
            folder_id: "",
            meta: (),
            created_ts: map::seconds(asset.created_at),
            url: self.link(asset.id)?,
            image_key: asset.media.is_image().then(|| image_key(asset.id)),
        };
        Ok(Uploaded { code: 100, data, msg: (), message: () })
    }
}

/// Refuses forms, in which a file would have to be looked for.
fn check_type(content_type: &str) -> Result<(), Fault> {
    let sort = content_type.split(['/', ';']).next().unwrap_or_default().trim();
    if sort.eq_ignore_ascii_case("multipart") { Err(map::no_data()) } else { Ok(()) }
}

/// An upload and its seat. Dropped, the upload is given up where that may block, and the seat is free after that.
type Seated = DropLater<(Box<dyn Upload>, Seat)>;

/// Also when it is the host that has no place for another one.
const TOO_MANY: Fault = Fault::TooMuch("Too many uploads at once");

/// Of a file no member names an image.
fn unkept(refused: &Refused) -> Fault {
    match refused {
        Refused::Busy => TOO_MANY,
        Refused::NoImage(_)
        | Refused::TooMany { .. }
        | Refused::Full
        | Refused::Gone
        | Refused::Failed(_) => map::refused(refused, |_| String::new()),
    }
}

struct Incoming {
    body: Body,
    /// What came, and is not yet written: many small pieces are one write.
    held: Vec<u8>,
}

/// How much is held back for one write.
const HELD_BYTES: usize = 256 << 10;

impl Incoming {
    /// Holds so many bytes, or all there are when they are fewer. Says whether more may come.
    async fn hold(&mut self, bytes: usize) -> Result<bool, Fault> {
        while self.held.len() < bytes {
            let Some(piece) = self.body.chunk().await else {
                return Ok(false);
            };
            self.held.extend_from_slice(&piece?);
        }
        Ok(true)
    }

    /// Pours all of it into an upload, and finishes that when there is a seat for it. If anything goes wrong the upload is
    /// dropped, which leaves nothing behind.
    async fn pour(mut self, mut upload: Seated, finishing: &Seats) -> Result<Asset, Fault> {
        loop {
            let more = self.hold(HELD_BYTES).await?;
            let mut held = std::mem::take(&mut self.held);
            let (kept, emptied, written) = blocking(move || {
                let written = if held.is_empty() { Ok(()) } else { upload.0.write(&held) };
                held.clear();
                (upload, held, written)
            })
            .await;
            (upload, self.held) = (kept, emptied);
            written.map_err(|refused| unkept(&refused))?;
            if !more {
                break;
            }
        }
        // That may take long, and others have short work for the same threads.
        let seat = finishing.take().await;
        let finish = move || {
            let (upload, _upload_seat) = upload.into_inner();
            let finished = upload.finish();
            drop(seat);
            finished
        };
        blocking(finish).await.map_err(|refused| unkept(&refused))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_forms_are_refused_by_their_name() {
        for name in
            ["", "image/png", "IMAGE/JPEG; q=1", "video/mp4", "audio/x", "text/plain", "x", "multiparts"]
        {
            assert_eq!(check_type(name), Ok(()), "{name}");
        }
        for name in ["multipart/form-data; boundary=x", "Multipart/mixed", "multipart"] {
            assert_eq!(check_type(name), Err(map::no_data()), "{name}");
        }
    }
}
