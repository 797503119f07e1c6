//! The sampler of resident memory sees what a process takes: by itself, since other tests take and give back memory too.

use std::error::Error;
use std::thread;
use std::time::Duration;

use alluvium_benches::resident::{Resident, Sampler};

/// Between two looks, and how many there are: a machine with other work may let the sampler wait.
const PAUSE: Duration = Duration::from_millis(20);
const LOOKS: usize = 3_000;

#[test]
fn what_is_allocated_and_touched_is_sampled() -> Result<(), Box<dyn Error + Send + Sync>> {
    let sampler = Sampler::start()?;
    let before = Resident::now()?.anonymous;
    let touched = vec![1u8; 64 << 20];
    let is_seen = (0..LOOKS).any(|_| {
        thread::sleep(PAUSE);
        sampler.highest().anonymous >= before + (60 << 20)
    });
    assert!(is_seen, "{} bytes were never sampled", touched.len());
    Ok(())
}
