//! HTTP messages as bytes, and a proxy in front of several nodes that turns to another one if a node refuses the
//! connection. A request that was sent is never sent again: it may have been done.

use std::io::{BufRead, BufReader, Error, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::World;
use crate::program::PATIENCE;

/// A message: its head with the empty line, and its body.
pub(crate) struct Message {
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Message {
    fn bytes(&self) -> Vec<u8> {
        [self.head.as_bytes(), &self.body].concat()
    }
}

/// Returns the value of a header.
pub(crate) fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut fields = head.lines().filter_map(|line| line.split_once(':'));
    fields.find_map(|(of, value)| of.eq_ignore_ascii_case(name).then(|| value.trim()))
}

/// Reads a whole message.
pub(crate) fn read_message(from: &mut BufReader<TcpStream>) -> std::io::Result<Message> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if from.read_line(&mut head)? == 0 {
            return Err(Error::from(ErrorKind::UnexpectedEof));
        }
    }
    let length = header(&head, "content-length").map_or(Ok(0), str::parse);
    let mut body = vec![0; length.map_err(|_| Error::from(ErrorKind::InvalidData))?];
    from.read_exact(&mut body)?;
    Ok(Message { head, body })
}

/// Starts a proxy in front of the nodes of `world`. It ends with the process.
pub(crate) fn proxy(world: Arc<World>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let world = world.clone();
            std::thread::spawn(move || pass(stream, &world));
        }
    });
    address
}

/// Passes on the requests of one client, until it hangs up. Hangs up itself if a node took a request and gave no answer.
fn pass(client: TcpStream, world: &World) -> std::io::Result<()> {
    let mut client = BufReader::new(client);
    let mut node: Option<BufReader<TcpStream>> = None;
    let mut next = usize::from(client.get_ref().peer_addr()?.port());
    loop {
        let request = read_message(&mut client)?.bytes();
        let mut stream = match node.take() {
            Some(stream) => stream,
            None => connected(world, &mut next)?,
        };
        stream.get_mut().write_all(&request)?;
        let answer = read_message(&mut stream)?;
        client.get_mut().write_all(&answer.bytes())?;
        node = (header(&answer.head, "connection") != Some("close")).then_some(stream);
    }
}

/// Connects to the next node that takes a connection. All that the proxy was told of are tried, whether they run or not:
/// that is the proxy's to find out.
fn connected(world: &World, next: &mut usize) -> std::io::Result<BufReader<TcpStream>> {
    let begun = Instant::now();
    loop {
        let known = world.known();
        let address = known[*next % known.len()];
        match address.map(|address| TcpStream::connect_timeout(&address, Duration::from_secs(1))) {
            Some(Ok(stream)) => {
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(Duration::from_secs(20)))?;
                return Ok(BufReader::new(stream));
            }
            _ if begun.elapsed() > PATIENCE => return Err(Error::from(ErrorKind::ConnectionRefused)),
            _ => {
                *next += 1;
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }
}
