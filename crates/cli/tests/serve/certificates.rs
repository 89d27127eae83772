//! TLS: the server's own certificate, and those of files.

use std::fs::File;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme, StreamOwned};
use sha2::{Digest as _, Sha256};

use crate::client::{Answer, PATIENCE, connect, exchange};
use crate::program::Server;
use crate::world::World;

/// Believes everybody, and remembers what they showed.
#[derive(Debug, Default)]
struct Credulous(Mutex<Option<Vec<u8>>>);

impl ServerCertVerifier for Credulous {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        *self.0.lock().unwrap() = Some(shown.to_vec());
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = ring::default_provider().signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signed, &known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = ring::default_provider().signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signed, &known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let known = ring::default_provider().signature_verification_algorithms;
        known.supported_schemes()
    }
}

/// What is answered over TLS, and the SHA-256 of the certificate that was shown.
fn ask(address: SocketAddr) -> (Answer, String) {
    let seen = Arc::new(Credulous::default());
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(seen.clone())
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    let session = ClientConnection::new(Arc::new(config), name).unwrap();
    let stream = StreamOwned::new(session, connect(address));
    let answer = exchange(stream, ("GET", "/api/v1/setup"), &[], &[]);
    let shown = seen.0.lock().unwrap().take().unwrap();
    (answer, fingerprint(&shown))
}

fn fingerprint(certificate: &[u8]) -> String {
    let digest = Sha256::digest(certificate);
    let pairs: Vec<String> = digest.iter().map(|byte| format!("{byte:02X}")).collect();
    pairs.join(":")
}

#[test]
fn its_own_certificate_is_the_one_it_told_and_stays() {
    let world = World::empty();
    world.write("keepwatch.toml", "[server]\ntls = \"self-signed\"\n");
    let options = ["--config", "keepwatch.toml"];
    let server = Server::start(&world, &options);
    assert_eq!(
        server.ready["urls"][0],
        format!("https://{}/", server.address)
    );
    let told = server.ready["fingerprint"].as_str().unwrap().to_owned();
    let (answer, shown) = ask(server.address);
    assert_eq!(answer.status, 200);
    assert!(answer.header("strict-transport-security").is_some());
    assert_eq!(shown, told);
    server.stop();

    let server = Server::start(&world, &options);
    assert_eq!(server.ready["fingerprint"], told);
    assert_eq!(ask(server.address).1, told);
    // In clear nothing is said.
    let mut clear = connect(server.address);
    std::io::Write::write_all(&mut clear, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut said = Vec::new();
    let _ = std::io::Read::read_to_end(&mut clear, &mut said);
    assert!(!said.starts_with(b"HTTP"), "{said:?}");
    server.stop();

    // People are told it, too.
    let mut text = world.command(["serve", "--store", "store", "--listen", "127.0.0.1:0"]);
    let mut program = crate::program::Program::start(text.args(options));
    assert!(program.line().starts_with("serving at https://127.0.0.1:"));
    assert!(program.line().contains("SHA-256"));
    assert_eq!(program.line(), told);
    assert_eq!(program.stop().0, 0);
}

/// Writes a certificate and its key, as somebody does who renews them; gives its SHA-256. The time
/// tells them apart from those before, which may be of the same moment.
fn renew(world: &World, seconds: u64) -> String {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    world.write("c.pem", made.cert.pem());
    world.write("k.pem", made.signing_key.serialize_pem());
    for name in ["c.pem", "k.pem"] {
        let file = File::options().append(true).open(world.path(name)).unwrap();
        let time = SystemTime::now() + Duration::from_secs(seconds);
        file.set_modified(time).unwrap();
    }
    fingerprint(made.cert.der())
}

#[test]
fn certificates_in_files_are_read_again_when_they_change() {
    let world = World::empty();
    let first = renew(&world, 0);
    let path = |name: &str| world.path(name).display().to_string();
    world.write(
        "keepwatch.toml",
        format!(
            "[server.tls.files]\ncertificate = {:?}\nkey = {:?}\n",
            path("c.pem"),
            path("k.pem")
        ),
    );
    let server = Server::start(&world, &["--config", "keepwatch.toml"]);
    assert!(server.ready["fingerprint"].is_null(), "others vouch for it");
    assert_eq!(ask(server.address).1, first);

    let mark = server.program.mark();
    let second = renew(&world, 100);
    server
        .program
        .wait_for(mark, "the certificate was read again");
    assert_eq!(ask(server.address).1, second);

    // What cannot be used leaves the one before in force.
    let mark = server.program.mark();
    world.write("c.pem", "nothing");
    server
        .program
        .wait_for(mark, "the certificate cannot be read again");
    assert_eq!(ask(server.address).1, second);
    let third = renew(&world, 200);
    let deadline = std::time::Instant::now() + PATIENCE;
    while ask(server.address).1 != third {
        assert!(std::time::Instant::now() < deadline);
        std::thread::sleep(Duration::from_millis(100));
    }
    server.stop();
}
