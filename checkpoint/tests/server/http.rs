//! As much of HTTP as the tests need: whole messages over connections that are closed after one.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

/// A server that does not answer for so long is taken for dead.
const PATIENCE: Duration = Duration::from_mins(1);

/// Reads a request: its head, and the body that the head tells of. Empty where none comes.
pub(crate) fn read_request(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let (mut message, mut piece) = (Vec::new(), [0; 16 << 10]);
    loop {
        if let Some(head) = message.windows(4).position(|window| window == b"\r\n\r\n") {
            let text = String::from_utf8_lossy(&message[..head]).to_ascii_lowercase();
            let length = text.lines().find_map(|line| line.strip_prefix("content-length:"));
            let length: usize = length.map_or(0, |length| length.trim().parse().unwrap());
            if message.len() >= head + 4 + length {
                return Ok(message);
            }
        }
        let count = stream.read(&mut piece)?;
        if count == 0 {
            return Ok(Vec::new());
        }
        message.extend_from_slice(&piece[..count]);
    }
}

/// Sends a request and reads the answer to its end.
pub(crate) fn exchange(port: u16, request: &[u8]) -> io::Result<Vec<u8>> {
    let address = ("127.0.0.1", port).to_socket_addrs()?.next().unwrap();
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let line = request.windows(2).position(|window| window == b"\r\n").unwrap() + 2;
    stream.write_all(&request[..line])?;
    stream.write_all(b"Connection: close\r\n")?;
    stream.write_all(&request[line..])?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(answer)
}

/// The status and the body of an answer.
pub(crate) fn parse(answer: &[u8]) -> (u16, &[u8]) {
    let head = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    let text = String::from_utf8_lossy(&answer[..head]);
    let status = text.split(' ').nth(1).unwrap().parse().unwrap();
    (status, &answer[head + 4..])
}
