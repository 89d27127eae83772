//! `keepwatch camera`

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use jiff::SignedDuration;
use keepwatch_vision::makers::{self, Stream};
use keepwatch_vision::onvif::{self, Discovered};
use keepwatch_vision::{CameraSettings, Probe, Tls, Transport, probe};
use serde::Serialize;

use crate::camera_url::{Unread, unread, url_of};
use crate::commands::{Context, Outcome};
use crate::exit::{Code, Failure};
use crate::values::duration;

/// What can be done with cameras, without watching them.
#[derive(Debug, Subcommand)]
pub enum CameraCommand {
    /// Say what a camera sends, and what is wrong with it
    Probe(ProbeArgs),
    /// Find cameras in the local network by ONVIF
    Discover(DiscoverArgs),
    /// Print where a camera of a maker usually has its stream
    Url(UrlArgs),
}

/// Which camera.
#[derive(Debug, Args)]
pub struct ProbeArgs {
    /// Its address
    #[arg(value_name = "URL", value_parser = unread)]
    url: Unread,
    /// Take RTP packets as datagrams
    #[arg(long)]
    udp: bool,
    /// Trust the certificates in this PEM file
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Trust the certificate with this SHA-256, in hexadecimal, and no other (rtsps)
    #[arg(long, value_name = "HEX", value_parser = fingerprint, conflicts_with = "ca_file")]
    sha256: Option<[u8; 32]>,
    /// How long to look once pictures come
    #[arg(long = "for", value_name = "DURATION", default_value = "6s", value_parser = duration)]
    time: SignedDuration,
}

/// As programs print it: with or without colons.
fn fingerprint(text: &str) -> Result<[u8; 32], String> {
    let mut bytes = [0; 32];
    let digits = text.replace(':', "");
    hex::decode_to_slice(digits, &mut bytes)
        .map_err(|_| "it is 64 hexadecimal digits".to_owned())?;
    Ok(bytes)
}

/// How to search.
#[derive(Debug, Args)]
pub struct DiscoverArgs {
    /// How long to wait for answers
    #[arg(long = "for", value_name = "DURATION", default_value = "4s", value_parser = duration)]
    time: SignedDuration,
    /// Ask this address instead of the whole network; may be repeated
    #[arg(long, value_name = "HOST:PORT")]
    address: Vec<SocketAddr>,
}

/// Whose camera, and where.
#[derive(Debug, Args)]
pub struct UrlArgs {
    /// The maker, or a brand of its
    #[arg(value_name = "MAKER")]
    maker: String,
    /// The camera's host name or address
    #[arg(value_name = "HOST")]
    host: String,
    /// The port, if it is not the usual one
    #[arg(long, value_name = "PORT")]
    port: Option<u16>,
    /// The channel of a recorder or of a camera with several lenses
    #[arg(long, value_name = "N", default_value_t = 1)]
    channel: u16,
    /// The small stream
    #[arg(long)]
    sub: bool,
}

/// Runs one of them.
pub fn run(command: CameraCommand, context: &mut Context) -> Outcome {
    match command {
        CameraCommand::Probe(args) => look(args, context),
        CameraCommand::Discover(args) => discover(&args, context),
        CameraCommand::Url(args) => print_url(&args, context),
    }
}

fn look(args: ProbeArgs, context: &mut Context) -> Outcome {
    let mut settings = CameraSettings::new(url_of(&args.url)?);
    settings.realtime = true;
    if args.udp {
        settings.transport = Transport::Udp;
    }
    if let Some(path) = args.ca_file {
        settings.tls = Tls::CaFile(path);
    }
    if let Some(pin) = args.sha256 {
        settings.tls = Tls::Sha256(pin);
    }
    let found = probe(&settings, time(args.time))?;
    if context.out.json {
        context.out.json(&found)?;
    } else {
        render(&found, context)?;
    }
    Ok(match found.works() {
        true => Code::Ok,
        false => Code::Failed,
    })
}

fn render(found: &Probe, context: &mut Context) -> Result<(), Failure> {
    let number = |value: Option<f64>, unit: &str| match value {
        Some(value) => format!("{value:.2} {unit}"),
        None => "not known".to_owned(),
    };
    let stream = match found.codec {
        Some(codec) => format!("{codec}, {}x{}", found.width, found.height),
        None => "none".to_owned(),
    };
    let gop = match (found.gop_frames, found.gop_seconds) {
        (Some(frames), Some(seconds)) => format!("{frames} frames, {seconds:.2} s"),
        _ => "not known".to_owned(),
    };
    let rate = found.bits_per_second.map(|bits| bits / 1e6);
    context.out.facts(&[
        ("camera", found.url.clone()),
        ("stream", stream),
        ("frame rate", number(found.fps, "a second")),
        ("key frames every", gop),
        ("bit rate", number(rate, "Mbit/s")),
        ("first frame after", number(found.first_frame_seconds, "s")),
        (
            "first key frame after",
            number(found.first_key_seconds, "s more"),
        ),
    ])?;
    for problem in &found.problems {
        context.out.line(format_args!("problem: {problem}"))?;
    }
    Ok(())
}

fn discover(args: &DiscoverArgs, context: &mut Context) -> Outcome {
    let found = onvif::discover(time(args.time), &args.address)?;
    if context.out.json {
        context.out.json_rows(&found)?;
        return Ok(Code::Ok);
    }
    for camera in &found {
        context.out.line(describe(camera))?;
    }
    if found.is_empty() {
        context
            .out
            .note("no camera answered; many have ONVIF turned off");
    }
    Ok(Code::Ok)
}

fn describe(camera: &Discovered) -> String {
    let from = camera
        .from
        .map_or_else(String::new, |from| from.to_string());
    let name = camera.name.as_deref().unwrap_or("without a name");
    let hardware = camera.hardware.as_deref().unwrap_or("");
    format!("{from}  {name}  {hardware}  {}", camera.xaddrs.join(" "))
}

#[derive(Serialize)]
struct Address {
    url: String,
}

fn print_url(args: &UrlArgs, context: &mut Context) -> Outcome {
    let stream = if args.sub { Stream::Sub } else { Stream::Main };
    let url = makers::stream_url(&args.maker, stream, args.channel, &args.host, args.port)?;
    let url = url.to_string();
    if context.out.json {
        context.out.json(&Address { url })?;
    } else {
        context.out.line(url)?;
    }
    context
        .out
        .note("This is where it usually is; the manual knows better. User and password go before the host.");
    Ok(Code::Ok)
}

fn time(time: SignedDuration) -> Duration {
    time.unsigned_abs()
}
