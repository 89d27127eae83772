//! A network of a test's own, in which packets vanish without a word, as when a cable is pulled.
//!
//! What [`proxy`](crate::proxy) does to connections is told by TCP. Here TCP itself has to find out.

use std::fs;
use std::io::{ErrorKind, Write as _};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

/// Is set for a test that runs in a network of its own: the file that tells from where it came, and
/// in which it tells that it has run.
const INSIDE: &str = "KEEPWATCH_TEST_NETWORK";
/// What is in that file then.
const DONE: &str = "done";

/// Packets go through the chains in this order. On their way back they do so too.
const RULES: &str = "
table inet keepwatch {
    counter vanished {}
    counter carried {}
    chain cable { type filter hook input priority -2; }
    chain loss { type filter hook input priority -1; }
    chain arrival { type filter hook input priority 0; counter name carried; }
}
";

/// The network that a test runs in. It has `127.0.0.1` and no other address.
#[derive(Debug)]
pub struct Network(());

/// Runs a test in a network of its own: in a process of its own, which is this test alone.
///
/// # Panics
/// When the test fails, when there is none of this name (`module::function`, as the test harness
/// calls it), when a program is missing, and when networks of one's own are not allowed here.
pub fn own(name: &str, test: impl FnOnce(&Network)) {
    let Some(report) = std::env::var_os(INSIDE).map(PathBuf::from) else {
        return run_inside(name);
    };
    let outside = fs::read_to_string(&report).expect("whoever set the variable wrote the file");
    // Or everybody on this machine would lose packets.
    assert_ne!(outside, here(), "{INSIDE} is set outside");
    test(&Network::set_up());
    fs::write(&report, DONE).expect("it can be written");
}

fn run_inside(name: &str) {
    let report = tempfile::NamedTempFile::new().expect("a file");
    fs::write(&report, here()).expect("it can be written");
    let mut command = program("unshare");
    command.arg("--net");
    if !rustix::process::geteuid().is_root() {
        // As the same user: servers that find themselves to be root want more than they get.
        command.args(["--user", "--map-current-user", "--keep-caps"]);
    }
    command
        .arg("--")
        .arg(std::env::current_exe().expect("this program"))
        .args(["--exact", name, "--nocapture"])
        .env(INSIDE, report.path());
    let output = run(command, "");
    let said = said(&output);
    assert!(
        output.status.success(),
        "{name} fails in a network of its own, or may not have one, which takes root or namespaces \
         for users:\n{said}"
    );
    let told = fs::read_to_string(&report).expect("it is there");
    assert_eq!(told, DONE, "there is no test {name}:\n{said}");
}

/// The network that this process is in.
fn here() -> String {
    let link = fs::read_link("/proc/self/ns/net").expect("Linux has it");
    link.to_string_lossy().into_owned()
}

impl Network {
    fn set_up() -> Self {
        // Packets as large as on a wire. The loopback device would carry 64 KiB in one.
        let wire = "mtu 1500 gso_max_size 1500 gso_max_segs 1";
        must("ip", &format!("link set lo up {wire}"), "");
        must("nft", "-f -", RULES);
        Self(())
    }

    /// From now on so many of 100 packets vanish, in each direction.
    ///
    /// # Panics
    /// As all of this when the system refuses.
    pub fn lose(&self, percent: u32) {
        let which = format!("numgen random mod 100 < {percent}");
        self.vanish("loss", &which);
    }

    /// After so many more bytes every packet vanishes, in both directions.
    ///
    /// # Panics
    /// When the system refuses.
    pub fn pull_cable_after(&self, bytes: u64) {
        self.vanish("cable", &format!("quota over {bytes} bytes"));
    }

    /// Undoes [`Network::pull_cable_after`].
    ///
    /// # Panics
    /// When the system refuses.
    pub fn plug_in(&self) {
        must("nft", "flush chain inet keepwatch cable", "");
    }

    /// From now on the network carries no more than this, both directions together.
    ///
    /// # Panics
    /// When the system refuses.
    pub fn slow(&self, kilobytes_per_second: u32) {
        let bucket = format!(
            "rate {}kbit burst 16kb latency 50ms",
            kilobytes_per_second * 8
        );
        must("tc", &format!("qdisc replace dev lo root tbf {bucket}"), "");
    }

    /// How many packets have vanished.
    ///
    /// # Panics
    /// When the system does not tell.
    pub fn vanished(&self) -> u64 {
        count("vanished", "packets")
    }

    /// How many bytes have arrived, in both directions, with what TCP adds to them.
    ///
    /// # Panics
    /// When the system does not tell.
    pub fn carried(&self) -> u64 {
        count("carried", "bytes")
    }

    fn vanish(&self, chain: &str, which: &str) {
        let rule = format!("add rule inet keepwatch {chain} {which} counter name vanished drop");
        must("nft", &rule, "");
    }
}

fn count(counter: &str, unit: &str) -> u64 {
    let told = must("nft", &format!("list counter inet keepwatch {counter}"), "");
    let mut words = told.split_whitespace().skip_while(|word| *word != unit);
    let number = words.nth(1).and_then(|word| word.parse().ok());
    number.unwrap_or_else(|| panic!("no {unit} in {told}"))
}

/// Runs a program that must work, and returns what it prints.
fn must(name: &str, arguments: &str, input: &str) -> String {
    let mut command = program(name);
    command.args(arguments.split_whitespace());
    let output = run(command, input);
    assert!(
        output.status.success(),
        "{name} {arguments}: {}",
        said(&output)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A program that may be where only root looks for programs.
fn program(name: &str) -> Command {
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = Command::new(name);
    command.env("PATH", format!("{path}:/usr/sbin:/sbin"));
    command
}

fn run(mut command: Command, input: &str) -> Output {
    let started = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = started.unwrap_or_else(|error| {
        let name = command.get_program().display();
        match error.kind() {
            ErrorKind::NotFound => panic!("{name} is not installed, which `make setup` does"),
            _ => panic!("{name}: {error}"),
        }
    });
    let mut pipe = child.stdin.take().expect("it is piped");
    // Who ends without reading says why.
    pipe.write_all(input.as_bytes()).unwrap_or_default();
    drop(pipe);
    child.wait_with_output().expect("it ends")
}

fn said(output: &Output) -> String {
    let text = [&*output.stdout, &*output.stderr].concat();
    String::from_utf8_lossy(&text).into_owned()
}
