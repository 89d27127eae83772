//! A PostgreSQL server of one's own.
//!
//! It listens in a folder of its own and on a free port of the loopback interface, and is gone with
//! the test: also when that is killed, for a shell stops it as soon as it is left alone.

use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Who connects.
pub const USER: &str = "keepwatch";
/// What is asked for on the loopback interface; who comes through the folder is trusted.
pub const PASSWORD: &str = "pass:w/rd@of?tests";
/// How long a server may take to start or stop.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs the server until it is told to stop, or nobody is there any more to tell; then it removes
/// what it has written, too.
const KEEPER: &str = r#"
"$1/postgres" -D "$2/data" >>"$2/log" 2>&1 &
server=$!
word=
read -r word
kill -QUIT "$server"
wait "$server"
[ "$word" = stop ] || rm -rf "$2"
"#;

/// A running server. It stops when it is dropped.
#[derive(Debug)]
pub struct Postgres {
    programs: PathBuf,
    dir: PathBuf,
    port: u16,
    keeper: Option<Child>,
}

impl Postgres {
    /// Starts one.
    ///
    /// # Panics
    ///
    /// When that fails; most likely Debian's package `postgresql` is not installed.
    pub fn start() -> Self {
        Self::start_with("", |_| ())
    }

    /// Starts one that offers TLS, with a certificate and its key in PEM.
    ///
    /// # Panics
    ///
    /// When that fails.
    pub fn start_with_tls(certificate: &str, key: &str) -> Self {
        let settings = "ssl = on\nssl_cert_file = 'server.crt'\nssl_key_file = 'server.key'\n";
        Self::start_with(settings, |data| {
            fs::write(data.join("server.crt"), certificate).expect("it can be written");
            let path = data.join("server.key");
            fs::write(&path, key).expect("it can be written");
            fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("it is ours");
        })
    }

    fn start_with(settings: &str, prepare: impl FnOnce(&Path)) -> Self {
        let dir = tempfile::Builder::new()
            .prefix("kwpg")
            .tempdir()
            .expect("a folder")
            .keep();
        let owner = owner();
        if let Some((user, group)) = owner {
            chown(&dir, Some(user), Some(group)).expect("root may");
        }
        let mut this = Self {
            programs: programs(),
            dir,
            port: free_port(),
            keeper: None,
        };
        let data = this.dir.join("data");
        let made = as_owner(&this.programs.join("initdb"))
            .arg("-D")
            .arg(&data)
            .args(["-U", USER, "-A", "trust", "-E", "UTF8", "--locale=C"])
            .args(["--no-sync", "--no-instructions"])
            .output();
        check("initdb", made);
        let settings = format!(
            "{settings}port = {}\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = '{}'\n\
             fsync = off\nshared_buffers = 16MB\nmax_connections = 60\n",
            this.port,
            this.dir.display()
        );
        fs::write(data.join("postgresql.auto.conf"), settings).expect("it can be written");
        let access = "local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n";
        fs::write(data.join("pg_hba.conf"), access).expect("it can be written");
        prepare(&data);
        if let Some((user, group)) = owner {
            for entry in fs::read_dir(&data).expect("it is there").flatten() {
                chown(entry.path(), Some(user), Some(group)).expect("root may");
            }
        }
        this.restart();
        let role = format!("ALTER ROLE {USER} PASSWORD '{PASSWORD}'");
        this.run("postgres", &role);
        this
    }

    /// Starts it again after [`Postgres::stop`].
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub fn restart(&mut self) {
        assert!(self.keeper.is_none(), "it is running");
        let keeper = as_owner(Path::new("sh"))
            .args(["-c", KEEPER, "keeper"])
            .arg(&self.programs)
            .arg(&self.dir)
            .stdin(Stdio::piped())
            // Whoever reads what the test says is not kept waiting.
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        self.keeper = Some(keeper.expect("a shell"));
        let deadline = Instant::now() + PATIENCE;
        while !self.is_ready() {
            let log = fs::read_to_string(self.dir.join("log")).unwrap_or_default();
            assert!(
                Instant::now() < deadline,
                "the server does not start: {log}"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn is_ready(&self) -> bool {
        Command::new(self.programs.join("pg_isready"))
            .arg("-q")
            .arg("-h")
            .arg(&self.dir)
            .args(["-p", &self.port.to_string()])
            .status()
            .is_ok_and(|status| status.success())
    }

    /// Stops it as if it were killed: connections break, and what was committed is there when it
    /// starts again.
    pub fn stop(&mut self) {
        self.end("stop\n");
    }

    fn end(&mut self, word: &str) {
        if let Some(mut keeper) = self.keeper.take() {
            if let Some(mut stdin) = keeper.stdin.take() {
                // It may be gone already.
                let _ = stdin.write_all(word.as_bytes());
            }
            let _ = keeper.wait();
        }
    }

    /// Makes an empty database, and gives its address in the server's folder.
    ///
    /// # Panics
    ///
    /// When there is one of the name.
    pub fn create_database(&self, name: &str) -> String {
        self.run("postgres", &format!("CREATE DATABASE {name}"));
        self.url(name)
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The address of a database in the server's folder.
    pub fn url(&self, database: &str) -> String {
        let folder = self.dir.display().to_string().replace('/', "%2F");
        format!("postgres://{USER}@{folder}:{}/{database}", self.port)
    }

    /// The address of a database on the loopback interface, with the password.
    pub fn tcp_url(&self, database: &str) -> String {
        let password = PASSWORD
            .bytes()
            .map(|byte| format!("%{byte:02X}"))
            .collect::<String>();
        format!(
            "postgres://{USER}:{password}@127.0.0.1:{}/{database}",
            self.port
        )
    }

    /// Runs SQL, as whoever runs the server could, and gives what it answers.
    ///
    /// # Panics
    ///
    /// When it fails.
    pub fn run(&self, database: &str, sql: &str) -> String {
        let done = Command::new(self.programs.join("psql"))
            .arg("-h")
            .arg(&self.dir)
            .args(["-p", &self.port.to_string(), "-U", USER, "-d", database])
            .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", sql])
            .output();
        let done = check("psql", done);
        String::from_utf8_lossy(&done.stdout).trim().to_owned()
    }

    /// Everything that the database holds, as text.
    ///
    /// # Panics
    ///
    /// When it cannot be read.
    pub fn dump(&self, database: &str) -> Vec<u8> {
        let done = Command::new(self.programs.join("pg_dump"))
            .arg("-h")
            .arg(&self.dir)
            .args(["-p", &self.port.to_string(), "-U", USER, "-d", database])
            .output();
        check("pg_dump", done).stdout
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.end("");
        // The shell has done that unless the server was stopped before.
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// Where the programs of the newest version are.
fn programs() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let mut found: Vec<(u32, PathBuf)> = versions
        .flatten()
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path())))
        .map(|(version, path)| (version, path.join("bin")))
        .filter(|(_, path)| path.join("initdb").exists())
        .collect();
    found.sort();
    let newest = found.pop();
    newest
        .expect("no PostgreSQL server is installed: `scripts/setup --test` installs Debian's")
        .1
}

/// User and group of the server, which refuses to run as root; none if we are not root.
fn owner() -> Option<(u32, u32)> {
    rustix::process::geteuid().is_root().then(|| {
        let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
        let numbers = users.lines().find_map(|line| {
            let mut fields = line.strip_prefix("postgres:")?.split(':').skip(1);
            Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
        });
        numbers.unwrap_or((65534, 65534))
    })
}

/// Runs a program as the owner of the server.
fn as_owner(program: &Path) -> Command {
    let Some((user, group)) = owner() else {
        return Command::new(program);
    };
    let mut command = Command::new("setpriv");
    command
        .arg(format!("--reuid={user}"))
        .arg(format!("--regid={group}"))
        .args(["--clear-groups", "--"])
        .arg(program)
        .current_dir("/");
    command
}

fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    listener.local_addr().expect("it is bound").port()
}

fn check(program: &str, done: std::io::Result<Output>) -> Output {
    let done = done.unwrap_or_else(|error| panic!("{program}: {error}"));
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{program}: {said}");
    done
}
