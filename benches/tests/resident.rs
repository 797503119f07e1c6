//! The sampler of resident memory sees what a process takes: by itself, since other tests take and give back memory too.

use std::error::Error;
use std::thread;
use std::time::{Duration, Instant};

use alluvium_benches::resident::{Resident, Sampler};

/// A machine with other work may let the sampler wait.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn what_is_allocated_and_touched_is_sampled() -> Result<(), Box<dyn Error + Send + Sync>> {
    let sampler = Sampler::start()?;
    let before = Resident::now()?.anonymous;
    let touched = vec![1u8; 64 << 20];
    let began = Instant::now();
    while sampler.highest().anonymous < before + (60 << 20) {
        assert!(began.elapsed() < PATIENCE, "{} bytes were never sampled", touched.len());
        thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}
