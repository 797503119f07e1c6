//! Compares what the subtasks hold with the independent recomputation.
//!
//! # Invariants
//!
//! 1. Every expected key is looked for by exactly one subtask, the one that owns its key group by
//!    `MaxParallelism::owner_of` (the router goes by `range_of`); so no key can be missing unseen.
//! 2. Every key that a state of a subtask holds is visited; one that the subtask does not own, or
//!    that should have no entry there, is a mismatch; so no key can be too many unseen.
//! 3. Every element and entry is compared, in order.

use std::fmt::{Debug, Write as _};
use std::ops::ControlFlow;

use alluvium_state_api::codec::{EncodeKey, Native};
use alluvium_state_api::{
    AggregatingState, AnyHandle, KeyContext, KeyedStore, ListState, MaxParallelism, NoNamespace,
    ReducingState, Result, ValueState, hash_bytes, stable_placement,
};

use super::expected::{Expected, KeyTotals};
use super::operator::{Operator, Positions};

/// How many mismatches are described; all are counted.
const DESCRIBED: usize = 5;

/// The result of an audit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Audit {
    /// Keys that were compared.
    pub(crate) keys: u64,
    /// States of keys, and their entries and elements, that were compared.
    pub(crate) compared: u64,
    /// How many of them, or of the keys, were not as they must be.
    pub(crate) mismatches: u64,
    /// What was wrong with the first of them, a line each.
    pub(crate) described: Vec<String>,
}

impl Audit {
    /// Adds what another subtask found.
    pub(super) fn add(&mut self, other: Self) {
        self.keys = self.keys.saturating_add(other.keys);
        self.compared = self.compared.saturating_add(other.compared);
        self.mismatches = self.mismatches.saturating_add(other.mismatches);
        self.described.extend(other.described);
        self.described.truncate(DESCRIBED);
    }

    /// Counts a mismatch and describes it in one line.
    pub(super) fn mismatch(&mut self, describe: impl FnOnce() -> String) {
        self.mismatches = self.mismatches.saturating_add(1);
        if self.described.len() < DESCRIBED {
            self.described.push(describe());
        }
    }

    fn compare<T: PartialEq + Debug>(&mut self, key: &str, state: &str, wanted: &T, found: &T) {
        self.compared = self.compared.saturating_add(1);
        if wanted != found {
            self.mismatch(|| {
                let (wanted, found) = (shortened(wanted), shortened(found));
                format!("key {key:?}, state {state}: expected {wanted}, found {found}")
            });
        }
    }
}

/// Compares all states of one subtask.
///
/// # Errors
/// Where the store fails, or holds bytes that are no value of the state's type.
pub(super) fn audit<S: KeyedStore>(
    operator: &mut Operator<S>,
    expected: &Expected,
    place: Place,
) -> Result<Audit> {
    let mut audit = Audit::default();
    look_for_foreign_keys(operator, expected, place, &mut audit)?;
    for (key, totals, categories) in expected.iter() {
        if place.owns(key)? {
            audit.keys = audit.keys.saturating_add(1);
            compare_key(operator, key, totals, &categories, &mut audit)?;
        }
    }
    Ok(audit)
}

/// Which subtask of how many.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) subtask: u32,
    pub(super) parallelism: u32,
    pub(super) groups: MaxParallelism,
}

impl Place {
    fn owns(self, key: &str) -> Result<bool> {
        let mut encoded = Vec::with_capacity(64);
        Native::encode_key(key, &mut encoded)?;
        let group = self.groups.group_of(stable_placement(hash_bytes(&encoded)));
        Ok(self.groups.owner_of(group, self.parallelism)? == self.subtask)
    }
}

/// Visits the keys of every state (invariant 2).
fn look_for_foreign_keys<S: KeyedStore>(
    operator: &mut Operator<S>,
    expected: &Expected,
    place: Place,
    audit: &mut Audit,
) -> Result<()> {
    let (records, positions, total) = (operator.records, operator.positions, operator.total);
    let (spread, categories) = (operator.spread, operator.categories);
    let known = |key: &str| expected.totals_of(key).is_some();
    let measured = |key: &str| expected.totals_of(key).is_some_and(|t| t.total.is_some());
    let categorised = |key: &str| expected.has_categories(key);
    let mut visit = Foreign { operator, place, audit };
    visit.state("records", records, known)?;
    visit.state("positions", positions, known)?;
    visit.state("total", total, measured)?;
    visit.state("spread", spread, measured)?;
    visit.state("categories", categories, categorised)
}

struct Foreign<'a, S> {
    operator: &'a mut Operator<S>,
    place: Place,
    audit: &'a mut Audit,
}

impl<S: KeyedStore> Foreign<'_, S> {
    fn state<A: AnyHandle<Namespace = NoNamespace>>(
        &mut self,
        name: &str,
        handle: A,
        belongs: impl Fn(&str) -> bool,
    ) -> Result<()> {
        let (place, audit) = (self.place, &mut *self.audit);
        self.operator.backend.for_each_key(handle, |key: String| {
            if !place.owns(&key)? {
                let subtask = place.subtask;
                audit.mismatch(|| {
                    format!("key {key:?}, state {name}: held by subtask {subtask}, not its owner")
                });
            } else if !belongs(&key) {
                audit.mismatch(|| format!("key {key:?}, state {name}: an entry too many"));
            }
            Ok(ControlFlow::Continue(()))
        })
    }
}

fn compare_key<S: KeyedStore>(
    operator: &mut Operator<S>,
    key: &str,
    totals: &KeyTotals,
    categories: &[(&str, u64)],
    audit: &mut Audit,
) -> Result<()> {
    let (records, positions) = (operator.records, operator.positions);
    let (total, spread) = (operator.total, operator.spread);
    let map = operator.categories;
    let mut cx = operator.backend.at(key)?;
    audit.compare(key, "records", &Some(totals.records), &cx.value(records).get()?);
    let size = cx.list(positions).size()?;
    audit.compare(key, "positions (elements)", &(totals.positions.len() as u64), &size.elements);
    compare_positions(&mut cx, positions, key, totals, audit)?;
    audit.compare(key, "total", &totals.total, &cx.reducing(total).get()?);
    audit.compare(key, "spread", &totals.spread, &cx.aggregating(spread).get()?);

    let mut wanted = categories.iter();
    cx.map(map).read_each(|category, found| {
        let next = wanted.next().copied();
        audit.compare(key, "categories", &next, &Some((category, found)));
        Ok(ControlFlow::Continue(()))
    })?;
    for missing in wanted {
        audit.compare(key, "categories", &Some(*missing), &None);
    }
    Ok(())
}

fn compare_positions<S: KeyedStore>(
    cx: &mut KeyContext<'_, S>,
    handle: Positions,
    key: &str,
    totals: &KeyTotals,
    audit: &mut Audit,
) -> Result<()> {
    let (mut wanted, mut equal, mut compared) = (totals.positions.iter(), true, 0_u64);
    cx.list(handle).for_each(|found| {
        equal &= wanted.next() == Some(&found);
        compared = compared.saturating_add(1);
        Ok(ControlFlow::Continue(()))
    })?;
    equal &= wanted.next().is_none();
    audit.compared = audit.compared.saturating_add(compared);
    if !equal {
        let found = cx.list(handle).get()?;
        audit.compare(key, "positions", &totals.positions, &found);
    }
    Ok(())
}

/// The text of a value, cut where it is long.
fn shortened(value: &impl Debug) -> String {
    const LONGEST: usize = 120;
    let mut text = String::new();
    if write!(text, "{value:?}").is_err() || text.chars().count() <= LONGEST {
        return text;
    }
    let cut: String = text.chars().take(LONGEST).collect();
    format!("{cut}...")
}
