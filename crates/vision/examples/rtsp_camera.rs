//! A small RTSP camera, by GStreamer's own RTSP server: for demonstrations and measurements.
//!
//! A few seconds of H.264 or H.265 are encoded once and then sent in a loop, so that serving costs
//! next to nothing. It prints its address when it is ready, and runs until it is killed or its
//! standard input ends.
//!
//! `rtsp_camera [--size WIDTHxHEIGHT] [--fps N] [--gop FRAMES] [--kbit N] [--seconds N | --frames N]
//! [--still] [--noise] [--tell] [--h265] [--streams N] [--port N] [--user NAME --password-file FILE]`
//!
//! The loop is so many seconds or frames long. With `--still` nothing moves; with `--noise` the
//! picture has the noise of a sensor, so that frames are as large as those of a real camera. With
//! `--tell` each time that something appears is printed as it is sent: `appeared SECONDS`, by the
//! clock of the system. More than one stream are at the address with a number from 1 behind it, each
//! at another place of the loop, since the key frames of cameras do not come all at once.

#![allow(clippy::print_stdout, reason = "it is a program")]

use std::error::Error;
use std::io::{Read as _, Write as _};
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use gstreamer as gst;
use gstreamer::glib;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;
use gstreamer_rtsp_server as server;
use gstreamer_rtsp_server::prelude::*;
use keepwatch_testkit::camera::{AccessUnit, Film, Footage, VideoCodec};

/// What the camera shows and how.
struct Options {
    width: usize,
    height: usize,
    fps: u32,
    gop: u32,
    kbit: u32,
    seconds: u32,
    frames: Option<u32>,
    still: bool,
    noise: bool,
    tell: bool,
    h265: bool,
    streams: u32,
    port: u16,
    user: Option<String>,
    password_file: Option<String>,
}

impl Options {
    fn parse() -> Result<Self, Box<dyn Error>> {
        let mut options = Self {
            width: 1280,
            height: 720,
            fps: 25,
            gop: 50,
            kbit: 2000,
            seconds: 8,
            frames: None,
            still: false,
            noise: false,
            tell: false,
            h265: false,
            streams: 1,
            port: 0,
            user: None,
            password_file: None,
        };
        let mut arguments = std::env::args().skip(1);
        while let Some(name) = arguments.next() {
            match name.as_str() {
                "--still" => options.still = true,
                "--noise" => options.noise = true,
                "--tell" => options.tell = true,
                "--h265" => options.h265 = true,
                _ => {
                    let value = arguments.next().ok_or("an option lacks its value")?;
                    options.set(&name, value)?;
                }
            }
        }
        Ok(options)
    }

    fn set(&mut self, name: &str, value: String) -> Result<(), Box<dyn Error>> {
        match name {
            "--size" => {
                let (width, height) = value.split_once('x').ok_or("a size is WIDTHxHEIGHT")?;
                (self.width, self.height) = (width.parse()?, height.parse()?);
            }
            "--fps" => self.fps = value.parse()?,
            "--gop" => self.gop = value.parse()?,
            "--kbit" => self.kbit = value.parse()?,
            "--seconds" => self.seconds = value.parse()?,
            "--frames" => self.frames = Some(value.parse()?),
            "--streams" => self.streams = value.parse()?,
            "--port" => self.port = value.parse()?,
            "--user" => self.user = Some(value),
            "--password-file" => self.password_file = Some(value),
            _ => return Err(format!("there is no option {name}").into()),
        }
        Ok(())
    }

    fn codec(&self) -> VideoCodec {
        match self.h265 {
            true => VideoCodec::H265,
            false => VideoCodec::H264,
        }
    }

    /// How many frames the loop has.
    fn frames(&self) -> u32 {
        self.frames.unwrap_or(self.fps * self.seconds)
    }

    /// Those that show something passing.
    fn passing(&self) -> Range<u32> {
        let all = self.frames();
        match self.still {
            true => 0..0,
            false => all * 3 / 8..all * 6 / 8,
        }
    }
}

/// The loop, encoded: one access unit each.
fn encode(options: &Options) -> Vec<gst::Buffer> {
    let footage = Footage::encode(&Film {
        codec: options.codec(),
        width: options.width,
        height: options.height,
        fps: options.fps,
        gop: options.gop,
        kbit: options.kbit,
        frames: options.frames(),
        passing: (!options.still).then(|| (options.passing().start, options.passing().end)),
        noise: options.noise,
    });
    let buffer = |unit: &AccessUnit| {
        let mut buffer = gst::Buffer::from_slice(unit.bytes.clone());
        if let Some(buffer) = buffer.get_mut()
            && !unit.key
        {
            buffer.set_flags(gst::BufferFlags::DELTA_UNIT);
        }
        buffer
    };
    footage.units.iter().map(buffer).collect()
}

/// Sends the loop, from this frame of it on, as long as somebody takes it.
fn serve(
    source: &gst_app::AppSrc,
    units: &[gst::Buffer],
    first: usize,
    fps: u32,
    tell: Option<usize>,
) {
    let frame = Duration::from_secs(1) / fps;
    let start = Instant::now();
    for number in 0_u32.. {
        let due = frame * number;
        if let Some(wait) = due.checked_sub(start.elapsed()) {
            std::thread::sleep(wait);
        }
        let index = (first + number as usize) % units.len();
        let mut buffer = units[index].copy();
        if let Some(buffer) = buffer.get_mut() {
            let time = gst::ClockTime::from_nseconds(due.as_nanos() as u64);
            buffer.set_pts(time);
            buffer.set_dts(time);
            buffer.set_duration(gst::ClockTime::from_nseconds(frame.as_nanos() as u64));
        }
        let now = SystemTime::now();
        if source.push_buffer(buffer).is_err() {
            return;
        }
        if tell == Some(index) {
            let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
            // Nobody may be listening any more.
            let _ = writeln!(std::io::stdout(), "appeared {:.6}", now.as_secs_f64());
        }
    }
}

fn factory(
    options: &Options,
    units: Arc<Vec<gst::Buffer>>,
    first: usize,
) -> server::RTSPMediaFactory {
    let factory = server::RTSPMediaFactory::new();
    let codec = if options.h265 { "h265" } else { "h264" };
    factory.set_launch(&format!(
        "( appsrc name=source is-live=true format=time block=true max-bytes=4000000 \
         caps=video/x-{codec},stream-format=byte-stream,alignment=au,width={},height={},\
         framerate={}/1 ! {codec}parse ! rtp{codec}pay name=pay0 pt=96 config-interval=-1 )",
        options.width, options.height, options.fps
    ));
    factory.set_shared(true);
    factory.set_latency(0);
    let fps = options.fps;
    let tell = options.tell.then_some(options.passing().start as usize);
    factory.connect_media_configure(move |_, media| {
        let bin = media.element().downcast::<gst::Bin>();
        let source = bin.ok().and_then(|bin| bin.by_name("source"));
        let source = source.and_then(|source| source.downcast::<gst_app::AppSrc>().ok());
        if let Some(source) = source {
            let units = units.clone();
            std::thread::spawn(move || serve(&source, &units, first, fps, tell));
        }
    });
    factory
}

/// Only this user may look, by basic or digest authentication.
fn protect(
    server: &server::RTSPServer,
    factory: &server::RTSPMediaFactory,
    user: &str,
    password: &str,
) {
    let auth = server::RTSPAuth::new();
    let token = server::RTSPToken::builder()
        .field("media.factory.role", "viewer")
        .build();
    let basic = server::RTSPAuth::make_basic(user, password);
    auth.add_basic(&basic, &token);
    server.set_auth(Some(&auth));
    factory.add_role_from_structure(
        &gst::Structure::builder("viewer")
            .field("media.factory.access", true)
            .field("media.factory.construct", true)
            .build(),
    );
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse()?;
    gst::init()?;
    let units = Arc::new(encode(&options));
    let context = glib::MainLoop::new(None, false);
    let server = server::RTSPServer::new();
    server.set_address("127.0.0.1");
    server.set_service(&options.port.to_string());
    // A stream that begins within a group has nothing to say of itself before the next key frame: nobody
    // else must wait for that.
    if let Some(threads) = server.thread_pool() {
        threads.set_max_threads(-1);
    }
    let mounts = server
        .mount_points()
        .ok_or("the server has no mount points")?;
    for number in 0..options.streams {
        let first = units.len() * number as usize / options.streams as usize;
        let factory = factory(&options, units.clone(), first);
        if let (Some(user), Some(file)) = (&options.user, &options.password_file) {
            let password = std::fs::read_to_string(file)?;
            protect(&server, &factory, user, password.trim_end());
        }
        let path = match number {
            0 => "/stream".to_owned(),
            _ => format!("/stream{number}"),
        };
        mounts.add_factory(&path, factory);
    }
    let _attached = server.attach(None)?;
    println!("rtsp://127.0.0.1:{}/stream", server.bound_port());
    let ender = context.clone();
    std::thread::spawn(move || {
        let mut nothing = Vec::new();
        // However it ends, so does the camera.
        let _ = std::io::stdin().read_to_end(&mut nothing);
        ender.quit();
    });
    context.run();
    Ok(())
}
