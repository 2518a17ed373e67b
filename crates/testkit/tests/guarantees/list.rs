//! What is promised, and what is not. `docs/SAFETY.md` is made from this list.
//!
//! To add a promise, add a row: `guaranteed(promise, how it could be broken, who stands guard)`,
//! `best_effort(promise, where it ends, who stands guard)` or `not_promised(what one might think, why not)`. Then
//! `TRAINYARD_RENEW_FIXTURES=1 cargo test -p trainyard-testkit --test guarantees`, and read the diff of the page.

use crate::faults;
use crate::row::{Row, best_effort, example, guaranteed, not_promised, step, tests};

/// All rows.
pub(crate) fn rows() -> Vec<Row<'static>> {
    [ROWS, faults::ROWS].concat()
}

const ROWS: &[Row<'_>] = &[
    guaranteed(
        "what was acknowledged is there after a crash",
        "an answer ahead of the disk; a commit that was torn",
        &[
            // SIGKILL in the middle of commits.
            tests("crates/journals/sqlite/tests/crash.rs", &["what_was_acknowledged_before_a_kill_is_there"]),
            tests("crates/runtime/tests/crash.rs", &["a_failing_journal_stops_the_yard_and_loses_nothing"]),
            tests("crates/journals/sqlite/tests/conformance.rs", &["the_sqlite_journal_conforms"]),
            tests("crates/testkit/tests/memory_journal.rs", &["the_journal_in_memory_conforms"]),
        ],
    ),
    guaranteed(
        "nothing is seen that is not on disk",
        "a reader of the driver's private yard; a run started before its record",
        &[tests(
            "crates/runtime/tests/crash.rs",
            &[
                "a_failing_journal_stops_the_yard_and_loses_nothing",
                "a_checkpoint_that_was_not_written_is_no_checkpoint",
            ],
        )],
    ),
    guaranteed(
        "a job ends once, and its outcome never changes",
        "a rescuer that writes over a finished job; a slow trainer of an older attempt",
        &[tests(
            "crates/core/tests/properties.rs",
            &["leases_grow_outcomes_are_final_and_nothing_is_lost", "an_old_lease_never_writes"],
        )],
    ),
    guaranteed(
        "no job is lost",
        "a queue that forgets, a requeue that fails",
        &[tests(
            "crates/core/tests/properties.rs",
            &["leases_grow_outcomes_are_final_and_nothing_is_lost", "once_the_world_behaves_everything_ends"],
        )],
    ),
    guaranteed(
        "a request that is sent twice is one job",
        "a retry whose first answer was lost",
        &[tests("crates/core/tests/admission.rs", &["a_request_sent_twice_is_one_job"])],
    ),
    guaranteed(
        "what a crash left running goes on at the next open, from its checkpoint",
        "waiting for a timeout; starting from scratch",
        &[
            tests(
                "crates/runtime/tests/crash.rs",
                &["an_attempt_goes_on_from_its_checkpoint_after_a_crash", "a_contest_goes_on_too"],
            ),
            tests("crates/server/tests/crash.rs", &["a_killed_server_goes_on_with_its_training"]),
            tests("crates/server/tests/heygen_crash.rs", &["a_killed_portrait_goes_on_from_its_checkpoint"]),
            example("examples/library/examples/survive_a_crash.rs"),
        ],
    ),
    guaranteed(
        "a log rebuilds the yard that wrote it, and so does a snapshot",
        "a decision that reads something that is no fact",
        &[
            tests("crates/core/tests/properties.rs", &["replaying_the_facts_rebuilds_the_yard"]),
            tests("crates/runtime/tests/drivers.rs", &["drivers_that_share_a_journal_act_as_one"]),
            tests("crates/journals/sqlite/tests/conformance.rs", &["the_sqlite_journal_conforms"]),
            tests("crates/testkit/tests/memory_journal.rs", &["the_journal_in_memory_conforms"]),
        ],
    ),
    guaranteed(
        "the core decides by its facts alone: it has no clock, no chance and no I/O",
        "a dependency that brings one in, as features unify over a workspace",
        &[step("the core alone, without default features"), step("clippy")],
    ),
    guaranteed(
        "slots, queue limits and subjects are never oversubscribed",
        "a thread that was told to stop and works on, while its slot is given away; two subjects with one hash",
        &[
            tests(
                "crates/core/tests/properties.rs",
                &["slots_queues_and_subjects_are_never_oversubscribed", "starts_respect_every_limit"],
            ),
            tests("crates/runtime/tests/stopping.rs", &["a_trainer_that_does_not_stop_loses_its_slot"]),
            tests(
                "crates/core/src/yard/schedule.rs",
                &["a_subject_that_shares_its_number_is_not_started_twice"],
            ),
        ],
    ),
    guaranteed(
        "whatever holds a job back has a name, and nobody waits for ever behind smaller ones",
        "a demand that is larger than what gets free at a time",
        &[
            tests("crates/core/tests/properties.rs", &["a_waiting_job_is_explained_and_only_then"]),
            tests(
                "crates/core/tests/scheduling.rs",
                &["a_big_job_is_not_starved_by_small_ones", "whoever_has_waited_long_is_kept_room_for"],
            ),
        ],
    ),
    guaranteed(
        "a damaged journal is refused or mended loudly, never read wrongly",
        "a flipped bit, a missing row, a cut file",
        &[tests(
            "crates/journals/sqlite/tests/damage.rs",
            &[
                "any_flipped_byte_of_a_row_is_found",
                "a_flipped_byte_anywhere_never_goes_unnoticed_where_it_matters",
                "a_missing_record_is_found",
                "a_damaged_snapshot_is_found",
                "a_cut_file_is_refused",
            ],
        )],
    ),
    guaranteed(
        "a log that contradicts itself is refused, and it is said where",
        "a record that was passed over, or one of another history",
        &[tests(
            "crates/core/tests/impossible.rs",
            &[
                "a_job_comes_once_and_ends_once",
                "who_is_not_there_does_nothing",
                "who_is_not_at_work_is_neither_interrupted_nor_found",
                "a_contest_is_about_candidates_that_it_has",
            ],
        )],
    ),
    guaranteed(
        "a journal of another release is read rightly or refused",
        "a letter of the alphabet that changes its meaning",
        &[
            tests(
                "crates/journal/tests/fixtures.rs",
                &[
                    "version_1_decodes_to_what_it_was",
                    "every_event_is_in_the_fixture",
                    "facts_are_shown_as_they_were",
                ],
            ),
            tests(
                "crates/journals/sqlite/tests/opening.rs",
                &["a_record_of_a_newer_release_is_refused_at_opening", "an_unknown_format_is_refused"],
            ),
        ],
    ),
    guaranteed(
        "one data folder has one owner",
        "two processes that both write",
        &[
            tests("crates/journals/sqlite/tests/opening.rs", &["a_second_opener_is_told_who_has_it"]),
            tests("crates/runtime/tests/crash.rs", &["two_processes_cannot_be_one_node"]),
            tests("crates/server/tests/crash.rs", &["a_folder_that_another_process_has_is_refused"]),
        ],
    ),
    guaranteed(
        "an upsert that was answered is in the index, before, during and after a training",
        "a swap that forgets what arrived in the meantime",
        &[
            tests("crates/trainers/ivf/tests/live.rs", &["nothing_is_lost_while_models_come_and_go"]),
            tests(
                "crates/trainers/ivf/tests/index.rs",
                &["it_is_a_map_with_search", "an_upsert_reports_what_it_did"],
            ),
            tests("crates/server/tests/crash.rs", &["a_killed_server_goes_on_with_its_training"]),
        ],
    ),
    guaranteed(
        "a deleted index never comes back, nor under the same name",
        "a training that ends late",
        &[tests("crates/server/tests/life.rs", &["what_is_deleted_while_it_trains_never_comes_back"])],
    ),
    guaranteed(
        "a contest goes on after a crash: one champion, standings that never fall back",
        "a candidate that starts anew, or says again what it had said",
        &[
            tests(
                "crates/runtime/tests/contests.rs",
                &["a_contest_survives_crashes", "a_crash_at_any_commit_takes_nothing_back"],
            ),
            tests(
                "crates/core/tests/standings.rs",
                &[
                    "a_standing_goes_as_it_does_by_hand",
                    "what_is_shown_again_after_a_crash_is_heard_and_not_counted_twice",
                    "who_is_shown_to_fall_behind_is_not_put_out_by_what_it_repeats",
                ],
            ),
            tests("crates/core/tests/contests.rs", &["what_has_ended_never_changes_and_one_wins_at_most"]),
            // SIGKILL.
            tests(
                "crates/server/tests/mathfi_crash.rs",
                &[
                    "a_killed_contest_goes_on_and_has_one_champion",
                    "a_killed_contest_is_won_by_a_real_algorithm",
                ],
            ),
        ],
    ),
    guaranteed(
        "a contest with a time limit never hangs",
        "a candidate that was put out and whose thread does not end; one that has reached the target and never hands \
         over",
        &[
            tests(
                "crates/core/tests/leaving.rs",
                &[
                    "whoever_is_put_out_has_its_grace_and_is_then_given_up",
                    "when_the_last_thread_hangs_whoever_is_still_in_starts_again",
                    "an_older_snapshot_does_not_let_anybody_hang_for_ever",
                    "time_alone_leads_out_of_a_contest_in_which_nobody_can_act",
                ],
            ),
            tests(
                "crates/core/tests/reaching.rs",
                &[
                    "who_never_hands_over_is_out_when_the_grace_after_the_time_limit_is",
                    "who_has_handed_over_wins_when_the_holder_does_not_in_time",
                ],
            ),
            tests(
                "crates/runtime/tests/contests.rs",
                &["a_candidate_that_hangs_is_given_up_and_the_others_go_on"],
            ),
        ],
    ),
    guaranteed(
        "the first to reach the target wins",
        "another that hands over sooner, a stall or time limit in between, a crash",
        &[
            tests(
                "crates/core/tests/reaching.rs",
                &[
                    "the_first_to_reach_wins_though_another_hands_over_sooner_and_does_better",
                    "who_has_reached_does_not_stall_and_the_others_do",
                    "the_time_limit_ends_the_others_and_leaves_whoever_has_reached_its_grace",
                    "a_crash_takes_nothing_from_whoever_holds_the_win",
                    "a_snapshot_tells_who_has_reached_and_in_which_order",
                ],
            ),
            tests("crates/core/tests/contests.rs", &["a_contest_goes_as_it_does_by_hand"]),
            tests(
                "crates/runtime/tests/contests.rs",
                &[
                    "the_first_to_reach_the_target_wins_however_long_it_takes_to_hand_over",
                    "the_order_of_reaching_survives_a_crash",
                ],
            ),
        ],
    ),
    guaranteed(
        "an upload is whole or not there",
        "a body that breaks off, a kill in the middle",
        &[
            tests(
                "crates/server/tests/mathfi_crash.rs",
                &["a_killed_upload_leaves_a_dataset_that_can_be_filled"],
            ),
            tests(
                "crates/server/tests/heygen_crash.rs",
                &["a_killed_upload_leaves_nothing_and_what_nobody_knows_goes"],
            ),
            tests(
                "crates/adapters/mathfi/tests/uploads.rs",
                &[
                    "whatever_the_pieces_the_file_is_the_same",
                    "an_upload_that_breaks_off_leaves_the_dataset_pending",
                    "of_two_uploads_at_once_one_wins",
                    "a_full_disk_is_told_as_such_and_the_upload_can_be_sent_again",
                ],
            ),
        ],
    ),
    guaranteed(
        "a child process that trains outlives the process that started it, and is found again; another one with its \
         number is never touched",
        "a pid that was given away anew; a start that was cut short; a record that is damaged",
        &[
            // The service is ended by SIGKILL.
            tests(
                "crates/executors/process/tests/restarts.rs",
                &[
                    "the_same_process_goes_on_after_its_service_was_killed",
                    "the_same_process_goes_on_after_a_shutdown",
                    "another_process_that_has_got_its_number_is_left_alone",
                    "one_whose_start_was_cut_short_is_started_under_the_same_lease",
                    "one_whose_record_cannot_be_read_is_ended_and_begun_anew",
                ],
            ),
            tests(
                "crates/server/tests/eliza_crash.rs",
                &["a_program_goes_on_while_nobody_is_there_and_is_found_again"],
            ),
        ],
    ),
    guaranteed(
        "no process is left at work that no job needs",
        "a cancel while nobody watched; grandchildren",
        &[
            tests(
                "crates/executors/process/tests/restarts.rs",
                &["a_process_whose_job_was_cancelled_meanwhile_is_cleared_away"],
            ),
            tests(
                "crates/executors/process/tests/stopping.rs",
                &["a_stubborn_process_is_killed_with_its_children"],
            ),
        ],
    ),
    guaranteed(
        "a dataset of trajectories is whole or not listed",
        "a kill, or a full disk, in the middle of its files",
        &[
            tests(
                "crates/trainers/trajectories/tests/dataset.rs",
                &[
                    "whoever_is_killed_leaves_nothing_that_is_listed",
                    "a_full_disk_is_told_and_leaves_nothing",
                ],
            ),
            tests("crates/server/tests/eliza_crash.rs", &["half_a_dataset_is_none"]),
        ],
    ),
    guaranteed(
        "a trajectory counts once for its task",
        "sent twice, a crash between the record and the count",
        &[
            tests(
                "crates/server/tests/eliza_crash.rs",
                &["trajectories_that_were_answered_are_there_and_count_once"],
            ),
            tests(
                "crates/server/tests/eliza_auto.rs",
                &["the_threshold_fires_once_and_then_the_cooldown_holds"],
            ),
        ],
    ),
    guaranteed(
        "an answer of a language model that has come in is not paid for again",
        "a crash between the answer and its record",
        &[
            // SIGKILL. What was in flight at that moment is asked again, and nothing else.
            tests(
                "crates/trainers/prompt/tests/crash.rs",
                &["a_killed_process_has_paid_for_nothing_in_vain"],
            ),
        ],
    ),
    guaranteed(
        "no file is left that no record names",
        "a crash between two steps",
        &[tests("crates/runtime/tests/world.rs", &["folders_that_no_record_names_are_removed"])],
    ),
    best_effort(
        "nothing private gets into a file that trainers read",
        "at a spelling that the filter does not know; the documentation of `trainyard-trajectories` says what it \
         does not know",
        &[
            tests(
                "crates/trainers/trajectories/tests/privacy/main.rs",
                &[
                    "nothing_of_a_trajectory_is_passed_over",
                    "known_secrets_go_in_any_wrapping_and_are_not_shown",
                    "a_secret_survives_nowhere",
                    "an_address_or_a_number_survives_nowhere",
                ],
            ),
            tests(
                "crates/trainers/trajectories/tests/sample.rs",
                &["nothing_private_of_it_gets_into_a_dataset"],
            ),
        ],
    ),
    not_promised(
        "what was acknowledged is there after a power cut",
        "only the end of the process has been tried. SQLite runs with `synchronous=FULL`; the rest is the disk's word",
    ),
    not_promised(
        "live progress (step, loss, message) survives a crash",
        "it is not durable. Performances, checkpoints and outcomes are",
    ),
    not_promised(
        "a trainer runs a piece of work once",
        "what it did after its last checkpoint is done again after a crash",
    ),
    not_promised(
        "a child process outlives the machine",
        "a restart of the machine ends every one of them; their jobs go on from their checkpoints",
    ),
    not_promised(
        "whatever a child process starts ends with its job",
        "what makes a session of its own (`setsid`) is not followed there",
    ),
    not_promised(
        "a thread that does not stop is killed",
        "it cannot be. It is fenced off, its slot is given away, and it is reported and counted; it stays until the \
         process ends",
    ),
    not_promised(
        "a copy of the data folder is a backup",
        "not when its files were copied while the process ran; the README says how to make one",
    ),
];
