//! Every reason why a job waits, with its numbers.

mod support;

use support::desk::{Desk, at, class, on, outside, plain, queue, resource, secs, usual};
use trainyard_core::*;

#[test]
fn nothing_holds_back_who_runs_or_is_over() {
    let mut desk = Desk::with_slots(1);
    let job = desk.submit("subject", &usual());
    assert_eq!(desk.explain(job), []);
    desk.complete(job);
    assert_eq!(desk.explain(job), []);
    assert_eq!(desk.yard.explain(desk.now, JobId::from_u128(99)), None);
}

#[test]
fn not_yet() {
    let mut desk = Desk::with_slots(1);
    let mut submission = desk.submission("subject", &usual());
    submission.not_before = Some(at(90));
    let (job, _) = desk.admit(submission).unwrap();
    desk.pass(secs(30));
    assert_eq!(desk.explain(job), [Blocker::NotYet { not_before: at(90), left: secs(60) }]);
}

#[test]
fn held() {
    let mut desk = Desk::with_slots(1);
    let mut submission = desk.submission("subject", &usual());
    submission.not_before = Some(at(90));
    let (job, _) = desk.admit(submission).unwrap();
    let reason = Reason::new("look first");
    desk.ok(&Command::Hold { job, reason: reason.clone() });
    let not_yet = Blocker::NotYet { not_before: at(90), left: secs(90) };
    assert_eq!(desk.explain(job), [Blocker::Held { reason: reason.clone() }, not_yet], "everything is told");
    desk.pass(secs(90));
    assert_eq!(desk.explain(job), [Blocker::Held { reason }]);
}

#[test]
fn its_queue() {
    let mut desk = Desk::with_slots(9);
    let settings = QueueSettings { running_max: Some(2), ..QueueSettings::default() };
    desk.ok(&Command::ConfigureQueue { queue: queue("line"), settings });
    for n in 0..2 {
        desk.submit(&format!("subject {n}"), &usual());
    }
    let third = desk.submit("third", &usual());
    let fourth = desk.submit("fourth", &usual());
    let limit = Blocker::QueueLimit { queue: queue("line"), running: 2, max: 2 };
    assert_eq!(desk.explain(third), std::slice::from_ref(&limit));
    assert_eq!(desk.explain(fourth), [limit, Blocker::Behind { jobs: 1 }]);
    let reason = Reason::new("maintenance");
    desk.ok(&Command::PauseQueue { queue: queue("line"), reason: reason.clone() });
    assert_eq!(desk.explain(third), [Blocker::QueuePaused { queue: queue("line"), reason }]);
}

#[test]
fn a_queue_with_room_holds_nobody_back() {
    let mut desk = Desk::with_slots(1);
    let settings = QueueSettings { running_max: Some(2), ..QueueSettings::default() };
    desk.ok(&Command::ConfigureQueue { queue: queue("line"), settings });
    desk.submit("first", &usual());
    let second = desk.submit("second", &usual());
    assert!(matches!(desk.explain(second)[..], [Blocker::NoCapacity { .. }]), "{:?}", desk.explain(second));
}

#[test]
fn its_subject() {
    let mut desk = Desk::with_slots(1);
    let first = desk.submit("subject", &usual());
    let second = desk.submit("subject", &usual());
    let third = desk.submit("subject", &usual());
    let busy = |draining| Blocker::SubjectBusy { subject: on("subject"), job: first, draining };
    let full = Blocker::NoCapacity {
        node: NodeId::from_u128(1),
        resource: resource("slot"),
        needed: 1,
        free: 0,
        total: 1,
    };
    assert_eq!(desk.explain(second), [busy(false), full.clone()]);
    desk.cancel(first);
    assert_eq!(desk.explain(second), [busy(true), full.clone()]);
    desk.ok(&Command::PauseQueue { queue: queue("line"), reason: Reason::new("maintenance") });
    desk.finish(first, RunEnd::Stopped);
    let paused = Blocker::QueuePaused { queue: queue("line"), reason: Reason::new("maintenance") };
    assert_eq!(desk.explain(second), std::slice::from_ref(&paused));
    let behind = Blocker::SubjectBehind { job: second };
    assert_eq!(desk.explain(third), [paused, behind, Blocker::Behind { jobs: 1 }]);
}

#[test]
fn of_its_subject_only_who_could_go_first_is_in_the_way() {
    let mut desk = Desk::with_slots(1);
    let reason = Reason::new("look first");
    desk.ok(&Command::PauseQueue { queue: queue("line"), reason: reason.clone() });
    let paused = Blocker::QueuePaused { queue: queue("line"), reason: reason.clone() };
    let first = desk.submit("subject", &usual());
    desk.ok(&Command::Hold { job: first, reason: reason.clone() });
    let second = desk.submit("subject", &usual());
    let other = desk.submit("subject", &class(|class| class.retry.retries_max = 1));
    assert_eq!(desk.explain(first), [Blocker::Held { reason }, paused.clone()], "who comes later is not");
    assert_eq!(desk.explain(second), std::slice::from_ref(&paused), "nor is who is held");
    let behind = Blocker::Behind { jobs: 1 };
    assert_eq!(desk.explain(other), [paused, behind], "nor is work of another sort");
}

#[test]
fn no_node() {
    let mut desk = Desk::with_slots(1);
    let node = NodeId::from_u128(1);
    let epoch = desk.yard.node(node).unwrap().epoch;
    desk.ok(&Command::LeaveNode { node, epoch });
    let job = desk.submit("subject", &usual());
    assert_eq!(desk.explain(job), [Blocker::NoNode { kind: plain() }]);
    let abilities =
        Abilities { kinds: [(outside(), Placement::External)].into(), capacity: Resources::slots(9) };
    desk.ok(&Command::JoinNode { node: NodeId::from_u128(2), abilities });
    assert_eq!(
        desk.explain(job),
        [Blocker::NoNode { kind: plain() }],
        "one that trains something else is none"
    );
}

#[test]
fn no_room() {
    let mut desk = Desk::new();
    desk.join(1, Resources::slots(4).with(resource("gpu"), 2).with(resource("memory_mib"), 100));
    let demand = |gpus| class(|class| class.resources = Resources::slots(1).with(resource("gpu"), gpus));
    desk.submit("first", &demand(1));
    let lacks = |needed, node, free, total| Blocker::NoCapacity {
        node: NodeId::from_u128(node),
        resource: resource("gpu"),
        needed,
        free,
        total,
    };
    let job = desk.submit("second", &demand(2));
    assert_eq!(desk.explain(job), [lacks(2, 1, 1, 2)]);
    let never = desk.submit("third", &demand(3));
    assert_eq!(
        desk.explain(never),
        [lacks(3, 1, 1, 2), Blocker::Behind { jobs: 1 }],
        "more than there is in all"
    );
    desk.join(2, Resources::slots(4).with(resource("gpu"), 1));
    assert_eq!(desk.explain(job), [lacks(2, 1, 1, 2)], "told of the node that could ever do it");
}

#[test]
fn kept_for_another() {
    let mut desk = Desk::new();
    desk.settings(|settings| settings.reserve_after = secs(60));
    desk.join(1, Resources::slots(4));
    let wide = class(|class| class.resources = Resources::slots(4));
    let first = desk.submit("first", &usual());
    let big = desk.submit("big", &wide);
    desk.pass(secs(60));
    let small = desk.submit("small", &usual());
    assert_eq!(desk.explain(small), [Blocker::Reserved { job: big }, Blocker::Behind { jobs: 1 }]);
    desk.cancel(big);
    assert_eq!(desk.explain(small), []);
    assert!(desk.is_running(small) && desk.is_running(first));
}

#[test]
fn room_that_is_kept_holds_back_only_who_comes_later_and_has_no_other() {
    let mut desk = Desk::new();
    desk.settings(|settings| settings.reserve_after = secs(60));
    desk.join(1, Resources::slots(4));
    let wide = class(|class| class.resources = Resources::slots(4));
    let reason = Reason::new("look first");
    let held = Blocker::Held { reason: reason.clone() };
    desk.submit("first", &usual());
    let hold = |desk: &mut Desk, subject: &str| {
        let mut submission = desk.submission(subject, &usual());
        submission.not_before = Some(at(1));
        let (job, _) = desk.admit(submission).unwrap();
        desk.ok(&Command::Hold { job, reason: reason.clone() });
        job
    };
    let before = hold(&mut desk, "before");
    let big = desk.submit("big", &wide);
    let after = hold(&mut desk, "after");
    desk.pass(secs(60));
    assert_eq!(desk.explain(before), std::slice::from_ref(&held), "it goes first");
    let behind = Blocker::Behind { jobs: 1 };
    assert_eq!(desk.explain(after), [held.clone(), Blocker::Reserved { job: big }, behind.clone()]);
    // A node that big does not fit into has room for those who come after it.
    desk.join(2, Resources::slots(1));
    assert!(!desk.is_running(big));
    assert_eq!(desk.explain(after), [held, behind]);
}

#[test]
fn behind_others() {
    let mut desk = Desk::with_slots(1);
    desk.submit("first", &usual());
    let jobs: Vec<JobId> = (0..4).map(|n| desk.submit(&format!("subject {n}"), &usual())).collect();
    for (n, job) in (0_u64..).zip(&jobs) {
        let told: Vec<Blocker> =
            desk.explain(*job).into_iter().filter(|one| matches!(one, Blocker::Behind { .. })).collect();
        let expected: Vec<Blocker> = (n > 0).then_some(Blocker::Behind { jobs: n }).into_iter().collect();
        assert_eq!(told, expected);
    }
    let mut urgent = desk.submission("urgent", &usual());
    urgent.priority = Priority::new(1);
    desk.admit(urgent).unwrap();
    assert!(desk.explain(jobs[0]).contains(&Blocker::Behind { jobs: 1 }));
    desk.ok(&Command::Hold { job: jobs[0], reason: Reason::new("look first") });
    assert!(desk.explain(jobs[3]).contains(&Blocker::Behind { jobs: 3 }), "who is held goes before nobody");
}

#[test]
fn an_explanation_is_a_sentence() {
    let mut desk = Desk::with_slots(1);
    let first = desk.submit("subject", &usual());
    let job = desk.submit("subject", &usual());
    let told: Vec<String> = desk.explain(job).iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            format!("subject is being trained by {first}"),
            format!("needs 1 slot, node {} has 0 of 1 left", NodeId::from_u128(1)),
        ]
    );
}
