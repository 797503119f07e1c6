//! The one list of all cases. It generates the tests of every storage and the table
//! [`STORAGE_CASES`].
//!
//! A case is a public function of its topic's file, generic over the harness. A unit test compares
//! the files with the table, so that a case that was not entered here is noticed.

/// Hands the list of cases to a macro: `alluvium_storage_cases!([path of a macro] arguments)`.
#[doc(hidden)]
#[macro_export]
macro_rules! alluvium_storage_cases {
    ([$($callback:tt)*] $($arguments:tt)*) => {
        $($callback)*! {
            ($($arguments)*)
            lifecycle {
                a_fresh_storage_is_empty
                what_is_published_is_listed_loaded_and_read
                an_open_attempt_is_no_checkpoint
                published_is_immutable
                any_number_will_do
                metadata_of_any_size
                metadata_beyond_measure_is_refused
                two_jobs_side_by_side
                any_job_name_will_do
            }
            attempts {
                an_aborted_attempt_leaves_nothing_and_stops_its_writers
                aborts_may_be_repeated
                a_published_attempt_cannot_be_aborted_or_written_to
                a_dropped_writer_leaves_nothing
                an_abort_removes_only_its_own
                files_of_several_processes_make_one_checkpoint
                equal_metadata_is_ones_own
                an_attempt_ends_once
                dropping_an_attempt_removes_nothing
            }
            files {
                the_inline_threshold_is_inclusive
                any_sizes_of_pieces_give_the_same_file
                names_never_repeat
                reading_at_any_offset
                another_length_or_checksum_is_noticed
                missing_and_changed_files_are_noticed
                files_are_taken_over_from_anywhere
                what_cannot_be_taken_over_leaves_nothing
            }
            pointers {
                places_and_their_metadata_are_pointers
                wrong_pointers_are_refused
                what_was_never_completed_is_not_found
                a_file_is_no_checkpoint
            }
            savepoints {
                the_target_beats_the_configured_place
                all_files_are_in_one_place
                savepoints_are_no_checkpoints
                an_aborted_savepoint_leaves_nothing
                a_savepoint_is_discarded_by_its_list
                an_interrupted_disposal_goes_on
                awkward_targets
                a_savepoint_outlives_the_job
            }
            removal {
                discarding_can_be_repeated
                shared_files_stay_until_they_are_listed
                unpublished_leftovers_are_discarded
                an_interrupted_discard_goes_on
                a_discarded_number_is_free
                a_survey_finds_everything
                junk_is_ignored_and_stays
            }
            strays {
                a_late_file_is_found_and_removed
                foreign_names_are_refused
                savepoints_are_found_complete_or_not
                a_half_disposed_savepoint_is_found
                without_a_place_there_are_no_savepoints
            }
            races {
                of_many_publishers_one_wins
                publication_and_abort_exclude_each_other
                an_abort_stops_writers_at_any_time
                subtasks_write_at_once
                discards_do_not_disturb_each_other
            }
        }
    };
}

/// One `#[test]` per case, in a module per topic.
#[doc(hidden)]
#[macro_export]
macro_rules! alluvium_storage_tests {
    (() $($topic:ident { $($case:ident)* })*) => {
        $(mod $topic {
            $(#[test]
            fn $case() {
                let harness = <super::super::StorageUnderTest as Default>::default();
                $crate::testkit::storages::$topic::$case(&harness);
            })*
        })*
    };
}

/// Instantiates every case for a storage: `storage_suite!(Harness, Profile)`. Each becomes one test, in
/// the module `storages`. A test compares the profile with what the harness reports.
#[macro_export]
macro_rules! storage_suite {
    ($harness:ty, $profile:expr) => {
        type StorageUnderTest = $harness;

        #[test]
        fn storage_profile_is_as_expected() {
            let harness = <StorageUnderTest as Default>::default();
            let reported = $crate::testkit::storages::StorageHarness::profile(&harness);
            assert_eq!(reported, $profile, "the harness reports another profile");
        }

        mod storages {
            $crate::alluvium_storage_cases! { [$crate::alluvium_storage_tests] }
        }
    };
}

macro_rules! table {
    (() $($topic:ident { $($case:ident)* })*) => {
        /// All cases: topic and name.
        pub const STORAGE_CASES: &[(&str, &str)] =
            &[$($((stringify!($topic), stringify!($case)),)*)*];
    };
}

alluvium_storage_cases! { [table] }

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::STORAGE_CASES;

    macro_rules! sources {
        ($($topic:ident)*) => {
            [$((stringify!($topic), include_str!(concat!(stringify!($topic), ".rs")))),*]
        };
    }

    #[test]
    fn every_case_is_in_the_list() {
        let sources = sources! {
            lifecycle attempts files pointers savepoints removal strays races
        };
        let mut written = BTreeSet::new();
        for (topic, source) in sources {
            for line in source.lines() {
                let name = line.strip_prefix("pub fn ").and_then(|line| line.split_once('<'));
                if let Some((name, _)) = name {
                    assert!(written.insert((topic, name)), "{topic}::{name} occurs twice");
                }
            }
        }
        let listed: BTreeSet<_> = STORAGE_CASES.iter().copied().collect();
        assert_eq!(listed.len(), STORAGE_CASES.len(), "a case is listed twice");
        assert_eq!(listed, written);
    }
}
