//! Publication through the real client, to a server that is slow to agree: what is told is what is there.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use alluvium_state_api::settings::Settings;
use alluvium_state_api::snapshot::FileName;
use alluvium_state_api::storage::CheckpointStorage;
use alluvium_state_api::{CheckpointId, ErrorKind};
use parking_lot::Mutex;

use super::server::{Put, Server};
use crate::storage::{Environment, StorageEnv, open_storage};

fn open(url: &str) -> Arc<dyn CheckpointStorage> {
    let settings = Settings::from_pairs([
        ("state.checkpoints.dir", "s3://bucket/x"),
        ("s3.endpoint", url),
        ("s3.retry.limit", "2"),
        ("s3.retry.interval", "1 ms"),
        ("object-store.retry.max-interval", "1 ms"),
    ]);
    let environment =
        Environment::from_pairs([("AWS_ACCESS_KEY_ID", "k"), ("AWS_SECRET_ACCESS_KEY", "s")]);
    let env = StorageEnv::default().with_environment(environment);
    open_storage(&settings.unwrap(), &FileName::new("job").unwrap(), &env).unwrap()
}

const KEY: &str = "/bucket/x/job/chk-1/_metadata";

#[test]
fn a_publication_whose_answer_was_lost_or_that_met_another_request_succeeds_once() {
    for script in [
        vec![],
        vec![Put::Lose],
        vec![Put::Conflict],
        vec![Put::Busy],
        vec![Put::Busy, Put::Lose],
        vec![Put::Conflict, Put::Conflict, Put::Lose],
    ] {
        let tries = script.len();
        let (server, url) =
            Server { script: Mutex::new(script.into()), ..Server::default() }.start();
        let storage = open(&url);
        let attempt = storage.begin(CheckpointId::new(1)).unwrap();
        attempt.publish(b"metadata").unwrap();
        assert_eq!(server.objects.lock().get(KEY).map(Vec::as_slice), Some(&b"metadata"[..]));
        assert!(server.puts.load(Ordering::SeqCst) as usize > tries.min(1), "{tries}");
        let again = storage.begin(CheckpointId::new(1)).unwrap_err();
        assert_eq!(again.kind(), ErrorKind::AlreadyExists);
    }
}

#[test]
fn a_publication_that_loses_is_told_so_and_one_in_doubt_is_never_told_to_have_failed() {
    let (server, url) = Server::default().start();
    let storage = open(&url);
    let attempt = storage.begin(CheckpointId::new(1)).unwrap();
    server.objects.lock().insert(KEY.to_owned(), b"other".to_vec());
    assert_eq!(attempt.publish(b"metadata").unwrap_err().kind(), ErrorKind::AlreadyExists);
    assert_eq!(server.objects.lock().get(KEY).map(Vec::as_slice), Some(&b"other"[..]));

    let (server, url) = Server { always_busy: true, ..Server::default() }.start();
    let storage = open(&url);
    let attempt = storage.begin(CheckpointId::new(1)).unwrap();
    // Not even the tombstone can be placed, so a put may still arrive.
    assert_eq!(attempt.publish(b"metadata").unwrap_err().kind(), ErrorKind::Indeterminate);
    assert!(server.objects.lock().is_empty());
}
