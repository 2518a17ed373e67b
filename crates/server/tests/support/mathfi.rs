//! A client of MathFi's wire.

use std::io::Read;

use serde_json::{Value, json};

use super::{LONG, until};

/// Somebody who has logged in.
#[derive(Clone)]
pub(crate) struct Caller {
    agent: ureq::Agent,
    url: String,
    token: String,
}

/// A dataset that was created.
pub(crate) struct Created {
    pub(crate) key: String,
    pub(crate) upload_url: String,
    pub(crate) header: (String, String),
}

/// What was answered.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

impl Caller {
    /// Nobody yet.
    pub(crate) fn stranger(url: &str) -> Self {
        let config = ureq::Agent::config_builder().http_status_as_error(false);
        let config = config.timeout_global(Some(LONG)).proxy(None);
        Self { agent: config.build().into(), url: url.to_owned(), token: "none".to_owned() }
    }

    pub(crate) fn log_in(url: &str, name: &str, password: &str) -> Self {
        let stranger = Self::stranger(url);
        let answer = stranger.try_log_in(name, password);
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!((&answer.body["token_type"], &answer.body["username"]), (&json!("Bearer"), &json!(name)));
        assert_eq!(answer.body["expires_in"], 3_600);
        let token = answer.body["access_token"].as_str().expect("a token").to_owned();
        Self { token, ..stranger }
    }

    /// What they show.
    pub(crate) fn token(&self) -> &str {
        &self.token
    }

    /// The same with the service that is at this URL now.
    pub(crate) fn at(&self, url: &str) -> Self {
        Self { url: url.to_owned(), ..self.clone() }
    }

    pub(crate) fn try_log_in(&self, name: &str, password: &str) -> Answered {
        self.post("/api/login", &json!({ "username": name, "password": password }))
    }

    pub(crate) fn get(&self, path: &str) -> Answered {
        let request =
            self.agent.get(self.full(path)).header("Authorization", format!("Bearer {}", self.token));
        read(request.call().expect("an answer"))
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Answered {
        let request =
            self.agent.post(self.full(path)).header("Authorization", format!("Bearer {}", self.token));
        read(request.send_json(body).expect("an answer"))
    }

    /// As a form with a part `file`.
    pub(crate) fn send(&self, path: &str, csv: impl AsRef<[u8]>) -> Answered {
        let head = "--xX\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.csv\"\r\n\
             Content-Type: text/csv\r\n\r\n";
        let body = [head.as_bytes(), csv.as_ref(), b"\r\n--xX--\r\n"].concat();
        let request =
            self.agent.post(self.full(path)).header("Authorization", format!("Bearer {}", self.token));
        let request = request.header("Content-Type", "multipart/form-data; boundary=xX");
        read(request.send(&body[..]).expect("an answer"))
    }

    /// To a signed URL, without a token.
    pub(crate) fn put(&self, created: &Created, bytes: u64, csv: impl Read + Send + 'static) -> Answered {
        let (name, value) = &created.header;
        let request = self.agent.put(&created.upload_url).header(name, value);
        let request = request.header("Content-Length", bytes.to_string());
        read(request.send(ureq::SendBody::from_owned_reader(csv)).expect("an answer"))
    }

    pub(crate) fn cancel(&self, training: &str) -> Answered {
        let path = format!("/api/v1/training/{training}/cancel");
        let request =
            self.agent.patch(self.full(&path)).header("Authorization", format!("Bearer {}", self.token));
        read(request.send_empty().expect("an answer"))
    }

    /// What a signed URL leads to, without a token.
    pub(crate) fn download(&self, url: &str) -> (u16, String) {
        let mut answer = self.agent.get(url).call().expect("an answer");
        (
            answer.status().as_u16(),
            answer.body_mut().with_config().limit(1 << 30).read_to_string().expect("a text"),
        )
    }

    /// An empty dataset.
    pub(crate) fn create(&self, name: &str) -> Created {
        let answer = self.post("/api/v1/datasets", &json!({ "datasetName": name }));
        assert_eq!((answer.status, &answer.body["status"]), (201, &json!("PENDING")), "{answer:?}");
        let info = &answer.body["datasetUploadInfo"];
        let header = info["extraHeaders"].as_str().expect("one header").split_once(':').expect("a colon");
        Created {
            key: text(&answer.body["datasetKey"]),
            upload_url: text(&info["uploadUrl"]),
            header: (header.0.to_owned(), header.1.to_owned()),
        }
    }

    /// A dataset with its data on the way.
    pub(crate) fn upload(&self, name: &str, csv: impl AsRef<[u8]>) -> String {
        let created = self.create(name);
        let answer = self.send(&format!("/api/v1/datasets/{}/data", created.key), csv);
        assert!(matches!(answer.status, 200 | 202), "{answer:?}");
        created.key
    }

    pub(crate) fn dataset(&self, key: &str) -> String {
        let answer = self.get(&format!("/api/v1/datasets/{key}"));
        assert_eq!(answer.status, 200, "{answer:?}");
        text(&answer.body["status"])
    }

    /// A dataset that is ready, by asking.
    pub(crate) fn ready(&self, name: &str, csv: &str) -> String {
        let key = self.upload(name, csv);
        until(&format!("{name} is ready"), || self.is_ready(&key));
        key
    }

    /// Whether it is, and has not failed.
    pub(crate) fn is_ready(&self, key: &str) -> bool {
        match self.dataset(key).as_str() {
            "PROCESSING" => false,
            status => {
                assert_eq!(status, "COMPLETED", "{}", self.get(&format!("/api/v1/datasets/{key}")).body);
                true
            }
        }
    }

    pub(crate) fn train(&self, dataset: &str, target: f64) -> String {
        let body = json!({ "scalingFactor": 19, "performanceThreshold": target });
        let answer = self.post(&format!("/api/v1/training/datasets/{dataset}"), &body);
        assert_eq!(answer.status, 201, "{answer:?}");
        text(&answer.body["trainingJobKey"])
    }

    pub(crate) fn training(&self, key: &str) -> Value {
        let answer = self.get(&format!("/api/v1/training/{key}"));
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.body
    }

    pub(crate) fn progress(&self, key: &str) -> Value {
        let answer = self.get(&format!("/api/v1/training/{key}/progress"));
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.body
    }

    /// What one algorithm has shown last.
    pub(crate) fn latest(&self, key: &str, algorithm: &str) -> Option<f64> {
        let progress = self.progress(key);
        let mut jobs = progress["jobs"].as_array().expect("a list").iter();
        jobs.find(|job| job["algorithm"] == algorithm).expect("it competes")["latestPerformance"].as_f64()
    }

    pub(crate) fn predict(&self, model: &str, csv: &str) -> String {
        let answer = self.send(&format!("/api/v1/predictions/models/{model}"), csv);
        assert_eq!(answer.status, 201, "{answer:?}");
        text(&answer.body["predictionKey"])
    }

    pub(crate) fn prediction(&self, key: &str) -> Value {
        let answer = self.get(&format!("/api/v1/predictions/{key}"));
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.body
    }

    /// The result of a prediction that is made meanwhile, by asking.
    pub(crate) fn result(&self, key: &str) -> String {
        until("the prediction is made", || {
            !matches!(self.prediction(key)["status"].as_str(), Some("PENDING" | "RUNNING"))
        });
        let prediction = self.prediction(key);
        assert_eq!(prediction["status"], "COMPLETED", "{prediction}");
        let (status, csv) = self.download(prediction["predictionUrl"].as_str().expect("a URL"));
        assert_eq!(status, 200);
        csv
    }

    fn full(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }
}

fn read(mut answer: ureq::http::Response<ureq::Body>) -> Answered {
    let status = answer.status().as_u16();
    let body = answer.body_mut().read_json().expect("every answer is JSON");
    Answered { status, body }
}

pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("a text, and not {value}")).to_owned()
}

/// Checks a finished contest against the shape of the vendor's example; says who has won.
pub(crate) fn check_won(progress: &Value) -> String {
    assert_eq!(progress["status"], "COMPLETED", "{progress}");
    let jobs = progress["jobs"].as_array().expect("a list");
    let codes: Vec<_> = jobs.iter().map(|job| text(&job["algorithm"])).collect();
    assert_eq!(codes.iter().map(|code| &code[1..]).collect::<Vec<_>>(), ["SEV01", "FIF01", "SIX01", "SEV02"]);
    let mut keys: Vec<_> = jobs.iter().map(|job| text(&job["trainingJobKey"])).collect();
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), 4, "each has a key of its own");
    for job in jobs {
        let recent = job["recentPerformances"].as_array().expect("a list");
        assert!(recent.len() <= 5, "{job}");
        assert_eq!(recent.last().unwrap_or(&Value::Null), &job["latestPerformance"], "{job}");
        let status = text(&job["status"]);
        assert!(matches!(status.as_str(), "COMPLETED" | "NOT_COMPLETED"), "{job}");
    }
    let won: Vec<_> = jobs.iter().filter(|job| job["status"] == "COMPLETED").collect();
    assert_eq!(won.len(), 1, "one champion: {progress}");
    text(&won[0]["algorithm"])
}

/// Rows of two classes that are easily told apart: by the sum of two numbers, and a little by a text.
pub(crate) fn easy(rows: usize) -> String {
    let mut csv = "id,a,b,colour,class\n".to_owned();
    for row in 0..rows {
        let (a, b) = ((row * 37 % 101) as f64 / 101.0, (row * 53 % 97) as f64 / 97.0);
        let colour = ["red", "green", ""][row % 3];
        let class = if a + b > 1.0 { "yes" } else { "no" };
        csv.push_str(&format!("r{row},{a:.4},{b:.4},{colour},{class}\n"));
    }
    csv
}

/// The same without the class, as it is sent to be predicted for.
pub(crate) fn without_class(csv: &str) -> String {
    csv.lines().map(|line| format!("{}\n", line.rsplit_once(',').expect("a comma").0)).collect()
}

/// Rows of two classes between which there is nothing to learn.
pub(crate) fn noise(rows: usize) -> String {
    let mut csv = "id,a,b,class\n".to_owned();
    let mut state = 7_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state >> 40
    };
    for row in 0..rows {
        let class = if next() % 2 == 0 { "yes" } else { "no" };
        csv.push_str(&format!("r{row},{},{},{class}\n", next(), next()));
    }
    csv
}
