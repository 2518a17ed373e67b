//! Contests of real learners on a real yard.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod school;

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use school::{NAMES, table};
use trainyard_core::{
    CandidateId, CandidatePhase, Class, ContestPlan, Entrant, JobId, Kind, Label, Outcome, Parameters,
    QueueName, Score, Subject, Submission,
};
use trainyard_journal::MemoryJournal;
use trainyard_runtime::{Context, JobToTrain, TrainError, Trainyard};
use trainyard_tabular::{
    Dataset, LearnError, Learner, Lesson, Limits, Lineup, Model, Order, Rows, Shares, Step, made, prepare,
    train_candidate,
};

const SECONDS: Duration = Duration::from_secs(300);

/// A contest is told by labels which algorithm each candidate is.
fn open(folder: &Path, journal: MemoryJournal, data: &Arc<Dataset>, lineup: &Lineup) -> Trainyard {
    let (data, lineup) = (Arc::clone(data), lineup.clone());
    let trainer = move |cx: &mut Context, job: &JobToTrain| {
        let label = job.candidate.as_ref().map_or("", |candidate| candidate.label.as_str());
        let algorithm = lineup.find(label).ok_or_else(|| TrainError::failed("no such algorithm"))?;
        train_candidate(cx, job, &data, algorithm, &Order::default())
    };
    let builder = Trainyard::builder(folder).journal(journal);
    builder.trainer(Kind::new("tabular").unwrap(), trainer).start().unwrap().0
}

/// The job has the same id in every yard, so that the candidates' seeds are the same.
fn contest(names: &[&str], target: f64) -> Submission {
    let class = Class::new(Kind::new("tabular").unwrap(), QueueName::new("default").unwrap());
    let entrant = |(number, name): (u128, &&str)| Entrant {
        id: CandidateId::from_u128(number),
        label: Label::new(*name).unwrap(),
        parameters: Parameters::default(),
    };
    let candidates = (1..).zip(names).map(entrant).collect();
    let plan = ContestPlan { target: Score::new(target).unwrap(), candidates, median: None };
    let subject = Subject::new("dataset/1").unwrap();
    let mut submission = Submission::new(JobId::from_u128(7), subject, Arc::new(class));
    submission.contest = Some(Arc::new(plan));
    submission
}

fn prepared(folder: &Path, csv: &str) -> Arc<Dataset> {
    let (from, to) = (folder.join("rows.csv"), folder.join("rows.table"));
    std::fs::write(&from, csv).unwrap();
    prepare(&from, &to, &Limits::default(), &|| false).unwrap();
    Arc::new(Dataset::open(&to, &Shares::default(), 3, &|| false).unwrap())
}

fn mixed(rows: usize) -> String {
    let mut csv = Vec::new();
    made::mixed(8, rows).write_csv(&mut csv).unwrap();
    String::from_utf8(csv).unwrap()
}

/// How each candidate ended, and the best of what it has shown.
fn standings(yard: &Trainyard, job: JobId) -> Vec<(String, Outcome, Option<Score>)> {
    let job = yard.job(job).unwrap();
    let candidates = &job.contest().unwrap().candidates;
    let ended = candidates.iter().map(|candidate| match &candidate.phase {
        CandidatePhase::Ended { outcome, .. } => {
            (candidate.label.as_str().to_owned(), outcome.clone(), candidate.standing.window.best())
        }
        CandidatePhase::Pending | CandidatePhase::Running { .. } | CandidatePhase::HandedOver { .. } => {
            panic!("{} has not ended", candidate.label)
        }
    });
    ended.collect()
}

#[test]
fn four_compete_and_one_champion_predicts_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let csv = mixed(600);
    let data = prepared(folder.path(), &csv);
    let (home, journal, lineup) = (folder.path().join("yard"), MemoryJournal::new(), Lineup::standard());
    let yard = open(&home, journal.clone(), &data, &lineup);
    let job = yard.submit(contest(&NAMES, 0.85)).wait().unwrap().job;
    let Outcome::Completed { model: Some(id) } = yard.finished(job).wait().unwrap() else { panic!() };
    let standings = standings(&yard, job);
    let labels: Vec<&str> = standings.iter().map(|(label, ..)| label.as_str()).collect();
    assert_eq!(labels, NAMES);
    let (winners, losers): (Vec<_>, Vec<_>) =
        standings.iter().partition(|(_, outcome, _)| outcome.is_completed());
    assert_eq!(winners.len(), 1, "{standings:?}");
    for (label, outcome, best) in losers.into_iter().cloned() {
        assert!(matches!(outcome, Outcome::Superseded | Outcome::Stalled), "{label}: {outcome}");
        // Who was not the first to hand over may have been there as well; who has run out was not.
        let was_there = best.is_some_and(|best| best.get() >= 0.85);
        assert!(!was_there || outcome == Outcome::Superseded, "{label} had reached the target");
    }
    yard.shutdown(SECONDS).wait().unwrap();
    drop(yard);

    let yard = open(&home, journal, &data, &lineup);
    let registered = yard.model(id).unwrap();
    let figures: Vec<f64> = registered.metrics.values().map(|score| score.get()).collect();
    assert!(figures.len() == 3 && figures.iter().all(|value| (0.7..=1.0).contains(value)), "{figures:?}");
    assert!(figures[0] >= 0.85, "the first is the performance");
    let model = Model::open(&yard.artifact_path(&registered).unwrap(), &lineup).unwrap();
    assert_eq!(model.algorithm(), winners[0].0);

    // the rows of the file without their class
    let mut rows = Vec::new();
    made::mixed(9, 200).write_csv(&mut rows).unwrap();
    let (asked, expected) = without_class(&String::from_utf8(rows).unwrap());
    let path = folder.path().join("asked.csv");
    std::fs::write(&path, asked).unwrap();
    let mut answer = Vec::new();
    assert_eq!(model.predict_csv(&path, &mut answer, &Limits::default(), &|| false).unwrap(), 200);
    let said: Vec<String> = records(&String::from_utf8(answer).unwrap())
        .into_iter()
        .skip(1)
        .map(|record| record[record.len() - 2].clone())
        .collect();
    let right = said.iter().zip(&expected).filter(|(said, expected)| said == expected).count();
    assert!(right > 150, "{right} of 200 are right");
    yard.shutdown(SECONDS).wait().unwrap();
}

fn records(csv: &str) -> Vec<Vec<String>> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(csv.as_bytes());
    reader.records().map(|record| record.unwrap().iter().map(str::to_owned).collect()).collect()
}

/// The table without its last column, and that without its name.
fn without_class(csv: &str) -> (Vec<u8>, Vec<String>) {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let mut classes = Vec::new();
    for mut record in records(csv) {
        classes.extend(record.pop());
        writer.write_record(&record).unwrap();
    }
    (writer.into_inner().unwrap(), classes.split_off(1))
}

#[test]
fn a_contest_that_nobody_can_win_ends_when_all_have_run_out() {
    let folder = tempfile::tempdir().unwrap();
    let data = prepared(folder.path(), &mixed(120));
    let yard = open(&folder.path().join("yard"), MemoryJournal::new(), &data, &Lineup::standard());
    let job = yard.submit(contest(&NAMES, 1.5)).wait().unwrap().job;
    assert_eq!(yard.finished(job).wait().unwrap(), Outcome::Stalled);
    for (label, outcome, best) in standings(&yard, job) {
        assert_eq!(outcome, Outcome::Stalled, "{label}");
        assert!(best.is_some_and(|best| best.get() > 0.4), "{label} has shown {best:?}");
    }
    yard.shutdown(SECONDS).wait().unwrap();
}

/// On the hard set the linear one runs out below the target, while another waits for that; then the other wins.
#[test]
fn on_the_hard_set_one_stalls_and_another_wins() {
    let folder = tempfile::tempdir().unwrap();
    let mut csv = Vec::new();
    made::crossing(1, 4_000).write_csv(&mut csv).unwrap();
    let data = prepared(folder.path(), &String::from_utf8(csv).unwrap());
    let (go_on, may_go_on) = channel::<()>();
    let may_go_on = Mutex::new(may_go_on);
    let trainer = move |cx: &mut Context, job: &JobToTrain| {
        let label = job.candidate.as_ref().map_or("", |candidate| candidate.label.as_str());
        if label == "boosting" {
            may_go_on.lock().recv_timeout(SECONDS).map_err(|_| TrainError::failed("nobody has stalled"))?;
        }
        let lineup = Lineup::standard();
        let algorithm = lineup.find(label).ok_or_else(|| TrainError::failed("no such algorithm"))?;
        train_candidate(cx, job, &data, algorithm, &Order::default())
    };
    let builder = Trainyard::builder(folder.path().join("yard")).journal(MemoryJournal::new());
    let yard = builder.trainer(Kind::new("tabular").unwrap(), trainer).start().unwrap().0;
    let job = yard.submit(contest(&["linear", "boosting"], 0.75)).wait().unwrap().job;
    let linear = || yard.job(job).unwrap().contest().unwrap().candidates[0].phase.clone();
    let begun = Instant::now();
    while !matches!(linear(), CandidatePhase::Ended { .. }) {
        assert!(begun.elapsed() < SECONDS, "it does not run out");
        std::thread::yield_now();
    }
    go_on.send(()).unwrap();
    let outcome = yard.finished(job).wait().unwrap();
    let [linear, boosting] = standings(&yard, job).try_into().unwrap();
    assert_eq!(linear.1, Outcome::Stalled, "{linear:?}");
    assert!(linear.2.is_some_and(|best| best.get() > 0.65), "{linear:?}");
    assert!(outcome.is_completed() && boosting.1.is_completed(), "{boosting:?}");
    assert!(boosting.2 > linear.2, "{boosting:?}");
    yard.shutdown(SECONDS).wait().unwrap();
}

/// Of each class the middle of its vectors; a row is of the class whose middle is nearest.
struct Middles;

impl Learner for Middles {
    type Learned = Vec<Vec<f32>>;
    type Notes = ();

    fn begin(&self, _: &Lesson<'_>) -> Result<Self::Learned, LearnError> {
        Ok(Vec::new())
    }

    fn prepare(&self, _: &Lesson<'_>, _: &Self::Learned) -> Result<(), LearnError> {
        Ok(())
    }

    fn step(
        &self,
        lesson: &Lesson<'_>,
        (): &mut (),
        learned: &mut Self::Learned,
    ) -> Result<Step, LearnError> {
        let width = lesson.train.encoding().width();
        *learned = vec![vec![0.0; width + 1]; lesson.classes];
        for (vector, class) in lesson.train.vectors().chunks(width).zip(lesson.train_classes) {
            let sums = &mut learned[usize::from(*class)];
            sums.iter_mut().zip(vector.iter().chain([&1.0])).for_each(|(sum, x)| *sum += x);
        }
        for sums in learned.iter_mut() {
            let count = sums.pop().unwrap_or(1.0).max(1.0);
            sums.iter_mut().for_each(|sum| *sum /= count);
        }
        Ok(Step::Exhausted)
    }

    fn validate(&self, lesson: &Lesson<'_>, (): &mut (), learned: &Self::Learned) -> Vec<u16> {
        let said = self.predict(learned, lesson.validation);
        said.chunks(lesson.classes).map(|row| (0..).zip(row).find(|(_, p)| **p == 1.0).unwrap().0).collect()
    }

    fn predict(&self, learned: &Self::Learned, rows: &Rows) -> Vec<f32> {
        let apart = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum::<f32>();
        let vectors = rows.vectors().chunks(rows.encoding().width());
        let row = |vector: &[f32]| {
            let far: Vec<f32> = learned.iter().map(|middle| apart(middle, vector)).collect();
            let nearest = (0..far.len()).min_by(|a, b| far[*a].total_cmp(&far[*b]));
            (0..far.len()).map(move |class| if Some(class) == nearest { 1.0 } else { 0.0 })
        };
        vectors.flat_map(row).collect()
    }
}

#[test]
fn a_learner_of_ones_own_takes_part() {
    let folder = tempfile::tempdir().unwrap();
    let mut numbers = school::Numbers(12);
    let csv = table(300, |row| {
        let near = |place: usize| if place == row % 3 { 2.0 } else { 0.0 };
        let features: Vec<String> =
            (0..3).map(|place| format!("{:.3}", near(place) + numbers.unit())).collect();
        (features, format!("c{}", row % 3))
    });
    let data = prepared(folder.path(), &csv);
    let lineup = Lineup::standard().with("middles", Middles);
    for (names, target, wins) in [
        (&["middles"][..], 0.9, true),
        (&["middles"][..], 1.5, false),
        (&["middles", "linear", "boosting"][..], 0.9, true),
    ] {
        let home = tempfile::tempdir().unwrap();
        let yard = open(home.path(), MemoryJournal::new(), &data, &lineup);
        let job = yard.submit(contest(names, target)).wait().unwrap().job;
        if wins {
            let Outcome::Completed { model: Some(id) } = yard.finished(job).wait().unwrap() else { panic!() };
            let artifact = yard.artifact_path(&yard.model(id).unwrap()).unwrap();
            let champion = Model::open(&artifact, &lineup).unwrap().algorithm().to_owned();
            let ended = standings(&yard, job);
            assert_eq!(ended.iter().find(|(_, outcome, _)| outcome.is_completed()).unwrap().0, champion);
            let is_known = Model::open(&artifact, &Lineup::standard()).is_ok();
            assert_eq!(is_known, champion != "middles", "it is not one of the four");
        } else {
            assert_eq!(yard.finished(job).wait().unwrap(), Outcome::Stalled);
        }
        yard.shutdown(SECONDS).wait().unwrap();
    }
}
