//! As much of S3's protocol as a job's checkpoints need, over a socket of this machine or over TLS on it:
//! head, get, of a range too, put with conditions, list and delete. It can lose answers, refuse, and send
//! half a body.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use parking_lot::Mutex;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// What the server does with a put.
#[derive(Clone, Copy)]
pub(crate) enum Put {
    /// It is done, and the connection ends without an answer.
    Lose,
    /// It is not done; another one was under way.
    Conflict,
    /// It is not done.
    Busy,
}

#[derive(Default)]
pub(crate) struct Server {
    pub(crate) objects: Mutex<BTreeMap<String, Vec<u8>>>,
    pub(crate) script: Mutex<VecDeque<Put>>,
    pub(crate) always_busy: bool,
    pub(crate) puts: AtomicU32,
    /// The bodies of how many gets of a range stop in the middle, while the connection stays.
    pub(crate) stalls: AtomicU32,
    /// Their connections.
    pub(crate) stalled: Mutex<Vec<TcpStream>>,
    /// What requests said of who they are from.
    pub(crate) authorizations: Mutex<Vec<String>>,
    /// What is answered to every request at these paths, which are no objects.
    pub(crate) fixed: BTreeMap<String, (&'static str, String)>,
    pub(crate) tls: Option<Arc<ServerConfig>>,
}

/// One request.
#[derive(Default)]
struct Request {
    method: String,
    path: String,
    create: bool,
    range: Option<(usize, usize)>,
    body: Vec<u8>,
}

impl Server {
    /// Serves at the URL.
    pub(crate) fn start(self) -> (Arc<Self>, String) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let url = format!("{scheme}://{}", listener.local_addr().unwrap());
        let server = Arc::new(self);
        let serving = Arc::clone(&server);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let server = Arc::clone(&serving);
                // Whoever does not like the certificate goes away in the middle.
                thread::spawn(move || drop(server.accept(stream)));
            }
        });
        (server, url)
    }

    fn accept(&self, stream: TcpStream) -> io::Result<()> {
        let kept = stream.try_clone()?;
        match &self.tls {
            None => self.serve(stream, kept),
            Some(config) => {
                let connection = ServerConnection::new(Arc::clone(config)).unwrap();
                self.serve(StreamOwned::new(connection, stream), kept)
            }
        }
    }

    fn serve<S: Read + Write>(&self, stream: S, kept: TcpStream) -> io::Result<()> {
        let mut reader = BufReader::new(stream);
        let request = self.read(&mut reader)?;
        let Some((status, body)) = self.answer(&request) else {
            return Ok(());
        };
        let (status, range, body) = match request.range {
            Some((from, to)) if status == "200 OK" => {
                let to = to.min(body.len() - 1);
                let range = format!("Content-Range: bytes {from}-{to}/{}\r\n", body.len());
                ("206 Partial Content", range, body[from..=to].to_vec())
            }
            _ => (status, String::new(), body),
        };
        let head = format!(
            "HTTP/1.1 {status}\r\nETag: \"1\"\r\nLast-Modified: Sat, 28 Nov 2026 12:00:00 GMT\r\n\
             {range}Content-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        );
        let less = |left: u32| left.checked_sub(1);
        let ordering = Ordering::SeqCst;
        let sent = if request.method == "HEAD" {
            &[]
        } else if !range.is_empty() && self.stalls.fetch_update(ordering, ordering, less).is_ok() {
            self.stalled.lock().push(kept);
            &body[..body.len() / 2]
        } else {
            &body[..]
        };
        let stream = reader.get_mut();
        stream.write_all(&[head.as_bytes(), sent].concat())?;
        stream.flush()
    }

    fn read<S: Read>(&self, reader: &mut BufReader<S>) -> io::Result<Request> {
        let (mut line, mut length) = (String::new(), 0);
        reader.read_line(&mut line)?;
        let mut words = line.split(' ').map(str::to_owned);
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let mut request = Request { method, path, ..Request::default() };
        loop {
            let mut header = String::new();
            if reader.read_line(&mut header)? == 0 || header.trim().is_empty() {
                break;
            }
            let Some((name, value)) = header.trim().split_once(": ") else { continue };
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.parse().unwrap(),
                "if-none-match" => request.create = true,
                "authorization" => self.authorizations.lock().push(value.to_owned()),
                "range" => {
                    let bounds = value.strip_prefix("bytes=").and_then(|it| it.split_once('-'));
                    let bounds = bounds.map(|(from, to)| (from.parse(), to.parse()));
                    request.range = bounds.map(|(from, to)| (from.unwrap(), to.unwrap()));
                }
                _ => {}
            }
        }
        request.body = vec![0; length];
        reader.read_exact(&mut request.body)?;
        Ok(request)
    }

    fn answer(&self, request: &Request) -> Option<(&'static str, Vec<u8>)> {
        let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
        if let Some((status, text)) = self.fixed.get(path) {
            return Some((status, text.clone().into_bytes()));
        }
        match request.method.as_str() {
            "PUT" => return self.put(path, request),
            "POST" => return Some(("200 OK", self.delete(path, &request.body))),
            _ if query.contains("list-type=2") => return Some(("200 OK", self.list(path, query))),
            _ => {}
        }
        Some(match self.objects.lock().get(path) {
            Some(body) => ("200 OK", body.clone()),
            None => ("404 Not Found", Vec::new()),
        })
    }

    fn list(&self, bucket: &str, query: &str) -> Vec<u8> {
        let prefix = query.split('&').find_map(|one| one.strip_prefix("prefix="));
        let below = format!("{bucket}/{}", prefix.unwrap_or_default().replace("%2F", "/"));
        let objects = self.objects.lock();
        let found = objects.iter().filter(|(path, _)| path.starts_with(&below));
        let entries = found.map(|(path, bytes)| {
            let (key, size) = (&path[bucket.len() + 1..], bytes.len());
            format!(
                "<Contents><Key>{key}</Key><Size>{size}</Size><ETag>\"1\"</ETag>\
                 <LastModified>2026-11-28T12:00:00.000Z</LastModified></Contents>"
            )
        });
        let text: Vec<_> = entries.collect();
        format!("<ListBucketResult>{}</ListBucketResult>", text.concat()).into_bytes()
    }

    /// Deletes what the body names.
    fn delete(&self, bucket: &str, body: &[u8]) -> Vec<u8> {
        let text = String::from_utf8_lossy(body);
        for key in text.split("<Key>").skip(1).filter_map(|rest| rest.split("</Key>").next()) {
            self.objects.lock().remove(&format!("{bucket}/{key}"));
        }
        b"<DeleteResult></DeleteResult>".to_vec()
    }

    fn put(&self, path: &str, request: &Request) -> Option<(&'static str, Vec<u8>)> {
        self.puts.fetch_add(1, Ordering::SeqCst);
        let now = self.script.lock().pop_front();
        let now = now.or(self.always_busy.then_some(Put::Busy));
        let mut objects = self.objects.lock();
        match now {
            Some(Put::Conflict) => return Some(("409 Conflict", Vec::new())),
            Some(Put::Busy) => return Some(("503 Slow Down", Vec::new())),
            _ if request.create && objects.contains_key(path) => {
                return Some(("412 Precondition Failed", Vec::new()));
            }
            _ => {}
        }
        objects.insert(path.to_owned(), request.body.clone());
        match now {
            Some(Put::Lose) => None,
            _ => Some(("200 OK", Vec::new())),
        }
    }
}
