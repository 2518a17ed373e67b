//! Who starts next: order, limits, room, subjects, nodes.

mod support;

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use support::cases;
use support::desk::{Desk, class, on, outside, plain, queue, resource, secs, usual};
use trainyard_core::*;

/// One job to be submitted: how much later than the one before, how urgent, in which of two queues.
#[derive(Debug, Clone)]
struct Wish {
    later: u64,
    priority: i8,
    queue: usize,
}

prop_compose! {
    fn wish()(later in 0_u64..200, priority in -3_i8..4, queue in 0_usize..2) -> Wish {
        Wish { later, priority, queue }
    }
}

proptest! {
    #![proptest_config(cases(100))]

    /// Everything waits behind one job; then they go one by one, by `submitted_at − priority × step` of their own
    /// queue, ties in order of submission.
    #[test]
    fn jobs_go_by_their_static_key(
        wishes in prop::collection::vec(wish(), 1..30), steps in prop::array::uniform2(0_u64..300),
    ) {
        let lines = [class(|_| {}), class(|class| class.queue = queue("other line"))];
        let mut desk = Desk::with_slots(1);
        for (line, step) in lines.iter().zip(steps) {
            let settings = QueueSettings { priority_step: Duration::from_millis(step), ..QueueSettings::default() };
            desk.ok(&Command::ConfigureQueue { queue: line.queue.clone(), settings });
        }
        let first = desk.submit("first", &usual());
        let mut naive = Vec::new();
        for (n, wish) in wishes.iter().enumerate() {
            desk.sleep_through(Duration::from_millis(wish.later));
            let mut submission = desk.submission(&format!("subject {n}"), &lines[wish.queue]);
            submission.priority = Priority::new(wish.priority);
            let step = i64::try_from(steps[wish.queue]).unwrap();
            naive.push((desk.now.as_millis() - step * i64::from(wish.priority), n, submission.job));
            desk.admit(submission).unwrap();
        }
        naive.sort_unstable();
        for line in &lines {
            let told: Vec<JobId> = desk.yard.waiting(&line.queue).map(|job| job.id).collect();
            let of_line = naive.iter().filter(|(_, n, _)| lines[wishes[*n].queue].queue == line.queue);
            prop_assert_eq!(told, of_line.map(|(.., job)| *job).collect::<Vec<_>>());
        }
        let from = desk.log.len();
        desk.complete(first);
        for (_, _, job) in &naive {
            prop_assert!(desk.is_running(*job), "{:?}", desk.explain(*job));
            desk.complete(*job);
        }
        prop_assert_eq!(desk.started_since(from), naive.iter().map(|(.., job)| *job).collect::<Vec<_>>());
    }

    /// Small jobs never stop coming; the big one runs all the same, soon after it has waited for its time.
    #[test]
    fn a_big_job_is_not_starved_by_small_ones(slots in 2_u64..6, lasts in 2_u64..20, reserve_after in 1_u64..100) {
        let mut desk = Desk::with_slots(slots);
        desk.settings(|settings| settings.reserve_after = secs(reserve_after));
        let big = class(|class| class.resources = Resources::slots(slots));
        let mut ends: Vec<(Timestamp, JobId)> = Vec::new();
        let mut waits: Option<(Timestamp, JobId)> = None;
        for second in 0..reserve_after + 3 * lasts + 3 {
            let small = desk.submit(&format!("small {second}"), &usual());
            ends.push((desk.now.after(secs(lasts)), small));
            if second == lasts {
                waits = Some((desk.now, desk.submit("big", &big)));
            }
            desk.pass(secs(1));
            let now = desk.now;
            for (_, job) in ends.extract_if(.., |(end, _)| *end <= now).collect::<Vec<_>>() {
                if desk.is_running(job) {
                    desk.complete(job);
                } else {
                    ends.push((now.after(secs(lasts)), job));
                }
            }
            if let Some((since, job)) = waits
                && desk.is_running(job)
            {
                prop_assert!(now.since(since) <= secs(reserve_after + 2 * lasts + 1));
                return Ok(());
            }
        }
        prop_assert!(waits.is_none_or(|(_, job)| desk.is_running(job)), "it never ran");
    }
}

#[test]
fn a_queue_runs_no_more_than_it_may() {
    let mut desk = Desk::with_slots(9);
    let limited = |max| QueueSettings { running_max: Some(max), ..QueueSettings::default() };
    desk.ok(&Command::ConfigureQueue { queue: queue("line"), settings: limited(2) });
    let jobs: Vec<JobId> = (0..4).map(|n| desk.submit(&format!("subject {n}"), &usual())).collect();
    let other = desk.submit("elsewhere", &class(|class| class.queue = queue("other line")));
    let running = |desk: &Desk| jobs.iter().filter(|job| desk.is_running(**job)).count();
    assert_eq!(running(&desk), 2);
    assert!(desk.is_running(other), "the limit is that of one queue");
    desk.ok(&Command::ConfigureQueue { queue: queue("line"), settings: limited(3) });
    assert_eq!(running(&desk), 3, "a wider limit is used at once");
    desk.ok(&Command::ConfigureQueue { queue: queue("line"), settings: limited(0) });
    assert_eq!(running(&desk), 3, "a narrower one stops nobody");
    desk.complete(jobs[0]);
    assert_eq!(running(&desk), 2);
    assert!(!desk.is_running(jobs[3]));
}

#[test]
fn other_settings_put_who_waits_in_another_order() {
    let mut desk = Desk::with_slots(1);
    let first = desk.submit("first", &usual());
    let plain = desk.submit("plain", &usual());
    desk.pass(secs(100));
    let mut urgent = desk.submission("urgent", &usual());
    urgent.priority = Priority::new(1);
    let (urgent, _) = desk.admit(urgent).unwrap();
    let order = |desk: &Desk| desk.yard.waiting(&queue("line")).map(|job| job.id).collect::<Vec<_>>();
    assert_eq!(order(&desk), [plain, urgent], "a minute is not enough");
    let settings = QueueSettings { priority_step: secs(101), ..QueueSettings::default() };
    desk.ok(&Command::ConfigureQueue { queue: queue("line"), settings });
    assert_eq!(order(&desk), [urgent, plain]);
    desk.complete(first);
    assert!(desk.is_running(urgent));
}

#[test]
fn a_queue_takes_no_more_than_may_wait() {
    let mut desk = Desk::with_slots(1);
    let settings = QueueSettings { waiting_max: 2, ..QueueSettings::default() };
    desk.ok(&Command::ConfigureQueue { queue: queue("line"), settings });
    for n in 0..3 {
        desk.submit(&format!("subject {n}"), &usual());
    }
    let more = desk.submission("one more", &usual());
    assert_eq!(desk.admit(more), Err(Rejection::QueueFull { queue: queue("line"), max: 2 }));
    let elsewhere = desk.submission("one more", &class(|class| class.queue = queue("other line")));
    assert!(desk.admit(elsewhere).is_ok());
}

#[test]
fn a_paused_queue_lets_nobody_through_and_stops_nobody() {
    let mut desk = Desk::with_slots(2);
    let before = desk.submit("before", &usual());
    desk.ok(&Command::PauseQueue { queue: queue("line"), reason: Reason::new("maintenance") });
    let job = desk.submit("after", &usual());
    assert!(desk.is_running(before) && !desk.is_running(job));
    desk.ok(&Command::ResumeQueue { queue: queue("line") });
    assert!(desk.is_running(job));
    assert_eq!(
        desk.send(&Command::ResumeQueue { queue: queue("line") }),
        Err(Rejection::NotPaused(queue("line")))
    );
    assert_eq!(
        desk.send(&Command::ResumeQueue { queue: queue("nowhere") }),
        Err(Rejection::NoQueue(queue("nowhere")))
    );
}

fn demand(slots: u64, gpus: u64) -> Arc<Class> {
    class(|class| class.resources = Resources::slots(slots).with(resource("gpu"), gpus))
}

#[test]
fn a_demand_is_all_or_nothing_and_blocks_nobody_behind() {
    let mut desk = Desk::new();
    desk.join(1, Resources::slots(4).with(resource("gpu"), 2));
    let first = desk.submit("first", &demand(1, 1));
    let big = desk.submit("big", &demand(1, 2));
    let behind = desk.submit("behind", &demand(1, 1));
    let plain = desk.submit("plain", &demand(2, 0));
    assert!(!desk.is_running(big), "one of two is not two");
    assert!(desk.is_running(behind) && desk.is_running(plain));
    assert_eq!(desk.yard.node(NodeId::from_u128(1)).unwrap().free().amount("gpu"), 0);
    desk.complete(first);
    assert!(!desk.is_running(big));
    desk.complete(behind);
    assert!(desk.is_running(big));
}

#[test]
fn whoever_has_waited_long_is_kept_room_for() {
    let mut desk = Desk::new();
    desk.settings(|settings| settings.reserve_after = secs(60));
    desk.join(1, Resources::slots(4).with(resource("gpu"), 2));
    let first = desk.submit("first", &demand(1, 2));
    let big = desk.submit("big", &demand(1, 2));
    desk.pass(secs(59));
    desk.complete(first);
    assert!(desk.is_running(big), "it never came to that");

    let next = desk.submit("next", &demand(1, 2));
    desk.pass(secs(59));
    desk.complete(big);
    let again = desk.submit("again", &demand(1, 2));
    assert!(desk.is_running(next) && !desk.is_running(again));
    desk.pass(secs(60));
    let small = desk.submit("small", &demand(1, 1));
    let other = desk.submit("other", &demand(1, 0));
    assert!(!desk.is_running(small));
    assert!(desk.is_running(other), "slots are not what it lacks");
    desk.complete(next);
    assert!(desk.is_running(again) && !desk.is_running(small));
    desk.complete(again);
    assert!(desk.is_running(small));
}

#[test]
fn room_is_kept_for_nobody_who_could_not_take_it() {
    let ready = |stranger: &Arc<Class>| {
        let mut desk = Desk::new();
        desk.settings(|settings| settings.reserve_after = secs(60));
        desk.join(1, Resources::slots(4).with(resource("gpu"), 2));
        let paused = Command::PauseQueue { queue: queue("paused"), reason: Reason::new("maintenance") };
        desk.ok(&paused);
        desk.submit("first", &demand(1, 1));
        let stranger = desk.submit("stranger", stranger);
        desk.pass(secs(1));
        let big = desk.submit("big", &demand(1, 2));
        desk.pass(secs(30));
        (desk, stranger, big)
    };
    let in_paused = |gpus| {
        let Class { resources, .. } = (*demand(1, gpus)).clone();
        class(|class| (class.queue, class.resources) = (queue("paused"), resources))
    };
    // One that fits nowhere, one whose queue is paused.
    for class in [demand(1, 3), in_paused(2)] {
        let (mut desk, stranger, big) = ready(&class);
        desk.pass(secs(29));
        let small = desk.submit("small", &demand(1, 1));
        assert!(desk.is_running(small) && !desk.is_running(stranger), "nothing is kept for the stranger");
        desk.complete(small);
        desk.pass(secs(1));
        let small = desk.submit("another", &demand(1, 1));
        assert!(!desk.is_running(small), "and what is kept is kept for the first who could take it");
        assert!(desk.explain(small).contains(&Blocker::Reserved { job: big }), "{:?}", desk.explain(small));
    }
}

#[test]
fn who_comes_now_starts_at_once_when_nothing_else_is_due() {
    let started = |desk: &Desk, submission: &Submission| {
        let Ruling { facts, .. } =
            desk.yard.decide(desk.now, &Command::Submit(Arc::new(submission.clone()))).unwrap();
        let is_start =
            |fact: &Fact| matches!(&fact.event, Event::Started { job, .. } if *job == submission.job);
        facts.iter().any(is_start)
    };
    let mut desk = Desk::with_slots(2);
    let first = desk.submission("first", &usual());
    assert!(started(&desk, &first));
    let later = Submission { not_before: Some(desk.now.after(secs(10))), ..first.clone() };
    assert!(!started(&desk, &later));
    // Somebody else's moment has come, and nobody has looked.
    desk.admit(Submission { subject: on("later"), ..later }).unwrap();
    desk.sleep_through(secs(10));
    let second = desk.submission("second", &usual());
    assert!(!started(&desk, &second));
    desk.ok(&Command::Tick);
    assert!(started(&desk, &second));
    desk.admit(second.clone()).unwrap();
    assert!(!started(&desk, &desk.clone().submission("third", &usual())), "there is no room");

    // Room has come, and somebody waits for it already.
    let waiting = desk.submit("waiting", &usual());
    let (run, model) = (desk.run(second.job), ModelId::from_u128(desk.id()));
    let end = RunEnd::Completed { trained: Trained::default(), model, last: None };
    desk.yard.take(desk.now, &Command::Finish { run, end }).unwrap();
    let fourth = desk.submission("fourth", &usual());
    assert!(!started(&desk, &fourth));
    desk.admit(fourth.clone()).unwrap();
    assert!(desk.is_running(waiting) && !desk.is_running(fourth.job));
}

#[test]
fn a_reservation_binds_nobody_who_goes_first_anyway() {
    let mut desk = Desk::new();
    desk.settings(|settings| settings.reserve_after = secs(1));
    desk.join(1, Resources::slots(4).with(resource("gpu"), 2));
    let one = desk.submit("one", &demand(1, 1));
    let big = desk.submit("big", &demand(1, 2));
    desk.pass(secs(5));
    let mut urgent = desk.submission("urgent", &demand(1, 1));
    urgent.priority = Priority::MAX;
    let (urgent, _) = desk.admit(urgent).unwrap();
    assert!(desk.is_running(urgent), "a hundred minutes ahead");
    desk.complete(urgent);
    desk.complete(one);
    assert!(desk.is_running(big));
}

#[test]
fn a_subject_is_trained_by_one_job_at_a_time() {
    let mut desk = Desk::with_slots(9);
    let jobs: Vec<JobId> = (0..3).map(|_| desk.submit("subject", &usual())).collect();
    for (n, job) in jobs.iter().enumerate() {
        assert!(desk.is_running(*job));
        assert!(jobs[n + 1..].iter().all(|later| !desk.is_running(*later)));
        desk.complete(*job);
    }
}

#[test]
fn a_job_that_cannot_go_is_no_reason_for_another_of_its_subject_to_wait() {
    let mut desk = Desk::with_slots(1);
    let big = desk.submit("subject", &class(|class| class.resources = Resources::slots(2)));
    let small = desk.submit("subject", &usual());
    assert!(!desk.is_running(big) && desk.is_running(small));
    desk.join(2, Resources::slots(2));
    assert!(!desk.is_running(big), "now its subject is busy");
    desk.complete(small);
    assert!(desk.is_running(big));
}

#[test]
fn work_goes_to_the_node_with_most_slots_left() {
    let mut desk = Desk::with_slots(2);
    desk.join(2, Resources::slots(3));
    let jobs: Vec<JobId> = (0..6).map(|n| desk.submit(&format!("subject {n}"), &usual())).collect();
    let nodes: Vec<u128> =
        jobs.iter().filter_map(|job| Some(desk.job(*job).running()?.node.as_uuid().as_u128())).collect();
    assert_eq!(nodes, [2, 1, 2, 1, 2], "the first by id among equals, and the sixth job waits");
    let node = NodeId::from_u128(2);
    let epoch = desk.yard.node(node).unwrap().epoch;
    desk.ok(&Command::LeaveNode { node, epoch });
    assert_eq!(jobs.iter().filter(|job| desk.is_running(**job)).count(), 2, "only node 1 works");
    desk.join(2, Resources::slots(9));
    assert!(jobs.iter().all(|job| desk.is_running(*job)), "a node brings its slots along");
}

#[test]
fn work_goes_only_where_its_kind_is_known() {
    let mut desk = Desk::new();
    let elsewhere = desk.submission("subject", &usual());
    assert_eq!(desk.admit(elsewhere), Err(Rejection::UnknownKind(plain())));
    let only_outside =
        Abilities { kinds: [(outside(), Placement::External)].into(), capacity: Resources::slots(9) };
    desk.ok(&Command::JoinNode { node: NodeId::from_u128(7), abilities: only_outside });
    desk.join(8, Resources::slots(1));
    let here = desk.submit("a", &usual());
    let there = desk.submit("b", &class(|class| class.kind = outside()));
    let node = |job| desk.job(job).running().map(|running| (running.node, running.placement));
    assert_eq!(node(here), Some((NodeId::from_u128(8), Placement::InProcess)));
    assert_eq!(node(there), Some((NodeId::from_u128(7), Placement::External)));
}
