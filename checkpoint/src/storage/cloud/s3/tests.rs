//! Where endpoint, region and credentials come from, and that secrets reach nobody.

use std::error::Error as _;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;

use alluvium_state_api::snapshot::FileName;
use alluvium_state_api::storage::FileScope;
use alluvium_state_api::{CheckpointId, ErrorKind};

use super::*;
use crate::storage::open_storage;

pub(super) const SECRET: &str = "MARKED-SECRET-7f3a";
const HOME: (&str, &str) = ("HOME", "/home/me");

fn given(pairs: &[(&str, &str)], files: &[(&str, &str)]) -> StorageEnv {
    let mut environment = Environment::from_pairs(pairs.iter().copied());
    for (path, text) in files {
        environment = environment.with_file(*path, *text);
    }
    StorageEnv::default().with_environment(environment)
}

fn credentials(env: &StorageEnv) -> Result<Option<AwsCredential>> {
    fixed_credentials(&env.environment, profile::load(env)?)
}

fn key_of(env: &StorageEnv) -> Option<(String, Option<String>)> {
    credentials(env).unwrap().map(|found| (found.key_id, found.token))
}

fn endpoint_of(settings: &Settings, env: &StorageEnv) -> Option<String> {
    let profile = profile::load(env).unwrap();
    endpoint(settings, &env.environment, &profile).unwrap().map(|found| found.url(""))
}

fn region_of(settings: &Settings, env: &StorageEnv) -> String {
    region(settings, &env.environment, &profile::load(env).unwrap()).unwrap()
}

const CREDENTIALS: &str = "\
# a comment
[default]
aws_access_key_id = KEY-OF-DEFAULT
aws_secret_access_key = secret/of+default=

[other]
aws_access_key_id=KEY-OF-OTHER
aws_secret_access_key=secret
aws_session_token=token
region = of-credentials
";

const CONFIG: &str = "\
[default]
region = eu-west-1
s3 =
    max_concurrent_requests = 20
; another
[profile other]
region = eu-west-2
endpoint_url = http://profile:9000
[profile third]
aws_access_key_id = KEY-OF-THIRD
aws_secret_access_key = secret
[profile role]
role_arn = arn:aws:iam::1:role/x
source_profile = default
[sso-session x]
sso_region = eu-west-3
";

fn files() -> [(&'static str, &'static str); 2] {
    [("/home/me/.aws/credentials", CREDENTIALS), ("/home/me/.aws/config", CONFIG)]
}

#[test]
fn credentials_come_from_the_first_place_that_has_them() {
    let key = |key: &str, token: Option<&str>| Some((key.to_owned(), token.map(str::to_owned)));
    let named = |name| given(&[HOME, ("AWS_PROFILE", name)], &files());
    assert_eq!(key_of(&given(&[], &[])), None);
    assert_eq!(key_of(&given(&[HOME], &files())), key("KEY-OF-DEFAULT", None));
    assert_eq!(key_of(&named("other")), key("KEY-OF-OTHER", Some("token")));
    assert_eq!(key_of(&named("third")), key("KEY-OF-THIRD", None));
    let pair = [("AWS_ACCESS_KEY_ID", "OURS"), ("AWS_SECRET_ACCESS_KEY", "x"), HOME];
    assert_eq!(key_of(&given(&pair, &files())), key("OURS", None));
    let token = [pair[0], pair[1], ("AWS_SESSION_TOKEN", "t")];
    assert_eq!(key_of(&given(&token, &files())), key("OURS", Some("t")));
    let web = [HOME, ("AWS_WEB_IDENTITY_TOKEN_FILE", "/token"), ("AWS_ROLE_ARN", "arn")];
    assert_eq!(key_of(&given(&web, &files())), None);
    let elsewhere = [
        ("HOME", "/nowhere"),
        ("AWS_SHARED_CREDENTIALS_FILE", "/home/me/.aws/credentials"),
        ("AWS_PROFILE", "other"),
    ];
    assert_eq!(key_of(&given(&elsewhere, &files())), key("KEY-OF-OTHER", Some("token")));
    let beside_home = [HOME, ("AWS_CONFIG_FILE", "~/c")];
    let config = "[profile default]\naws_access_key_id=K\naws_secret_access_key=s";
    assert_eq!(key_of(&given(&beside_home, &[("/home/me/c", config)])), key("K", None));
}

#[test]
fn a_role_of_a_profile_is_refused_by_name() {
    let env = given(&[HOME, ("AWS_PROFILE", "role")], &files());
    let error = credentials(&env).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.message().contains("role_arn"), "{error}");
    let pair = [("AWS_ACCESS_KEY_ID", "OURS"), ("AWS_SECRET_ACCESS_KEY", "x")];
    let env = given(&[HOME, ("AWS_PROFILE", "role"), pair[0], pair[1]], &files());
    assert!(key_of(&env).is_some());
}

#[test]
fn endpoint_and_region_come_from_settings_then_environment_then_profile() {
    let none = Settings::new();
    let set = Settings::from_pairs([("s3.endpoint", "minio:9000/"), ("s3.region", "of-settings")]);
    let set = set.unwrap();
    let env = given(
        &[
            HOME,
            ("AWS_PROFILE", "other"),
            ("AWS_ENDPOINT_URL", "http://all"),
            ("AWS_ENDPOINT_URL_S3", "http://only-s3:1/base"),
            ("AWS_REGION", "of-environment"),
        ],
        &files(),
    );
    assert_eq!(endpoint_of(&set, &env).as_deref(), Some("https://minio:9000"));
    assert_eq!(endpoint_of(&none, &env).as_deref(), Some("http://only-s3:1/base"));
    assert_eq!(region_of(&set, &env), "of-settings");
    assert_eq!(region_of(&none, &env), "of-environment");
    let env = given(&[HOME, ("AWS_PROFILE", "other")], &files());
    assert_eq!(endpoint_of(&none, &env).as_deref(), Some("http://profile:9000"));
    assert_eq!(region_of(&none, &env), "of-credentials");
    let bare = given(&[], &[]);
    assert_eq!(endpoint_of(&none, &bare), None);
    assert_eq!(region_of(&none, &bare), "us-east-1");
    let parsed = Endpoint::parse("x", "https://host:9000").unwrap();
    assert_eq!(parsed.url("bucket"), "https://bucket.host:9000");
    assert!(!parsed.plain && Endpoint::parse("x", "http://host").unwrap().plain);
}

/// Message, `Debug` and every cause of an error, `Debug` of the causes, too.
pub(super) fn texts(error: &Error) -> String {
    let mut texts = format!("{error} {error:?} {error:#?}");
    let mut source = error.source();
    while let Some(cause) = source {
        texts.extend([cause.to_string(), format!("{cause:?}")]);
        source = cause.source();
    }
    texts
}

#[test]
fn what_is_malformed_is_refused_without_being_repeated() {
    let pair = |key, secret| [("AWS_ACCESS_KEY_ID", key), ("AWS_SECRET_ACCESS_KEY", secret)];
    let spaced = format!("{SECRET} x");
    let lines = format!("{SECRET}\nx");
    let url = format!("https://user:{SECRET}@host");
    let query = format!("https://host/?{SECRET}");
    let odd = format!("ftp://{SECRET}");
    let mut environments = vec![
        given(&[("AWS_ACCESS_KEY_ID", SECRET)], &[]),
        given(&[("AWS_SECRET_ACCESS_KEY", SECRET)], &[]),
        given(&pair("k", &spaced), &[]),
        given(&pair(&lines, "s"), &[]),
        given(&[("AWS_SESSION_TOKEN", spaced.as_str()), pair("k", "s")[0], pair("k", "s")[1]], &[]),
        given(&[("AWS_PROFILE", SECRET), HOME], &files()),
        given(&[("AWS_REGION", spaced.as_str())], &[]),
        given(&[("AWS_ENDPOINT_URL", url.as_str())], &[]),
        given(&[("AWS_ENDPOINT_URL", query.as_str())], &[]),
        given(&[("AWS_ENDPOINT_URL_S3", odd.as_str())], &[]),
        given(&[("AWS_ROLE_ARN", spaced.as_str())], &[]),
        given(&[("AWS_EC2_METADATA_DISABLED", "true")], &[]),
        given(&[("AWS_WEB_IDENTITY_TOKEN_FILE", SECRET)], &[]),
        given(&[("AWS_CONTAINER_CREDENTIALS_FULL_URI", SECRET)], &[]),
    ];
    for text in [
        format!("{SECRET}\n"),
        format!("[default\n{SECRET}"),
        format!("  {SECRET} = x"),
        format!("aws_secret_access_key = {SECRET}"),
        format!("[default]\n= {SECRET}"),
        format!("[default]\naws secret = {SECRET}"),
        format!("[default]\naws_secret_access_key = {SECRET}"),
        format!("[default]\naws_access_key_id = k\naws_secret_access_key = {SECRET} x"),
        format!("[default]\nregion = {SECRET} x"),
        format!("[default]\nendpoint_url = ftp://{SECRET}"),
        format!("[default]\ncredential_process = echo {SECRET}"),
        format!("[default]\nregion = {SECRET}\nregion = {SECRET}"),
    ] {
        environments.push(given(&[HOME], &[("/home/me/.aws/credentials", &text)]));
        let text = text.into_bytes();
        let mut broken = vec![0xff];
        broken.extend(text);
        let environment = Environment::from_pairs([HOME]).with_file("/home/me/.aws/config", broken);
        environments.push(StorageEnv::default().with_environment(environment));
    }
    let settings = Settings::from_pairs([("state.checkpoints.dir", "s3://bucket/x")]).unwrap();
    let job = FileName::new("job").unwrap();
    for (number, env) in environments.iter().enumerate() {
        let error = open_storage(&settings, &job, env).unwrap_err();
        assert!(
            matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::Unsupported),
            "{number}: {error}"
        );
        assert!(!texts(&error).contains(SECRET), "{number}: {}", texts(&error));
        assert!(!format!("{env:?}").contains(SECRET));
    }
}

/// A server that refuses everything, and repeats what it was sent.
fn echo(status: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || {
                let mut stream = stream;
                let mut buffer = vec![0; 1 << 16];
                let count = stream.read(&mut buffer).unwrap_or(0);
                let sent = String::from_utf8_lossy(&buffer[..count]).into_owned();
                let body =
                    format!("<Error><Code>X</Code><Message>{SECRET} {sent}</Message></Error>");
                let head = format!(
                    "HTTP/1.1 {status}\r\nLocation: http://{SECRET}/\r\nContent-Length: {}\r\n\
                     Connection: close\r\n\r\n",
                    body.len()
                );
                drop(stream.write_all(format!("{head}{body}").as_bytes()));
            });
        }
    });
    format!("http://{address}")
}

#[test]
fn no_answer_of_a_server_brings_a_secret_into_an_error() {
    let env = given(
        &[
            ("AWS_ACCESS_KEY_ID", SECRET),
            ("AWS_SECRET_ACCESS_KEY", SECRET),
            ("AWS_SESSION_TOKEN", SECRET),
        ],
        &[],
    );
    for status in
        ["403 Forbidden", "401 No", "500 Broken", "404 Not Found", "307 Moved", "400 Bad", "200 OK"]
    {
        let settings = Settings::from_pairs([
            ("state.checkpoints.dir", "s3://bucket/x"),
            ("state.storage.fs.memory-threshold", "0"),
            ("s3.endpoint", &echo(status)),
            ("s3.retry.limit", "0"),
        ]);
        let job = FileName::new("job").unwrap();
        let storage = open_storage(&settings.unwrap(), &job, &env).unwrap();
        assert!(!format!("{storage:?} {storage:#?}").contains(SECRET));
        let mut failures = Vec::new();
        failures.extend(storage.list().err());
        failures.extend(storage.survey().err());
        failures.extend(storage.load(CheckpointId::new(1)).err());
        failures.extend(storage.begin_export("s3://bucket/export").err());
        failures.extend(storage.open_pointer("s3://bucket/pointer").err());
        failures.extend(storage.discard(CheckpointId::new(1), &[]).err());
        if let Ok(attempt) = storage.begin(CheckpointId::new(1)) {
            let mut writer = attempt.sink().create(FileScope::Own).unwrap();
            failures.extend(writer.write(b"bytes").err());
            failures.extend(writer.finish().err());
            failures.extend(attempt.publish(b"metadata").err());
            failures.extend(attempt.abort().err());
            assert!(!format!("{attempt:?}").contains(SECRET));
        }
        if status != "200 OK" {
            assert!(failures.len() >= 3, "{status}: {failures:?}");
        }
        for error in failures {
            assert!(!texts(&error).contains(SECRET), "{status}: {}", texts(&error));
        }
    }
}
