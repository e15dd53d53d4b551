//! A server on a full disk: it refuses new work, goes on reading, and recovers by itself when there is room. Each test
//! has a small disk of its own, which only root can mount.

mod program;

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use program::{ACCOUNT, Answer, Client, Folder, PATIENCE, Server, is_there};

/// A disk mounted at a folder's data. Dropping it unmounts it.
struct Disk {
    folder: Folder,
    at: PathBuf,
}

impl Disk {
    /// A disk of memory of this size, such as `16m`.
    fn of_memory(size: &str) -> Option<Self> {
        Self::mounted(|_| {
            Some(vec!["-t".into(), "tmpfs".into(), "-o".into(), format!("size={size}"), "tmpfs".into()])
        })
    }

    /// A disk that is a file of this size, with a file system made by `make` and its arguments.
    fn of_a_file(size: u64, make: &[&str]) -> Option<Self> {
        Self::mounted(|folder| {
            let image = folder.path("image");
            File::create(&image).and_then(|image| image.set_len(size)).expect("room for an image");
            let image = image.to_str().expect("it is UTF-8").to_owned();
            let made = quiet(Command::new(make[0]).args(&make[1..]).arg(&image));
            made.then(|| vec!["-o".into(), "loop".into(), image])
        })
    }

    /// Mounts the disk. Returns `None`, and prints a line, if it cannot be mounted.
    fn mounted(what: impl FnOnce(&Folder) -> Option<Vec<String>>) -> Option<Self> {
        let folder = Folder::on_disk()?;
        let at = PathBuf::from(folder.data());
        fs::create_dir(&at).expect("room for a folder");
        let mounted = what(&folder).is_some_and(|what| quiet(Command::new("mount").args(what).arg(&at)));
        if !mounted {
            skipped("only root can mount a small disk");
            return None;
        }
        let disk = Self { folder, at };
        fs::set_permissions(&disk.at, fs::Permissions::from_mode(0o700)).expect("it is ours");
        Some(disk)
    }

    /// Fills the disk completely.
    fn fill(&self) {
        let mut filler =
            File::options().create(true).append(true).open(self.at.join("filler")).expect("a file");
        for size in [1 << 16, 1 << 10, 1] {
            while filler.write_all(&vec![0; size]).is_ok() {}
        }
    }

    /// Makes an ext4 report an error in itself. Returns whether it did.
    fn fails(&self) -> bool {
        let found = Command::new("findmnt").args(["-n", "-o", "SOURCE"]).arg(&self.at).output();
        let device = found.map(|found| String::from_utf8_lossy(&found.stdout).trim().to_owned());
        let Some(name) = device.ok().and_then(|device| device.strip_prefix("/dev/").map(str::to_owned))
        else {
            return false;
        };
        fs::write(format!("/sys/fs/ext4/{name}/trigger_fs_error"), "1").is_ok()
    }

    /// Frees the space that `fill` took.
    fn empty(&self) {
        fs::remove_file(self.at.join("filler")).expect("it is there");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let unmounted = quiet(Command::new("umount").arg(&self.at));
        // Lazily only if a process still uses it, such as a server that a failed test left.
        let _ = unmounted || quiet(Command::new("umount").arg("-l").arg(&self.at));
    }
}

/// Prints why a test proves nothing here. A print macro's lines would be hidden when the tests run.
fn skipped(why: &str) {
    let _ = writeln!(std::io::stderr(), "skipped: {why}");
}

/// Returns whether a program ends well. Its output is discarded.
fn quiet(command: &mut Command) -> bool {
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

/// A server on a small disk, and its client.
struct Running {
    server: Server,
    client: Client,
}

impl Running {
    fn of(folder: &Folder, arguments: &[&str]) -> Self {
        let mut server = folder.serve(&[&["--emulator", "--rate-limit", "0"], arguments].concat());
        let client = Client::of(server.listening());
        Self { server, client }
    }

    fn get(&mut self, path: &str) -> Answer {
        self.client.send("GET", path, "", "").expect("an answer")
    }

    /// Sends an order of `numbers` numbers.
    fn post(&mut self, numbers: u64) -> Answer {
        let list: String = (0..numbers)
            .map(|n| format!("<TelephoneNumber>{}</TelephoneNumber>", 9_195_560_000 + n))
            .collect();
        let body = format!(
            "<DisconnectTelephoneNumberOrder><name>full</name><DisconnectTelephoneNumberOrderType>\
             <TelephoneNumberList>{list}\
             </TelephoneNumberList></DisconnectTelephoneNumberOrderType></DisconnectTelephoneNumberOrder>"
        );
        let path = format!("/api/accounts/{ACCOUNT}/disconnects");
        self.client.send("POST", &path, "", &body).expect("an answer")
    }

    /// Sends orders until one is answered with `status`. Returns those that were accepted.
    fn post_until(&mut self, status: u16, numbers: u64) -> Vec<String> {
        let (begun, mut taken) = (Instant::now(), Vec::new());
        loop {
            let answer = self.post(numbers);
            match answer.status {
                201 => taken.push(path_of(&answer)),
                503 => assert!(answer.retry_after.is_some(), "503 without Retry-After"),
                _ => panic!("an order was answered with {answer:?}"),
            }
            if answer.status == status {
                return taken;
            }
            assert!(begun.elapsed() < PATIENCE, "no order was answered with {status}");
            if answer.status == 503 {
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }

    /// Waits until `/readyz` answers with `status`, and calls `meanwhile` again and again. Returns the answer's body.
    fn ready(&mut self, status: u16, meanwhile: impl Fn()) -> String {
        let begun = Instant::now();
        loop {
            meanwhile();
            let answer = self.get("/readyz");
            if answer.status == status {
                return answer.body;
            }
            assert!(begun.elapsed() < PATIENCE, "/readyz is {answer:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until these orders have ended.
    fn all_end(&mut self, orders: &[String]) {
        let begun = Instant::now();
        for order in orders {
            loop {
                let answer = self.get(order);
                assert_eq!(answer.status, 200, "{order} was accepted and is gone: {answer:?}");
                if !answer.body.contains("<OrderStatus>RECEIVED") {
                    break;
                }
                assert!(begun.elapsed() < PATIENCE, "{order} is still RECEIVED");
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }
}

fn path_of(accepted: &Answer) -> String {
    let location = accepted.location.as_deref().expect("a 201 says where");
    let host = location.strip_prefix("http://").expect("a URL");
    host[host.find('/').expect("a path")..].to_owned()
}

fn lines_with(log: &str, what: &str) -> usize {
    log.lines().filter(|line| line.contains(what)).count()
}

/// The whole test, on one disk.
fn a_full_disk_is_said_and_survived(disk: &Disk) {
    let full = format!("the disk of {} is full", disk.folder.data());
    let mut running = Running::of(&disk.folder, &[]);
    let mut orders = running.post_until(201, 2);
    // Large orders, so that the log has grown when the disk is full, and still grows.
    for _ in 0..10 {
        orders.extend(running.post_until(201, 3_000));
    }
    running.all_end(&orders);
    let mut refused = 0;
    while refused < 100 {
        // Filled again each time: the server gives the log's space back before it reports that the disk is full.
        disk.fill();
        orders.extend(running.post_until(503, 2));
        refused += 1;
    }
    for path in ["/api/tns/5405514342", orders[0].as_str()] {
        assert_eq!(running.get(path).status, 200, "{path} cannot be read");
    }
    let said = running.ready(503, || disk.fill());
    assert!(said.starts_with(&full), "/readyz says {said}");
    let metrics = running.get("/metrics").body;
    let counted = metrics
        .lines()
        .find_map(|line| line.strip_prefix("onhook_commits_failed_total{cause=\"disk_full\"} "));
    assert!(counted.is_some_and(|count| count.parse::<f64>().is_ok_and(|count| count >= 100.0)), "{metrics}");
    let log = disk.folder.log();
    let errors = lines_with(&log, " ERROR ");
    assert!((1..10).contains(&errors) && log.contains(&full), "{errors} lines of ERROR:\n{log}");

    // After a crash it starts on the full disk, and reports it.
    running.server.kill();
    let mut running = Running::of(&disk.folder, &[]);
    assert!(running.ready(503, || disk.fill()).starts_with(&full));
    assert_eq!(running.get(&orders[0]).status, 200);
    assert_eq!(running.post(1).status, 503);
    let import = disk.folder.path("numbers.csv");
    fs::write(&import, "number\n9195550199\n").expect("room beside it");

    disk.empty();
    orders.extend(running.post_until(201, 2));
    running.ready(200, || {});
    running.all_end(&orders);
    assert!(running.server.terminate().success(), "{}", disk.folder.log());
    assert!(!is_there(disk.at.join("onhook.db-wal")), "the log was not written home");

    // A command reports it too, before it has done anything.
    disk.fill();
    let said = disk.folder.onhook(&["import", import.to_str().expect("it is UTF-8")]);
    assert!(said.code == 2 && said.remarks.starts_with(&format!("onhook: {full}")), "{said:?}");
    let said = disk.folder.onhook(&["check", "--deep"]);
    assert_eq!((said.code, said.remarks.as_str()), (0, ""), "{}", said.answer);
}

/// On any disk, without a mount: no disk has as much free space as this reserve.
#[test]
fn less_free_space_than_the_reserve_counts_as_a_full_disk() {
    let Some(folder) = Folder::on_disk().map(Folder::with_the_guide) else { return };
    let mut running = Running::of(&folder, &["--disk-reserve-mib", "4294967295"]);
    let full = format!("the disk of {} is full: ", folder.data());
    let said = running.ready(503, || {});
    assert!(said.starts_with(&full) && said.contains("4294967295.0 MiB have to be"), "/readyz says {said}");
    for _ in 0..50 {
        let answer = running.post(2);
        assert_eq!((answer.status, answer.retry_after.as_deref()), (503, Some("1")), "{answer:?}");
    }
    assert_eq!(running.get("/api/tns/5405514342").status, 200);
    let metrics = running.get("/metrics").body;
    assert!(metrics.contains("onhook_commits_failed_total{cause=\"disk_full\"} 50\n"), "{metrics}");
    assert!(metrics.contains("onhook_commits_failed_total{cause=\"io\"} 0\n"), "{metrics}");
    assert!(running.server.terminate().success(), "{}", folder.log());
    let log = folder.log();
    assert!(log.contains(&full), "{log}");
    // One line in ten seconds. A slow machine may take longer than that.
    let errors = lines_with(&log, " ERROR ");
    assert!(errors < 10, "{errors} lines of ERROR:\n{log}");

    // Without a reserve the order is accepted.
    let mut running = Running::of(&folder, &["--disk-reserve-mib", "0"]);
    running.ready(200, || {});
    assert_eq!(running.post(2).status, 201);
}

/// Other users who may enter the folder can read none of its files.
#[test]
fn nobody_else_may_read_what_a_first_start_makes() {
    let Some(folder) = Folder::on_disk() else { return };
    let data = PathBuf::from(folder.data());
    fs::create_dir(&data).expect("room for a folder");
    fs::set_permissions(&data, fs::Permissions::from_mode(0o755)).expect("it is ours");
    let mut running = Running::of(&folder, &[]);
    assert_eq!(running.post(2).status, 201);
    let mut names = Vec::new();
    for file in fs::read_dir(&data).expect("it is there") {
        let file = file.expect("it is there");
        let mode = file.metadata().expect("it is there").permissions().mode() & 0o777;
        names.push(file.file_name().into_string().expect("it is UTF-8"));
        assert_eq!(mode, 0o600, "{names:?}: the last one has mode {mode:o}");
    }
    names.sort();
    assert_eq!(names, ["onhook.db", "onhook.db-wal", "onhook.lock", "onhook.sock"]);
    let log = folder.log();
    let warning = format!("others may enter the data folder {} (mode 755): chmod 700", folder.data());
    assert!(log.contains(&warning), "{log}");
}

#[test]
fn a_full_disk_of_memory_is_reported_and_survived() {
    if let Some(disk) = Disk::of_memory("40m") {
        a_full_disk_is_said_and_survived(&disk);
    }
}

/// Blocks smaller than a page of memory: half of a mapped page may have no block.
#[test]
fn a_full_ext4_of_small_blocks_is_reported_and_survived() {
    if let Some(disk) = Disk::of_a_file(64 << 20, &["mkfs.ext4", "-q", "-b", "1024"]) {
        a_full_disk_is_said_and_survived(&disk);
    }
}

/// A file system that finds an error in itself takes no more writes, and may still call itself writable.
#[test]
fn a_file_system_that_became_read_only_is_reported() {
    let Some(disk) = Disk::of_a_file(64 << 20, &["mkfs.ext4", "-q", "-e", "remount-ro"]) else { return };
    let mut running = Running::of(&disk.folder, &[]);
    let orders = running.post_until(201, 2);
    running.all_end(&orders);
    if !disk.fails() {
        skipped("this kernel cannot be told to find an error in a file system");
        return;
    }
    running.post_until(503, 2);
    let said = running.ready(503, || {});
    assert!(said.starts_with(&format!("{} is not writable: ", disk.folder.data())), "/readyz says {said}");
    for _ in 0..20 {
        assert_eq!(running.post(2).status, 503);
    }
    assert_eq!(running.get(&orders[0]).status, 200);
    let metrics = running.get("/metrics").body;
    assert!(metrics.contains("onhook_commits_failed_total{cause=\"io\"} 0\n"), "{metrics}");
    assert!(running.server.terminate().success(), "{}", disk.folder.log());
}

/// Orders that write many times the disk's size to the log, and little to the database.
#[test]
fn the_log_leaves_room_on_a_small_disk() {
    let Some(disk) = Disk::of_memory("16m") else { return };
    let mut running = Running::of(&disk.folder, &[]);
    let mut orders = Vec::new();
    for _ in 0..3_000 {
        let answer = running.post(2);
        assert_eq!(answer.status, 201, "after {} orders: {answer:?}\n{}", orders.len(), disk.folder.log());
        orders.push(path_of(&answer));
    }
    running.all_end(&orders);
    assert!(log_bytes(&disk.at) < 8 << 20, "the log has {} bytes", log_bytes(&disk.at));
    assert!(running.server.terminate().success());
    let said = disk.folder.onhook(&["check", "--deep"]);
    assert_eq!((said.code, said.remarks.as_str()), (0, ""), "{}", said.answer);
}

fn log_bytes(folder: &Path) -> u64 {
    fs::metadata(folder.join("onhook.db-wal")).map_or(0, |log| log.len())
}
