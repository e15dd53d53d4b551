//! HTTP messages as bytes, and a proxy in front of several nodes that sends a request again to another one if a node
//! refuses the connection or cuts it before its answer.

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

/// Passes on the requests of one client, until it hangs up.
fn pass(client: TcpStream, world: &World) -> std::io::Result<()> {
    let mut client = BufReader::new(client);
    let mut node: Option<(usize, BufReader<TcpStream>)> = None;
    let mut next = usize::from(client.get_ref().peer_addr()?.port());
    loop {
        let request = read_message(&mut client)?.bytes();
        let begun = Instant::now();
        let answer = loop {
            if begun.elapsed() > PATIENCE {
                return Ok(());
            }
            match ask(&mut node, world, next, &request) {
                Ok(answer) => break answer,
                Err(_) => {
                    (node, next) = (None, next + 1);
                    std::thread::sleep(Duration::from_millis(5));
                }
            }
        };
        if header(&answer.head, "connection") == Some("close") {
            node = None;
        }
        client.get_mut().write_all(&answer.bytes())?;
    }
}

fn ask(
    node: &mut Option<(usize, BufReader<TcpStream>)>,
    world: &World,
    next: usize,
    request: &[u8],
) -> std::io::Result<Message> {
    if node.is_none() {
        // All that it was told of, whether they run or not: that is the proxy's to find out.
        let known = world.known();
        let at = next % known.len();
        let address = known[at].ok_or_else(|| Error::from(ErrorKind::ConnectionRefused))?;
        let stream = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        *node = Some((at, BufReader::new(stream)));
    }
    let (_, stream) = node.as_mut().expect("made just now");
    stream.get_mut().write_all(request)?;
    read_message(stream)
}
