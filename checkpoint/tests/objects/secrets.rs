//! What a job writes through a client with credentials: they are in no object, whatever its kind.

use std::sync::Arc;

use alluvium_checkpoint::{
    ClaimMode, Environment, ExportOptions, RestorePoint, StartFrom, StorageEnv, Trigger, export,
    open_storage,
};
use alluvium_state_api::settings::Settings;
use alluvium_state_api::snapshot::FileName;
use alluvium_state_api::storage::CheckpointStorage;

use crate::fake::{Job, id, incremental};
use crate::server::Server;

const KEY: &str = "MARKED-KEY-5d2e";
const SECRET: &str = "MARKED-SECRET-77a0";
const TOKEN: &str = "MARKED-TOKEN-c81b";
const HOME: &str = "/MARKED-HOME-3f19";

fn open(endpoint: &str, directory: &str) -> Arc<dyn CheckpointStorage> {
    let settings = Settings::from_pairs([
        ("state.checkpoints.dir", format!("s3://bucket/{directory}").as_str()),
        ("state.savepoints.dir", "s3://bucket/savepoints"),
        ("state.storage.fs.memory-threshold", "8"),
        ("s3.endpoint", endpoint),
    ]);
    let credentials = format!(
        "[default]\naws_access_key_id = {KEY}\naws_secret_access_key = {SECRET}\n\
         aws_session_token = {TOKEN}\n"
    );
    let environment = Environment::from_pairs([("HOME", HOME)])
        .with_file(format!("{HOME}/.aws/credentials"), credentials);
    let env = StorageEnv::default().with_environment(environment);
    open_storage(&settings.unwrap(), &FileName::new("job-1").unwrap(), &env).unwrap()
}

#[test]
fn no_object_that_a_job_writes_has_a_secret() {
    let (server, url) = Server::default().start();
    let mut other = Job::over(open(&url, "other"), incremental(2));
    other.start(2, StartFrom::Newest).unwrap();
    other.complete(Trigger::checkpoint());
    let savepoint = other.complete(Trigger::savepoint(None)).pointer;

    let mut job = Job::over(open(&url, "checkpoints"), incremental(3));
    job.start_as(2, StartFrom::Pointer(&savepoint), ClaimMode::Claim).unwrap();
    for _ in 0..2 {
        job.complete(Trigger::checkpoint());
    }
    let newest = job.storage.load(id(3)).unwrap().pointer;
    let point = RestorePoint::open(&*job.storage, &newest).unwrap();
    export(&point, &*job.storage, "s3://bucket/copy", &ExportOptions::default()).unwrap();

    let objects = server.objects.lock();
    let (mut metadata, mut told) = (0, 0);
    for (name, bytes) in &*objects {
        let text = String::from_utf8_lossy(bytes);
        for marked in [KEY, SECRET, TOKEN, HOME] {
            assert!(!name.contains(marked) && !text.contains(marked), "{name} has {marked}");
        }
        metadata += usize::from(name.ends_with("/_metadata"));
        // What the job itself wants to be there would be found.
        told += usize::from(text.contains("subtask 1"));
    }
    // Of two jobs, the savepoint, the claim, two checkpoints upon it and the copy.
    assert_eq!((metadata, told), (6, 6));
    assert!(objects.len() > 12, "{}", objects.len());
    let sent = server.authorizations.lock();
    assert!(sent.iter().all(|one| one.contains(KEY) && !one.contains(SECRET)) && sent.len() > 20);
}
