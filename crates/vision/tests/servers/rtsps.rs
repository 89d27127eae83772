//! RTSP over TLS.

use std::path::PathBuf;

use keepwatch_vision::{CameraSettings, Tls};

use crate::certificate::Certificate;
use crate::gstreamer::{H264, Login, PASSWORD, Running, Server, USER};
use crate::place::{REFUSED, UNTRUSTED, Watched, camera, look};

fn server(certificate: Certificate) -> Running {
    let certificate = Some(certificate);
    let server = Server {
        certificate,
        ..Server::default()
    };
    server.start(H264)
}

fn with(server: &Running, tls: Tls) -> CameraSettings {
    let mut settings = camera(&server.url(""));
    settings.tls = tls;
    settings
}

fn certificate(server: &Running) -> &Certificate {
    server.certificate.as_ref().expect("it has one")
}

#[test]
fn a_certificate_that_the_camera_signed_itself_is_trusted_by_its_file_or_its_pin() {
    let server = server(Certificate::of("127.0.0.1"));
    let own = certificate(&server);
    let here = std::env::current_dir().expect("there is one");
    let up = PathBuf::from("../".repeat(here.components().count() - 1));
    let relative = up.join(own.file().strip_prefix("/").expect("it is absolute"));
    for tls in [
        Tls::CaFile(own.file()),
        Tls::CaFile(relative),
        Tls::Sha256(own.sha256()),
    ] {
        let seen = look(&with(&server, tls.clone()));
        assert!(seen.works() && seen.problems.is_empty(), "{tls:?} {seen:?}");
        Watched::new(with(&server, tls)).pictures();
    }
    let other = Certificate::of("127.0.0.1");
    for tls in [
        Tls::System,
        Tls::CaFile(other.file()),
        Tls::Sha256(other.sha256()),
    ] {
        let seen = look(&with(&server, tls.clone()));
        assert!(!seen.works());
        assert_eq!(seen.problems, [UNTRUSTED], "{tls:?}");
        assert_eq!(Watched::new(with(&server, tls)).offline(), UNTRUSTED);
    }
}

#[test]
fn a_file_vouches_for_name_and_time_and_a_pin_for_the_certificate_whatever_it_says() {
    for certificate_of in [
        Certificate::of("camera.example"),
        Certificate::expired("127.0.0.1"),
    ] {
        let server = server(certificate_of);
        let own = certificate(&server);
        let settings = with(&server, Tls::CaFile(own.file()));
        assert_eq!(Watched::new(settings).offline(), UNTRUSTED);
        Watched::new(with(&server, Tls::Sha256(own.sha256()))).pictures();
    }
}

#[test]
fn a_password_goes_through_tls() {
    let server = Server {
        login: Some(Login::Digest),
        certificate: Some(Certificate::of("127.0.0.1")),
        ..Server::default()
    };
    let server = server.start(H264);
    let mut settings = with(&server, Tls::CaFile(certificate(&server).file()));
    assert_eq!(Watched::new(settings.clone()).offline(), REFUSED);
    settings.url = settings.url.with_credentials(USER, PASSWORD);
    Watched::new(settings).pictures();
}

#[test]
fn a_file_without_certificates_is_named() {
    let server = server(Certificate::of("127.0.0.1"));
    let empty = tempfile::NamedTempFile::new().expect("a file");
    for path in [empty.path().to_owned(), "/no/such/ca.pem".into()] {
        let settings = with(&server, Tls::CaFile(path.clone()));
        let problem = format!("no certificates can be read from {}", path.display());
        assert_eq!(Watched::new(settings).offline(), problem);
    }
}
