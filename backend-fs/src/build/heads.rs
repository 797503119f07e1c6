//! [`Heads`]: which of many cursors are at the least key.
//!
//! The first bytes of the key at which each cursor is stand side by side as numbers: to find the least of
//! forty takes no look at keys but of those that begin alike.

use std::cmp::Ordering;

use alluvium_state_api::Result;

use super::gather::prefix_of;
use crate::key::OwnedKey;
use crate::segment::{BlockCache, SectionCursor};

/// At the end: above the first bytes of any key.
const END: u128 = u128::MAX;

/// The first bytes of each cursor's key, and the cursors that are at the least.
#[derive(Debug, Default)]
pub(super) struct Heads {
    firsts: Vec<u128>,
    least: Vec<usize>,
}

impl Heads {
    /// Those of cursors that were rewound.
    pub(super) fn of(cursors: &[SectionCursor<'_>]) -> Result<Self> {
        let firsts = cursors.iter().map(first).collect::<Result<_>>()?;
        Ok(Self { firsts, least: Vec::new() })
    }

    /// Puts the least key of all cursors into `key`; `false` if there is none.
    pub(super) fn choose(
        &mut self,
        cursors: &[SectionCursor<'_>],
        key: &mut OwnedKey,
    ) -> Result<bool> {
        self.least.clear();
        let lowest = self.firsts.iter().copied().min().unwrap_or(END);
        if lowest == END {
            return Ok(false);
        }
        let even = self.firsts.iter().zip(cursors).enumerate();
        for (index, (_, cursor)) in even.filter(|(_, (first, _))| **first == lowest) {
            let Some(item) = cursor.item()? else {
                continue;
            };
            match item.key.bytes().cmp(key.bytes()) {
                Ordering::Equal if !self.least.is_empty() => {}
                Ordering::Greater if !self.least.is_empty() => continue,
                _ => {
                    self.least.clear();
                    key.set(item.key);
                }
            }
            self.least.push(index);
        }
        Ok(!self.least.is_empty())
    }

    /// The cursors that are at the key which was chosen, ascending.
    pub(super) fn least(&self) -> &[usize] {
        &self.least
    }

    /// Moves these on.
    pub(super) fn advance(
        &mut self,
        cursors: &mut [SectionCursor<'_>],
        cache: &mut BlockCache,
    ) -> Result<()> {
        for index in &self.least {
            if let (Some(cursor), Some(head)) =
                (cursors.get_mut(*index), self.firsts.get_mut(*index))
            {
                cursor.advance(cache)?;
                *head = first(cursor)?;
            }
        }
        Ok(())
    }
}

fn first(cursor: &SectionCursor<'_>) -> Result<u128> {
    Ok(cursor.item()?.map_or(END, |item| u128::from(prefix_of(item.key.bytes()))))
}
