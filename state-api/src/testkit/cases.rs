//! The one list of all cases. It generates the tests of every backend and the table [`CASES`].
//!
//! A case is a public function of its topic's file, generic over the harness. A unit test compares
//! the files with the table, so that a case that was not entered here is noticed.

/// Hands the list of cases to a macro: `alluvium_cases!([path of a macro] arguments)`.
#[doc(hidden)]
#[macro_export]
macro_rules! alluvium_cases {
    ([$($callback:tt)*] $($arguments:tt)*) => {
        $($callback)*! {
            ($($arguments)*)
            value {
                reads_what_was_set
                states_are_independent
                default_shows_where_nothing_is
                update_reads_changes_and_clears
                failed_update_changes_nothing
                modify_obeys_its_closure
                borrowed_reads
                values_of_every_shape
                values_change_their_length
                survives_growth_and_shrinking
                none_is_a_value
                default_is_not_stored
            }
            list {
                empty_where_nothing_was_added
                order_is_append_order
                adds_updates_and_clears
                visitors_stop
                size_is_the_sum_of_frames
                empty_elements_count
                long_lists
                interleaved_lists
                none_is_an_element
            }
            reducing {
                first_value_is_stored_as_is
                folds_in_order
                clear_begins_anew
                many_folds
            }
            aggregating {
                yields_its_result
                accumulators_may_grow
                clear_begins_anew
            }
            map {
                single_entries
                empty_where_nothing_is
                emptiness_follows_entries
                entries_are_ordered
                scans_from_a_lower_bound
                update_in_one_probe
                none_is_a_value
                retain_removes_and_changes
                clear_spares_neighbours
                large_maps_stay_ordered
                scans_follow_writes
                retain_at_random
                retain_may_empty_a_map
                scans_go_on_after_changes
                survives_snapshots
            }
            namespaces {
                namespaces_are_independent
                every_kind_has_namespaces
                lists_merge_target_first
                reducing_merges_sources_first
                aggregating_merges_accumulators
                merging_with_itself_loses_nothing
                merging_touches_one_key
                merging_respects_the_limit
            }
            merging {
                of_lists
                of_reducing_states
                of_immutable_accumulators
                of_mutable_accumulators
                is_unseen_by_snapshots
            }
            keys {
                enumerates_exactly_its_keys
                enumerates_keys_of_a_namespace
                enumerates_keys_and_namespaces
                map_keys_come_once
                list_keys_come_once
                enumeration_is_ordered_and_stops
                apply_may_change_what_it_visits
                foreign_keys_are_refused
                flink_placement
                entries_are_counted
                one_key_in_several_namespaces
                map_keys_come_once_per_namespace
                enumeration_survives_a_restore
            }
            batch {
                reads_in_order
                updates_in_order
                folds_in_order
                of_every_length
                error_stops_it
            }
            limits {
                of_a_value
                of_a_list
                of_a_reducing_state
                of_an_accumulator
                of_a_map_value
                refusal_says_what_and_where
                refused_migration_says_where
                default_is_two_gibibytes
                hold_after_a_restore
                lowered_ones_hold_for_what_is_replaced
                of_a_batch
            }
            migration {
                same_schema_is_used_as_is
                every_kind_migrates
                migrated_state_reaches_increments
                incompatible_values_are_refused
                kind_namespace_and_map_key_are_fixed
                keys_and_placement_are_fixed
                compatible_schema_replaces_the_old
                failed_migration_fails_the_opening
            }
            codecs {
                failing_encoders_change_nothing
                failing_decoders_are_errors
                wrong_ones_are_refused_on_restore
                bytes_are_those_of_the_codec
            }
            registration {
                after_the_synchronous_phase
                beside_a_running_snapshot
                between_two_increments
                of_restored_state_in_flight
                migration_in_flight_is_unseen
            }
            isolation {
                updates_are_unseen
                inserts_are_unseen
                deletes_are_unseen
                replacement_of_everything_is_unseen
                additions_are_unseen
                growth_is_unseen
                several_are_in_flight
                states_registered_later_are_unseen
                dropped_tasks_leave_no_trace
                cancelled_snapshots_lose_nothing
                failed_snapshots_lose_nothing
                writer_goes_on_beside_the_snapshot
                tasks_outlive_the_store
                list_replacement_is_unseen
            }
            cancellation {
                before_it_runs
                at_every_operation
                while_it_waits_for_storage
                of_one_among_several
                is_not_needed_to_get_past_a_blocked_one
            }
            release {
                each_end_counts_once
                notifications_release_nothing_twice
                several_end_in_any_order
                ended_snapshots_hold_no_memory
            }
            rereads {
                after_every_two_changes
                after_random_changes
                between_batches
            }
            snapshot {
                profile_is_true
                of_an_empty_store
                restores_every_kind_of_state
                each_shows_its_own_time
                description_is_right
                files_are_as_recorded
                compression_changes_no_content
                synchronous_is_run_at_once
                numbers_must_rise
                untouched_state_survives
                canonical_stands_alone
                inline_snapshots_have_a_limit
                of_many_blocks
                increments_are_what_the_profile_says
                of_cleared_states
            }
            increments {
                long_chains_restore_from_any_point
                unconfirmed_checkpoints_are_not_built_on
                aborted_checkpoints_lose_nothing
                failures_between_confirmations
                notifications_may_be_late_and_repeated
                bases_are_pinned_while_in_flight
                small_changes_write_little
                removals_are_recorded
                list_appends_are_recorded
                chains_go_on_after_a_restore
                foreign_files_are_not_referenced
                kinds_may_alternate
            }
            rescale {
                with_ten_groups
                with_128_groups
                with_32768_groups
                with_as_many_subtasks_as_groups
                uneven
                subtasks_may_have_different_states
                chains_cross_rescales
                parts_must_tile_the_range
                foreign_parts_are_ignored
                untouched_state_rescales
                four_to_two_and_back
                unaligned_ranges
                repeated
            }
            boundaries {
                of_one_byte
                of_two_bytes
                of_all_groups
                of_empty_groups
            }
            stamps {
                travel_with_values
                do_not_count
                are_fixed_by_the_snapshot
                belong_to_the_digest
                stay_with_merged_elements
            }
            canonical {
                order_of_writing_does_not_show
                history_does_not_show
                list_chunks_do_not_show
                survives_every_restore
                survives_rescaling
                digests_are_of_the_content
                counts_are_of_the_content
            }
            lookups {
                full_files_with_lookups_are_restored
                increments_with_lookups_are_restored
                long_lists_with_lookups_are_restored
            }
            damage {
                damage_is_noticed_or_changes_nothing
            }
            hostile {
                unknown_slots_are_refused
                operations_must_fit_the_kind
                foreign_handles_are_refused
                registration_is_idempotent
                invalid_descriptions_are_refused
                any_name_will_do
                keys_of_every_shape
                empty_values_are_values
                large_values
                key_group_scans
                completion_of_what_never_was
            }
        }
    };
}

/// One `#[test]` per case, in a module per topic, for the harness type at `$($harness)*`.
#[doc(hidden)]
#[macro_export]
macro_rules! alluvium_tests {
    (($harness:tt) $($topic:ident { $($case:ident)* })*) => {
        $(mod $topic {
            $(#[test]
            fn $case() {
                $crate::alluvium_harness!($harness, H);
                $crate::testkit::$topic::$case(&$crate::testkit::Kit::<H>::new());
            })*
        })*
    };
}

/// Names the harness from inside a topic's module.
#[doc(hidden)]
#[macro_export]
macro_rules! alluvium_harness {
    (direct, $name:ident) => {
        type $name = super::super::super::ConformanceHarness;
    };
    (boxed, $name:ident) => {
        type $name = $crate::testkit::Boxed<super::super::super::ConformanceHarness>;
    };
}

/// Instantiates every case of the conformance kit for a backend: `conformance_suite!(Harness, Profile)`.
///
/// Each case becomes one test in `conformance::direct`, over the harness's store, and one in
/// `conformance::boxed`, over `Box<dyn KeyedStore>`. The profile is what the backend's author expects:
/// a test compares it with what the harness reports, so that a promise cannot vanish silently.
#[macro_export]
macro_rules! conformance_suite {
    ($harness:ty, $profile:expr) => {
        type ConformanceHarness = $harness;

        #[test]
        fn conformance_profile_is_as_expected() {
            let harness = <ConformanceHarness as Default>::default();
            let reported = $crate::testkit::Harness::profile(&harness);
            assert_eq!(reported, $profile, "the harness reports another profile");
        }

        mod conformance {
            mod direct {
                $crate::alluvium_cases! { [$crate::alluvium_tests] direct }
            }
            mod boxed {
                $crate::alluvium_cases! { [$crate::alluvium_tests] boxed }
            }
        }
    };
}

macro_rules! table {
    (() $($topic:ident { $($case:ident)* })*) => {
        /// All cases: topic and name.
        pub const CASES: &[(&str, &str)] =
            &[$($((stringify!($topic), stringify!($case)),)*)*];
    };
}

alluvium_cases! { [table] }

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::CASES;

    macro_rules! sources {
        ($($topic:ident)*) => {
            [$((stringify!($topic), include_str!(concat!(stringify!($topic), ".rs")))),*]
        };
    }

    #[test]
    fn every_case_is_in_the_list() {
        let sources = sources! {
            value list reducing aggregating map namespaces merging keys batch limits migration codecs
            registration isolation cancellation release rereads snapshot increments rescale boundaries stamps canonical lookups damage hostile
        };
        let mut written = BTreeSet::new();
        for (topic, source) in sources {
            for line in source.lines() {
                let name = line.strip_prefix("pub fn ").and_then(|line| line.split_once('<'));
                if let Some((name, rest)) = name.filter(|(_, rest)| rest.starts_with("H: Harness>"))
                {
                    assert!(rest.contains("kit: &Kit<H>"), "{topic}::{name} is no case");
                    assert!(written.insert((topic, name)), "{topic}::{name} occurs twice");
                }
            }
        }
        let listed: BTreeSet<_> = CASES.iter().copied().collect();
        assert_eq!(listed.len(), CASES.len(), "a case is listed twice");
        assert_eq!(listed, written);
    }
}
