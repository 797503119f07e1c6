//! Object stores that fail: a wrapper that answers wrongly, late or not at all, and its own tests.
#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests, which should fail where something is amiss"
)]

mod faulty;
