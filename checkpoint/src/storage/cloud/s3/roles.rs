//! Credentials that services hand out, and TLS with certificates that are not publicly known: what is sent
//! with them, to whom, and that secrets are in nothing that is shown or stored.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;

use alluvium_state_api::settings::Settings;
use alluvium_state_api::snapshot::FileName;
use alluvium_state_api::storage::{CheckpointStorage, FileScope};
use alluvium_state_api::testkit::storages::content::{check_whole, content, encode, id, write};
use alluvium_state_api::{Error, ErrorKind};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tempfile::NamedTempFile;

use super::server::Server;
use super::tests::{SECRET, texts};
use crate::storage::{Environment, StorageEnv, open_storage};

const KEY_ID: &str = "KEY-OF-ROLE";
/// What a workload shows to the service.
const TOKEN: &str = "MARKED-TOKEN-91c5";

/// For `127.0.0.1`, signed by itself, until 2120.
const CERTIFICATE: &str = "\
-----BEGIN CERTIFICATE-----
MIIBQjCB6qADAgECAgEBMAoGCCqGSM49BAMCMBkxFzAVBgNVBAMMDmFsbHV2aXVt
IHRlc3RzMCAXDTIwMDEwMTAwMDAwMFoYDzIxMjAwMTAxMDAwMDAwWjAZMRcwFQYD
VQQDDA5hbGx1dml1bSB0ZXN0czBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABCba
E7ELwFvUynuOLr9k9lMf5Lx4HajwkJJHA7vyxhDG2BynOWDIk9kU6hd4C+8w5bIY
GN1dzdKbDVq/iF8HIDyjITAfMAwGA1UdEwEB/wQCMAAwDwYDVR0RBAgwBocEfwAA
ATAKBggqhkjOPQQDAgNHADBEAiAsikOLNTwSCTH8A2QoflPXL2m+px1tBOQKYm4S
2ooFywIgGI5SByZz+nODCHv5L0Sfblx6r+PnrBcBZbwrStdLFtM=
-----END CERTIFICATE-----
";
/// Of the certificate, and of nothing else in the world.
const PRIVATE_KEY: &str = "\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgtLolwhuwtItxzVgJ
yRPJ8RTBr9UWE8RKIzrS22aTUI6hRANCAAQm2hOxC8Bb1Mp7ji6/ZPZTH+S8eB2o
8JCSRwO78sYQxtgcpzlgyJPZFOoXeAvvMOWyGBjdXc3Smw1av4hfByA8
-----END PRIVATE KEY-----
";

fn tls() -> Arc<ServerConfig> {
    let certificate = CertificateDer::from_pem_slice(CERTIFICATE.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(PRIVATE_KEY.as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config =
        ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.unwrap().with_no_client_auth();
    Arc::new(config.with_single_cert(vec![certificate], key).unwrap())
}

fn file(text: &str) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

fn path(file: &NamedTempFile) -> &str {
    file.path().to_str().unwrap()
}

/// A storage, and what it was opened with.
fn open(endpoint: &str, pairs: &[(&str, &str)]) -> (Arc<dyn CheckpointStorage>, StorageEnv) {
    let settings = Settings::from_pairs([
        ("state.checkpoints.dir", "s3://bucket/x"),
        ("state.storage.fs.memory-threshold", "0"),
        ("s3.endpoint", endpoint),
        ("s3.retry.limit", "0"),
    ]);
    let environment = Environment::from_pairs(pairs.iter().copied());
    let env = StorageEnv::default().with_environment(environment);
    let job = FileName::new("job").unwrap();
    (open_storage(&settings.unwrap(), &job, &env).unwrap(), env)
}

/// Publishes a checkpoint and reads it; what can be shown has no secret.
fn use_storage(storage: &Arc<dyn CheckpointStorage>, env: &StorageEnv) {
    let attempt = storage.begin(id(1)).unwrap();
    let file = write(&*attempt.sink(), FileScope::Shared, &content(1, 30_000)).unwrap();
    attempt.publish(&encode(&[file])).unwrap();
    check_whole(&storage.load(id(1)).unwrap()).unwrap();
    assert_no_secret(&format!("{storage:?} {storage:#?} {attempt:?} {env:?}"));
}

fn assert_no_secret(shown: &str) {
    assert!(!shown.contains(SECRET) && !shown.contains(TOKEN), "{shown}");
}

/// Whatever is asked of the storage fails for want of credentials or of a connection.
fn assert_unavailable(storage: &Arc<dyn CheckpointStorage>) {
    let attempted: [Option<Error>; 3] =
        [storage.begin(id(1)).err(), storage.load(id(1)).err(), storage.list().err()];
    for error in attempted {
        let error = error.unwrap();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
        assert_no_secret(&texts(&error));
    }
}

/// Requests to the store carry the key id and a signature, and nothing has the secret, nor what was
/// stored.
fn assert_signed(server: &Server) {
    let sent = server.authorizations.lock();
    let of_store: Vec<_> = sent.iter().filter(|one| **one != TOKEN).collect();
    assert!(of_store.len() >= 4, "{of_store:?}");
    let signed = format!("AWS4-HMAC-SHA256 Credential={KEY_ID}/");
    for one in of_store {
        assert!(one.starts_with(&signed), "{one}");
        assert_no_secret(one);
    }
    for (name, bytes) in &*server.objects.lock() {
        assert_no_secret(&format!("{name} {}", String::from_utf8_lossy(bytes)));
    }
}

fn answering(
    path: &str,
    status: &'static str,
    text: String,
) -> BTreeMap<String, (&'static str, String)> {
    BTreeMap::from([(path.to_owned(), (status, text))])
}

fn credentials() -> String {
    format!(
        r#"{{"AccessKeyId":"{KEY_ID}","SecretAccessKey":"{SECRET}","Token":"{SECRET}",
             "Expiration":"2120-01-01T00:00:00Z"}}"#
    )
}

#[test]
fn the_role_of_a_container_signs_and_its_secret_is_shown_nowhere() {
    let fixed = answering("/credentials", "200 OK", credentials());
    let (server, url) = Server { fixed, ..Server::default() }.start();
    let (token, uri) = (file(TOKEN), format!("{url}/credentials"));
    let pairs = [
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", uri.as_str()),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", path(&token)),
    ];
    let (storage, env) = open(&url, &pairs);
    use_storage(&storage, &env);
    assert_signed(&server);
    let asked = server.authorizations.lock().iter().filter(|one| **one == TOKEN).count();
    assert_eq!(asked, 1, "the credentials are kept until they expire");
}

#[test]
fn the_role_of_an_instance_signs_and_its_secret_is_shown_nowhere() {
    let mut fixed = answering("/latest/api/token", "200 OK", TOKEN.to_owned());
    let roles = "/latest/meta-data/iam/security-credentials/";
    fixed.extend(answering(roles, "200 OK", "role".to_owned()));
    fixed.extend(answering(&format!("{roles}role"), "200 OK", credentials()));
    let (server, url) = Server { fixed, ..Server::default() }.start();
    let service = format!("{url}/");
    let (storage, env) = open(&url, &[("AWS_EC2_METADATA_SERVICE_ENDPOINT", service.as_str())]);
    use_storage(&storage, &env);
    assert_signed(&server);
}

#[test]
fn a_service_of_credentials_that_answers_nonsense_is_told_without_its_words() {
    let secret = SECRET;
    for (status, answer) in [
        ("400 Bad Request", format!("{secret} is not allowed")),
        ("200 OK", format!("{secret} is no JSON")),
        ("200 OK", credentials().replace("2120-01-01T00:00:00Z", secret)),
        ("200 OK", credentials().replace("Expiration", secret)),
        ("200 OK", format!("{{\"AccessKeyId\":\"{secret}")),
    ] {
        let fixed = answering("/credentials", status, answer);
        let (server, url) = Server { fixed, ..Server::default() }.start();
        let (token, uri) = (file(TOKEN), format!("{url}/credentials"));
        let pairs = [
            ("AWS_CONTAINER_CREDENTIALS_FULL_URI", uri.as_str()),
            ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", path(&token)),
        ];
        let (storage, _) = open(&url, &pairs);
        assert_unavailable(&storage);
        let sent = server.authorizations.lock();
        assert!(!sent.is_empty() && sent.iter().all(|one| one == TOKEN), "{sent:?}");
    }
}

#[test]
fn a_web_identity_is_exchanged_over_tls_with_a_certificate_of_the_bundle() {
    let answer = format!(
        "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials>\
         <SessionToken>{SECRET}</SessionToken><SecretAccessKey>{SECRET}</SecretAccessKey>\
         <Expiration>2120-01-01T00:00:00Z</Expiration><AccessKeyId>{KEY_ID}</AccessKeyId>\
         </Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"
    );
    let fixed = answering("/", "200 OK", answer);
    let (server, url) = Server { fixed, tls: Some(tls()), ..Server::default() }.start();
    let (token, bundle) = (file(TOKEN), file(CERTIFICATE));
    let pairs = [
        ("AWS_ENDPOINT_URL_STS", url.as_str()),
        ("AWS_ROLE_ARN", "arn:aws:iam::1:role/x"),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", path(&token)),
        ("AWS_CA_BUNDLE", path(&bundle)),
    ];
    let (storage, env) = open(&url, &pairs);
    use_storage(&storage, &env);
    assert_signed(&server);
}

#[test]
fn nothing_is_sent_to_a_server_whose_certificate_is_not_known() {
    let (server, url) = Server { tls: Some(tls()), ..Server::default() }.start();
    let keys = [("AWS_ACCESS_KEY_ID", KEY_ID), ("AWS_SECRET_ACCESS_KEY", SECRET)];
    let (stranger, _) = open(&url, &keys);
    assert_unavailable(&stranger);
    assert!(server.authorizations.lock().is_empty());

    let bundle = file(CERTIFICATE);
    let (friend, env) = open(&url, &[keys[0], keys[1], ("AWS_CA_BUNDLE", path(&bundle))]);
    use_storage(&friend, &env);
    assert_signed(&server);
    // It is for this address only.
    let other = url.replace("127.0.0.1", "localhost");
    let (friend, _) = open(&other, &[keys[0], keys[1], ("AWS_CA_BUNDLE", path(&bundle))]);
    assert_unavailable(&friend);
}
