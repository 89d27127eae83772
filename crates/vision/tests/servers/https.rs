//! Pictures over HTTPS, from Python's own server.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use keepwatch_vision::{CameraSettings, Codec, Tls};

use crate::certificate::Certificate;
use crate::place::{UNTRUSTED, Watched, camera, look};

/// Sends one JPEG picture ten times a second to whoever asks for it.
const SERVER: &str = r#"
import http.server, ssl, sys, time

picture = open(sys.argv[1], "rb").read()

class Camera(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=next")
        self.end_headers()
        while True:
            self.wfile.write(b"--next\r\nContent-Type: image/jpeg\r\n")
            self.wfile.write(b"Content-Length: %d\r\n\r\n" % len(picture) + picture + b"\r\n")
            time.sleep(0.1)

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Camera)
server.daemon_threads = True
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[2])
server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_address[1], flush=True)
server.serve_forever()
"#;

const WIDTH: u16 = 64;
const HEIGHT: u16 = 48;

struct Python {
    child: Child,
    port: u16,
    certificate: Certificate,
    _dir: tempfile::TempDir,
}

impl Python {
    fn start(certificate: Certificate) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let (picture, pem) = (dir.path().join("a.jpg"), dir.path().join("a.pem"));
        std::fs::write(&picture, jpeg()).expect("it is written");
        std::fs::write(&pem, &certificate.pem).expect("it is written");
        let child = Command::new("python3")
            .args(["-c", SERVER])
            .args([&picture, &pem])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let mut child = child.expect("python3 is there");
        let mut port = String::new();
        let stdout = child.stdout.take().expect("it was asked for");
        let read = BufReader::new(stdout).read_line(&mut port);
        read.expect("it says its port");
        Self {
            port: port.trim().parse().expect("a port"),
            child,
            certificate,
            _dir: dir,
        }
    }

    fn with(&self, tls: Tls) -> CameraSettings {
        let mut settings = camera(&format!("https://127.0.0.1:{}/video", self.port));
        settings.tls = tls;
        settings
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A grey picture.
fn jpeg() -> Vec<u8> {
    let mut out = Vec::new();
    let grey = vec![128; usize::from(WIDTH) * usize::from(HEIGHT)];
    let encoder = jpeg_encoder::Encoder::new(&mut out, 80);
    let encoded = encoder.encode(&grey, WIDTH, HEIGHT, jpeg_encoder::ColorType::Luma);
    encoded.expect("it is encoded");
    out
}

#[test]
fn a_certificate_that_the_camera_signed_itself_is_trusted_by_its_file() {
    let server = Python::start(Certificate::of("127.0.0.1"));
    // Refused first: a TLS session that was trusted once is taken up again by its ticket, within
    // the process, and no certificate comes then.
    let other = Certificate::of("127.0.0.1");
    for tls in [Tls::System, Tls::CaFile(other.file())] {
        let settings = server.with(tls);
        assert_eq!(look(&settings).problems, [UNTRUSTED]);
        assert_eq!(Watched::new(settings).offline(), UNTRUSTED);
    }
    let settings = server.with(Tls::CaFile(server.certificate.file()));
    let seen = look(&settings);
    assert_eq!(seen.codec, Some(Codec::Mjpeg), "{seen:?}");
    assert_eq!((seen.width, seen.height), (64, 48));
    Watched::new(settings).pictures();
}

#[test]
fn a_file_vouches_for_the_name() {
    let server = Python::start(Certificate::of("camera.example"));
    let settings = server.with(Tls::CaFile(server.certificate.file()));
    assert_eq!(Watched::new(settings).offline(), UNTRUSTED);
}

#[test]
fn no_connection_is_no_garbage() {
    let server = Python::start(Certificate::of("127.0.0.1"));
    let settings = server.with(Tls::System);
    drop(server);
    for scheme in ["https", "http"] {
        let mut settings = settings.clone();
        let url = settings.url.location().replace("https", scheme);
        settings.url = url.parse().expect("an address");
        let reason = Watched::new(settings).offline();
        assert_eq!(reason, "the camera cannot be reached", "{scheme}");
    }
}
