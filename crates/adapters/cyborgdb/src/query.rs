//! Searches.

use trainyard_core::Model;
use trainyard_core::port::Handle;
use trainyard_http::{Request, Response};

use crate::fault::Fault;
use crate::host::{Hit, Host, IndexId, Query, Refused};
use crate::map::{self, Doing};
use crate::service::{CyborgDb, Edge};
use crate::vectors::decoded;
use crate::wire::answers::{Results, Row};
use crate::wire::json::to_map;
use crate::wire::requests::{self, Knobs, OfIndex, QueryBinary, Wanted};

/// How many neighbours are found when nobody says.
const TOP_K: usize = 100;

impl<H: Handle + ?Sized, S: Host + ?Sized> CyborgDb<H, S> {
    pub(crate) async fn query(&self, request: Request) -> Result<Response, Fault> {
        self.post(request, |edge, body: requests::Query| {
            let id = edge.open(Doing::Query, &body.index)?;
            let vectors = match body.wanted {
                _ if body.knobs.text => return Err(no_text_search(Doing::Query)),
                Wanted::Nothing => {
                    return Err(
                        Doing::Query.invalid("Provide at least one: query_vectors or query_contents.")
                    );
                }
                Wanted::Contents => {
                    return Err(Doing::Query
                        .invalid("query_contents needs an embedding model, and the index has none."));
                }
                Wanted::One(vector) => vec![vector],
                Wanted::Many(vectors) => vectors,
            };
            let dimension = edge.dimension(Doing::Query, id, &body.index.name)?;
            if let Some(odd) = vectors.iter().find(|vector| vector.len() != dimension) {
                let refused = Refused::WrongDimension { expected: dimension, got: odd.len() };
                return Err(map::refused(Doing::Query, &body.index.name, &refused));
            }
            let vectors = Vectors { dimension, numbers: vectors.concat() };
            let mut rows = edge.search(Doing::Query, id, &body.index.name, vectors, body.knobs)?;
            // A batch of one answers flat, as a single query does.
            match rows.len() {
                1 => edge.bounded_answer(Doing::Query, &Results { results: rows.remove(0) }),
                _ => edge.bounded_answer(Doing::Query, &Results { results: rows }),
            }
        })
        .await
    }

    pub(crate) async fn query_binary(&self, request: Request) -> Result<Response, Fault> {
        self.post(request, |edge, body: QueryBinary| {
            let doing = Doing::QueryBinary;
            let id = edge.open(doing, &body.index)?;
            if body.knobs.text {
                return Err(no_text_search(doing));
            }
            let (got, numbers) = decoded(doing, &body.vectors)?;
            if numbers.is_empty() {
                return Err(doing.invalid("Provide at least one: query_vectors or query_contents."));
            }
            let expected = edge.dimension(doing, id, &body.index.name)?;
            if got != expected {
                let refused = Refused::WrongDimension { expected, got };
                return Err(map::refused(doing, &body.index.name, &refused));
            }
            let vectors = Vectors { dimension: got, numbers };
            let results = edge.search(doing, id, &body.index.name, vectors, body.knobs)?;
            edge.bounded_answer(doing, &Results { results })
        })
        .await
    }

    /// Not offered; said after all the checks that come before it.
    pub(crate) async fn query_metadata(&self, request: Request) -> Result<Response, Fault> {
        self.post(request, |edge, index: OfIndex| {
            edge.open(Doing::QueryMetadata, &index)?;
            Err(Doing::QueryMetadata.invalid("queries without vectors are not offered by this server"))
        })
        .await
    }
}

struct Vectors {
    dimension: usize,
    numbers: Vec<f32>,
}

impl<H: Handle + ?Sized, S: Host + ?Sized> Edge<H, S> {
    fn dimension(&self, doing: Doing, id: IndexId, name: &str) -> Result<usize, Fault> {
        let described = self.host.describe(id).map_err(|error| map::refused(doing, name, &error))?;
        described.dimension.ok_or_else(|| map::refused(doing, name, &Refused::DimensionUnset))
    }

    fn search(
        &self,
        doing: Doing,
        id: IndexId,
        name: &str,
        vectors: Vectors,
        knobs: Knobs,
    ) -> Result<Vec<Vec<Row>>, Fault> {
        let limits = self.settings.limits();
        let Vectors { dimension, numbers } = vectors;
        let queries = numbers.len() / dimension;
        self.bounded(doing, "vectors", queries, limits.queries)?;
        let top_k = match knobs.top_k {
            None => TOP_K,
            Some(got) => match usize::try_from(got) {
                Ok(top_k @ 1..) if top_k <= limits.top_k => top_k,
                Ok(_) | Err(_) => {
                    return Err(
                        doing.invalid(format!("top_k must be between 1 and {}, got {got}", limits.top_k))
                    );
                }
            },
        };
        self.bounded(doing, "neighbours", queries.saturating_mul(top_k), limits.neighbours)?;
        let n_probes = match knobs.n_probes {
            None | Some(0) => None,
            Some(got @ i64::MIN..0) => {
                return Err(doing.invalid(format!("n_probes cannot be negative, got {got}")));
            }
            Some(got) => Some(usize::try_from(got).unwrap_or(usize::MAX)),
        };
        let (distance, metadata) = (knobs.includes("distance"), knobs.includes("metadata"));
        let filters = knobs.filters.filter(|filters| !filters.is_empty()).map(|filters| to_map(&filters));
        let query = Query { dimension, vectors: numbers, top_k, n_probes, filters, metadata };
        let model = self.adopt_if_possible(id);
        let scanned = self.scanned(model.as_deref(), n_probes, || self.host.count(id));
        let scanned = scanned.map_err(|error| map::refused(doing, name, &error))?;
        self.affordable(doing, queries, dimension, scanned)?;
        let found = self.host.query(id, &query).map_err(|error| map::refused(doing, name, &error))?;
        let rows = |hits: Vec<Hit>| hits.into_iter().map(|hit| Row::new(hit, distance, metadata)).collect();
        Ok(found.into_iter().map(rows).collect())
    }

    /// How many items one vector is compared with; `None` when the host chooses, which it does with care.
    fn scanned(
        &self,
        model: Option<&Model>,
        n_probes: Option<usize>,
        count: impl FnOnce() -> Result<u64, Refused>,
    ) -> Result<Option<u64>, Refused> {
        Ok(match (model, n_probes) {
            (None, _) => Some(count()?),
            (Some(_), None) => None,
            (Some(model), Some(n_probes)) => {
                let lists = map::lists_of(model);
                let probed = u64::try_from(n_probes).unwrap_or(u64::MAX).min(lists);
                let share = u128::from(count()?) * u128::from(probed) / u128::from(lists);
                Some(u64::try_from(share).unwrap_or(u64::MAX))
            }
        })
    }

    fn affordable(
        &self,
        doing: Doing,
        queries: usize,
        dimension: usize,
        scanned: Option<u64>,
    ) -> Result<(), Fault> {
        let max = self.settings.limits().multiply_adds;
        let Some(scanned) = scanned else { return Ok(()) };
        let each = (queries as u128).saturating_mul(dimension as u128);
        let cost = each.saturating_mul(u128::from(scanned));
        match cost <= u128::from(max) {
            true => Ok(()),
            false => Err(doing.invalid(format!(
                "{queries} vectors of {dimension} numbers against {scanned} items are {cost} multiply-adds, at \
                 most {max} in one request: send fewer vectors, look into fewer lists, or train the index"
            ))),
        }
    }
}

fn no_text_search(doing: Doing) -> Fault {
    doing.invalid("text search is not offered by this server")
}
