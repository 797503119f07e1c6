//! Damaged checkpoints of the memory backend: an error or the same content.

mod harness;

use alluvium_state_api::corruption_suite;
use harness::Memory;

corruption_suite!(Memory);
