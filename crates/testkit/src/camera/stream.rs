//! Pictures on their way to a client, at their time.

use std::io::{self, Write as _};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use super::behaviour::{Act, Behaviour};
use super::footage::{Footage, VideoCodec};
use super::rtp::Packetiser;
use super::stats::Counter;
use crate::random::Random;

/// The clock of video in RTP.
const CLOCK: u64 = 90_000;

/// How packets travel.
#[derive(Debug)]
pub(crate) enum Way {
    /// Inside the connection (RFC 2326, section 10.12).
    Interleaved(u8),
    /// As datagrams.
    Udp(UdpSocket, SocketAddr),
}

/// A stream that is played.
#[derive(Debug)]
pub(crate) struct Stream {
    way: Way,
    footage: Footage,
    acts: Vec<(u64, Act)>,
    packetiser: Packetiser,
    frame: u64,
    due: Instant,
    time: u32,
    /// Between two frames.
    interval: Duration,
    frozen: bool,
    scrambled: bool,
    without_keys: bool,
    lose: f64,
    random: Random,
}

impl Stream {
    pub fn new(behaviour: &Behaviour, way: Way, session: u64) -> Self {
        let mut random = Random::new(session);
        let packetiser = Packetiser {
            ssrc: random.next() as u32,
            sequence: random.next() as u16,
        };
        Self {
            way,
            interval: Duration::from_secs(1) / behaviour.footage.film.fps,
            footage: behaviour.footage.clone(),
            acts: behaviour.acts.clone(),
            packetiser,
            frame: 0,
            due: Instant::now(),
            time: random.next() as u32,
            frozen: false,
            scrambled: false,
            without_keys: false,
            lose: 0.0,
            random,
        }
    }

    /// How long nothing has to be sent.
    pub fn idle(&self) -> Duration {
        match self.frozen {
            true => Duration::MAX,
            false => self.due.saturating_duration_since(Instant::now()),
        }
    }

    /// Sends the next picture if it is time, after what was to happen at it. Gives what the
    /// connection has to do.
    pub fn send(&mut self, tcp: &mut TcpStream, counter: &Counter) -> io::Result<Option<Act>> {
        if !self.idle().is_zero() {
            return Ok(None);
        }
        while let Some(at) = self.acts.iter().position(|(at, _)| *at <= self.frame) {
            let (_, act) = self.acts.remove(at);
            if let Some(act) = self.act(act, tcp)? {
                return Ok(Some(act));
            }
        }
        if self.frozen {
            return Ok(None);
        }
        let (unit, codec) = (self.footage.unit(self.frame), self.footage.film.codec);
        if !(self.without_keys && unit.key) {
            let mut packets = self.packetiser.packets(codec, unit, self.time);
            if self.scrambled {
                packets.iter_mut().for_each(|packet| self.scramble(packet));
            }
            let before = packets.len();
            packets.retain(|_| self.random.fraction() >= self.lose);
            let lost = (before - packets.len()) as u64;
            for packet in packets {
                self.way.carry(&packet, tcp)?;
            }
            counter.count(|stats| {
                stats.frames += 1;
                stats.lost += lost;
            });
        }
        self.frame += 1;
        self.due += self.interval;
        let ticks = CLOCK as u128 * self.interval.as_nanos() / 1_000_000_000;
        self.time = self.time.wrapping_add(ticks as u32);
        Ok(None)
    }

    /// Does what concerns the stream; gives back what concerns the connection.
    pub fn act(&mut self, act: Act, tcp: &mut TcpStream) -> io::Result<Option<Act>> {
        match act {
            Act::Freeze => self.frozen = true,
            Act::Noise => {
                let noise: Vec<u8> = (0..4000).map(|_| self.random.next() as u8).collect();
                tcp.write_all(&noise)?;
            }
            Act::Scramble => self.scrambled = true,
            Act::Lose(share) => self.lose = share,
            Act::ClockJump(seconds) => {
                let ticks = i64::from(seconds) * CLOCK as i64;
                self.time = self.time.wrapping_add(ticks as u32);
            }
            Act::NewSender => {
                self.packetiser = Packetiser {
                    ssrc: self.random.next() as u32,
                    sequence: self.random.next() as u16,
                };
                self.time = self.random.next() as u32;
            }
            Act::Show(footage) => {
                self.footage = footage;
                self.frame = self.frame.next_multiple_of(self.footage.units.len() as u64);
            }
            Act::NoKeyFrames => self.without_keys = true,
            Act::Slow(interval) => self.interval = interval,
            act @ (Act::Deaf | Act::Close | Act::Reset) => return Ok(Some(act)),
        }
        Ok(None)
    }

    /// Random bytes, where a picture was. The head of the packet stays.
    fn scramble(&mut self, packet: &mut [u8]) {
        for byte in &mut packet[12..] {
            *byte = self.random.next() as u8;
        }
    }
}

impl Way {
    fn carry(&self, packet: &[u8], tcp: &mut TcpStream) -> io::Result<()> {
        match self {
            Way::Interleaved(channel) => {
                let [high, low] = (packet.len() as u16).to_be_bytes();
                let frame = [&[b'$', *channel, high, low], packet].concat();
                tcp.write_all(&frame)
            }
            Way::Udp(socket, to) => {
                // Whoever does not listen any more says so on the connection.
                let _ = socket.send_to(packet, to);
                Ok(())
            }
        }
    }
}

impl Footage {
    /// Whether RTP can carry it here.
    pub(crate) fn is_streamable(&self) -> bool {
        self.film.codec != VideoCodec::Jpeg
    }
}
