//! What is promised of crashes, disks, threads and strangers.

use crate::row::{Row, guaranteed, step, tests};

pub(crate) const ROWS: &[Row<'_>] = &[
    guaranteed(
        "what was acknowledged is there after a kill at any boundary; nothing that is over runs again, and nothing twice at once",
        "a step between record, memory and answer that nobody thought of",
        &[
            tests(
                "crates/trainyard/tests/kills/main.rs",
                &["whoever_is_killed_at_any_boundary_loses_nothing"],
            ),
            tests(
                "crates/journals/sqlite/tests/faults/main.rs",
                &["a_kill_inside_of_any_call_loses_nothing"],
            ),
        ],
    ),
    guaranteed(
        "all of this holds under any mix of crashes, failing journals, jumping clocks and lying trainers",
        "an order of events that no test has by name",
        &[tests(
            "crates/testkit/tests/simulation.rs",
            &[
                "thousands_of_seeds_hold",
                "longer_lives_hold",
                "every_fault_is_injected",
                "the_same_seed_is_the_same_world",
            ],
        )],
    ),
    guaranteed(
        "a cooldown holds, whatever fails",
        "a firing that is forgotten in a crash; an observation told twice",
        &[
            tests("crates/testkit/tests/simulation.rs", &["cooldowns_hold_whatever_fails"]),
            tests("crates/testkit/tests/checker.rs", &["a_rule_that_fires_in_its_cooldown_is_noticed"]),
        ],
    ),
    guaranteed(
        "once nothing fails any more, everything ends",
        "a job that nobody starts, a slot that nobody gives back",
        &[tests(
            "crates/testkit/tests/checker.rs",
            &["whoever_hangs_is_healed_in_the_end", "what_never_ends_is_noticed"],
        )],
    ),
    guaranteed(
        "a disk that fails at any call is told of, and loses nothing",
        "an error that is swallowed; a state in memory that the disk does not have",
        &[tests(
            "crates/journals/sqlite/tests/faults/main.rs",
            &[
                "any_call_that_fails_once_is_told_and_loses_nothing",
                "a_checkpoint_within_a_commit_may_fail",
                "a_write_that_is_cut_short_is_finished",
            ],
        )],
    ),
    guaranteed(
        "a full disk is said to be full, and once there is room it goes on",
        "a half-written record; a log that cannot grow",
        &[
            tests(
                "crates/journals/sqlite/tests/faults/main.rs",
                &[
                    "a_disk_that_is_full_for_a_moment_is_said_to_be_full",
                    "a_disk_that_is_full_stays_full_until_there_is_room_and_loses_nothing",
                ],
            ),
            tests("crates/journals/sqlite/tests/damage.rs", &["a_real_disk_that_is_full_loses_nothing"]),
        ],
    ),
    guaranteed(
        "after a sync that failed nothing is acknowledged until the journal is opened again",
        "a second sync that says `Ok` about pages that the system has dropped",
        &[tests(
            "crates/journals/sqlite/tests/faults/main.rs",
            &["after_a_sync_that_failed_nothing_is_acknowledged"],
        )],
    ),
    guaranteed(
        "a flipped bit or a cut anywhere in the file or its log is refused, or changes nothing",
        "SQLite, which reads on in zeros, or takes damage in a log for its end",
        &[
            tests(
                "crates/journals/sqlite/tests/regions.rs",
                &[
                    "a_flipped_bit_anywhere_in_the_file_is_found_or_changes_nothing",
                    "a_file_that_was_cut_anywhere_is_refused",
                    "a_file_that_is_damaged_beneath_a_log_is_refused_or_nothing_is_different",
                    "a_flipped_bit_in_the_log_is_refused_unless_it_is_in_the_last_commit",
                    "a_log_that_was_cut_off_ends_with_the_last_commit_that_is_whole",
                    "a_log_that_was_begun_anew_has_no_hole",
                ],
            ),
            tests(
                "crates/journals/sqlite/tests/damage.rs",
                &["a_write_ahead_log_that_was_left_is_not_lost_unnoticed"],
            ),
        ],
    ),
    guaranteed(
        "`verify` finds the damage, and changes nothing",
        "a look that repairs, or moves the log",
        &[
            tests(
                "crates/journals/sqlite/tests/regions.rs",
                &["what_a_killed_process_has_left_is_verified_and_not_changed"],
            ),
            tests(
                "examples/vendors/examples/serve/verify.rs",
                &["it_says_whether_the_journal_is_whole_and_where_it_is_not"],
            ),
        ],
    ),
    guaranteed(
        "jobs that are submitted in one call are each answered for themselves, once all of them are on disk",
        "an answer for a part; one that is refused and keeps the others out",
        &[tests(
            "crates/runtime/tests/bulk.rs",
            &[
                "each_is_answered_for_itself_and_in_order",
                "ten_thousand_share_a_commit",
                "nobody_is_told_that_it_went_well_when_the_journal_fails",
            ],
        )],
    ),
    guaranteed(
        "whoever asks is answered, whatever becomes of the yard",
        "a call that comes while the inbox is being closed; a wake-up that is lost",
        &[
            tests(
                "crates/runtime/tests/shuttle/asking.rs",
                &[
                    "all_are_answered_and_every_job_runs_once",
                    "all_are_answered_when_the_yard_is_shut_down_in_between",
                    "all_are_answered_when_the_journal_fails_in_the_middle",
                    "all_are_answered_when_the_last_handle_is_dropped",
                ],
            ),
            tests(
                "crates/runtime/src/shuttled/inbox.rs",
                &["a_call_that_comes_while_the_inbox_is_closed_is_answered"],
            ),
        ],
    ),
    guaranteed(
        "nobody waits for ever for a job's end",
        "an end between the look and the wait",
        &[tests(
            "crates/runtime/tests/shuttle/waiting.rs",
            &[
                "all_are_told_of_the_end",
                "all_are_told_the_same_of_a_job_that_is_taken_back",
                "all_are_told_that_the_yard_has_stopped",
            ],
        )],
    ),
    guaranteed(
        "a subscriber has every revision, or is told how many it missed",
        "a change that is published while somebody subscribes",
        &[
            tests(
                "crates/runtime/tests/shuttle/told.rs",
                &["revisions_have_no_gaps_and_nothing_is_told_of_the_dead"],
            ),
            tests("crates/runtime/src/shuttled/board.rs", &["nothing_is_told_of_a_run_that_has_left"]),
            tests(
                "crates/runtime/src/shuttled/hub.rs",
                &["a_future_that_begins_to_wait_is_woken", "a_thread_that_begins_to_wait_is_woken"],
            ),
        ],
    ),
    guaranteed(
        "a run that has lost its right writes no more, however threads are ordered",
        "a checkpoint beside a cancel",
        &[tests(
            "crates/runtime/tests/shuttle/trainers.rs",
            &[
                "what_is_taken_back_writes_no_more",
                "whoever_does_not_stop_is_fenced_off",
                "of_those_that_reach_the_target_one_wins",
            ],
        )],
    ),
    guaranteed(
        "a jump of the clock is noticed by a driver that sleeps",
        "an alarm that rings just before it goes to sleep",
        &[tests(
            "crates/runtime/tests/shuttle/trainers.rs",
            &["a_clock_that_jumps_wakes_the_driver", "who_waits_in_line_too_long_is_told_by_the_alarm_alone"],
        )],
    ),
    guaranteed(
        "leaving waits for nobody beyond its deadline",
        "a trainer that does not return; two who leave at once",
        &[tests(
            "crates/runtime/tests/shuttle/leaving.rs",
            &[
                "a_trainer_that_does_not_return_holds_nobody_up",
                "of_several_who_shut_down_one_has_the_report",
                "the_last_handle_may_go_while_the_yard_is_left",
            ],
        )],
    ),
    guaranteed(
        "a run that is started has a thread of its own at once, and runs once",
        "a thread that goes just as it is given something",
        &[tests(
            "crates/runtime/src/shuttled/pool.rs",
            &["every_task_runs_once_and_every_thread_ends", "whoever_takes_for_ever_keeps_nobody_waiting"],
        )],
    ),
    guaranteed(
        "a status that is kept is that of the newest committed state",
        "a text that outlives the commit it tells of",
        &[
            tests("crates/testkit/tests/glances.rs", &["it_is_made_anew_after_every_change_and_only_then"]),
            tests(
                "crates/runtime/tests/editions.rs",
                &["one_edition_is_one_state_and_whoever_was_acknowledged_sees_a_later_one"],
            ),
            tests(
                "crates/adapters/mathfi/tests/errors.rs",
                &["the_progress_of_a_contest_that_is_over_stays_its_owners_and_goes_with_it"],
            ),
            tests(
                "crates/adapters/eliza/tests/kept_answers.rs",
                &["what_was_noted_before_somebody_asks_is_told_while_others_ask_too"],
            ),
            tests(
                "crates/adapters/heygen/tests/kept_answers.rs",
                &["a_status_is_told_anew_after_each_change", "nobody_is_told_of_another_group"],
            ),
        ],
    ),
    guaranteed(
        "all bodies together have a bound in memory, and so have all answers that nobody takes; what the allocator keeps of what was given back comes on top",
        "a thousand uploads at once; a client that asks and never reads",
        &[
            tests(
                "crates/http/tests/room.rs",
                &[
                    "however_many_bodies_come_at_once_memory_has_its_bound",
                    "a_body_that_finds_no_room_is_refused_and_nobody_else_is",
                    "an_answer_that_finds_no_room_becomes_a_503",
                ],
            ),
            tests(
                "crates/server/tests/memory.rs",
                &["many_of_the_worst_bodies_at_once_have_a_bound_of_memory"],
            ),
            tests("crates/http/tests/hostile.rs", &["whoever_asks_and_asks_and_takes_no_answer_is_cut"]),
        ],
    ),
    guaranteed(
        "a crowd of connections holds nobody up",
        "ten thousand that say nothing; those who drip",
        &[tests(
            "crates/http/tests/crowd.rs",
            &[
                "ten_thousand_idle_connections_cost_little_and_hold_nobody_up",
                "a_crowd_beyond_the_limit_waits_and_an_honest_client_has_its_turn",
                "whoever_drips_is_cut_and_everybody_else_is_served_meanwhile",
            ],
        )],
    ),
    guaranteed(
        "no second request is smuggled in a first, and what is no request reaches no service",
        "two lengths in one head; garbage behind a request",
        &[tests(
            "crates/http/tests/hostile.rs",
            &[
                "no_second_request_is_smuggled_in_a_first",
                "what_is_no_request_is_refused_and_the_connection_closed",
                "garbage_behind_requests_is_refused_after_their_answers",
            ],
        )],
    ),
    guaranteed(
        "a body that nobody means is refused on every wire, and the server goes on",
        "a million keys, a million levels",
        &[
            tests(
                "crates/server/tests/hostile_bodies.rs",
                &["what_nobody_means_is_refused_on_every_wire_and_the_server_goes_on"],
            ),
            step("fuzzers"),
        ],
    ),
    guaranteed(
        "what an adapter answers is what its OpenAPI document says, and nothing that it lets be sent is a 5xx",
        "a route, status or member that the document does not know",
        &[
            tests(
                "crates/server/tests/openapi.rs",
                &["nothing_that_the_documents_tell_of_breaks_the_service_or_is_answered_otherwise"],
            ),
            tests("crates/adapters/cyborgdb/src/routes.rs", &["the_document_has_every_route_and_no_other"]),
            tests("crates/adapters/eliza/src/routes.rs", &["the_document_has_every_route_and_no_other"]),
            tests("crates/adapters/heygen/src/routes.rs", &["the_document_has_every_route_and_no_other"]),
            tests("crates/adapters/mathfi/src/routes.rs", &["the_document_has_every_route_and_no_other"]),
            tests("crates/testkit/src/openapi.rs", &["answers_are_held_against_the_document"]),
        ],
    ),
    guaranteed(
        "what is for tests alone does not reach a user",
        "features that unify over a workspace",
        &[step("no failpoint and no checker of schedules reaches a user")],
    ),
];
