//! The bodies of requests, and how they are read. Members that are not named here are ignored, as everywhere.

use crate::host::{Parts, Precision};
use crate::validate::{
    Fields, Findings, Literal, Place, flag, integer, list, literal, missing, nullable, number, object, text,
    vector,
};
use crate::wire::json::{Json, Members};

/// A body that can be read.
pub(crate) trait Body: Sized {
    /// Reads it; what is wrong is in the findings, and then the result does not matter.
    fn read(json: &Json, at: &Place<'_>, findings: &mut Findings) -> Option<Self>;

    /// Reads what was sent; `None` stands for no body at all.
    fn of(sent: Option<&Json>) -> Result<Self, Findings> {
        let mut findings = Findings::default();
        let read = match sent {
            None => {
                missing(&Place::BODY, &Json::Null, &mut findings);
                None
            }
            Some(json) => Self::read(json, &Place::BODY, &mut findings),
        };
        read.filter(|_| findings.is_empty()).ok_or(findings)
    }
}

/// Which index, and the key to it.
#[derive(Debug)]
pub(crate) struct OfIndex {
    pub(crate) name: String,
    pub(crate) key: Option<String>,
}

impl OfIndex {
    fn read_from(fields: &Fields<'_>, findings: &mut Findings) -> Option<Self> {
        let name = fields.required("index_name", findings, text);
        let key = fields.optional("index_key", findings, text);
        Some(Self { name: name?, key })
    }
}

impl Body for OfIndex {
    fn read(json: &Json, at: &Place<'_>, findings: &mut Findings) -> Option<Self> {
        Self::read_from(&Fields::of(json, at, findings)?, findings)
    }
}

#[derive(Debug)]
pub(crate) struct Create {
    pub(crate) index: OfIndex,
    pub(crate) kms_name: Option<String>,
    pub(crate) dimension: Option<i64>,
    pub(crate) embedding_model: Option<String>,
    pub(crate) metric: Option<String>,
    pub(crate) precision: Option<Precision>,
    /// Whether any of the members asks for a metadata schema or text search.
    pub(crate) wants_text_search: bool,
}

impl Body for Create {
    fn read(json: &Json, at: &Place<'_>, findings: &mut Findings) -> Option<Self> {
        let fields = Fields::of(json, at, findings)?;
        let index = OfIndex::read_from(&fields, findings);
        let kms_name = fields.optional("kms_name", findings, text);
        let dimension = fields.optional("dimension", findings, integer);
        let embedding_model = fields.optional("embedding_model", findings, text);
        let metric = fields.optional("metric", findings, text);
        let precision = fields.optional("storage_precision", findings, literal(&PRECISIONS));
        let schema = fields.optional("metadata_schema", findings, object);
        let text_fields = fields.optional("text_fields", findings, list(text));
        let k1 = fields.optional("bm25_k1", findings, number);
        let b = fields.optional("bm25_b", findings, number);
        Some(Self {
            index: index?,
            kms_name,
            dimension,
            embedding_model,
            metric,
            precision,
            wants_text_search: schema.is_some_and(|schema| !schema.is_empty())
                || text_fields.is_some_and(|fields| !fields.is_empty())
                || k1.is_some()
                || b.is_some(),
        })
    }
}

static PRECISIONS: Literal<Precision> = Literal {
    words: &[
        ("float32", Precision::Float32),
        ("float16", Precision::Float16),
        ("tq12", Precision::Tq12),
        ("tq8", Precision::Tq8),
        ("tq6", Precision::Tq6),
        ("tq4", Precision::Tq4),
    ],
    expected: "'float32', 'float16', 'tq12', 'tq8', 'tq6' or 'tq4'",
    message: "Input should be 'float32', 'float16', 'tq12', 'tq8', 'tq6' or 'tq4'",
};

#[derive(Debug)]
pub(crate) struct Train {
    pub(crate) index: OfIndex,
    pub(crate) n_lists: Option<i64>,
    pub(crate) batch_size: Option<i64>,
    pub(crate) max_iters: Option<i64>,
    pub(crate) tolerance: Option<f64>,
    pub(crate) max_memory: Option<i64>,
}

impl Body for Train {
    fn read(json: &Json, at: &Place<'_>, findings: &mut Findings) -> Option<Self> {
        let fields = Fields::of(json, at, findings)?;
        let index = OfIndex::read_from(&fields, findings);
        let n_lists = fields.optional("n_lists", findings, integer);
        let batch_size = fields.optional("batch_size", findings, integer);
        let max_iters = fields.optional("max_iters", findings, integer);
        let tolerance = fields.optional("tolerance", findings, number);
        let max_memory = fields.optional("max_memory", findings, integer);
        Some(Self { index: index?, n_lists, batch_size, max_iters, tolerance, max_memory })
    }
}

#[derive(Debug)]
pub(crate) struct Upsert {
    pub(crate) index: OfIndex,
    pub(crate) items: Vec<SentItem>,
}

#[derive(Debug)]
pub(crate) struct SentItem {
    pub(crate) id: String,
    pub(crate) vector: Option<Vec<f32>>,
    pub(crate) contents: Option<String>,
    pub(crate) metadata: Option<Members>,
}

impl Body for Upsert {
    fn read(json: &Json, at: &Place<'_>, findings: &mut Findings) -> Option<Self> {
        let fields = Fields::of(json, at, findings)?;
        let index = OfIndex::read_from(&fields, findings);
        let items = fields.required("items", findings, list(SentItem::read));
        Some(Self { index: index?, items: items? })
    }
}

impl SentItem {
    fn read(json: &Json, at: &Place<'_>, findings: &mut Findings) -> Option<Self> {
        let fields = Fields::of(json, at, findings)?;
        let id = fields.required("id", findings, text);
        let vector = fields.optional("vector", findings, vector);
        let contents = fields.optional("contents", findings, text);
        let metadata = fields.optional("metadata", findings, object);
        Some(Self { id: id?, vector, contents, metadata })
    }
}

#[derive(Debug)]
pub(crate) struct UpsertBinary {
    pub(crate) index: OfIndex,
    pub(crate) batch: SentBatch,
}

#[derive(Debug)]
pub(crate) struct SentBatch {
    pub(crate) ids: Vec<String>,
    pub(crate) vectors: SentVectors,
    pub(crate) metadata: Vec<Option<Members>>,
    pub(crate) contents: Vec<Option<String>>,
}

/// Little-endian `f32`s in base64.
#[derive(Debug)]
pub(crate) struct SentVectors {
    pub(crate) base64: String,
    pub(crate) dimension: i64,
}

impl Body for UpsertBinary {
    fn read(json: &Json, at: &Place<'_>, findings: &mut Findings) -> Option<Self> {
        let fields = Fields::of(json, at, findings)?;
        let index = OfIndex::read_from(&fields, findings);
        let batch = fields.required("batch", findings, SentBatch::read);
        Some(Self { index: index?, batch: batch? })
    }
}

impl SentBatch {
    fn read(json: &Json, at: &Place<'_>, findings: &mut Findings) -> Option<Self> {
        let fields = Fields::of(json, at, findings)?;
        let ids = fields.required("ids", findings, list(text));
        let base64 = fields.required("vectors_b64", findings, text);
        let dimension = fields.required("dimension", findings, integer);
        let metadata = fields.optional("metadata", findings, list(nullable(object)));
        let contents = fields.optional("contents", findings, list(nullable(text)));
        Some(Self {
            ids: ids?,
            vectors: SentVectors { base64: base64?, dimension: dimension? },
            metadata: metadata.unwrap_or_default(),
            contents: contents.unwrap_or_default(),
        })
    }
}

/// A query in one of its two JSON forms.
#[derive(Debug)]
pub(crate) struct Query {
    pub(crate) index: OfIndex,
    pub(crate) wanted: Wanted,
    pub(crate) knobs: Knobs,
}

/// What a query looks near.
#[derive(Debug)]
pub(crate) enum Wanted {
    Nothing,
    Contents,
    One(Vec<f32>),
    Many(Vec<Vec<f32>>),
}

/// What all forms of a query have in common.
#[derive(Debug)]
pub(crate) struct Knobs {
    pub(crate) top_k: Option<i64>,
    pub(crate) n_probes: Option<i64>,
    pub(crate) filters: Option<Members>,
    pub(crate) include: Vec<String>,
    /// Whether it asks for text search.
    pub(crate) text: bool,
}

impl Body for Query {
    /// Two forms are tried; when none fits, what is wrong with either is told.
    fn read(json: &Json, at: &Place<'_>, findings: &mut Findings) -> Option<Self> {
        let forms: [(&'static str, Form); 2] =
            [("QueryRequest", Self::single), ("BatchQueryRequest", Self::batch)];
        let mut wrong = Findings::default();
        for (name, form) in forms {
            let mut here = Findings::default();
            let read = form(json, &at.member(name), &mut here);
            if here.is_empty() {
                return read;
            }
            wrong.extend(here);
        }
        findings.extend(wrong);
        None
    }
}

type Form = fn(&Json, &Place<'_>, &mut Findings) -> Option<Query>;

impl Query {
    fn single(json: &Json, at: &Place<'_>, findings: &mut Findings) -> Option<Self> {
        let fields = Fields::of(json, at, findings)?;
        let index = OfIndex::read_from(&fields, findings);
        let vector = fields.optional("query_vectors", findings, vector);
        let contents = fields.optional("query_contents", findings, text);
        let knobs = Knobs::read_from(&fields, findings);
        let wanted = match (vector, contents) {
            (Some(vector), _) if !vector.is_empty() => Wanted::One(vector),
            (_, Some(_)) => Wanted::Contents,
            (_, None) => Wanted::Nothing,
        };
        Some(Self { index: index?, wanted, knobs })
    }

    fn batch(json: &Json, at: &Place<'_>, findings: &mut Findings) -> Option<Self> {
        let fields = Fields::of(json, at, findings)?;
        let index = OfIndex::read_from(&fields, findings);
        let vectors = fields.required("query_vectors", findings, list(vector));
        let knobs = Knobs::read_from(&fields, findings);
        Some(Self { index: index?, wanted: Wanted::Many(vectors?), knobs })
    }
}

impl Knobs {
    fn read_from(fields: &Fields<'_>, findings: &mut Findings) -> Self {
        let top_k = fields.optional("top_k", findings, integer);
        let n_probes = fields.optional("n_probes", findings, integer);
        // Checked and dropped, as the original does.
        let _greedy = fields.optional("greedy", findings, flag);
        let _rerank_mult = fields.optional("rerank_mult", findings, integer);
        let filters = fields.optional("filters", findings, object);
        let include = fields.optional("include", findings, list(text)).unwrap_or_default();
        let text = fields.optional("text", findings, text).is_some();
        Self { top_k, n_probes, filters, include, text }
    }

    pub(crate) fn includes(&self, part: &str) -> bool {
        self.include.iter().any(|name| name == part)
    }
}

#[derive(Debug)]
pub(crate) struct QueryBinary {
    pub(crate) index: OfIndex,
    pub(crate) vectors: SentVectors,
    pub(crate) knobs: Knobs,
}

impl Body for QueryBinary {
    fn read(json: &Json, at: &Place<'_>, findings: &mut Findings) -> Option<Self> {
        let fields = Fields::of(json, at, findings)?;
        let index = OfIndex::read_from(&fields, findings);
        let vectors = fields.required("batch", findings, SentVectors::read);
        let knobs = Knobs::read_from(&fields, findings);
        Some(Self { index: index?, vectors: vectors?, knobs })
    }
}

impl SentVectors {
    fn read(json: &Json, at: &Place<'_>, findings: &mut Findings) -> Option<Self> {
        let fields = Fields::of(json, at, findings)?;
        let base64 = fields.required("vectors_b64", findings, text);
        let dimension = fields.required("dimension", findings, integer);
        Some(Self { base64: base64?, dimension: dimension? })
    }
}

#[derive(Debug)]
pub(crate) struct Get {
    pub(crate) index: OfIndex,
    pub(crate) ids: Vec<String>,
    pub(crate) parts: Parts,
}

impl Body for Get {
    fn read(json: &Json, at: &Place<'_>, findings: &mut Findings) -> Option<Self> {
        let fields = Fields::of(json, at, findings)?;
        let index = OfIndex::read_from(&fields, findings);
        let ids = fields.required("ids", findings, list(text));
        let include = fields.optional("include", findings, list(text));
        let wants =
            |part: &str| include.as_ref().is_none_or(|include| include.iter().any(|name| name == part));
        let parts =
            Parts { vector: wants("vector"), contents: wants("contents"), metadata: wants("metadata") };
        Some(Self { index: index?, ids: ids?, parts })
    }
}

#[derive(Debug)]
pub(crate) struct Delete {
    pub(crate) index: OfIndex,
    pub(crate) ids: Vec<String>,
}

impl Body for Delete {
    fn read(json: &Json, at: &Place<'_>, findings: &mut Findings) -> Option<Self> {
        let fields = Fields::of(json, at, findings)?;
        let index = OfIndex::read_from(&fields, findings);
        let ids = fields.required("ids", findings, list(text));
        Some(Self { index: index?, ids: ids? })
    }
}
