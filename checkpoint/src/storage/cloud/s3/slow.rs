//! Reading through the real client from a server that sends half a body and then nothing more.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use alluvium_state_api::settings::Settings;
use alluvium_state_api::snapshot::{FileName, SnapshotFile};
use alluvium_state_api::storage::{CheckpointStorage, FileScope};
use alluvium_state_api::testkit::storages::content::{content, encode, id, write};
use alluvium_state_api::{ErrorKind, Result};

use super::server::Server;
use crate::storage::{Environment, StorageEnv, open_storage};

/// So many tries of a read that stalls once: on a machine that is busy a whole body may be late, too.
const TRIES: u32 = 50;

fn open(url: &str) -> Arc<dyn CheckpointStorage> {
    let settings = Settings::from_pairs([
        ("state.checkpoints.dir", "s3://bucket/x"),
        ("state.storage.fs.memory-threshold", "0"),
        ("s3.endpoint", url),
        ("object-store.request-timeout", "200 ms"),
        ("s3.retry.limit", "2"),
        ("s3.retry.interval", "1 ms"),
        ("object-store.retry.max-interval", "1 ms"),
    ]);
    let environment =
        Environment::from_pairs([("AWS_ACCESS_KEY_ID", "k"), ("AWS_SECRET_ACCESS_KEY", "s")]);
    let env = StorageEnv::default().with_environment(environment);
    open_storage(&settings.unwrap(), &FileName::new("job").unwrap(), &env).unwrap()
}

#[test]
fn a_body_that_stops_in_the_middle_is_asked_for_again_or_told() {
    let (server, url) = Server::default().start();
    let storage = open(&url);
    let bytes = content(1, 100_000);
    let publish = |number| -> Result<SnapshotFile> {
        let attempt = storage.begin(id(number))?;
        let file = write(&*attempt.sink(), FileScope::Shared, &bytes)?;
        attempt.publish(&encode(std::slice::from_ref(&file)))?;
        Ok(file)
    };
    let file = (1..=u64::from(TRIES)).find_map(|number| publish(number).ok()).unwrap();
    let read = |stalls| -> Result<Vec<u8>> {
        let reader = storage.source(id(1)).open(&file)?;
        server.stalls.store(stalls, Ordering::SeqCst);
        let mut read = vec![0; bytes.len()];
        reader.read_exact_at(0, &mut read)?;
        Ok(read)
    };

    let mut outcomes = (0..TRIES).map(|_| {
        let read = read(1);
        if let Err(error) = &read {
            assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
        }
        (read.ok(), server.stalls.load(Ordering::SeqCst))
    });
    let (read_again, stalls_left) = outcomes.find(|(read, _)| read.is_some()).unwrap();
    assert!(read_again.unwrap() == bytes, "it is not what was written");
    assert_eq!(stalls_left, 0, "no body stopped");

    let error = read(u32::MAX).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
}
