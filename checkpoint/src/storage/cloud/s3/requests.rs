//! Publication through the real client, to a server that is slow to agree: what is told is what is there.

use std::collections::{HashMap, VecDeque};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use alluvium_state_api::settings::Settings;
use alluvium_state_api::snapshot::FileName;
use alluvium_state_api::storage::CheckpointStorage;
use alluvium_state_api::{CheckpointId, ErrorKind};
use parking_lot::Mutex;

use crate::storage::{Environment, StorageEnv, open_storage};

/// What the server does with a put.
#[derive(Clone, Copy)]
enum Put {
    /// It is done, and the connection ends without an answer.
    Lose,
    /// It is not done; another one was under way.
    Conflict,
    /// It is not done.
    Busy,
}

/// As much of S3's protocol as a publication needs: get, and put with conditions.
#[derive(Default)]
struct Server {
    objects: Mutex<HashMap<String, Vec<u8>>>,
    script: Mutex<VecDeque<Put>>,
    always_busy: bool,
    puts: Mutex<u32>,
}

impl Server {
    fn start(self) -> (Arc<Self>, String) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = Arc::new(self);
        let serving = Arc::clone(&server);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let server = Arc::clone(&serving);
                thread::spawn(move || server.serve(stream));
            }
        });
        (server, url)
    }

    fn serve(&self, mut stream: TcpStream) {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let (mut line, mut length, mut create) = (String::new(), 0, false);
        reader.read_line(&mut line).unwrap();
        let mut words = line.split(' ').map(str::to_owned);
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        loop {
            let mut header = String::new();
            if reader.read_line(&mut header).unwrap_or(0) == 0 || header.trim().is_empty() {
                break;
            }
            let header = header.trim().to_ascii_lowercase();
            if let Some(value) = header.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            create |= header.starts_with("if-none-match:");
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        let answer = match method.as_str() {
            "PUT" => self.put(path, body, create),
            _ => Some(self.get(&path)),
        };
        if let Some((status, body)) = answer {
            let head = format!(
                "HTTP/1.1 {status}\r\nETag: \"1\"\r\nLast-Modified: Sat, 28 Nov 2026 12:00:00 GMT\r\n\
                 Content-Length: {}\r\nConnection: close\r\n\r\n",
                body.len()
            );
            drop(stream.write_all(&[head.as_bytes(), &body].concat()));
        }
    }

    fn put(&self, path: String, body: Vec<u8>, create: bool) -> Option<(&'static str, Vec<u8>)> {
        *self.puts.lock() += 1;
        let now = self.script.lock().pop_front();
        let now = now.or(self.always_busy.then_some(Put::Busy));
        let mut objects = self.objects.lock();
        match now {
            Some(Put::Conflict) => return Some(("409 Conflict", Vec::new())),
            Some(Put::Busy) => return Some(("503 Slow Down", Vec::new())),
            _ if create && objects.contains_key(&path) => {
                return Some(("412 Precondition Failed", Vec::new()));
            }
            _ => {}
        }
        objects.insert(path, body);
        match now {
            Some(Put::Lose) => None,
            _ => Some(("200 OK", Vec::new())),
        }
    }

    fn get(&self, path: &str) -> (&'static str, Vec<u8>) {
        match self.objects.lock().get(path) {
            Some(body) => ("200 OK", body.clone()),
            None => ("404 Not Found", Vec::new()),
        }
    }
}

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
        assert!(*server.puts.lock() as usize > tries.min(1), "{tries}");
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
