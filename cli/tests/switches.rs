//! Switches that ask where each call goes, with the configurations that lie beside the documents: Kamailio itself, called
//! by sipp, and FreeSWITCH's script in the Lua of this machine.

#![expect(clippy::print_stdout, reason = "tests say why they are skipped")]

use std::fs::{self, File};
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

mod program;

use program::{ACCOUNT, Client, Folder, PATIENCE, disconnected};

/// The guide's numbers.
const FIRST: &str = "5405514342";
const SECOND: &str = "7034343704";
/// A number that is not held here.
const STRANGER: &str = "4045550199";

/// Returns a file that lies beside the documents or the tests.
fn beside(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// A program that ends with the test.
struct Running(Child);

impl Running {
    fn start(command: &mut Command, log: &Path) -> Self {
        let output = File::create(log).expect("room for a log");
        let errors = output.try_clone().expect("a second handle");
        Self(command.stdin(Stdio::null()).stdout(output).stderr(errors).spawn().expect("the program starts"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Kamailio ends its children at SIGTERM. At SIGKILL it could not.
        drop(Command::new("kill").args(["-TERM", &self.0.id().to_string()]).status());
        drop(self.0.wait());
    }
}

/// Returns an address of the loopback that no socket has.
fn free() -> SocketAddr {
    UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("an address is free")
}

/// Kamailio with the configuration of the documents, and a peer that answers calls.
struct Switch {
    folder: tempfile::TempDir,
    address: SocketAddr,
    _parts: [Running; 2],
}

impl Switch {
    /// Starts a switch that asks the server at `onhook`, with this password.
    fn start(onhook: SocketAddr, password: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (address, peer) = (free(), free());
        let secret = folder.path().join("onhook.conf");
        let told = format!(
            "[onhook]\nurl = http://{onhook}\nusername = operator\npassword = {password}\ntimeout = 2\n"
        );
        fs::write(&secret, told).expect("room for a file");
        fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).expect("the file is ours");
        let mut told = fs::read_to_string(beside("../deploy/kamailio.cfg")).expect("it is there");
        for (here, in_the_file) in [
            (secret.display().to_string(), "/etc/kamailio/onhook.conf"),
            (address.to_string(), "127.0.0.1:5060"),
            (peer.to_string(), "127.0.0.1:5070"),
        ] {
            assert!(told.contains(in_the_file), "{in_the_file} is not in the file");
            told = told.replace(in_the_file, &here);
        }
        // The test asks the switch for its transactions.
        let control = format!("unix:{}", folder.path().join("control").display());
        told += &format!("loadmodule \"ctl.so\"\nmodparam(\"ctl\", \"binrpc\", \"{control}\")\n");
        let file = folder.path().join("kamailio.cfg");
        fs::write(&file, told).expect("room for a file");
        let mut kamailio = Command::new("kamailio");
        kamailio.args(["-DD", "-E", "-m", "32", "-f"]).arg(&file).arg("-Y").arg(folder.path());
        let kamailio = Running::start(&mut kamailio, &folder.path().join("kamailio.log"));
        let mut answering = sipp("peer.xml", peer, folder.path());
        answering.args(["-trace_msg", "-message_file"]).arg(folder.path().join("peer_messages"));
        let answering = Running::start(&mut answering, &folder.path().join("peer.log"));
        let switch = Self { folder, address, _parts: [kamailio, answering] };
        switch.listens();
        switch
    }

    /// Waits until the switch answers.
    fn listens(&self) {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("an address is free");
        socket.set_read_timeout(Some(Duration::from_millis(100))).expect("it is not zero");
        let own = socket.local_addr().expect("it is bound");
        let asked = format!(
            "OPTIONS sip:{to} SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch=z9hG4bKready\r\nFrom: <sip:{own}>;tag=1\r\n\
             To: <sip:{to}>\r\nCall-ID: ready\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 1\r\nContent-Length: 0\r\n\r\n",
            to = self.address
        );
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            drop(socket.send_to(asked.as_bytes(), self.address));
            if socket.recv(&mut [0; 2_000]).is_ok() {
                return;
            }
        }
        panic!("the switch does not answer: {}", self.log());
    }

    /// Returns what the switch wrote.
    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("kamailio.log")).unwrap_or_default()
    }

    /// Returns how many calls have come to the peer.
    fn calls_of_peer(&self) -> usize {
        let messages = fs::read_to_string(self.folder.path().join("peer_messages")).unwrap_or_default();
        messages.matches("\nINVITE sip:").count()
    }

    /// Waits until the switch keeps no transaction.
    fn forgets_its_transactions(&self) {
        let control = format!("unix:{}", self.folder.path().join("control").display());
        let begun = Instant::now();
        loop {
            let asked =
                Command::new("kamcmd").args(["-s", &control, "tm.stats"]).output().expect("kamcmd starts");
            let told = String::from_utf8_lossy(&asked.stdout).into_owned();
            if told.contains("current: 0\n") {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "a transaction stays: {told}\n{}", self.log());
        }
    }

    /// Calls a number with a scenario, and returns the replies.
    fn call(&self, scenario: &str, number: &str) -> String {
        let messages = self.folder.path().join("messages");
        let mut call = sipp(scenario, free(), self.folder.path());
        call.args(["-m", "1", "-timeout", "30", "-timeout_error", "-s", number, "-trace_msg"]);
        call.arg("-message_file")
            .arg(&messages)
            .args(["-message_overwrite", "true"])
            .arg(self.address.to_string());
        let said = call.stdin(Stdio::null()).output().expect("sipp starts");
        let replies = fs::read_to_string(&messages).unwrap_or_default();
        assert!(said.status.success(), "the call of {number} by {scenario}: {replies}\n{}", self.log());
        replies
    }

    /// Calls a number that is refused with this status, and returns the replies.
    fn refused(&self, status: u16, number: &str) -> String {
        self.refused_by(&format!("<recv response=\"{status}\"/>"), number)
    }

    /// Calls a number that is refused with 404 or 503, and returns with which.
    fn refused_with(&self, number: &str) -> u16 {
        let either = "<recv response=\"404\" optional=\"true\" next=\"1\"/>\n<recv response=\"503\"/>\n<label id=\"1\"/>";
        if self.refused_by(either, number).contains("SIP/2.0 404") { 404 } else { 503 }
    }

    fn refused_by(&self, waits: &str, number: &str) -> String {
        let scenario = fs::read_to_string(beside("tests/switch/refused.xml")).expect("it is there");
        let name = self.folder.path().join("refused.xml");
        fs::write(&name, scenario.replace("<recv response=\"STATUS\"/>", waits)).expect("room for a file");
        self.call(name.to_str().expect("a name"), number)
    }
}

/// Returns sipp with a scenario, at an address of its own.
fn sipp(scenario: &str, at: SocketAddr, folder: &Path) -> Command {
    let mut sipp = Command::new("sipp");
    sipp.current_dir(folder).arg("-sf").arg(beside("tests/switch").join(scenario));
    sipp.args(["-i", &at.ip().to_string(), "-p", &at.port().to_string(), "-nostdin"]);
    sipp
}

/// Returns whether all these programs are installed, and says which is not.
fn installed(programs: &[&str]) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    programs.iter().all(|program| {
        let found = std::env::split_paths(&path).any(|folder| folder.join(program).is_file());
        if !found {
            println!("skipped: {program} is not installed");
        }
        found
    })
}

#[test]
fn kamailio_sends_a_call_where_it_belongs() {
    if !installed(&["kamailio", "sipp"]) {
        return;
    }
    let folder = Folder::of_the_guide();
    let mut server = folder.emulator();
    let onhook = server.listening();
    let switch = Switch::start(onhook, "password");

    switch.call("caller.xml", FIRST);
    switch.call("caller.xml", &format!("+1{FIRST}"));
    switch.call("caller.xml", &format!("1{FIRST}"));
    switch.refused(404, "25405514342");
    let stranger = switch.refused(404, STRANGER);
    assert!(stranger.contains("Reason: Q.850;cause=1"), "{stranger}");

    disconnected(&mut Client::of(onhook), ACCOUNT, FIRST);
    let vacant = switch.refused(404, FIRST);
    assert!(vacant.contains("Reason: Q.850;cause=1"), "{vacant}");

    // A refusal says nothing of the number, so the call may be tried again.
    Switch::start(onhook, "wrong").refused(503, FIRST);

    // While nobody can be asked, calls go where they went last, and numbers of which nothing is known have to wait.
    server.kill();
    switch.refused(404, FIRST);
    let unknown = switch.refused(503, SECOND);
    assert!(unknown.contains("Retry-After: 5"), "{unknown}");
}

/// A switch that waits for onhook in each call has no worker left, and its callers send the same call again and again.
#[test]
fn kamailio_waits_once_for_an_onhook_that_hangs() {
    if !installed(&["kamailio", "sipp"]) {
        return;
    }
    let folder = Folder::of_the_guide();
    let mut server = folder.emulator();
    let switch = Switch::start(server.listening(), "password");
    switch.call("caller.xml", FIRST);
    let _not_kept = switch.refused(404, STRANGER);
    server.signal("STOP");
    for _ in 0..3 {
        let messages = switch.call("caller.xml", FIRST);
        assert_eq!(messages.matches("\nINVITE sip:").count(), 1, "the call was sent again: {messages}");
    }
    switch.refused(503, STRANGER);
    let log = switch.log();
    assert_eq!(log.matches("goes where it went last").count(), 3, "{log}");
    assert_eq!(log.matches("did not answer (28)").count(), 1, "{log}");
    server.signal("CONT");
    let begun = Instant::now();
    while switch.refused_with(STRANGER) != 404 {
        assert!(begun.elapsed() < PATIENCE, "it is not asked again: {}", switch.log());
    }
}

/// Who gives a call up while nobody can say where it goes is answered at once, and no telephone rings for it afterwards.
#[test]
fn kamailio_ends_a_call_that_is_given_up_while_onhook_hangs() {
    if !installed(&["kamailio", "kamcmd", "sipp"]) {
        return;
    }
    let folder = Folder::of_the_guide();
    let mut server = folder.emulator();
    let switch = Switch::start(server.listening(), "password");
    switch.call("caller.xml", FIRST);
    server.signal("STOP");
    let messages = switch.call("cancel.xml", FIRST);
    assert!(messages.contains("SIP/2.0 487 ") && messages.contains("SIP/2.0 200 "), "{messages}");
    let begun = Instant::now();
    while !switch.log().contains("goes where it went last") {
        assert!(begun.elapsed() < PATIENCE, "onhook was not asked: {}", switch.log());
    }
    server.signal("CONT");
    switch.call("caller.xml", FIRST);
    assert_eq!(switch.calls_of_peer(), 2, "the call that was given up went on: {}", switch.log());
    switch.forgets_its_transactions();
}

#[test]
fn freeswitch_s_script_sends_a_call_where_it_belongs() {
    if !installed(&["lua5.3", "curl"]) {
        return;
    }
    let folder = Folder::of_the_guide();
    let mut server = folder.emulator();
    let onhook = server.listening();
    let lua = |user: &str, number: &str, kept: Option<&str>| {
        let mut lua = Command::new("lua5.3");
        lua.arg(beside("tests/switch/freeswitch.lua")).arg(beside("../deploy/freeswitch.lua"));
        lua.arg(number).arg(format!("http://{user}@{onhook}")).args(kept);
        let said = lua.output().expect("lua starts");
        let log = String::from_utf8(said.stderr).expect("it is text");
        assert!(said.status.success(), "{log}");
        (String::from_utf8(said.stdout).expect("it is text").trim().to_owned(), log)
    };
    let call_as = |user: &str, number: &str, kept: Option<&str>| lua(user, number, kept).0;
    let is_kept = |number: &str| lua("operator:password", number, None).1.contains("kept ");

    let call = |number: &str, kept: Option<&str>| call_as("operator:password", number, kept);

    assert_eq!(call(FIRST, None), format!("bridge sofia/gateway/first/{FIRST}"));
    assert_eq!(call(&format!("1{FIRST}"), None), format!("bridge sofia/gateway/first/1{FIRST}"));
    assert_eq!(call("25405514342", None), "hangup 1", "a number of another country");
    assert_eq!(call("911", None), "hangup UNALLOCATED_NUMBER");
    assert_eq!(call(STRANGER, None), "hangup 1");
    assert_eq!(call("911;rm", None), "hangup INVALID_NUMBER_FORMAT");
    disconnected(&mut Client::of(onhook), ACCOUNT, FIRST);
    assert_eq!(call(FIRST, None), "hangup 1");

    assert_eq!((is_kept(SECOND), is_kept(STRANGER)), (true, false));

    // A refusal says nothing of the number.
    let kept_since = |age: u64| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later than 1970").as_secs();
        let answer = r#"{"deliver":{"account":"9900000","peer":"1","site":"1"},"treatment":"deliver"}"#;
        format!("{} {answer}", now - age)
    };
    let (last, old) = (&*kept_since(86_000), &*kept_since(86_402));
    assert_eq!(call_as("operator:wrong", SECOND, None), "hangup NORMAL_TEMPORARY_FAILURE");
    let bridged = format!("bridge sofia/gateway/first/{SECOND}");
    assert_eq!(call_as("operator:wrong", SECOND, Some(last)), bridged);
    // It may be somebody else's since.
    assert_eq!(call_as("operator:wrong", SECOND, Some(old)), "hangup NORMAL_TEMPORARY_FAILURE");

    server.kill();
    assert_eq!(call(SECOND, None), "hangup NORMAL_TEMPORARY_FAILURE");
    assert_eq!(call(SECOND, Some(last)), bridged);
}
