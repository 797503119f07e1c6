use std::time::Duration;

use super::{Retention, Settings, keys};
use crate::ErrorKind;
use crate::snapshot::Compression;

fn one(key: &str, value: &str) -> Settings {
    Settings::from_pairs([(key, value)]).unwrap()
}

fn refusal(key: &str, value: &str) -> String {
    let error = Settings::from_pairs([(key, value)]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    error.message().to_owned()
}

#[test]
fn every_default_parses_and_every_name_is_unique() {
    let mut names = std::collections::BTreeSet::new();
    for key in keys::COMMON {
        for name in key.spellings() {
            assert!(names.insert(name), "{name} occurs twice");
        }
        assert_eq!(key.default_value().is_some(), key.default_str().is_some(), "{}", key.name);
    }
    let page = include_str!("../settings.rs");
    for name in names {
        assert!(page.contains(&format!("`{name}`")), "{name} is not on the page");
    }
}

#[test]
fn defaults_are_flinks() {
    let settings = Settings::new();
    assert_eq!(settings.backend(), "memory");
    assert_eq!(settings.checkpoint_dir(), None);
    assert_eq!(settings.retained_checkpoints(), 1);
    assert!(settings.create_subdir() && !settings.incremental());
    assert_eq!(settings.inline_threshold_bytes(), 20 * 1024);
    assert_eq!(settings.max_inline_state_bytes(), 5 << 20);
    assert_eq!(settings.checkpoint_interval(), None);
    assert_eq!(settings.checkpoint_timeout(), Duration::from_mins(10));
    assert_eq!(settings.min_pause(), Duration::ZERO);
    assert_eq!(settings.max_concurrent_checkpoints(), 1);
    assert_eq!(settings.tolerable_failed_checkpoints(), 0);
    assert_eq!(settings.compression(), Compression::None);
    assert_eq!(settings.retention(), Retention::NoExternalized);
    assert_eq!((settings.max_parallelism(), settings.parallelism()), (None, 1));
}

#[test]
fn spellings_are_one_setting() {
    for name in
        ["state.checkpoints.dir", "execution.checkpointing.dir", "state.backend.fs.checkpointdir"]
    {
        let settings = one(name, "/data/x");
        assert_eq!(settings.checkpoint_dir(), Some("/data/x"));
        assert_eq!(settings.get("execution.checkpointing.dir"), Some("/data/x"));
    }
    let twice = [("state.backend", "fs"), ("state.backend.type", "memory")];
    let error = Settings::from_pairs(twice).unwrap_err();
    assert!(error.message().contains("two names of one setting"));
    let equal = [
        ("state.storage.fs.memory-threshold", "20kb"),
        ("execution.checkpointing.data-inline-threshold", "20480"),
    ];
    assert_eq!(Settings::from_pairs(equal).unwrap().inline_threshold_bytes(), 20_480);
}

#[test]
fn quantities_are_strict() {
    let key = keys::MEMORY_MAX_STATE_SIZE;
    for (text, bytes) in [("7", 7), ("20kb", 20 << 10), ("5 MB", 5 << 20), ("1 gb", 1 << 30)] {
        assert_eq!(one(key, text).max_inline_state_bytes(), bytes);
    }
    for bad in ["", "kb", "-1", "1.5 mb", "5 mbit", "0", "99999999 tb", "1 2", "+3", "0x10", "5m b"]
    {
        let message = refusal(key, bad);
        assert!(message.contains(key) && message.contains(&format!("{bad:?}")), "{message}");
    }
    for (text, ms) in [("10 min", 600_000), ("500 ms", 500), ("1h", 3_600_000), ("250", 250)] {
        assert_eq!(one(keys::TIMEOUT, text).checkpoint_timeout(), Duration::from_millis(ms));
    }
    for bad in ["", "0", "soon", "1 week", "-1 s", "999999999999999999 h"] {
        assert!(refusal(keys::TIMEOUT, bad).contains("10 min"));
    }
    for (key, bad) in [
        (keys::NUM_RETAINED, "0"),
        (keys::INCREMENTAL, "yes"),
        (keys::COMPRESSION, "gzip"),
        (keys::MAX_PARALLELISM, "32769"),
        (keys::MODE, "AT_LEAST_ONCE"),
        (keys::RETENTION, "RETAIN"),
        (keys::RETENTION, ""),
        (keys::BACKEND, " "),
        (keys::INLINE_THRESHOLD, "2 mb"),
    ] {
        assert!(refusal(key, bad).contains(key));
    }
}

#[test]
fn compression_takes_flinks_booleans() {
    for (text, want) in [
        ("true", Compression::Snappy),
        ("false", Compression::None),
        ("ZSTD", Compression::Zstd),
        ("lz4", Compression::Lz4),
    ] {
        assert_eq!(one(keys::COMPRESSION, text).compression(), want);
    }
}

#[test]
fn retention_takes_flinks_names_in_any_case() {
    for (text, want) in [
        ("NO_EXTERNALIZED_CHECKPOINTS", Retention::NoExternalized),
        ("Delete-On_Cancellation", Retention::DeleteOnCancellation),
        ("RETAIN_ON_CANCELLATION", Retention::RetainOnCancellation),
        ("retain-on-cancellation", Retention::RetainOnCancellation),
    ] {
        assert_eq!(one(keys::RETENTION, text).retention(), want);
        assert_eq!(Retention::from_name(want.name()).unwrap(), want);
    }
}

#[test]
fn unknown_keys_are_refused_with_the_nearest_one() {
    let settings = one("state.checkpoint.dir", "/x");
    let error = settings.check_known(&[]).unwrap_err();
    assert!(error.message().contains("did you mean state.checkpoints.dir?"));
    let own = one("state.backend.rocksdb.thread.num", "4");
    own.check_known(&["state.backend.rocksdb.thread.num"]).unwrap();
    assert_eq!(own.number("state.backend.rocksdb.thread.num", 2, 1..=8).unwrap(), 4);
    assert!(own.number("state.backend.rocksdb.thread.num", 2, 1..=3).is_err());
    assert!(own.check_known(&["state.backend.rocksdb.files.open"]).is_err());
    let error = one("entirely.else", "1").check_known(&[]).unwrap_err();
    assert!(!error.message().contains("did you mean"));
}

#[test]
fn a_backends_own_keys_are_typed() {
    let text = "[x]\nsize = '3 mb'\nflag = true\ntime = '2 s'\ncount = 5";
    let settings = Settings::from_toml(text).unwrap();
    assert_eq!(settings.size("x.size", 1, 0..=u64::MAX).unwrap(), 3 << 20);
    assert_eq!(settings.size("x.none", 1, 0..=u64::MAX).unwrap(), 1);
    assert!(settings.flag("x.flag", false).unwrap());
    assert_eq!(settings.duration("x.time", Duration::ZERO).unwrap(), Duration::from_secs(2));
    assert!(settings.flag("x.count", false).is_err());
}

#[test]
fn toml_is_flattened_and_errors_name_the_line() {
    let settings = Settings::from_toml(
        "\"state.backend\" = \"fs\"\nexecution.checkpointing.incremental = true\n\
         execution.checkpointing.interval = 1_000\n[state.checkpoints]\nnum-retained = 3",
    );
    let settings = settings.unwrap();
    assert!(settings.backend() == "fs" && settings.incremental());
    assert_eq!(settings.checkpoint_interval(), Some(Duration::from_secs(1)));
    assert_eq!(settings.retained_checkpoints(), 3);
    for (text, line, hint) in [
        ("a.b = 1\nc = [1]", "line 2", "list"),
        ("a = 1.5", "line 1", "fraction"),
        ("a = \n", "line 1", "TOML"),
        ("\n\nstate.checkpoints.num-retained = 0", "line 3", "whole number"),
        ("state.backend = 'x'\nstate.backend.incremental = true", "line 2", "quoted"),
    ] {
        let error = Settings::from_toml(text).unwrap_err();
        let message = error.message();
        assert!(message.contains(line) && message.contains(hint), "{message}");
        assert!(!message.contains('\n'));
    }
}

#[test]
fn later_sources_override() {
    let file = Settings::from_toml("\"state.backend\" = 'fs'\nparallelism.default = 2").unwrap();
    let line = Settings::from_assignments(["state.backend.type = memory"]).unwrap();
    let both = file.overlay(line);
    assert_eq!((both.backend(), both.parallelism()), ("memory", 2));
    assert!(Settings::from_assignments(["state.backend"]).is_err());
    assert!(Settings::from_assignments(["=x"]).is_err());
    assert!(Settings::from_assignments(["a..b=x"]).is_err());
    let equals = Settings::from_assignments(["a.b=c=d"]).unwrap();
    assert_eq!(equals.get("a.b"), Some("c=d"));
}

#[test]
fn secrets_are_not_shown() {
    let marked = [
        ("my.secret-key", "MARKED"),
        ("my.access-key", "MARKED"),
        ("my.session_Token", "MARKED"),
        ("my.account.key.x", "MARKED"),
        ("db.PassWord", "MARKED"),
        ("state.checkpoints.dir", "s3://MARKED:MARKED@bucket/MARKE-not"),
    ];
    let settings = Settings::from_pairs(marked).unwrap();
    let mut texts = vec![format!("{settings:?}"), settings.to_string()];
    texts.push(format!("{:?}", settings.effective()));
    for text in texts {
        assert!(!text.contains("MARKED"), "{text}");
        assert!(text.contains("bucket/MARKE-not"));
    }
    let mut again = settings.clone();
    for (key, _) in marked {
        let error = again.set(key, "MARKED-2://x:MARKED@y").unwrap_err();
        assert!(!format!("{error:?}").contains(":MARKED@"), "{error:?}");
        assert!(!error.message().contains("MARKED:MARKED"), "{error:?}");
    }
    for text in ["x.password MARKED", "x.secretMARKED"] {
        let error = Settings::from_assignments([text]).unwrap_err();
        assert!(!error.message().contains("MARKED"), "{error}");
    }
    let error = settings.flag("my.secret-key", false).unwrap_err();
    assert!(!error.message().contains("MARKED"));
    let error = Settings::from_toml("my.secret-key = MARKED").unwrap_err();
    assert!(!format!("{error:?}").contains("MARKED"), "{error:?}");
}

#[test]
fn credentials_of_object_stores_are_no_settings() {
    for (key, place) in [
        ("s3.access-key", "AWS_ACCESS_KEY_ID"),
        ("s3.secret-key", "AWS_SECRET_ACCESS_KEY"),
        ("s3.access.key", "~/.aws/credentials"),
        ("S3.Session_Token", "role"),
        ("fs.s3a.secret.key", "environment"),
        ("fs.azure.account.key.x", "AZURE_STORAGE_ACCOUNT_KEY"),
        ("gs.credentials", "GOOGLE_APPLICATION_CREDENTIALS"),
    ] {
        let message = refusal(key, "MARKED");
        assert!(message.contains(key) && message.contains(place), "{message}");
        assert!(!message.contains("MARKED"), "{message}");
    }
    one("s3.entropy.key", "_entropy_");
}

#[test]
fn object_stores_have_bounds() {
    let requests = Settings::new().object_requests();
    assert_eq!((requests.retry_limit, requests.max_requests), (10, 64));
    assert_eq!((requests.part_bytes, requests.parallel_parts), (8 << 20, 4));
    assert_eq!(requests.retry_interval, Duration::from_millis(100));
    assert_eq!(requests.max_retry_interval, Duration::from_secs(15));
    assert_eq!(requests.retry_timeout, Duration::from_mins(3));
    assert_eq!(requests.request_timeout, Duration::from_mins(1));
    assert_eq!(requests.connect_timeout, Duration::from_secs(5));
    assert_eq!(Settings::new().s3_entropy(), None);
    assert_eq!(one(keys::S3_ENTROPY_KEY, "_x_").s3_entropy(), Some(("_x_", 4)));
    assert_eq!(one("s3.region", "eu-west-1").s3_region(), Some("eu-west-1"));
    assert_eq!(one("s3.path-style-access", "true").s3_path_style(), Some(true));
    assert_eq!(one("s3.multipart.size", "64M").object_requests().part_bytes, 64 << 20);
    for (key, bad) in [
        (keys::S3_ENTROPY_LENGTH, "0"),
        (keys::S3_ENTROPY_LENGTH, "9"),
        (keys::RETRY_LIMIT, "101"),
        (keys::RETRY_INTERVAL, "0"),
        (keys::RETRY_TIMEOUT, "6 min"),
        (keys::REQUEST_TIMEOUT, "0 ms"),
        (keys::PART_SIZE, "4 mb"),
        (keys::MAX_REQUESTS, "0"),
        (keys::PARALLEL_PARTS, "65"),
        (keys::S3_PATH_STYLE, "yes"),
    ] {
        assert!(refusal(key, bad).contains(key));
    }
}

#[test]
fn effective_shows_defaults_and_what_was_set() {
    let all = one(keys::NUM_RETAINED, "3").effective();
    let find = |key: &str| all.iter().find(|row| row.0 == key).cloned();
    let row = |text: &str, set| Some((text.to_owned(), set));
    let value = |key| find(key).map(|(_, text, set)| (text, set));
    assert_eq!(value(keys::NUM_RETAINED), row("\"3\"", true));
    assert_eq!(value(keys::TIMEOUT), row("\"10 min\"", false));
    assert_eq!(value(keys::CHECKPOINT_DIR), None);
}
