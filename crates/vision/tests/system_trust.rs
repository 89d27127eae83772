//! Whom the system trusts, and whom a camera's settings trust.
//!
//! What the system trusts is one for the process: this test has one of its own.

use gstreamer_rtsp_server::gio;
use gstreamer_rtsp_server::gio::prelude::*;
use keepwatch_vision::Tls;

#[allow(dead_code, reason = "some of it is not needed here")]
#[path = "servers/certificate.rs"]
mod certificate;
#[allow(dead_code, reason = "some of it is not needed here")]
#[path = "servers/gstreamer.rs"]
mod gstreamer;
#[allow(dead_code, reason = "some of it is not needed here")]
#[path = "servers/place.rs"]
mod place;

use certificate::Certificate;
use gstreamer::{H264, Server};
use place::{UNTRUSTED, camera, look};

#[test]
fn whom_the_system_trusts_gets_past_no_file_and_no_pin() {
    let certificate = Certificate::of("127.0.0.1");
    let system = gio::TlsFileDatabase::new(certificate.file()).expect("it has one");
    gio::TlsBackend::default().set_default_database(Some(&system));
    let server = Server {
        certificate: Some(certificate),
        ..Server::default()
    };
    let server = server.start(H264);
    let seen = |tls| {
        let mut settings = camera(&server.url(""));
        settings.tls = tls;
        look(&settings).problems
    };
    let other = Certificate::of("127.0.0.1");
    assert!(seen(Tls::System).is_empty());
    assert_eq!(seen(Tls::CaFile(other.file())), [UNTRUSTED]);
    assert_eq!(seen(Tls::Sha256(other.sha256())), [UNTRUSTED]);
    // It is still trusted where the settings say so.
    assert!(seen(Tls::System).is_empty());
}
