#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| alluvium_state_api::testkit::fuzz::lookups(bytes));
