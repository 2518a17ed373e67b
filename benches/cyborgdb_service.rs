//! Our CyborgDB wire beside the real `cyborgdb-service` 0.18.0 in its free tier: the same requests over the same wire
//! from the same client, in turn, each side in a process of its own with its own folder.
//!
//! Status requests a second over 64 connections; vectors a second that are upserted, as JSON and in the binary form of
//! the vendor's client; seconds to train 10,000 × 32 and 100,000 × 128 into as many lists; recall@10 beside an exact
//! search, as a query comes and with as many probes. Points around centres, and points that are spread evenly, from one
//! seed. Ours syncs each upsert to the disk before it answers. Time is time on the wall, and beside it time on a core
//! of the whole server.
//!
//! `cargo bench --bench cyborgdb_service -- [folder]`: the folder (default: `trainyard-cyborgdb-service` among the
//! temporary files) gets a Python environment with `cyborgdb-service` and `cyborgdb` from PyPI, unless it is there, and
//! the data of both sides. `--small` leaves 100,000 × 128 out; `--gate` ends with a failure when ours is behind.

use std::error::Error;
use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use trainyard_benches::http::{Client, message};
use trainyard_benches::load::{Ask, Clients, Helper, be_clients, role};
use trainyard_benches::table::Figure;
use trainyard_benches::{argument, environment, median, process_cpu_seconds};
use trainyard_core::Switch;
use trainyard_cyborgdb::Settings;
use trainyard_http::secret::Secret;
use trainyard_server::{Service, ServiceConfig};

const ROOT_KEY: &str = "a-root-key-of-a-bench";
const INDEX_KEY: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
const STATUS: &str = "/v1/indexes/training-status";
const CONNECTIONS: usize = 64;
const STATUS_ROUNDS: usize = 9;
const QUERIES: usize = 200;
const NEAREST: usize = 10;
/// So much less recall is chance: the lists begin with points drawn at random.
const RECALL_CHANCE: f64 = 0.005;

/// The two sides, theirs first.
const NAMES: [&str; 2] = ["cyborgdb-service", "trainyard"];

fn main() -> Result<(), Box<dyn Error>> {
    match role().as_deref() {
        Some(Clients::ROLE) => return be_clients(),
        Some(Ours::ROLE) => return be_ours(),
        Some(other) => return Err(format!("there is no role {other}").into()),
        None => {}
    }
    let folder = folder();
    let is_asked = |option: &str| std::env::args().any(|word| word == option);
    let theirs = Theirs::start(&folder)?;
    let ours = Ours::start()?;
    let sides = [
        Side { server: theirs.server, process: theirs.child.id() },
        Side { server: ours.server, process: ours.helper.process() },
    ];
    let mut table = Table::new();
    statuses(&sides, &mut table)?;
    for dimension in [32, 128] {
        upserts(&sides, dimension, &mut table)?;
    }
    for shape in [Shape::Clustered, Shape::Even] {
        trainings(&sides, shape, Size { points: 10_000, dimension: 32, lists: 128, rounds: 3 }, &mut table)?;
    }
    if !is_asked("--small") {
        for shape in [Shape::Clustered, Shape::Even] {
            let size = Size { points: 100_000, dimension: 128, lists: 256, rounds: 1 };
            trainings(&sides, shape, size, &mut table)?;
        }
    }
    if table.is_behind && is_asked("--gate") { Err("ours is behind".into()) } else { Ok(()) }
}

fn folder() -> PathBuf {
    argument().map_or_else(|| std::env::temp_dir().join("trainyard-cyborgdb-service"), PathBuf::from)
}

/// The rows, which are printed as they come.
struct Table {
    is_behind: bool,
}

impl Table {
    fn new() -> Self {
        println!("{:<58} {:>16} {:>12} {:>8}", "", NAMES[0], NAMES[1], "ours is");
        Self { is_behind: false }
    }

    /// More is better.
    fn more(&mut self, figure: &str, [theirs, ours]: [f64; 2]) {
        self.row(figure, [theirs, ours], &format!("{:.1} x", ours / theirs), ours >= theirs);
    }

    /// Less is better.
    fn less(&mut self, figure: &str, [theirs, ours]: [f64; 2]) {
        self.row(figure, [theirs, ours], &format!("{:.1} x", theirs / ours), ours <= theirs);
    }

    fn recall(&mut self, figure: &str, [theirs, ours]: [f64; 2]) {
        self.row(figure, [theirs, ours], &format!("{:+.3}", ours - theirs), ours >= theirs - RECALL_CHANCE);
    }

    /// What is worth knowing, and no contest.
    fn note(figure: &str, [theirs, ours]: [f64; 2]) {
        println!("{:<58} {:>16} {:>12}", format!("  {figure}"), shown(theirs), shown(ours));
    }

    fn row(&mut self, figure: &str, [theirs, ours]: [f64; 2], beside: &str, is_ahead: bool) {
        let word = if is_ahead { "" } else { "  behind" };
        println!("{figure:<58} {:>16} {:>12} {beside:>8}{word}", shown(theirs), shown(ours));
        self.is_behind |= !is_ahead;
        let target = format!("theirs: {}", shown(theirs));
        Figure::judged(figure, &shown(ours), &target, Some(is_ahead)).tell();
    }
}

fn shown(figure: f64) -> String {
    if figure >= 100.0 { format!("{figure:.0}") } else { format!("{figure:.3}") }
}

/// One of the two, to be asked.
#[derive(Clone, Copy)]
struct Side {
    server: SocketAddr,
    process: u32,
}

impl Side {
    fn client(&self) -> Result<Client, Box<dyn Error>> {
        Ok(Client::connect(self.server)?.with_header(&format!("x-api-key: {ROOT_KEY}")))
    }

    fn cpu_seconds(&self) -> Result<f64, Box<dyn Error>> {
        process_cpu_seconds(self.process)
    }
}

fn post(client: &mut Client, path: &str, body: &str) -> Result<Value, Box<dyn Error>> {
    let answer = client.post(path, body)?;
    match client.head() {
        (200, _) => Ok(serde_json::from_slice(&answer)?),
        (code, _) => Err(format!("{path}: {code} {}", String::from_utf8_lossy(&answer)).into()),
    }
}

fn statuses(sides: &[Side; 2], table: &mut Table) -> Result<(), Box<dyn Error>> {
    let mut clients = Clients::start()?;
    let headers = format!("x-api-key: {ROOT_KEY}\r\n");
    let messages = [message("GET", STATUS, &headers, "application/json", b"")];
    let mut rates = [Vec::new(), Vec::new()];
    let mut cores = [Vec::new(), Vec::new()];
    for _ in 0..STATUS_ROUNDS {
        for (number, requests) in [40, 400].into_iter().enumerate() {
            let side = sides[number];
            clients.prepare(&Ask {
                server: side.server,
                connections: CONNECTIONS,
                requests,
                messages: &messages,
            })?;
            let before = side.cpu_seconds()?;
            let took = clients.run()?.as_secs_f64();
            #[expect(clippy::cast_precision_loss, reason = "a figure to read")]
            let asked = (CONNECTIONS * requests) as f64;
            rates[number].push(asked / took);
            cores[number].push((side.cpu_seconds()? - before) / asked * 1e6);
        }
    }
    table.more(
        &format!("status requests/s, {CONNECTIONS} connections"),
        rates.map(|mut each| median(&mut each)),
    );
    Table::note("microseconds on a core each", cores.map(|mut each| median(&mut each)));
    Ok(())
}

/// How vectors go over the wire.
#[derive(Clone, Copy)]
enum Form {
    Json,
    Binary,
}

fn upserts(sides: &[Side; 2], dimension: usize, table: &mut Table) -> Result<(), Box<dyn Error>> {
    let points = Shape::Clustered.points(90_000, dimension);
    for (form, together) in [(Form::Json, 1_000), (Form::Binary, 1_000), (Form::Binary, 10_000)] {
        let name = format!("upserts-{dimension}-{together}-{}", word(form));
        let points = &points[..dimension * (9 * together).max(30_000)];
        let Filled { rates, cores } = fill(sides, &name, points, dimension, form, together)?;
        let figure = format!("upserted vectors/s, {dimension} numbers, {}, {together} a request", word(form));
        table.more(&figure, rates);
        Table::note("microseconds on a core each", cores);
    }
    Ok(())
}

const fn word(form: Form) -> &'static str {
    match form {
        Form::Json => "JSON",
        Form::Binary => "binary",
    }
}

struct Filled {
    /// Vectors a second in the request of middling length.
    rates: [f64; 2],
    /// Microseconds on a core for a vector.
    cores: [f64; 2],
}

/// Makes an index on both sides and puts the points in, request by request in turn.
fn fill(
    sides: &[Side; 2],
    name: &str,
    points: &[f32],
    dimension: usize,
    form: Form,
    together: usize,
) -> Result<Filled, Box<dyn Error>> {
    let mut clients = [sides[0].client()?, sides[1].client()?];
    let made = json!({ "index_name": name, "index_key": INDEX_KEY, "dimension": dimension }).to_string();
    for client in &mut clients {
        post(client, "/v1/indexes/create", &made)?;
    }
    let mut seconds = [Vec::new(), Vec::new()];
    let cores_before = [sides[0].cpu_seconds()?, sides[1].cpu_seconds()?];
    for (batch, some) in points.chunks(together * dimension).enumerate() {
        let (path, body) = upsert(name, batch * together, some, dimension, form);
        for (client, seconds) in clients.iter_mut().zip(&mut seconds) {
            let begun = Instant::now();
            post(client, path, &body)?;
            seconds.push(begun.elapsed().as_secs_f64());
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "a figure to read")]
    let count = (points.len() / dimension) as f64;
    let mut cores = [0.0, 0.0];
    for ((core, side), before) in cores.iter_mut().zip(sides).zip(cores_before) {
        *core = (side.cpu_seconds()? - before) / count * 1e6;
    }
    #[expect(clippy::cast_precision_loss, reason = "a figure to read")]
    let rates = seconds.map(|mut each| together as f64 / median(&mut each));
    Ok(Filled { rates, cores })
}

/// A body as the vendor's client makes it.
fn upsert(name: &str, first: usize, points: &[f32], dimension: usize, form: Form) -> (&'static str, String) {
    let ids = (first..).map(|number| number.to_string());
    match form {
        Form::Json => {
            let items: Vec<Value> = points
                .chunks_exact(dimension)
                .zip(ids)
                .map(|(point, id)| json!({ "id": id, "vector": wide(point) }))
                .collect();
            let body = json!({ "index_name": name, "index_key": INDEX_KEY, "items": items });
            ("/v1/vectors/upsert", body.to_string())
        }
        Form::Binary => {
            let ids: Vec<String> = ids.take(points.len() / dimension).collect();
            let batch = json!({
                "ids": ids, "vectors_b64": base64_of(points), "dimension": dimension,
                "metadata": null, "contents": null,
            });
            let body = json!({ "index_name": name, "index_key": INDEX_KEY, "batch": batch });
            ("/v1/vectors/upsert_binary", body.to_string())
        }
    }
}

/// With the digits that Python writes.
fn wide(point: &[f32]) -> Vec<f64> {
    point.iter().map(|x| f64::from(*x)).collect()
}

fn base64_of(points: &[f32]) -> String {
    STANDARD.encode(points.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>())
}

struct Size {
    points: usize,
    dimension: usize,
    lists: u32,
    rounds: usize,
}

fn trainings(sides: &[Side; 2], shape: Shape, size: Size, table: &mut Table) -> Result<(), Box<dyn Error>> {
    let Size { points, dimension, lists, rounds } = size;
    let what = format!("{points} x {dimension} {}", shape.word());
    let all = shape.points(points + QUERIES, dimension);
    let (stored, queries) = all.split_at(points * dimension);
    let name = format!("trained-{points}-{}", shape.word());
    fill(sides, &name, stored, dimension, Form::Binary, 10_000)?;

    let body = json!({
        "index_name": name, "index_key": INDEX_KEY, "n_lists": lists, "batch_size": null, "max_iters": null,
        "tolerance": null, "max_memory": null,
    });
    let (mut seconds, mut cores) = ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()]);
    for _ in 0..rounds {
        for (number, side) in sides.iter().enumerate() {
            let before = side.cpu_seconds()?;
            let begun = Instant::now();
            let answer = post(&mut side.client()?, "/v1/indexes/train", &body.to_string())?;
            seconds[number].push(begun.elapsed().as_secs_f64());
            cores[number].push(side.cpu_seconds()? - before);
            if answer["status"] != "success" {
                return Err(format!("{} did not train: {answer}", NAMES[number]).into());
            }
        }
    }
    table.less(&format!("seconds to train {what} into {lists}"), seconds.map(|mut each| median(&mut each)));
    Table::note("seconds on a core", cores.map(|mut each| median(&mut each)));

    let nearest = exact(stored, queries, dimension);
    for probes in [None, Some(1), Some(8), Some(32)] {
        let mut recalls = [0.0, 0.0];
        let mut times = [0.0, 0.0];
        for (number, side) in sides.iter().enumerate() {
            let begun = Instant::now();
            recalls[number] = recall(*side, &name, queries, dimension, probes, &nearest)?;
            times[number] = begun.elapsed().as_secs_f64() * 1e3;
        }
        match probes {
            None => table.recall(&format!("recall@{NEAREST} of {what}, as it comes"), recalls),
            Some(probes) => Table::note(&format!("recall@{NEAREST} with {probes} probes"), recalls),
        }
        Table::note(&format!("milliseconds for {QUERIES} queries in one request"), times);
    }
    Ok(())
}

/// Which share of the nearest are found.
fn recall(
    side: Side,
    name: &str,
    queries: &[f32],
    dimension: usize,
    probes: Option<u32>,
    nearest: &[Vec<usize>],
) -> Result<f64, Box<dyn Error>> {
    let mut body = json!({
        "index_name": name, "index_key": INDEX_KEY, "top_k": NEAREST,
        "batch": { "vectors_b64": base64_of(queries), "dimension": dimension },
    });
    if let Some(probes) = probes {
        body["n_probes"] = json!(probes);
    }
    let answer = post(&mut side.client()?, "/v1/vectors/query_binary", &body.to_string())?;
    let rows = answer["results"].as_array().ok_or("no results")?;
    if rows.len() != nearest.len() {
        return Err(format!("{} rows for {} queries", rows.len(), nearest.len()).into());
    }
    let found = rows.iter().zip(nearest).map(|(row, nearest)| {
        let ids = row.as_array().into_iter().flatten().filter_map(|hit| hit["id"].as_str()?.parse().ok());
        ids.filter(|id| nearest.contains(id)).count()
    });
    #[expect(clippy::cast_precision_loss, reason = "a figure to read")]
    Ok(found.sum::<usize>() as f64 / (nearest.len() * NEAREST) as f64)
}

/// The nearest of each query, by looking at all.
fn exact(stored: &[f32], queries: &[f32], dimension: usize) -> Vec<Vec<usize>> {
    let square = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| (x - y) * (x - y)).sum::<f32>();
    let near = |query: &[f32]| {
        let mut all: Vec<(f32, usize)> =
            stored.chunks_exact(dimension).map(|point| square(point, query)).zip(0..).collect();
        all.select_nth_unstable_by(NEAREST - 1, |a, b| a.0.total_cmp(&b.0));
        all[..NEAREST].iter().map(|(_, id)| *id).collect()
    };
    queries.chunks_exact(dimension).map(near).collect()
}

/// How points lie.
#[derive(Clone, Copy)]
enum Shape {
    /// Around 500 centres, with noise of half their width.
    Clustered,
    /// Anywhere in a cube.
    Even,
}

impl Shape {
    const fn word(self) -> &'static str {
        match self {
            Self::Clustered => "clustered",
            Self::Even => "even",
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "the number of a centre is small")]
    fn points(self, points: usize, dimension: usize) -> Vec<f32> {
        const CENTRES: usize = 500;
        let mut state = 1_u64;
        match self {
            Self::Clustered => {
                let centres: Vec<f32> = (0..CENTRES * dimension).map(|_| normal(&mut state)).collect();
                let mut all = Vec::with_capacity(points * dimension);
                for _ in 0..points {
                    let centre = (next(&mut state) % CENTRES as u64) as usize;
                    let centre = &centres[centre * dimension..][..dimension];
                    all.extend(centre.iter().map(|x| x + 0.5 * normal(&mut state)));
                }
                all
            }
            Self::Even => (0..points * dimension).map(|_| unit(&mut state) as f32).collect(),
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the nearest f32 is what is wanted")]
fn normal(state: &mut u64) -> f32 {
    let (radius, angle) = ((-2.0 * unit(state).ln()).sqrt(), std::f64::consts::TAU * unit(state));
    (radius * angle.cos()) as f32
}

#[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
fn unit(state: &mut u64) -> f64 {
    ((next(state) >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
}

/// splitmix64
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The vendor's service, without a licence.
struct Theirs {
    server: SocketAddr,
    child: Child,
}

impl Theirs {
    fn start(folder: &Path) -> Result<Self, Box<dyn Error>> {
        let python = environment(folder, &["cyborgdb-service==0.18.0", "cyborgdb==0.18.0"])?;
        let data = emptied(&folder.join("theirs"))?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let log = File::create(folder.join("theirs.log"))?;
        let child = Command::new(python.with_file_name("cyborgdb-service"))
            .current_dir(&data)
            .env("PORT", port.to_string())
            .env("CYBORGDB_SERVICE_ROOT_KEY", ROOT_KEY)
            .env("CYBORGDB_DISK_PATH", data.join("data"))
            .env("CYBORGDB_SERVICE_LOG_LEVEL", "WARNING")
            .env("AUTO_TRAIN_DISABLED", "true")
            .env_remove("CYBORGDB_API_KEY")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        let mut theirs = Self { server: SocketAddr::from(([127, 0, 0, 1], port)), child };
        let begun = Instant::now();
        while Client::connect(theirs.server).and_then(|mut client| client.get("/v1/health")).is_err() {
            if theirs.child.try_wait()?.is_some() || begun.elapsed() > Duration::from_secs(120) {
                return Err(format!("it did not start; see theirs.log in {}", folder.display()).into());
            }
            thread::sleep(Duration::from_millis(200));
        }
        Ok(theirs)
    }
}

impl Drop for Theirs {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Ours {
    server: SocketAddr,
    helper: Helper,
}

impl Ours {
    const ROLE: &'static str = "ours";

    fn start() -> Result<Self, Box<dyn Error>> {
        let mut helper = Helper::start(Self::ROLE)?;
        let server = helper.hear()?.as_str().ok_or("a helper said no address")?.parse()?;
        Ok(Self { server, helper })
    }
}

/// The process of ours: a whole service, as it comes, but that it trains only when it is told to.
fn be_ours() -> Result<(), Box<dyn Error>> {
    let data = emptied(&folder().join("ours"))?;
    let settings = Settings::new().with_root_key(Secret::new(ROOT_KEY)?).with_auto_train(Switch::Off);
    let config = ServiceConfig::new(data).with_listen("127.0.0.1:0".parse()?).with_cyborgdb(settings);
    let (service, _) = Service::open(config)?;
    println!("{}", json!(service.local_addr().to_string()));
    std::io::stdin().lines().for_each(drop);
    service.shutdown(Duration::from_secs(5));
    Ok(())
}

fn emptied(folder: &Path) -> Result<PathBuf, Box<dyn Error>> {
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    fs::create_dir_all(folder)?;
    Ok(folder.to_owned())
}
