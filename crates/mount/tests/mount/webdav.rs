//! The tree over HTTP, for a real client and for requests that no client makes.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::Command;

use keepwatch_core::Id;
use keepwatch_mount::Error;
use keepwatch_mount::webdav::Server;
use keepwatch_testkit::tree::{noise, write};
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

use crate::scene::{Scene, varied_tree};

const SECRET: &str = "c0ffee00c0ffee00";

/// A server that runs.
struct Served {
    scene: Scene,
    url: String,
    port: u16,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Served {
    fn new(scene: Scene) -> Self {
        let server =
            Server::bind(scene.tree(), ([127, 0, 0, 1], 0).into(), SECRET.to_owned()).unwrap();
        let url = server.url();
        let port = url.split([':', '/']).nth(4).unwrap().parse().unwrap();
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let until = async {
                let _ = stopped.await;
            };
            Runtime::new()
                .unwrap()
                .block_on(server.serve(until))
                .unwrap();
        });
        Self {
            scene,
            url,
            port,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// The path of the source in the newest snapshot.
    fn source(&self) -> String {
        let source = self.scene.source();
        format!("/{SECRET}/latest{}", source.to_str().unwrap())
    }

    /// Sends a request as it stands; gives the head and the body of the answer.
    fn raw(&self, head: &str) -> (String, Vec<u8>) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let end = answer
            .windows(4)
            .position(|part| part == b"\r\n\r\n")
            .unwrap();
        let body = answer.split_off(end + 4);
        (String::from_utf8(answer).unwrap(), body)
    }

    fn ask(&self, method: &str, path: &str, headers: &str) -> (String, Vec<u8>) {
        let port = self.port;
        self.raw(&format!(
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n{headers}\r\n"
        ))
    }

    fn status(&self, method: &str, path: &str, headers: &str) -> u16 {
        status(&self.ask(method, path, headers).0)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            if !std::thread::panicking() {
                ended.unwrap();
            }
        }
    }
}

fn status(head: &str) -> u16 {
    head.split(' ').nth(1).unwrap().parse().unwrap()
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// Files with their content, by path.
fn files(root: &Path) -> Vec<(Vec<u8>, Id)> {
    let mut found = Vec::new();
    let mut dirs = vec![root.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let meta = fs::symlink_metadata(&path).unwrap();
            if meta.is_dir() {
                dirs.push(path);
            } else if meta.is_file() {
                let name = path.strip_prefix(root).unwrap().as_os_str();
                found.push((name.as_bytes().to_vec(), Id::of(&fs::read(&path).unwrap())));
            }
        }
    }
    found.sort();
    found
}

#[test]
fn rclone_copies_what_was_backed_up() {
    let scene = Scene::new();
    varied_tree(&scene.source());
    // rclone has its own ways with names that are no UTF-8 or hold control characters.
    for entry in fs::read_dir(scene.source().join("deep")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap();
        if name
            .to_str()
            .is_none_or(|name| name.chars().any(char::is_control))
        {
            fs::remove_file(path).unwrap();
        }
    }
    scene.backup();
    let served = Served::new(scene);
    let target = served.scene.dir.path().join("target");
    let url = served.url.trim_end_matches('/').to_owned();
    let source = served.scene.source();
    let copied = Command::new("rclone")
        .args([
            "copy",
            "--config",
            "/dev/null",
            "--webdav-encoding",
            "Slash,Dot",
        ])
        .args(["--webdav-url", &format!("{url}/latest{}", source.display())])
        .arg(":webdav:")
        .arg(&target)
        .output()
        .expect("the package rclone is installed");
    assert!(
        copied.status.success(),
        "{}",
        String::from_utf8_lossy(&copied.stderr)
    );
    let (expected, found) = (files(&source), files(&target));
    assert!(expected.len() > 12);
    assert_eq!(expected, found);
    let time = |root: &Path| {
        fs::metadata(root.join("large"))
            .unwrap()
            .modified()
            .unwrap()
    };
    let apart = time(&source).duration_since(time(&target)).unwrap();
    assert!(apart.as_secs() < 1, "times of HTTP have whole seconds");
}

#[test]
fn parts_of_files_are_given() {
    let scene = Scene::new();
    let content = noise(500_000, 3);
    write(&scene.source(), "file", &content);
    write(&scene.source(), "empty", b"");
    scene.backup();
    let served = Served::new(scene);
    let path = format!("{}/file", served.source());

    let (head, body) = served.ask("GET", &path, "");
    assert_eq!(status(&head), 200);
    assert!(body == content);
    let tag = header(&head, "etag").unwrap().to_owned();
    assert_eq!(header(&head, "x-content-type-options"), Some("nosniff"));
    assert!(
        header(&head, "content-security-policy")
            .unwrap()
            .contains("sandbox")
    );

    let (head, body) = served.ask("HEAD", &path, "");
    assert_eq!((status(&head), body.len()), (200, 0));
    assert_eq!(header(&head, "content-length"), Some("500000"));

    for (range, part) in [
        ("0-0", 0..1),
        ("123456-345678", 123_456..345_679),
        ("499999-", 499_999..500_000),
        ("-1000", 499_000..500_000),
        ("400000-900000", 400_000..500_000),
    ] {
        let (head, body) = served.ask("GET", &path, &format!("Range: bytes={range}\r\n"));
        assert_eq!(status(&head), 206, "{range}");
        let expected = format!("bytes {}-{}/500000", part.start, part.end - 1);
        assert_eq!(header(&head, "content-range"), Some(expected.as_str()));
        assert!(body == content[part], "{range}");
    }
    let (head, _) = served.ask("GET", &path, "Range: bytes=500000-\r\n");
    assert_eq!(status(&head), 416);
    assert_eq!(header(&head, "content-range"), Some("bytes */500000"));
    let range = "Range: bytes=1-2\r\n";
    assert_eq!(
        served.status("GET", &path, &format!("{range}If-Range: {tag}\r\n")),
        206
    );
    assert_eq!(
        served.status("GET", &path, &format!("{range}If-Range: \"x\"\r\n")),
        200
    );
    assert_eq!(
        served.status("GET", &path, &format!("If-None-Match: {tag}\r\n")),
        304
    );
    let (head, body) = served.ask("GET", &format!("{}/empty", served.source()), "");
    assert_eq!((status(&head), body.len()), (200, 0));
}

#[test]
fn it_only_reads_and_only_what_it_shows() {
    let scene = Scene::new();
    varied_tree(&scene.source());
    scene.backup();
    let served = Served::new(scene);
    let source = served.source();
    let file = format!("{source}/plain");
    for method in [
        "PUT",
        "DELETE",
        "POST",
        "MKCOL",
        "MOVE",
        "COPY",
        "PROPPATCH",
        "LOCK",
        "TRACE",
    ] {
        let (head, _) = served.ask(method, &file, "");
        assert_eq!(status(&head), 405, "{method}");
        assert!(header(&head, "allow").unwrap().contains("PROPFIND"));
    }
    let (head, _) = served.ask("OPTIONS", &file, "");
    assert_eq!((status(&head), header(&head, "dav")), (200, Some("1")));

    // Out of the tree, in every spelling; a link, a device; without the secret.
    for bad in [
        format!("{source}/../plain"),
        format!("{source}/..%2fplain"),
        format!("{source}/%2e%2e/source/plain"),
        format!("{source}/plain%00"),
        format!("{source}/%2fetc%2fpasswd"),
        format!("{source}/%zz"),
    ] {
        assert_eq!(served.status("GET", &bad, ""), 400, "{bad}");
        assert_eq!(
            served.status("PROPFIND", &bad, "Depth: 1\r\n"),
            400,
            "{bad}"
        );
    }
    for missing in [
        format!("{source}/link"),
        format!("{source}/null"),
        format!("{source}/nothing"),
        format!("{source}/plain/below"),
        file.replace(SECRET, "guessed"),
        file.replace(&format!("/{SECRET}"), ""),
        "/".to_owned(),
    ] {
        assert_eq!(served.status("GET", &missing, ""), 404, "{missing}");
    }
    for depth in ["", "Depth: infinity\r\n", "Depth: 2\r\n"] {
        let (head, body) = served.ask("PROPFIND", &source, depth);
        assert_eq!(status(&head), 403, "{depth}");
        assert!(
            String::from_utf8(body)
                .unwrap()
                .contains("propfind-finite-depth")
        );
    }
    let body = "Depth: 1\r\nContent-Length: 100000\r\n";
    let mut request = format!(
        "PROPFIND {source} HTTP/1.1\r\nHost: localhost:{}\r\nConnection: close\r\n{body}\r\n",
        served.port
    );
    request.push_str(&"x".repeat(100_000));
    assert_eq!(status(&served.raw(&request).0), 413);
}

#[test]
fn it_answers_to_its_own_names_only() {
    let scene = Scene::new();
    let served = Served::new(scene);
    let (port, path) = (served.port, format!("/{SECRET}/"));
    let of = |hosts: &str| {
        let request = format!("GET {path} HTTP/1.1\r\n{hosts}Connection: close\r\n\r\n");
        status(&served.raw(&request).0)
    };
    for good in ["127.0.0.1", "localhost", "LOCALHOST", "[::1]"] {
        assert_eq!(of(&format!("Host: {good}:{port}\r\n")), 200, "{good}");
    }
    for bad in [
        format!("Host: evil.example:{port}\r\n"),
        format!("Host: 127.0.0.1.evil.example:{port}\r\n"),
        format!("Host: localhost:{port}@evil.example\r\n"),
        "Host: 127.0.0.1\r\n".to_owned(),
        format!("Host: 127.0.0.1:{port}\r\nHost: evil.example\r\n"),
        String::new(),
    ] {
        assert_eq!(of(&bad), 403, "{bad}");
    }
    for address in ["0.0.0.0:0", "192.0.2.1:0", "[::]:0"] {
        let bound = Server::bind(served.scene.tree(), address.parse().unwrap(), String::new());
        assert!(matches!(bound, Err(Error::NotLoopback(_))), "{address}");
    }
}

#[test]
fn hostile_names_are_escaped() {
    let scene = Scene::new();
    varied_tree(&scene.source());
    scene.backup();
    let served = Served::new(scene);
    let deep = format!("{}/deep", served.source());
    let (_, body) = served.ask("GET", &deep, "");
    let page = String::from_utf8(body).unwrap();
    assert!(page.contains("&lt;script&gt;alert(&#39;1&#39;)&amp;&quot;"));
    assert!(!page.contains("<script"));
    assert!(!page.contains('\u{202e}') && !page.contains('\u{1b}'));

    let (head, body) = served.ask("PROPFIND", &deep, "Depth: 1\r\n");
    assert_eq!(status(&head), 207);
    let listed = String::from_utf8(body).unwrap();
    // Every one of them can be asked for by what is listed.
    let links: Vec<&str> = listed
        .split("<D:href>")
        .skip(1)
        .map(|rest| rest.split("</D:href>").next().unwrap())
        .collect();
    assert_eq!(links.len(), 1 + 1 + 1 + crate::scene::HOSTILE.len());
    for link in links {
        let (head, _) = served.ask("HEAD", link, "");
        assert_eq!(status(&head), 200, "{link}");
    }
}

#[test]
fn damage_cuts_the_answer_off() {
    let scene = Scene::new();
    write(&scene.source(), "good", noise(100_000, 1));
    scene.backup();
    let before = scene.packs();
    write(&scene.source(), "bad", noise(100_000, 2));
    scene.backup_as("2026-03-02T10:00:00Z", "testhost", &[]);
    let served = Served::new(scene);
    let source = served.source();
    assert_eq!(served.status("HEAD", &format!("{source}/bad"), ""), 200);
    served.scene.damage_data(&before);
    let mut stream = TcpStream::connect(("127.0.0.1", served.port)).unwrap();
    let head = format!(
        "GET {source}/bad HTTP/1.1\r\nHost: localhost:{}\r\nConnection: close\r\n\r\n",
        served.port
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = Vec::new();
    // A connection that is reset says the same.
    let _ = stream.read_to_end(&mut answer);
    assert!(answer.len() < 100_000, "{}", answer.len());
    let (_, good) = served.ask("GET", &format!("{source}/good"), "");
    assert!(good == noise(100_000, 1));
}
