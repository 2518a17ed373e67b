//! Subscribers, folders, and rules that fire.
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "a test may panic and be brief")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::bounded;
use support::{Rig, TempDir, class, job, kind, outcome, puppet, shut_down, subject, submit, until, wait};
use trainyard_core::port::{Change, HandleError};
use trainyard_core::{
    Admission, Because, Event, JobId, Model, Observation, Outcome, Parameters, Reason, Reference, Rejection,
    RetrainRule, Settings, Template, Trained, Trigger, Unmet, Verdict,
};
use trainyard_runtime::{Context, JobToTrain, OpenError, TrainError, Trainyard};

#[test]
fn a_slow_subscriber_is_told_that_it_missed_something() {
    let rig = Rig::new();
    let yard = rig.start(|_: &mut Context, _: &JobToTrain| Ok(Trained::default()));
    let (mut slow, mut quick) = (yard.subscribe_with(2), yard.subscribe());
    for n in 0..5 {
        let id = submit(&yard, &format!("s{n}"), class());
        outcome(&yard, id);
    }
    shut_down(&yard);
    let revision = |change: Change| match change {
        Change::Happened { revision, .. } => Some(revision),
        Change::Progressed { .. } | Change::Missed { .. } => None,
    };
    let all: Vec<u64> = std::iter::from_fn(|| quick.next_blocking()).filter_map(revision).collect();
    assert!(all.windows(2).all(|pair| pair[1] == pair[0] + 1), "revisions grow by one");
    let told: Vec<Change> = std::iter::from_fn(|| slow.next_blocking()).collect();
    assert_eq!(told.len(), 3);
    assert_eq!(told[2], Change::Missed { changes: all.len() as u64 - 2 });
}

/// Writes a model, unless the subject says otherwise.
fn writer(cx: &mut Context, job: &JobToTrain) -> Result<Trained, TrainError> {
    std::fs::write(cx.dir()?.join("model"), "x")?;
    match job.subject.as_str() {
        "fail" => Err(TrainError::failed("no")),
        "useless" => Ok(Trained::default()),
        _ => cx.trained("model"),
    }
}

#[test]
fn folders_that_no_record_names_are_removed() {
    let rig = Rig::new();
    let settings = Settings { models_max: 1, ..Settings::default() };
    let (yard, _) = rig.builder().settings(settings).trainer(kind(), writer).start().unwrap();
    for name in ["fail", "useless", "a", "a", "a", "b"] {
        let id = submit(&yard, name, class());
        outcome(&yard, id);
    }
    shut_down(&yard);
    assert_eq!(rig.dir.attempts(), 3, "the active model of each subject, and one more of the first");

    // What a crash has left behind, and what is not ours.
    let work = rig.dir.path().join("work");
    std::fs::create_dir_all(work.join(JobId::from_u128(5).to_string()).join("17")).unwrap();
    std::fs::create_dir_all(work.join("notes").join("mine")).unwrap();
    let (yard, _) = rig.builder().trainer(kind(), writer).start().unwrap();
    wait(yard.retire(subject("a"))).unwrap();
    shut_down(&yard);
    assert_eq!(rig.dir.attempts(), 2, "the model of the other subject, and what is not ours");
}

#[test]
fn a_checkpoint_keeps_its_folder_until_there_is_a_newer_one() {
    let rig = Rig::new();
    let (step, steps) = bounded::<()>(0);
    let (done, dones) = bounded(0);
    let train = move |cx: &mut Context, job: &JobToTrain| {
        if job.attempt.get() == 1 {
            std::fs::write(cx.dir()?.join("state"), "x")?;
            cx.checkpoint("state", 1)?;
            return Err(TrainError::interrupted("for the test"));
        }
        let old = cx.resume_path().unwrap();
        assert!(old.exists());
        std::fs::write(cx.dir()?.join("state"), "y")?;
        cx.checkpoint("state", 2)?;
        assert!(old.exists(), "this run goes on from it");
        done.send(()).unwrap();
        steps.recv().unwrap();
        Err(TrainError::interrupted("for the test"))
    };
    let yard = rig.start(train);
    submit(&yard, "a", class());
    dones.recv().unwrap();
    let mut changes = yard.subscribe();
    drop(step);
    until(&mut changes, |event| matches!(event, Event::Finished { .. }));
    shut_down(&yard);
    assert_eq!(rig.dir.attempts(), 0, "it is over: nothing goes on from its checkpoints");
}

#[test]
fn references_stay_in_the_data_folder() {
    let rig = Rig::new();
    let yard = rig.start(|cx: &mut Context, job: &JobToTrain| match job.subject.as_str() {
        "lost" => cx.trained("never-written"),
        "url" => cx.trained("s3://bucket/key"),
        path => Ok(Trained { artifact: Some(Reference::new(path)), ..Trained::default() }),
    });
    for path in ["../../etc/passwd", "/etc/passwd", "lost"] {
        let id = submit(&yard, path, class());
        assert!(matches!(outcome(&yard, id), Outcome::Failed { .. }), "{path}");
    }
    let id = submit(&yard, "url", class());
    let Outcome::Completed { model: Some(model) } = outcome(&yard, id) else { panic!("it completes") };
    let model: Arc<Model> = yard.read(|yard| yard.model(model).cloned()).unwrap();
    assert!(yard.artifact_path(&model).is_err());
}

#[test]
fn a_journal_that_has_never_seen_this_node_removes_nothing() {
    let rig = Rig::new();
    let (yard, _) = rig.builder().trainer(kind(), writer).start().unwrap();
    let id = submit(&yard, "a", class());
    let Outcome::Completed { model: Some(model) } = outcome(&yard, id) else { panic!("it completes") };
    let path = yard.artifact_path(&yard.model(model).unwrap()).unwrap();
    shut_down(&yard);

    let fresh = trainyard_journal::MemoryJournal::new();
    for _ in 0..2 {
        let (yard, _) = rig.builder_on(fresh.holder()).trainer(kind(), writer).start().unwrap();
        let id = submit(&yard, "fail", class());
        outcome(&yard, id);
        shut_down(&yard);
        assert!(path.exists(), "the model is still there, even when the node is known");
        assert_eq!(rig.dir.attempts(), 1, "what this journal knows is removed as ever");
    }
}

#[test]
fn a_model_is_kept_however_its_path_is_spelled() {
    let rig = Rig::new();
    let yard = rig.start(|cx: &mut Context, job: &JobToTrain| {
        std::fs::write(cx.dir()?.join("model"), "x")?;
        let (id, lease) = (job.id, job.run.lease);
        let path = match job.subject.as_str() {
            "dot" => format!("work/./{id}/{lease}/model"),
            "slashes" => format!("work//{id}/{lease}//model"),
            "folder" => format!("work/{id}/{lease}/"),
            "job" => format!("work/{id}"),
            "all" => "work".to_owned(),
            "upper" => format!("WORK/{id}/{lease}/model"),
            "odd" => {
                let odd = format!("work/{}/{lease}", id.as_uuid().simple());
                let folder = cx.path(&Reference::new(&odd))?;
                std::fs::create_dir_all(&folder)?;
                std::fs::write(folder.join("model"), "x")?;
                format!("{odd}/model")
            }
            _ => {
                let link = cx.dir()?.join("link");
                #[cfg(unix)]
                std::os::unix::fs::symlink("model", &link)?;
                format!("work/{id}/{lease}/link")
            }
        };
        Ok(Trained { artifact: Some(Reference::new(path)), ..Trained::default() })
    });
    for name in ["dot", "slashes", "folder"] {
        let id = submit(&yard, name, class());
        let Outcome::Completed { model: Some(model) } = outcome(&yard, id) else {
            panic!("{name} completes")
        };
        let model = yard.model(model).unwrap();
        assert!(!model.artifact.as_str().contains("/.") && !model.artifact.as_str().contains("//"));
    }
    for name in ["job", "all", "upper", "odd", "link"] {
        let id = submit(&yard, name, class());
        let outcome = outcome(&yard, id);
        assert!(matches!(outcome, Outcome::Failed { .. }), "{name}: {outcome:?}");
    }
    let paths: Vec<_> = yard.read(|yard| {
        let models = yard.registries().flat_map(|registry| yard.models(registry));
        models.cloned().collect::<Vec<_>>()
    });
    shut_down(&yard);
    for model in paths {
        assert!(yard.artifact_path(&model).unwrap().exists(), "{}", model.artifact);
    }
}

#[test]
fn a_checkpoint_that_is_not_here_has_no_path() {
    let rig = Rig::new();
    let yard = rig.start(|cx: &mut Context, job: &JobToTrain| {
        if job.attempt.get() == 1 {
            std::fs::write(cx.dir()?.join("state-1"), "x")?;
            cx.checkpoint("state-1", 1)?;
            std::fs::remove_file(cx.dir()?.join("state-1"))?;
            return Err(TrainError::interrupted("for the test"));
        }
        assert_eq!((cx.resume_path(), cx.resume_from()), (None, 1));
        Ok(Trained::default())
    });
    let id = submit(&yard, "a", class());
    assert_eq!(outcome(&yard, id), Outcome::Completed { model: None });
}

#[test]
fn a_rule_fires_trains_and_waits_for_more() {
    let rig = Rig::new();
    let (puppet, strings) = puppet();
    let yard = rig.start(puppet);
    let template =
        Template { class: Arc::new(class()), parameters: Parameters::default(), admission: Admission::Queue };
    let rule = RetrainRule::new(Trigger::Fresh { at_least: 100 });
    wait(yard.set_rule(subject("a"), rule, template)).unwrap();
    let observe = |total| wait(yard.observe(subject("a"), Observation { total, lists: None })).unwrap();

    assert_eq!(observe(40).decision.verdict, Verdict::Wait(vec![Unmet::Count { more: Some(60) }]));
    observe(50);
    assert_eq!(observe(60).decision.repeats, 1, "one before it has said the same since the first was stored");
    let fired = observe(100);
    assert_eq!(fired.decision.verdict, Verdict::Train(Because::First));
    let id = fired.job.unwrap();
    assert_eq!(strings.begun().watermark, Some(100));
    strings.end(Ok(Trained::default()));
    assert_eq!(outcome(&yard, id), Outcome::Completed { model: None });
    assert_eq!(job(&yard, id).watermark(), Some(100));
    let history = yard.read(|yard| yard.rule(&subject("a")).unwrap().history);
    assert_eq!(history.watermark, Some(100));
    assert_eq!(observe(150).decision.verdict, Verdict::Wait(vec![Unmet::Count { more: Some(50) }]));
    wait(yard.remove_rule(subject("a"))).unwrap();
    let nothing = wait(yard.observe(subject("a"), Observation { total: 999, lists: None }));
    assert_eq!(nothing, Err(HandleError::Rejected(Rejection::NoRule(subject("a")))));
}

#[test]
fn a_yard_needs_a_journal_and_its_own_id() {
    let dir = TempDir::new();
    assert!(matches!(Trainyard::builder(dir.path()).start(), Err(OpenError::NoJournal)));
    std::fs::write(dir.path().join("node"), "nonsense").unwrap();
    let broken = Trainyard::builder(dir.path()).journal(trainyard_journal::MemoryJournal::new()).start();
    assert!(matches!(broken, Err(OpenError::BadNodeId { .. })));
}

#[test]
fn a_living_node_is_never_given_up() {
    let rig = Rig::new();
    let (puppet, strings) = puppet();
    let yard = rig.start(puppet);
    let id = submit(&yard, "a", class());
    strings.begun();
    let mut changes = yard.subscribe();
    // Longer than its lease, as when a machine was suspended.
    rig.clock.advance(Duration::from_secs(3_600));
    until(&mut changes, |event| matches!(event, Event::NodeAlive { .. }));
    assert_eq!(job(&yard, id).attempts.get(), 1);
    strings.end(Ok(Trained::default()));
    assert_eq!(outcome(&yard, id), Outcome::Completed { model: None });
    wait(yard.hold(id, Reason::new("x"))).unwrap_err();
}
