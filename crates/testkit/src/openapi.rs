//! An OpenAPI document as a promise that is kept: what a service answers is held against what its document says.

use std::collections::BTreeSet;

use jsonschema::Validator;
use serde_json::{Map, Value, json};
use trainyard_http::{HeaderValue, Method, Request, Response, Service, block_on};

use crate::client::Answer;

/// A document of OpenAPI 3.1, read, with all of its schemas ready to be used.
///
/// ```
/// use trainyard_http::{HeaderValue, Method, Request, Response, StatusCode, service_fn};
/// use trainyard_testkit::client::Answer;
/// use trainyard_testkit::openapi::Contract;
///
/// let contract = Contract::of(
///     r#"{"openapi": "3.1.0", "info": {"title": "t", "version": "1"}, "paths": {"/pets/{id}": {"get": {"responses": {
///         "200": {"description": "A pet.", "content": {"application/json": {"schema": {"type": "string"}}}}
///     }}}}}"#,
/// );
/// let service = service_fn(async |_: Request| Response::json(StatusCode::OK, "Rex"));
/// let answer = contract.send(&service, Request::new(Method::GET, "/pets/7?as=text"));
/// assert_eq!(answer.json(), "Rex");
/// assert!(contract.answers("GET", "/pets/7", &Answer::new(200, "application/json", "7")).is_err());
/// ```
#[derive(Debug)]
pub struct Contract {
    operations: Vec<Operation>,
}

#[derive(Debug)]
struct Operation {
    method: String,
    path: String,
    requests: Content,
    /// By status.
    answers: Vec<(u16, Content)>,
}

/// Schemas by content type; empty for no body.
type Content = Vec<(String, Option<Validator>)>;

const METHODS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];

impl Contract {
    /// Reads a document.
    ///
    /// # Panics
    /// When it is no such document, names something that it does not have, or has an example that its own schema refuses.
    #[must_use]
    pub fn of(document: &str) -> Self {
        let document: Value = serde_json::from_str(document).expect("the document is JSON");
        let version = document["openapi"].as_str().expect("it says its version");
        assert!(version.starts_with("3.1."), "{version} is another OpenAPI");
        let reading = Reading { document: &document };
        let mut operations = Vec::new();
        for (path, item) in object(&document["paths"]) {
            for method in METHODS {
                if let Some(operation) = item.get(method) {
                    operations.push(reading.operation(method, path, operation));
                }
            }
        }
        Self { operations }
    }

    /// Every method, in capitals, and path of it.
    #[must_use]
    pub fn operations(&self) -> BTreeSet<(String, String)> {
        self.operations.iter().map(|operation| (operation.method.clone(), operation.path.clone())).collect()
    }

    /// What a service answers to a request, read to its end. It is in the document, in the form that stands there.
    ///
    /// # Panics
    /// When it is not.
    #[track_caller]
    pub fn send(&self, service: &impl Service, request: Request) -> Answer {
        let (method, path) = (request.method().clone(), request.path().to_owned());
        let answer = block_on(async { Answer::of(service.call(request).await).await });
        self.check(&method, &path, &answer);
        answer
    }

    /// Makes sure of [`answers`](Self::answers).
    ///
    /// # Panics
    /// When the answer is another.
    #[track_caller]
    pub fn check(&self, method: &Method, path: &str, answer: &Answer) {
        assert_eq!(self.answers(method.as_str(), path, answer), Ok(()));
    }

    /// Makes sure that a JSON body is one that the document lets be sent, if the answer is that it was carried out.
    ///
    /// # Panics
    /// When it is not, and was carried out.
    #[track_caller]
    pub fn check_sent(&self, method: &Method, path: &str, sent: &str, answer: &Answer) {
        if (200..300).contains(&answer.status) && !sent.is_empty() {
            assert_eq!(self.takes(method.as_str(), path, sent.as_bytes()), Ok(()));
        }
    }

    /// Whether an answer to a path, as in a request line, is one that the document tells of; what comes behind `?` makes no
    /// difference. What it does not tell of must be no success; `OPTIONS` is nobody's business.
    ///
    /// # Errors
    /// In words, what the document says and what was answered.
    pub fn answers(&self, method: &str, path: &str, told: &Answer) -> Result<(), String> {
        let status = told.status;
        let Some(operation) = self.find(method, path) else {
            let is_fine = method == "OPTIONS" || !(200..300).contains(&status);
            let words = format!("{method} {path} is not in the document, and was answered with {status}");
            return if is_fine { Ok(()) } else { Err(words) };
        };
        let what = format!("{method} {} with {status}", operation.path);
        let known = operation.answers.iter().find(|(known, _)| *known == status);
        let (_, content) = known.ok_or_else(|| format!("{what} is not in the document"))?;
        if method == "HEAD" {
            // Whatever is said to it, its body stays at home.
            return Ok(());
        }
        if content.is_empty() {
            let is_empty = told.body.is_empty();
            return if is_empty { Ok(()) } else { Err(format!("{what} has no body in the document")) };
        }
        let name = essence(told.header("content-type"));
        let form = content.iter().find(|(known, _)| *known == name);
        let (_, schema) = form.ok_or_else(|| format!("{what} as {name:?} is not in the document"))?;
        fits(schema.as_ref(), &name, &told.body).map_err(|wrong| format!("{what}: {wrong}"))
    }

    /// Whether a JSON body is one that the document lets be sent. Where none is read it may be anything.
    ///
    /// # Errors
    /// In words, what the document says against it.
    pub fn takes(&self, method: &str, path: &str, sent: &[u8]) -> Result<(), String> {
        let operation = self.find(method, path).ok_or_else(|| format!("{method} {path} is not there"))?;
        match operation.requests.iter().find(|(known, _)| known == JSON) {
            Some((name, schema)) => {
                fits(schema.as_ref(), name, sent).map_err(|wrong| format!("{method} {path}: {wrong}"))
            }
            None => Ok(()),
        }
    }

    /// Of all paths that fit, the one that goes without a parameter for the longest; then the method.
    fn find(&self, method: &str, path: &str) -> Option<&Operation> {
        let path = path.split('?').next().unwrap_or_default();
        let fitting = self.operations.iter().filter_map(|known| Some((literals(&known.path, path)?, known)));
        let (_, nearest) = fitting.max_by(|(one, _), (other, _)| one.cmp(other))?;
        self.operations.iter().find(|known| known.path == nearest.path && known.method == method)
    }
}

impl Answer {
    /// What a service answered, read to its end.
    ///
    /// # Panics
    /// When a header is no text; and as [`Response::into_bytes`] does.
    pub async fn of(response: Response) -> Self {
        let text = |value: &HeaderValue| value.to_str().expect("headers are text").to_owned();
        let headers = response.headers().iter().map(|(name, value)| (name.to_string(), text(value)));
        Self {
            status: response.status().as_u16(),
            headers: headers.collect(),
            body: response.into_bytes().await.to_vec(),
        }
    }

    /// The body, read.
    ///
    /// # Panics
    /// When it is no JSON.
    #[must_use]
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }
}

const JSON: &str = "application/json";

/// Which segments of the pattern are those of the path, if it fits.
fn literals(pattern: &str, path: &str) -> Option<Vec<bool>> {
    let (pattern, path): (Vec<&str>, Vec<&str>) = (pattern.split('/').collect(), path.split('/').collect());
    let is_open = |segment: &str| segment.starts_with('{');
    let fits = |(pattern, got): (&&str, &&str)| pattern == got || is_open(pattern) && !got.is_empty();
    let all = pattern.len() == path.len() && pattern.iter().zip(&path).all(fits);
    all.then(|| pattern.iter().map(|segment| !is_open(segment)).collect())
}

fn essence(content_type: Option<&str>) -> String {
    content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

fn fits(schema: Option<&Validator>, content_type: &str, body: &[u8]) -> Result<(), String> {
    let Some(schema) = schema.filter(|_| content_type == JSON) else {
        let is_text = !content_type.starts_with("text/") || str::from_utf8(body).is_ok();
        return if is_text { Ok(()) } else { Err("no text".into()) };
    };
    let told: Value = serde_json::from_slice(body).map_err(|error| format!("no JSON: {error}"))?;
    let wrong = schema.iter_errors(&told).map(|error| format!("{}: {error}", error.instance_path()));
    let wrong: Vec<String> = wrong.collect();
    if wrong.is_empty() { Ok(()) } else { Err(format!("{}; {told}", wrong.join("; "))) }
}

fn object(value: &Value) -> &Map<String, Value> {
    value.as_object().unwrap_or_else(|| panic!("no object: {value}"))
}

struct Reading<'d> {
    document: &'d Value,
}

impl<'d> Reading<'d> {
    fn operation(&self, method: &str, path: &str, operation: &'d Value) -> Operation {
        let content = |holder: &'d Value| holder.get("content").map(|content| self.content(path, content));
        let requests = operation.get("requestBody").and_then(|body| content(self.followed(body)));
        let answer = |(status, answer): (&String, &'d Value)| {
            let status = status.parse().unwrap_or_else(|_| panic!("{method} {path}: {status} is no status"));
            (status, content(self.followed(answer)).unwrap_or_default())
        };
        Operation {
            method: method.to_ascii_uppercase(),
            path: path.to_owned(),
            requests: requests.unwrap_or_default(),
            answers: object(&operation["responses"]).iter().map(answer).collect(),
        }
    }

    fn content(&self, path: &str, content: &'d Value) -> Content {
        let read = |(name, media): (&String, &'d Value)| {
            let schema = media.get("schema").map(|schema| self.validator(schema));
            let named = media.get("examples").map(object).into_iter().flat_map(Map::values);
            for example in media.get("example").into_iter().chain(named.map(|named| &named["value"])) {
                let schema = schema.as_ref().unwrap_or_else(|| panic!("{path}: an example without a schema"));
                assert!(schema.is_valid(example), "{path}: an example that its schema refuses: {example}");
            }
            (name.clone(), schema)
        };
        object(content).iter().map(read).collect()
    }

    /// What is meant by a reference; anything else is meant itself.
    fn followed(&self, value: &'d Value) -> &'d Value {
        let Some(reference) = value.get("$ref").and_then(Value::as_str) else { return value };
        let pointer = reference.strip_prefix('#').unwrap_or_else(|| panic!("{reference} leads away"));
        self.document.pointer(pointer).unwrap_or_else(|| panic!("{reference} leads nowhere"))
    }

    fn validator(&self, schema: &Value) -> Validator {
        let whole = json!({ "components": self.document["components"], "allOf": [schema] });
        let options = jsonschema::draft202012::options().should_validate_formats(true);
        options.build(&whole).unwrap_or_else(|error| panic!("{error}: {schema}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = r##"{
        "openapi": "3.1.0",
        "paths": {
            "/pets/{id}": {
                "get": {"responses": {
                    "200": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Pet"}}}},
                    "404": {"$ref": "#/components/responses/Nothing"}
                }},
                "put": {
                    "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Pet"}}}},
                    "responses": {"204": {"description": "Done."}}
                }
            },
            "/pets/all": {"get": {"responses": {"200": {"content": {"text/csv": {}}}}}}
        },
        "components": {
            "schemas": {"Pet": {"type": "object", "required": ["born"], "properties": {"born": {"type": "string", "format": "date-time"}}}},
            "responses": {"Nothing": {"content": {"application/json": {"schema": {"const": null}}}}}
        }
    }"##;

    #[test]
    fn answers_are_held_against_the_document() {
        let contract = Contract::of(DOCUMENT);
        let check = |method, path, status, (content_type, body): (&str, &str), words: &str| {
            let told = contract.answers(method, path, &Answer::new(status, content_type, body));
            assert_eq!(told.err().unwrap_or_default().split(" in the document").next(), Some(words));
        };
        let json = |body| ("application/json; charset=utf-8", body);
        check("GET", "/pets/1", 200, json(r#"{"born":"2024-06-10T06:13:20Z"}"#), "");
        check("GET", "/pets/1?x", 404, json("null"), "");
        check("GET", "/pets/all", 200, ("text/csv", "a,b"), "");
        let told = contract.answers("GET", "/pets/all", &Answer::new(200, "text/csv", [0xff])).unwrap_err();
        assert!(told.contains("no text"), "{told}");
        check("PUT", "/pets/1", 204, ("", ""), "");
        check("PUT", "/pets/1", 204, ("", "x"), "PUT /pets/{id} with 204 has no body");
        check("GET", "/pets/1", 500, json("null"), "GET /pets/{id} with 500 is not");
        check(
            "GET",
            "/pets/1",
            404,
            ("text/plain", "null"),
            "GET /pets/{id} with 404 as \"text/plain\" is not",
        );
        for (body, words) in
            [("7", "object"), ("{}", "born"), (r#"{"born":"today"}"#, "date-time"), ("", "no JSON")]
        {
            let told = contract.answers("GET", "/pets/1", &Answer::new(200, JSON, body)).unwrap_err();
            assert!(told.contains(words), "{told}");
        }
        check("GET", "/cats", 404, json("null"), "");
        check("OPTIONS", "/pets/1", 204, ("", ""), "");
        check("GET", "/cats", 200, json("null"), "GET /cats is not");
        check("DELETE", "/pets/1", 200, json("null"), "DELETE /pets/1 is not");
    }

    #[test]
    fn bodies_are_held_against_the_document() {
        let contract = Contract::of(DOCUMENT);
        let put = |sent: &str| contract.takes("PUT", "/pets/1", sent.as_bytes());
        assert_eq!(put(r#"{"born":"2024-06-10T06:13:20Z"}"#), Ok(()));
        assert!(put("{}").is_err_and(|words| words.contains("born")));
        assert!(put("").is_err(), "no JSON");
        assert_eq!(contract.takes("GET", "/pets/1", b"{}"), Ok(()), "no body is read");
        assert!(contract.takes("POST", "/pets/1", b"{}").is_err());
    }

    #[test]
    fn the_path_without_a_parameter_is_the_nearer_one() {
        let contract = Contract::of(DOCUMENT);
        let all = contract.operations();
        assert_eq!(all.len(), 3);
        assert!(all.contains(&("PUT".to_owned(), "/pets/{id}".to_owned())));
        let told = contract.answers("PUT", "/pets/all", &Answer::new(405, JSON, "null"));
        assert_eq!(told, Ok(()), "`all` has no PUT, and nobody is called so");
    }

    #[test]
    #[should_panic(expected = "an example that its schema refuses")]
    fn an_example_is_one() {
        let wrong = r#"{"get": {"responses": {"200": {"content": {"application/json": {"schema": {"type": "string"}, "example": 7}}}}}}"#;
        drop(Contract::of(&DOCUMENT.replacen(
            r#""/pets/all": {"#,
            &format!(r#""/x": {wrong}, "/pets/all": {{"#),
            1,
        )));
    }

    #[test]
    #[should_panic(expected = "leads nowhere")]
    fn what_is_named_is_there() {
        drop(Contract::of(&DOCUMENT.replace("responses/Nothing", "responses/Nobody")));
    }
}
