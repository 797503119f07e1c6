//! Stands between the client and the namenode, and loses requests or their answers.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use parking_lot::Mutex;

/// Requests that change something.
const CHANGES: [&[u8]; 6] = [
    b"\x06create\x12",
    b"\x07rename2\x12",
    b"\x06delete\x12",
    b"\x06mkdirs\x12",
    b"\x05fsync\x12",
    b"\x08complete\x12",
];

/// What happens to one of the requests that change something. The connection breaks in each case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loss {
    /// It never arrives.
    Request,
    /// It is carried out.
    Answer,
    /// It is carried out when [`Proxy::release`] is called.
    Late,
}

/// A server that forwards. It ends with the process.
#[derive(Clone, Debug)]
pub(crate) struct Proxy {
    /// `hdfs://` and where it listens.
    pub(crate) cluster: String,
    plan: Arc<Mutex<Plan>>,
}

#[derive(Debug, Default)]
struct Plan {
    /// How many changes were asked for.
    seen: u64,
    /// Which one is lost, and how.
    loss: Option<(u64, Loss)>,
    /// A request on its way, and the connection that it takes.
    late: Vec<(TcpStream, Vec<u8>)>,
}

impl Proxy {
    /// Before the namenode at `address`, `host:port`.
    pub(crate) fn before(address: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let cluster = format!("hdfs://{}", listener.local_addr().unwrap());
        let proxy = Self { cluster, plan: Arc::default() };
        let (own, address) = (proxy.clone(), address.to_owned());
        thread::spawn(move || {
            for client in listener.incoming() {
                let server = TcpStream::connect(&address).unwrap();
                own.connect(client.unwrap(), server);
            }
        });
        proxy
    }

    /// Counts from the beginning, and loses the request of this number.
    pub(crate) fn lose(&self, loss: Option<(u64, Loss)>) {
        *self.plan.lock() = Plan { loss, ..Plan::default() };
    }

    /// How many changes were asked for.
    pub(crate) fn seen(&self) -> u64 {
        self.plan.lock().seen
    }

    /// Lets what is late arrive, and waits until it was carried out.
    pub(crate) fn release(&self) {
        for (mut server, request) in std::mem::take(&mut self.plan.lock().late) {
            server.write_all(&request).unwrap();
            read_frame(&mut server).unwrap();
        }
    }

    fn connect(&self, client: TcpStream, server: TcpStream) {
        let (mut answers, mut back) = (server.try_clone().unwrap(), client.try_clone().unwrap());
        // Held while answers go back: whoever has it keeps them.
        let gate = Arc::new(Mutex::new(true));
        let (own, gate_of_answers) = (self.clone(), Arc::clone(&gate));
        thread::spawn(move || {
            let mut bytes = vec![0; 64 << 10];
            answers.set_read_timeout(Some(std::time::Duration::from_millis(20))).unwrap();
            loop {
                let open = gate_of_answers.lock();
                if !*open {
                    return;
                }
                match answers.read(&mut bytes) {
                    Ok(0) => break,
                    Ok(count) => drop(back.write_all(&bytes[..count])),
                    Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                    Err(_) => break,
                }
            }
            drop(back.shutdown(Shutdown::Both));
        });
        thread::spawn(move || drop(own.forward(client, server, &gate)));
    }

    fn forward(
        &self,
        mut client: TcpStream,
        mut server: TcpStream,
        gate: &Mutex<bool>,
    ) -> std::io::Result<()> {
        let mut header = [0; 7];
        client.read_exact(&mut header)?;
        server.write_all(&header)?;
        loop {
            let Ok(frame) = read_frame(&mut client) else {
                return server.shutdown(Shutdown::Both);
            };
            let Some(loss) = self.fate(&frame) else {
                server.write_all(&frame)?;
                continue;
            };
            // From here on this connection is ours, and no answer goes back.
            *gate.lock() = false;
            server.set_read_timeout(None)?;
            match loss {
                Loss::Request => {}
                Loss::Late => self.plan.lock().late.push((server.try_clone()?, frame)),
                Loss::Answer => {
                    server.write_all(&frame)?;
                    read_frame(&mut server)?;
                }
            }
            return client.shutdown(Shutdown::Both);
        }
    }

    fn fate(&self, frame: &[u8]) -> Option<Loss> {
        let changes = |method: &&[u8]| frame.windows(method.len()).any(|part| part == *method);
        if !CHANGES.iter().any(changes) {
            return None;
        }
        let mut plan = self.plan.lock();
        plan.seen += 1;
        plan.loss.filter(|(number, _)| *number == plan.seen).map(|(_, loss)| loss)
    }
}

/// A length and so many bytes.
fn read_frame(from: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut frame = vec![0; 4];
    from.read_exact(&mut frame)?;
    let length = u32::from_be_bytes([frame[0], frame[1], frame[2], frame[3]]) as usize;
    frame.resize(4 + length, 0);
    from.read_exact(&mut frame[4..])?;
    Ok(frame)
}
