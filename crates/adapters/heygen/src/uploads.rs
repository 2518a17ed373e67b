//! Files on their way in, piece by piece.

use trainyard_core::port::Handle;
use trainyard_http::{Body, Request, Response, StatusCode, blocking};

use crate::fault::Fault;
use crate::host::{Asset, Host, NewAsset, Upload};
use crate::map;
use crate::service::{Edge, HeyGen, plain};
use crate::wire::answers::{Uploaded, UploadedAsset};
use crate::wire::requests::image_key;

impl<H: Handle + ?Sized, S: Host + ?Sized> HeyGen<H, S> {
    /// Takes a file in. What it is, its first bytes say: clients call a PNG a JPEG and the other way round.
    pub(crate) async fn upload(&self, mut request: Request) -> Result<Response, Fault> {
        plain(&request)?;
        check_type(request.header("content-type").unwrap_or_default())?;
        self.edge.base()?;
        let limit_bytes = u64::try_from(self.edge.limits().upload_bytes).unwrap_or(u64::MAX);
        let seat = self.edge.uploads.try_take().ok_or(Fault::TooMuch("Too many uploads at once"))?;
        let mut incoming = Incoming { body: request.take_body().with_limit(limit_bytes), held: Vec::new() };
        incoming.hold(map::MEDIA_BYTES).await?;
        if incoming.held.is_empty() {
            return Err(map::no_data());
        }
        let media = map::media_of(&incoming.held).ok_or_else(map::no_image)?;
        let upload = self.work(move |edge| {
            let asset = NewAsset { media, at: edge.handle.now() };
            edge.host.receive(asset).map_err(|refused| map::refused(&refused, |_| String::new()))
        });
        let asset = incoming.pour(upload.await?).await?;
        drop(seat);
        Ok(Response::json(StatusCode::OK, &self.edge.uploaded(asset)?))
    }
}

impl<H: Handle + ?Sized, S: Host + ?Sized> Edge<H, S> {
    fn uploaded(&self, asset: Asset) -> Result<Uploaded, Fault> {
        let data = UploadedAsset {
            id: asset.id.to_string(),
            name: asset.id.to_string(),
            file_type: "image",
            folder_id: "",
            meta: (),
            created_ts: map::seconds(asset.created_at),
            url: self.link(asset.id)?,
            image_key: image_key(asset.id),
        };
        Ok(Uploaded { code: 100, data, msg: (), message: () })
    }
}

/// Refuses early what its sender calls something that is not taken here.
fn check_type(content_type: &str) -> Result<(), Fault> {
    let sort = content_type.split(['/', ';']).next().unwrap_or_default().trim();
    let is = |word: &str| sort.eq_ignore_ascii_case(word);
    if is("multipart") {
        return Err(map::no_data());
    }
    if is("video") || is("audio") { Err(map::no_image()) } else { Ok(()) }
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

    /// Pours all of it into an upload. If anything goes wrong the upload is dropped, which leaves nothing behind.
    async fn pour(mut self, mut upload: Box<dyn Upload>) -> Result<Asset, Fault> {
        loop {
            let more = self.hold(HELD_BYTES).await?;
            let mut held = std::mem::take(&mut self.held);
            let (kept, emptied, written) = blocking(move || {
                let written = if held.is_empty() { Ok(()) } else { upload.write(&held) };
                held.clear();
                (upload, held, written)
            })
            .await;
            written.map_err(|error| map::broken(&error))?;
            (upload, self.held) = (kept, emptied);
            if !more {
                break;
            }
        }
        let finished = blocking(move || upload.finish()).await;
        finished.map_err(|refused| map::refused(&refused, |_| String::new()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_cannot_be_an_image_is_refused_by_its_name() {
        for name in
            ["", "image/png", "IMAGE/JPEG; q=1", "image/webp", "application/octet-stream", "text/plain", "x"]
        {
            assert_eq!(check_type(name), Ok(()), "{name}");
        }
        for name in ["video/mp4", "video/webm", "audio/mpeg", "Audio/wav", " video/x"] {
            assert_eq!(check_type(name), Err(map::no_image()), "{name}");
        }
        for name in ["multipart/form-data; boundary=x", "Multipart/mixed", "multipart"] {
            assert_eq!(check_type(name), Err(map::no_data()), "{name}");
        }
    }
}
