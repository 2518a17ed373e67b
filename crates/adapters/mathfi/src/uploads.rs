//! The two ways in for the data of a dataset.

use std::ops::RangeInclusive;

use trainyard_core::port::Handle;
use trainyard_http::{Request, Response, StatusCode};

use crate::fault::Fault;
use crate::host::{DatasetId, Host, UserId};
use crate::intake::{Seated, Source};
use crate::map;
use crate::service::{Edge, MathFi};
use crate::signing::Purpose;
use crate::wire::answers::DataTaken;

impl<H: Handle + ?Sized, S: Host + ?Sized> MathFi<H, S> {
    /// Through the API, for smaller files.
    pub(crate) async fn put_data(
        &self,
        user: UserId,
        id: DatasetId,
        mut request: Request,
    ) -> Result<Response, Fault> {
        let limits = *self.edge.settings.limits();
        self.edge.owned(user, id, DATASET)?;
        let source = Source::form_or_csv(&mut request, limits.api_upload_bytes, limits.form_bytes())?;
        self.take_data(id, user, source, limits.upload_bytes_min..=limits.api_upload_bytes).await
    }

    /// At a signed URL, for larger ones. The URL is all the authority there is.
    pub(crate) async fn signed_upload(&self, key: &str, mut request: Request) -> Result<Response, Fault> {
        let id = DatasetId::new(self.edge.signed_for(Purpose::Upload, key, &request)?);
        let limits = self.edge.settings.limits();
        let ours = limits.upload_bytes_min..=limits.signed_upload_bytes;
        let range = match request.headers().get(RANGE) {
            None => ours,
            Some(value) => narrowed(&ours, value.to_str().unwrap_or_default())?,
        };
        let owner = self.edge.host.owner(id).ok_or_else(|| map::not_found(DATASET))?;
        let source = Source::body(&mut request, *range.end())?;
        self.take_data(id, owner, source, range).await
    }

    async fn take_data(
        &self,
        id: DatasetId,
        owner: UserId,
        source: Source,
        range: RangeInclusive<u64>,
    ) -> Result<Response, Fault> {
        let url = self.edge.dataset_url(id)?;
        let seat = self.edge.uploads.try_take(owner)?;
        let receive = move |edge: &Edge<H, S>| {
            let upload = edge.host.receive_data(id).map_err(|refused| map::refused(DATASET, &refused))?;
            Ok(Seated::new((upload, seat)))
        };
        let upload = self.work(receive).await?;
        let dataset = source.pour(DATASET, upload, range, &self.edge.finishing).await?;
        let answer = DataTaken {
            dataset_key: dataset.id.as_uuid(),
            status: map::dataset_status(&dataset.state),
            dataset_creation_progress_url: url,
        };
        Ok(Response::json(StatusCode::OK, &answer))
    }
}

pub(crate) const DATASET: &str = "Dataset";

/// The header that the answer to a create asks clients to send along.
const RANGE: &str = "x-goog-content-length-range";

/// What a client allows, within what we allow.
fn narrowed(ours: &RangeInclusive<u64>, header: &str) -> Result<RangeInclusive<u64>, Fault> {
    let number = |text: &str| text.trim().parse::<u64>().ok();
    let theirs = header.split_once(',').and_then(|(min, max)| Some((number(min)?, number(max)?)));
    match theirs {
        Some((min, max)) if min <= max => Ok(min.max(*ours.start())..=max.min(*ours.end())),
        Some(_) | None => {
            Err(Fault::bad("X-Goog-Content-Length-Range must be two numbers with a comma between them"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_may_allow_less_and_never_more() {
        let check = |header: &str, expected: Option<(u64, u64)>| {
            let range = narrowed(&(10..=100), header).ok();
            assert_eq!(range.map(|range| (*range.start(), *range.end())), expected, "{header}");
        };
        check("10,100", Some((10, 100)));
        check("20, 30", Some((20, 30)));
        check("0,18446744073709551615", Some((10, 100)));
        for malformed in ["", "10", "10,", "a,b", "30,20", "-1,5", "1,2,3", "1,18446744073709551616"] {
            check(malformed, None);
        }
    }
}
