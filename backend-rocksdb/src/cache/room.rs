//! Making room: what goes to the database, and what goes away.

use alluvium_state_api::{Elements, Result};
use rocksdb::WriteBatch;

use super::table::{Below, Entry, Held};
use super::tail::Tail;
use super::{PART_OF_UNWRITTEN, WriteBack};
use crate::database::Database;
use crate::list::{Head, Parts};

/// A table that is full becomes smaller by this part, one in so many.
const PART_OF_ROOM: usize = 16;

impl WriteBack {
    /// Makes room where there is too little (B4).
    ///
    /// # Errors
    /// Those of the database, after which it is not to be written to.
    #[inline]
    pub(crate) fn settle(&mut self, database: &Database) -> Result<()> {
        let (bytes, most) = (self.table.bytes(), self.admission.part(self.share.bytes()));
        if self.unwritten_bytes > self.most_unwritten.min(most / PART_OF_UNWRITTEN) {
            self.write_older_half(database)?;
        }
        if bytes > most {
            return self.make_room(most, database);
        }
        self.share.hold(bytes);
        Ok(())
    }

    /// Writes everything that the database lacks.
    ///
    /// # Errors
    /// Those of the database, after which it is not to be written to.
    pub(crate) fn flush(&mut self, database: &Database) -> Result<()> {
        let slots = std::mem::take(&mut self.unwritten);
        self.write(slots, database)
    }

    /// The same, and knows nothing any more.
    ///
    /// # Errors
    /// Those of the database.
    pub(crate) fn clear(&mut self, database: &Database) -> Result<()> {
        self.flush(database)?;
        self.table = super::Table::default();
        (self.unwritten_bytes, self.hand) = (0, 0);
        self.share.hold(0);
        Ok(())
    }

    /// Writes what the database lacks of one list that was hit, and forgets it.
    ///
    /// # Errors
    /// Those of the database.
    pub(crate) fn hand_over(&mut self, at: u32, database: &Database) -> Result<()> {
        let mut batch = WriteBatch::default();
        if let Some(entry) = self.table.get(at).filter(|entry| entry.is_unwritten) {
            record(entry, &mut batch);
        }
        if !batch.is_empty() {
            database.write(batch)?;
        }
        self.forget(at);
        Ok(())
    }

    /// Writes the half of the unwritten that is oldest and was not asked for lately.
    #[cold]
    fn write_older_half(&mut self, database: &Database) -> Result<()> {
        let queue = std::mem::take(&mut self.unwritten);
        let half = queue.len().div_ceil(2);
        let mut victims = Vec::with_capacity(half);
        for at in queue {
            if victims.len() < half && !self.table.rest(at) {
                victims.push(at);
            } else {
                self.unwritten.push(at);
            }
        }
        let lacking = half - victims.len();
        victims.extend(self.unwritten.drain(..lacking));
        self.write(victims, database)
    }

    #[cold]
    fn make_room(&mut self, most: usize, database: &Database) -> Result<()> {
        self.admission.crowd();
        // Slots are never given back one by one; a table that is to have half as many bytes or less begins anew.
        if self.table.bytes() / 2 > most {
            return self.clear(database);
        }
        let target = most - most / PART_OF_ROOM;
        self.evict(target);
        if self.table.bytes() > target {
            // What is unwritten stays, with what else it has of its maps.
            self.flush(database)?;
            self.evict(target);
        }
        self.share.hold(self.table.bytes());
        Ok(())
    }

    /// Lets go what the database has, until the table has no more bytes than that.
    fn evict(&mut self, target: usize) {
        let slots = self.table.slots();
        for _ in 0..slots.saturating_mul(2) {
            if self.table.bytes() <= target {
                break;
            }
            self.hand = if self.hand + 1 < slots { self.hand + 1 } else { 0 };
            if self.table.get(self.hand).is_some_and(|entry| !entry.is_unwritten)
                && !self.table.rest(self.hand)
            {
                self.table.remove(self.hand);
            }
        }
    }

    /// Writes what the database lacks of these entries, in the order of their addresses.
    fn write(&mut self, slots: Vec<u32>, database: &Database) -> Result<()> {
        let mut batch = WriteBatch::default();
        for at in self.in_order(slots) {
            let Some(entry) = self.table.get(at) else {
                continue;
            };
            let head = record(entry, &mut batch);
            self.change(at, |entry| {
                entry.is_unwritten = false;
                match (&mut entry.held, head) {
                    (Held::Value(below), _) => *below = Below::Present,
                    (Held::Absent(below), _) => *below = Below::Absent,
                    (Held::List(tail), Some(head)) => **tail = Tail::of(head),
                    (Held::Map { .. }, _) => entry.items_are_written(),
                    (Held::List(_) | Held::Forgotten, _) => {}
                }
            });
            if self.table.get(at).is_some_and(|entry| matches!(entry.held, Held::Forgotten)) {
                self.table.remove(at);
            }
            if self.batches.reached(&batch) {
                database.write(std::mem::take(&mut batch))?;
            }
        }
        if batch.is_empty() { Ok(()) } else { database.write(batch) }
    }

    /// Slots in the order of the addresses of what they hold.
    fn in_order(&self, slots: Vec<u32>) -> impl Iterator<Item = u32> + use<> {
        let address = |at: u32| self.table.get(at).map(Entry::address).unwrap_or_default();
        let begin = |at: u32| {
            let mut begin = [0; 16];
            for (to, from) in begin.iter_mut().zip(address(at)) {
                *to = *from;
            }
            u128::from_be_bytes(begin)
        };
        let mut keyed: Vec<_> = slots.into_iter().map(|at| (begin(at), at)).collect();
        keyed.sort_unstable_by(|(a, one), (b, other)| {
            a.cmp(b).then_with(|| address(*one).cmp(address(*other)))
        });
        keyed.into_iter().map(|(_, at)| at)
    }
}

/// Adds to a batch what the database lacks of an entry; the head that a list has then.
fn record(entry: &Entry, batch: &mut WriteBatch) -> Option<Head> {
    match &entry.held {
        Held::Value(_) => batch.put(entry.address(), entry.stored()),
        Held::Absent(Below::Unknown | Below::Present) => batch.delete(entry.address()),
        Held::List(tail) if !tail.parts().loose.is_empty() => {
            let Parts { head, loose } = tail.parts();
            let mut head = head.unwrap_or_default();
            let mut stored = entry.stored().to_vec();
            head.with([loose, Elements::default()]).encode(&mut stored);
            batch.put(entry.address(), &stored);
            head.append(entry.address(), loose, batch);
            return Some(head);
        }
        Held::Map { .. } => entry.record_items(batch),
        Held::List(_) | Held::Absent(Below::Absent) | Held::Forgotten => {}
    }
    None
}
