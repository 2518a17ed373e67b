//! The learners of trainyard-tabular beside scikit-learn's, on the same splits of the same real table.
//!
//! Breast cancer Wisconsin (569 rows, 30 numbers), five stratified splits of 70 % to learn from and 30 % to be judged by.
//! Ours hold a fifth of the rows they learn from back, to see when to stop; scikit-learn's HistGradientBoosting and LogisticRegression (on standardised numbers) run as they come.
//! Prints balanced accuracy and CPU seconds of each; then the time that contests of all four take to a target of 0.95.
//! Ends with a failure when a limit is broken.
//!
//! `cargo bench --bench tabular_vs_sklearn -- [folder]`: the folder (default: `trainyard-tabular-vs-sklearn` among the
//! temporary files) gets a Python environment with `scikit-learn` from PyPI, unless it is there.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use trainyard_benches::{argument, cpu_seconds_except, environment, median};
use trainyard_core::{
    CandidateId, Class, ContestPlan, Entrant, Kind, Label, Outcome, Parameters, QueueName, Score, Subject,
    Submission,
};
use trainyard_journal::MemoryJournal;
use trainyard_runtime::{Context, JobToTrain, TrainError, Trainyard};
use trainyard_tabular::{
    Dataset, Limits, Lineup, Model, Order, Shares, balanced_accuracy, prepare, train_candidate,
};

const SPLITS: usize = 5;
const TARGET: f64 = 0.95;
/// Ours of the same family may be so much worse in the mean of the splits.
const SLACK: f64 = 0.02;
const PEERS: [(&str, &str); 2] = [("boosting", "HistGradientBoosting"), ("linear", "LogisticRegression")];

/// Balanced accuracy and CPU seconds.
type Figure = (f64, f64);

/// By name, the figure of each split.
type Figures = BTreeMap<String, Vec<Figure>>;

fn main() -> Result<(), Box<dyn Error>> {
    let folder =
        argument().map_or_else(|| std::env::temp_dir().join("trainyard-tabular-vs-sklearn"), PathBuf::from);
    let python = environment(&folder, &["scikit-learn"])?;
    let table =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/vendors/data/breast_cancer_wisconsin.csv");
    let mut figures = sklearn(&python, &table, &folder)?;
    for split in 0..SPLITS {
        for (name, figure) in ours(&folder, split)? {
            figures.entry(name).or_default().push(figure);
        }
    }
    println!("{:>22}  balanced accuracy of each split        mean    CPU seconds", "");
    for (name, splits) in &figures {
        let each: Vec<String> = splits.iter().map(|(accuracy, _)| format!("{accuracy:.4}")).collect();
        let seconds = mean(splits.iter().map(|(_, seconds)| *seconds));
        println!("{name:>22}  {}  {:.4}  {seconds:.4}", each.join(" "), accuracy(&figures, name));
    }
    let mut broken = false;
    for (our, their) in PEERS {
        let lead = accuracy(&figures, our) - accuracy(&figures, their);
        println!("{our} is {lead:+.4} beside {their} (limit -{SLACK})");
        broken |= lead < -SLACK;
    }

    let mut times = Vec::new();
    for _ in 0..SPLITS {
        times.push(contest(&folder)?.as_secs_f64());
    }
    let cores = std::thread::available_parallelism()?;
    println!(
        "a contest of the four to {TARGET}, from submit to champion, {cores} cores: {:.1} ms",
        median(&mut times) * 1e3
    );
    if broken { Err("a limit is broken".into()) } else { Ok(()) }
}

fn accuracy(figures: &Figures, name: &str) -> f64 {
    mean(figures.get(name).into_iter().flatten().map(|(accuracy, _)| *accuracy))
}

fn sklearn(python: &Path, table: &Path, folder: &Path) -> Result<Figures, Box<dyn Error>> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("python/sklearn_tables.py");
    let output =
        Command::new(python).arg(script).arg(table).arg(folder).env("OMP_NUM_THREADS", "1").output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    let mut figures = Figures::new();
    for line in String::from_utf8(output.stdout)?.lines() {
        let [_, name, accuracy, seconds] = line.split(' ').collect::<Vec<_>>()[..] else {
            return Err(format!("not a figure: {line}").into());
        };
        figures.entry(name.to_owned()).or_default().push((accuracy.parse()?, seconds.parse()?));
    }
    Ok(figures)
}

/// Each learner for itself learns all it can, and predicts by what it hands over.
fn ours(folder: &Path, split: usize) -> Result<Vec<(String, Figure)>, Box<dyn Error>> {
    let [train, test] = ["train", "test"].map(|part| folder.join(format!("{part}-{split}.csv")));
    let test = fs::read_to_string(test)?;
    let (rows, classes) = without_classes(&test);
    let unseen = folder.join("unseen.csv");
    fs::write(&unseen, rows)?;
    let table = folder.join("train.table");
    prepare(&train, &table, &Limits::default(), &|| false)?;
    let shares = Shares::percent(20, 0).ok_or("shares of a whole")?;
    let (yard, lineup) = open_yard(folder, Dataset::open(&table, &shares, 1, &|| false)?)?;
    let mut figures = Vec::new();
    for name in lineup.names() {
        let before = cpu_seconds_except("?");
        let class = Arc::new(Class::new(Kind::new("tabular")?, QueueName::new("alone")?));
        let mut submission = Submission::new(yard.job_id(), Subject::new(name)?, class);
        submission.parameters = Parameters::new(name.as_bytes())?;
        let asked = yard.submit(submission).wait()?;
        let Outcome::Completed { model: Some(_) } = yard.finished(asked.job).wait()? else {
            return Err(format!("{name} has learned nothing").into());
        };
        let registry = yard.job(asked.job).ok_or("it is in the books")?.registry();
        let model = yard.active_model(&registry).ok_or("it is registered")?;
        let model = Model::open(&yard.artifact_path(&model)?, &lineup)?;
        let mut said = Vec::new();
        model.predict_csv(&unseen, &mut said, &Limits::default(), &|| false)?;
        let seconds = cpu_seconds_except("?") - before;
        let known = model.schema().classes();
        let place =
            |class: &str| known.iter().position(|known| known == class).and_then(|n| u16::try_from(n).ok());
        let expected: Vec<u16> = classes.iter().filter_map(|class| place(class)).collect();
        let said: Vec<u16> = String::from_utf8(said)?
            .lines()
            .skip(1)
            .filter_map(|line| place(line.rsplit(',').nth(1)?))
            .collect();
        figures.push((name.to_owned(), (balanced_accuracy(&expected, &said, known.len()), seconds)));
    }
    yard.shutdown(Duration::from_secs(5)).wait()?;
    fs::remove_dir_all(folder.join("yard"))?;
    Ok(figures)
}

/// A table in which nothing is quoted, without its last column, and that column.
fn without_classes(csv: &str) -> (String, Vec<&str>) {
    let (rows, classes): (Vec<&str>, Vec<&str>) =
        csv.lines().filter_map(|line| line.rsplit_once(',')).unzip();
    (rows.join("\n"), classes.into_iter().skip(1).collect())
}

/// A yard that trains on this data whomever a candidate's label, or else a job's parameters, name.
fn open_yard(folder: &Path, data: Dataset) -> Result<(Trainyard, Lineup), Box<dyn Error>> {
    let lineup = Lineup::standard();
    let known = lineup.clone();
    let trainer = move |cx: &mut Context, job: &JobToTrain| {
        let name = match &job.candidate {
            Some(candidate) => candidate.label.as_str().as_bytes(),
            None => job.parameters.as_bytes(),
        };
        let algorithm = std::str::from_utf8(name).ok().and_then(|name| known.find(name));
        let algorithm = algorithm.ok_or_else(|| TrainError::failed("nobody is called that"))?;
        train_candidate(cx, job, &data, algorithm, &Order::new())
    };
    let builder = Trainyard::builder(folder.join("yard")).journal(MemoryJournal::new());
    let (yard, _) = builder.trainer(Kind::new("tabular")?, trainer).start()?;
    Ok((yard, lineup))
}

/// One contest of all four on a split, in a yard of its own.
fn contest(folder: &Path) -> Result<Duration, Box<dyn Error>> {
    let data = Dataset::open(&folder.join("train.table"), &Shares::default(), 1, &|| false)?;
    let (yard, lineup) = open_yard(folder, data)?;
    let class = Arc::new(Class::new(Kind::new("tabular")?, QueueName::new("contests")?));
    let mut submission = Submission::new(yard.job_id(), Subject::new("dataset/1")?, class);
    let entrant = |name: &str| -> Result<Entrant, Box<dyn Error>> {
        let id = CandidateId::new(yard.job_id().as_uuid());
        Ok(Entrant { id, label: Label::new(name)?, parameters: Parameters::default() })
    };
    let candidates = lineup.names().map(entrant).collect::<Result<_, _>>()?;
    submission.contest =
        Some(Arc::new(ContestPlan { target: Score::new(TARGET)?, candidates, median: None }));
    let start = Instant::now();
    let asked = yard.submit(submission).wait()?;
    let outcome = yard.finished(asked.job).wait()?;
    let time = start.elapsed();
    if !outcome.is_completed() {
        return Err(format!("nobody has won: {outcome}").into());
    }
    yard.shutdown(Duration::from_secs(5)).wait()?;
    fs::remove_dir_all(folder.join("yard"))?;
    Ok(time)
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
    sum / count
}
