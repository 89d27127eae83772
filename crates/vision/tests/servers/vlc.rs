//! VLC's RTSP server, which sends by UDP only.

use std::fs::File;
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt as _;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use keepwatch_vision::{CameraSettings, Codec, Transport};

use crate::place::{Watched, camera, look};

const MISSING: &str = "cvlc is missing; on Debian it is in vlc-bin, with vlc-plugin-base";

/// A film in a loop, until it is dropped.
struct Vlc(Child);

impl Vlc {
    fn start(port: u16) -> Self {
        let there = Command::new("sh").args(["-c", "command -v cvlc"]).output();
        assert!(
            there.expect("there is a shell").status.success(),
            "{MISSING}"
        );
        // It does not run as root.
        let root = std::fs::metadata("/proc/self").expect("it is Linux").uid() == 0;
        let mut command = match root {
            false => Command::new("cvlc"),
            true => {
                let mut command = Command::new("setpriv");
                command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "cvlc"]);
                command
            }
        };
        let film = keepwatch_testkit::testdata().join("video/one-by-one-person-detection.mp4");
        let home = std::env::temp_dir();
        let child = command
            .args(["--no-audio", "--loop", "--sout-keep", "fd://0", "--sout"])
            .arg(format!("#rtp{{sdp=rtsp://127.0.0.1:{port}/stream}}"))
            .env("HOME", home)
            .stdin(File::open(film).expect("the film is there"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        Self(child.expect("it starts"))
    }
}

impl Drop for Vlc {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A camera where nobody is yet, and its port.
fn nowhere() -> (CameraSettings, u16) {
    let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
    let port = port.expect("there is a port").port();
    let mut settings = camera(&format!("rtsp://127.0.0.1:{port}/stream"));
    settings.read_timeout = Duration::from_secs(2);
    settings.retry_first = Duration::from_millis(100);
    settings.retry_longest = Duration::from_millis(500);
    (settings, port)
}

#[test]
fn vlc_is_a_camera_that_goes_and_comes_back() {
    let (mut settings, port) = nowhere();
    settings.transport = Transport::Udp;
    let watched = Watched::new(settings.clone());
    assert_eq!(watched.offline(), "the camera cannot be reached");

    let vlc = Vlc::start(port);
    let status = watched.pictures();
    assert_eq!(status.codec, Some(Codec::H264));
    let seen = look(&settings);
    assert_eq!(seen.codec, Some(Codec::H264));
    assert_eq!((seen.width, seen.height), (768, 432), "{seen:?}");
    assert!(seen.works(), "{seen:?}");

    drop(vlc);
    watched.offline_because("the camera cannot be reached");
    let _vlc = Vlc::start(port);
    watched.pictures();
}

#[test]
fn vlc_does_not_send_inside_the_connection() {
    let (settings, port) = nowhere();
    let _vlc = Vlc::start(port);
    let watched = Watched::new(settings);
    watched.offline_because("the camera does not send by this transport");
}
