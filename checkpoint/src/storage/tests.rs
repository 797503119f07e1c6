//! Which URL leads where, and what is refused.

use std::error::Error as _;

use alluvium_state_api::random::SeededRandomness;
use alluvium_state_api::vfs::MemoryFs;
use alluvium_state_api::{CheckpointId, ErrorKind};

use super::*;

const SECRET: &str = "MARKED-SECRET-7f3a";

fn env() -> StorageEnv {
    StorageEnv::default()
        .with_file_system(Arc::new(MemoryFs::new()))
        .with_randomness(Arc::new(SeededRandomness::new(1)))
        .with_environment(Environment::from_pairs::<String, String>([]))
}

fn job() -> FileName {
    FileName::new("job-one").unwrap()
}

fn open(pairs: &[(&str, &str)], env: &StorageEnv) -> Result<Arc<dyn CheckpointStorage>> {
    open_storage(&Settings::from_pairs(pairs.iter().copied())?, &job(), env)
}

fn publish(storage: &dyn CheckpointStorage, number: u64) -> String {
    let attempt = storage.begin(CheckpointId::new(number)).unwrap();
    attempt.publish(b"metadata").unwrap();
    attempt.pointer().to_owned()
}

#[test]
fn every_spelling_of_a_directory_is_the_same_directory() {
    let env = env();
    for (number, url) in (1..).zip(["/data", "file:///data", "file:/data"]) {
        let storage = open(&[("state.checkpoints.dir", url)], &env).unwrap();
        assert_eq!(publish(&*storage, number), format!("/data/job-one/chk-{number}"));
    }
    let storage = open(&[("state.checkpoints.dir", "/data")], &env).unwrap();
    assert_eq!(storage.list().unwrap().len(), 3);
    let found = open_pointer(&Settings::new(), "file:/data/job-one/chk-2/_metadata", &env).unwrap();
    assert_eq!(found.metadata, b"metadata");
}

#[test]
fn without_a_directory_checkpoints_are_in_memory_and_savepoints_go_where_they_are_sent() {
    let env = env();
    for pairs in [&[][..], &[("state.checkpoints.dir", "memory://")]] {
        let storage = open(pairs, &env).unwrap();
        let pointer = publish(&*storage, 1);
        assert_eq!(pointer, "memory://job-one/chk-1");
        assert_eq!(storage.open_pointer(&pointer).unwrap().metadata, b"metadata");
        let inside = storage.begin_savepoint(None).unwrap();
        inside.publish(b"inside").unwrap();
        assert!(inside.pointer().starts_with("memory://"));
        let outside = storage.begin_savepoint(Some("file:///savepoints")).unwrap();
        outside.publish(b"outside").unwrap();
        assert!(outside.pointer().starts_with("/savepoints/savepoint-job-on-"));
        assert_eq!(storage.open_pointer(outside.pointer()).unwrap().metadata, b"outside");
        storage.discard_savepoint(outside.pointer(), &[]).unwrap();
        let gone = storage.open_pointer(outside.pointer()).unwrap_err();
        assert_eq!(gone.kind(), ErrorKind::NotFound);
        let refused = open_pointer(&Settings::new(), &pointer, &env).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidInput);
    }
}

#[test]
fn savepoints_without_a_target_go_to_the_configured_place() {
    let env = env();
    let place = ("state.savepoints.dir", "file:///kept");
    for pairs in [&[place][..], &[("state.checkpoints.dir", "/data"), place]] {
        let storage = open(pairs, &env).unwrap();
        let attempt = storage.begin_savepoint(None).unwrap();
        assert!(attempt.pointer().starts_with("/kept/savepoint-"), "{}", attempt.pointer());
    }
    let storage = open(&[("state.checkpoints.dir", "/data")], &env).unwrap();
    assert_eq!(storage.begin_savepoint(None).unwrap_err().kind(), ErrorKind::InvalidInput);
    let refused = open(&[("state.savepoints.dir", "memory://")], &env).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidInput);
}

#[test]
fn the_inline_thresholds_are_those_of_the_settings() {
    use alluvium_state_api::storage::InlinePolicy;
    let small = ("state.storage.fs.memory-threshold", "7 b");
    let limit = ("state.backend.memory.max-state-size", "9 b");
    let local = open(&[("state.checkpoints.dir", "/data"), small, limit], &env()).unwrap();
    let memory = open(&[small, limit], &env()).unwrap();
    let policy = |storage: Arc<dyn CheckpointStorage>| {
        storage.begin(CheckpointId::new(1)).unwrap().sink().inline_policy()
    };
    assert_eq!(policy(local), InlinePolicy::Small { threshold_bytes: 7 });
    assert_eq!(policy(memory), InlinePolicy::Everything { limit_bytes: 9 });
}

#[test]
fn schemes_that_cannot_be_opened_are_refused() {
    let refused = |url: &str| open(&[("state.checkpoints.dir", url)], &env()).unwrap_err();
    let unknown = refused("ftp://host/x");
    assert_eq!(unknown.kind(), ErrorKind::InvalidInput);
    assert!(unknown.message().contains("state.checkpoints.dir"), "{unknown}");
    assert_eq!(refused("memory://x").kind(), ErrorKind::InvalidInput);
    assert_eq!(refused("").kind(), ErrorKind::InvalidInput);
    for (scheme, feature, built) in [
        ("s3", "s3", cfg!(feature = "s3")),
        ("s3a", "s3", cfg!(feature = "s3")),
        ("s3n", "s3", cfg!(feature = "s3")),
        ("gs", "gcs", cfg!(feature = "gcs")),
        ("az", "azure", cfg!(feature = "azure")),
        ("azure", "azure", cfg!(feature = "azure")),
        ("abfss", "azure", cfg!(feature = "azure")),
    ] {
        if !built {
            let missing = refused(&format!("{scheme}://bucket/x"));
            assert_eq!(missing.kind(), ErrorKind::Unsupported);
            assert!(missing.message().contains(&format!("feature {feature},")), "{missing}");
        }
    }
}

#[cfg(not(feature = "hdfs"))]
#[test]
fn without_its_feature_hdfs_is_refused_by_name() {
    let url = ("state.checkpoints.dir", "hdfs://host:8020/x");
    let missing = open(&[url], &env()).unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::Unsupported);
    assert!(missing.message().contains("feature hdfs"), "{missing}");
}

#[cfg(feature = "hdfs")]
#[test]
fn a_url_of_hdfs_leads_to_its_cluster() {
    // Nobody is asked: the URL is at fault, or the cluster is not configured.
    for url in ["hdfs://nobody-knows/x", "hdfs://host:0/x", "hdfs://host/../x"] {
        let refused = open(&[("state.checkpoints.dir", url)], &env()).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidInput, "{url}");
        let refused = open_pointer(&Settings::new(), url, &env()).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidInput, "{url}");
    }
}

#[test]
fn urls_of_object_stores_are_parsed_strictly() {
    let env = env();
    let parse = |url: &str| match Location::parse(url, &env) {
        Ok(Location::Object(url)) => Ok((url.root, url.text)),
        Ok(other) => panic!("{url} is {other:?}"),
        Err(error) => Err(error),
    };
    for (url, root, text) in [
        ("s3://b", "s3://b", "s3://b"),
        ("s3a://b/", "s3://b", "s3://b"),
        ("s3n://b.c-d/x/y", "s3://b.c-d", "s3://b.c-d/x/y"),
        ("gs://b/x", "gs://b", "gs://b/x"),
        ("azure://c/x", "az://c", "az://c/x"),
        ("abfs://c/x", "az://c", "az://c/x"),
        (
            "abfs://c@account.dfs.core.windows.net/x",
            "abfss://c@account.dfs.core.windows.net",
            "abfss://c@account.dfs.core.windows.net/x",
        ),
    ] {
        assert_eq!(parse(url).unwrap(), (root.to_owned(), text.to_owned()));
    }
    for url in [
        "s3://",
        "s3:///x",
        "s3://b c/x",
        "s3://key@b/x",
        "gs://c@account.dfs.core.windows.net/x",
        "abfs://c:secret@account.dfs.core.windows.net/x",
        "abfs://c@account/x",
        "s3://b:9000/x",
        "s3://b/x?versionId=1",
        "s3://b/x#1",
        "s3://b/x\n",
    ] {
        assert_eq!(parse(url).unwrap_err().kind(), ErrorKind::InvalidInput, "{url}");
    }
    let at = |url: &str| Location::parse(url, &env).unwrap();
    assert!(at("s3://b/x").shares_store(&at("s3a://b/y/z")));
    assert!(!at("s3://b/x").shares_store(&at("s3://b2/x")));
    assert!(!at("s3://b/x").shares_store(&at("gs://b/x")));
    assert!(!at("s3://b/x").shares_store(&at("/b/x")));
}

#[cfg(feature = "object-store")]
#[test]
fn checkpoints_savepoints_and_pointers_may_be_in_different_stores() {
    use object_store::memory::InMemory;

    let env = env()
        .with_object_store("s3://one/", Arc::new(InMemory::new()))
        .with_object_store("s3://one/inner", Arc::new(InMemory::new()))
        .with_object_store("mine://two", Arc::new(InMemory::new()));
    let places =
        ["/data", "s3://one", "s3a://one/checkpoints", "s3://one/inner/x", "mine://two/x", "/kept"];
    for at in places {
        for kept in places {
            let pairs = [("state.checkpoints.dir", at), ("state.savepoints.dir", kept)];
            let storage = open(&pairs, &env).unwrap();
            let id = storage.list().unwrap().last().map_or(1, |id| id.get() + 1);
            let checkpoint = publish(&*storage, id);
            let savepoint = storage.begin_savepoint(None).unwrap();
            savepoint.publish(b"savepoint").unwrap();
            assert_eq!(savepoint.pointer().split("/savepoint-").next().unwrap(), spelled(kept));
            assert_eq!(storage.survey_savepoints().unwrap().len(), 1, "{at} {kept}");
            for (pointer, bytes) in
                [(checkpoint.as_str(), &b"metadata"[..]), (savepoint.pointer(), b"savepoint")]
            {
                assert_eq!(storage.open_pointer(pointer).unwrap().metadata, bytes);
                let alone = open_pointer(&Settings::new(), pointer, &env).unwrap();
                assert_eq!(alone.metadata, bytes);
            }
            let copy = storage.begin_export(&format!("{kept}/copy")).unwrap();
            copy.publish(b"copy").unwrap();
            storage.discard_savepoint(copy.pointer(), &[]).unwrap();
            storage.discard_savepoint(savepoint.pointer(), &[]).unwrap();
            let gone = storage.open_pointer(savepoint.pointer()).unwrap_err();
            assert_eq!(gone.kind(), ErrorKind::NotFound);
        }
    }
}

/// How a pointer begins whose URL was given as `url`.
#[cfg(feature = "object-store")]
fn spelled(url: &str) -> String {
    url.replacen("s3a://", "s3://", 1)
}

#[cfg(all(feature = "gcs", feature = "azure"))]
#[test]
fn credentials_of_other_clouds_are_not_repeated_either() {
    let with = |pairs: &[(&str, &str)]| {
        env().with_environment(Environment::from_pairs(pairs.iter().copied()))
    };
    let account = ("AZURE_STORAGE_ACCOUNT_NAME", "account");
    let spaced = format!("{SECRET} x");
    for (url, pairs) in [
        ("gs://b/x", vec![("GOOGLE_SERVICE_ACCOUNT_KEY", SECRET)]),
        ("gs://b/x", vec![("GOOGLE_SERVICE_ACCOUNT", SECRET)]),
        ("gs://b/x", vec![("GOOGLE_APPLICATION_CREDENTIALS", SECRET)]),
        ("az://c/x", vec![("AZURE_STORAGE_ACCOUNT_KEY", SECRET)]),
        ("az://c/x", vec![account, ("AZURE_STORAGE_ACCOUNT_KEY", SECRET)]),
        ("az://c/x", vec![account, ("AZURE_CLIENT_SECRET", spaced.as_str())]),
        ("az://c/x", vec![account, ("AZURE_STORAGE_ENDPOINT", SECRET)]),
        ("abfss://c@MARKED-SECRET-7f3a.example.com/x", vec![]),
    ] {
        let env = with(&pairs);
        let error = open(&[("state.checkpoints.dir", url)], &env).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
        let mut texts = format!("{error} {error:?} {env:?}");
        let mut source = error.source();
        while let Some(cause) = source {
            texts.extend([cause.to_string(), format!("{cause:?}")]);
            source = cause.source();
        }
        assert!(!texts.contains(SECRET), "{texts}");
    }
}

#[cfg(feature = "azure")]
#[test]
fn credentials_of_an_account_go_to_no_other_account() {
    let pairs = [("AZURE_STORAGE_ACCOUNT_NAME", "account"), ("AZURE_STORAGE_ACCOUNT_KEY", "a2V5")];
    let env = env().with_environment(Environment::from_pairs(pairs));
    let at = |host: &str| {
        let url = format!("abfss://container@{host}.dfs.core.windows.net/x");
        open(&[("state.checkpoints.dir", &url)], &env)
    };
    assert!(at("account").is_ok());
    for other in ["other", "accounts", "Account"] {
        let refused = at(other).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidInput, "{refused}");
    }
}

#[test]
fn jobs_do_not_share_a_directory() {
    let flat = [("state.checkpoints.dir", "/x"), ("state.checkpoints.create-subdir", "false")];
    let refused = open(&flat, &env()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidInput);
    assert!(refused.message().contains("create-subdir"));
}

#[test]
fn no_message_repeats_what_a_url_may_hide() {
    let env = env();
    let storage = open(&[], &env).unwrap();
    for url in [
        format!("s3://KEY:{SECRET}@bucket/x"),
        format!("ftp://KEY:{SECRET}@bucket/x"),
        format!("s3://bucket/x?token={SECRET}"),
        format!("hdfs://{SECRET}@host/x"),
        format!("{SECRET}://x"),
        format!("{SECRET}:{SECRET}@x://y"),
    ] {
        for error in [
            open(&[("state.checkpoints.dir", &url)], &env).unwrap_err(),
            open(&[("state.savepoints.dir", &url)], &env).unwrap_err(),
            storage.begin_savepoint(Some(&url)).unwrap_err(),
            storage.open_pointer(&url).unwrap_err(),
            storage.discard_savepoint(&url, &[]).unwrap_err(),
            open_pointer(&Settings::new(), &url, &env).unwrap_err(),
        ] {
            let mut texts = format!("{error} {error:?}");
            let mut source = error.source();
            while let Some(cause) = source {
                texts.extend([cause.to_string(), format!("{cause:?}")]);
                source = cause.source();
            }
            assert!(!texts.contains(SECRET), "{texts}");
        }
    }
}
