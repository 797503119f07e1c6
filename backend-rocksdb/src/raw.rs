//! Calls of RocksDB's C interface that the crate `rocksdb` has no access to: that a database which is closed writes
//! nothing out, since closing would flush write buffers for nobody, and wait a second where that fails; whether a
//! database compacts by itself; that it takes tables which another database has written; and that it compacts certain
//! tables.
//!
//! # Invariants
//! H1. What is called upon lives while RocksDB uses it: it is borrowed for the call. Options that are set are borrowed
//!     exclusively, so nobody else has them.
//! H2. What is passed beside it lives until the call returns, and counts are those of what they count.
//! H3. What RocksDB allocates is freed once, by RocksDB, and not used afterwards.
#![expect(unsafe_code, reason = "calls of RocksDB's C interface")]

use std::ffi::{CStr, CString, c_char};
use std::path::PathBuf;
use std::ptr::{null, null_mut};

use alluvium_state_api::{Error, Result};
use librocksdb_sys as ffi;
use rocksdb::{AsRawPtr, Options};

use crate::database::Db;
use crate::failure::refused;

/// Lets a database close without writing its buffers out.
pub(crate) fn avoid_flush(options: &mut Options) {
    // SAFETY: H1, by the exclusive reference, which outlives the call below.
    let raw = unsafe { options.as_raw_ptr() };
    // SAFETY: H1; the pointer is of the type that the function takes.
    unsafe { ffi::rocksdb_options_set_avoid_flush_during_shutdown(raw, 1) };
}

/// Whether a database with these options compacts by itself.
pub(crate) fn compacts(options: &Options) -> bool {
    // SAFETY: H1, by the reference, which outlives the call below.
    let raw = unsafe { options.as_raw_ptr() };
    // SAFETY: H1; the function only reads.
    unsafe { ffi::rocksdb_options_get_disable_auto_compactions(raw) == 0 }
}

/// How tables are taken.
struct Ingestion(*mut ffi::rocksdb_ingestexternalfileoptions_t);

impl Ingestion {
    /// Tables of another database, by second names, with the sequence numbers that they have.
    fn of_another_database() -> Self {
        // SAFETY: the function takes nothing; what it returns is freed below (H3).
        let ingestion = Self(unsafe { ffi::rocksdb_ingestexternalfileoptions_create() });
        // SAFETY: H1; the options were made above.
        unsafe { ffi::rocksdb_ingestexternalfileoptions_set_link_files(ingestion.0, 1) };
        // SAFETY: H1; the options were made above.
        unsafe {
            ffi::rocksdb_ingestexternalfileoptions_set_allow_db_generated_files(ingestion.0, 1);
        }
        ingestion
    }
}

impl Drop for Ingestion {
    fn drop(&mut self) {
        // SAFETY: H3; the options were made by RocksDB, and nobody else has them.
        unsafe { ffi::rocksdb_ingestexternalfileoptions_destroy(self.0) };
    }
}

/// Makes tables of another database part of one, those with older entries first. They stay where they are, too.
///
/// # Errors
/// `InvalidInput` where they overlap with what the database has, which is as it was then; others of RocksDB.
pub(crate) fn ingest(db: &Db, tables: &[PathBuf]) -> Result<()> {
    let path = |path: &PathBuf| CString::new(path.as_os_str().as_encoded_bytes());
    let paths = tables.iter().map(path).collect::<std::result::Result<Vec<_>, _>>();
    let paths = paths.map_err(|_nul| Error::invalid_input("a path of a table has a NUL in it"))?;
    let pointers: Vec<*const c_char> = paths.iter().map(|path| path.as_ptr()).collect();
    let ingestion = Ingestion::of_another_database();
    let mut error = null_mut();
    // SAFETY: H1, by the reference, which outlives the call below.
    let raw = unsafe { db.as_raw_ptr() };
    // SAFETY: H1 and H2: database, paths and options are owned or borrowed by this function, and the count is theirs.
    unsafe {
        ffi::rocksdb_ingest_external_file(
            raw,
            pointers.as_ptr(),
            pointers.len(),
            ingestion.0,
            &raw mut error,
        );
    }
    answer("ingest tables", error)
}

/// The outcome that RocksDB has told by a text, which is none of success.
fn answer(operation: &'static str, error: *mut c_char) -> Result<()> {
    if error.is_null() {
        return Ok(());
    }
    // SAFETY: H3; RocksDB has allocated the text, and ends it with NUL.
    let text = unsafe { CStr::from_ptr(error) }.to_string_lossy().into_owned();
    // SAFETY: H3; the text is copied, and nobody else has it.
    unsafe { ffi::rocksdb_free(error.cast()) };
    Err(refused(operation, &text))
}

/// Compacts tables of a level, whose names are as RocksDB lists them, into that level.
///
/// # Errors
/// Those of RocksDB, also where something of them is compacted already.
pub(crate) fn compact_tables(db: &Db, names: &[String], level: i32) -> Result<()> {
    let names = names.iter().map(|name| CString::new(name.as_bytes()));
    let names = names.collect::<std::result::Result<Vec<_>, _>>();
    let names = names.map_err(|_nul| Error::bug("the name of a table has a NUL in it"))?;
    let pointers: Vec<*const c_char> = names.iter().map(|name| name.as_ptr()).collect();
    let mut error = null_mut();
    // SAFETY: H1, by the reference, which outlives the call below.
    let raw = unsafe { db.as_raw_ptr() };
    // SAFETY: H1 and H2: database and names are owned or borrowed by this function, and the count is theirs; options and
    // what could be told of the outcome may be absent.
    unsafe {
        ffi::rocksdb_compact_files(
            raw,
            null(),
            pointers.as_ptr(),
            pointers.len(),
            level,
            -1,
            null_mut(),
            null_mut(),
            null_mut(),
            &raw mut error,
        );
    }
    answer("compact tables", error)
}
