//! The conformance kit over the memory backend, static and boxed, and its random sequences.

mod harness;

use alluvium_state_api::{conformance_suite, fault_suite, model_suite};
use harness::{Memory, PROFILE};

conformance_suite!(Memory, PROFILE);
model_suite!(Memory);
fault_suite!(Memory);
