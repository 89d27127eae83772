//! What a publisher needs of MQTT 3.1.1 (OASIS standard, 2014): it subscribes to nothing, so the
//! broker sends nothing but acknowledgements of two bytes.
//!
//! A client of its own, because those that there are want a runtime and resolve names themselves.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use rustls_pki_types::ServerName;

use super::MqttSettings;
use crate::notify::address::{Reach, resolve};
use crate::notify::{Network, NotifyError};

/// As long as this may pass between two packets, in seconds; half as much more, and the broker
/// publishes the will.
const KEEP_ALIVE: u16 = 60;

const CONNECT: u8 = 0x10;
const CONNACK: u8 = 0x20;
/// With quality of service 1: it is acknowledged.
const PUBLISH: u8 = 0x32;
const RETAIN: u8 = 0x01;
const PUBACK: u8 = 0x40;
const PINGREQ: u8 = 0xc0;
const PINGRESP: u8 = 0xd0;
const DISCONNECT: u8 = 0xe0;

/// What the broker publishes when a connection breaks: retained.
pub(super) struct Will<'a> {
    pub(super) topic: &'a str,
    pub(super) payload: &'a str,
}

trait Wire: Read + Write + Send {}

impl<T: Read + Write + Send> Wire for T {}

/// A connection to a broker.
pub(super) struct Session {
    wire: Box<dyn Wire>,
    host: String,
    last_id: u16,
}

impl Session {
    /// Connects. With a will, it must be used or pinged at least once a minute.
    pub(super) fn open(
        settings: &MqttSettings,
        network: &Network,
        will: Option<&Will>,
    ) -> Result<Self, NotifyError> {
        let host = &settings.host;
        let port = settings
            .port
            .unwrap_or(if settings.tls { 8883 } else { 1883 });
        let reach = Reach::new(settings.allow_private);
        let mut last = NotifyError::NotFound { host: host.clone() };
        for address in resolve(host, port, reach, network.timeout)? {
            let stream = match TcpStream::connect_timeout(&address, network.timeout) {
                Ok(stream) => stream,
                Err(error) => {
                    last = NotifyError::io(host, &error);
                    continue;
                }
            };
            let io = |error| NotifyError::io(host, &error);
            stream.set_read_timeout(Some(network.timeout)).map_err(io)?;
            stream
                .set_write_timeout(Some(network.timeout))
                .map_err(io)?;
            stream.set_nodelay(true).map_err(io)?;
            let wire: Box<dyn Wire> = if settings.tls {
                Box::new(StreamOwned::new(tls(host, network)?, stream))
            } else {
                Box::new(stream)
            };
            return Self::over(wire, settings, will);
        }
        Err(last)
    }

    /// Connects by what is connected already.
    fn over(
        wire: Box<dyn Wire>,
        settings: &MqttSettings,
        will: Option<&Will>,
    ) -> Result<Self, NotifyError> {
        let mut session = Self {
            wire,
            host: settings.host.clone(),
            last_id: 0,
        };
        session.connect(settings, will)?;
        Ok(session)
    }

    /// Section 3.1.
    fn connect(&mut self, settings: &MqttSettings, will: Option<&Will>) -> Result<(), NotifyError> {
        let mut random = [0; 6];
        getrandom::fill(&mut random).map_err(|_| NotifyError::no_randomness(&self.host))?;
        // No session is kept by the broker.
        let mut flags = 0x02;
        let mut payload = Vec::new();
        text(
            &mut payload,
            format!("keepwatch-{}", hex::encode(random)).as_bytes(),
        );
        if let Some(will) = will {
            // Quality of service 1, retained.
            flags |= 0x04 | 0x08 | 0x20;
            text(&mut payload, will.topic.as_bytes());
            text(&mut payload, will.payload.as_bytes());
        }
        if let Some(user) = &settings.user {
            flags |= 0x80;
            text(&mut payload, user.as_bytes());
            if let Some(password) = &settings.password {
                flags |= 0x40;
                text(&mut payload, password.expose().as_bytes());
            }
        }
        let mut body = Vec::new();
        text(&mut body, b"MQTT");
        body.extend([4, flags]);
        let keep_alive = if will.is_some() { KEEP_ALIVE } else { 0 };
        body.extend(keep_alive.to_be_bytes());
        body.extend(payload);
        self.write(CONNECT, &body)?;
        match self.read()? {
            (CONNACK, Some([_, 0])) => Ok(()),
            (CONNACK, Some([_, code])) => Err(NotifyError::Refused {
                host: self.host.clone(),
                protocol: "MQTT",
                code: code.into(),
                // 3: the broker is not available as yet.
                temporary: code == 3,
            }),
            _ => Err(self.nonsense()),
        }
    }

    /// Publishes, and waits until the broker has it.
    pub(super) fn publish(&mut self, topic: &str, payload: &[u8]) -> Result<(), NotifyError> {
        // 0 is no number.
        self.last_id = self.last_id.checked_add(1).unwrap_or(1);
        let mut body = Vec::with_capacity(topic.len() + payload.len() + 4);
        text(&mut body, topic.as_bytes());
        body.extend(self.last_id.to_be_bytes());
        body.extend(payload);
        self.write(PUBLISH | RETAIN, &body)?;
        match self.read()? {
            (PUBACK, Some(id)) if id == self.last_id.to_be_bytes() => Ok(()),
            _ => Err(self.nonsense()),
        }
    }

    pub(super) fn ping(&mut self) -> Result<(), NotifyError> {
        self.write(PINGREQ, &[])?;
        match self.read()? {
            (PINGRESP, None) => Ok(()),
            _ => Err(self.nonsense()),
        }
    }

    /// Ends the connection in order: no will is published.
    pub(super) fn close(mut self) -> Result<(), NotifyError> {
        self.write(DISCONNECT, &[])
    }

    fn write(&mut self, kind: u8, body: &[u8]) -> Result<(), NotifyError> {
        let mut packet = vec![kind];
        // Section 2.2.3: seven bits a byte, lowest first.
        let mut left = body.len();
        loop {
            let low = (left % 128) as u8;
            left /= 128;
            packet.push(if left > 0 { low | 0x80 } else { low });
            if left == 0 {
                break;
            }
        }
        packet.extend(body);
        let written = self
            .wire
            .write_all(&packet)
            .and_then(|()| self.wire.flush());
        written.map_err(|error| NotifyError::io(&self.host, &error))
    }

    /// An acknowledgement, and what it says, if it says anything.
    fn read(&mut self) -> Result<(u8, Option<[u8; 2]>), NotifyError> {
        let mut head = [0; 2];
        let mut body = [0; 2];
        let read = self
            .wire
            .read_exact(&mut head)
            .and_then(|()| match head[1] {
                0 => Ok(None),
                2 => self.wire.read_exact(&mut body).map(|()| Some(body)),
                _ => Err(io::ErrorKind::InvalidData.into()),
            });
        match read {
            Ok(body) => Ok((head[0], body)),
            Err(error)
                if error.kind() == io::ErrorKind::InvalidData && error.get_ref().is_none() =>
            {
                Err(self.nonsense())
            }
            Err(error) => Err(NotifyError::io(&self.host, &error)),
        }
    }

    fn nonsense(&self) -> NotifyError {
        NotifyError::Protocol {
            host: self.host.clone(),
            protocol: "MQTT",
        }
    }
}

/// Section 1.5.3: a length of two bytes, and so much. What is longer is cut; settings are checked to
/// be shorter.
fn text(out: &mut Vec<u8>, bytes: &[u8]) {
    let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    out.extend(length.to_be_bytes());
    out.extend(&bytes[..usize::from(length)]);
}

/// A broker that answers with these bytes, whatever it hears.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) fn talk_to(settings: &MqttSettings, answers: &[u8]) -> Result<(), NotifyError> {
    struct Broker(io::Cursor<Vec<u8>>);
    impl Read for Broker {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            self.0.read(out)
        }
    }
    impl Write for Broker {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let broker = Box::new(Broker(io::Cursor::new(answers.to_vec())));
    let mut session = Session::over(broker, settings, None)?;
    session.publish("topic", b"payload")?;
    session.ping()?;
    session.close()
}

fn tls(host: &str, network: &Network) -> Result<ClientConnection, NotifyError> {
    let error = || NotifyError::Tls {
        host: host.to_owned(),
    };
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(network.roots.certificates().iter().cloned());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|_| error())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(host.to_owned()).map_err(|_| error())?;
    ClientConnection::new(Arc::new(config), name).map_err(|_| error())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_acknowledgements_count() {
        let settings: MqttSettings =
            serde_json::from_str(r#"{"host":"broker"}"#).expect("these are settings");
        let good = [0x20, 2, 0, 0, 0x40, 2, 0, 1, 0xd0, 0];
        talk_to(&settings, &good).expect("it was acknowledged");
        for bad in [
            // What has no return code accepts nothing.
            &[0x20, 0, 0x40, 2, 0, 1, 0xd0, 0][..],
            &[0x20, 2, 0, 5, 0x40, 2, 0, 1, 0xd0, 0],
            &[0x20, 2, 0, 0, 0x40, 0, 0xd0, 0],
            &[0x20, 2, 0, 0, 0x40, 2, 0, 2, 0xd0, 0],
            &[0x20, 2, 0, 0, 0x40, 2, 0, 1, 0xd0, 2, 0, 0],
            &[0x20, 3, 0, 0, 0],
            &[0x20],
        ] {
            talk_to(&settings, bad).expect_err("it is no acknowledgement");
        }
    }
}
