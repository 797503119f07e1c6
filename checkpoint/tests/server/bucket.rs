//! A bucket of its own for each test, and what lies in it, asked for without the client that is tested: by
//! requests that nobody signs, or of a server that checks signatures, in the directory where it keeps them.

use std::env;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use alluvium_checkpoint::{Environment, StorageEnv, open_storage};
use alluvium_state_api::Result;
use alluvium_state_api::settings::Settings;
use alluvium_state_api::snapshot::FileName;
use alluvium_state_api::storage::CheckpointStorage;
use alluvium_state_api::vfs::{FileSystem, RealFs};

use crate::http::{exchange, parse};

/// The directory of a server that checks signatures.
const DIRECTORY: &str = "ALLUVIUM_S3_DIRECTORY";

/// The server does not check it.
const AUTHORIZATION: &str = "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request, \
                             SignedHeaders=host, Signature=0";

#[derive(Clone, Debug)]
pub(crate) struct Bucket {
    port: u16,
    name: String,
    directory: Option<PathBuf>,
}

impl Bucket {
    /// A new one at the server of `scripts/s3`.
    pub(crate) fn new() -> Self {
        Self::at(env::var("ALLUVIUM_S3_PORT").expect("run scripts/s3").parse().unwrap())
    }

    pub(crate) fn at(port: u16) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("bucket-{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let directory = env::var_os(DIRECTORY).map(|root| PathBuf::from(root).join(&name));
        let bucket = Self { port, name, directory };
        bucket.make();
        bucket
    }

    /// Makes it, again where the server has forgotten it.
    pub(crate) fn make(&self) {
        match &self.directory {
            Some(directory) => fs::create_dir_all(directory).unwrap(),
            None => assert_eq!(self.ask("PUT", "", b"").0, 200),
        }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn root(&self) -> String {
        format!("s3://{}", self.name)
    }

    /// Settings of a client that reaches the server at `port`, and gives up soon.
    pub(crate) fn settings(&self, port: u16, savepoints: Option<&str>) -> Result<Settings> {
        let mut settings = Settings::from_pairs([
            ("state.checkpoints.dir", format!("{}/checkpoints", self.root()).as_str()),
            ("s3.endpoint", &format!("http://127.0.0.1:{port}")),
            ("object-store.part-size", "5 mb"),
            ("object-store.retry.limit", "1"),
            ("object-store.retry.interval", "1 ms"),
            ("object-store.request-timeout", "20 s"),
        ])?;
        if let Some(savepoints) = savepoints {
            settings.set("state.savepoints.dir", savepoints)?;
        }
        Ok(settings)
    }

    /// The storage of a job, over this server or what stands before it.
    pub(crate) fn open(
        &self,
        port: u16,
        job: &FileName,
        savepoints: Option<&str>,
    ) -> Result<Arc<dyn CheckpointStorage>> {
        self.open_as("test", port, job, savepoints)
    }

    /// The same with another secret.
    pub(crate) fn open_as(
        &self,
        secret: &str,
        port: u16,
        job: &FileName,
        savepoints: Option<&str>,
    ) -> Result<Arc<dyn CheckpointStorage>> {
        let keys = [("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", secret)];
        let env = StorageEnv::default().with_environment(Environment::from_pairs(keys));
        open_storage(&self.settings(port, savepoints)?, job, &env)
    }

    fn ask(&self, method: &str, rest: &str, body: &[u8]) -> (u16, Vec<u8>) {
        let head = format!(
            "{method} /{}{rest} HTTP/1.0\r\nHost: 127.0.0.1:{}\r\nAuthorization: {AUTHORIZATION}\r\n\
             Content-Length: {}\r\n\r\n",
            self.name,
            self.port,
            body.len()
        );
        let answer = exchange(self.port, &[head.as_bytes(), body].concat()).unwrap();
        let (status, body) = parse(&answer);
        (status, body.to_vec())
    }

    pub(crate) fn put(&self, key: &str, bytes: &[u8]) {
        if let Some(directory) = &self.directory {
            let at = directory.join(key);
            fs::create_dir_all(at.parent().unwrap()).unwrap();
            return fs::write(at, bytes).unwrap();
        }
        assert_eq!(self.ask("PUT", &format!("/{}", encode(key)), bytes).0, 200);
    }

    pub(crate) fn get(&self, key: &str) -> Vec<u8> {
        if let Some(directory) = &self.directory {
            return fs::read(directory.join(key)).unwrap();
        }
        let (status, bytes) = self.ask("GET", &format!("/{}", encode(key)), b"");
        assert_eq!(status, 200, "{key}");
        bytes
    }

    pub(crate) fn delete(&self, key: &str) {
        if let Some(directory) = &self.directory {
            return RealFs.remove_file(&directory.join(key)).unwrap();
        }
        assert_eq!(self.ask("DELETE", &format!("/{}", encode(key)), b"").0, 204);
    }

    /// All keys besides those of tombstones, which stay for a while.
    pub(crate) fn objects(&self) -> Vec<String> {
        let mut keys = match &self.directory {
            Some(directory) => files_below(directory, ""),
            None => self.listed(),
        };
        keys.retain(|key| !key.ends_with("/_metadata") || !self.get(key).starts_with(b"ALVTOMB1"));
        keys
    }

    fn listed(&self) -> Vec<String> {
        let (mut keys, mut after) = (Vec::new(), String::new());
        loop {
            let page = self.ask("GET", &format!("?list-type=2{after}"), b"").1;
            let page = String::from_utf8(page).unwrap();
            keys.extend(values(&page, "Key"));
            let Some(token) = values(&page, "NextContinuationToken").pop() else { break };
            after = format!("&continuation-token={}", encode(&token));
        }
        keys
    }

    /// The keys of uploads in parts that were begun and not ended; a server in a directory does not tell
    /// of which bucket they are.
    pub(crate) fn uploads(&self) -> Vec<String> {
        if self.directory.is_some() {
            return Vec::new();
        }
        let page = String::from_utf8(self.ask("GET", "?uploads", b"").1).unwrap();
        values(&page, "Key")
    }
}

fn files_below(directory: &Path, prefix: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let key = format!("{prefix}{}", entry.file_name().to_str().unwrap());
        if entry.file_type().unwrap().is_dir() {
            found.extend(files_below(&entry.path(), &format!("{key}/")));
        } else {
            found.push(key);
        }
    }
    found.sort_unstable();
    found
}

/// The texts of all elements of this name.
fn values(xml: &str, name: &str) -> Vec<String> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let texts = xml.split(&open).skip(1).filter_map(|rest| rest.split(&close).next());
    let entities = [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&#34;", "\""),
        ("&#39;", "'"),
        ("&amp;", "&"),
    ];
    texts
        .map(|text| {
            entities.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
        })
        .collect()
}

fn encode(key: &str) -> String {
    key.bytes().fold(String::new(), |mut text, byte| {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'-' | b'_' | b'.') {
            text.push(byte.into());
        } else {
            write!(text, "%{byte:02X}").unwrap();
        }
        text
    })
}
