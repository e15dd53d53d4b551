//! The program under test: how the tests run it, send it requests, and read its output.

#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, ErrorKind, Read, Seek, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// How long anything may take before a test gives up. No test measures by it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// The documented user with the documented password.
pub(crate) const AUTHORIZATION: &str = "Basic dXNlcm5hbWU6cGFzc3dvcmQ=";
/// The documented account.
pub(crate) const ACCOUNT: u32 = 9_900_000;

/// The header of a file with every column.
pub(crate) const HEADER: &str =
    "number,state,account,site,peer,rate_center,region,protected,ported_in,former_account,release_at";

/// Returns the program with these arguments, without the caller's environment.
pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_onhook"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"ONHOOK_")) {
        command.env_remove(name);
    }
    command.env("COLUMNS", "100").args(arguments);
    command
}

/// Copies the program, for a user who cannot go where it is. Another process writes the copy: had this one a handle for
/// writing, a program that another test starts just then would have it too, and the copy could not be run ("text file busy").
pub(crate) fn copy_to(path: &Path) {
    let copied =
        Command::new("cp").arg(env!("CARGO_BIN_EXE_onhook")).arg(path).status().expect("there is a cp");
    assert!(copied.success(), "{copied}");
}

/// Returns what more is said to a command that asks why, unless these arguments say it.
pub(crate) fn why(arguments: &[&str]) -> &'static [&'static str] {
    let asks = match arguments {
        ["admin", _, verb, ..] => !["list", "show"].contains(verb),
        ["import" | "import-exchanges", ..] => true,
        _ => false,
    };
    if asks && !arguments.contains(&"--reason") { &["--reason", "a test"] } else { &[] }
}

/// A command's output and exit status.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Said {
    /// Its exit status.
    pub(crate) code: i32,
    /// Its standard output.
    pub(crate) answer: String,
    /// Its standard error.
    pub(crate) remarks: String,
}

/// Starts a program. A copy of it that was just written may be busy for a moment: a process that another test's thread
/// is starting has the file open until it executes.
fn spawn(command: &mut Command) -> Child {
    let begun = Instant::now();
    loop {
        match command.spawn() {
            Err(error) if error.kind() == ErrorKind::ExecutableFileBusy && begun.elapsed() < PATIENCE => {
                std::thread::sleep(Duration::from_millis(5));
            }
            started => return started.expect("the program starts"),
        }
    }
}

/// Runs a command until it ends.
pub(crate) fn run(command: &mut Command, input: &[u8]) -> Said {
    run_within(PATIENCE, command, input)
}

/// Runs a command until it ends, for so long at most.
pub(crate) fn run_within(patience: Duration, command: &mut Command, input: &[u8]) -> Said {
    let file = || tempfile::tempfile().expect("a temporary file");
    let (mut stdin, mut stdout, mut stderr) = (file(), file(), file());
    stdin.write_all(input).and_then(|()| stdin.rewind()).expect("room for the input");
    let same = |file: &File| file.try_clone().expect("a second handle");
    command.stdin(stdin).stdout(same(&stdout)).stderr(same(&stderr));
    let mut child = spawn(command);
    let Some(status) = wait(&mut child, patience) else {
        let _ = child.kill();
        let _ = child.wait();
        panic!("{command:?} did not end in {patience:?}");
    };
    let text = |file: &mut File| {
        let mut text = String::new();
        file.rewind().and_then(|()| file.read_to_string(&mut text)).expect("the output is UTF-8");
        text
    };
    let code = status.code().unwrap_or_else(|| panic!("{command:?} was ended by a signal: {status}"));
    Said { code, answer: text(&mut stdout), remarks: text(&mut stderr) }
}

/// Runs the program with these arguments until it ends.
pub(crate) fn onhook(arguments: &[&str]) -> Said {
    run(&mut command(arguments), b"")
}

fn wait(child: &mut Child, patience: Duration) -> Option<ExitStatus> {
    let begun = Instant::now();
    while begun.elapsed() < patience {
        if let Some(status) = child.try_wait().expect("the child is ours") {
            return Some(status);
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    None
}

/// A folder that is removed after the test: with the data, unless that is in a database, and with a log.
pub(crate) struct Folder {
    folder: tempfile::TempDir,
    database: Option<String>,
}

impl Folder {
    /// Makes an empty one. The data will be in it, or, if `ONHOOK_TEST_STORE` says so, in a new database.
    pub(crate) fn new() -> Self {
        Self { database: onhook_cluster::chosen_database().expect("a database"), ..Self::of_files() }
    }

    /// Makes an empty one for a test of files: the data will be in it. Returns `None` where tests run on PostgreSQL:
    /// such a test would run the same once more.
    #[expect(clippy::print_stdout, reason = "a test says why it is skipped")]
    pub(crate) fn on_disk() -> Option<Self> {
        if onhook_cluster::postgres_is_chosen().expect("a store that there is") {
            println!("skipped: it is about a folder, and runs where tests have their data in one");
            return None;
        }
        Some(Self::of_files())
    }

    fn of_files() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder"), database: None }
    }

    /// Makes one with the documented account and its numbers.
    pub(crate) fn of_the_guide() -> Self {
        Self::new().with_the_guide()
    }

    /// Puts the documented account and its numbers there.
    pub(crate) fn with_the_guide(self) -> Self {
        let mut server = self.emulator();
        server.listening();
        assert!(server.terminate().success(), "{}", self.log());
        self
    }

    /// Makes two accounts, their sites and peers, and no numbers.
    pub(crate) fn with_two_accounts(self) -> Self {
        for arguments in [
            &["admin", "account", "create", "9900000", "--name", "The guide's"][..],
            &[
                "admin", "account", "create", "7", "--name", "Seven", "--kind", "reseller", "--class",
                "business",
            ],
            &["admin", "site", "create", "--account", "9900000", "--name", "Main site"],
            &["admin", "site", "create", "--account", "9900000", "--name", "Second site"],
            &["admin", "site", "create", "--account", "7", "--name", "Seven"],
            &["admin", "peer", "create", "--account", "9900000", "--site", "1", "--name", "Main peer"],
            &["admin", "peer", "create", "--account", "9900000", "--site", "1", "--name", "Second peer"],
        ] {
            self.done(arguments);
        }
        self
    }

    /// Returns a path in the folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Returns the data folder of onhook, for a test of files.
    pub(crate) fn data(&self) -> String {
        assert_eq!(self.database, None, "the data is in no folder");
        self.path("data").to_str().expect("it is UTF-8").to_owned()
    }

    /// Returns the flag that names the data, and its value.
    pub(crate) fn named(&self) -> [String; 2] {
        match &self.database {
            Some(url) => ["--database-url".to_owned(), url.clone()],
            None => ["--data-dir".to_owned(), self.data()],
        }
    }

    /// Runs the program with these arguments on the data.
    pub(crate) fn onhook(&self, arguments: &[&str]) -> Said {
        self.onhook_reading(arguments, b"")
    }

    /// Runs the program with these arguments on the data, with `input` as standard input.
    pub(crate) fn onhook_reading(&self, arguments: &[&str], input: &[u8]) -> Said {
        run(command(arguments).args(why(arguments)).args(self.named()), input)
    }

    /// Runs a command that must succeed, and returns its answer.
    pub(crate) fn done(&self, arguments: &[&str]) -> String {
        let said = self.onhook(arguments);
        assert_eq!((said.code, said.remarks.as_str()), (0, ""), "{arguments:?} said {}", said.answer);
        said.answer
    }

    /// Returns the id of the first site.
    pub(crate) fn first_site(&self) -> String {
        let sites = self.done(&["admin", "site", "list"]);
        let first = sites.lines().nth(1).and_then(|line| line.split(' ').next());
        first.expect("there is a site").to_owned()
    }

    /// Starts the server as an emulator, without a rate limit.
    pub(crate) fn emulator(&self) -> Server {
        self.serve(&["--emulator", "--rate-limit", "0"])
    }

    /// Starts the server on any free port.
    pub(crate) fn serve(&self, arguments: &[&str]) -> Server {
        let mut command = command(&["serve", "--listen", "127.0.0.1:0", "--log-format", "text"]);
        command.args(self.named()).args(arguments);
        let log = OpenOptions::new().create(true).append(true).open(self.path("log"));
        Server::start(command.stderr(log.expect("a log")))
    }

    /// Returns the log of the servers on this folder.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }
}

/// Makes a folder with two accounts, their sites and peers, and no numbers.
pub(crate) fn two_accounts() -> Folder {
    Folder::new().with_two_accounts()
}

/// Makes a file beside the data.
pub(crate) fn file(folder: &Folder, name: &str, text: &str) -> String {
    let path = folder.path(name);
    std::fs::write(&path, text).expect("room for a file");
    path.to_str().expect("it is UTF-8").to_owned()
}

/// Checks that a command was refused with this remark, and printed nothing to standard output.
pub(crate) fn refused(said: &Said, remark: &str) {
    assert_eq!((said.code, said.answer.as_str()), (2, ""), "{said:?}");
    assert!(said.remarks.contains(remark), "it does not say {remark:?}: {}", said.remarks);
}

/// Checks that what a command asked for was refused with this remark, and that it printed nothing to standard output.
pub(crate) fn not_done(said: &Said, remark: &str) {
    assert_eq!((said.code, said.answer.as_str()), (1, ""), "{said:?}");
    assert!(said.remarks.contains(remark), "it does not say {remark:?}: {}", said.remarks);
}

/// A running server. Dropping it kills it.
pub(crate) struct Server {
    child: Child,
    lines: mpsc::Receiver<String>,
}

impl Server {
    /// Starts a command that serves.
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("the server starts");
        let stdout = child.stdout.take().expect("the output is piped");
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        Self { child, lines }
    }

    /// Waits for the line with the address it listens on.
    pub(crate) fn listening(&mut self) -> SocketAddr {
        let line = self.lines.recv_timeout(PATIENCE).expect("the server says where it listens");
        let address = line.strip_prefix("listening on http://").expect("the line has its form");
        address.parse().expect("an address")
    }

    /// Sends SIGKILL, to this process only.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("the server runs");
        self.child.wait().expect("the server ends");
    }

    /// Returns its process's id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends SIGTERM, and returns how it ended.
    pub(crate) fn terminate(&mut self) -> ExitStatus {
        self.signal("TERM");
        wait(&mut self.child, PATIENCE).expect("the server ends")
    }

    /// Sends the signal of this name.
    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let sent = Command::new("sh").args(["-c", "kill -\"$1\" \"$0\"", &id, name]).status();
        assert!(sent.expect("there is a shell").success(), "SIG{name} could not be sent");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only if the process has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An HTTP answer.
#[derive(Debug)]
pub(crate) struct Answer {
    /// Its status.
    pub(crate) status: u16,
    /// Its `Location`.
    pub(crate) location: Option<String>,
    /// Its `Retry-After`.
    pub(crate) retry_after: Option<String>,
    /// Its body.
    pub(crate) body: String,
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// The server did not take the connection: the request was never sent.
    NotSent,
    /// The request was sent, at least in part, and no answer arrived.
    Silence,
    /// A part of an answer arrived.
    Half,
}

/// An HTTP client that keeps its connection, never sends a request twice, and knows how far it got.
pub(crate) struct Client {
    address: SocketAddr,
    authorization: String,
    patience: Duration,
    connection: Option<BufReader<TcpStream>>,
}

impl Client {
    /// Makes a client of the server at this address.
    pub(crate) fn of(address: SocketAddr) -> Self {
        Self::signed(address, AUTHORIZATION)
    }

    /// Makes a client that sends this as `Authorization`.
    pub(crate) fn signed(address: SocketAddr, authorization: &str) -> Self {
        let patience = Duration::from_secs(10);
        Self { address, authorization: authorization.to_owned(), patience, connection: None }
    }

    /// Makes a client that waits so long for an answer.
    pub(crate) fn patient(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Sends to another server from now on.
    pub(crate) fn turn_to(&mut self, address: SocketAddr) {
        if self.address != address {
            (self.address, self.connection) = (address, None);
        }
    }

    /// Sends a request, with `key` as `Idempotency-Key`.
    pub(crate) fn send(&mut self, method: &str, path: &str, key: &str, body: &str) -> Result<Answer, Cut> {
        self.send_typed(method, path, key, "application/xml", body)
    }

    /// Sends a request with a body of this type.
    pub(crate) fn send_typed(
        &mut self,
        method: &str,
        path: &str,
        key: &str,
        of_type: &str,
        body: &str,
    ) -> Result<Answer, Cut> {
        let mut connection = match self.connection.take().filter(is_open) {
            Some(connection) => connection,
            None => connect(self.address, self.patience).map_err(|_| Cut::NotSent)?,
        };
        let key = if key.is_empty() { String::new() } else { format!("Idempotency-Key: {key}\r\n") };
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: {}\r\n\
             Content-Type: {of_type}\r\n{key}Content-Length: {}\r\n\r\n{body}",
            self.address,
            self.authorization,
            body.len()
        );
        connection.get_mut().write_all(request.as_bytes()).map_err(|_| Cut::Silence)?;
        let mut line = String::new();
        match connection.read_line(&mut line) {
            Ok(length) if length > 0 => {}
            _ if line.is_empty() => return Err(Cut::Silence),
            _ => return Err(Cut::Half),
        }
        let (answer, stays) = read(&line, &mut connection).map_err(|_| Cut::Half)?;
        self.connection = stays.then_some(connection);
        Ok(answer)
    }
}

/// Disconnects a number of an account, waits for the order's end, and returns its path.
pub(crate) fn disconnected(client: &mut Client, account: u32, number: &str) -> String {
    let order = format!(
        "<DisconnectTelephoneNumberOrder><name>n</name><DisconnectTelephoneNumberOrderType>\
         <TelephoneNumberList><TelephoneNumber>{number}</TelephoneNumber></TelephoneNumberList>\
         </DisconnectTelephoneNumberOrderType></DisconnectTelephoneNumberOrder>"
    );
    let path = format!("/api/accounts/{account}/disconnects");
    let answer = client.send("POST", &path, "", &order).expect("an answer");
    let location = answer.location.unwrap_or_else(|| panic!("no location: {}", answer.body));
    let path = location.split_once("/api/").map(|(_, path)| format!("/api/{path}")).expect("an address");
    let begun = Instant::now();
    while client.send("GET", &path, "", "").expect("an answer").body.contains(">RECEIVED<") {
        assert!(begun.elapsed() < PATIENCE, "the order does not end");
        std::thread::sleep(Duration::from_millis(5));
    }
    path
}

fn connect(address: SocketAddr, patience: Duration) -> std::io::Result<BufReader<TcpStream>> {
    let stream = TcpStream::connect_timeout(&address, Duration::from_secs(2))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(patience))?;
    Ok(BufReader::new(stream))
}

/// Returns whether the connection is open, as far as is known here.
fn is_open(connection: &BufReader<TcpStream>) -> bool {
    let stream = connection.get_ref();
    let nothing_yet = |error: std::io::Error| error.kind() == std::io::ErrorKind::WouldBlock;
    let open = stream.set_nonblocking(true).is_ok() && stream.peek(&mut [0]).is_err_and(nothing_yet);
    stream.set_nonblocking(false).is_ok() && open
}

/// Reads the rest of an answer. Returns it, and whether the connection can be used again.
fn read(first: &str, connection: &mut BufReader<TcpStream>) -> std::io::Result<(Answer, bool)> {
    let wrong = || std::io::Error::from(std::io::ErrorKind::InvalidData);
    let status = first.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)).ok_or_else(wrong)?;
    let status = status.parse().map_err(|_| wrong())?;
    let (mut location, mut retry_after, mut length, mut stays) = (None, None, 0_usize, true);
    loop {
        let mut line = String::new();
        connection.read_line(&mut line)?;
        let line = line.strip_suffix("\r\n").ok_or_else(wrong)?;
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':').ok_or_else(wrong)?;
        match (name.to_ascii_lowercase().as_str(), value.trim()) {
            ("content-length", value) => length = value.parse().map_err(|_| wrong())?,
            ("location", value) => location = Some(value.to_owned()),
            ("retry-after", value) => retry_after = Some(value.to_owned()),
            ("connection", "close") => stays = false,
            _ => {}
        }
    }
    let mut body = vec![0; length];
    connection.read_exact(&mut body)?;
    let body = String::from_utf8(body).map_err(|_| wrong())?;
    Ok((Answer { status, location, retry_after, body }, stays))
}

/// Returns the text with placeholders for what differs from run to run: ids, instants, addresses. Only text of the
/// right form is replaced.
pub(crate) fn redacted(text: &str) -> String {
    let of_a_word = |c: char| c.is_ascii_alphanumeric() || "-:.".contains(c);
    let mut redacted = String::new();
    for line in text.split_inclusive('\n') {
        if let Some(date) = line.strip_prefix("date: ") {
            assert!(date.ends_with(" GMT\n") && date.len() == 30, "no date of HTTP: {date:?}");
            redacted.push_str("date: [date]\n");
            continue;
        }
        let mut rest = line;
        while let Some(start) = rest.find(of_a_word) {
            let (before, from) = rest.split_at(start);
            let (word, after) = from.split_at(from.find(|c| !of_a_word(c)).unwrap_or(from.len()));
            let end = word.trim_end_matches(['.', ':']);
            redacted.push_str(before);
            redacted.push_str(stand_in(end).unwrap_or(end));
            redacted.push_str(&word[end.len()..]);
            rest = after;
        }
        redacted.push_str(rest);
    }
    redacted
}

fn stand_in(word: &str) -> Option<&'static str> {
    let shape: String = word
        .chars()
        .map(|c| match c {
            '0'..='9' => '9',
            'a'..='f' => 'f',
            other => other,
        })
        .collect();
    let hex = |shape: &str| shape.replace('f', "9");
    if hex(&shape) == "99999999-9999-9999-9999-999999999999" {
        assert_eq!(word.as_bytes()[14], b'4', "no v4 UUID: {word}");
        return Some("[uuid]");
    }
    match shape.as_str() {
        "9999-99-99T99:99:99.999Z" => Some("[time]"),
        _ if word.parse::<SocketAddr>().is_ok_and(|address| address.ip().is_loopback()) => Some("[address]"),
        _ => None,
    }
}

/// Returns whether a file of this name exists.
pub(crate) fn is_there(path: impl AsRef<OsStr>) -> bool {
    Path::new(&path).exists()
}
