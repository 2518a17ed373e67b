//! Trajectories, datasets, and what is known of runs and models, in memory.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::Duration;

use serde_json::{Value, json};
use trainyard_core::{JobId, Model, ModelId, Score, Timestamp};
use trainyard_eliza::{
    AutoConfig, Backend, Benchmark, Build, Dataset, DatasetId, Host, HostError, Import, Imported, Ingested,
    LlmCall, ModelNotes, Page, ProviderAccess, Refused, RunNotes, Runtime, Scores, Shelf, Task, Trajectory,
    TrajectoryRow, TrajectoryStatus,
};

pub const DATASETS_MAX: usize = 20;

pub struct MemoryHost {
    state: Mutex<State>,
    /// Everything fails from now on.
    pub broken: AtomicBool,
    /// There is no room from now on.
    pub full: AtomicBool,
    /// Whoever asks for anything finds a bug.
    pub panics: AtomicBool,
    /// Whoever asks for the edition of notes is told none.
    pub uncounted: AtomicBool,
    notes: AtomicU64,
    /// Whoever imports or measures has to wait.
    pub workshop: Workshop,
    /// Whoever brings trajectories has to wait.
    pub gate: Workshop,
    /// Where datasets are built.
    pub site: Workshop,
}

/// Where somebody may be held up.
#[derive(Default)]
pub struct Workshop {
    /// How many are at it, how many have ever been, and whether they are held up.
    state: Mutex<(usize, usize, bool)>,
    changed: Condvar,
}

impl Workshop {
    fn pass(&self) {
        let mut state = self.state.lock().unwrap();
        state.0 += 1;
        state.1 += 1;
        self.changed.notify_all();
        state = self.changed.wait_while(state, |(_, _, held)| *held).unwrap();
        state.0 -= 1;
        self.changed.notify_all();
    }

    pub fn hold(&self, held: bool) {
        self.state.lock().unwrap().2 = held;
        self.changed.notify_all();
    }

    /// Blocks the test until so many are at it together.
    pub fn wait_for(&self, so_many: usize) {
        let state = self.state.lock().unwrap();
        let patience = Duration::from_secs(60);
        let waited = self.changed.wait_timeout_while(state, patience, |(at_it, ..)| *at_it != so_many);
        assert!(!waited.unwrap().1.timed_out(), "nobody came");
    }

    pub fn visits(&self) -> usize {
        self.state.lock().unwrap().1
    }
}

struct State {
    runtime: Runtime,
    backends: Vec<Backend>,
    /// Oldest first.
    trajectories: Vec<Trajectory>,
    totals: BTreeMap<Task, u64>,
    auto: AutoConfig,
    /// Oldest first.
    datasets: Vec<Dataset>,
    notes: BTreeMap<JobId, RunNotes>,
    models: BTreeMap<ModelId, ModelNotes>,
    builds: Vec<Build>,
    imports: Vec<Import>,
    import_error: Option<&'static str>,
    is_passed: bool,
    asked: Vec<&'static str>,
    lines_wanted: Vec<usize>,
}

impl Default for MemoryHost {
    fn default() -> Self {
        let state = State {
            runtime: Runtime::Attached,
            backends: Backend::ALL.to_vec(),
            trajectories: Vec::new(),
            totals: BTreeMap::new(),
            auto: AutoConfig::default(),
            datasets: Vec::new(),
            notes: BTreeMap::new(),
            models: BTreeMap::new(),
            builds: Vec::new(),
            imports: Vec::new(),
            import_error: None,
            is_passed: true,
            asked: Vec::new(),
            lines_wanted: Vec::new(),
        };
        Self {
            state: Mutex::new(state),
            broken: AtomicBool::default(),
            full: AtomicBool::default(),
            panics: AtomicBool::default(),
            uncounted: AtomicBool::default(),
            notes: AtomicU64::default(),
            workshop: Workshop::default(),
            gate: Workshop::default(),
            site: Workshop::default(),
        }
    }
}

impl MemoryHost {
    pub fn detach(&self, runtime: Runtime) {
        self.state().runtime = runtime;
    }

    pub fn equip(&self, backends: &[Backend]) {
        self.state().backends = backends.to_vec();
    }

    pub fn note(&self, job: JobId, notes: RunNotes) {
        self.renoted().notes.insert(job, notes);
    }

    /// What is known of a model.
    pub fn know(&self, model: ModelId, backend: Backend, adapter: Option<&str>) {
        let notes = ModelNotes {
            name: "eliza-1-2b-v1".to_owned(),
            backend,
            source_model: Some("eliza-1-2b".to_owned()),
            path: Some(PathBuf::from("/models/1")),
            adapter: adapter.map(PathBuf::from),
            imported: None,
            provider_model: None,
            benchmark: None,
        };
        self.renoted().models.insert(model, notes);
    }

    pub fn builds(&self) -> Vec<Build> {
        self.state().builds.clone()
    }

    pub fn imports(&self) -> Vec<Import> {
        self.state().imports.clone()
    }

    pub fn fail_imports(&self, words: Option<&'static str>) {
        self.state().import_error = words;
    }

    pub fn pass_benchmarks(&self, is_passed: bool) {
        self.state().is_passed = is_passed;
    }

    pub fn auto(&self) -> AutoConfig {
        self.state().auto.clone()
    }

    pub fn totals(&self) -> BTreeMap<Task, u64> {
        self.state().totals.clone()
    }

    /// What was asked since the last time.
    pub fn asked(&self) -> Vec<&'static str> {
        std::mem::take(&mut self.state().asked)
    }

    /// How many lines of a log were wanted each time, since the last time.
    pub fn lines_wanted(&self) -> Vec<usize> {
        std::mem::take(&mut self.state().lines_wanted)
    }

    /// Whoever has the state sees another edition of it.
    fn renoted(&self) -> MutexGuard<'_, State> {
        let state = self.state();
        self.notes.fetch_add(1, Ordering::SeqCst);
        state
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn open(&self, asked: &'static str) -> Result<MutexGuard<'_, State>, HostError> {
        assert!(!self.panics.load(Ordering::SeqCst), "a bug");
        if self.broken.load(Ordering::SeqCst) {
            return Err(HostError::new("a secret cause"));
        }
        let mut state = self.state();
        state.asked.push(asked);
        Ok(state)
    }
}

impl Host for MemoryHost {
    fn runtime(&self) -> Runtime {
        self.state().runtime
    }

    fn backends(&self) -> Vec<Backend> {
        self.state().backends.clone()
    }

    fn trajectories(&self, page: Page) -> Result<Shelf, HostError> {
        let state = self.open("trajectories")?;
        let rows = state.trajectories.iter().rev().map(|one| one.row.clone());
        let (offset, limit) = (usize::try_from(page.offset).unwrap(), usize::try_from(page.limit).unwrap());
        let total = u64::try_from(state.trajectories.len()).unwrap();
        Ok(Shelf { total, rows: rows.skip(offset).take(limit).collect() })
    }

    fn trajectory(&self, id: &str) -> Result<Option<Trajectory>, HostError> {
        Ok(self.open("trajectory")?.trajectories.iter().find(|one| one.row.id == id).cloned())
    }

    /// An object, or an array of such: `id`, `status`, `calls`, `tasks`.
    fn ingest(&self, json: &[u8], at: Timestamp) -> Result<Ingested, Refused> {
        self.gate.pass();
        let mut state = self.open("ingest")?;
        if self.full.load(Ordering::SeqCst) {
            return Err(Refused::Full);
        }
        let unfit = |words: &str| Refused::Unfit(words.to_owned());
        let sent: Value = serde_json::from_slice(json).map_err(|_| unfit("it is no JSON"))?;
        let sent = sent.as_array().cloned().unwrap_or_else(|| vec![sent]);
        if !sent.iter().all(|one| one["id"].is_string()) {
            return Err(unfit("a trajectory has no id"));
        }
        let task = |word: &Value| word.as_str().and_then(Task::new);
        if !sent
            .iter()
            .all(|one| one["tasks"].as_array().into_iter().flatten().all(|word| task(word).is_some()))
        {
            return Err(unfit("a task is none"));
        }
        let (mut rows, mut totals) = (Vec::new(), BTreeMap::new());
        for one in &sent {
            let id = one["id"].as_str().unwrap();
            let place = state.trajectories.iter().position(|known| known.row.id == id);
            let is_over = |known: &Trajectory| known.row.status != TrajectoryStatus::Active;
            if let Some(known) = place.map(|place| &state.trajectories[place]).filter(|known| is_over(known))
            {
                rows.push(known.row.clone());
                continue;
            }
            let made = trajectory(one, at);
            rows.push(made.row.clone());
            if is_over(&made) && state.auto.is_enabled {
                for task in one["tasks"].as_array().into_iter().flatten().filter_map(task) {
                    let total = state.totals.entry(task.clone()).or_default();
                    *total += 1;
                    totals.insert(task, *total);
                }
            }
            match place {
                Some(place) => state.trajectories[place] = made,
                None => state.trajectories.push(made),
            }
        }
        Ok(Ingested { rows, totals })
    }

    fn task_totals(&self) -> Result<BTreeMap<Task, u64>, HostError> {
        Ok(self.open("task_totals")?.totals.clone())
    }

    fn auto_config(&self) -> Result<AutoConfig, HostError> {
        Ok(self.open("auto_config")?.auto.clone())
    }

    fn set_auto_config(&self, config: &AutoConfig) -> Result<(), HostError> {
        self.open("set_auto_config")?.auto = config.clone();
        Ok(())
    }

    fn build_dataset(&self, build: Build) -> Result<Dataset, Refused> {
        self.site.pass();
        let mut state = self.open("build_dataset")?;
        if self.full.load(Ordering::SeqCst) {
            return Err(Refused::Full);
        }
        if state.datasets.len() == DATASETS_MAX {
            return Err(Refused::TooMany { what: "datasets", max: 20 });
        }
        state.builds.push(build);
        let newest = state.trajectories.iter().rev().take(usize::try_from(build.limit).unwrap());
        let fit: Vec<u64> =
            newest.map(|one| one.row.llm_calls).filter(|calls| *calls >= build.llm_calls_min).collect();
        let number = state.datasets.len() + 1;
        let dataset = Dataset {
            id: DatasetId::new(format!("dataset-{number}")).unwrap(),
            created_at: build.at,
            trajectories: u64::try_from(fit.len()).unwrap(),
            examples: fit.iter().sum(),
            jsonl: PathBuf::from(format!("/datasets/{number}/examples.jsonl")),
            trajectory_dir: PathBuf::from(format!("/datasets/{number}/trajectories")),
            metadata: PathBuf::from(format!("/datasets/{number}/metadata.json")),
        };
        state.datasets.push(dataset.clone());
        Ok(dataset)
    }

    fn datasets(&self) -> Result<Vec<Dataset>, HostError> {
        Ok(self.open("datasets")?.datasets.iter().rev().cloned().collect())
    }

    fn dataset(&self, id: &DatasetId) -> Result<Option<Dataset>, HostError> {
        Ok(self.open("dataset")?.datasets.iter().find(|known| known.id == *id).cloned())
    }

    fn run(&self, job: JobId, log_lines_max: usize) -> Result<RunNotes, HostError> {
        let mut state = self.open("run")?;
        state.lines_wanted.push(log_lines_max);
        Ok(state.notes.get(&job).cloned().unwrap_or_default())
    }

    fn notes_edition(&self) -> Option<u64> {
        let is_said = !self.uncounted.load(Ordering::SeqCst) && !self.broken.load(Ordering::SeqCst);
        is_said.then(|| self.notes.load(Ordering::SeqCst))
    }

    fn model(&self, model: &Model) -> Result<ModelNotes, HostError> {
        let state = self.open("model")?;
        Ok(state.models.get(&model.id).cloned().unwrap_or_else(|| ModelNotes {
            name: format!("prompt-{}", model.id.as_uuid().as_u128()),
            backend: Backend::Native,
            source_model: None,
            path: None,
            adapter: None,
            imported: None,
            provider_model: None,
            benchmark: None,
        }))
    }

    fn import(&self, model: &Model, import: &Import) -> Result<Imported, Refused> {
        self.workshop.pass();
        let mut state = self.open("import")?;
        if let Some(words) = state.import_error {
            return Err(Refused::Upstream(words.to_owned()));
        }
        let notes = state.models.get_mut(&model.id).filter(|notes| notes.adapter.is_some());
        let notes = notes.ok_or(Refused::NoAdapter)?;
        self.notes.fetch_add(1, Ordering::SeqCst);
        let imported = Imported { name: import.name.clone(), at: import.at };
        notes.imported = Some(imported.clone());
        state.imports.push(import.clone());
        Ok(imported)
    }

    fn note_provider_model(&self, model: ModelId, name: &str) -> Result<(), HostError> {
        let mut state = self.open("note_provider_model")?;
        self.notes.fetch_add(1, Ordering::SeqCst);
        if let Some(notes) = state.models.get_mut(&model) {
            notes.provider_model = Some(name.to_owned());
        }
        Ok(())
    }

    fn benchmark(&self, model: &Model) -> Result<Benchmark, Refused> {
        self.workshop.pass();
        let mut state = self.open("benchmark")?;
        let is_passed = state.is_passed;
        let notes = state.models.get_mut(&model.id).ok_or(Refused::NoAdapter)?;
        let score = |value| Score::new(value).unwrap();
        let scores = Scores { coherence: score(0.87), consistency: score(0.91), helpfulness: score(0.84) };
        let benchmark = Benchmark {
            is_passed,
            scores: is_passed.then_some(scores),
            output: "3 of 3".to_owned(),
            at: Timestamp::from_millis(1_718_006_000_000),
        };
        self.notes.fetch_add(1, Ordering::SeqCst);
        notes.benchmark = Some(benchmark.clone());
        Ok(benchmark)
    }
}

fn trajectory(sent: &Value, at: Timestamp) -> Trajectory {
    let id = sent["id"].as_str().unwrap().to_owned();
    let status = match sent["status"].as_str() {
        Some("active") => TrajectoryStatus::Active,
        Some("error") => TrajectoryStatus::Error,
        Some("timeout") => TrajectoryStatus::Timeout,
        _ => TrajectoryStatus::Completed,
    };
    let calls = sent["calls"].as_u64().unwrap_or(1);
    let ended_at = (status != TrajectoryStatus::Active).then(|| at.after(Duration::from_secs(10)));
    let row = TrajectoryRow {
        id,
        agent_id: "agent-1".to_owned(),
        source: "chat".to_owned(),
        status,
        archetype: None,
        llm_calls: calls,
        provider_accesses: 1,
        prompt_tokens: 10 * calls,
        completion_tokens: 5 * calls,
        total_reward: Some(1.5),
        judge_reward: None,
        episode_length: Some(1),
        started_at: at,
        ended_at,
        created_at: at,
    };
    let call = |number: u64| LlmCall {
        id: format!("call-{number}"),
        step_id: "step-1".to_owned(),
        model: "large".to_owned(),
        system_prompt: "You are Eliza.".to_owned(),
        user_prompt: "Are you there?".to_owned(),
        response: "Yes, I am here.".to_owned(),
        temperature: Some(0.5),
        max_tokens: Some(512),
        purpose: "response".to_owned(),
        action_type: "REPLY".to_owned(),
        latency: Some(Duration::from_millis(250)),
        prompt_tokens: Some(10),
        completion_tokens: Some(5),
        at,
    };
    let access = ProviderAccess {
        id: "access-1".to_owned(),
        step_id: "step-1".to_owned(),
        provider: "TIME".to_owned(),
        purpose: "compose".to_owned(),
        data: json!({ "hour": 8 }),
        query: None,
        at,
    };
    Trajectory {
        row,
        llm_calls: (1..=calls).map(call).collect(),
        provider_accesses: vec![access],
        steps_json: r#"[{"llmCalls":[{"response":"Yes, I am here."}]}]"#.to_owned(),
        judge_reasoning: None,
    }
}
