//! A service's own trainer stands behind HeyGen's wire: here one that only averages the photos of a group.
//!
//! `cargo run --example replace_the_trainer` drives it as clients do: upload, create, train, and ask until it is ready. A
//! trainer may as well hand the photos to a cluster, and report how far that has come.

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use trainyard::{Context, JobToTrain, Progress, TrainError, Trained, Trainer};
use trainyard_examples::Scratch;
use trainyard_heygen::{GroupId, Settings};
use trainyard_http::secret::Secret;
use trainyard_portrait::made::Person;
use trainyard_portrait::{Limits, Photo, Rendered, Side};
use trainyard_server::{GroupPhotos, Service, ServiceConfig};

/// Knows where the photos of a group lie; the rest of a trainer is its own.
struct Average(GroupPhotos);

impl Trainer for Average {
    fn train(&self, cx: &mut Context, job: &JobToTrain) -> Result<Trained, TrainError> {
        let Self(photos) = self;
        let photos = photos.of(job)?;
        let count = photos.len() as u64;
        let mut sums: Vec<u64> = Vec::new();
        for (step, photo) in (1..).zip(&photos) {
            // What a failure says is told to whoever asked for the training.
            let unfit = |error| TrainError::failed(format!("look {:?}: {error}", photo.name));
            let small = Photo::open(&photo.path, Side::USUAL, &Limits::default()).map_err(unfit)?.rendered();
            sums.resize(small.pixels().len(), 0);
            sums.iter_mut().zip(small.pixels()).for_each(|(sum, byte)| *sum += u64::from(*byte));
            cx.report(Progress::step(step, count))?; // ends here when it is to stop
        }
        let side = u32::from(Side::USUAL.get());
        let bytes = sums.iter().filter_map(|sum| u8::try_from(sum / count).ok()).collect();
        let average =
            Rendered::new(side, side, bytes).ok_or_else(|| TrainError::failed("there is no picture"))?;
        std::fs::write(cx.dir()?.join("average.png"), average.to_png())?;
        cx.measure("photos", photos.len() as f64)?;
        cx.trained("average.png")
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let folder = Scratch::new("replace-the-trainer")?;
    let config = ServiceConfig::new(folder.path())
        .with_listen("127.0.0.1:0".parse()?)
        .with_heygen(Settings::new().with_key(Secret::new("k3y")?))
        .with_heygen_trainer(|photos| Arc::new(Average(photos)));
    let (service, _) = Service::open(config)?;
    let client = Client { agent: ureq::agent(), url: service.url().to_owned() };

    let person = Person::new(7);
    let keys = (0..3).map(|number| client.upload(&person.photo(number, 96).to_png()));
    let keys = keys.collect::<Result<Vec<_>, _>>()?;
    let group = json!({ "name": "Ada", "image_key": keys[0] });
    let group = client.post("/v2/photo_avatar/avatar_group/create", &group)?["group_id"].clone();
    let looks = json!({ "group_id": group, "image_keys": keys[1..], "name": "more" });
    client.post("/v2/photo_avatar/avatar_group/add", &looks)?;
    let group = group.as_str().ok_or("an id")?;
    client.until(&format!("/v2/avatar_group/{group}/avatars"), |data| {
        let looks = data["avatar_list"].as_array();
        looks.is_some_and(|looks| looks.iter().all(|look| look["status"] == "completed"))
    })?;
    client.post("/v2/photo_avatar/train", &json!({ "group_id": group }))?;
    let path = format!("/v2/photo_avatar/train/status/{group}");
    let status = client.until(&path, |status| status["status"] != "pending")?;
    println!("{status}");
    assert_eq!(status["status"], "ready");

    let subject = GroupId::new(group.parse()?).subject();
    let model = service.yard().active_model(&(&subject).into()).ok_or("it was trained")?;
    let bytes = std::fs::read(service.yard().artifact_path(&model)?)?;
    println!("the model is a picture of {} bytes, {:?}", bytes.len(), model.metrics);
    assert!(bytes.starts_with(b"\x89PNG"));
    service.shutdown(Duration::from_secs(5));
    Ok(())
}

struct Client {
    agent: ureq::Agent,
    url: String,
}

impl Client {
    fn upload(&self, photo: &[u8]) -> Result<Value, Box<dyn Error>> {
        let request = self.agent.post(format!("{}/v1/asset", self.url)).header("x-api-key", "k3y");
        let answer: Value = request.content_type("image/png").send(photo)?.body_mut().read_json()?;
        Ok(answer["data"]["image_key"].clone())
    }

    fn post(&self, path: &str, body: &Value) -> Result<Value, Box<dyn Error>> {
        let request = self.agent.post(format!("{}{path}", self.url)).header("x-api-key", "k3y");
        let answer: Value = request.send_json(body)?.body_mut().read_json()?;
        Ok(answer["data"].clone())
    }

    /// Asks until it is so, as clients of this wire do.
    fn until(&self, path: &str, is_so: impl Fn(&Value) -> bool) -> Result<Value, Box<dyn Error>> {
        let end = Instant::now() + Duration::from_secs(300);
        while Instant::now() < end {
            let request = self.agent.get(format!("{}{path}", self.url)).header("x-api-key", "k3y");
            let answer: Value = request.call()?.body_mut().read_json()?;
            if is_so(&answer["data"]) {
                return Ok(answer["data"].clone());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Err(format!("{path} takes too long").into())
    }
}
