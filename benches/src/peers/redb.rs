//! redb: a copy-on-write B-tree in one file.
#![expect(clippy::mem_forget, reason = "self_cell's own guard, in what its macro expands to")]

use std::path::{Path, PathBuf};

use ::redb::{
    AccessGuard, Builder, Database, ReadableDatabase as _, ReadableTable as _, Table,
    TableDefinition, WriteTransaction,
};
use self_cell::self_cell;

use super::database;
use super::space::files;
use super::{CACHE_BYTES, Finish, Kept, Store};
use crate::Outcome;
use crate::footprint::Io;
use crate::keys::key;

fn database(path: &Path) -> Outcome<Database> {
    Ok(Builder::new().set_cache_size(CACHE_BYTES).create(path)?)
}

const COUNTS: TableDefinition<'_, u64, u64> = TableDefinition::new("count");

/// Numbers by number.
#[derive(Debug)]
pub struct Redb(Database);

impl database::Database for Redb {
    fn open(path: &Path) -> Outcome<Self> {
        Ok(Self(database(path)?))
    }

    fn fill(&mut self, keys: u64) -> Outcome<()> {
        let transaction = self.0.begin_write()?;
        let mut table = transaction.open_table(COUNTS)?;
        for number in 0..keys {
            table.insert(key(number), number)?;
        }
        drop(table);
        Ok(transaction.commit()?)
    }

    #[inline(never)]
    fn get(&mut self, keys: &[u64]) -> Outcome<u64> {
        let transaction = self.0.begin_read()?;
        let table = transaction.open_table(COUNTS)?;
        let mut sum = 0u64;
        for key in keys {
            sum = sum.wrapping_add(table.get(key)?.map_or(0, |value| value.value()));
        }
        Ok(sum)
    }

    #[inline(never)]
    fn update(&mut self, keys: &[u64]) -> Outcome<u64> {
        let transaction = self.0.begin_write()?;
        let mut table = transaction.open_table(COUNTS)?;
        let mut sum = 0u64;
        for key in keys {
            let value = table.get(key)?.map_or(0, |value| value.value());
            sum = sum.wrapping_add(value);
            table.insert(key, value.wrapping_add(1))?;
        }
        drop(table);
        transaction.commit()?;
        Ok(sum)
    }
}

const BYTES: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("state");

type OpenTable<'a> = Table<'a, &'static [u8], &'static [u8]>;

self_cell!(
    struct Writing {
        owner: WriteTransaction,
        #[not_covariant]
        dependent: OpenTable,
    }
);

fn writing(database: &Database) -> Outcome<Writing> {
    Writing::try_new(database.begin_write()?, |transaction| Ok(transaction.open_table(BYTES)?))
}

/// Bytes by bytes, in a transaction that lasts from one checkpoint to the next.
struct State {
    /// None after a commit that failed.
    writing: Option<Writing>,
    database: Database,
    path: PathBuf,
    written: Io,
}

pub(super) fn open(path: &Path) -> Outcome<Box<dyn Store>> {
    let database = database(path)?;
    let (writing, path) = (Some(writing(&database)?), path.to_owned());
    Ok(Box::new(State { writing, database, path, written: Io::now()? }))
}

impl State {
    #[inline]
    fn with<R>(&mut self, work: impl FnOnce(&mut OpenTable<'_>) -> Outcome<R>) -> Outcome<R> {
        let writing = self.writing.as_mut().ok_or("the last transaction could not be committed")?;
        writing.with_dependent_mut(|_, table| work(table))
    }
}

impl Store for State {
    fn get(&mut self, key: &[u8], show: &mut dyn FnMut(Option<&[u8]>)) -> Outcome<()> {
        self.with(|table| {
            let value = table.get(key)?;
            show(value.as_ref().map(AccessGuard::value));
            Ok(())
        })
    }

    fn put(&mut self, key: &[u8], value: &[u8]) -> Outcome<()> {
        self.with(|table| {
            table.insert(key, value)?;
            Ok(())
        })
    }

    fn append(&mut self, key: &[u8], more: &[u8]) -> Outcome<()> {
        self.with(|table| {
            let mut value = table.get(key)?.map_or_else(Vec::new, |value| value.value().to_vec());
            value.extend_from_slice(more);
            table.insert(key, value.as_slice())?;
            Ok(())
        })
    }

    fn remove(&mut self, key: &[u8]) -> Outcome<()> {
        self.with(|table| {
            table.remove(key)?;
            Ok(())
        })
    }

    fn scan(&mut self, prefix: &[u8], show: &mut dyn FnMut(&[u8], &[u8])) -> Outcome<()> {
        self.with(|table| {
            for entry in table.range(prefix..)? {
                let (key, value) = entry?;
                let Some(rest) = key.value().strip_prefix(prefix) else { break };
                show(rest, value.value());
            }
            Ok(())
        })
    }

    fn remove_all(&mut self, prefix: &[u8]) -> Outcome<()> {
        let mut end = prefix.to_vec();
        // Keys of one length follow the prefix: it and the highest numbers are the end.
        end.resize(prefix.len() + 16, u8::MAX);
        self.with(|table| Ok(table.retain_in(prefix..end.as_slice(), |_, _| false)?))
    }

    fn checkpoint(&mut self, _: &Path) -> Outcome<Finish> {
        if let Some(writing) = self.writing.take() {
            writing.into_owner().commit()?;
        }
        self.writing = Some(writing(&self.database)?);
        let before = std::mem::replace(&mut self.written, Io::now()?);
        let kept = Kept {
            path: self.path.clone(),
            goes_on: false,
            bytes_new: self.written.since(before).written_bytes,
            bytes_full: files(&self.path)?.values().sum(),
            files: 1,
        };
        Ok(Box::new(|| Ok(kept)))
    }
}
