//! A service with something in all of its four parts, for a client that knows them by their documents alone.

use std::net::SocketAddr;
use std::sync::Arc;

use serde_json::{Value, json};
use tempfile::TempDir;
use trainyard_core::Label;
use trainyard_cyborgdb::Rule;
use trainyard_eliza::{Backend, OllamaUrl};
use trainyard_http::secret::Secret;
use trainyard_runtime::Trainer;
use trainyard_server::{Contestants, GroupPhotos, Service, ServiceConfig, ValidateCommand};

use super::eliza::{Agent, FakeOllama, Program, trajectory};
use super::heygen::{Gated, Studio, photo};
use super::mathfi::{Caller, easy, text, without_class};
use super::steady::{Gate, Steady};
use super::{Client, INDEX_KEY, LONG, named, until, until_told};

const ROOT_KEY: &str = "a-root-key";
const USER: &str = "ann@example.com";
const PASSWORD: &str = "s3cret";
const HEYGEN_KEY: &str = "k3y";
const ELIZA_TOKEN: &str = "t0ken";

/// How many things there are that may be deleted.
const DOOMED: usize = 8;

/// Everything is configured, so that nothing is answered with "not here". What trains learns little, and quickly.
pub(crate) struct Seeded {
    pub(crate) service: Service,
    ollama: FakeOllama,
    folder: TempDir,
}

impl Seeded {
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let secret = |text| Secret::new(text).expect("it is not empty");
        let ollama = FakeOllama::start();
        let url = OllamaUrl::parse(&ollama.url).expect("it is on loopback");
        let program = Program::new(folder.path());
        let gate = Arc::new(Gate::default());
        gate.open();
        let (gated, shut) = (Arc::clone(&gate), Arc::default());
        let figures = r#"echo '{"coherence":0.75,"consistency":0.5,"helpfulness":1}'"#;
        let config = ServiceConfig::new(folder.path().join("data"))
            .with_listen(SocketAddr::from(([127, 0, 0, 1], 0)))
            .with_cyborgdb(
                trainyard_cyborgdb::Settings::new()
                    .with_root_key(secret(ROOT_KEY))
                    .with_min_vectors(100)
                    .with_rule(Rule::Documented { threshold: 10_000, first: 100 }),
            )
            .with_mathfi_user(USER, secret(PASSWORD))
            .with_mathfi_contestants(contestants(&gate, &shut))
            .with_mathfi_running_max(3)
            .with_heygen(trainyard_heygen::Settings::new().with_key(secret(HEYGEN_KEY)))
            .with_heygen_trainer(move |photos: GroupPhotos| -> Arc<dyn Trainer> {
                Arc::new(Gated { gate: Arc::clone(&gated), photos })
            })
            .with_eliza(trainyard_eliza::Settings::new().with_token(secret(ELIZA_TOKEN)).with_ollama(url))
            .with_eliza_benchmark(ValidateCommand::new("sh", ["-c", figures]));
        let config = Backend::ALL
            .into_iter()
            .fold(config, |config, backend| config.with_eliza_command(backend, program.command()));
        let (service, _) = Service::open(config).expect("it opens");
        Self { service, ollama, folder }
    }

    /// What a client has to know besides the document: what to show, and by which names things are known.
    pub(crate) fn known(&self, wire: &str) -> Value {
        match wire {
            "cyborgdb" => self.cyborgdb(),
            "mathfi" => self.mathfi(),
            "heygen" => self.heygen(),
            "eliza" => self.eliza(),
            _ => panic!("there is no {wire}"),
        }
    }

    pub(crate) fn close(self) {
        self.service.shutdown(LONG);
        drop(self.folder);
    }

    fn cyborgdb(&self) -> Value {
        let client = Client::new(self.service.url()).with_root_key(ROOT_KEY);
        let doomed: Vec<String> = (0..DOOMED).map(|number| format!("doomed {number}")).collect();
        for name in ["trained", "small", "empty"].into_iter().chain(doomed.iter().map(String::as_str)) {
            client.create(name);
        }
        let fill = |name: &str, count: usize| {
            let item = |n: usize| {
                let vector = [n % 7, n % 11, n % 13, 1];
                json!({ "id": n.to_string(), "vector": vector, "metadata": { "even": n.is_multiple_of(2) } })
            };
            let mut body = named(name);
            body["items"] = (0..count).map(item).collect();
            client.done("/v1/vectors/upsert", &body);
        };
        fill("small", 20);
        fill("trained", 200);
        client.until_trained("trained");
        json!({
            "document": "/v1/openapi.json",
            "headers": { "X-API-Key": ROOT_KEY },
            "indexes": ["trained", "small", "empty"],
            "doomed": doomed,
            "key": INDEX_KEY,
            "dimension": 4,
        })
    }

    fn mathfi(&self) -> Value {
        let caller = Caller::log_in(self.service.url(), USER, PASSWORD);
        let csv = easy(120);
        let ready = caller.ready("ready", &csv);
        let failed = caller.upload("failed", "not,a\nuseful,file\n");
        let slow = caller.ready("slow", &three_classes(120));
        let doomed: Vec<String> = (0..DOOMED).map(|_| caller.train(&slow, 1.0)).collect();
        let pending: Vec<_> =
            (0..2 * DOOMED).map(|number| caller.create(&format!("pending {number}"))).collect();
        let training = caller.train(&ready, 0.5);
        let won = || caller.training(&training)["status"] == "COMPLETED";
        until_told(self.service.yard(), "somebody has won", won);
        let model = text(&caller.training(&training)["modelKey"]);
        let prediction = caller.predict(&model, &without_class(&csv));
        caller.result(&prediction);
        let broken = caller.predict(&model, "id,other\n1,2\n");
        until("it has failed", || caller.prediction(&broken)["status"] == "FAILED");
        let result = text(&caller.prediction(&prediction)["predictionUrl"]);
        let token = |url: &str| url.split_once("token=").expect("it is signed").1.to_owned();
        let (for_api, for_urls) = pending.split_at(DOOMED);
        let keys: Vec<&String> = for_api.iter().map(|created| &created.key).collect();
        let uploads = for_urls.iter().map(|created| json!([created.key, token(&created.upload_url)]));
        json!({
            "document": "/api/v1/openapi.json",
            "headers": { "Authorization": format!("Bearer {}", caller.token()) },
            "datasets": [ready, failed],
            "pending": keys,
            "doomed": doomed,
            "trainings": [training],
            "models": [model],
            "predictions": [prediction, broken],
            "uploads": uploads.collect::<Vec<_>>(),
            "results": [[prediction, token(&result)]],
            "login": { "username": USER, "password": PASSWORD },
            "csv": easy(12),
        })
    }

    fn heygen(&self) -> Value {
        let studio = Studio::new(self.service.url(), HEYGEN_KEY);
        let groups: Vec<String> =
            (0..DOOMED).map(|number| studio.create(&format!("group {number}"), &photo("Ada", 0))).collect();
        let are_completed = || groups.iter().all(|group| studio.are_completed(group));
        until_told(self.service.yard(), "they are completed", are_completed);
        studio.train(&groups[0]).data();
        let is_ready = || studio.status(&groups[0])["status"] == "ready";
        until_told(self.service.yard(), "it is trained", is_ready);
        let keys: Vec<String> = (1..4).map(|number| studio.image_key(&photo("Bea", number))).collect();
        let look = studio.look(&groups[0]);
        let link = text(&look["image_url"]);
        let (path, token) = link.split_once("?token=").expect("it is signed");
        let file = path.trim_end_matches("/original").rsplit('/').next().expect("an id");
        json!({
            "document": "/v2/openapi.json",
            "headers": { "X-Api-Key": HEYGEN_KEY },
            "groups": groups[..2],
            "doomed": groups[2..],
            "image_keys": keys,
            "files": [[file, token]],
            "photo": photo("Cleo", 0),
        })
    }

    fn eliza(&self) -> Value {
        let agent = Agent::new(self.service.url()).with_token(ELIZA_TOKEN);
        let some: Vec<Value> = (0..6).map(|n| trajectory(&format!("t-{n}"), "completed")).collect();
        agent.send(&some);
        let dataset = text(&agent.build()["id"]);
        let job = agent.start(&json!({ "datasetId": dataset, "backend": "cuda", "iterations": 3 }));
        until_told(self.service.yard(), "it is trained", || agent.is(&job, "completed"));
        let model = text(&agent.job(&job)["modelId"]);
        let run = agent.done("auto/trigger", &json!({ "task": "should_respond" }));
        json!({
            "document": "/api/training/openapi.json",
            "headers": { "Authorization": format!("Bearer {ELIZA_TOKEN}") },
            "trajectories": ["t-0", "t-5"],
            "datasets": [dataset],
            "jobs": [job],
            "models": [model],
            "runs": [text(&run["runId"])],
            "ollama": self.ollama.url,
        })
    }
}

/// All of the vendor's codes: for two classes none of them takes long, for more they wait until they are cancelled.
fn contestants(open: &Arc<Gate>, shut: &Arc<Gate>) -> Contestants {
    let codes = ["SEV01", "FIF01", "SIX01", "SEV02"];
    let codes = codes.iter().flat_map(|code| {
        [("B", "quick", open), ("M", "patient", shut)]
            .map(|(sort, name, gate)| (format!("{sort}{code}"), name, gate))
    });
    codes.fold(Contestants::standard(), |contestants, (code, name, gate)| {
        let label = Label::new(code).expect("a short word is a label");
        contestants.with(label, name, Steady(Arc::clone(gate)))
    })
}

fn three_classes(rows: usize) -> String {
    let row = |row: usize| format!("r{row},{},{}\n", row * 37 % 101, ["red", "green", "blue"][row % 3]);
    format!("id,a,class\n{}", (0..rows).map(row).collect::<String>())
}
