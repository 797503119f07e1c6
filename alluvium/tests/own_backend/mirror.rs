//! The backends against each other: everything that the kit and the model do is done to two stores at
//! once, and every answer and every snapshot is compared.

use alluvium_state_api::conformance_suite;
use alluvium_state_api::testkit::mirror::{Mirror, mirror_profile};
use alluvium_state_api::testkit::{Boxed, Harness};

use super::harness::Memory;
use super::{Own, PROFILE as OWN};

conformance_suite!(Mirror<Memory, Own>, mirror_profile(Memory.profile(), OWN));

/// One random stream over two stores, which the model holds against what they should have.
macro_rules! random_streams {
    ($($name:ident: $first:ty, $second:ty;)*) => {
        mod random_streams {
            use super::*;

            $(mod $name {
                use super::*;

                alluvium_state_api::model_suite!(Mirror<$first, $second>, 32);
            })*
        }
    };
}

random_streams! {
    memory_and_own: Memory, Own;
    own_and_memory: Own, Memory;
    memory_and_memory: Memory, Memory;
    boxed_memory_and_own: Boxed<Memory>, Boxed<Own>;
    memory_and_boxed_memory: Memory, Boxed<Memory>;
}
