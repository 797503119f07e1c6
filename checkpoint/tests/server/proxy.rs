//! A proxy on loopback that lets requests to the server fail, by seed: the four outcomes of a request, done
//! or not and answered or not, and answers that break off.

use std::io::{self, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use alluvium_state_api::random::{Randomness, SeededRandomness};
use parking_lot::Mutex;

use crate::http::{exchange, read_request};

/// What is done with a request before it is sent on, by its number.
type Hook = Box<dyn Fn(u64) + Send + Sync>;

struct State {
    server: u16,
    random: SeededRandomness,
    percent: AtomicU64,
    requests: AtomicU64,
    faults: AtomicU64,
    late: Mutex<Vec<Vec<u8>>>,
    hook: Hook,
}

/// See the module. It serves until the process ends.
pub(crate) struct Proxy {
    state: Arc<State>,
    pub(crate) port: u16,
}

impl Proxy {
    pub(crate) fn before(server: u16, seed: u64) -> Self {
        Self::with_hook(server, seed, Box::new(|_| {}))
    }

    pub(crate) fn with_hook(server: u16, seed: u64, hook: Hook) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(State {
            server,
            random: SeededRandomness::new(seed),
            percent: AtomicU64::new(0),
            requests: AtomicU64::new(0),
            faults: AtomicU64::new(0),
            late: Mutex::default(),
            hook,
        });
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = Arc::clone(&shared);
                thread::spawn(move || {
                    // The client sees whatever goes wrong as a connection that ends.
                    drop(state.serve(stream));
                });
            }
        });
        Self { state, port }
    }

    /// How many of a hundred requests fail from now on.
    pub(crate) fn set_percent(&self, percent: u64) {
        self.state.percent.store(percent, Ordering::Relaxed);
    }

    pub(crate) fn faults(&self) -> u64 {
        self.state.faults.load(Ordering::Relaxed)
    }

    /// Lets the requests arrive that were on their way when their sender gave up.
    pub(crate) fn land(&self) {
        let late = std::mem::take(&mut *self.state.late.lock());
        for request in late {
            exchange(self.state.server, &request).unwrap();
        }
    }
}

impl State {
    fn serve(&self, mut client: TcpStream) -> io::Result<()> {
        let request = read_request(&mut client)?;
        if request.is_empty() {
            return Ok(());
        }
        (self.hook)(self.requests.fetch_add(1, Ordering::Relaxed) + 1);
        if self.random.next_u64() % 100 >= self.percent.load(Ordering::Relaxed) {
            client.write_all(&exchange(self.server, &request)?)?;
            return client.shutdown(Shutdown::Both);
        }
        self.faults.fetch_add(1, Ordering::Relaxed);
        match self.random.next_u64() % 6 {
            // Not done, and said so.
            0 => client.write_all(
                b"HTTP/1.1 503 Slow Down\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            )?,
            1 => client.write_all(
                b"HTTP/1.1 409 Conflict\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            )?,
            // Not done, and no answer.
            2 => {}
            // Done, and no answer.
            3 => drop(exchange(self.server, &request)?),
            // Done, and the answer breaks off.
            4 => {
                let answer = exchange(self.server, &request)?;
                client.write_all(&answer[..answer.len() - answer.len().min(7)])?;
            }
            // No answer, and done later.
            _ => self.late.lock().push(request),
        }
        client.shutdown(Shutdown::Both)
    }
}
