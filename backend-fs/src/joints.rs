//! [`Joints`]: the joint lookups of all key groups and states, made when somebody asks for them, or ahead of that.
//!
//! # Why ahead
//! After a restore from a chain of checkpoints the first read of each key group would have to make its joint lookup
//! before it is answered. [`JoinAhead`] makes them on a thread beside the reader, who makes what is not there yet
//! when it asks: nobody waits for anybody.
//!
//! # Invariants
//! J4. A joint lookup is about the segments that it was made of. Segments that change get new `Joints`, and whoever still
//!     makes the old ones ahead ends, as nobody else has them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use alluvium_state_api::snapshot::CancelToken;
use alluvium_state_api::{KeyGroup, Result, Slot};

use crate::joint::Joint;
use crate::levels::Levels;
use crate::segment::BlockCache;

/// Memory for joint lookups. Who finds no more of it asks segment after segment.
const MOST_BYTES: usize = 32 << 20;
/// A key group with fewer segments than these needs none.
const FEWEST_SEGMENTS: usize = 3;

/// The joint lookup of a key group, once it was made; `None` where there is nothing to join.
type Lookup = OnceLock<Option<Box<Joint>>>;

/// Joint lookups; see the module's page.
#[derive(Debug, Default)]
pub(crate) struct Joints {
    /// By slot, then by key group.
    lookups: Vec<Box<[Lookup]>>,
    /// Bytes of memory of those that were made.
    bytes: AtomicUsize,
}

impl Joints {
    /// None yet, for so many states and key groups.
    pub(crate) fn new(states: usize, groups: usize) -> Self {
        let empty = || (0..groups).map(|_| Lookup::new()).collect();
        Self { lookups: (0..states).map(|_| empty()).collect(), bytes: AtomicUsize::new(0) }
    }

    /// Bytes of memory.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed) as u64
    }

    /// What the small sections of a key group have of a state.
    ///
    /// # Errors
    /// As [`Joint::read`].
    #[inline]
    pub(crate) fn of(
        &self,
        levels: &Levels,
        cache: &mut BlockCache,
        slot: Slot,
        group: KeyGroup,
    ) -> Result<Option<&Joint>> {
        if levels.of(group).len() < FEWEST_SEGMENTS {
            return Ok(None);
        }
        let groups = self.lookups.get(slot.index());
        let Some(lookup) = groups.and_then(|groups| groups.get(levels.index_of(group))) else {
            return Ok(None);
        };
        match lookup.get() {
            Some(joint) => Ok(joint.as_deref()),
            None => self.make(lookup, || levels.join(cache, slot, group)),
        }
    }

    /// Makes a joint lookup. Where somebody else has made it by then, theirs stays.
    #[cold]
    fn make<'s>(
        &self,
        lookup: &'s Lookup,
        join: impl FnOnce() -> Result<Option<Joint>>,
    ) -> Result<Option<&'s Joint>> {
        let room = self.bytes.load(Ordering::Relaxed) < MOST_BYTES;
        let joint = if room { join()?.map(Box::new) } else { None };
        let bytes = joint.as_ref().map_or(0, |joint| joint.bytes());
        if lookup.set(joint).is_ok() {
            self.bytes.fetch_add(bytes, Ordering::Relaxed);
        }
        Ok(lookup.get().and_then(Option::as_deref))
    }
}

/// Makes joint lookups ahead of who asks for them; see the module's page.
#[derive(Debug)]
pub(crate) struct JoinAhead {
    levels: Levels,
    joints: Arc<Joints>,
}

impl JoinAhead {
    /// Those of segments that are mapped, if there are enough; what is read instead would take cache from others.
    pub(crate) fn of(levels: &Levels, joints: &Arc<Joints>) -> Option<Self> {
        let are_mapped = levels.all().iter().all(|member| member.segment().is_mapped());
        let (levels, joints) = (levels.clone(), Arc::clone(joints));
        (are_mapped && levels.deepest() >= FEWEST_SEGMENTS).then_some(Self { levels, joints })
    }

    /// Makes all of them, until the segments change or the store is closed.
    ///
    /// # Errors
    /// As [`Joint::read`]; `Cancelled`.
    pub(crate) fn run(self, cancel: &CancelToken) -> Result<()> {
        let mut cache = BlockCache::new(0);
        for group in self.levels.range().iter() {
            for (slot, _) in (0..).map(Slot::new).zip(&self.joints.lookups) {
                cancel.check()?;
                if Arc::strong_count(&self.joints) == 1 {
                    return Ok(());
                }
                self.joints.of(&self.levels, &mut cache, slot, group)?;
            }
        }
        Ok(())
    }
}
