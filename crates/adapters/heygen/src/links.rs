//! Links to pictures, which carry their own authority.

use trainyard_core::Timestamp;
use trainyard_core::port::Handle;
use trainyard_http::secret::Secret;
use trainyard_http::signed::Signer;
use trainyard_http::{HeaderName, HeaderValue, Request, Response, StatusCode, header};
use uuid::Uuid;

use crate::fault::Fault;
use crate::host::{AssetId, Host, Media};
use crate::service::{Edge, HeyGen};
use crate::wire::hex;
use crate::{map, sort};

/// What a link says: which picture, and until when it may be seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Claims {
    id: AssetId,
    /// Good while the time is earlier.
    until: Timestamp,
}

const CLAIMS_BYTES: usize = 16 + 8;
const DOMAIN: &str = "trainyard-heygen picture 1";

/// The parameter of a link that holds its signature. Not in the path: paths are logged.
const TOKEN: &str = "token=";

pub(crate) fn signer(key: &Secret) -> Signer {
    Signer::new(key, DOMAIN)
}

impl<H: Handle + ?Sized, S: Host + ?Sized> HeyGen<H, S> {
    /// The picture behind a link, read while the client takes it.
    pub(crate) async fn picture(&self, id: &str, request: &Request) -> Result<Response, Fault> {
        let id = self.edge.linked(id, request.query().unwrap_or_default())?;
        let found = self.work(move |edge| edge.host.picture(id).map_err(|error| map::broken(&error))).await?;
        let picture = found.ok_or_else(|| Fault::not_found("Image not found"))?;
        let media = sort::media_type(picture.media);
        Ok(shown(Response::reader(StatusCode::OK, media, picture.bytes, picture.content)))
    }
}

impl<H: Handle + ?Sized, S: Host + ?Sized> Edge<H, S> {
    /// A link to a picture, good for as long as links live.
    pub(crate) fn link(&self, id: AssetId) -> Result<String, Fault> {
        let signer = self.signer.as_ref().ok_or_else(Fault::internal)?;
        let until = self.handle.now().after(self.limits().link_life);
        let token = signer.sign(&Claims { id, until }.to_bytes());
        Ok(format!("{}/v2/trainyard/images/{id}/original?{TOKEN}{token}", self.base()?))
    }

    /// A link for where there is no picture any more. Clients want a URL that works.
    pub(crate) fn link_to_nothing(&self) -> Result<String, Fault> {
        Ok(format!("{}/v2/trainyard/placeholder.png", self.base()?))
    }

    /// Which picture a link is for. One that was put together of two, or altered, is good for nothing.
    fn linked(&self, id: &str, query: &str) -> Result<AssetId, Fault> {
        let token = query.split('&').find_map(|pair| pair.strip_prefix(TOKEN));
        let claims = token.zip(self.signer.as_ref()).and_then(|(token, signer)| signer.verify(token));
        let claims = claims.as_ref().map(Claims::of_bytes);
        let good =
            claims.filter(|claims| hex(id) == Some(claims.id.as_uuid()) && self.handle.now() < claims.until);
        good.map(|claims| claims.id).ok_or_else(|| Fault::forbidden("The link is invalid or has expired"))
    }
}

impl Claims {
    fn to_bytes(self) -> [u8; CLAIMS_BYTES] {
        let mut bytes = [0; CLAIMS_BYTES];
        bytes[..16].copy_from_slice(self.id.as_uuid().as_bytes());
        bytes[16..].copy_from_slice(&self.until.as_millis().to_be_bytes());
        bytes
    }

    fn of_bytes(bytes: &[u8; CLAIMS_BYTES]) -> Self {
        let (mut id, mut until) = ([0; 16], [0; 8]);
        id.copy_from_slice(&bytes[..16]);
        until.copy_from_slice(&bytes[16..]);
        Self {
            id: AssetId::new(Uuid::from_bytes(id)),
            until: Timestamp::from_millis(i64::from_be_bytes(until)),
        }
    }
}

pub(crate) fn placeholder() -> Response {
    shown(Response::bytes(StatusCode::OK, sort::media_type(Media::Png), PLACEHOLDER))
}

/// A grey square of 64 by 64 pixels.
const PLACEHOLDER: &[u8] = include_bytes!("placeholder.png");

/// A picture is for whoever has its link, and is nothing but what its type says.
fn shown(picture: Response) -> Response {
    picture
        .with_header(header::CACHE_CONTROL, HeaderValue::from_static("private"))
        .with_header(NOSNIFF, HeaderValue::from_static("nosniff"))
}

const NOSNIFF: HeaderName = HeaderName::from_static("x-content-type-options");

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_a_link_says_survives_its_bytes(id in any::<u128>(), until in any::<i64>()) {
            let claims = Claims { id: AssetId::new(Uuid::from_u128(id)), until: Timestamp::from_millis(until) };
            prop_assert_eq!(Claims::of_bytes(&claims.to_bytes()), claims);
        }
    }

    #[test]
    fn the_placeholder_is_a_png() {
        assert!(PLACEHOLDER.starts_with(b"\x89PNG\r\n\x1a\n") && PLACEHOLDER.ends_with(b"IEND\xaeB`\x82"));
    }
}
