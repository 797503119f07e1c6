//! Publications while requests fail on their way, and while the server is killed.

use std::env;
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use alluvium_state_api::random::{OsRandomness, Randomness};
use alluvium_state_api::testkit::storages::content::{check_whole, id, publish_three, take};
use alluvium_state_api::testkit::storages::job;
use alluvium_state_api::{Error, ErrorKind};
use parking_lot::Mutex;

use crate::bucket::Bucket;
use crate::proxy::Proxy;
use crate::publications::Publications;

#[test]
fn publications_complete_or_are_given_up_where_a_fifth_of_requests_fails() {
    const POINTS: u64 = 100;
    let seed = env::var("ALLUVIUM_SEED")
        .map_or_else(|_| OsRandomness.next_u64() >> 32, |text| text.parse().unwrap());
    let bucket = Bucket::new();
    let proxy = Proxy::before(bucket.port(), seed);
    let publications = Publications {
        failing: bucket.open(proxy.port, &job(), None).unwrap(),
        look: bucket.open(bucket.port(), &job(), None).unwrap(),
        disturb: &|on| {
            proxy.set_percent(if on { 20 } else { 0 });
            if !on {
                proxy.land();
            }
        },
        large: 11 << 20,
    };
    let count = publications.run(POINTS);
    eprintln!(
        "publications: points={POINTS} faults={} bad={} seed={seed} {count:?}",
        proxy.faults(),
        count.bad
    );
    assert_eq!(count.bad, 0);
    assert!(count.completed >= POINTS / 4 && count.given_up > 0 && proxy.faults() > POINTS / 2);
    // Of an upload that was begun without an answer nobody knows.
    eprintln!("publications: uploads left to a rule of the bucket: {}", bucket.uploads().len());
}

/// A server of its own, which a test may kill.
#[derive(Clone)]
struct Server {
    port: u16,
    process: Arc<Mutex<Option<Child>>>,
}

impl Server {
    fn new() -> Self {
        let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
        let server = Self { port, process: Arc::default() };
        server.start();
        server
    }

    fn start(&self) {
        let python = env::var("ALLUVIUM_S3_SERVER").expect("run scripts/s3");
        let child = Command::new(python)
            .args(["-m", "moto.server", "-H", "127.0.0.1", "-p", &self.port.to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        *self.process.lock() = Some(child);
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            let ended = self.process.lock().as_mut().unwrap().try_wait().unwrap();
            assert_eq!(ended, None, "the server did not start");
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// As by SIGKILL.
    fn kill(&self) {
        if let Some(mut child) = self.process.lock().take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if Arc::strong_count(&self.process) == 1 {
            self.kill();
        }
    }
}

/// The server keeps everything in memory: what it held is lost when it is killed.
#[test]
fn a_server_that_is_killed_leaves_typed_errors_and_nothing_half() {
    let server = Server::new();
    let (mut points, mut bad) = (0, 0);
    // The requests of a checkpoint: a look, two files, the metadata.
    for at in 1..=4 {
        let bucket = Bucket::at(server.port);
        let killed = server.clone();
        let hook = move |number| {
            if number == at {
                killed.kill();
            }
        };
        let proxy = Proxy::with_hook(server.port, 0, Box::new(hook));
        let storage = bucket.open(proxy.port, &job(), None).unwrap();
        let attempt = storage.begin(id(1));
        let ended = match &attempt {
            Ok(attempt) => publish_three(&**attempt, 1).map(drop),
            Err(error) => Err(Error::new(error.kind(), "it did not begin")),
        };
        let kind = ended.unwrap_err().kind();
        bad += u64::from(!matches!(kind, ErrorKind::Unavailable | ErrorKind::Indeterminate));
        // It may fail while nothing answers, and ends once something does.
        if let Ok(attempt) = &attempt {
            drop(attempt.abort());
        }
        server.start();
        bucket.make();
        if let Ok(attempt) = attempt {
            attempt.abort().unwrap();
        }
        assert!(storage.list().unwrap().is_empty(), "request {at}");
        take(&*storage, 2).unwrap();
        check_whole(&storage.load(id(2)).unwrap()).unwrap();
        points += 1;
    }
    server.kill();
    eprintln!("killed: points={points} faults={points} bad={bad} seed=0");
    assert_eq!(bad, 0);
}
