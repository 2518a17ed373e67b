//! The check can fail: lists, scripts and pages that are wrong, and what is said about each.

use std::sync::LazyLock;

use crate::check::Checker;
use crate::packages::{self, Package};
use crate::row::{Evidence, Row, best_effort, example, guaranteed, not_promised, step, tests};
use crate::{list, page, repository};

const CI: &str = "cargo test --workspace\nstep fmt\nfor example in examples/library/examples/*.rs; do";
const KEPT: Evidence<'_> = tests("crates/core/tests/properties.rs", &["an_old_lease_never_writes"]);

static PACKAGES: LazyLock<Vec<Package>> =
    LazyLock::new(|| packages::read(&repository()).expect("it is a workspace"));

fn checker(script: &str) -> Checker {
    Checker::new(&repository(), PACKAGES.clone(), script).expect("it is a script")
}

fn complaints(script: &str, rows: &[Row<'_>]) -> Vec<String> {
    checker(script).complaints(rows)
}

/// One row with this evidence is refused, for this reason.
#[track_caller]
fn refused(script: &str, evidence: &[Evidence<'_>], reason: &str) {
    let checker = checker(script);
    let found = checker.complaints(&[guaranteed("it holds", "it breaks", evidence)]);
    assert!(found.iter().any(|what| what.starts_with("it holds: ") & what.contains(reason)), "{found:?}");
    let found = checker.complaints(&[best_effort("it holds", "there", evidence)]);
    let is_late = reason.contains("at every change");
    assert_eq!(found.is_empty(), is_late, "best effort: {found:?}");
}

#[test]
fn what_is_right_is_left_alone() {
    const ROWS: &[Row<'_>] = &[
        guaranteed("a", "b", &[KEPT, step("fmt")]),
        best_effort("c", "d", &[example("examples/library/examples/first_job.rs")]),
        not_promised("e", "f"),
    ];
    assert_eq!(complaints(CI, ROWS), [""; 0]);
}

#[test]
fn a_guarantee_without_evidence_is_refused() {
    refused(CI, &[], "nothing shows it");
    refused(CI, &[tests("crates/core/tests/properties.rs", &[])], "without a name");
}

#[test]
fn a_test_that_is_not_there_is_refused() {
    refused(
        CI,
        &[KEPT, tests("crates/core/tests/properties.rs", &["all_is_well"])],
        "has no test all_is_well",
    );
    refused(CI, &[tests("crates/core/tests/nowhere.rs", &["all_is_well"])], "there is no file");
    let elsewhere = tests("crates/core/tests/limits.rs", &["an_old_lease_never_writes"]);
    refused(CI, &[elsewhere], "it is in crates/core/tests/properties.rs");
    // A function of that file, but no test.
    refused(CI, &[tests("crates/core/tests/support/mod.rs", &["rebuilt"])], "has no test rebuilt");
    // Half of a name is none.
    refused(CI, &[tests("crates/core/tests/properties.rs", &["lease_never_writes"])], "has no test");
    refused(CI, &[example("examples/library/examples/no_job.rs")], "there is no example");
    refused(CI, &[step("prayer")], "CI has no step");
}

#[test]
fn a_test_that_nobody_runs_is_refused() {
    let is_ignored = tests("crates/trainers/prompt/tests/crash.rs", &["it_waits_for_its_end"]);
    refused(CI, &[is_ignored], "it is ignored");
    let with_feature = tests("crates/http/tests/tower.rs", &["a_service_answers_inside_tower"]);
    refused(CI, &[with_feature], "a feature keeps it out");
    let looks_away = tests("crates/trainers/trajectories/tests/dataset.rs", &["child"]);
    refused(CI, &[looks_away], "unless a variable is set");
    refused("cargo test -p trainyard-journal", &[KEPT], "CI does not run");
    refused("cargo test --workspace --exclude trainyard-core", &[KEPT], "CI does not run");
    refused("cargo test --workspace --lib", &[KEPT], "CI does not run");
    refused("cargo test --workspace --test limits", &[KEPT], "CI does not run");
    refused("cargo test --workspace another_name", &[KEPT], "CI does not run");
    refused(CI, &[example("examples/vendors/examples/photo_avatar.rs")], "CI does not run the example");
}

#[test]
fn what_keeps_a_test_out_can_be_taken_away() {
    for (script, evidence) in [
        (
            "cargo test -p trainyard-prompt -- --ignored",
            tests("crates/trainers/prompt/tests/crash.rs", &["it_waits_for_its_end"]),
        ),
        (
            "cargo test -p trainyard-http --all-features",
            tests("crates/http/tests/tower.rs", &["a_service_answers_inside_tower"]),
        ),
        (
            "cargo test -p trainyard-http --features tower --test tower",
            tests("crates/http/tests/tower.rs", &["a_service_answers_inside_tower"]),
        ),
        (
            "TRAINYARD_BUILD_IN=/mnt cargo test -p trainyard-trajectories",
            tests("crates/trainers/trajectories/tests/dataset.rs", &["child"]),
        ),
        ("cargo test -p trainyard-core --test properties an_old", KEPT),
    ] {
        for tier in checker(script).tiers(&evidence) {
            tier.unwrap_or_else(|what| panic!("{script}: {what}"));
        }
    }
}

#[test]
fn what_runs_only_at_length_is_no_guarantee_alone() {
    const LONG: &str = "if [ \"$full\" = yes ]; then\n  cargo test -p trainyard-core\n  step long\nfi";
    refused(LONG, &[KEPT], "nothing that runs at every change");
    refused(LONG, &[step("long")], "nothing that runs at every change");
    let both = format!("step fmt\n{LONG}");
    assert_eq!(complaints(&both, &[guaranteed("a", "b", &[KEPT, step("fmt")])]), [""; 0]);
}

#[test]
fn texts_must_fit_into_the_table_and_say_something_once() {
    for text in ["", " a", "a|b", "a\nb"] {
        assert_eq!(complaints(CI, &[guaranteed("a", text, &[KEPT])]).len(), 1, "{text:?}");
    }
    let twice = [guaranteed("a", "b", &[KEPT]), not_promised("a", "c")];
    assert_eq!(complaints(CI, &twice), ["a: it is there twice"]);
}

#[test]
fn a_page_without_its_marks_or_with_another_table_is_noticed() {
    let checker = Checker::of(&repository()).unwrap();
    page::renewed("# Safety", &list::rows(), &checker).unwrap_err();
    let path = repository().join("docs/SAFETY.md");
    let page = std::fs::read_to_string(path).unwrap();
    assert_ne!(page::renewed(&page, &list::rows()[1..], &checker).unwrap(), page);
    let once = page::renewed(&page, &list::rows(), &checker).unwrap();
    assert_eq!(page::renewed(&once, &list::rows(), &checker).unwrap(), once);
}
